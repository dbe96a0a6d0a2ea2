package demo

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

const prodOverlay = "apps/payments/overlays/prod/kustomization.yaml"

// TestRollbacks tells of versions that turn out to be bad in production, and of how
// people, Tagboat, and people without Tagboat go back.
func TestRollbacks(t *testing.T) {
	s := newScene(t)
	s.story("back in the middle of a newer promotion, past soak and windows", backPastEverything)
	s.story("what was taken back stays away until people say otherwise", keptAway)
	s.story("further back needs the people whose word counts", furtherBack)
	s.story("a freeze stops a rollback, too", frozenRollback)
	s.story("somebody presses Revert on GitHub", revertedByHand)
	s.story("somebody reverts while Tagboat is about to", revertedMeanwhile)
	s.story("rollbacks that are refused", rollbacksThatAreRefused)
	s.story("the former digest is gone from the registry", goneFromTheRegistry)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// TestWhatEndsUnhealthyGoesBack tells of environments that roll back by themselves.
func TestWhatEndsUnhealthyGoesBack(t *testing.T) {
	s := newScene(t)
	s.story("it is proposed, and people merge it", proposedByItself)
	s.story("it merges, once, and never twice in a row", mergedByItself)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// toProd brings a version of payments all the way, as people do.
func (s *scene) toProd(version string) (p githubsim.PullView, digest string) {
	s.Helper()
	digest = s.release("payments", version)
	s.done("staging", "payments", version, digest)
	number := s.asked("prod", "payments", version).Number
	s.approve(number, "bob", "carol")
	s.tickAll(number)
	return s.done("prod", "payments", version, digest), digest
}

// rolledBack waits until prod is back at a version, and gives the pull request.
func (s *scene) rolledBack(tag, digest string) (p githubsim.PullView) {
	s.Helper()
	s.until("prod is rolled back to "+tag, func() (err error) {
		p, err = s.w.isRolledBack("prod", "payments", tag)
		return err
	})
	s.runs("prod", "payments", tag, digest)
	s.until("it is reported", func() error {
		return errors.Join(s.w.deployed(p.Number, "prod"), s.w.said(p.Number, tag, "healthy"))
	})
	return p
}

func (s *scene) digestIn(env, app string) string {
	s.Helper()
	running, err := s.w.Running(s.ctx)
	s.must(err)
	return running[env][app].Digest
}

func (s *scene) heldAndDenied(by, digest string) {
	s.Helper()
	s.until("payments is on hold in prod, and its version denied", func() error {
		return s.w.heldAndDenied(s.ctx, "prod", "payments", by, digest)
	})
}

// backPastEverything: 1.7.0 is in prod, 1.8.0 on its way, somebody has changed other
// lines of the overlay, nothing may change before 2031, and needs an hour of soak.
func backPastEverything(s *scene) {
	former := s.digestIn("prod", "payments")
	bad, digest := s.toProd("1.7.0")
	s.release("payments", "1.8.0")
	s.merged("staging", "payments", "1.8.0")
	newer := s.asked("prod", "payments", "1.8.0")
	s.pushMain("Gold, and a word about it", map[string]string{
		prodOverlay: "# Ask the payments team before you change this.\n" + s.on("main", prodOverlay) + "labels:\n  - pairs: {tier: gold}\n",
	})
	defer s.edit("Nothing before 2031", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    needs: [{env: staging}]", "    needs: [{env: staging, healthy: 1h}]\n    windows: [{allow: \"2031-01-02\"}]", 1)
	}})()
	s.checkSays(newer.Number, "Changes are allowed in 2031-01-02")

	s.says("bob", newer.Number, "/rollback prod payments 1.7.0 returns errors", "rocket", "1.6.0", fmt.Sprintf("comes back in the pull request that is open already: #%d.", newer.Number))
	p := s.rolledBack("1.6.0", former)
	if p.Number != newer.Number {
		s.Errorf("#%d goes back, beside #%d", p.Number, newer.Number)
	}
	s.must(s.w.reverts(p.Number, bad.Number, prodOverlay, "1.7.0 returns errors"))
	text := s.on("main", prodOverlay)
	for _, part := range []string{"# Ask the payments team", "tier: gold", "newTag: 1.6.0", former} {
		if !strings.Contains(text, part) {
			s.Errorf("the overlay lacks “%s”:\n%s", part, text)
		}
	}
	for _, part := range []string{"Rolls **payments** in **prod** back to `1.6.0`, from `1.7.0`.", "1.7.0 returns errors", "Requested by | bob", "Replaces | [`1.8.0`](", "which alice asked for"} {
		if !strings.Contains(p.Body, part) {
			s.Errorf("the description lacks “%s”:\n%s", part, p.Body)
		}
	}
	if strings.Contains(p.Body, "On-call informed") {
		s.Error("a rollback asks people to tick what is about a release")
	}
	s.heldAndDenied("bob", digest)
	s.must(s.w.audited(s.ctx, "Rolled back", "1.7.0 "+digest+" was taken back: 1.7.0 returns errors", "reverts commit "+bad.MergeCommitSHA))

	// GitHub's button would bring it again. Tagboat's check is in the way.
	again := s.opensRevert(p, "carol")
	s.checkSays(again, "were taken back there", "1.7.0 was taken back here by bob", "/allow prod payments 1.7.0")
	s.must(s.as("carol").ClosePull(envRepo, again))
}

// keptAway: nobody and nothing brings 1.7.0 again; 1.8.0 waits for the hold.
func keptAway(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/promote prod payments 1.7.0", "confused", "1.7.0 was taken back here by bob at 20", "1.7.0 returns errors", "`/promote prod payments 1.7.0`", unescaped("/allow prod payments 1.7.0"))
	s.says("alice", talk, "/promote prod payments 1.6.0", "rocket", "there is nothing to change")
	newer := s.asked("prod", "payments", "1.8.0")
	s.checkSays(newer.Number, "bob stopped payments in prod (“1.7.0 returns errors”)", "/unhold")
	s.says("carol", talk, "/allow prod payments 1.9.9", "confused", unescaped("1.9.9 is not denied to payments in prod."))
	s.says("carol", talk, "/allow prod payments 1.7.0", "rocket", "`1.7.0` may come again. payments in prod is still stopped, by bob; `/unhold prod payments` lifts that.")
	s.says("carol", newer.Number, "/unhold", "rocket")
	s.approve(newer.Number, "bob", "carol")
	s.tickAll(newer.Number)
	s.merged("prod", "payments", "1.8.0")
}

// furtherBack: one step back is anybody's who may write; a second one in a row takes the
// approvals of the environment.
func furtherBack(s *scene) {
	s.until("nothing is on its way", func() error { return s.w.atRest(s.ctx) })
	digest := s.digestIn("prod", "payments")
	bad, worse := s.toProd("1.9.0")
	s.says("bob", bad.Number, "/rollback prod it is slow", "rocket")
	s.rolledBack("1.8.0", digest)
	s.heldAndDenied("bob", worse)
	s.says("bob", bad.Number, "/rollback prod this one, too", "rocket")
	p := s.opened("prod", "payments", "1.6.0")
	s.checkSays(p.Number, "0 of 2 approvals")
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "1 of 2 approvals", "bob asked for this promotion")
	s.must(s.as("alice").ClosePull(envRepo, p.Number))
	s.until("the rollback is given up", func() error { return s.w.atRest(s.ctx) })
	s.says("bob", bad.Number, "/unhold", "rocket")
	s.says("bob", bad.Number, "/allow prod 1.9.0", "rocket")
}

