package githubsim_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

func TestProtectedBranchTakesNoPushes(t *testing.T) {
	w := newWorld(t)
	must(t, w.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "open", Collaborators: map[string]string{"alice": "write", "bob": "admin"}}))
	must(t, w.Protect("acme/open", "main", githubsim.Protection{RequirePull: true}))
	push := func(who string) error {
		_, err := w.As(who).Push("acme/open", "main", "straight", map[string]string{who: who})
		return err
	}
	if err := push("alice"); err == nil || !strings.Contains(err.Error(), "Protected branch update failed") {
		t.Errorf("alice: %v", err)
	}
	if err := w.As("alice").PutFile("acme/open", "main", "x", "straight", "x"); err == nil || !strings.Contains(err.Error(), "422") {
		t.Errorf("alice by the contents API: %v", err)
	}
	must(t, push("bob")) // administrators pass
	must(t, w.Protect("acme/open", "main", githubsim.Protection{RequirePull: true, EnforceAdmins: true}))
	if err := push("bob"); err == nil {
		t.Error("bob passed although administrators are held to the rules")
	}
}

func TestStrictProtectionWantsTheHeadUpToDate(t *testing.T) {
	w := newWorld(t)
	w.propose("bump", "1.7.0")
	_, err := w.As("alice").Push("acme/env", "main", "meanwhile", map[string]string{"c": "c"})
	must(t, err)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{RequirePull: true, Strict: true}))
	state := func() string {
		v, err := w.Pull("acme/env", 1)
		must(t, err)
		return v.MergeableState
	}
	if got := state(); got != "behind" {
		t.Errorf("state %s", got)
	}
	if _, err := w.As("alice").MergePull("acme/env", 1, "squash"); err == nil || !strings.Contains(err.Error(), "405") {
		t.Errorf("merged a head that is behind: %v", err)
	}
	must(t, w.As("alice").UpdateBranch("acme/env", 1))
	if got := state(); got != "clean" {
		t.Errorf("state after update-branch %s", got)
	}
	_, err = w.As("alice").MergePull("acme/env", 1, "squash")
	must(t, err)
}

func TestAHeadPushedIntoItsBaseIsMerged(t *testing.T) {
	w := newWorld(t)
	pr := w.propose("bump", "1.7.0")
	dir := t.TempDir()
	for _, args := range [][]string{{"clone", "--quiet", w.URL() + "/acme/env.git", "."}, {"push", "--quiet", "origin", "origin/bump:main"}} {
		if out, err := git(t, dir, w.tokens["alice"], args...); err != nil {
			t.Fatalf("git %v: %v\n%s", args, err, out)
		}
	}
	v, err := w.Pull("acme/env", 1)
	must(t, err)
	if !v.Merged || v.MergedBy != "alice" || v.MergeCommitSHA != pr.Head.GetSHA() {
		t.Errorf("merged %v by %q as %s", v.Merged, v.MergedBy, v.MergeCommitSHA)
	}
}
