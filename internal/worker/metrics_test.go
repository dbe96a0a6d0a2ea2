package worker

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/prometheus"
	"github.com/tagboat/tagboat/internal/prometheus/prometheustest"
	"github.com/tagboat/tagboat/internal/store"
)

func bounded(name string, low, high float64, lasts time.Duration) envrepo.Metric {
	return envrepo.Metric{Name: name, Query: name, Min: &low, Max: &high, For: lasts}
}

// TestAMetricOverTime follows a target from look to look: what was measured, and what it
// came to.
func TestAMetricOverTime(t *testing.T) {
	metrics := []envrepo.Metric{bounded("errors", 0, 0.01, 5*time.Minute), bounded("replies", 10, 100, 0)}
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	away := fault.E(fault.Transient, "Prometheus main cannot be reached.", errors.New("dial"))
	span := func(since, seen time.Duration) store.Violation {
		return store.Violation{Since: noon.Add(since * time.Minute), Seen: noon.Add(seen * time.Minute)}
	}
	was := store.Target{State: store.TargetApplying}
	for _, step := range []struct {
		story           string
		at              time.Duration // since noon
		errors, replies float64
		err             error // of errors
		state, message  string
		violations      store.Violations
	}{
		{"all is well", 0, 0.001, 50, nil, store.TargetHealthy, "", store.Violations{}},
		{"on the bound is within it", 1 * time.Minute, 0.01, 10, nil, store.TargetHealthy, "", store.Violations{}},
		{"the server is away", 2 * time.Minute, 0, 50, away, store.TargetWaiting, "The metric errors is not known: Prometheus main cannot be reached.", store.Violations{}},
		{"errors rise", 3 * time.Minute, 0.2, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 12:03:00 UTC. If that lasts until 2026-01-02 12:08:00 UTC, it has failed.", store.Violations{"errors": span(3, 3)}},
		{"and go on, which is told in the same words", 4 * time.Minute, 0.3, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 12:03:00 UTC. If that lasts until 2026-01-02 12:08:00 UTC, it has failed.", store.Violations{"errors": span(3, 4)}},
		{"what is not known neither fails nor acquits", 6 * time.Minute, 0, 50, away, store.TargetWaiting, "The metric errors is not known: Prometheus main cannot be reached.", store.Violations{"errors": span(3, 4)}},
		{"so it goes on", 7 * time.Minute, 0.3, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 12:03:00 UTC. If that lasts until 2026-01-02 12:08:00 UTC, it has failed.", store.Violations{"errors": span(3, 7)}},
		{"nor does it fail when the time is up", 8 * time.Minute, 0, 50, away, store.TargetWaiting, "The metric errors is not known: Prometheus main cannot be reached.", store.Violations{"errors": span(3, 7)}},
		{"it lasts", 13 * time.Minute, 0.34567, 50, nil, store.TargetFailed,
			"The metric errors is 0.3457, more than 0.01, and has been out of its bounds since 2026-01-02 12:03:00 UTC.", store.Violations{"errors": span(3, 13)}},
		{"and goes on, which is told once", 14 * time.Minute, 0.5, 50, nil, store.TargetFailed,
			"The metric errors is 0.3457, more than 0.01, and has been out of its bounds since 2026-01-02 12:03:00 UTC.", store.Violations{"errors": span(3, 14)}},
		{"it is over", 15 * time.Minute, 0.001, 50, nil, store.TargetHealthy, "", store.Violations{}},
		{"the other one may not last at all", 16 * time.Minute, 0.001, 9, nil, store.TargetFailed,
			"The metric replies is 9, less than 10, and has been out of its bounds since 2026-01-02 12:16:00 UTC.", store.Violations{"replies": span(16, 16)}},
		{"what is measured goes before what is not", 17 * time.Minute, 0, 9, away, store.TargetFailed,
			"The metric replies is 9, less than 10, and has been out of its bounds since 2026-01-02 12:16:00 UTC.", store.Violations{"replies": span(16, 17)}},
		{"errors rise again", 18 * time.Minute, 0.2, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 12:18:00 UTC. If that lasts until 2026-01-02 12:23:00 UTC, it has failed.", store.Violations{"errors": span(18, 18)}},
		{"the server is away for long", 38 * time.Minute, 0, 50, away, store.TargetWaiting, "The metric errors is not known: Prometheus main cannot be reached.", store.Violations{"errors": span(18, 18)}},
		{"and for too long", 39 * time.Minute, 0, 50, away, store.TargetWaiting, "The metric errors is not known: Prometheus main cannot be reached.", store.Violations{}},
		{"so it begins anew", 40 * time.Minute, 0.2, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 12:40:00 UTC. If that lasts until 2026-01-02 12:45:00 UTC, it has failed.", store.Violations{"errors": span(40, 40)}},
		{"nobody has looked for long", 61 * time.Minute, 0.2, 50, nil, store.TargetWaiting,
			"The metric errors is more than 0.01 since 2026-01-02 13:01:00 UTC. If that lasts until 2026-01-02 13:06:00 UTC, it has failed.", store.Violations{"errors": span(61, 61)}},
	} {
		got := weighed(store.Reached{State: store.TargetHealthy}, was, []reading{{metrics[0], step.errors, step.err}, {metrics[1], step.replies, nil}}, noon.Add(step.at))
		want := store.Reached{State: step.state, Message: step.message, Violations: step.violations, Ill: step.state == store.TargetFailed}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.story, diff)
		}
		was = store.Target{State: got.State, Message: got.Message, Violations: got.Violations}
	}
}

// The version that mends an outage is measured from when it is there.
func TestWhatWasMeasuredOfAnotherVersionDoesNotCount(t *testing.T) {
	noon := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ill := []reading{{bounded("errors", 0, 0.01, 5*time.Minute), 0.5, nil}}
	was := store.Target{State: store.TargetFailed, RenderedHash: "ill", Message: "The metric errors is 0.9.",
		Violations: store.Violations{"errors": {Since: noon.Add(-10 * time.Minute), Seen: noon}}}
	same := weighed(store.Reached{State: store.TargetHealthy, RenderedHash: "ill"}, was, ill, noon)
	if same.State != store.TargetFailed || same.Message != was.Message {
		t.Errorf("the same goes on: %+v", same)
	}
	cure := weighed(store.Reached{State: store.TargetHealthy, RenderedHash: "cure"}, was, ill, noon)
	if cure.State != store.TargetWaiting || cure.Ill || !cure.Violations["errors"].Since.Equal(noon) {
		t.Errorf("the cure came to %+v", cure)
	}
	at := []reading{{bounded("errors", 0, 0.01, 0), 0.5, nil}}
	was.Violations["errors"] = store.Violation{Since: noon, Seen: noon}
	if cure := weighed(store.Reached{RenderedHash: "cure"}, was, at, noon); cure.State != store.TargetFailed || cure.Message == was.Message {
		t.Errorf("a failure of its own is told in the words of another: %+v", cure)
	}
}

func TestWhichServerAMetricIsAskedOf(t *testing.T) {
	double := prometheustest.Start()
	defer double.Close()
	double.Say(`up{app="payments",cluster="prod-eu"}`, prometheustest.Vector("0.5"))
	server, err := prometheus.Open(prometheus.Config{Name: "main", URL: double.URL()})
	if err != nil {
		t.Fatal(err)
	}
	one := map[string]*prometheus.Server{"main": server}
	for _, tt := range []struct {
		name    string
		servers map[string]*prometheus.Server
		asked   string
		app     string
		hint    string // "" for the number
	}{
		{"the named one", one, "main", "payments", ""},
		{"the only one", one, "", "payments", ""},
		{"one that is not known", one, "other", "payments", `Tagboat was not told where Prometheus "other" is; whoever runs Tagboat can, with --prometheus other=URL`},
		{"one of two", map[string]*prometheus.Server{"main": server, "other": server}, "", "payments", "Tagboat was told of 2 Prometheus servers; name one"},
		{"none", nil, "", "payments", "Tagboat was told of 0 Prometheus servers"},
		{"an app whose name is a query", one, "main", `x"} or up{a="`, "could change what it asks"},
	} {
		w := &Worker{Config: Config{Prometheus: tt.servers}}
		s := &syncing{was: store.Target{App: tt.app, Env: "prod", Cluster: "prod-eu"}}
		got, err := w.number(t.Context(), envrepo.Metric{Name: "a", Prometheus: tt.asked, Query: `up{app="{{app}}",cluster="{{cluster}}"}`}, s)
		if tt.hint == "" && (err != nil || got != 0.5) {
			t.Errorf("%s: %g, %v", tt.name, got, err)
		}
		if tt.hint != "" && !strings.Contains(fault.HintOf(err), tt.hint) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}
