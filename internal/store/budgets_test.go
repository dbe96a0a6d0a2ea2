package store_test

import (
	"encoding/json"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

func TestSpendingIsReplacedOnlyByWhoHasSeenIt(t *testing.T) {
	w := newWorld(t)
	swap := func(installation, seen int64, next string, version int64, now string, swapped bool) {
		t.Helper()
		v, raw, ok, err := w.store.SwapSpending(w.ctx, installation, seen, []byte(next))
		if w.must(err); v != version || string(raw) != now || ok != swapped {
			t.Errorf("got version %d, %s, %v; want %d, %s, %v", v, raw, ok, version, now, swapped)
		}
	}
	swap(1, 0, `{"a": 1}`, 1, `{"a": 1}`, true)
	swap(1, 0, `{"a": 2}`, 1, `{"a": 1}`, false) // a replica that has just started
	swap(1, 1, `{"a": 2}`, 2, `{"a": 2}`, true)
	swap(1, 1, `{"a": 3}`, 2, `{"a": 2}`, false)
	swap(2, 0, `{"a": 9}`, 1, `{"a": 9}`, true)
}

// Replicas that spend at the same moment lose nothing of each other's.
func TestNoSpendingIsLost(t *testing.T) {
	w := newWorld(t)
	const replicas, each = 4, 25
	var all sync.WaitGroup
	for range replicas {
		all.Go(func() {
			var seen int64
			spent := struct{ N int }{}
			for done := 0; done < each; {
				next, err := json.Marshal(struct{ N int }{spent.N + 1})
				if err != nil {
					t.Error(err)
					return
				}
				version, raw, swapped, err := w.store.SwapSpending(w.ctx, 1, seen, next)
				if err != nil {
					t.Error(err)
					return
				}
				seen, spent.N = version, 0
				if raw != nil {
					if err := json.Unmarshal(raw, &spent); err != nil {
						t.Error(err)
						return
					}
				}
				if swapped {
					done++
				}
			}
		})
	}
	all.Wait()
	if n := w.count(`SELECT (spent->>'N')::int FROM github_budget WHERE installation_id = 1`); n != replicas*each {
		t.Errorf("%d of %d are kept", n, replicas*each)
	}
}

// BenchmarkSwapSpending is what a write to GitHub waits for the database: an hour's
// slots of three limits, replaced.
func BenchmarkSwapSpending(b *testing.B) {
	server, err := localpg.Start(b.Context(), localpg.Options{Durable: true})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(server.Stop)
	if err := server.CreateDatabase(b.Context(), "budgets", ""); err != nil {
		b.Fatal(err)
	}
	s, err := store.Open(b.Context(), server.URL("budgets"), store.Options{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(s.Close)
	window := make([]int, 62)
	for i := range window {
		window[i] = i % 15
	}
	next, err := json.Marshal(map[string]any{"windows": map[string]any{"points=900/1m0s": window, "content=80/1m0s": window, "content=500/1h0m0s": window}})
	if err != nil {
		b.Fatal(err)
	}
	var seen int64
	for b.Loop() {
		version, _, swapped, err := s.SwapSpending(b.Context(), 1, seen, next)
		if err != nil || !swapped {
			b.Fatalf("%v, swapped %v", err, swapped)
		}
		seen = version
	}
}
