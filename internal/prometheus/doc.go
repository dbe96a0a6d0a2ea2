// Package prometheus is the door to servers that speak the HTTP API of Prometheus: it
// asks a query for the one number that it gives now
// (https://prometheus.io/docs/prometheus/latest/querying/api/#instant-queries).
//
// Whoever asks wants to know whether something was measured. So everything that is not
// one plain number is an error that says what it was: no data, several series, NaN, an
// answer that the server itself warns of.
package prometheus
