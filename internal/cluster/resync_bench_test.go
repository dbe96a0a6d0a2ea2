package cluster_test

import (
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
)

// BenchmarkApply is what an apply of 1,000 objects takes Tagboat alone: the first one,
// one that changes nothing, and one that changes one object.
//
//	go test ./internal/cluster -run '^$' -bench Apply/ -benchtime 3x
func BenchmarkApply(b *testing.B) {
	cp, _ := shared.For(b)
	c, err := cluster.Open(cp.Config("bench"))
	if err != nil {
		b.Fatal(err)
	}
	ledger, namespace := newBook(), ""
	apply := func(b *testing.B, objects []cluster.Object, want cluster.Outcome, n int) {
		b.Helper()
		r, err := c.Apply(b.Context(), cluster.Run{Target: cluster.Target{Key: namespace, Installation: "bench"}, Objects: objects, Inventory: ledger.inventory(), Ledger: ledger, HashKey: []byte("k")})
		if err != nil || r.Count(want) != n {
			b.Fatalf("%d %s, want %d: %v", r.Count(want), want, n, err)
		}
	}
	decoded := func(b *testing.B) []cluster.Object {
		b.Helper()
		objects, err := cluster.Decode([]byte(many(1000, namespace)))
		if err != nil {
			b.Fatal(err)
		}
		return objects
	}
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			b.StopTimer()
			_, namespace = shared.For(b)
			ledger = newBook()
			objects := decoded(b)
			b.StartTimer()
			apply(b, objects, cluster.Created, 1000)
		}
	})
	b.Run("same", func(b *testing.B) {
		objects := decoded(b)
		for b.Loop() {
			apply(b, objects, cluster.Unchanged, 1000)
		}
	})
	b.Run("one", func(b *testing.B) {
		objects := decoded(b)
		for b.Loop() {
			data := objects[1].Object["data"].(map[string]any)
			data["filler"] = time.Now().String()
			apply(b, objects, cluster.Configured, 1)
		}
	})
}
