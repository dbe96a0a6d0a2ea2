package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// closed is a promotion to dev whose pull request alice closed.
func (w *world) closed(a store.Artifact, number int) store.Promotion {
	w.Helper()
	p := w.open("dev", a, number, sha("1"))
	w.must(w.store.RecordClosedBy(w.ctx, p, store.Closing{By: alice, Owner: w.repo.Owner, Why: "alice closed it."}))
	return w.promotion(p.ID)
}

// unasked is Tagboat's own wish to have an artifact in dev.
func (w *world) unasked(a store.Artifact) store.Proposed {
	w.Helper()
	in := w.proposal("dev", a)
	in.Once = true
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	return out
}

// What a person closed stays closed, newer versions included, until a person asks: then
// the hold ends, and what was closed is not proposed again unasked.
func TestWhatAPersonClosedStaysClosed(t *testing.T) {
	w := newWorld(t)
	old, newer, newest := w.artifact("1.7.0", digest("a")), w.artifact("1.7.1", digest("b")), w.artifact("1.7.2", digest("c"))
	p := w.closed(newest, 7)
	if p.State != "closed" || p.ClosedBy != "alice" || p.ClosedByID != alice.ID || p.Message != "alice closed it." {
		t.Errorf("it is %+v", p)
	}
	stops, err := w.store.Stops(w.ctx, store.Scope{Owner: w.repo.Owner, Repo: w.repo.ID, Env: "dev", App: "payments"})
	w.must(err)
	if len(stops) != 1 || stops[0].Reason != "closed pull request #7" || stops[0].Actor != "alice" || stops[0].ClosedPull != 7 {
		t.Fatalf("the stops are %+v", stops)
	}
	for _, a := range []store.Artifact{newer, newest} {
		if out := w.unasked(a); out.Fresh || out.Promotion.ID != 0 {
			t.Errorf("Tagboat proposed %s by itself: %+v", a.Tag, out)
		}
	}
	// Too late, and twice.
	w.must(w.store.RecordClosedBy(w.ctx, p, store.Closing{By: bob, Owner: w.repo.Owner, Why: "bob closed it."}))

	in := w.proposal("dev", old)
	in.Requester = bob
	asked, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	if !asked.Fresh || asked.Lifted == nil || asked.Lifted.Actor != "alice" {
		t.Errorf("bob asked: %+v", asked)
	}
	if out := w.unasked(newest); out.Fresh {
		t.Errorf("what alice closed took the place of what bob asked for: %+v", out)
	}
	want := []string{"artifact verified", "artifact verified", "artifact verified", "promotion proposed", "pull request opened", "promotion closed", "stopped", "promotion proposed", "stop lifted"}
	if diff := cmp.Diff(want, w.actions()); diff != "" {
		t.Error(diff)
	}
}

// Whoever lifts the hold lets Tagboat propose again, also what was closed.
func TestALiftedHoldLetsItBeProposed(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	w.closed(a, 7)
	scope := store.Scope{Owner: w.repo.Owner, Repo: w.repo.ID, Env: "dev", App: "payments"}
	if _, err := w.store.Lift(w.ctx, scope, bob, 0, reconcile); err != nil {
		t.Fatal(err)
	}
	if out := w.unasked(a); !out.Fresh {
		t.Errorf("it is not proposed again: %+v", out)
	}
	if out := w.unasked(a); out.Fresh {
		t.Errorf("it is proposed twice: %+v", out)
	}
}

// A hold that somebody asked for stands beside the one that came of closing, and
// outlives it.
func TestTwoKindsOfHolds(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	scope := store.Scope{Owner: w.repo.Owner, Repo: w.repo.ID, Env: "dev", App: "payments"}
	hold := func(reason string) {
		t.Helper()
		w.must(w.store.Stop(w.ctx, store.NewStop{Scope: scope, By: bob, Reason: reason}, reconcile))
	}
	reasons := func() (reasons []string) {
		t.Helper()
		stops, err := w.store.Stops(w.ctx, scope)
		w.must(err)
		for _, s := range stops {
			reasons = append(reasons, s.Reason)
		}
		return reasons
	}
	hold("migration")
	w.closed(a, 7)
	hold("a longer migration")
	if diff := cmp.Diff([]string{"a longer migration", "closed pull request #7"}, reasons()); diff != "" {
		t.Error(diff)
	}
	in := w.proposal("dev", a)
	in.Requester = alice
	if _, err := w.store.Propose(w.ctx, in, reconcile); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"a longer migration"}, reasons()); diff != "" {
		t.Error(diff)
	}
	again := w.latest("dev")
	w.must(w.store.RecordOpened(w.ctx, again, w.commit(a, sha("2")), store.Opened{Number: 8}))
	w.must(w.store.RecordClosedBy(w.ctx, w.latest("dev"), store.Closing{By: alice, Owner: w.repo.Owner}))
	if _, err := w.store.Lift(w.ctx, scope, alice, 0, reconcile); err != nil {
		t.Fatal(err)
	}
	if left := reasons(); left != nil {
		t.Errorf("left: %v", left)
	}
	if _, err := w.store.Lift(w.ctx, scope, alice, 0, reconcile); !errors.Is(err, store.ErrNoStop) {
		t.Errorf("nothing was left to lift: %v", err)
	}
}

