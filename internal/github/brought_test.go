package github_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
)

func TestWhoBroughtACommit(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	alice := w.sim.As("alice")
	pushed, err := alice.Push("acme/env", "main", "Straight to main", map[string]string{"a.txt": "1"})
	w.must(err)
	b, err := w.repo.Brought(ctx, pushed)
	if err != nil || b.By.Login != "alice" || b.By.ID == 0 || b.Pull != 0 || b.URL == "" {
		t.Errorf("pushed: %+v, %v", b, err)
	}
	head, err := alice.Push("acme/env", "fix", "A fix", map[string]string{"a.txt": "2"})
	w.must(err)
	number, err := alice.OpenPull("acme/env", "fix", "main", "A fix", "")
	w.must(err)
	sha, err := alice.MergePull("acme/env", number, "squash")
	w.must(err)
	b, err = w.repo.Brought(ctx, sha)
	if err != nil || b.By.Login != "alice" || b.By.ID == 0 || b.Pull != number || b.URL == "" {
		t.Errorf("merged: %+v, %v", b, err)
	}
	if b, err = w.repo.Brought(ctx, head); err != nil || b.By.Login != "alice" || b.Pull != 0 {
		t.Errorf("a commit of the pull request's branch: %+v, %v", b, err)
	}
	_, err = w.repo.Brought(ctx, "0123456789012345678901234567890123456789")
	if !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Invalid) {
		t.Errorf("a commit that is not there: %v", err)
	}
}
