package githubsim

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitobj "github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
)

const zeroSHA = "0000000000000000000000000000000000000000"

// gitstore is one bare repository. Objects are read and written in process
// (they are immutable, so no git process can disagree); refs, merges, diffs
// and the wire protocol are git's own.
type gitstore struct {
	dir  string
	objs *filesystem.Storage
	refs map[string]string // every ref, mirrored: all changes pass through this process
}

// identity is who made a commit, and when.
type identity struct {
	name, email string
	when        time.Time
}

type commitSpec struct {
	tree              string
	parents           []string
	message           string
	author, committer identity
}

// treeEdit is a file to put into a tree: content, or the SHA of an object, or
// neither to delete it.
type treeEdit struct {
	content []byte
	sha     string
	mode    filemode.FileMode
	remove  bool
}

// checkGit demands a git that merges without a checkout.
func checkGit() error {
	out, err := exec.Command("git", "version").Output()
	if err != nil {
		return fmt.Errorf("githubsim: git does not run: %w; install git 2.38 or newer", err)
	}
	var major, minor int
	if _, err := fmt.Sscanf(string(out), "git version %d.%d", &major, &minor); err != nil || major < 2 || (major == 2 && minor < 38) {
		return fmt.Errorf("githubsim: %s is too old: merges need git 2.38 or newer", strings.TrimSpace(string(out)))
	}
	return nil
}

func newGitstore(dir, branch string) (*gitstore, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("githubsim: %w", err)
	}
	g := &gitstore{dir: dir, refs: map[string]string{}}
	g.objs = filesystem.NewStorage(osfs.New(dir), cache.NewObjectLRUDefault())
	if _, err := g.git("init", "--quiet", "--bare", "--template=", "--initial-branch="+branch, "."); err != nil {
		return nil, err
	}
	// A pushed pack is unpacked and nothing is ever repacked, so an object is
	// always a loose file that both git and this process see at once.
	settings := [][2]string{
		{"gc.auto", "0"}, {"maintenance.auto", "false"}, {"transfer.unpackLimit", "1000000"},
		{"http.receivepack", "true"}, {"uploadpack.allowAnySHA1InWant", "true"},
		{"uploadpack.allowReachableSHA1InWant", "true"}, {"uploadpack.allowFilter", "true"},
		{"core.logAllRefUpdates", "false"},
	}
	for _, kv := range settings {
		if _, err := g.git("config", kv[0], kv[1]); err != nil {
			return nil, err
		}
	}
	return g, g.installGuard()
}

// gitEnv is the whole environment of our git processes: no user or system
// configuration, a stable identity, plain messages.
func gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=GitHub", "GIT_AUTHOR_EMAIL=noreply@github.com",
		"GIT_COMMITTER_NAME=GitHub", "GIT_COMMITTER_EMAIL=noreply@github.com",
	}
}

// gitError is a git command that exited with a code other than 0.
type gitError struct {
	args   string
	code   int
	stderr string
}

func (e *gitError) Error() string {
	return fmt.Sprintf("githubsim: git %s exited with %d: %s", e.args, e.code, strings.TrimSpace(e.stderr))
}

func (g *gitstore) git(args ...string) (string, error) {
	cmd := exec.Command("git", args...)
	cmd.Dir = g.dir
	cmd.Env = gitEnv()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return out.String(), &gitError{args: args[0], code: exit.ExitCode(), stderr: errs.String()}
	}
	if err != nil {
		return "", fmt.Errorf("githubsim: run git %s: %w", args[0], err)
	}
	return out.String(), nil
}

// exitCode is the exit code inside err, or -1.
func exitCode(err error) int {
	var ge *gitError
	if errors.As(err, &ge) {
		return ge.code
	}
	return -1
}

func (g *gitstore) put(o interface {
	Encode(plumbing.EncodedObject) error
}) (string, error) {
	enc := g.objs.NewEncodedObject()
	if err := o.Encode(enc); err != nil {
		return "", fmt.Errorf("githubsim: encode a git object: %w", err)
	}
	return g.write(enc)
}

func (g *gitstore) write(enc plumbing.EncodedObject) (string, error) {
	h, err := g.objs.SetEncodedObject(enc)
	if err != nil {
		return "", fmt.Errorf("githubsim: write a git object: %w", err)
	}
	return h.String(), nil
}

