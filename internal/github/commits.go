package github

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"unicode/utf8"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
)

// ErrBranchExists is why CreateBranch made nothing; ErrBranchMoved is why
// MoveBranch did not: somebody else pushed.
var (
	ErrBranchExists = errors.New("the branch exists already")
	ErrBranchMoved  = errors.New("the branch stands elsewhere")
)

// CommitRequest is a commit on top of Parent that sets Files in BaseTree.
type CommitRequest struct {
	Parent   string // commit SHA
	BaseTree string // tree SHA, or the SHA of a commit whose tree it is
	Files    []File
	Message  string
}

// File is one file's whole new content.
type File struct {
	Path    string
	Mode    string // "100644", the default, or "100755"
	Content []byte
}

// Commit makes a commit that no branch points to yet. It names no author and no
// committer, because only then does GitHub sign it for the App ("About commit
// signature verification", docs.github.com).
func (r *Repo) Commit(ctx context.Context, c CommitRequest) (_ string, err error) {
	defer r.fail(&err, "commit on %s", c.Parent)
	entries := make([]*gh.TreeEntry, len(c.Files))
	for i, f := range c.Files {
		if entries[i], err = r.treeEntry(ctx, f); err != nil {
			return "", err
		}
	}
	tree, _, err := r.client.Git.CreateTree(ctx, r.Owner, r.Name, c.BaseTree, entries)
	if err != nil {
		return "", err
	}
	made, _, err := r.client.Git.CreateCommit(ctx, r.Owner, r.Name, &gh.Commit{
		Message: &c.Message,
		Tree:    &gh.Tree{SHA: tree.SHA},
		Parents: []*gh.Commit{{SHA: &c.Parent}},
	}, nil)
	return made.GetSHA(), err
}

// treeEntry holds the content itself, which saves the request for a blob, or
// names a blob made for it: JSON cannot carry bytes that are not text.
func (r *Repo) treeEntry(ctx context.Context, f File) (*gh.TreeEntry, error) {
	mode := f.Mode
	if mode == "" {
		mode = "100644"
	}
	entry := &gh.TreeEntry{Path: &f.Path, Mode: &mode, Type: gh.String("blob")}
	if utf8.Valid(f.Content) && bytes.IndexByte(f.Content, 0) < 0 {
		entry.Content = gh.String(string(f.Content))
		return entry, nil
	}
	blob, _, err := r.client.Git.CreateBlob(ctx, r.Owner, r.Name, &gh.Blob{
		Content:  gh.String(base64.StdEncoding.EncodeToString(f.Content)),
		Encoding: gh.String("base64"),
	})
	entry.SHA = gh.String(blob.GetSHA())
	return entry, err
}

// Branch is the SHA of the commit that a branch stands at.
func (r *Repo) Branch(ctx context.Context, branch string) (_ string, err error) {
	defer r.fail(&err, "read branch %s", branch)
	ref, _, err := r.client.Git.GetRef(ctx, r.Owner, r.Name, "heads/"+branch)
	return ref.GetObject().GetSHA(), err
}

// CreateBranch makes a branch at a commit. Conflict with ErrBranchExists:
// there is one of that name.
func (r *Repo) CreateBranch(ctx context.Context, branch, sha string) (err error) {
	defer r.fail(&err, "create branch %s", branch)
	_, _, err = r.client.Git.CreateRef(ctx, r.Owner, r.Name, branchRef(branch, sha))
	if e, ok := refusedWith(err, http.StatusUnprocessableEntity); ok && e.says("reference already exists") {
		return fault.E(fault.Conflict, "", fmt.Errorf("%w: %w", ErrBranchExists, err))
	}
	return err
}

// MoveBranch forces a branch from one commit to another; nothing happens where
// it stands at the other already. Conflict with ErrBranchMoved: it stands at
// neither. GitHub has no compare-and-swap for a forced update, so that a push
// between the two requests of this method is lost; the check before a merge
// still sees what the branch then holds.
func (r *Repo) MoveBranch(ctx context.Context, branch, from, to string) (err error) {
	defer r.fail(&err, "move branch %s", branch)
	at, err := r.Branch(ctx, branch)
	if err != nil || at == to {
		return err
	}
	if at != from {
		return fault.E(fault.Conflict, "", fmt.Errorf("%w: at %s, expected %s", ErrBranchMoved, at, from))
	}
	_, _, err = r.client.Git.UpdateRef(ctx, r.Owner, r.Name, branchRef(branch, to), true)
	return err
}

// DeleteBranch deletes a branch; one that is gone already is fine.
func (r *Repo) DeleteBranch(ctx context.Context, branch string) (err error) {
	defer r.fail(&err, "delete branch %s", branch)
	_, err = r.client.Git.DeleteRef(ctx, r.Owner, r.Name, "heads/"+branch)
	if e, ok := refusedWith(err, http.StatusUnprocessableEntity); ok && e.says("reference does not exist") {
		return nil
	}
	return err
}

func branchRef(branch, sha string) *gh.Reference {
	return &gh.Reference{Ref: gh.String("refs/heads/" + branch), Object: &gh.GitObject{SHA: &sha}}
}
