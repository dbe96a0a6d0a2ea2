package github_test

import (
	"errors"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

// GitHub redirects from a repository's old name: reads by 301, writes by 307. Once
// another repository has the name, it leads to that, and only the number tells.
func TestARenamedRepositoryIsFollowedUntilItsNameIsTaken(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, err := w.app.Installation(ctx, "acme", "env")
	w.must(err)
	repo := w.app.Repo(id, "acme", "env")
	number, err := repo.Number(ctx)
	w.must(err)
	w.must(w.sim.RenameRepo("acme/env", "gitops"))
	renamed := await(w, func(e github.RepositoryChanged) bool { return e.Action == "renamed" })
	if renamed.Repo.ID != number || renamed.Repo.Name != "gitops" {
		t.Errorf("the webhook tells of %+v, not of %d", renamed.Repo, number)
	}
	if again, err := repo.Number(ctx); err != nil || again != number {
		t.Errorf("by its old name it is %d, %v; want %d", again, err, number)
	}
	if _, err := repo.Branch(ctx, "main"); err != nil {
		t.Errorf("a read by the old name: %v", err)
	}
	if _, err := repo.OpenIssue(ctx, "A write", "by the old name"); err != nil {
		t.Errorf("a write by the old name: %v", err)
	}
	if issues := w.sim.Issues("acme/gitops"); len(issues) != 1 {
		t.Errorf("it has %d issues", len(issues))
	}

	w.must(w.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env"}))
	if _, err := repo.Number(ctx); !fault.Is(err, fault.Denied) {
		t.Errorf("the number of a repository without the App: %v", err)
	}
	if _, err := repo.OpenIssue(ctx, "A write", "to another repository"); !fault.Is(err, fault.Denied) {
		t.Errorf("a write to a repository without the App: %v", err)
	}
	_, err = w.sim.Install(w.app.ID(), "acme", "env")
	w.must(err)
	if usurper, err := repo.Number(ctx); err != nil || usurper == number {
		t.Errorf("the name leads to %d, %v; it was %d", usurper, err, number)
	}
}

func TestATreeIsAskedForAFile(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, err := w.app.Installation(ctx, "acme", "env")
	w.must(err)
	repo := w.app.Repo(id, "acme", "env")
	_, err = w.sim.As("alice").Push("acme/env", "main", "Add it", map[string]string{"tagboat.yaml": "apps: []\n", "dir/file": "x"})
	w.must(err)
	for path, want := range map[string]bool{"tagboat.yaml": true, "nothing.yaml": false, "dir": false} {
		if has, err := repo.HasFile(ctx, path); err != nil || has != want {
			t.Errorf("%s: %v, %v", path, has, err)
		}
	}
}

// An installation that was removed is told apart from everything else that is not found.
func TestAnInstallationThatIsGone(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, err := w.app.Installation(ctx, "acme", "env")
	w.must(err)
	w.must(w.sim.Uninstall(id))
	if gone := await(w, func(e github.InstallationChanged) bool { return e.Action == "deleted" }); len(gone.Removed) != 1 {
		t.Errorf("the webhook tells of %+v", gone)
	}
	for _, attempt := range []string{"with the old token, which is then forgotten", "asking for a new one"} {
		if _, err = w.app.Repo(id, "acme", "env").Branch(ctx, "main"); err == nil {
			t.Errorf("%s: it is there", attempt)
		}
	}
	if !errors.Is(err, github.ErrAbsent) || !fault.Is(err, fault.NotFound) {
		t.Errorf("it is %v", err)
	}
	if all, err := w.app.Installations(ctx); err != nil || len(all) != 0 {
		t.Errorf("Installations = %+v, %v", all, err)
	}
}
