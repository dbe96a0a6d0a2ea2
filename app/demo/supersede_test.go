package demo

import (
	"errors"
	"fmt"
	"testing"

	"golang.org/x/sync/errgroup"
)

// TestWhatTakesAnothersPlace tells of versions that take the place of others in the
// pull request that is open: what of the approvals is left, and who hears of it.
func TestWhatTakesAnothersPlace(t *testing.T) {
	s := newScene(t)
	s.story("a newer build arrives while the approvals are half complete", halfApproved)
	s.story("two people ask for different versions at the same moment", askedAtOnce)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// asks comments as a person in an issue of their own, and tells where.
func (s *scene) asks(login, body string) (issue int, comment int64) {
	s.Helper()
	issue, err := s.as(login).OpenIssue(envRepo, "Please", "")
	s.must(err)
	comment, err = s.as(login).Comment(envRepo, issue, body)
	s.must(err)
	return issue, comment
}

// hears waits until Tagboat has said all parts in an issue, once.
func (s *scene) hears(issue int, parts ...string) {
	s.Helper()
	s.until("it is told where it was asked for", func() error {
		if n, err := s.w.told(issue, parts...); err != nil || n != 1 {
			return fmt.Errorf("%d comments say it, %w", n, err)
		}
		return nil
	})
}

func halfApproved(s *scene) {
	old := s.release("payments", "1.7.0")
	s.runs("staging", "payments", "1.7.0", old)
	talk, comment := s.asks("alice", "/promote prod payments 1.7.0")
	p := s.opened("prod", "payments", "1.7.0")
	s.approve(p.Number, "bob")
	s.checkSays(p.Number, "1 of 2 approvals (bob).")
	s.until("the description tells where alice asked", func() error {
		return s.bodyHas(p.Number, fmt.Sprintf("alice [here](%s/acme/env/issues/%d#issuecomment-%d)", s.w.GitHub.URL(), talk, comment))
	})

	digest := s.release("payments", "1.7.1")
	s.runs("staging", "payments", "1.7.1", digest)
	s.says("carol", s.issue(), "/promote prod payments 1.7.1", "rocket",
		fmt.Sprintf("`1.7.1` goes into the pull request that is open already: #%d. It takes the place of `1.7.0`, which alice asked for.", p.Number))
	s.until("bob reads why his approval is gone", func() error {
		return s.w.reviewOf(p.Number, "bob", "DISMISSED", old[:19], "payments 1.7.1", digest[:19], "which carol asked for")
	})
	s.checkSays(p.Number, "0 of 2 approvals.", "bob approved another digest. It is dismissed on GitHub, too.")
	s.hears(talk, "`1.7.0` of **payments** does not go to **prod** now: carol asked for `1.7.1`", fmt.Sprintf("pull request %d", p.Number))
	s.until("the history is in the description", func() error {
		return s.bodyHas(p.Number, "| Requested by | carol [here]", fmt.Sprintf("| Replaces | [`1.7.0`](%s/acme/env/commit/%s) (`%s`), which alice asked for [here](%s/acme/env/issues/%d#issuecomment-%d), until 20",
			s.w.GitHub.URL(), p.HeadSHA, old[:19], s.w.GitHub.URL(), talk, comment))
	})

	s.tickAll(p.Number)
	s.approve(p.Number, "alice", "carol") // carol asked for this one, alice for the other
	s.checkSays(p.Number, "1 of 2 approvals (alice).", "carol asked for this promotion")
	s.approve(p.Number, "bob")
	if merged := s.done("prod", "payments", "1.7.1", digest); merged.Number != p.Number || len(merged.Commits) != 1 {
		s.Errorf("#%d was merged with %d commits; #%d was opened", merged.Number, len(merged.Commits), p.Number)
	}
}

func askedAtOnce(s *scene) {
	versions := map[string]string{"alice": "2.3.1", "bob": "2.3.2"}
	digests := map[string]string{}
	for login, tag := range versions {
		digests[login] = s.release("catalog", tag)
	}
	var said errgroup.Group
	issues, comments := map[string]int{"alice": s.issue(), "bob": s.issue()}, map[string]*int64{"alice": new(int64), "bob": new(int64)}
	for login, tag := range versions {
		said.Go(func() (err error) {
			*comments[login], err = s.as(login).Comment(envRepo, issues[login], "/promote prod catalog "+tag)
			return err
		})
	}
	s.must(said.Wait())
	s.until("both are obeyed", func() error {
		return errors.Join(s.w.reactedIn(issues["alice"], *comments["alice"], "eyes", "rocket"), s.w.reactedIn(issues["bob"], *comments["bob"], "eyes", "rocket"))
	})
	s.idle()

	// The one that was accepted last is carried; who asked for the other knows.
	first, last := "alice", "bob"
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM promotion WHERE app = 'catalog' AND env = 'prod' AND requester = 'alice' AND state IN ('proposed', 'open')`); err != nil || n == 1 {
		s.must(err)
		first, last = last, first
	}
	p := s.opened("prod", "catalog", versions[last])
	s.hears(issues[first], fmt.Sprintf("`%s` of **catalog** does not go to **prod** now: %s asked for `%s`", versions[first], last, versions[last]), "/promote prod catalog "+versions[first])
	s.hears(issues[last], fmt.Sprintf("takes the place of `%s`, which %s asked for.", versions[first], first))
	s.until("the pull request tells whose place it took", func() error {
		return s.bodyHas(p.Number, "| Requested by | "+last, "`"+versions[first]+"`", "which "+first+" asked for")
	})
	if n := s.w.pullsOf("tagboat/prod/catalog"); n != 1 {
		s.Errorf("there are %d pull requests", n)
	}
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM promotion WHERE app = 'catalog' AND env = 'prod'`); err != nil || n != 2 {
		s.Errorf("%d requests are written down, %v", n, err)
	}
}

// pullsOf counts the pull requests that a branch ever had.
func (w *World) pullsOf(branch string) (n int) {
	for _, p := range w.GitHub.Pulls(envRepo) {
		if p.HeadRef == branch {
			n++
		}
	}
	return n
}

// reactedIn wants reactions on a comment.
func (w *World) reactedIn(number int, comment int64, want ...string) error {
	all, err := w.comments(number)
	if err != nil {
		return err
	}
	got := map[string]bool{}
	for _, c := range all {
		for _, r := range c.Reactions {
			got[r.Content] = got[r.Content] || c.ID == comment
		}
	}
	for _, reaction := range want {
		if !got[reaction] {
			return fmt.Errorf("the comment has no %s", reaction)
		}
	}
	return nil
}
