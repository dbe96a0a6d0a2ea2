package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/worker"
)

// TestBudgetMetrics: how an installation stands with GitHub's limits is told, and
// every name that is told is in the reference.
func TestBudgetMetrics(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	app, err := github.New(github.Config{APIURL: "https://api.github.test", GitURL: "https://github.test", AppID: 1, Limits: github.GitHubLimits,
		PrivateKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}), Transport: away{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := app.Repo(7, "acme", "env").Comment(context.Background(), 1, "hello"); err == nil {
		t.Fatal("nobody is there to answer")
	}
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(newBudgetsCollector(app))
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, f := range families {
		told = append(told, f.GetName())
		if !strings.Contains(string(reference), "`"+f.GetName()+"`") {
			t.Errorf("docs/configuration.md does not know %s", f.GetName())
		}
		if f.GetName() != "tagboat_github_budget_left" {
			continue
		}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				if l.GetValue() == "content=500/1h0m0s" && m.GetGauge().GetValue() != 499 {
					t.Errorf("%v is left of 500 an hour", m.GetGauge().GetValue())
				}
			}
		}
	}
	if len(told) != 6 || !slices.Contains(told, "tagboat_github_budget_left") { // GitHub has said nothing of the primary limit
		t.Errorf("told: %v", told)
	}
}

// TestSyncMetrics: what syncs come to is counted from zero, and every name is in the
// reference.
func TestSyncMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	meter := newSyncMeter([]string{"prod-eu"})
	meter.register(registry)
	meter.Synced("prod-eu", worker.EndedHealthy, 3*time.Second)
	meter.Synced("prod-eu", worker.EndedSuperseded, time.Hour) // says nothing of how long a sync takes
	meter.TookOver("prod-eu")
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	reference, err := os.ReadFile("../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	counted := map[string]float64{}
	for _, f := range families {
		if !strings.Contains(string(reference), "`"+f.GetName()+"`") {
			t.Errorf("docs/configuration.md does not know %s", f.GetName())
		}
		for _, m := range f.GetMetric() {
			name := f.GetName()
			for _, l := range m.GetLabel() {
				name += " " + l.GetValue()
			}
			counted[name] = m.GetCounter().GetValue() + m.GetHistogram().GetSampleSum()
		}
	}
	want := map[string]float64{
		"tagboat_syncs_total prod-eu healthy": 1, "tagboat_syncs_total prod-eu superseded": 1,
		"tagboat_syncs_total prod-eu failed": 0, "tagboat_syncs_total prod-eu unreachable": 0, "tagboat_syncs_total prod-eu stopped": 0,
		"tagboat_sync_duration_seconds prod-eu": 3, "tagboat_sync_takeovers_total prod-eu": 1,
	}
	if !maps.Equal(counted, want) {
		t.Errorf("counted: %v", counted)
	}
}

// away is a GitHub that cannot be reached.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }
