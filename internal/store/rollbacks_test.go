package store_test

import (
	"cmp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// goingBack is the wish of a person to have an older artifact back.
func (w *world) goingBack(a, bad store.Artifact, by store.Actor) store.Proposal {
	in := w.proposal("prod", a)
	in.Requester, in.Reason = by, "it returns errors"
	in.Back = &store.NewRollback{
		BadTag: bad.Tag, BadDigest: bad.Digest, Reason: "it returns errors", Reverts: []string{sha("9")}, Subject: "prod: payments 1.6.0 → 1.7.0 (#7)",
	}
	return in
}

// rolledBack has 1.7.0 merged into prod and taken back again by bob.
func rolledBack(t *testing.T) (w *world, good, bad store.Artifact, back store.Promotion) {
	t.Helper()
	w = newWorld(t)
	good, bad = w.artifact("1.6.0", digest("a")), w.artifact("1.7.0", digest("b"))
	w.target("prod", "eu")
	w.merge(w.open("prod", bad, 7, sha("1")), alice, sha("9"))
	out, err := w.store.Propose(w.ctx, w.goingBack(good, bad, bob), reconcile)
	w.must(err)
	return w, good, bad, out.Promotion
}

func (w *world) pair() store.Scope {
	return store.Scope{Owner: "acme", Repo: w.repo.ID, Env: "prod", App: "payments"}
}

func (w *world) stops() []store.Stop {
	w.Helper()
	stops, err := w.store.Stops(w.ctx, w.pair())
	w.must(err)
	return stops
}

func (w *world) denied(a store.Artifact) bool {
	w.Helper()
	_, denied, err := w.store.Denial(w.ctx, w.repo.ID, "payments", "prod", a.Image, a.Digest)
	w.must(err)
	return denied
}

// The hold and the denial come with the merge, and not before.
func TestTheMergeOfARollbackHoldsThePairAndDeniesWhatItTookBack(t *testing.T) {
	w, good, bad, back := rolledBack(t)
	if back.Kind != store.KindRollback {
		t.Fatalf("the promotion is %s", back.Kind)
	}
	if w.denied(bad) || len(w.stops()) > 0 {
		t.Fatal("nothing was merged yet")
	}
	w.merge(back, bob, sha("8"))
	stops := w.stops()
	if !w.denied(bad) || w.denied(good) || len(stops) != 1 || stops[0].Actor != "bob" || stops[0].Reason != "it returns errors" || stops[0].App != "payments" {
		t.Errorf("denied: %t, %t; stops: %+v", w.denied(bad), w.denied(good), stops)
	}
	if got := w.actions(); !slices.Contains(got, store.ActionDenied) || !slices.Contains(got, "stopped") {
		t.Errorf("the log says %q", got)
	}
	past, err := w.store.MergedHistory(w.ctx, w.repo.ID, "payments", "prod")
	w.must(err)
	var was []string
	for _, p := range past {
		was = append(was, p.Promotion.Kind+" "+p.Promotion.OldTag+" "+p.Artifact.Tag+" "+p.Promotion.MergeSHA)
	}
	if want := []string{"rollback  1.6.0 " + sha("8"), "forward 1.6.0 1.7.0 " + sha("9")}; !slices.Equal(want, was) {
		t.Errorf("the history is %q, want %q", was, want)
	}

	lifted, err := w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, 0, reconcile)
	if err != nil || len(lifted) != 1 || w.denied(bad) || len(w.stops()) != 1 {
		t.Errorf("allowed: %v, %v; denied: %t, %d stops", lifted, err, w.denied(bad), len(w.stops()))
	}
	if lifted, err = w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, 0, reconcile); err != nil || len(lifted) != 0 {
		t.Errorf("once more: %v, %v", lifted, err)
	}
}

