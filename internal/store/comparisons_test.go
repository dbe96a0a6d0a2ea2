package store_test

import "testing"

// What lies between two commits is kept once: the first answer is everybody's.
func TestWhatLiesBetweenIsKept(t *testing.T) {
	w := newWorld(t)
	type between struct {
		Ahead  int
		Titles []string
	}
	var found between
	known, err := w.store.Comparison(w.ctx, "acme/payments", sha("1"), sha("2"), &found)
	if known || err != nil {
		t.Fatalf("known %v, %v", known, err)
	}
	first := between{2, []string{"a \x00 \u2028 “b”", ""}}
	w.must(w.store.KeepComparison(w.ctx, "acme/payments", sha("1"), sha("2"), &first))
	second := between{3, nil}
	w.must(w.store.KeepComparison(w.ctx, "Acme/Payments", sha("1"), sha("2"), &second))
	if second.Ahead != 2 {
		t.Errorf("another replica shows %+v", second)
	}
	known, err = w.store.Comparison(w.ctx, "ACME/payments", sha("1"), sha("2"), &found)
	if !known || err != nil || found.Ahead != 2 || len(found.Titles) != 2 || found.Titles[0] != "a \x00 \u2028 “b”" {
		t.Errorf("known %v, %v: %+v", known, err, found)
	}
	if known, err = w.store.Comparison(w.ctx, "acme/payments", sha("2"), sha("1"), &found); known || err != nil {
		t.Errorf("the other way round: %v, %v", known, err)
	}
}
