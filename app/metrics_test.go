package app

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tagboat/tagboat/internal/github"
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

// away is a GitHub that cannot be reached.
type away struct{}

func (away) RoundTrip(*http.Request) (*http.Response, error) { return nil, http.ErrServerClosed }