func (g *gitstore) blob(content []byte) (string, error) {
	enc := g.objs.NewEncodedObject()
	enc.SetType(plumbing.BlobObject)
	w, err := enc.Writer()
	if err != nil {
		return "", err
	}
	if _, err := w.Write(content); err != nil {
		return "", err
	}
	if err := w.Close(); err != nil {
		return "", err
	}
	return g.write(enc)
}

func (g *gitstore) readBlob(sha string) ([]byte, error) {
	b, err := gitobj.GetBlob(g.objs, plumbing.NewHash(sha))
	if err != nil {
		return nil, err
	}
	r, err := b.Reader()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

func (g *gitstore) readTree(sha string) (*gitobj.Tree, error) {
	return gitobj.GetTree(g.objs, plumbing.NewHash(sha))
}

func (g *gitstore) readCommit(sha string) (*gitobj.Commit, error) {
	return gitobj.GetCommit(g.objs, plumbing.NewHash(sha))
}

// has reports whether there is an object of that kind.
func (g *gitstore) has(sha string, kind plumbing.ObjectType) bool {
	_, err := g.objs.EncodedObject(kind, plumbing.NewHash(sha))
	return err == nil
}

func (g *gitstore) commit(c commitSpec) (string, error) {
	o := &gitobj.Commit{
		TreeHash: plumbing.NewHash(c.tree), Message: c.message,
		Author:    gitobj.Signature{Name: c.author.name, Email: c.author.email, When: c.author.when},
		Committer: gitobj.Signature{Name: c.committer.name, Email: c.committer.email, When: c.committer.when},
	}
	for _, p := range c.parents {
		o.ParentHashes = append(o.ParentHashes, plumbing.NewHash(p))
	}
	return g.put(o)
}

// editTree writes the tree that base ("" for none) becomes by the edits, keyed
// by slash path.
func (g *gitstore) editTree(base string, edits map[string]treeEdit) (string, error) {
	entries := map[string]gitobj.TreeEntry{}
	if base != "" {
		t, err := g.readTree(base)
		if err != nil {
			return "", err
		}
		for _, e := range t.Entries {
			entries[e.Name] = e
		}
	}
	below := map[string]map[string]treeEdit{}
	for path, edit := range edits {
		dir, rest, nested := strings.Cut(path, "/")
		if nested {
			if below[dir] == nil {
				below[dir] = map[string]treeEdit{}
			}
			below[dir][rest] = edit
			continue
		}
		if edit.remove {
			delete(entries, path)
			continue
		}
		entry, err := g.entry(path, edit)
		if err != nil {
			return "", err
		}
		entries[path] = entry
	}
	for dir, inner := range below {
		old := ""
		if e, ok := entries[dir]; ok && e.Mode == filemode.Dir {
			old = e.Hash.String()
		}
		sha, err := g.editTree(old, inner)
		if err != nil {
			return "", err
		}
		if sha == emptyTree {
			delete(entries, dir)
			continue
		}
		entries[dir] = gitobj.TreeEntry{Name: dir, Mode: filemode.Dir, Hash: plumbing.NewHash(sha)}
	}
	tree := &gitobj.Tree{}
	for _, e := range entries {
		tree.Entries = append(tree.Entries, e)
	}
	sort.Sort(gitobj.TreeEntrySorter(tree.Entries))
	return g.put(tree)
}

// emptyTree is the SHA of the tree without entries; git does not store it as
// a directory of another tree.
const emptyTree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"

func (g *gitstore) entry(name string, edit treeEdit) (gitobj.TreeEntry, error) {
	sha := edit.sha
	if sha == "" {
		var err error
		if sha, err = g.blob(edit.content); err != nil {
			return gitobj.TreeEntry{}, err
		}
	}
	mode := edit.mode
	if mode == 0 {
		mode = filemode.Regular
	}
	return gitobj.TreeEntry{Name: name, Mode: mode, Hash: plumbing.NewHash(sha)}, nil
}

// find returns the entry at a slash path of a commit's tree.
func (g *gitstore) find(commit, path string) (*gitobj.TreeEntry, error) {
	c, err := g.readCommit(commit)
	if err != nil {
		return nil, err
	}
	if path == "" {
		return &gitobj.TreeEntry{Mode: filemode.Dir, Hash: c.TreeHash}, nil
	}
	t, err := g.readTree(c.TreeHash.String())
	if err != nil {
		return nil, err
	}
	return t.FindEntry(path)
}

// resolve turns a branch, tag, ref name, or full or short SHA into a commit.
func (g *gitstore) resolve(ref string) (string, bool) {
	for _, name := range []string{ref, "refs/" + ref, "refs/heads/" + ref, "refs/tags/" + ref} {
		if sha, ok := g.refs[name]; ok {
			return g.peel(sha)
		}
	}
	if len(ref) >= 7 && len(ref) <= 40 && strings.Trim(ref, "0123456789abcdef") == "" {
		return g.peel(ref)
	}
	return "", false
}

// peel finds the commit behind a full or short SHA of a commit or annotated tag.
func (g *gitstore) peel(sha string) (string, bool) {
	if len(sha) == 40 && g.has(sha, plumbing.CommitObject) {
		return sha, true
	}
	out, err := g.git("rev-parse", "--verify", "--quiet", sha+"^{commit}")
	return strings.TrimSpace(out), err == nil
}

// updateRef moves a ref from old to new, or fails if it is not at old. A new
// of zeroSHA deletes, an old of zeroSHA demands that the ref is new.
func (g *gitstore) updateRef(ref, sha, old string) error {
	if _, err := g.git("update-ref", ref, sha, old); err != nil {
		return err
	}
	if sha == zeroSHA {
		delete(g.refs, ref)
	} else {
		g.refs[ref] = sha
	}
	return nil
}

// refUpdate is one ref that moved. A zero SHA stands for absence.
type refUpdate struct{ ref, old, new string }

// reread compares the refs on disk with the mirror and returns what moved.
func (g *gitstore) reread() ([]refUpdate, error) {
	out, err := g.git("for-each-ref", "--format=%(refname) %(objectname)")
	if err != nil {
		return nil, err
	}
	now := map[string]string{}
	for line := range strings.Lines(out) {
		ref, sha, _ := strings.Cut(strings.TrimSpace(line), " ")
		now[ref] = sha
	}
	var moved []refUpdate
	for ref, sha := range now {
		if old, ok := g.refs[ref]; !ok {
			moved = append(moved, refUpdate{ref, zeroSHA, sha})
		} else if old != sha {
			moved = append(moved, refUpdate{ref, old, sha})
		}
	}
	for ref, old := range g.refs {
		if _, ok := now[ref]; !ok {
			moved = append(moved, refUpdate{ref, old, zeroSHA})
		}
	}
	sort.Slice(moved, func(i, j int) bool { return moved[i].ref < moved[j].ref })
	g.refs = now
	return moved, nil
}

// guardScript refuses pushes that the protection of a branch forbids; the
// sections of guard say which. GitHub answers with the same words.
const guardScript = `#!/bin/sh
ref=$1 old=$2 new=$3
rule="guard/${ref#refs/heads/}.rule"
case $ref in refs/pull/*) echo "error: deny updating a hidden ref" >&2; exit 1;; esac
test -f "$rule" || exit 0
. "./$rule"
if test -n "$TAGBOAT_ADMIN" && test "$admins" = no; then exit 0; fi
case $old in *[!0]*) ;; *) exit 0;; esac
say() { echo "error: GH006: Protected branch update failed for $ref." >&2; echo "error: $1" >&2; exit 1; }
case $new in *[!0]*) ;; *) say "Cannot delete a protected branch";; esac
git merge-base --is-ancestor "$old" "$new" || say "Cannot force-push to a protected branch"
test "$direct" = yes || say "Changes must be made through a pull request."
exit 0
`

func (g *gitstore) installGuard() error {
	for _, dir := range []string{"hooks", "guard"} {
		if err := os.MkdirAll(filepath.Join(g.dir, dir), 0o755); err != nil {
			return fmt.Errorf("githubsim: %w", err)
		}
	}
	if err := os.WriteFile(filepath.Join(g.dir, "hooks", "update"), []byte(guardScript), 0o755); err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	return nil
}

// guard writes the rule that the update hook reads for a branch.
func (g *gitstore) guard(branch string, p Protection) error {
	yes := map[bool]string{true: "yes", false: "no"}
	rule := fmt.Sprintf("admins=%s\ndirect=%s\n", yes[p.EnforceAdmins], yes[p.allowsDirectPush()])
	file := filepath.Join(g.dir, "guard", filepath.FromSlash(branch)+".rule")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	if err := os.WriteFile(file, []byte(rule), 0o644); err != nil {
		return fmt.Errorf("githubsim: %w", err)
	}
	return nil
}
