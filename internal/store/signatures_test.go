package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// One row of each signer: since when it is so is kept, and the audit log tells what is
// new.
func TestSignaturesAreKept(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	p := w.open("prod", a, 7, sha("1"))
	start := w.clock.now().UTC().Truncate(time.Second)
	after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	told := func() int {
		n := 0
		for _, action := range w.actions() {
			if action == store.ActionSignature {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		story         string
		found         store.NewSignature
		since         time.Time
		rows, entries int
	}{
		{"it is not signed", store.NewSignature{Signer: "key 1", Outcome: store.SignatureMissing}, after(0), 1, 1},
		{"nor is it a moment later", store.NewSignature{Signer: "key 1", Outcome: store.SignatureMissing}, after(0), 1, 1},
		{"nor by another", store.NewSignature{Signer: "key 2", Outcome: store.SignatureMissing}, after(2), 2, 2},
		{"the registry is away", store.NewSignature{Signer: "key 1", Outcome: store.SignatureUnread, Reason: "timeout"}, after(3), 2, 3},
		{"somebody has signed", store.NewSignature{Signer: "key 1", Outcome: store.SignatureForeign, Reason: "not by this key"}, after(4), 2, 4},
		{"and somebody else", store.NewSignature{Signer: "key 1", Outcome: store.SignatureForeign, Reason: "2 not by this key"}, after(4), 2, 5},
		{"who had to has signed", store.NewSignature{Signer: "key 1", Outcome: store.SignatureFound, SignedBy: "key release.pub"}, after(6), 2, 6},
		{"and that is still so", store.NewSignature{Signer: "key 1", Outcome: store.SignatureFound, SignedBy: "key release.pub"}, after(6), 2, 6},
	} {
		c.found.At = after(i)
		w.must(w.store.RecordSignature(w.ctx, p.ID, a, c.found))
		rows, err := w.store.Signatures(w.ctx, a.ID)
		w.must(err)
		var got string
		for _, r := range rows {
			if r.Signer == c.found.Signer {
				got = fmt.Sprintln(r.Outcome, r.SignedBy, r.Reason, r.Since.UTC(), r.AskedAt.UTC())
			}
		}
		if diff := cmp.Diff(fmt.Sprintln(c.found.Outcome, c.found.SignedBy, c.found.Reason, c.since, c.found.At), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.story, diff)
		}
		if len(rows) != c.rows || told() != c.entries {
			t.Errorf("%s: %d rows and %d entries; want %d and %d", c.story, len(rows), told(), c.rows, c.entries)
		}
	}
	// A signature that nobody has made cannot be written down as one.
	if err := w.store.RecordSignature(w.ctx, p.ID, a, store.NewSignature{Signer: "key 3", Outcome: store.SignatureFound, At: after(9)}); err == nil {
		t.Error("nobody has signed it, and it is kept as signed")
	}
}

// Something was attached to an image: what it lacks is looked for again, and whoever
// waits for it with it. What it has is not doubted.
func TestSignaturesAreDoubted(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	p := w.open("prod", a, 7, sha("1"))
	for signer, outcome := range map[string]string{"key 1": store.SignatureMissing, "key 2": store.SignatureFound} {
		found := store.NewSignature{Signer: signer, Outcome: outcome, At: w.clock.now()}
		if outcome == store.SignatureFound {
			found.SignedBy = "key release.pub"
		}
		w.must(w.store.RecordSignature(w.ctx, p.ID, a, found))
	}
	for _, c := range []struct {
		image, digest string
		woken         int64
	}{{a.Image, digest("b"), 0}, {a.Image + "-other", a.Digest, 0}, {a.Image, a.Digest, 1}} {
		before := w.promotion(p.ID).Want
		w.must(w.store.DoubtSignatures(w.ctx, c.image, c.digest, reconcile))
		if woken := w.promotion(p.ID).Want - before; woken != c.woken {
			t.Errorf("%s@%s: the promotion is wanted %d times more, not %d", c.image, c.digest, woken, c.woken)
		}
		rows, err := w.store.Signatures(w.ctx, a.ID)
		w.must(err)
		if old := rows[0].AskedAt.Unix() == 0; old != (c.woken > 0) || rows[1].AskedAt.Unix() == 0 {
			t.Errorf("%s@%s: %+v", c.image, c.digest, rows)
		}
	}
}
