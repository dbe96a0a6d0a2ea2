package web

import (
	"context"
	"fmt"
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
	mostRepos    = 200 // that are shown one by one: each has a dozen series
	countsWithin = 5 * time.Second
)

// counters shows what the database counts. Every replica shows the same numbers:
// take the maximum over replicas, not the sum.
type counters struct {
	store Store
	now   func() time.Time
	log   *slog.Logger

	up, repos, broken, promotions, targets, refusals, deliveries *prometheus.Desc
	reached, unreachable, drifted, surplus, objects, healthy     *prometheus.Desc

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
		repos:      desc("env_repos", "Env repos, by what the App may do there; the same on every replica.", "presence"),
		broken:     desc("env_repo_broken", "Whether an env repo's tagboat.yaml cannot be used (1) or can (0); the same on every replica.", "repo"),
		promotions: desc("promotions", "Promotions in the database, by env repo and state; the same on every replica.", "repo", "state"),
		targets:    desc("targets", "Clusters of (app, environment) pairs, by env repo and state; the same on every replica.", "repo", "state"),
		refusals:   desc("refusals_total", "Pushed images that were refused; the same on every replica."),
		deliveries: desc("deliveries_total", "Events that were accepted from outside, by source; the same on every replica.", "source"),

		reached:     desc("cluster_reached", "Whether some process brings a cluster (1) or none does (0); the same on every replica.", "cluster"),
		unreachable: desc("cluster_unreachable_targets", "Targets of a cluster whose last sync could not reach it; the same on every replica.", "cluster"),
		drifted:     desc("cluster_drifted_targets", "Targets of a cluster in which somebody has changed objects past Git; the same on every replica.", "cluster"),
		surplus:     desc("cluster_surplus_objects", "Objects of a cluster that are not in Git any more and wait for a person's yes; the same on every replica.", "cluster"),
		objects:     desc("cluster_inventory_objects", "Objects that Tagboat has in a cluster; the same on every replica.", "cluster"),
		healthy:     desc("target_last_healthy_timestamp_seconds", "When a target was last seen healthy with what it was brought, of those that ever were; the same on every replica.", "repo", "app", "env", "cluster"),
	}
}

// Describe implements prometheus.Collector.
func (c *counters) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		c.up, c.repos, c.broken, c.promotions, c.targets, c.refusals, c.deliveries,
		c.reached, c.unreachable, c.drifted, c.surplus, c.objects, c.healthy,
	} {
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
	presences       = []string{store.PresenceInstalled, store.PresenceArchived, store.PresenceSuspended, store.PresenceRemoved}
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
	present := map[string]int64{}
	for i, r := range counts.Repos {
		present[r.Presence]++
		if i >= mostRepos {
			continue
		}
		name := repoLabel(r)
		show(c.broken, prometheus.GaugeValue, int64(min(len(r.ConfigError), 1)), name)
		for _, state := range promotionStates {
			show(c.promotions, prometheus.GaugeValue, counts.Promotions[store.RepoState{Repo: r.ID, State: string(state)}], name, string(state))
		}
		for _, state := range targetStates {
			show(c.targets, prometheus.GaugeValue, counts.Targets[store.RepoState{Repo: r.ID, State: state}], name, state)
		}
	}
	for _, presence := range presences {
		show(c.repos, prometheus.GaugeValue, present[presence], presence)
	}
	for _, k := range counts.Clusters {
		reached := int64(0)
		if k.Reached {
			reached = 1
		}
		show(c.reached, prometheus.GaugeValue, reached, k.Cluster)
		show(c.unreachable, prometheus.GaugeValue, k.Unreachable, k.Cluster)
		show(c.drifted, prometheus.GaugeValue, k.Drifted, k.Cluster)
		show(c.surplus, prometheus.GaugeValue, k.Surplus, k.Cluster)
		show(c.objects, prometheus.GaugeValue, k.Objects, k.Cluster)
	}
	names := map[int64]string{}
	for _, r := range counts.Repos {
		names[r.ID] = repoLabel(r)
	}
	for _, h := range counts.Healthy {
		show(c.healthy, prometheus.GaugeValue, h.HealthySeen.Unix(), names[h.RepoID], h.App, h.Env, h.Cluster)
	}
	show(c.refusals, prometheus.CounterValue, counts.Refusals)
	for _, source := range deliverySources {
		show(c.deliveries, prometheus.CounterValue, counts.Deliveries[source], source)
	}
}

// repoLabel names an env repo. One that is gone may share its name with another.
func repoLabel(r store.Repo) string {
	if r.Presence == store.PresenceRemoved {
		return fmt.Sprintf("%s/%s (removed, %d)", r.Owner, r.Name, r.ID)
	}
	return r.Owner + "/" + r.Name
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
