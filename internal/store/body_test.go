package store_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/store"
)

// A person edits the description while it is being rendered: what was rendered is
// not taken for what the pull request shows.
func TestABodyThatIsEditedMeanwhileIsShownAgain(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	bob := store.Actor{ID: 12, Login: "bob"}
	w.must(w.store.RecordTicks(w.ctx, p.ID, nil, bob, "edited while it was rendered", 0, reconcile))
	w.must(w.store.RecordBody(w.ctx, p, "rendered", "as rendered"))
	if got := w.promotion(p.ID); got.BodyHash != "" {
		t.Errorf("the body is taken for shown (%q), though bob has edited it since", got.BodyHash)
	}
	w.must(w.store.RecordBody(w.ctx, w.promotion(p.ID), "rendered", "as rendered"))
	if got := w.promotion(p.ID); got.BodyHash != "rendered" || got.PullBody != "as rendered" {
		t.Errorf("the body is %q with hash %q", got.PullBody, got.BodyHash)
	}
}
