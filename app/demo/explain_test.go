package demo

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// TestExplain tells of people who ask why nothing moves: in the pull request, in an
// issue, on the command line. All read the same.
func TestExplain(t *testing.T) {
	s := newScene(t)
	s.story("one list, wherever it is read", oneList)
	s.story("where nothing is on its way, what a change would need", nothingOnItsWay)
}

func oneList(s *scene) {
	digest := s.release("payments", "1.7.0")
	pull := s.asked("prod", "payments", "1.7.0").Number
	s.runs("staging", "payments", "1.7.0", digest)
	s.merged("staging", "payments", "1.7.0")
	s.checkSays(pull, "| | What blocks | Reason | Since | Who can unblock it | Next look |", "0 of 2 approvals", "team platform", "on the next event")
	s.idle()
	list := s.list(pull)
	since := s.since(pull, "Approvals")
	talk := s.issue()
	s.says("bob", pull, "/explain", "rocket", "Waiting for", list)
	s.says("bob", talk, "/explain prod payments", "rocket", "Waiting for", list)
	s.commandSays("0 of 2 approvals", "since               "+since, "who can unblock it  ", "next look           on the next event", fmt.Sprintf("/pull/%d", pull))

	// Another reason, but the same answer: it has stood since then.
	s.approve(pull, "bob")
	s.checkSays(pull, "1 of 2 approvals")
	s.idle()
	if now := s.since(pull, "Approvals"); now != since {
		s.Errorf("the approvals are missing since %s, and not since %s", since, now)
	}
	s.commandSays("1 of 2 approvals", since)

	// Who is told since when is not told anew at every look.
	const published = "SELECT count(*) FROM audit WHERE action = 'check published'"
	before, err := s.w.count(s.ctx, published)
	s.must(err)
	s.says("bob", pull, "/hold wait for me", "rocket")
	s.checkSays(pull, "bob stopped payments in prod")
	s.says("bob", pull, "/unhold", "rocket")
	s.until("the hold is off the check", func() error {
		if strings.Contains(s.list(pull), "bob stopped payments") {
			return errors.New("it is on it still")
		}
		return nil
	})
	s.idle()
	after, err := s.w.count(s.ctx, published)
	s.must(err)
	if after != before+2 {
		s.Errorf("the check was published %d times for a hold and its end", after-before)
	}
	s.approve(pull, "carol")
	s.tickAll(pull)
	s.merged("prod", "payments", "1.7.0")
}

func nothingOnItsWay(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/explain prod", "confused", "Which app? Write /explain prod", "catalog, payments, shop")
	s.says("alice", talk, "/explain prd payments", "confused", "Did you mean prod?")
	s.says("alice", talk, "/explain prod pyments", "confused", "pyments has no overlay for prod. Did you mean payments?")
	s.says("oscar", talk, "/explain prod payments", "confused") // outsiders are told nothing

	s.says("alice", talk, "/freeze staging the migration runs", "rocket")
	digest := s.release("catalog", "2.3.1")
	s.runs("dev", "catalog", "2.3.1", digest)
	s.until("catalog 2.3.1 is known not to be in staging", func() error { _, err := s.w.isOpen("staging", "catalog", "2.3.1"); return err })
	s.says("alice", talk, "/explain prod catalog", "rocket",
		"Nothing is on its way for **catalog** in **prod**.", "There never was a promotion.",
		"A person asks for a change: /promote prod catalog.", "It would need: staging runs the same digest", "approvals: 2",
		"catalog is 2.3.1; in Git there is 2.3.0.", "Upstream: staging runs 2.3.0", "dev has 2.3.1", "staging has 2.3.0")
	said, code, err := s.w.command(s.ctx, "explain", "--env", "prod", "--app", "catalog")
	s.must(err)
	for _, want := range []string{"Nothing is on its way for catalog in prod.", "dev has 2.3.1", "staging has 2.3.0"} {
		if code != 0 || !strings.Contains(said, want) {
			s.Errorf("tagboat explain ended with %d and does not say “%s”:\n%s", code, want, said)
		}
	}
	s.says("alice", talk, "/explain staging catalog", "rocket", "alice stopped all of staging")
	s.says("alice", talk, "/thaw staging", "rocket")
	s.merged("staging", "catalog", "2.3.1")
}

// list is what the check run on a pull request shows of the gates.
func (s *scene) list(number int) string {
	s.Helper()
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	return strings.TrimSpace(ownCheck(p).Summary)
}

// since is the time that the check run tells of a gate.
func (s *scene) since(number int, gate string) string {
	s.Helper()
	list := s.list(number)
	row := regexp.MustCompile(`(?m)^\| . \| ` + gate + ` \|.*\| (\d{4}-\d\d-\d\d \d\d:\d\d UTC) \|`).FindStringSubmatch(list)
	if row == nil {
		s.Fatalf("the check does not say since when %s is missing:\n%s", gate, list)
	}
	return row[1]
}

// commandSays wants tagboat explain to say all parts about payments in prod.
func (s *scene) commandSays(parts ...string) {
	s.Helper()
	said, code, err := s.w.command(s.ctx, "explain", "--env", "prod", "--app", "payments")
	s.must(err)
	for _, part := range parts {
		if code != 0 || !strings.Contains(said, part) {
			s.Errorf("tagboat explain ended with %d and does not say “%s”:\n%s", code, part, said)
		}
	}
}
