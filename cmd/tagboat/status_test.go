package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/riverqueue/river"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// TestStatusCommandLine plays the scripts of testdata/status on a database with two env
// repos, in which some of what runs is ill.
func TestStatusCommandLine(t *testing.T) {
	server, err := localpg.Start(t.Context(), localpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if err := server.CreateDatabase(t.Context(), "running", ""); err != nil {
		t.Fatal(err)
	}
	runs(t, server.URL("running"))
	testscript.Run(t, testscript.Params{
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Dir:  "../../testdata/status",
		Setup: func(env *testscript.Env) error {
			name := strings.ReplaceAll(env.T().(testing.TB).Name(), "/", "_")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TAGBOAT_DATABASE_URL", server.URL(name))
			return server.CreateDatabase(context.Background(), name, "running")
		},
	})
}

// runs writes down what runs where.
func runs(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	now := time.Date(2026, 3, 5, 8, 0, 0, 0, time.UTC)
	s, err := store.Open(ctx, url, store.Options{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	wake := func(id int64) river.JobArgs { return job.Reconcile{Promotion: id} }
	sync := func(t store.Target) river.JobArgs { return job.Sync{Target: t.ID, Cluster: t.Cluster} }
	digest := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	commit := func(c string) string { return strings.Repeat(c, 40) }
	acme, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, nil)
	must(err)
	must(s.KeepTargets(ctx, acme.ID, "heads", []store.NewTarget{
		{App: "payments", Env: "staging", Cluster: "staging", Branch: "main", Position: 1},
		{App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main", Position: 2, Wave: 1},
		{App: "payments", Env: "prod", Cluster: "prod-us", Branch: "main", Position: 2, Wave: 2},
		{App: "catalog", Env: "staging", Cluster: "staging", Branch: "main", Position: 1},
	}, sync))
	beta, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 8, Owner: "beta", Name: "env", Installation: 2, DefaultBranch: "main"}, nil)
	must(err)
	shop := []store.NewTarget{{App: "shop", Env: "staging", Cluster: "staging", Branch: "main", Position: 1}, {App: "shop", Env: "dev", Cluster: "dev", Branch: "main"}}
	must(s.KeepTargets(ctx, beta.ID, "heads", shop, sync))
	dev, err := s.TargetsOfPair(ctx, beta.ID, "shop", "dev")
	must(err)
	must(s.KeepStock(ctx, dev[0], []store.Stock{{ApiGroup: "apps", Kind: "Deployment", Namespace: "shop", Name: "shop", Version: "v1", Uid: "1", State: "written"}}))
	must(s.KeepTargets(ctx, beta.ID, "later heads", shop[:1], sync)) // dev is not in tagboat.yaml any more

	reach := func(app, cluster string, r store.Reached) {
		t.Helper()
		targets, err := s.Targets(ctx)
		must(err)
		for _, target := range targets {
			if target.App == app && target.Cluster == cluster {
				must(s.FinishSync(ctx, target, 0, r, store.After{Promotion: wake, Target: sync}))
			}
		}
	}
	new := store.Reached{Commit: commit("1"), Tag: "1.7.0", Digest: digest("a"), State: store.TargetHealthy}
	old := store.Reached{Commit: commit("2"), Tag: "1.6.0", Digest: digest("b"), State: store.TargetHealthy}
	reach("payments", "prod-us", old)
	now = now.Add(time.Hour)
	reach("payments", "staging", new)
	old.Held = "It waits for prod-eu of wave 1."
	reach("payments", "prod-us", old)
	new.State, new.Ill, new.Message = store.TargetFailed, true, "Deployment payments/api: the image cannot be pulled.\x1b[2J\nAsk whoever owns the registry."
	reach("payments", "prod-eu", new)
	reach("shop", "staging", store.Reached{Commit: commit("3"), Tag: "2.0", Digest: digest("c"), State: store.TargetUnreachable, Message: "Cluster staging cannot be reached."})
}
