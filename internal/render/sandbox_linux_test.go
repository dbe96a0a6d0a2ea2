package render_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// TestNothingLeadsOutOfAChild has a real child try all that a child could do if it was
// taken over, and one that is not locked down: what is not refused to that one either
// proves something.
func TestNothingLeadsOutOfAChild(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	locked := mischievous(t, render.Options{Workers: 1})
	free := render.NewPool(render.Options{Workers: 1, Command: []string{self, "free"}})
	t.Cleanup(func() { _ = free.Close() })
	attempt := func(p *render.Pool, what string) string {
		t.Helper()
		_, err := p.Build(t.Context(), fstest.MapFS{}, render.Source{Dir: fmt.Sprintf("break=%s@%d", what, os.Getpid())})
		said, ok := strings.CutPrefix(fault.HintOf(err), "it said: ")
		if !ok {
			t.Fatalf("%s: %v", what, err)
		}
		return said
	}
	const refused = "operation not permitted"
	before := pid(t, locked)
	proven := map[string]bool{}
	for _, what := range slices.Sorted(slices.Values(render.Breakouts())) {
		if said := attempt(locked, what); said != refused {
			t.Errorf("%s: it said %q, want it refused", what, said)
		}
		said := attempt(free, what)
		if proven[what] = said != refused; !proven[what] {
			t.Logf("%s is refused on this machine anyway", what)
		}
	}
	for _, what := range []string{"open a file", "make a file in memory", "make a socket", "start a program", "start it another way", "fork", "trace",
		"read memory", "kill the parent", "kill its thread", "live on without the parent", "have a pipe signal the parent", "have it send another signal", "have it send signals at all"} {
		if !proven[what] {
			t.Errorf("%s is refused to a child that is not locked down: the test shows nothing", what)
		}
	}
	// The C library falls back to clone when it is told that there is no clone3.
	if said := attempt(locked, "clone3"); said != "function not implemented" {
		t.Errorf("clone3: it said %q", said)
	}
	if after := pid(t, locked); after != before {
		t.Error("a refusal costs the child its life")
	}
}
