package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// measuredAtOnce is how many of an environment's metrics are asked for at the same time.
const measuredAtOnce = 4

// measure asks for the metrics of an environment in a cluster whose objects are healthy:
// it is healthy when all of them are within their bounds. What is not known is no
// failure: it waits.
func (w *Worker) measure(ctx context.Context, s *syncing) error {
	readings := make([]reading, len(s.env.Metrics))
	var g errgroup.Group
	g.SetLimit(measuredAtOnce)
	for i, m := range s.env.Metrics {
		g.Go(func() error {
			readings[i] = reading{metric: m}
			readings[i].value, readings[i].err = w.number(ctx, m, s)
			return nil
		})
	}
	_ = g.Wait() // the errors are in readings
	if ctx.Err() != nil {
		return ctx.Err() // stopping, not unknown
	}
	s.reached = weighed(s.reached, s.was, readings, w.Now())
	return nil
}

// number is what a metric is now.
func (w *Worker) number(ctx context.Context, m envrepo.Metric, s *syncing) (float64, error) {
	name := m.Prometheus
	if name == "" && len(w.Prometheus) == 1 {
		name = slices.Collect(maps.Keys(w.Prometheus))[0]
	}
	server, ok := w.Prometheus[name]
	switch {
	case name == "":
		return 0, fault.Errorf(fault.Invalid, "Tagboat was told of %d Prometheus servers; name one in tagboat.yaml, as prometheus: NAME", len(w.Prometheus))
	case !ok:
		return 0, fault.Errorf(fault.Invalid, "Tagboat was not told where Prometheus %q is; whoever runs Tagboat can, with --prometheus %s=URL", name, name)
	}
	query, ok := m.PromQL(s.was.App, s.was.Env, s.was.Cluster)
	if !ok {
		return 0, fault.Errorf(fault.Invalid, "the names of %s, %s and %s cannot all be put into a query: other letters than those of a-z, A-Z, 0-9, '.', '_' and '-' could change what it asks", s.was.App, s.was.Env, s.was.Cluster)
	}
	return server.Number(ctx, query)
}

// reading is one metric, as it was measured.
type reading struct {
	metric envrepo.Metric
	value  float64
	err    error // why it is not known
}

// broken is the bound that a number is beyond, as people read it; "" where it is within.
func (r reading) broken() string {
	switch {
	case r.metric.Max != nil && r.value > *r.metric.Max:
		return fmt.Sprintf("more than %g", *r.metric.Max)
	case r.metric.Min != nil && r.value < *r.metric.Min:
		return fmt.Sprintf("less than %g", *r.metric.Min)
	}
	return ""
}

// weighed is what readings come to, after what was there before: whether they hold, and
// since when each one that does not has been out of its bounds. Only what is measured
// and lasts is a failure. What was measured of something else that ran there does not
// count: the cure of an outage would fail for what it cures.
//
// A reading that is not known neither fails nor acquits: a server that is away now and
// then would put the end off for ever. What is away for too long has seen too little.
func weighed(r store.Reached, was store.Target, readings []reading, now time.Time) store.Reached {
	if was.RenderedHash != r.RenderedHash {
		was = store.Target{}
	}
	r.Violations = store.Violations{}
	var failed, violated, unknown []string
	for _, reading := range readings {
		m := reading.metric
		bound := reading.broken()
		violation, before := was.Violations[m.Name]
		switch {
		case reading.err != nil:
			if before && now.Sub(violation.Seen) <= store.Watched {
				r.Violations[m.Name] = violation
			}
			unknown = append(unknown, fmt.Sprintf("The metric %s is not known: %s.", m.Name, strings.TrimSuffix(explain(reading.err), ".")))
			continue
		case bound == "":
			continue
		}
		since := now
		if before && now.Sub(violation.Seen) <= store.Watched {
			since = violation.Since
		}
		r.Violations[m.Name] = store.Violation{Since: since, Seen: now}
		if ends := since.Add(m.For); now.Before(ends) {
			// Not the number, which is another one at every look.
			violated = append(violated, fmt.Sprintf("The metric %s is %s since %s. If that lasts until %s, it has failed.", m.Name, bound, clock(since), clock(ends)))
		} else {
			failed = append(failed, fmt.Sprintf("The metric %s is %.4g, %s, and has been out of its bounds since %s.", m.Name, reading.value, bound, clock(since)))
		}
	}
	switch {
	case len(failed) > 0:
		r.State, r.Message, r.Ill = store.TargetFailed, strings.Join(failed, " "), true
		if was.State == store.TargetFailed && sameFailure(was, r) {
			r.Message = was.Message // with the number that it failed with; people are told once
		}
	case len(violated)+len(unknown) > 0:
		r.State, r.Message = store.TargetWaiting, strings.Join(append(violated, unknown...), " ")
	}
	return r
}

// sameFailure reports whether a target fails for the metrics that it failed for before.
func sameFailure(was store.Target, r store.Reached) bool {
	return strings.HasPrefix(was.Message, "The metric ") && maps.EqualFunc(was.Violations, r.Violations, func(a, b store.Violation) bool { return a.Since.Equal(b.Since) })
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 MST") }
