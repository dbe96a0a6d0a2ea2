package envrepo

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Metric is a number that a Prometheus server gives, and the bounds that it has to stay
// within for a cluster to be healthy. One of Max and Min is set at least.
type Metric struct {
	Name       string        `yaml:"name"`       // for people
	Prometheus string        `yaml:"prometheus"` // as the server was told it; "" is the only one that it was told
	Query      string        `yaml:"query"`      // PromQL that gives one number, with {{app}}, {{env}} and {{cluster}}
	Max        *float64      `yaml:"max"`        // more is a violation
	Min        *float64      `yaml:"min"`        // less is a violation
	For        time.Duration `yaml:"for"`        // how long a violation may last; 5 min in a valid Config that says nothing
}

// violationLasts is how long a violation lasts before a rollout has failed, where the
// file does not say: a rate over five minutes still has what was there before in it.
const violationLasts = 5 * time.Minute

const (
	maxMetrics = 20   // of an environment: each is asked at every look at every cluster
	maxQuery   = 4096 // bytes
)

var blankGrammar = regexp.MustCompile(`\{\{(.*?)\}\}`)

// blanks are what a query can have filled in.
var blanks = []string{"app", "env", "cluster"}

// PromQL is the query for one app, environment and cluster. Their names are of the
// letters, digits, dots, dashes and underscores that a string of PromQL takes as they
// are; ok is false for any other, which could end the string and go on with a query of
// its own.
func (m Metric) PromQL(app, env, cluster string) (query string, ok bool) {
	for _, name := range []string{app, env, cluster} {
		if !plainName.MatchString(name) {
			return "", false
		}
	}
	return strings.NewReplacer("{{app}}", app, "{{env}}", env, "{{cluster}}", cluster).Replace(m.Query), true
}

var plainName = regexp.MustCompile(`^[A-Za-z0-9._-]+$`)

// metrics checks what is measured. A metric without bounds would hold always.
func (r *reader) metrics(e *Environment, at string) {
	at += ".metrics"
	if e.Metrics != nil && len(e.Metrics) == 0 {
		r.at(at, "metrics of environment %s lists nothing; write [{name: errors, query: QUERY, max: 0.01}], or remove it", e.Name)
	}
	if len(e.Metrics) > maxMetrics {
		r.at(at, "environment %s has more than %d metrics; keep those that tell whether it works", e.Name, maxMetrics)
		return
	}
	seen := map[string]bool{}
	for i := range e.Metrics {
		r.metric(&e.Metrics[i], fmt.Sprintf("%s[%d]", at, i), seen)
	}
}

func (r *reader) metric(m *Metric, at string, seen map[string]bool) {
	r.name(at+".name", m.Name, seen)
	if m.Prometheus != "" && wrongName(m.Prometheus) != "" {
		r.at(at+".prometheus", "%q is not the name of a Prometheus server; write the NAME of a --prometheus NAME=URL, which whoever runs Tagboat gives it", m.Prometheus)
	}
	switch {
	case strings.TrimSpace(m.Query) == "":
		r.at(at+".query", "%s has no query; write PromQL that gives one number, such as sum(rate(errors_total{app=\"{{app}}\"}[5m]))", label(at))
	case len(m.Query) > maxQuery:
		r.at(at+".query", "the query is longer than %d bytes; make it a recording rule of the Prometheus server", maxQuery)
	}
	for _, found := range blankGrammar.FindAllStringSubmatch(m.Query, -1) {
		if !slices.Contains(blanks, found[1]) {
			r.at(at+".query", "the query has %s, which is not known; there are {{app}}, {{env}} and {{cluster}}, without spaces", found[0])
		}
	}
	switch {
	case m.Max == nil && m.Min == nil:
		r.at(at, "%s has no bound; write max: or min:, or both", label(at))
	case m.Max != nil && m.Min != nil && *m.Min > *m.Max:
		r.at(at+".min", "min is more than max, so that nothing could hold; write min: %g and max: %g", *m.Max, *m.Min)
	}
	if _, said := r.lines[at+".for"]; !said {
		m.For = violationLasts
	}
}