func frozenRollback(s *scene) {
	digest := s.digestIn("prod", "payments")
	bad, worse := s.toProd("1.10.0")
	talk := s.issue()
	s.says("carol", talk, "/freeze prod the cluster moves house", "rocket")
	s.says("bob", bad.Number, "/rollback prod", "rocket")
	p := s.opened("prod", "payments", "1.8.0")
	s.checkSays(p.Number, "carol stopped all of prod (“the cluster moves house”)", "/thaw prod")
	s.says("carol", talk, "/thaw prod", "rocket")
	s.rolledBack("1.8.0", digest)
	s.heldAndDenied("bob", worse)
	s.says("bob", bad.Number, "/unhold", "rocket")
}

// revertedByHand: Carol reverts with a pull request of her own. It means the same.
func revertedByHand(s *scene) {
	bad, worse := s.toProd("1.11.0")
	number := s.revert(bad, "carol")
	s.heldAndDenied("carol", worse)
	s.until("the pull request says what follows", func() error {
		return s.w.said(number, "a rollback by carol", "`1.11.0` is on the denylist", "/allow prod payments 1.11.0")
	})
	s.says("alice", bad.Number, "/promote prod payments 1.11.0", "confused", "1.11.0 was taken back here by carol")
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM audit WHERE action = 'revert recognised' AND actor = 'carol'`); err != nil || n != 1 {
		s.Errorf("the revert is written down %d times, %v", n, err)
	}
	s.says("bob", bad.Number, "/unhold", "rocket")
	s.says("bob", bad.Number, "/allow prod 1.11.0", "rocket")
	s.edit("something else", map[string]func(string) string{"README.md": func(text string) string { return text + "\nMore.\n" }})
	s.idle()
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM denial WHERE lifted_at IS NULL AND tag = '1.11.0'`); err != nil || n != 0 {
		s.Errorf("what people allowed is denied again: %d, %v", n, err)
	}
}

