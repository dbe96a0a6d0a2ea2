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

// TestExplainCommandLine plays the scripts of testdata/explain on a database in which
// payments 1.7.0 waits for prod, and nothing is on its way to staging.
func TestExplainCommandLine(t *testing.T) {
	server, err := localpg.Start(t.Context(), localpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(server.Stop)
	if err := server.CreateDatabase(t.Context(), "waiting", ""); err != nil {
		t.Fatal(err)
	}
	await(t, server.URL("waiting"))
	testscript.Run(t, testscript.Params{
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Dir:  "../../testdata/explain",
		Setup: func(env *testscript.Env) error {
			name := strings.ReplaceAll(env.T().(testing.TB).Name(), "/", "_")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TAGBOAT_DATABASE_URL", server.URL(name))
			return server.CreateDatabase(context.Background(), name, "waiting")
		},
	})
}

// await writes down how payments 1.7.0 came to staging, and what it waits for in
// prod.
func await(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	now := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
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
	digest := "sha256:" + strings.Repeat("a", 64)
	head := strings.Repeat("1", 40)
	repo, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, nil)
	must(err)
	must(s.KeepTargets(ctx, repo.ID, "heads", []store.NewTarget{
		{App: "payments", Env: "staging", Cluster: "staging", Branch: "main", Position: 1}, {App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main", Position: 2},
	}, sync))
	targets, err := s.Targets(ctx)
	must(err)
	for _, target := range targets {
		notes := []string{"changed past Git: Deployment " + target.Env + "/payments: spec.replicas is 5, not 2."}
		must(s.FinishSync(ctx, target, 1, store.Reached{
			Commit: head, Image: "registry.example.com/payments", Tag: "1.7.0", Digest: digest, State: store.TargetHealthy, Notes: notes,
		}, store.After{Promotion: wake, Target: sync}))
	}
	a, err := s.Ledger(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.7.0", Digest: digest, MediaType: "index"})
	must(err)
	now = now.Add(time.Hour)
	_, err = s.Refuse(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.8.0", Digest: "sha256:" + strings.Repeat("b", 64)}, "it has no image for linux/amd64.\x1b[2J")
	must(err)
	must(s.Stop(ctx, store.NewStop{Scope: store.Scope{Owner: "acme", Repo: repo.ID, Env: "staging"}, Reason: "holidays", By: store.Actor{ID: 12, Login: "bob"}}, wake))
	out, err := s.Propose(ctx, store.Proposal{
		Repo: repo.ID, App: "payments", Env: "prod", Artifact: a.ID, Requester: store.Actor{ID: 11, Login: "alice"}, Branch: "tagboat/prod/payments", BaseBranch: "main",
	}, wake)
	must(err)
	commit := store.Commit{HeadSHA: head, BaseSHA: head, EditHash: "e1", Digest: digest}
	must(s.KeepHead(ctx, out.Promotion.ID, commit))
	must(s.RecordOpened(ctx, out.Promotion, commit, store.Opened{Number: 7, URL: "https://github.example/acme/env/pull/7"}))
	p, err := s.Promotion(ctx, out.Promotion.ID)
	must(err)
	gates := []store.Observed{
		{Gate: "upstream", Verdict: "wait", Reason: "staging has to stay healthy.", Owner: "staging", NextCheck: now.Add(3 * time.Hour)},
		{Gate: "approvals", Verdict: "wait", Reason: "0 of 2 approvals.", Owner: "team platform", Missing: 2},
		{Gate: "digest", Verdict: "pass", Reason: "Tag 1.7.0 is the same."},
	}
	must(s.Observe(ctx, p, digest, gates, true))
	now = now.Add(time.Hour)
	gates[1].Reason, gates[1].Missing = "1 of 2 approvals (bob).", 1
	gates = append(gates, store.Observed{Gate: "checks", Verdict: "fail", Reason: "lint (failure).", Owner: "whoever owns the check", URL: "https://ci.example.com/8"})
	must(s.Observe(ctx, p, digest, gates, true))
}
