package store_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/store"
)

// A pull request enters the queue, gets a group, leaves, and enters again.
func TestWhereAPullRequestStandsInTheQueue(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	p := w.open("prod", w.artifact("1.0.0", digest("a")), 7, sha("1"))
	at := func() store.QueueEntry {
		t.Helper()
		q, err := w.store.Queued(ctx, p.ID)
		if err != nil {
			t.Fatal(err)
		}
		return q
	}
	enter := func() {
		t.Helper()
		if err := w.store.Merge(ctx, p.RepoID, p.Env, func(m store.Merging) error { return m.Queued(ctx, p, store.Grounds{}) }); err != nil {
			t.Fatal(err)
		}
	}
	if q := at(); q != (store.QueueEntry{PromotionID: p.ID}) {
		t.Errorf("before it entered: %+v", q)
	}
	enter()
	if q := at(); q.HeadSHA != p.SeenHeadSHA || q.EnteredAt == nil || q.LeftAt != nil {
		t.Errorf("it entered: %+v", q)
	}
	job := reconcile(p.ID)
	if err := w.store.SawGroup(ctx, p.ID, store.Group{SHA: "group", Base: "base"}, job); err != nil {
		t.Fatal(err)
	}
	// The end of another group says nothing about this one.
	if err := w.store.SawGroup(ctx, p.ID, store.Group{SHA: "older"}, job); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Merge(ctx, p.RepoID, p.Env, func(m store.Merging) error { return m.GroupChecked(ctx, p, "group", 7, "success", "shown") }); err != nil {
		t.Fatal(err)
	}
	if q := at(); q.GroupSHA != "group" || q.GroupBase != "base" || q.CheckSHA != "group" || q.CheckRunID != 7 || q.CheckHash != "shown" {
		t.Errorf("its group was checked: %+v", q)
	}
	// That an older head left the queue, neither.
	if err := w.store.LeftQueue(ctx, p.ID, sha("0"), job); err != nil || at().HeadSHA == "" {
		t.Fatal(err)
	}
	if err := w.store.LeftQueue(ctx, p.ID, p.SeenHeadSHA, job); err != nil {
		t.Fatal(err)
	}
	if q := at(); q.HeadSHA != "" || q.LeftAt == nil {
		t.Errorf("it left: %+v", q)
	}
	enter()
	if q := at(); q.HeadSHA == "" || q.LeftAt != nil {
		t.Errorf("it entered again: %+v", q)
	}
	if woken := w.promotion(p.ID).Want - p.Want; woken != 4 {
		t.Errorf("it was woken %d times", woken)
	}
	if proof, err := w.store.VerifyAudit(ctx); err != nil || proof.Err() != nil {
		t.Errorf("%+v, %v", proof, err)
	}
}