func (w *world) latest(env string) store.Promotion {
	w.Helper()
	p, err := w.store.LatestPromotion(w.ctx, w.repo.ID, "payments", env)
	w.must(err)
	return p
}

// What ended and left something behind is found until it is seen to.
func TestLeftovers(t *testing.T) {
	w := newWorld(t)
	left := func() (ids []int64) {
		t.Helper()
		rows, err := w.store.Leftovers(w.ctx)
		w.must(err)
		for _, p := range rows {
			ids = append(ids, p.ID)
		}
		return ids
	}
	nothing := w.propose("staging", w.artifact("1.7.0", digest("a")))
	w.must(w.store.RecordClosed(w.ctx, nothing, "There is nothing to change."))
	p := w.closed(w.artifact("1.7.0", digest("a")), 7)
	if diff := cmp.Diff([]int64{nothing.ID, p.ID}, left()); diff != "" {
		t.Error(diff)
	}
	w.must(w.store.RecordBranchDeleted(w.ctx, nothing, false))
	w.must(w.store.RecordBranchDeleted(w.ctx, p, true))
	if diff := cmp.Diff([]int64{p.ID}, left()); diff != "" {
		t.Errorf("alice was not told yet:\n%s", diff)
	}
	w.must(w.store.RecordComment(w.ctx, p.ID, 9, "told"))
	if diff := cmp.Diff([]int64(nil), left()); diff != "" {
		t.Error(diff)
	}
}

// What leads back does not wait for somebody to ask for what is newer, and does not ask
// for it either. Who closes that, too, holds the app as before.
func TestGoingBackIsNotHeldByClosing(t *testing.T) {
	w := newWorld(t)
	old, newer := w.artifact("1.6.0", digest("a")), w.artifact("1.7.0", digest("b"))
	w.closed(newer, 7)
	in := w.proposal("dev", old)
	in.Back = &store.NewRollback{}
	back, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	if !back.Fresh || back.Lifted != nil {
		t.Fatalf("going back: %+v", back)
	}
	w.must(w.store.RecordOpened(w.ctx, back.Promotion, w.commit(old, sha("2")), store.Opened{Number: 8}))
	w.must(w.store.RecordClosedBy(w.ctx, w.latest("dev"), store.Closing{By: bob, Owner: w.repo.Owner}))
	stops, err := w.store.Stops(w.ctx, store.Scope{Owner: w.repo.Owner, Repo: w.repo.ID, Env: "dev", App: "payments"})
	w.must(err)
	if len(stops) != 1 || stops[0].ClosedPull != 8 || stops[0].Actor != "bob" {
		t.Errorf("the stops are %+v", stops)
	}
	if out := w.unasked(newer); out.Fresh {
		t.Errorf("Tagboat proposed by itself what alice closed: %+v", out)
	}
}

// An event that tells nothing of the state, and was read before somebody closed the pull
// request, does not open it again.
func TestWhatTellsNothingOfTheStateChangesNone(t *testing.T) {
	w := newWorld(t)
	p := w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	for _, state := range []string{"closed", ""} {
		w.must(w.store.SawPull(w.ctx, p.ID, store.SeenPull{State: state, HeadSHA: sha("1")}))
	}
	if now := w.promotion(p.ID); now.PullState != "closed" {
		t.Errorf("the pull request is %s", now.PullState)
	}
}

// What was closed before it was taken over, or before the commit came that takes it over,
// was closed as the older promotion's.
func TestAPullRequestThatWasClosedAsAnOlderPromotions(t *testing.T) {
	for name, test := range map[string]struct {
		closed time.Duration // after it was taken over
		came   bool          // the newer promotion's commit
		older  bool
	}{
		"before it was taken over": {-time.Minute, true, true},
		"before the commit came":   {time.Minute, false, true},
		"in the same second":       {0, true, false},
		"after the commit came":    {time.Minute, true, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
			b := w.artifact("1.7.1", digest("b"))
			in := w.proposal("dev", b)
			in.Requester = bob
			out, err := w.store.Propose(w.ctx, in, reconcile)
			w.must(err)
			p := out.Promotion
			if test.came {
				w.must(w.store.KeepHead(w.ctx, p.ID, w.commit(b, sha("2"))))
				w.must(w.store.RecordRegenerated(w.ctx, p, w.commit(b, sha("2"))))
				p = w.promotion(p.ID)
			}
			older, err := w.store.ClosedOlder(w.ctx, p, alice, p.CreatedAt.Truncate(time.Second).Add(test.closed), reconcile)
			w.must(err)
			now := w.promotion(p.ID)
			if anew := now.State == "proposed" && now.PullNumber == 0 && now.Want == p.Want+1; older != test.older || anew != test.older {
				t.Errorf("closed as the older one's: %t; it is %s in #%d", older, now.State, now.PullNumber)
			}
		})
	}
}
