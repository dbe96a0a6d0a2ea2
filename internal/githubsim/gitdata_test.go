package githubsim_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

func TestCommitsOfTheAppAreSignedUnlessItNamesAnAuthor(t *testing.T) {
	w := newWorld(t)
	pr := w.propose("tagboat/prod/payments", "1.7.0")
	c := w.bot()
	commit, _, err := c.Repositories.GetCommit(t.Context(), "acme", "env", pr.Head.GetSHA(), nil)
	must(t, err)
	if !commit.Commit.Verification.GetVerified() || commit.Author.GetLogin() != "tagboat[bot]" || commit.Commit.Committer.GetName() != "GitHub" {
		t.Errorf("verified %v, author %s, committer %s", commit.Commit.Verification.GetVerified(), commit.Author.GetLogin(), commit.Commit.Committer.GetName())
	}
	if len(commit.Files) != 1 || commit.Files[0].GetAdditions() != 1 || commit.Files[0].GetDeletions() != 1 {
		t.Errorf("files %v", commit.Files)
	}
	own, _, err := c.Git.CreateCommit(t.Context(), "acme", "env", &github.Commit{
		Message: github.String("x"), Tree: commit.Commit.Tree, Author: &github.CommitAuthor{Name: github.String("a"), Email: github.String("a@b")},
	}, nil)
	must(t, err)
	if own.Verification.GetVerified() {
		t.Error("a commit with an author must be unsigned")
	}
	got, err := w.File("acme/env", "tagboat/prod/payments", "apps/payments/overlays/prod/kustomization.yaml")
	must(t, err)
	if !strings.Contains(string(got), "newTag: 1.7.0") {
		t.Errorf("file is %s", got)
	}
}

func TestTreesKeepDeleteAndRefuse(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	base, _, err := c.Git.GetTree(ctx, "acme", "env", "main", true)
	must(t, err)
	tree, _, err := c.Git.CreateTree(ctx, "acme", "env", base.GetSHA(), []*github.TreeEntry{
		{Path: github.String("apps/payments/overlays/prod/kustomization.yaml"), Mode: github.String("100644")}, // sha: null
		{Path: github.String("run.sh"), Mode: github.String("100755"), Type: github.String("blob"), Content: github.String("#!/bin/sh\n")},
	})
	must(t, err)
	whole, _, err := c.Git.GetTree(ctx, "acme", "env", tree.GetSHA(), true)
	must(t, err)
	var paths []string
	for _, e := range whole.Entries {
		paths = append(paths, e.GetMode()+" "+e.GetPath())
	}
	if got := strings.Join(paths, ","); got != "100755 run.sh,100644 tagboat.yaml" {
		t.Errorf("tree holds %s", got)
	}
	_, _, err = c.Git.CreateTree(ctx, "acme", "env", base.GetSHA(), []*github.TreeEntry{
		{Path: github.String("../x"), Mode: github.String("100644"), Content: github.String("")},
	})
	refused(t, err, 422, "malformed path")
}

func TestRefsAreComparedAndSwapped(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	pr := w.propose("bump", "1.7.0")
	main, err := w.Head("acme/env", "main")
	must(t, err)
	move := func(sha string, force bool) error {
		_, _, err := c.Git.UpdateRef(ctx, "acme", "env", &github.Reference{Ref: github.String("refs/heads/bump"), Object: &github.GitObject{SHA: &sha}}, force)
		return err
	}
	refused(t, move(main, false), 422, "Update is not a fast forward")
	refused(t, move(strings.Repeat("1", 40), true), 422, "Object does not exist")
	_, _, err = c.Git.CreateRef(ctx, "acme", "env", &github.Reference{Ref: github.String("refs/heads/bump"), Object: &github.GitObject{SHA: &main}})
	refused(t, err, 422, "Reference already exists")
	refs, _, err := c.Git.ListMatchingRefs(ctx, "acme", "env", &github.ReferenceListOptions{Ref: "heads/bu"})
	must(t, err)
	if len(refs) != 1 || refs[0].Object.GetSHA() != pr.Head.GetSHA() {
		t.Errorf("refs %v", refs)
	}
	_, err = c.Git.DeleteRef(ctx, "acme", "env", "heads/bump")
	must(t, err)
	if v, err := w.Pull("acme/env", pr.GetNumber()); err != nil || v.State != "closed" || v.Merged {
		t.Errorf("after its branch was deleted the pull request is %s, %v", v.State, err)
	}
}

