// Package prometheustest stands in for a Prometheus server, for tests: it speaks the
// documented HTTP API for instant queries, and answers what it was told to. It is strict
// with whoever asks, and knows no PromQL.
package prometheustest
