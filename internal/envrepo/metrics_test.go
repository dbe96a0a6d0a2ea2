package envrepo_test

import (
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// A name is put into a query as it stands, so one that could end the string there and go
// on with a query of its own is not put in at all.
func TestAQueryIsFilledIn(t *testing.T) {
	m := envrepo.Metric{Query: `sum(rate(errors_total{app="{{app}}", env='{{env}}'}[5m])) / on() up{cluster="{{cluster}}"}`}
	got, ok := m.PromQL("payments.api", "prod", "prod-eu_1")
	if want := `sum(rate(errors_total{app="payments.api", env='prod'}[5m])) / on() up{cluster="prod-eu_1"}`; !ok || got != want {
		t.Errorf("got %q", got)
	}
	for _, app := range []string{`a"} or vector(0) or up{a="`, `a'`, "a`", `a\`, "a\nb", "{{env}}", ""} {
		if got, ok := m.PromQL(app, "prod", "prod-eu"); ok {
			t.Errorf("%q was filled in: %s", app, got)
		}
	}
}

func TestHowLongAViolationMayLast(t *testing.T) {
	head := "apiVersion: tagboat.dev/v1\nenvironments: [{name: prod, clusters: [prod], metrics: [{name: a, query: up, min: 1"
	for text, want := range map[string]time.Duration{"": 5 * time.Minute, ", for: 0s": 0, ", for: 1h": time.Hour} {
		if got := parse(t, head+text+"}]}]\n").Environments[0].Metrics[0].For; got != want {
			t.Errorf("%q: %s, want %s", text, got, want)
		}
	}
}
