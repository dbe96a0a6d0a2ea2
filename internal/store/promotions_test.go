package store_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

func TestAnArtifactIsProposed(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	in := w.proposal("prod", a)
	in.Requester = alice
	out, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	p := out.Promotion
	if !out.Fresh || out.Older != nil || p.State != "proposed" || p.PullNumber != 0 || p.RequesterID != alice.ID || p.Requester != "alice" || p.Want != 1 || p.Got != 0 {
		t.Errorf("%+v", out)
	}
	if n := w.jobs("reconcile"); n != 1 {
		t.Errorf("%d jobs look at it", n)
	}

	again, err := w.store.Propose(w.ctx, in, reconcile)
	w.must(err)
	if again.Fresh || again.Promotion.ID != p.ID {
		t.Errorf("the same artifact again: %+v; want the promotion that there is", again)
	}
	if diff := cmp.Diff([]string{"artifact verified", "promotion proposed"}, w.actions()); diff != "" {
		t.Error(diff)
	}
}

// I2: a newer artifact takes over the pull request.
func TestANewerArtifactSupersedesInPlace(t *testing.T) {
	w := newWorld(t)
	older := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.must(w.store.RecordCheckRun(w.ctx, older.ID, 5, sha("1"), "shown", ""))
	w.must(w.store.SawRegistry(w.ctx, older.ID, digest("a"), ""))

	out, err := w.store.Propose(w.ctx, w.proposal("prod", w.artifact("1.7.1", digest("b"))), reconcile)
	w.must(err)
	p := out.Promotion
	if !out.Fresh || out.Older == nil || out.Older.ID != older.ID {
		t.Fatalf("%+v", out)
	}
	got := []any{p.State, p.PullNumber, p.PullState, p.PullURL, p.PullBody, p.Branch, p.HeadSHA, p.SeenHeadSHA, p.EditHash, p.BaseSHA}
	want := []any{"open", older.PullNumber, "open", older.PullURL, "body", older.Branch, sha("1"), sha("1"), "edit 1.7.0", sha("b")}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the pull request was not taken over:\n%s", diff)
	}
	// What was shown and observed was about the older artifact.
	if p.CheckHash != "" || p.CheckSHA != "" || p.BodyHash != "" || p.RegistryDigest != "" {
		t.Errorf("facts about the older artifact were taken over: %+v", p)
	}
	if was := w.promotion(older.ID); was.State != "superseded" || was.Message == "" {
		t.Errorf("the older promotion is %s (%q)", was.State, was.Message)
	}
	if now, err := w.store.PromotionByPull(w.ctx, w.repo.ID, 7); err != nil || now.ID != p.ID {
		t.Errorf("the pull request carries %d, %v; want %d", now.ID, err, p.ID)
	}
	carried, err := w.store.Superseded(w.ctx, p)
	w.must(err)
	if len(carried) != 1 || carried[0].Tag != "1.7.0" {
		t.Errorf("it carried before: %+v", carried)
	}
}

// A pull request that has ended takes nothing newer with it: what became of it is
// written down first.
func TestAnEndedPullRequestIsNotTakenOver(t *testing.T) {
	for _, ended := range []string{"merged", "closed"} {
		t.Run(ended, func(t *testing.T) {
			w := newWorld(t)
			older := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
			w.must(w.store.SawPullAndWake(w.ctx, older.ID, store.SeenPull{State: ended, HeadSHA: sha("1"), MergeSHA: sha("9")}, reconcile(older.ID)))

			newer := w.proposal("prod", w.artifact("1.7.1", digest("b")))
			if _, err := w.store.Propose(w.ctx, newer, reconcile); !fault.Is(err, fault.Conflict) {
				t.Fatalf("%v; want a conflict, which is tried again", err)
			}
			if p := w.promotion(older.ID); p.State != "open" {
				t.Fatalf("the older promotion is %s", p.State)
			}

			if ended == "merged" {
				w.merge(older, tagboat, sha("9"))
			} else {
				w.must(w.store.RecordClosed(w.ctx, older, "The pull request was closed without merging."))
			}
			out, err := w.store.Propose(w.ctx, newer, reconcile)
			w.must(err)
			if !out.Fresh || out.Older != nil || out.Promotion.State != "proposed" || out.Promotion.PullNumber != 0 {
				t.Errorf("after that: %+v; want a promotion with a pull request of its own", out)
			}
			if p := w.promotion(older.ID); p.State != ended {
				t.Errorf("the older promotion is %s, want %s", p.State, ended)
			}
		})
	}
}

