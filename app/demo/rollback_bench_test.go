package demo

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
)

const benchRollbacks = 20

// BenchmarkRollback measures, over 20 rollbacks one after the other on a GitHub without
// latency and real clusters: from a person's comment to the merged revert, and to the
// former version being healthy in every cluster.
func BenchmarkRollback(b *testing.B) {
	w, s := benchWorld(b)
	merged := make(chan time.Time, 1000)
	w.GitHub.OnEvent(func(e githubsim.Event) {
		if e.Name != "pull_request" || e.Repo != envRepo || e.Action != "closed" || !isDev(w, e.Number) {
			return
		}
		if p, err := w.GitHub.Pull(envRepo, e.Number); err == nil && strings.HasPrefix(p.Title, "Roll ") {
			merged <- time.Now()
		}
	})
	for b.Loop() {
		var merge, healthy []time.Duration
		for i := range benchRollbacks {
			number := bad(b, w, fmt.Sprintf("1.7.%d", i))
			commented := time.Now()
			if _, err := w.GitHub.As("bob").Comment(envRepo, number, "/rollback dev payments it returns errors"); err != nil {
				b.Fatal(err)
			}
			merge = append(merge, next(b, merged).Sub(commented))
			wait(b, "dev is healthy with what it had before", func(ctx context.Context) error {
				return w.runs(ctx, "dev", "payments", s.version("payments", "1.6.0"))
			})
			healthy = append(healthy, time.Since(commented))
			// Staging may wait for ever for what dev does not run any more.
			wait(b, "it is reported", func(ctx context.Context) error {
				return w.none(ctx, `SELECT count(*) FROM promotion WHERE env = 'dev' AND state IN ('proposed', 'open', 'merged')`)
			})
		}
		b.ReportMetric(milliseconds(merge, 50), "merge-median-ms")
		b.ReportMetric(milliseconds(merge, 99), "merge-p99-ms")
		b.ReportMetric(milliseconds(healthy, 50), "healthy-median-ms")
		b.ReportMetric(milliseconds(healthy, 99), "healthy-p99-ms")
	}
}

// bad brings a version to dev, past the hold of the rollback before, and gives its pull
// request.
func bad(b *testing.B, w *World, version string) (number int) {
	digest, err := w.release(context.Background(), "payments", version)
	if err != nil {
		b.Fatal(err)
	}
	asked := false
	wait(b, version+" is in dev", func(ctx context.Context) error {
		p, err := w.pullTo("dev", "payments", version)
		if err != nil {
			return err
		}
		number = p.Number
		if !p.Merged && !asked && strings.Contains(ownCheck(p).Summary, "/unhold") {
			asked = true
			_, err = w.GitHub.As("bob").Comment(envRepo, number, "/unhold")
		}
		if err != nil {
			return err
		}
		return w.runs(ctx, "dev", "payments", Version{Tag: version, Digest: digest})
	})
	return number
}

func wait(b *testing.B, what string, look func(ctx context.Context) error) {
	t := &teller{say: func(string) {}}
	t.chapter(context.Background(), "wait", func(ctx context.Context) { t.until(ctx, what, look) })
	if failed := t.report.Failed(); failed != "" {
		b.Fatal(failed)
	}
}
