package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
)

// book is a ledger in memory. It keeps what a crash of its writer would leave.
type book struct {
	mu      sync.Mutex
	entries map[cluster.ID]cluster.Entry
	keeps   int   // transactions
	refuse  error // of every further one
}

func newBook() *book { return &book{entries: map[cluster.ID]cluster.Entry{}} }

func (b *book) Keep(ctx context.Context, entries []cluster.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if b.refuse != nil {
		return b.refuse
	}
	b.keeps++
	for _, e := range entries {
		b.entries[e.ID] = e
	}
	return nil
}

func (b *book) Forget(_ context.Context, ids []cluster.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.refuse != nil {
		return b.refuse
	}
	for _, id := range ids {
		delete(b.entries, id)
	}
	return nil
}

func (b *book) inventory() []cluster.Entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.SortedFunc(maps.Values(b.entries), func(x, y cluster.Entry) int { return strings.Compare(x.String(), y.String()) })
}

// dying is the ledger of a worker that dies when it has written something, before it can
// say so.
type dying struct{ *book }

var errDied = errors.New("the worker has died")

func (d dying) Keep(ctx context.Context, entries []cluster.Entry) error {
	if slices.ContainsFunc(entries, func(e cluster.Entry) bool { return e.State == cluster.Written }) {
		return errDied
	}
	return d.book.Keep(ctx, entries)
}

// copy is what another process reads of it.
func (b *book) copy() *book {
	b.mu.Lock()
	defer b.mu.Unlock()
	return &book{entries: maps.Clone(b.entries)}
}

// entry is that of the only object with the name.
func (b *book) entry(t *testing.T, kind, name string) cluster.Entry {
	t.Helper()
	for _, e := range b.inventory() {
		if e.Kind == kind && e.Name == name {
			return e
		}
	}
	t.Fatalf("the ledger has no %s %s: %v", kind, name, b.lines())
	return cluster.Entry{}
}

// lines are "ConfigMap settings written", sorted.
func (b *book) lines() (lines []string) {
	for _, e := range b.inventory() {
		lines = append(lines, fmt.Sprintf("%s %s %s", e.Kind, e.Name, e.State))
	}
	slices.Sort(lines)
	return lines
}

// run is a sync of the site's target by the site's ledger.
func (s *site) run(yaml ...string) cluster.Run {
	s.t.Helper()
	return cluster.Run{Target: s.target(), Objects: decode(s.t, yaml...), Inventory: s.book.inventory(), Ledger: s.book, HashKey: []byte("a key"), Epoch: 1}
}

// outcomes are "ConfigMap settings created", in the order of writing.
func outcomes(r cluster.Result) (lines []string) {
	for _, a := range r.Applied {
		lines = append(lines, strings.Join([]string{a.Object.GetKind(), a.Object.GetName(), string(a.Outcome)}, " "))
	}
	return lines
}
