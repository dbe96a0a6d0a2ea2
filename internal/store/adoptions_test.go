package store_test

import (
	"slices"
	"testing"

	"github.com/tagboat/tagboat/internal/store"
)

// A yes is to the very objects of the list that waits, and counts for each of them for
// good; a yes to another list is to nothing.
func TestAYesToTakingOver(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	waits := store.Reached{State: store.TargetHealthy, Adoption: []byte(`{"objects":[{"uid":"one"},{"uid":"two"}]}`), AdoptionCode: "aaaa"}
	w.must(w.store.FinishSync(w.ctx, target, 0, waits, after))
	yes := store.Yes{Repo: w.repo.ID, App: "payments", Env: "prod", Code: "bbbb", By: alice}
	if agreed, err := w.store.ApproveAdoption(w.ctx, yes, syncing); err != nil || len(agreed) != 0 {
		t.Errorf("a yes to no list: %+v, %v", agreed, err)
	}
	yes.Code = "aaaa"
	for range 2 {
		if agreed, err := w.store.ApproveAdoption(w.ctx, yes, syncing); err != nil || len(agreed) != 1 || agreed[0].ID != target.ID {
			t.Errorf("agreed for %+v, %v", agreed, err)
		}
	}
	if now, err := w.store.Target(w.ctx, target.ID); err != nil || now.Want == target.Want {
		t.Errorf("nobody is going to look: %v", err)
	}
	w.must(w.store.FinishSync(w.ctx, target, 0, store.Reached{State: store.TargetHealthy}, after))
	uids, err := w.store.Adoptable(w.ctx, target.ID)
	w.must(err)
	if slices.Sort(uids); !slices.Equal(uids, []string{"one", "two"}) {
		t.Errorf("what may be taken over is %q", uids)
	}
}