func TestContentsAPI(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.person("alice"), t.Context()
	file, _, _, err := c.Repositories.GetContents(ctx, "acme", "env", "tagboat.yaml", nil)
	must(t, err)
	if text, err := file.GetContent(); err != nil || !strings.HasPrefix(text, "apiVersion") {
		t.Errorf("content %q, %v", text, err)
	}
	_, dir, _, err := c.Repositories.GetContents(ctx, "acme", "env", "apps", nil)
	must(t, err)
	if len(dir) != 1 || dir[0].GetType() != "dir" {
		t.Errorf("directory %v", dir)
	}
	put := func(sha *string) error {
		_, _, err := c.Repositories.UpdateFile(ctx, "acme", "env", "tagboat.yaml", &github.RepositoryContentFileOptions{
			Message: github.String("edit"), Content: []byte("new\n"), SHA: sha, Branch: github.String("main"),
		})
		return err
	}
	refused(t, put(nil), 422, "\"sha\" wasn't supplied")
	refused(t, put(github.String(strings.Repeat("a", 40))), 409, "does not match")
	must(t, put(file.SHA))
	log, err := w.Log("acme/env", "")
	must(t, err)
	if len(log) != 2 || log[0].Message != "edit" || log[0].Author != "alice" || !log[0].Verified {
		t.Errorf("log %+v", log)
	}
}

// git runs git as somebody without any configuration and returns its output.
// It leaves no maintenance behind, which newer git goes on with in the
// background while the test removes the directory.
func git(t *testing.T, dir, token string, args ...string) (string, error) {
	t.Helper()
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("x-access-token:"+token))
	cmd := exec.Command("git", append([]string{"-c", "http.extraHeader=" + auth, "-c", "maintenance.auto=false",
		"-c", "user.name=alice", "-c", "user.email=alice@example.com"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestGitClonesPushesAndFetchesOneCommit(t *testing.T) {
	w := newWorld(t)
	pr := w.propose("bump", "1.7.0")
	url, dir := w.URL()+"/acme/env.git", filepath.Join(t.TempDir(), "env")
	run := func(args ...string) string {
		t.Helper()
		out, err := git(t, dir, w.tokens["alice"], args...)
		if err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
		return out
	}
	must(t, os.MkdirAll(dir, 0o755))
	run("init", "--quiet", ".")
	run("fetch", "--quiet", "--depth=1", url, pr.Head.GetSHA())
	if out := run("rev-list", "--count", "FETCH_HEAD"); strings.TrimSpace(out) != "1" {
		t.Errorf("a shallow fetch brought %s commits", out)
	}
	run("fetch", "--quiet", "--unshallow", url, "bump")
	run("checkout", "--quiet", "-b", "bump", "FETCH_HEAD")
	// More than git's postBuffer of 1 MiB, so that it sends the pack in chunks.
	noise := make([]byte, 0, 3<<20)
	for i := 0; len(noise) < 3<<20; i++ {
		noise = fmt.Appendf(noise, "%x\n", i*2654435761)
	}
	must(t, os.WriteFile(filepath.Join(dir, "noise"), noise, 0o644))
	run("add", ".")
	run("commit", "--quiet", "-m", "by hand")
	run("push", "--quiet", url, "bump")
	v, err := w.Pull("acme/env", pr.GetNumber())
	must(t, err)
	if head := strings.TrimSpace(run("rev-parse", "HEAD")); v.HeadSHA != head {
		t.Errorf("the pull request is at %s, pushed %s", v.HeadSHA, head)
	}
	if out, err := git(t, dir, w.tokens["mallory"], "fetch", url, "bump"); err == nil {
		t.Errorf("an outsider fetched a private repository: %s", out)
	}
	must(t, w.Protect("acme/env", "main", githubsim.Protection{RequiredApprovals: 1}))
	if out, err := git(t, dir, w.tokens["alice"], "push", url, "bump:main"); err == nil || !strings.Contains(out, "GH006") {
		t.Errorf("a push to the protected branch: %v\n%s", err, out)
	}
}

func TestAnAnnotatedTagNamesItsCommit(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	dir := t.TempDir()
	for _, args := range [][]string{
		{"clone", "--quiet", w.URL() + "/acme/env.git", "."}, {"tag", "-a", "v1", "-m", "one"}, {"push", "--quiet", "origin", "v1"},
		{"push", "--quiet", "origin", ":v1"},
	} {
		if out, err := git(t, dir, w.tokens["alice"], args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	w.settle()
	if got := names(in.take()); got != "create push push delete" {
		t.Errorf("events %s", got)
	}
}
