package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

func replaced(promotion int64) river.JobArgs { return job.Replaced{Promotion: promotion} }

// said is the delivery of a comment that somebody commanded with.
func (w *world) said(by store.Actor, comment int64) (delivery int64) {
	w.Helper()
	_, err := w.store.Accept(w.ctx, store.Arrival{Source: store.SourceGitHub, DeliveryID: fmt.Sprint("comment ", comment), Event: "issue_comment", Body: []byte("{}")}, func(id int64) river.JobArgs {
		delivery = id
		return job.Deliver{Delivery: id}
	})
	w.must(err)
	w.must(w.store.RecordCommand(w.ctx, store.NewCommand{Owner: "acme", Repo: "env", Installation: 77, Number: 12, Comment: comment, Body: "/promote", Author: by, Delivery: delivery},
		func(id int64) river.JobArgs { return job.Answer{Command: id} }))
	return delivery
}

// asked is a person's wish to have an artifact in prod, in a comment.
func (w *world) asked(a store.Artifact, by store.Actor, comment int64) store.Proposed {
	w.Helper()
	in := w.proposal("prod", a)
	in.Requester, in.Delivery, in.Replaced = by, w.said(by, comment), replaced
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	return out
}

// What is carried now tells whose place it took, also of those that never had a pull
// request: who asked for them, where, and until when.
func TestWhatGaveWayIsRemembered(t *testing.T) {
	w := newWorld(t)
	ended := w.open("prod", w.artifact("1.6.9", digest("9")), 6, sha("9"))
	w.merge(ended, tagboat, sha("8")) // came to another end, and is no part of what follows
	first := w.asked(w.artifact("1.7.0", digest("a")), alice, 71).Promotion
	w.clock.pass(time.Minute)
	second := w.asked(w.artifact("1.7.1", digest("b")), bob, 72).Promotion
	c := w.commit(w.artifact("1.7.1", digest("b")), sha("2"))
	w.must(w.store.KeepHead(w.ctx, second.ID, c))
	w.must(w.store.RecordOpened(w.ctx, second, c, store.Opened{Number: 7}))
	w.clock.pass(time.Minute)
	third := w.propose("prod", w.artifact("1.7.2", digest("c")))

	type row struct {
		Tag, Requester, Head string
		Comment              int64
		Until                time.Time
	}
	var got []row
	rows, err := w.store.Superseded(w.ctx, third)
	w.must(err)
	for _, r := range rows {
		got = append(got, row{r.Tag, r.Requester, r.HeadSHA, r.CommentID, r.ReplacedAt.UTC()})
	}
	now := w.clock.now()
	if diff := cmp.Diff([]row{{"1.7.1", "bob", sha("2"), 72, now}, {"1.7.0", "alice", "", 71, now.Add(-time.Minute)}}, got); diff != "" {
		t.Error(diff)
	}
	for id, want := range map[int64]string{first.ID: "1.7.1 took its place: bob asked for it.", second.ID: "1.7.2 took its place."} {
		if p := w.promotion(id); p.Message != want {
			t.Errorf("promotion %d says %q, not %q", id, p.Message, want)
		}
	}
	if next, err := w.store.Successor(w.ctx, w.promotion(first.ID)); err != nil || next.ID != second.ID {
		t.Errorf("%d took the place of the first, %v", next.ID, err)
	}
	if _, err := w.store.Successor(w.ctx, third); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing took the place of the third: %v", err)
	}
}

// Whoever asked is told by a job that is in the queue as soon as their promotion gave
// way; that they were told is written down once.
func TestWhoAskedIsTold(t *testing.T) {
	w := newWorld(t)
	first := w.asked(w.artifact("1.7.0", digest("a")), alice, 71)
	if n := w.jobs("replaced"); n != 0 {
		t.Fatalf("%d jobs tell of the end of what nothing gave way for", n)
	}
	second := w.asked(w.artifact("1.7.1", digest("b")), bob, 72)
	if n := w.jobs("replaced"); n != 1 {
		t.Fatalf("%d jobs tell alice", n)
	}
	asked, err := w.store.Asked(w.ctx, first.Promotion.ID)
	w.must(err)
	if len(asked) != 1 || asked[0].By != alice || asked[0].Comment != (store.Comment{Owner: "acme", Repo: "env", Installation: 77, Number: 12, ID: 71}) {
		t.Fatalf("who asked: %+v", asked)
	}
	for range 2 { // a crash behind it, and the job again
		w.must(w.store.RecordToldReplaced(w.ctx, first.Promotion.ID, second.Promotion.ID, asked[0], 99))
	}
	if n := w.count("SELECT count(*) FROM audit WHERE action = 'replacement posted' AND promotion_id = $1", first.Promotion.ID); n != 1 {
		t.Errorf("%d rows say that alice was told", n)
	}
}
