package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagboat/tagboat/internal/github"
)

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
