package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// TestStatusCommandLine plays the scripts of testdata/status on a database with two env
// repos, in which some of what runs is ill.
func TestStatusCommandLine(t *testing.T) {
	onDatabase(t, "status", runs)
}

// runs writes down what runs where.
func runs(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	now := time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC)
	s, err := store.Open(ctx, url, store.Options{Now: func() time.Time { return now }})
	must := musts(t)
	must(err)
	defer s.Close()
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	commit := func(c string) string { return strings.Repeat(c, 40) }
	acme, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, nil)
	must(err)
	must(s.KeepTargets(ctx, acme.ID, "heads", []store.NewTarget{
		{App: "payments", Env: "staging", Cluster: "staging", Branch: "main", Position: 1},
		{App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main", Position: 2, Wave: 1},
		{App: "payments", Env: "prod", Cluster: "prod-us", Branch: "main", Position: 2, Wave: 2},
		{App: "catalog", Env: "staging", Cluster: "staging", Branch: "main", Position: 1},
	}, syncs))
	beta, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 8, Owner: "beta", Name: "env", Installation: 2, DefaultBranch: "main"}, nil)
	must(err)
	shop := []store.NewTarget{{App: "shop", Env: "staging", Cluster: "staging", Branch: "main", Position: 1}, {App: "shop", Env: "dev", Cluster: "dev", Branch: "main"}}
	must(s.KeepTargets(ctx, beta.ID, "heads", shop, syncs))
	dev, err := s.TargetsOfPair(ctx, beta.ID, "shop", "dev")
	must(err)
	must(s.KeepStock(ctx, dev[0], []store.Stock{{ApiGroup: "apps", Kind: "Deployment", Namespace: "shop", Name: "shop", Version: "v1", Uid: "1", State: "written"}}))
	must(s.KeepTargets(ctx, beta.ID, "later heads", shop[:1], syncs)) // dev is not in tagboat.yaml any more

	reach := func(app, cluster string, r store.Reached) {
		t.Helper()
		targets, err := s.Targets(ctx)
		must(err)
		for _, target := range targets {
			if target.App == app && target.Cluster == cluster {
				must(s.FinishSync(ctx, target, 0, r, store.After{Promotion: reconcile, Target: syncs}))
			}
		}
	}
	new := store.Reached{Commit: commit("1"), Tag: "1.7.0", Digest: digest("a"), State: store.TargetHealthy}
	old := store.Reached{Commit: commit("2"), Tag: "1.6.0", Digest: digest("b"), State: store.TargetHealthy}
	reach("payments", "prod-us", old)
	now = now.Add(time.Hour)
	new.Notes = []string{store.KeptNote + "ConfigMap payments/a (owned by Flux, too). Tagboat does not touch it."} // that is no trouble
	reach("payments", "staging", new)
	new.Notes = nil
	old.Held = "It waits for prod-eu of wave 1."
	reach("payments", "prod-us", old)
	new.State, new.Ill, new.Message = store.TargetFailed, true, "Deployment payments/api: the image cannot be pulled.\x1b[2J\nAsk whoever owns the registry."
	reach("payments", "prod-eu", new)
	reach("shop", "staging", store.Reached{Commit: commit("3"), Tag: "2.0", Digest: digest("c"), State: store.TargetUnreachable, Message: "Cluster staging cannot be reached."})
}
