package demo

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/fields"

	"github.com/tagboat/tagboat/internal/githubsim"
)

const benchPromotions = 50

// benchWorld is a durable world at rest, and the story that knows its versions.
func benchWorld(b *testing.B) (*World, *story) {
	b.Helper()
	ctx := context.Background()
	w, err := NewWorld(ctx, Options{Tagboat: []string{tagboat}, Durable: true, Progress: func(string) {}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(w.Close)
	s := &story{teller: &teller{say: func(string) {}}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	if failed := s.report.Failed(); failed != "" {
		b.Fatal(failed)
	}
	return w, s
}

// BenchmarkPromotion measures, over 50 promotions one after the other on a
// GitHub without latency and real clusters: from the CI callback's 202 to the
// open pull request, to the merge, from there to the first object in the cluster,
// and what it costs in REST requests until the merge (all, and those that create
// content: POSTs but for tokens and redeliveries).
func BenchmarkPromotion(b *testing.B) {
	ctx := context.Background()
	w, _ := benchWorld(b)
	opened, merged := make(chan time.Time, 1000), make(chan time.Time, 1000)
	w.GitHub.OnEvent(func(e githubsim.Event) {
		if e.Name != "pull_request" || e.Repo != envRepo || !isDev(w, e.Number) {
			return
		}
		switch e.Action {
		case "opened":
			opened <- time.Now()
		case "closed":
			merged <- time.Now()
		}
	})
	applied := applications(b, w)
	for b.Loop() {
		var open, merge, apply []time.Duration
		var calls, content int
		for i := range benchPromotions {
			version := fmt.Sprintf("1.7.%d", i)
			before := len(w.GitHub.Requests())
			if _, err := w.release(ctx, "payments", version); err != nil {
				b.Fatal(err)
			}
			accepted := time.Now()
			open = append(open, next(b, opened).Sub(accepted))
			done := next(b, merged)
			merge = append(merge, done.Sub(accepted))
			apply = append(apply, next(b, applied).Sub(done))
			journal := untilMerge(w.GitHub.Requests()[before:])
			calls += callsFor(journal)
			content += contentFor(journal)
			settle(b, w, version)
		}
		b.ReportMetric(milliseconds(open, 50), "open-median-ms")
		b.ReportMetric(milliseconds(open, 99), "open-p99-ms")
		b.ReportMetric(milliseconds(merge, 50), "merge-median-ms")
		b.ReportMetric(milliseconds(merge, 99), "merge-p99-ms")
		b.ReportMetric(milliseconds(apply, 50), "applied-median-ms")
		b.ReportMetric(milliseconds(apply, 99), "applied-p99-ms")
		b.ReportMetric(float64(calls)/benchPromotions, "rest-calls")
		b.ReportMetric(float64(content)/benchPromotions, "rest-content-calls")
	}
}

// applications tells when payments' Deployment in dev gets another image: the only object
// of an overlay that differs from one version to the next.
func applications(b *testing.B, w *World) <-chan time.Time {
	b.Helper()
	client, err := w.client("dev")
	if err != nil {
		b.Fatal(err)
	}
	one := metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector("metadata.name", "payments").String()}
	changes, err := client.Resource(deployments).Namespace(w.Namespaces["dev"]).Watch(b.Context(), one)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(changes.Stop)
	applied := make(chan time.Time, 1000)
	go func() {
		last := ""
		for c := range changes.ResultChan() {
			o, ok := c.Object.(*unstructured.Unstructured)
			if !ok {
				return
			}
			containers, _, _ := unstructured.NestedSlice(o.Object, "spec", "template", "spec", "containers")
			if now := fmt.Sprint(containers); now != last {
				if last != "" {
					applied <- time.Now()
				}
				last = now
			}
		}
	}()
	return applied
}

func isDev(w *World, number int) bool {
	p, err := w.GitHub.Pull(envRepo, number)
	return err == nil && strings.HasPrefix(p.HeadRef, "tagboat/dev/")
}

func next(b *testing.B, events <-chan time.Time) time.Time {
	select {
	case at := <-events:
		return at
	case <-time.After(time.Minute):
		b.Fatal("nothing happened for a minute")
		return time.Time{}
	}
}

// settle waits until the version has gone as far as it goes by itself, and has
// been reported, so that one promotion is measured at a time.
func settle(b *testing.B, w *World, version string) {
	t := &teller{say: func(string) {}}
	t.chapter(context.Background(), "settle", func(ctx context.Context) {
		t.until(ctx, "staging has it", func(context.Context) error {
			_, err := w.isMerged("staging", "payments", version)
			return err
		})
		t.until(ctx, "it is reported", w.atRest)
	})
	if failed := t.report.Failed(); failed != "" {
		b.Fatal(failed)
	}
}

func contentFor(journal []githubsim.Request) int {
	n := 0
	for _, r := range journal {
		if r.App == "tagboat" && r.Method == http.MethodPost && strings.HasPrefix(r.Path, "/repos/"+envRepo) {
			n++
		}
	}
	return n
}

func milliseconds(of []time.Duration, percentile int) float64 {
	slices.Sort(of)
	return float64(of[min(len(of)-1, len(of)*percentile/100)].Microseconds()) / 1000
}
