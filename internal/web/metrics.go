package web

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// countsKeep is how long counts are shown again: counting reads whole tables,
	// and several Prometheus servers may ask.
	countsKeep   = 10 * time.Second
	countsWithin = 5 * time.Second
)

// counters shows what the database counts. Every replica shows the same numbers:
// take the maximum over replicas, not the sum.
type counters struct {
	store Store
	now   func() time.Time
	log   *slog.Logger

	up, promotions, targets, refusals, deliveries *prometheus.Desc

	mu   sync.Mutex // held while counting, so that scrapes at once count once
	last store.Counts
	err  error
	at   time.Time
}

func newCounters(s Store, now func() time.Time, log *slog.Logger) *counters {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tagboat_"+name, help, labels, nil)
	}
	return &counters{
		store: s, now: now, log: log,
		up:         desc("database_up", "Whether the database answered the last count (1) or not (0)."),
		promotions: desc("promotions", "Promotions in the database, by state; the same on every replica.", "state"),
		targets:    desc("targets", "Clusters of (app, environment) pairs, by state; the same on every replica.", "state"),
		refusals:   desc("refusals_total", "Pushed images that were refused; the same on every replica."),
		deliveries: desc("deliveries_total", "Events that were accepted from outside, by source; the same on every replica.", "source"),
	}
}

// Describe implements prometheus.Collector.
func (c *counters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.up, c.promotions, c.targets, c.refusals, c.deliveries} {
		ch <- d
	}
}

// The values that a label may have are shown at zero too: a rate needs a start.
var (
	promotionStates = []promotion.State{
		promotion.Proposed, promotion.Open, promotion.Merged, promotion.Deployed, promotion.Superseded, promotion.Closed,
	}
	targetStates = []string{
		store.TargetUnknown, store.TargetApplying, store.TargetWaiting, store.TargetHealthy, store.TargetFailed, store.TargetUnreachable,
	}
	deliverySources = []string{store.SourceGitHub, store.SourceDistribution, store.SourceCI}
)

// Collect implements prometheus.Collector. While the database does not answer,
// only that is shown: an old number would look like a true one.
func (c *counters) Collect(ch chan<- prometheus.Metric) {
	counts, err := c.counts()
	show := func(d *prometheus.Desc, kind prometheus.ValueType, n int64, label ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, float64(n), label...)
	}
	if err != nil {
		show(c.up, prometheus.GaugeValue, 0)
		return
	}
	show(c.up, prometheus.GaugeValue, 1)
	for _, state := range promotionStates {
		show(c.promotions, prometheus.GaugeValue, counts.Promotions[string(state)], string(state))
	}
	for _, state := range targetStates {
		show(c.targets, prometheus.GaugeValue, counts.Targets[state], state)
	}
	show(c.refusals, prometheus.CounterValue, counts.Refusals)
	for _, source := range deliverySources {
		show(c.deliveries, prometheus.CounterValue, counts.Deliveries[source], source)
	}
}

func (c *counters) counts() (store.Counts, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); c.at.IsZero() || now.Sub(c.at) >= countsKeep {
		// Prometheus gives a collector no context.
		ctx, cancel := context.WithTimeout(context.Background(), countsWithin)
		defer cancel()
		if c.last, c.err = c.store.Counts(ctx); c.err != nil {
			c.log.WarnContext(ctx, "rows could not be counted for metrics", "error", c.err)
		}
		c.at = now
	}
	return c.last, c.err
}
