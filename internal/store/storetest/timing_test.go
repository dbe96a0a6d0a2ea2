package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

func TestMain(m *testing.M) { Main(m) }

func TestTiming(t *testing.T) {
	started(t)
	for range 4 {
		a := time.Now()
		name := create(t, template)
		b := time.Now()
		s, err := store.Open(context.Background(), started(t).URL(name), store.Options{})
		if err != nil {
			t.Fatal(err)
		}
		c := time.Now()
		s.Close()
		d := time.Now()
		drop(started(t), name)
		t.Log(b.Sub(a), c.Sub(b), d.Sub(c), time.Since(d))
		create(t, "")
	}
}