// revert takes a merged change of the prod overlay back by a pull request of one's own.
func (s *scene) revert(bad githubsim.PullView, login string) int {
	s.Helper()
	number := s.opensRevert(bad, login)
	s.checkSays(number, "Not a promotion")
	s.until("GitHub lets it be merged", func() error {
		_, err := s.as(login).MergePull(envRepo, number, "squash")
		return err
	})
	return number
}

// opensRevert presses GitHub's button “Revert”.
func (s *scene) opensRevert(bad githubsim.PullView, login string) int {
	s.Helper()
	s.must(s.w.GitHub.WaitDeliveries(s.ctx))
	before := s.before(bad.MergeCommitSHA)
	branch := fmt.Sprintf("revert-%d", bad.Number)
	_, err := s.as(login).Push(envRepo, branch, fmt.Sprintf("Revert %q", bad.Title), map[string]string{prodOverlay: before})
	s.must(err)
	number, err := s.as(login).OpenPull(envRepo, branch, "main", fmt.Sprintf("Revert %q", bad.Title), "")
	s.must(err)
	return number
}

// before is the prod overlay as it was before a commit on main.
func (s *scene) before(sha string) string {
	s.Helper()
	log, err := s.w.GitHub.Log(envRepo, "main")
	s.must(err)
	for i, c := range log {
		if c.SHA == sha && i+1 < len(log) {
			data, err := s.w.GitHub.File(envRepo, log[i+1].SHA, prodOverlay)
			s.must(err)
			return string(data)
		}
	}
	s.Fatalf("%s is not on main", sha)
	return ""
}

// revertedMeanwhile: a rollback waits for a freeze, and somebody is faster by hand.
func revertedMeanwhile(s *scene) {
	bad, worse := s.toProd("1.12.0")
	s.says("carol", bad.Number, "/freeze prod wait", "rocket")
	s.says("bob", bad.Number, "/rollback prod payments timeouts", "rocket")
	p := s.opened("prod", "payments", "1.8.0")
	s.checkSays(p.Number, "carol stopped all of prod")
	s.revert(bad, "carol")
	s.until("the rollback has nothing left to do", func() error {
		q, err := s.w.GitHub.Pull(envRepo, p.Number)
		if err == nil && (q.State != "closed" || q.Merged) {
			err = fmt.Errorf("#%d is %s, merged: %t", q.Number, q.State, q.Merged)
		}
		return err
	})
	s.says("carol", bad.Number, "/thaw prod", "rocket")
	s.heldAndDenied("bob", worse) // he asked for it
	s.says("bob", bad.Number, "/unhold", "rocket")
}

func rollbacksThatAreRefused(s *scene) {
	talk := s.issue()
	s.says("oscar", talk, "/rollback prod payments because", "confused") // strangers get no words
	for _, c := range []struct{ login, body, answer string }{
		{"alice", "/rollback prd payments", "There is no environment prd. Did you mean prod?"},
		{"alice", "/rollback prod it is broken", "Which app? Write /rollback prod <app> [reason]; the apps of prod are: catalog, payments, shop."},
		{"alice", "/rollback prod shop because", "Nothing is known that shop in prod had before 3.0.0 and may have again."},
		{"alice", "/promote prod payments 1.6.0", "comment /rollback prod payments <reason>"},
	} {
		s.says(c.login, talk, c.body, "confused", unescaped(c.answer))
	}
}