// A command that a crash interrupted is worked on once more, also where nobody told of it:
// its answer is the same, and what was taken back anew since stays denied.
func TestACommandAllowsOnce(t *testing.T) {
	w, _, bad, back := rolledBack(t)
	w.merge(back, bob, sha("8"))
	allow := w.found(1, "/allow prod payments 1.7.0")
	for range 2 {
		lifted, err := w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, allow, reconcile)
		if err != nil || len(lifted) != 1 || lifted[0].Digest != bad.Digest || w.denied(bad) {
			t.Fatalf("allowed %+v, %v", lifted, err)
		}
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'digest allowed'"); n != 1 {
		t.Errorf("the log says %d times that it was allowed", n)
	}
	_, err := w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
	w.must(err)
	if lifted, err := w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, allow, reconcile); err != nil || len(lifted) != 1 || !w.denied(bad) {
		t.Errorf("after it was taken back anew: %+v, %v; denied: %t", lifted, err, w.denied(bad))
	}
	if lifted, err := w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, w.found(2, "/allow prod payments 1.7.0"), reconcile); err != nil || len(lifted) != 1 || w.denied(bad) {
		t.Errorf("another command: %+v, %v; denied: %t", lifted, err, w.denied(bad))
	}
}

// Somebody has their reasons for a hold already: they stay the ones that people read.
func TestAHoldThatIsThereStays(t *testing.T) {
	w, _, bad, back := rolledBack(t)
	w.must(w.store.Stop(w.ctx, store.NewStop{Scope: w.pair(), Reason: "the migration", By: alice}, reconcile))
	w.merge(back, bob, sha("8"))
	if stops := w.stops(); len(stops) != 1 || stops[0].Reason != "the migration" || !w.denied(bad) {
		t.Errorf("%+v, denied: %t", stops, w.denied(bad))
	}
	past := w.clock.now().Add(-time.Minute)
	w.exec("UPDATE stop SET until = $1", past)
	w.clock.pass(time.Minute)
	fresh, err := w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
	if stops := w.stops(); err != nil || !fresh || len(stops) != 1 || stops[0].Reason != "by hand" {
		t.Errorf("another commit, denied already: %t, %v, %+v", fresh, err, stops)
	}
}

// Nothing is denied where nobody knows what the digest was; the hold is made all the same,
// and once.
func TestARevertOfNobodyKnowsWhatHoldsOnce(t *testing.T) {
	w, _, bad, _ := rolledBack(t)
	bad.Digest = ""
	for i, want := range []bool{true, false} {
		fresh, err := w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
		if stops := w.stops(); err != nil || fresh != want || len(stops) != 1-i {
			t.Errorf("seen %d times: %t, %v, %+v", i+1, fresh, err, stops)
		}
		if i == 0 {
			w.must(lift(w))
		}
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = $1", store.ActionReverted); n != 1 {
		t.Errorf("it is written down %d times", n)
	}
	takings, err := w.store.Takings(w.ctx, w.repo.ID, "payments", "prod")
	if err != nil || len(takings) != 1 || takings[0].CommitSHA != sha("7") {
		t.Errorf("%+v, %v", takings, err)
	}
}

// What was pinned by a digest alone is allowed by that, or by what people read of it.
func TestWhatHasNoTagIsAllowedByItsDigest(t *testing.T) {
	w, _, bad, _ := rolledBack(t)
	tagged := w.artifact("1.8.0", digest("c"))
	bad.Tag = ""
	for i, allowed := range []string{bad.Digest, bad.Digest[:19], bad.Digest[7:19]} {
		for j, a := range []store.Artifact{bad, tagged} {
			_, err := w.store.RecordRevert(w.ctx, w.revert(a, "by hand", sha("123456"[2*i+j:2*i+j+1])), reconcile)
			w.must(err)
		}
		for _, other := range []string{"", "sha256:", bad.Digest[:18], tagged.Digest, "1.7.0"} {
			if lifted, err := w.store.Allow(w.ctx, w.pair(), other, alice, 0, reconcile); err != nil || len(lifted) != 0 {
				t.Errorf("%q allows %+v, %v", other, lifted, err)
			}
		}
		lifted, err := w.store.Allow(w.ctx, w.pair(), allowed, alice, 0, reconcile)
		if err != nil || len(lifted) != 1 || w.denied(bad) || !w.denied(tagged) {
			t.Errorf("%q allows %+v, %v", allowed, lifted, err)
		}
	}
}

func (w *world) revert(bad store.Artifact, reason, commit string) store.Taken {
	return store.Taken{Scope: w.pair(), Image: bad.Image, Tag: bad.Tag, Digest: bad.Digest, By: alice, Reason: reason, Commit: commit}
}

