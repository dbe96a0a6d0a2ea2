package demo

import (
	"errors"
	"fmt"
	"net/http"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhatPeopleClose tells of pull requests that people close: what becomes of the
// branch, who reads what it means, and how the promotion is asked for again.
func TestWhatPeopleClose(t *testing.T) {
	s := newScene(t)
	s.story("it stays closed until somebody asks again", closedUntilAsked)
	s.story("whoever reopens it asks for it again", reopenedPull)
	s.story("somebody else's commit is not thrown away with the branch", closedWithForeignCommit)
	s.story("a branch that GitHub does not delete now is deleted later", stubbornBranch)
	s.story("what Tagboat closes by itself is held by nobody", closedByTagboat)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// held wants a hold in force that came of closing a pull request.
func (s *scene) held(number int, by string) error {
	n, err := s.w.count(s.ctx, `SELECT count(*) FROM stop WHERE closed_pull = $1 AND actor = $2 AND reason = $3 AND lifted_at IS NULL`,
		number, by, fmt.Sprintf("closed pull request #%d", number))
	if err == nil && n != 1 {
		err = fmt.Errorf("%d holds say that %s closed #%d", n, by, number)
	}
	return err
}

// branchIs wants a branch to stand at a commit; "" wants it gone.
func (w *World) branchIs(branch, want string) error {
	at, err := w.GitHub.Head(envRepo, "refs/heads/"+branch)
	if (err != nil) != (want == "") || at != want {
		return fmt.Errorf("%s stands at %q, not %q", branch, at, want)
	}
	return nil
}

const prodShop = "tagboat/prod/shop"

func closedUntilAsked(s *scene) {
	s.runs("staging", "shop", "3.1.0", s.release("shop", "3.1.0"))
	p := s.asked("prod", "shop", "3.1.0")
	s.checkSays(p.Number, "0 of 2 approvals")
	s.must(s.as("bob").ClosePull(envRepo, p.Number))
	s.until("the branch is gone, and bob reads what that means", func() error {
		return errors.Join(s.w.branchIs(prodShop, ""), s.w.said(p.Number, "bob closed this pull request, so `3.1.0` of **shop** does not go to **prod**", "`/promote prod shop`", "Its branch is deleted"), s.held(p.Number, "bob"))
	})
	s.says("alice", p.Number, "/explain", "rocket", "This promotion is closed.", "bob stopped shop in prod", "/promote prod shop, or /unhold prod shop")
	s.says("carol", s.issue(), "/promote prod shop 3.1.0", "rocket", fmt.Sprintf("bob had closed #%d for shop in prod.", p.Number))
	if again := s.opened("prod", "shop", "3.1.0"); again.Number == p.Number {
		s.Errorf("#%d is open again", p.Number)
	}
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM stop WHERE lifted_at IS NULL`))
}

func reopenedPull(s *scene) {
	p := s.opened("prod", "shop", "3.1.0")
	s.must(s.as("alice").ClosePull(envRepo, p.Number))
	s.until("the branch is gone", func() error { return errors.Join(s.w.branchIs(prodShop, ""), s.held(p.Number, "alice")) })
	if err := s.as("bob").ReopenPull(envRepo, p.Number); err == nil {
		s.Fatal("GitHub reopened a pull request without a branch")
	}
	s.must(s.as("bob").RestoreBranch(envRepo, prodShop, p.HeadSHA))
	s.must(s.as("bob").ReopenPull(envRepo, p.Number))
	s.until("it is asked for again, in the same pull request", func() error {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM promotion WHERE pull_number = $1 AND state = 'open' AND requester = 'bob'`, p.Number)
		if err == nil && n != 1 {
			err = fmt.Errorf("%d promotions are bob's", n)
		}
		return err
	})
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM stop WHERE lifted_at IS NULL`))
	s.approve(p.Number, "bob")
	s.checkSays(p.Number, "0 of 2 approvals", "bob asked for this promotion")
}

func closedWithForeignCommit(s *scene) {
	p := s.opened("prod", "shop", "3.1.0")
	theirs, err := s.as("carol").Push(envRepo, prodShop, "One more thing", map[string]string{"README.md": "changed\n"})
	s.must(err)
	s.checkSays(p.Number, "Blocked by commit", theirs[:12])
	s.must(s.as("carol").ClosePull(envRepo, p.Number))
	s.until("carol reads that her commit is kept", func() error {
		return errors.Join(s.w.said(p.Number, "Its branch `"+prodShop+"` stays, because commit `"+theirs[:7], "has to be deleted"), s.held(p.Number, "carol"))
	})
	s.idle()
	s.must(s.w.branchIs(prodShop, theirs))
	s.must(s.as("carol").DeleteBranch(envRepo, prodShop))
	s.says("alice", s.issue(), "/promote prod shop 3.1.0", "rocket", fmt.Sprintf("carol had closed #%d for shop in prod.", p.Number))
	s.opened("prod", "shop", "3.1.0")
}

func stubbornBranch(s *scene) {
	p := s.opened("prod", "shop", "3.1.0")
	s.checkSays(p.Number, "0 of 2 approvals")
	before := len(s.w.GitHub.Requests())
	const route = "DELETE /repos/{owner}/{repo}/git/refs/{ref}"
	s.w.GitHub.Inject(githubsim.Fault{Route: route, Times: 2, Status: http.StatusBadGateway})
	s.must(s.as("alice").ClosePull(envRepo, p.Number))
	s.until("the branch is gone", func() error { return s.w.branchIs(prodShop, "") })
	s.until("alice is told once", func() error {
		n, err := s.w.told(p.Number, "alice closed this pull request")
		if err == nil && n != 1 {
			err = fmt.Errorf("she is told %d times", n)
		}
		return err
	})
	tried := 0
	for _, r := range s.w.GitHub.Requests()[before:] {
		if r.Route == route && r.App == "tagboat" {
			tried++
		}
	}
	if tried != 3 {
		s.Errorf("it was tried %d times", tried)
	}
	s.asked("prod", "shop", "3.1.0")
}

// closedByTagboat: somebody else's commit brings what the pull request brings. Tagboat
// closes it, and hears nothing of GitHub's answer: that is not a person's closing.
func closedByTagboat(s *scene) {
	p := s.opened("prod", "shop", "3.1.0")
	s.idle()
	s.w.GitHub.Inject(githubsim.Fault{
		Route: "PATCH /repos/{owner}/{repo}/pulls/{number}", Times: 1, Status: http.StatusBadGateway, AfterWork: true,
		Match: func(r githubsim.Request) bool { return r.App == "tagboat" },
	})
	brought, err := s.w.GitHub.File(envRepo, prodShop, "apps/shop/overlays/prod/kustomization.yaml")
	s.must(err)
	s.pushMain("Bring 3.1.0 by hand", map[string]string{"apps/shop/overlays/prod/kustomization.yaml": string(brought)})
	s.until("it is closed, and the branch is gone", func() error {
		now, err := s.w.GitHub.Pull(envRepo, p.Number)
		if err == nil && now.State != "closed" {
			err = fmt.Errorf("it is %s", now.State)
		}
		return errors.Join(err, s.w.branchIs(prodShop, ""))
	})
	s.idle()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM stop WHERE closed_pull = $1`, p.Number))
	if n, _ := s.w.told(p.Number, "closed this pull request"); n != 0 {
		s.Errorf("somebody is told that they closed it")
	}
}
