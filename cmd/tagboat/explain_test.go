package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// TestExplainCommandLine plays the scripts of testdata/explain on a database in which
// payments 1.7.0 waits for prod, and nothing is on its way to staging.
func TestExplainCommandLine(t *testing.T) {
	onDatabase(t, "explain", await)
}

// await writes down how payments 1.7.0 came to staging, and what it waits for in
// prod.
func await(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	now := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	s, err := store.Open(ctx, url, store.Options{Now: func() time.Time { return now }})
	must := musts(t)
	must(err)
	defer s.Close()
	digest := "sha256:" + strings.Repeat("a", 64)
	head := strings.Repeat("1", 40)
	repo, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, nil)
	must(err)
	must(s.KeepTargets(ctx, repo.ID, "heads", []store.NewTarget{
		{App: "payments", Env: "staging", Cluster: "staging", Branch: "main", Position: 1}, {App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main", Position: 2},
	}, syncs))
	targets, err := s.Targets(ctx)
	must(err)
	for _, target := range targets {
		notes := []string{"changed past Git: Deployment " + target.Env + "/payments: spec.replicas is 5, not 2."}
		must(s.FinishSync(ctx, target, 1, store.Reached{
			Commit: head, Image: "registry.example.com/payments", Tag: "1.7.0", Digest: digest, State: store.TargetHealthy, Notes: notes,
		}, store.After{Promotion: reconcile, Target: syncs}))
	}
	a, err := s.Ledger(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.7.0", Digest: digest, MediaType: "index"})
	must(err)
	now = now.Add(time.Hour)
	_, err = s.Refuse(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.8.0", Digest: "sha256:" + strings.Repeat("b", 64)}, "it has no image for linux/amd64.\x1b[2J")
	must(err)
	must(s.Stop(ctx, store.NewStop{Scope: store.Scope{Owner: "acme", Repo: repo.ID, Env: "staging"}, Reason: "holidays", By: store.Actor{ID: 12, Login: "bob"}}, reconcile))
	out, err := s.Propose(ctx, store.Proposal{
		Repo: repo.ID, App: "payments", Env: "prod", Artifact: a.ID, Requester: store.Actor{ID: 11, Login: "alice"}, Branch: "tagboat/prod/payments", BaseBranch: "main",
	}, reconcile)
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
