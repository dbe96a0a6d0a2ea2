package store_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

func TestTheFirstDigestOfATagStays(t *testing.T) {
	w := newWorld(t)
	first := w.artifact("1.7.0", digest("a"))
	w.clock.pass(1000)

	other := w.verified("1.7.0", digest("b"))
	other.SourceRepo, other.SourceCommit, other.RunURL = "mallory/payments", sha("6"), "https://ci.example/6"
	again, err := w.store.Ledger(w.ctx, other)
	w.must(err)
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("a second push of the tag changed the ledger:\n%s", diff)
	}
	if diff := cmp.Diff([]string{"artifact verified"}, w.actions()); diff != "" {
		t.Error(diff)
	}

	newest, err := w.store.NewestArtifact(w.ctx, payments)
	w.must(err)
	if newest.Digest != digest("a") {
		t.Errorf("the newest artifact is %s", newest.Digest)
	}
	if _, err := w.store.ArtifactByDigest(w.ctx, payments, digest("b")); !fault.Is(err, fault.NotFound) {
		t.Errorf("the refused digest became an artifact: %v", err)
	}
}

// The registry's notification knows no commit; the CI's callback does, and comes
// later, or earlier.
func TestTheOriginIsAddedWhenItIsKnown(t *testing.T) {
	w := newWorld(t)
	first := w.artifact("1.7.0", digest("a"))
	if first.SourceCommit != "" {
		t.Fatalf("%+v", first)
	}
	w.clock.pass(1_000_000)
	told := w.verified("1.7.0", digest("a"))
	told.SourceRepo, told.SourceCommit, told.RunURL = "acme/payments", sha("c"), "https://ci.example/17"
	second, err := w.store.Ledger(w.ctx, told)
	w.must(err)
	if second.ID != first.ID || second.SourceRepo != "acme/payments" || second.SourceCommit != sha("c") || second.RunURL != "https://ci.example/17" {
		t.Errorf("the origin was not added: %+v", second)
	}
	// What is known is not told otherwise, nor forgotten.
	told.SourceCommit = sha("d")
	for _, v := range []store.Verified{told, w.verified("1.7.0", digest("a"))} {
		third, err := w.store.Ledger(w.ctx, v)
		w.must(err)
		if diff := cmp.Diff(second, third); diff != "" {
			t.Errorf("the origin changed:\n%s", diff)
		}
	}
	found, err := w.store.ArtifactBySource(w.ctx, "Acme/Payments", sha("c"))
	if err != nil || found.ID != first.ID {
		t.Errorf("by its commit: %+v, %v", found, err)
	}
	if n := len(w.actions()); n != 1 {
		t.Errorf("%d audit rows for one verification", n)
	}
}

func TestTheNewestArtifactsAreThoseVerifiedLast(t *testing.T) {
	w := newWorld(t)
	for i, tag := range []string{"1.6.0", "1.8.0", "1.7.1"} {
		w.artifact(tag, digest(string(rune('a'+i))))
	}
	recent, err := w.store.RecentArtifacts(w.ctx, payments, 2)
	w.must(err)
	if len(recent) != 2 || recent[0].Tag != "1.7.1" || recent[1].Tag != "1.8.0" {
		t.Errorf("the newest two are %+v", recent)
	}
	if newest, err := w.store.NewestArtifact(w.ctx, payments); err != nil || newest.Tag != "1.7.1" {
		t.Errorf("the newest is %+v, %v", newest, err)
	}
	if other, err := w.store.RecentArtifacts(w.ctx, "registry.example.com/acme/shop", 2); err != nil || len(other) != 0 {
		t.Errorf("another image has %+v, %v", other, err)
	}
}

func TestADigestThatIsNoneIsNotKept(t *testing.T) {
	w := newWorld(t)
	for _, bad := range []string{"", "sha256:12", "sha512:" + strings.Repeat("a", 64), digest("A")} {
		if _, err := w.store.Ledger(w.ctx, w.verified("1.7.0", bad)); err == nil {
			t.Errorf("digest %q was entered into the ledger", bad)
		}
	}
}

func TestWhatIsRefusedIsRefusedOnce(t *testing.T) {
	w := newWorld(t)
	v := w.verified("1.7.0", digest("b"))
	for attempt, want := range []bool{true, false} {
		if fresh, err := w.store.Refuse(w.ctx, v, "The tag was pushed again."); err != nil || fresh != want {
			t.Errorf("attempt %d: fresh %v, %v; want %v", attempt, fresh, err, want)
		}
	}
	if fresh, err := w.store.Refuse(w.ctx, w.verified("1.7.0", digest("c")), "And again."); err != nil || !fresh {
		t.Errorf("other content is another refusal: fresh %v, %v", fresh, err)
	}
	refusals, err := w.store.RecentRefusals(w.ctx, 10)
	w.must(err)
	if len(refusals) != 2 || refusals[0].Reason != "And again." || refusals[1].Reason != "The tag was pushed again." {
		t.Errorf("the refusals, newest first, are %+v", refusals)
	}
	if diff := cmp.Diff([]string{"artifact refused", "artifact refused"}, w.actions()); diff != "" {
		t.Error(diff)
	}
}
