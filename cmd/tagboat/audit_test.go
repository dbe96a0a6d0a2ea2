package main

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// TestAuditCommandLine plays the scripts of testdata/audit, each on a database of
// its own in which payments 1.7.0 came to prod.
func TestAuditCommandLine(t *testing.T) {
	onDatabase(t, "audit", tell)
}

// tell writes down how payments 1.7.0 came to prod: alice asked, bob and carol
// approved, Tagboat merged.
func tell(t *testing.T, url string) {
	t.Helper()
	ctx := t.Context()
	now := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	s, err := store.Open(ctx, url, store.Options{Now: func() time.Time { now = now.Add(time.Second); return now }})
	must := musts(t)
	must(err)
	defer s.Close()
	sha := func(c string) string { return strings.Repeat(c, 40) }
	digest := "sha256:" + strings.Repeat("a", 64)
	alice, bob, carol := store.Actor{ID: 11, Login: "alice"}, store.Actor{ID: 12, Login: "bob"}, store.Actor{ID: 13, Login: "carol"}

	repo, err := s.SeeRepo(ctx, store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, nil)
	must(err)
	must(s.KeepTargets(ctx, repo.ID, "heads", []store.NewTarget{{App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main"}}, syncs))
	a, err := s.Ledger(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "1.7.0", Digest: digest, MediaType: "index"})
	must(err)
	_, err = s.Refuse(ctx, store.Verified{Image: "registry.example.com/payments", Tag: "=cmd()", Digest: digest}, "no version")
	must(err)
	out, err := s.Propose(ctx, store.Proposal{
		Repo: repo.ID, App: "payments", Env: "prod", Artifact: a.ID, Requester: alice, Reason: "alice asked for it.", Branch: "tagboat/prod/payments", BaseBranch: "main",
	}, reconcile)
	must(err)
	id := out.Promotion.ID
	commit := store.Commit{HeadSHA: sha("1"), BaseSHA: sha("b"), EditHash: "e1", Digest: digest, OldTag: "1.6.0", OldDigest: "sha256:" + strings.Repeat("0", 64), Diff: "-1.6.0\n+1.7.0"}
	must(s.KeepHead(ctx, id, commit))
	must(s.RecordOpened(ctx, out.Promotion, commit, store.Opened{Number: 7, URL: "https://github.example/acme/env/pull/7"}))
	grounds := store.Grounds{
		Pull: 7, Image: a.Image, Tag: a.Tag, Digest: digest, OldTag: "1.6.0", OldDigest: commit.OldDigest,
		Head: sha("1"), Base: sha("b"), Edit: "e1", Diff: "d1", Body: "b1", Check: "c1", Requesters: []int64{alice.ID},
		Excluded: []store.Excluded{{Login: "alice", State: "APPROVED", Why: "asked for this promotion"}},
	}
	for i, who := range []store.Actor{alice, bob, carol} {
		at := now.Truncate(time.Second)
		must(s.RecordReview(ctx, id, store.NewReview{ReviewID: int64(i + 1), Reviewer: who, State: "APPROVED", HeadSHA: sha("1"), SubmittedAt: at}, 0, reconcile))
		if who != alice {
			grounds.ApprovedBy = append(grounds.ApprovedBy, store.Approved{Actor: who, Review: int64(i + 1), Head: sha("1"), Edit: "e1", Digest: digest, At: at})
		}
	}
	must(s.RecordTicks(ctx, id, []store.NewTick{{Item: "on-call informed", Checked: true}}, bob, "body", 0, reconcile))
	p, err := s.Promotion(ctx, id)
	must(err)
	must(s.Merge(ctx, repo.ID, "prod", func(m store.Merging) (err error) {
		if grounds.Gates, err = m.Evidence(ctx, p, digest, sha("1"), []store.Observed{
			{Gate: "digest", Verdict: "pass", Reason: "The registry has the same digest.", Source: "registry"},
			{Gate: "approvals", Verdict: "pass", Reason: "2 of 2 approvals (bob, carol).\x1b[2J", Source: "github"},
		}); err != nil {
			return err
		}
		return m.Merged(ctx, p, alice, sha("9"), grounds, syncs)
	}))
	targets, err := s.Targets(ctx)
	must(err)
	must(s.FinishSync(ctx, targets[0], 1, store.Reached{
		Commit: sha("9"), RenderedHash: strings.Repeat("f", 64), Tag: "1.7.0", Digest: digest, State: store.TargetHealthy, Changed: 2,
	}, store.After{Promotion: reconcile, Target: syncs}))
	if p, err = s.Promotion(ctx, id); err == nil {
		err = s.RecordDeployed(ctx, p, digest)
	}
	must(err)
}
