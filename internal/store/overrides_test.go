package store_test

import (
	"slices"
	"testing"

	"github.com/tagboat/tagboat/internal/store"
)

func voice(gate string, by store.Actor, comment int64) store.NewVoice {
	return store.NewVoice{Gate: gate, By: by, Reason: "outage", Digest: digest("a"), HeadSHA: sha("1"), EditHash: "edit 1.7.0", Comment: comment}
}

// A comment that arrives twice is one word; every word has its row in the log, and
// wakes the promotion.
func TestVoicesAreKeptOncePerComment(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	want := w.promotion(p.ID).Want
	for range 2 {
		w.must(w.store.RecordVoice(w.ctx, p.ID, voice("checks", alice, 1), reconcile))
	}
	w.must(w.store.RecordVoice(w.ctx, p.ID, voice("window", alice, 1), reconcile)) // another line of the same comment
	w.must(w.store.RecordVoice(w.ctx, p.ID, voice("checks", bob, 2), reconcile))
	voices, err := w.store.Voices(w.ctx, p.ID)
	w.must(err)
	var got []string
	for _, v := range voices {
		got = append(got, v.Gate+" "+v.Actor+" "+v.Reason)
	}
	if !slices.Equal(got, []string{"checks alice outage", "window alice outage", "checks bob outage"}) {
		t.Errorf("the voices are %q", got)
	}
	if now := w.promotion(p.ID).Want; now != want+3 {
		t.Errorf("the promotion was woken %d times", now-want)
	}
	for range 2 {
		w.must(w.store.RecordFollowUp(w.ctx, p, "checks", 9, "https://github.example/acme/env/issues/9"))
	}
	all, err := w.store.FollowUps(w.ctx, p.ID)
	w.must(err)
	if len(all) != 1 || all[0].Number != 9 || all[0].HeadSHA != sha("1") {
		t.Errorf("the follow-ups are %+v", all)
	}
	said, followed := 0, 0
	for _, action := range w.actions() {
		switch action {
		case store.ActionVoiced:
			said++
		case store.ActionFollowedUp:
			followed++
		}
	}
	if said != 3 || followed != 1 {
		t.Errorf("the log has %d words and %d follow-ups", said, followed)
	}
	proof, err := w.store.VerifyAudit(w.ctx)
	w.must(err)
	w.must(proof.Err())
	w.exec("ALTER TABLE voice DISABLE TRIGGER USER; INSERT INTO voice (promotion_id, gate, actor_id, actor, reason, digest, head_sha, edit_hash, comment_id, at) SELECT promotion_id, gate, 13, 'carol', reason, digest, head_sha, edit_hash, 3, at FROM voice LIMIT 1")
	if proof, err = w.store.VerifyAudit(w.ctx); err != nil || proof.Err() == nil {
		t.Errorf("a word that nobody said is believed, %v", err)
	}
}
