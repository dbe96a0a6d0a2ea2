package store_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// A stop holds what it names and what lies within, until it is lifted, is replaced,
// or its time is over; and whoever it concerns is looked at.
func TestAStopHoldsWhatItNames(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	owner := w.repo.Owner
	payments := store.Scope{Owner: owner, Repo: w.repo.ID, Env: "prod", App: p.App}
	prod := store.Scope{Owner: owner, Repo: w.repo.ID, Env: "prod"}
	all := store.Scope{Owner: owner}
	stop := func(s store.Scope, by store.Actor, reason string, until *time.Time) {
		t.Helper()
		before, err := w.store.Promotion(w.ctx, p.ID)
		w.must(err)
		w.must(w.store.Stop(w.ctx, store.NewStop{Scope: s, By: by, Reason: reason, Until: until}, reconcile))
		after, err := w.store.Promotion(w.ctx, p.ID)
		w.must(err)
		if after.Want == before.Want {
			t.Errorf("nobody looks at the promotion after %q", reason)
		}
	}
	reasons := func(s store.Scope) (reasons []string) {
		t.Helper()
		rows, err := w.store.Stops(w.ctx, s)
		w.must(err)
		for _, row := range rows {
			reasons = append(reasons, row.Reason)
		}
		return reasons
	}
	stop(payments, alice, "migration", nil)
	stop(prod, bob, "holidays", nil)
	stop(all, bob, "incident", nil)
	if diff := cmp.Diff([]string{"incident", "holidays", "migration"}, reasons(payments)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"incident", "holidays"}, reasons(store.Scope{Owner: owner, Repo: w.repo.ID, Env: "prod", App: "other"})); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"incident"}, reasons(store.Scope{Owner: owner, Repo: w.repo.ID, Env: "dev", App: p.App})); diff != "" {
		t.Error(diff)
	}
	if got := reasons(store.Scope{Owner: "somebody-else", Repo: w.repo.ID + 1, Env: "prod", App: p.App}); got != nil {
		t.Errorf("others are stopped, too: %v", got)
	}

	until := w.clock.now().Add(time.Hour)
	stop(prod, alice, "an hour", &until)
	if _, err := w.store.Lift(w.ctx, all, alice, 0, reconcile); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"an hour", "migration"}, reasons(payments)); diff != "" {
		t.Error(diff)
	}
	w.clock.pass(time.Hour)
	if diff := cmp.Diff([]string{"migration"}, reasons(payments)); diff != "" {
		t.Error(diff)
	}
	lifted, err := w.store.Lift(w.ctx, payments, bob, 0, reconcile)
	w.must(err)
	if lifted.Reason != "migration" || lifted.LiftedBy != "bob" || reasons(payments) != nil {
		t.Errorf("lifted %+v, left %v", lifted, reasons(payments))
	}
	if _, err := w.store.Lift(w.ctx, payments, bob, 0, reconcile); !errors.Is(err, store.ErrNoStop) {
		t.Errorf("lifted twice: %v", err)
	}
}

// found is a command that was found, and not told of: it has no delivery.
func (w *world) found(comment int64, body string) (command int64) {
	w.Helper()
	w.must(w.store.RecordCommand(w.ctx, store.NewCommand{Owner: "acme", Repo: "env", Number: 7, Comment: comment, Body: body, Author: alice, SaidAt: w.clock.now()},
		func(id int64) river.JobArgs { command = id; return job.Answer{Command: id} }))
	return command
}

// A command that a crash interrupted is worked on once more: what it stopped or lifted
// before is not stopped or lifted again, whatever became of it since.
func TestACommandStopsAndLiftsOnce(t *testing.T) {
	w := newWorld(t)
	said := func(comment int64) int64 { return w.found(comment, "/freeze prod") }
	prod := store.Scope{Owner: w.repo.Owner, Repo: w.repo.ID, Env: "prod"}
	freeze, thaw := said(1), said(2)
	stop := store.NewStop{Scope: prod, By: alice, Reason: "holidays", Command: freeze}
	w.must(w.store.Stop(w.ctx, stop, reconcile))
	w.must(w.store.Stop(w.ctx, stop, reconcile))
	if n := w.count("SELECT count(*) FROM stop"); n != 1 {
		t.Errorf("it was stopped %d times", n)
	}
	for range 2 {
		lifted, err := w.store.Lift(w.ctx, prod, bob, thaw, reconcile)
		if err != nil || lifted.Reason != "holidays" || lifted.LiftedBy != "bob" {
			t.Fatalf("lifted %+v, %v", lifted, err)
		}
	}
	w.must(w.store.Stop(w.ctx, stop, reconcile))
	if left, err := w.store.Stops(w.ctx, prod); err != nil || len(left) > 0 {
		t.Errorf("stopped again: %+v, %v", left, err)
	}
	if _, err := w.store.Lift(w.ctx, prod, bob, said(3), reconcile); !errors.Is(err, store.ErrNoStop) {
		t.Errorf("lifted by another command: %v", err)
	}
	// Bob's thaw is worked on once more after somebody else has frozen it: theirs stands.
	w.must(w.store.Stop(w.ctx, store.NewStop{Scope: prod, By: alice, Reason: "incident", Command: said(4)}, reconcile))
	if lifted, err := w.store.Lift(w.ctx, prod, bob, thaw, reconcile); err != nil || lifted.Reason != "holidays" {
		t.Errorf("lifted %+v, %v", lifted, err)
	}
	if left, err := w.store.Stops(w.ctx, prod); err != nil || len(left) != 1 || left[0].Reason != "incident" {
		t.Errorf("left are %+v, %v", left, err)
	}
	// What takes a stop's place has not lifted it: the same comment may go on to.
	both := said(5)
	w.must(w.store.Stop(w.ctx, store.NewStop{Scope: prod, By: bob, Reason: "no", Command: both}, reconcile))
	if lifted, err := w.store.Lift(w.ctx, prod, bob, both, reconcile); err != nil || lifted.Reason != "no" {
		t.Errorf("lifted %+v, %v", lifted, err)
	}
	if diff := cmp.Diff([]string{"stopped", "stop lifted", "stopped", "stopped", "stop lifted"}, w.actions()); diff != "" {
		t.Errorf("the log (-want +got):\n%s", diff)
	}
}
