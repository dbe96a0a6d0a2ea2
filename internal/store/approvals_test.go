package store_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

func (w *world) builders(a store.Artifact) (all []store.Actor) {
	w.Helper()
	rows, err := w.store.Builders(w.ctx, a.ID)
	w.must(err)
	for _, r := range rows {
		all = append(all, store.Actor{ID: r.ActorID, Login: r.Actor})
	}
	return all
}

// logged are the rows of an action in the audit log.
func (w *world) logged(action string) (rows []store.Audit) {
	w.Helper()
	log, err := w.store.AuditLog(w.ctx, 0, 1000)
	w.must(err)
	for _, row := range log {
		if row.Action == action {
			rows = append(rows, row)
		}
	}
	return rows
}

func (w *world) sound() {
	w.Helper()
	p, err := w.store.VerifyAudit(w.ctx)
	w.must(err)
	if p.Break != nil {
		w.Fatalf("%+v", p.Break)
	}
}

// Who built an image once stays its builder: to tell another one takes nobody away.
func TestBuildersAreAdded(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	p := w.open("prod", a, 7, sha("1"))
	done := w.open("staging", a, 8, sha("2"))
	w.merge(done, bob, sha("3"))
	want := w.promotion(p.ID).Want
	v := w.verified("1.7.0", digest("a"))
	for _, by := range []store.Actor{{}, {ID: 3, Login: "carol"}, {ID: 3, Login: "carol"}, {Login: "dave"}} {
		v.Builder = by
		w.must(w.store.AddBuilder(w.ctx, a, v, reconcile))
	}
	if diff := cmp.Diff([]store.Actor{{ID: 3, Login: "carol"}, {Login: "dave"}}, w.builders(a)); diff != "" {
		t.Error(diff)
	}
	if got := w.promotion(p.ID).Want; got != want+2 {
		t.Errorf("the promotion was woken %d times, want once for each new builder", got-want)
	}
	if rows := w.logged("builder recorded"); len(rows) != 2 || rows[0].ActorID != 3 || rows[0].SHA != digest("a") {
		t.Errorf("the audit log says %+v", rows)
	}
	if _, err := w.store.Pool().Exec(w.ctx, "DELETE FROM builder"); err == nil || !strings.Contains(err.Error(), "append-only") {
		t.Errorf("a builder could be taken away: %v", err)
	}
	w.sound()
}

// A review is dismissed once, also across promotions of one pull request.
func TestADismissalIsRecordedOnce(t *testing.T) {
	w := newWorld(t)
	first := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.review(first, 1, alice, "APPROVED", sha("1"))
	w.review(first, 2, bob, "CHANGES_REQUESTED", sha("1"))
	p := w.propose("prod", w.artifact("1.7.1", digest("b")))
	w.review(p, 3, bob, "APPROVED", sha("1"))

	earlier, err := w.store.EarlierReviews(w.ctx, p.ID)
	w.must(err)
	if len(earlier) != 2 || earlier[0].ReviewID != 1 || earlier[0].EditHash != "edit 1.7.0" || earlier[1].State != "CHANGES_REQUESTED" {
		t.Fatalf("earlier reviews: %+v", earlier)
	}
	if none, err := w.store.EarlierReviews(w.ctx, first.ID); err != nil || len(none) != 0 {
		t.Errorf("before the first promotion there were %+v, %v", none, err)
	}

	for range 2 {
		w.must(w.store.AnnounceDismissal(w.ctx, p.ID, 1))
	}
	dismissals, err := w.store.Dismissals(w.ctx, p.ID)
	w.must(err)
	if len(dismissals) != 1 || dismissals[0].Outcome != "" {
		t.Fatalf("announced: %+v", dismissals)
	}
	for range 2 {
		w.must(w.store.RecordDismissal(w.ctx, p, p.ID, earlier[0], store.DismissalDone, "another version"))
	}
	w.must(w.store.AnnounceDismissal(w.ctx, p.ID, 3))
	w.must(w.store.RecordDismissal(w.ctx, p, p.ID, w.reviews(p)[0], store.DismissalRefused, "not allowed"))
	if dismissals, err = w.store.Dismissals(w.ctx, p.ID); err != nil || len(dismissals) != 2 || dismissals[0].Outcome != "dismissed" || dismissals[1].Outcome != "refused" {
		t.Errorf("%+v, %v", dismissals, err)
	}
	if rows := w.logged("review dismissed"); len(rows) != 1 || rows[0].SHA != sha("1") || !strings.Contains(rows[0].Inputs, `"login":"alice"`) {
		t.Errorf("the audit log says %+v", rows)
	}
	if rows := w.logged("dismissal refused"); len(rows) != 1 || !strings.Contains(rows[0].Inputs, "not allowed") {
		t.Errorf("the audit log says %+v", rows)
	}
	if earlier, err = w.store.EarlierReviews(w.ctx, p.ID); err != nil || len(earlier) != 3 || earlier[2].State != "DISMISSED" || earlier[2].ReviewID != 1 {
		t.Errorf("it is not dismissed: %+v, %v", earlier, err)
	}
	w.sound()
	if _, err := w.store.Pool().Exec(w.ctx, "INSERT INTO dismissal VALUES ($1, 9, now(), 'dismissed', now())", p.ID); err != nil {
		t.Fatal(err)
	}
	if proof, err := w.store.VerifyAudit(w.ctx); err != nil || proof.Break == nil || !strings.Contains(proof.Break.Found, "dismissal of review 9") {
		t.Errorf("a dismissal past Tagboat: %+v, %v", proof.Break, err)
	}
}

// What the approvals gate was made from stays with the evidence, and is in the log.
func TestEvidenceKeepsItsDetail(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	const detail = `{"rules":[{"rule":"platform","count":1,"counted":[{"id":2,"login":"bob","team":"platform"}]}]}`
	gates := []store.Observed{
		{Gate: "approvals", Verdict: "pass", Reason: "1 of 1 approvals (bob).", Source: "github", Detail: detail},
		{Gate: "digest", Verdict: "pass", Reason: "It is.", Source: "registry"},
	}
	for range 2 {
		w.must(w.store.Observe(w.ctx, p, digest("a"), gates, true))
	}
	kept, err := w.store.Evidence(w.ctx, p.ID)
	w.must(err)
	if len(kept) != 2 || kept[0].Detail != detail || kept[1].Detail != "" {
		t.Errorf("%+v", kept)
	}
	if rows := w.logged("gates observed"); len(rows) != 1 || strings.Count(rows[0].Inputs, `"detail"`) != 1 || !strings.Contains(rows[0].Inputs, `"team":"platform"`) {
		t.Errorf("the audit log says %+v", rows)
	}
}
