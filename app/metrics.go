package app

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/worker"
)

// syncMeter counts what this process's syncs come to.
type syncMeter struct {
	synced    *prometheus.CounterVec
	took      *prometheus.HistogramVec
	takeovers *prometheus.CounterVec
}

// newSyncMeter begins at zero for the clusters that this process brings: a rate needs a
// start.
func newSyncMeter(clusters []string) *syncMeter {
	m := &syncMeter{
		synced: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tagboat_syncs_total", Help: "Syncs of this process that brought something to a cluster, by how they ended.",
		}, []string{"cluster", "ended"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "tagboat_sync_duration_seconds", Help: "How long those syncs took that came to an end, from the first write until all was healthy, or was not.",
			Buckets: []float64{1, 2, 5, 10, 30, 60, 120, 300, 600, 1200},
		}, []string{"cluster"}),
		takeovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "tagboat_sync_takeovers_total", Help: "Targets that this process took over from another one that never gave them back.",
		}, []string{"cluster"}),
	}
	for _, cluster := range clusters {
		for _, ended := range worker.Endings {
			m.synced.WithLabelValues(cluster, ended)
		}
		m.took.WithLabelValues(cluster)
		m.takeovers.WithLabelValues(cluster)
	}
	return m
}

func (m *syncMeter) register(r prometheus.Registerer) { r.MustRegister(m.synced, m.took, m.takeovers) }

// Synced implements worker.Meter.
func (m *syncMeter) Synced(cluster, ended string, took time.Duration) {
	m.synced.WithLabelValues(cluster, ended).Inc()
	if ended == worker.EndedHealthy || ended == worker.EndedIll {
		m.took.WithLabelValues(cluster).Observe(took.Seconds())
	}
}

// TookOver implements worker.Meter.
func (m *syncMeter) TookOver(cluster string) { m.takeovers.WithLabelValues(cluster).Inc() }

// callsCollector tells how many requests GitHub was sent: its limits are what a
// busy server meets first.
type callsCollector struct {
	app  *github.App
	desc *prometheus.Desc
}

func newCallsCollector(app *github.App) prometheus.Collector {
	return callsCollector{app, prometheus.NewDesc("tagboat_github_requests_total",
		"Requests sent to GitHub, by method and class (read, content, mutating).", []string{"method", "class"}, nil)}
}

// Describe implements prometheus.Collector.
func (c callsCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

// Collect implements prometheus.Collector.
func (c callsCollector) Collect(ch chan<- prometheus.Metric) {
	for call, n := range c.app.Calls() {
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.CounterValue, float64(n), call.Method, string(call.Class))
	}
}

// budgetsCollector tells how the installations stand with GitHub's limits, and whom
// that has kept waiting.
type budgetsCollector struct {
	app                                                     *github.App
	left, primary, closed, limited, passed, refused, waited *prometheus.Desc
}

func newBudgetsCollector(app *github.App) prometheus.Collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("tagboat_github_"+name, help, append([]string{"installation"}, labels...), nil)
	}
	return budgetsCollector{
		app:     app,
		left:    desc("budget_left", "What is left of a limit of GitHub's for the most urgent, as far as this replica knows.", "limit"),
		primary: desc("primary_left", "Requests left until the primary limit starts anew; absent while GitHub has not said."),
		closed:  desc("closed_seconds", "For how long GitHub still wants to be left alone."),
		limited: desc("limited_total", "Answers of GitHub that it wants to be left alone. They should be none."),
		passed:  desc("writes_total", "Writes, and reservations for several, that were let through, by urgency.", "priority"),
		refused: desc("postponed_total", "Requests that the budget had no room for, and that are made later, by urgency.", "priority"),
		waited:  desc("wait_seconds_total", "How long writes waited for their turn and for budget, by urgency.", "priority"),
	}
}

// Describe implements prometheus.Collector.
func (c budgetsCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.left, c.primary, c.closed, c.limited, c.passed, c.refused, c.waited} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c budgetsCollector) Collect(ch chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, kind, v, labels...)
	}
	for _, b := range c.app.Budgets() {
		id := strconv.FormatInt(b.Installation, 10)
		for limit, left := range b.Left {
			send(c.left, prometheus.GaugeValue, float64(left), id, limit.String())
		}
		if b.Primary >= 0 {
			send(c.primary, prometheus.GaugeValue, float64(b.Primary), id)
		}
		send(c.closed, prometheus.GaugeValue, max(0, time.Until(b.Closed).Seconds()), id)
		send(c.limited, prometheus.CounterValue, float64(b.Limited), id)
		for priority, u := range b.Urgency {
			send(c.passed, prometheus.CounterValue, float64(u.Passed), id, priority.String())
			send(c.refused, prometheus.CounterValue, float64(u.Refused), id, priority.String())
			send(c.waited, prometheus.CounterValue, u.Waited.Seconds(), id, priority.String())
		}
	}
}