// A merge under way ends before anything newer can take the pull request away.
func TestAProposalWaitsForAMergeUnderWay(t *testing.T) {
	w := newWorld(t)
	older := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	newer := w.proposal("prod", w.artifact("1.7.1", digest("b")))
	proposed := make(chan error, 1)
	w.must(w.store.Merge(w.ctx, w.repo.ID, "prod", func(m store.Merging) error {
		go func() {
			_, err := w.store.Propose(w.ctx, newer, reconcile)
			proposed <- err
		}()
		until(t, "the proposal waits for the merge, or is through", func() bool {
			return len(proposed) > 0 || w.waiting() > 0
		})
		return m.Merged(w.ctx, older, tagboat, sha("9"), store.Grounds{}, syncing)
	}))
	w.must(<-proposed)
	if p := w.promotion(older.ID); p.State != "merged" {
		t.Errorf("what GitHub merged is written down as %s", p.State)
	}
	if p, err := w.store.ActivePromotion(w.ctx, w.repo.ID, "payments", "prod"); err != nil || p.PullNumber != 0 {
		t.Errorf("the newer one is %+v, %v; want one with a pull request of its own", p, err)
	}
}

// I2: eight proposals at once leave exactly one active.
func TestProposalsAtOnceLeaveOneActive(t *testing.T) {
	w := newWorld(t)
	var group sync.WaitGroup
	for i := range 8 {
		a := w.artifact(fmt.Sprintf("1.7.%d", i), digest(fmt.Sprint(i)))
		group.Go(func() {
			for range 4 {
				if _, err := w.store.Propose(w.ctx, w.proposal("prod", a), reconcile); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	active := w.count("SELECT count(*) FROM promotion WHERE state IN ('proposed', 'open')")
	all, superseded := w.count("SELECT count(*) FROM promotion"), w.count("SELECT count(*) FROM promotion WHERE state = 'superseded'")
	if active != 1 || all < 8 || superseded != all-1 {
		t.Errorf("of %d promotions %d are active and %d superseded", all, active, superseded)
	}
	if proof, err := w.store.VerifyAudit(w.ctx); err != nil || proof.Err() != nil || proof.Rows != int64(8+all) {
		t.Errorf("the audit log has %d rows, %v, %v; want %d", proof.Rows, err, proof.Err(), 8+all)
	}
}

// The database itself refuses a second active promotion, whoever asks.
func TestTheDatabaseKnowsThatOneIsActive(t *testing.T) {
	w := newWorld(t)
	p := w.propose("prod", w.artifact("1.7.0", digest("a")))
	_, err := w.store.Pool().Exec(w.ctx, `INSERT INTO promotion (repo_id, app, env, artifact_id, state, created_at, updated_at)
		SELECT repo_id, app, env, artifact_id, 'open', created_at, updated_at FROM promotion WHERE id = $1`, p.ID)
	if err == nil || !strings.Contains(err.Error(), "promotion_active") {
		t.Errorf("a second active promotion: %v", err)
	}
}

// A person closed it; the sweep must not propose it again. A person may.
func TestOnceMeansOnce(t *testing.T) {
	w := newWorld(t)
	a := w.artifact("1.7.0", digest("a"))
	once := w.proposal("dev", a)
	once.Once = true
	first, err := w.store.Propose(w.ctx, once, reconcile)
	w.must(err)
	w.must(w.store.RecordClosed(w.ctx, first.Promotion, "The pull request was closed without merging."))

	again, err := w.store.Propose(w.ctx, once, reconcile)
	w.must(err)
	if again.Fresh || again.Promotion.ID != 0 {
		t.Errorf("it was proposed again: %+v", again)
	}
	once.Once = false
	asked, err := w.store.Propose(w.ctx, once, reconcile)
	w.must(err)
	if !asked.Fresh || asked.Promotion.ID == first.Promotion.ID {
		t.Errorf("a person asked for it: %+v", asked)
	}
}

func TestAPromotionsLife(t *testing.T) {
	w := newWorld(t)
	target := w.target("prod", "eu")
	a := w.artifact("1.7.0", digest("a"))
	p := w.open("prod", a, 7, sha("1"))
	if p.State != "open" || p.HeadSHA != sha("1") || p.SeenHeadSHA != sha("1") || p.PullState != "open" || p.BodyHash != "hash" || p.OldTag != "1.6.0" {
		t.Errorf("open: %+v", p)
	}

	w.must(w.store.RecordRegenerated(w.ctx, p, w.commit(a, sha("2"))))
	w.must(w.store.KeepHead(w.ctx, p.ID, w.commit(a, sha("2"))))
	for _, head := range []string{sha("1"), sha("2")} {
		if ours, err := w.store.KnownHead(w.ctx, head); err != nil || !ours {
			t.Errorf("head %s is not known as ours, %v", head, err)
		}
	}
	if ours, err := w.store.KnownHead(w.ctx, sha("3")); err != nil || ours {
		t.Errorf("a stranger's head is ours, %v", err)
	}

	p = w.promotion(p.ID)
	w.merge(p, alice, sha("9"))
	p = w.promotion(p.ID)
	if p.State != "merged" || p.MergeSHA != sha("9") || p.PullState != "merged" || p.MergedAt == nil || !p.MergedAt.Equal(w.clock.now()) {
		t.Errorf("merged: %+v", p)
	}
	after, err := w.store.Target(w.ctx, target.ID)
	w.must(err)
	if after.Want != target.Want+1 {
		t.Errorf("the cluster is wanted %d times, was %d", after.Want, target.Want)
	}
	waiting, err := w.store.UnreportedPromotions(w.ctx)
	w.must(err)
	if len(waiting) != 1 || waiting[0].ID != p.ID {
		t.Errorf("unreported: %+v", waiting)
	}

	w.must(w.store.RecordBranchDeleted(w.ctx, p, true))
	told := store.Deployment{PromotionID: p.ID, Cluster: "prod-eu", GithubID: 31}
	w.must(w.store.RecordDeployment(w.ctx, told))
	told.State = "success"
	w.must(w.store.RecordDeployment(w.ctx, told))
	w.must(w.store.RecordDeployment(w.ctx, store.Deployment{PromotionID: p.ID, Cluster: "prod-us", GithubID: -1}))
	w.must(w.store.RecordCommitStatus(w.ctx, p, "success", true))
	w.must(w.store.RecordComment(w.ctx, p.ID, 32, "told"))
	for range 2 { // a crash behind the commit, and the job again
		w.must(w.store.RecordDeployed(w.ctx, p, a.Digest))
	}
	p = w.promotion(p.ID)
	if p.State != "deployed" || p.DeployedAt == nil || !p.BranchDeleted || p.CommitStatus != "success" || p.CommentHash != "told" {
		t.Errorf("deployed: %+v", p)
	}
	made, err := w.store.Deployments(w.ctx, p.ID)
	w.must(err)
	if want := []store.Deployment{told, {PromotionID: p.ID, Cluster: "prod-us", GithubID: -1}}; !slices.Equal(made, want) {
		t.Errorf("the deployments are %+v", made)
	}
	if n := w.count("SELECT count(*) FROM evidence WHERE gate = 'deployed' AND digest = $1 AND head_sha = $2", a.Digest, sha("9")); n != 1 {
		t.Errorf("%d rows of evidence say that it is deployed", n)
	}
	want := []string{"artifact verified", "promotion proposed", "pull request opened", "commit regenerated", "merged",
		"branch deleted", "deployment recorded", "deployment recorded", "commit status set", "status comment published", "deployed"}
	if diff := cmp.Diff(want, w.actions()); diff != "" {
		t.Error(diff)
	}
}

// Whatever was written late, by a job that had looked earlier, changes no end.
func TestAnEndIsAnEnd(t *testing.T) {
	w := newWorld(t)
	closed := w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.must(w.store.RecordClosed(w.ctx, closed, "A person closed it."))
	merged := w.open("staging", w.artifact("1.7.0", digest("a")), 8, sha("2"))
	w.merge(merged, tagboat, sha("9"))
	before := len(w.actions())

	w.merge(closed, tagboat, sha("8"))
	w.must(w.store.RecordDeployed(w.ctx, closed, digest("a")))
	w.must(w.store.RecordOvertaken(w.ctx, closed))
	w.must(w.store.RecordClosed(w.ctx, merged, "Too late."))
	w.merge(merged, tagboat, sha("7"))

	if p := w.promotion(closed.ID); p.State != "closed" || p.Message != "A person closed it." || p.MergeSHA != "" {
		t.Errorf("the closed one is %+v", p)
	}
	if p := w.promotion(merged.ID); p.State != "merged" || p.MergeSHA != sha("9") {
		t.Errorf("the merged one is %+v", p)
	}
	if after := len(w.actions()); after != before {
		t.Errorf("%d audit rows tell what did not happen", after-before)
	}
}

func TestAMergedPromotionIsOvertaken(t *testing.T) {
	w := newWorld(t)
	first := w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.merge(first, tagboat, sha("8"))
	if overtaken, err := w.store.Overtaken(w.ctx, first); err != nil || overtaken {
		t.Errorf("overtaken %v, %v; nothing newer was merged", overtaken, err)
	}
	second := w.open("dev", w.artifact("1.7.1", digest("b")), 8, sha("2"))
	if overtaken, err := w.store.Overtaken(w.ctx, first); err != nil || overtaken {
		t.Errorf("overtaken %v, %v; the newer one is not merged yet", overtaken, err)
	}
	w.merge(second, tagboat, sha("9"))
	if overtaken, err := w.store.Overtaken(w.ctx, first); err != nil || !overtaken {
		t.Errorf("overtaken %v, %v", overtaken, err)
	}
	w.must(w.store.RecordOvertaken(w.ctx, first))
	if p := w.promotion(first.ID); p.State != "superseded" || p.Message == "" {
		t.Errorf("it is %s (%q)", p.State, p.Message)
	}
}

func TestWhoIsDue(t *testing.T) {
	w := newWorld(t)
	due := func() (envs []string) {
		promotions, err := w.store.DuePromotions(w.ctx)
		w.must(err)
		for _, p := range promotions {
			envs = append(envs, p.Env)
		}
		return envs
	}
	settled := func(p store.Promotion, next any) {
		w.exec("UPDATE promotion SET got = want, next_check = $2 WHERE id = $1", p.ID, next)
	}
	a := w.artifact("1.7.0", digest("a"))
	dev, staging, prod := w.propose("dev", a), w.propose("staging", a), w.propose("prod", a)
	settled(dev, nil)
	settled(staging, w.clock.now().Add(time.Minute))
	settled(prod, nil)
	if diff := cmp.Diff([]string(nil), due()); diff != "" {
		t.Errorf("all are settled:\n%s", diff)
	}
	w.clock.pass(time.Minute)
	if diff := cmp.Diff([]string{"staging"}, due()); diff != "" {
		t.Errorf("staging's soak time is over:\n%s", diff)
	}
	w.must(w.store.Wake(w.ctx, dev.ID, reconcile))
	if diff := cmp.Diff([]string{"dev", "staging"}, due()); diff != "" {
		t.Errorf("dev was woken:\n%s", diff)
	}
	w.must(w.store.RecordClosed(w.ctx, dev, "closed"))
	w.must(w.store.WakeRepo(w.ctx, w.repo.ID, reconcile))
	if diff := cmp.Diff([]string{"staging", "prod"}, due()); diff != "" {
		t.Errorf("the base moved; dev is closed:\n%s", diff)
	}
}

func TestAnEffectIsAnnouncedOnce(t *testing.T) {
	w := newWorld(t)
	p := w.propose("dev", w.artifact("1.7.0", digest("a")))
	for attempt, want := range []bool{true, false, false} {
		if fresh, err := w.store.Announce(w.ctx, p.ID, "create status comment"); err != nil || fresh != want {
			t.Errorf("attempt %d: fresh %v, %v", attempt, fresh, err)
		}
	}
	if fresh, err := w.store.Announce(w.ctx, p.ID, "another effect"); err != nil || !fresh {
		t.Errorf("another effect: fresh %v, %v", fresh, err)
	}
}

// Two merges into one environment go one after the other; another environment
// does not wait for them.
func TestMergesIntoOneEnvironmentTakeTurns(t *testing.T) {
	w := newWorld(t)
	inside, leave := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	var mu sync.Mutex
	var order []string
	say := func(what string) {
		mu.Lock()
		defer mu.Unlock()
		order = append(order, what)
	}
	group.Go(func() {
		if err := w.store.Merge(w.ctx, w.repo.ID, "prod", func(store.Merging) error {
			close(inside)
			<-leave
			say("first leaves prod")
			return nil
		}); err != nil {
			t.Error(err)
		}
	})
	<-inside
	group.Go(func() {
		if err := w.store.Merge(w.ctx, w.repo.ID, "prod", func(store.Merging) error { say("second enters prod"); return nil }); err != nil {
			t.Error(err)
		}
	})
	until(t, "the second merge waits for the first", func() bool {
		return w.waiting() == 1
	})
	others := []struct {
		repo int64
		env  string
	}{{w.repo.ID, "staging"}, {w.envRepo("other").ID, "prod"}}
	for _, other := range others {
		w.must(w.store.Merge(w.ctx, other.repo, other.env, func(store.Merging) error { say("another does not wait"); return nil }))
	}
	close(leave)
	group.Wait()
	want := []string{"another does not wait", "another does not wait", "first leaves prod", "second enters prod"}
	if diff := cmp.Diff(want, order); diff != "" {
		t.Error(diff)
	}
}

func TestAMergeThatFailsRecordsNothing(t *testing.T) {
	w := newWorld(t)
	p := w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	before := len(w.actions())
	err := w.store.Merge(w.ctx, w.repo.ID, "dev", func(m store.Merging) error {
		if _, err := m.Evidence(w.ctx, p, digest("a"), sha("1"), []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "same"}}); err != nil {
			return err
		}
		w.must(m.Merged(w.ctx, p, tagboat, sha("9"), store.Grounds{}, syncing))
		return fault.Errorf(fault.Conflict, "the base moved")
	})
	if !fault.Is(err, fault.Conflict) {
		t.Errorf("%v; want the conflict", err)
	}
	if p := w.promotion(p.ID); p.State != "open" || w.count("SELECT count(*) FROM evidence") != 0 || len(w.actions()) != before {
		t.Errorf("something of the merge was kept: %+v", p)
	}
}

// A version was there if it was merged, replaced, or brought to a cluster, also where
// the cluster is gone since; and only there.
func TestVersionsThatWereThere(t *testing.T) {
	w := newWorld(t)
	there := func(env, tag, digest string) bool {
		w.Helper()
		was, err := w.store.WasThere(w.ctx, w.repo.ID, "payments", env, tag, digest)
		w.must(err)
		return was
	}
	known := func(env string) bool {
		w.Helper()
		images, err := w.store.ImagesThere(w.ctx, w.repo.ID, "payments", env)
		w.must(err)
		if len(images) > 0 && !slices.Equal(images, []string{payments}) {
			w.Errorf("%s had %q", env, images)
		}
		return len(images) > 0
	}
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	target := w.target("dev", "dev")
	if known("prod") || known("dev") || there("prod", "1.7.0", digest("a")) || there("prod", "1.6.0", "") {
		t.Error("something was there before anything was merged or brought anywhere")
	}
	w.merge(p, alice, sha("2"))
	for tag, digest := range map[string]string{"1.7.0": digest("a"), "1.6.0": digest("0")} {
		if !there("prod", tag, digest) || !there("prod", tag, "") || there("dev", tag, digest) {
			t.Errorf("%s: merged or replaced in prod, and nowhere else", tag)
		}
	}
	for _, tag := range []string{"1.5.0", "1.4.0"} {
		sync, err := w.store.StartSync(w.ctx, target.ID, sha("3"), tag, digest(tag[2:3]))
		w.must(err)
		w.must(w.store.FinishSync(w.ctx, target, sync, store.Reached{Commit: sha("3"), Image: payments, Tag: tag, Digest: digest(tag[2:3]), State: store.TargetHealthy}, after))
	}
	w.exec("UPDATE target SET gone = true WHERE id = $1", target.ID)
	for _, tag := range []string{"1.5.0", "1.4.0"} {
		if !there("dev", "any", digest(tag[2:3])) || !there("dev", tag, "") || there("prod", tag, "") {
			t.Errorf("%s: brought to dev, and nowhere else", tag)
		}
	}
	if there("dev", "1.5.0", digest("f")) || !known("prod") || !known("dev") || known("staging") {
		t.Error("a digest decides, and what had a version is known")
	}
}