// goneFromTheRegistry: what cannot be pulled is no way back.
func goneFromTheRegistry(s *scene) {
	s.until("nothing is on its way", func() error { return s.w.atRest(s.ctx) })
	former := s.digestIn("prod", "payments")
	bad, _ := s.toProd("1.13.0")
	s.must(s.w.Registry.Delete(s.ctx, "payments", former))
	s.says("bob", bad.Number, "/rollback prod payments", "confused", "The registry does not have", "any more, which was 1.8.0")
	if p, err := s.w.isOpen("prod", "payments", "1.8.0"); err == nil {
		s.Errorf("#%d goes back to nothing", p.Number)
	}
}

// automatic has an environment roll back by itself.
func (s *scene) automatic(env, how string) (undo func()) {
	return s.edit("Rollbacks by themselves: "+how, map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "  - name: "+env+"\n", "  - name: "+env+"\n    rollback: {automatic: "+how+"}\n", 1)
	}})
}

// sick brings a version to dev that never becomes healthy.
func (s *scene) sick(tag string) (githubsim.PullView, string) {
	s.Helper()
	digest, err := s.w.pushImage(s.ctx, "payments", tag, tag, "")
	s.must(err)
	s.says("alice", s.issue(), "/promote dev payments "+tag, "rocket")
	return s.merged("dev", "payments", tag), digest
}

func proposedByItself(s *scene) {
	former := s.digestIn("dev", "payments")
	undo := s.automatic("dev", "propose")
	p, digest := s.sick("crash1")
	s.until("people are told", func() error { return s.w.said(p.Number, "crash1", "failed", "CrashLoopBackOff") })
	back := s.opened("dev", "payments", "1.6.0")
	s.checkSays(back.Number, "gates pass")
	if !strings.Contains(back.Body, "dev is not healthy with crash1") || !strings.Contains(back.Body, "Requested by | Tagboat") {
		s.Errorf("the description does not say why:\n%s", back.Body)
	}
	s.until("no sync is under way", func() error {
		return s.w.none(s.ctx, `SELECT count(*) FROM target WHERE NOT gone AND (got < want OR state IN ('applying', 'waiting'))`)
	})
	s.idle()
	if _, err := s.w.isMerged("dev", "payments", "1.6.0"); err == nil {
		s.Errorf("#%d was merged, and was to be proposed", back.Number)
	}
	_, err := s.as("bob").MergePull(envRepo, back.Number, "squash")
	s.must(err)
	s.runs("dev", "payments", "1.6.0", former)
	s.deniedByItself("crash1", digest)
	s.says("bob", back.Number, "/unhold", "rocket")
	undo()
}

func (s *scene) deniedByItself(tag, digest string) {
	s.Helper()
	s.until(tag+" is denied", func() error {
		return s.w.none(s.ctx, `SELECT 1 - count(*) FROM denial WHERE env = 'dev' AND digest = $1 AND actor = '' AND lifted_at IS NULL`, digest)
	})
}

func mergedByItself(s *scene) {
	former := s.digestIn("dev", "payments")
	defer s.automatic("dev", "merge")()
	p, digest := s.sick("crash2")
	var back githubsim.PullView
	s.until("it is rolled back", func() (err error) {
		if back, err = s.w.isRolledBack("dev", "payments", "1.6.0"); err == nil && back.Number < p.Number {
			err = errors.New("only the first one is")
		}
		return err
	})
	s.runs("dev", "payments", "1.6.0", former)
	s.deniedByItself("crash2", digest) // GitHub knows of a merge a moment before Tagboat has written it down
	s.says("alice", back.Number, "/promote dev payments crash2", "confused", "crash2 was taken back here by Tagboat")
	s.until("nothing is on its way", func() error { return s.w.atRest(s.ctx) })
	s.idle()
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM rollback WHERE bad_tag = 'crash2'`); err != nil || n != 1 {
		s.Errorf("crash2 is rolled back %d times, %v", n, err)
	}
}
