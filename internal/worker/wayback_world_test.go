package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/store"
)

// pushes has somebody change what payments has in prod, and gives the commit.
func (k *talk) pushes(login, tag string) string {
	k.Helper()
	sha, err := k.sim.As(login).Push("acme/env", "main", "payments "+tag, map[string]string{
		"apps/payments/overlays/prod/kustomization.yaml": fmt.Sprintf("images:\n  - {name: payments, newName: registry.example.com/payments, newTag: %s}\n", tag),
	})
	must(k.T, err)
	return sha
}

// wayBack is where payments in prod goes back to now.
func (k *talk) wayBack() (wayBack, error) {
	k.Helper()
	repo, err := k.worker.Store.RepoByName(k.Context(), "acme", "env")
	must(k.T, err)
	uses, err := k.worker.usesNow(k.Context(), repo, "prod", func(p envrepo.Pair) bool { return p.App == "payments" && p.Env == "prod" })
	must(k.T, err)
	if len(uses) != 1 {
		k.Fatalf("payments has %d overlays for prod", len(uses))
	}
	return k.worker.wayBack(k.Context(), uses[0], "registry.example.com/payments")
}

// What people did before Tagboat came, or without it, only Git knows. A revert there is
// no version that may be gone back to, and no step: neither what it took away comes back
// without people's approval, nor what is running is taken for what is bad.
func TestARevertInGitIsNoWayBack(t *testing.T) {
	k := newTalk(t, true)
	k.pushes("alice", "1.1.0")
	k.pushes("alice", "1.2.0")
	back, err := k.wayBack()
	if err != nil || back.to.Tag != "1.1.0" || back.further {
		t.Fatalf("before anything was reverted: %+v, %v", back, err)
	}
	revert := k.pushes("bob", "1.1.0")
	scope := store.Scope{Owner: "acme", Repo: 1, Env: "prod", App: "payments"}
	_, err = k.worker.Store.RecordRevert(t.Context(), store.Taken{
		Scope: scope, Image: "registry.example.com/payments", Tag: "1.2.0", Digest: "sha256:" + strings.Repeat("2", 64), Reason: "it is slow", Commit: revert,
	}, reconcileJob)
	must(t, err)
	further := func(when string) {
		back, err := k.wayBack()
		if err != nil || back.bad.Tag != "1.1.0" || back.to.Tag != "1.0.0" || !back.further || len(back.undone) != 1 {
			t.Errorf("%s it leads from %s to %s, further back: %t, by undoing %v, %v", when, back.bad.Tag, back.to.Tag, back.further, back.undone, err)
		}
	}
	further("while 1.2.0 is denied")
	_, err = k.worker.Store.Allow(t.Context(), scope, "1.2.0", store.Actor{ID: 1, Login: "alice"}, 0, reconcileJob)
	must(t, err)
	further("when 1.2.0 is allowed again")
}