// Whoever goes back goes first.
func TestNothingTakesThePlaceOfARollback(t *testing.T) {
	w, good, bad, back := rolledBack(t)
	newer := w.artifact("1.8.0", digest("c"))
	out, err := w.store.Propose(w.ctx, w.proposal("prod", newer), reconcile)
	if err != nil || out.Fresh || out.Promotion.ID != back.ID {
		t.Errorf("Tagboat by itself: %+v, %v", out, err)
	}
	in := w.proposal("prod", newer)
	in.Requester = alice
	if _, err = w.store.Propose(w.ctx, in, reconcile); !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "is being rolled back") {
		t.Errorf("alice: %v", err)
	}
	out, err = w.store.Propose(w.ctx, w.goingBack(good, bad, alice), reconcile)
	if err != nil || out.Fresh || out.Promotion.ID != back.ID {
		t.Errorf("the same once more: %+v, %v", out, err)
	}
}

// A rollback takes over the pull request of a newer promotion.
func TestARollbackTakesThePlaceOfANewerPromotion(t *testing.T) {
	w := newWorld(t)
	good, bad, newer := w.artifact("1.6.0", digest("a")), w.artifact("1.7.0", digest("b")), w.artifact("1.8.0", digest("c"))
	w.merge(w.open("prod", bad, 7, sha("1")), alice, sha("9"))
	open := w.open("prod", newer, 8, sha("2"))
	out, err := w.store.Propose(w.ctx, w.goingBack(good, bad, bob), reconcile)
	if err != nil || !out.Fresh || out.Older == nil || out.Older.ID != open.ID || out.Promotion.PullNumber != 8 {
		t.Fatalf("%+v, %v", out, err)
	}
	if p := w.promotion(open.ID); p.State != "superseded" {
		t.Errorf("the newer one is %s", p.State)
	}
}

// It is not the artifact alone that says what somebody wants: a rollback denies and holds,
// and one that Tagboat proposed by itself waits for more than one that a person asked for.
func TestWhatIsNotTheSameWishTakesThePlaceOfIt(t *testing.T) {
	good, bad, other := "1.6.0", "1.7.0", "1.8.0"
	for name, tt := range map[string]struct {
		active, in  string // what is taken back; "" leads forward
		auto, again bool   // which of the two Tagboat proposes by itself
		to          string // "" is good
		joins       bool
	}{
		"the same, by a person":                  {active: bad, in: bad, joins: true},
		"the same, by itself":                    {active: bad, in: bad, auto: true, again: true, joins: true},
		"a person wants what Tagboat proposes":   {active: bad, in: bad, auto: true},
		"Tagboat comes after a person":           {active: bad, in: bad, again: true, joins: true},
		"Tagboat comes after anybody":            {active: bad, in: other, again: true, joins: true},
		"and after itself, to something else":    {active: bad, in: bad, auto: true, again: true, to: "1.5.0", joins: true},
		"something else is taken back by now":    {active: bad, in: other},
		"it leads there forward, and now back":   {active: "", in: bad},
		"it leads there forward, and now itself": {active: "", in: bad, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			artifacts := map[string]store.Artifact{"1.5.0": w.artifact("1.5.0", digest("5")), good: w.artifact(good, digest("a")), bad: w.artifact(bad, digest("b")), other: w.artifact(other, digest("c"))}
			wish := func(to, bad string, automatic bool) store.Proposal {
				by := bob
				if automatic {
					by = store.Actor{}
				}
				if bad == "" {
					return w.proposal("prod", artifacts[to])
				}
				in := w.goingBack(artifacts[to], artifacts[bad], by)
				in.Back.Automatic = automatic
				return in
			}
			first, err := w.store.Propose(w.ctx, wish(good, tt.active, tt.auto), reconcile)
			w.must(err)
			w.must(w.store.RecordOpened(w.ctx, first.Promotion, store.Commit{HeadSHA: sha("1"), BaseSHA: sha("0"), EditHash: "edit", Digest: digest("a")}, store.Opened{Number: 8}))
			out, err := w.store.Propose(w.ctx, wish(cmp.Or(tt.to, good), tt.in, tt.again), reconcile)
			w.must(err)
			if joined := !out.Fresh && out.Promotion.ID == first.Promotion.ID; joined != tt.joins {
				t.Fatalf("joined: %t, want %t: %+v", joined, tt.joins, out)
			}
			if tt.joins {
				return
			}
			back, err := w.store.Rollback(w.ctx, out.Promotion.ID)
			if err != nil || back.Automatic != tt.again || back.BadTag != tt.in {
				t.Errorf("it takes back %+v, %v", back, err)
			}
			// In the same pull request, with a commit of its own.
			if p := out.Promotion; p.PullNumber != 8 || p.HeadSHA != sha("1") || p.EditHash != "" || w.promotion(first.Promotion.ID).State != "superseded" {
				t.Errorf("it goes on as %+v", p)
			}
		})
	}
}

