package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// One row of each cluster: since when this very content has its outcome is kept, and
// the audit log tells what is new.
func TestDryRunsAreKept(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	start := w.clock.now().UTC().Truncate(time.Second)
	after := func(seconds int) time.Time { return start.Add(time.Duration(seconds) * time.Second) }
	told := func() int {
		n := 0
		for _, action := range w.actions() {
			if action == store.ActionDryRun {
				n++
			}
		}
		return n
	}
	for i, c := range []struct {
		story             string
		run               store.NewDryRun
		since             time.Time
		outcomes, entries int
	}{
		{"the first one", store.NewDryRun{Cluster: "eu", Rendered: "r1", Outcome: store.DryRunUnclear, Message: "away"}, after(0), 1, 1},
		{"the same again", store.NewDryRun{Cluster: "eu", Rendered: "r1", Outcome: store.DryRunUnclear, Message: "away"}, after(0), 1, 1},
		{"another cluster", store.NewDryRun{Cluster: "us", Rendered: "r1", Outcome: store.DryRunAccepted}, after(2), 2, 2},
		{"it is unclear for another reason", store.NewDryRun{Cluster: "eu", Rendered: "r1", Outcome: store.DryRunUnclear, Message: "busy"}, after(0), 2, 3},
		{"it answers", store.NewDryRun{Cluster: "eu", Rendered: "r1", Outcome: store.DryRunRefused}, after(4), 2, 4},
		{"something else is refused, too", store.NewDryRun{Cluster: "eu", Rendered: "r2", Outcome: store.DryRunRefused}, after(5), 2, 5},
	} {
		c.run.At, c.run.Objects = after(i), []byte(`{"tried": []}`)
		w.must(w.store.RecordDryRun(w.ctx, p.ID, c.run))
		runs, err := w.store.DryRuns(w.ctx, p.ID)
		w.must(err)
		var got string
		for _, r := range runs {
			if r.Cluster == c.run.Cluster {
				got = fmt.Sprintln(r.Rendered, r.Outcome, r.Message, string(r.Objects), r.Since.UTC(), r.TriedAt.UTC())
			}
		}
		if diff := cmp.Diff(fmt.Sprintln(c.run.Rendered, c.run.Outcome, c.run.Message, string(c.run.Objects), c.since, c.run.At), got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.story, diff)
		}
		if len(runs) != c.outcomes || told() != c.entries {
			t.Errorf("%s: %d rows and %d entries; want %d and %d", c.story, len(runs), told(), c.outcomes, c.entries)
		}
	}
}