// What people take back by hand is written down once, whatever becomes of it later; the
// merge of a rollback of ours is none of it.
func TestARevertIsTakenNoticeOfOnce(t *testing.T) {
	w, _, bad, back := rolledBack(t)
	w.merge(back, bob, sha("8"))
	w.must(lift(w))
	fresh, err := w.store.RecordRevert(w.ctx, w.revert(bad, "ours", sha("8")), reconcile)
	if err != nil || fresh || len(w.stops()) != 0 {
		t.Errorf("our own: %t, %v", fresh, err)
	}
	_, err = w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, 0, reconcile)
	w.must(err)
	fresh, err = w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
	if err != nil || !fresh || !w.denied(bad) || len(w.stops()) != 1 || w.stops()[0].Reason != "by hand" {
		t.Errorf("by hand: %t, %v, %+v", fresh, err, w.stops())
	}
	_, err = w.store.Allow(w.ctx, w.pair(), "1.7.0", alice, 0, reconcile)
	w.must(err)
	w.must(lift(w))
	fresh, err = w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
	if err != nil || fresh || w.denied(bad) || len(w.stops()) != 0 {
		t.Errorf("seen once more: %t, %v", fresh, err)
	}
}

// An overlay may say anything where a digest should stand. What cannot be denied is on
// hold all the same.
func TestARevertOfWhatIsNoDigestHoldsThePair(t *testing.T) {
	w, _, bad, _ := rolledBack(t)
	bad.Digest = "sha256:soon"
	fresh, err := w.store.RecordRevert(w.ctx, w.revert(bad, "by hand", sha("7")), reconcile)
	if err != nil || !fresh || len(w.stops()) != 1 {
		t.Errorf("%t, %v, %+v", fresh, err, w.stops())
	}
}

func lift(w *world) error {
	_, err := w.store.Lift(w.ctx, w.pair(), alice, 0, reconcile)
	return err
}

// A rollback whose wish somebody else fulfilled means the same.
func TestAFulfilledRollbackHoldsAndDenies(t *testing.T) {
	w, _, bad, back := rolledBack(t)
	w.must(w.store.RecordFulfilled(w.ctx, back, sha("7"), "The base branch already has 1.6.0."))
	if p := w.promotion(back.ID); p.State != "closed" || !w.denied(bad) || len(w.stops()) != 1 {
		t.Errorf("it is %s; denied: %t; %d stops", p.State, w.denied(bad), len(w.stops()))
	}
	w.must(w.store.RecordFulfilled(w.ctx, back, sha("7"), "Again."))
}

// What cannot be taken back by itself is said once; a person's rollback counts as well.
func TestWhatIsTakenBackIsTakenBackOnce(t *testing.T) {
	w := newWorld(t)
	good, bad := w.artifact("1.6.0", digest("a")), w.artifact("1.7.0", digest("b"))
	first := w.open("prod", bad, 7, sha("1"))
	w.merge(first, alice, sha("9"))
	taken := func() bool {
		is, err := w.store.TakenBack(w.ctx, first.ID)
		w.must(err)
		return is
	}
	if taken() {
		t.Error("nobody has tried")
	}
	in := w.goingBack(good, bad, bob)
	in.Back.TakesBack = first.ID
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	if !taken() {
		t.Error("bob has")
	}
	back, err := w.store.Rollback(w.ctx, out.Promotion.ID)
	if err != nil || back.BadDigest != bad.Digest || *back.TakesBack != first.ID || !slices.Equal(back.Reverts, in.Back.Reverts) {
		t.Errorf("%+v, %v", back, err)
	}
	second := w.promotion(first.ID)
	w.must(w.store.RecordStays(w.ctx, second, "Nothing was there before."))
	w.must(w.store.RecordStays(w.ctx, second, "Nothing was there before, again."))
	if p := w.promotion(first.ID); p.Message != "Nothing was there before." {
		t.Errorf("it says “%s”", p.Message)
	}
	if _, err := w.store.Pool().Exec(w.ctx, "UPDATE rollback SET reason = 'none'"); err == nil {
		t.Error("why somebody went back was changed")
	}
}
