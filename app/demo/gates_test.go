package demo

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhatKeepsAPullRequestWaiting tells of merges that GitHub refuses, of checks,
// and of what people do to a pull request while it waits.
func TestWhatKeepsAPullRequestWaiting(t *testing.T) {
	s := newScene(t)
	s.story("a check of the wrong App does not count, one that is run again does", checksThatChange)
	s.story("GitHub refuses a merge that it allows a moment later", refusedMerges)
	s.story("a protection that wants the newest base", strictProtection)
	s.story("somebody else's commit on our branch", foreignCommit)
	s.story("the description is tampered with", tamperedBody)
	s.story("a pull request is pointed at another branch", retargetedPull)
	s.story("a person closes a pull request", closedByAPerson)
	s.story("a newer version takes the pull request over", newerVersion)
	s.story("reviews that do not count, or do no longer", reviewsThatDoNotCount)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

func checksThatChange(s *scene) {
	impostor, err := s.w.GitHub.AddApp(githubsim.AppSpec{Slug: "impostor", Name: "Impostor", Owner: org, Permissions: map[string]string{"checks": "write"}})
	s.must(err)
	_, err = s.w.GitHub.Install(impostor.ID, org, "env")
	s.must(err)
	s.w.ci.judge(func(e githubsim.Event, check string) string {
		if check == "lint" {
			return "failure"
		}
		return "success"
	})
	defer s.w.ci.judge(nil)
	shop := s.release("shop", "3.1.0")
	p := s.opened("dev", "shop", "3.1.0")
	s.checkSays(p.Number, "Blocked by checks", "Not successful: lint (failure)", "run the check again")

	s.must(s.w.GitHub.CompleteCheck(impostor.ID, envRepo, p.HeadSHA, "lint", "success"))
	s.idle()
	s.must(s.w.checkSays(p.Number, "Blocked by checks", "Not successful: lint (failure)"))

	s.must(s.as("bob").RerunCheck(envRepo, checkOf(s, p.Number, "acme-ci", "lint").ID))
	s.must(s.w.GitHub.StartCheck(s.w.ci.app, envRepo, p.HeadSHA, "lint"))
	s.checkSays(p.Number, "Waiting for 1 check")
	s.must(s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, p.HeadSHA, "lint", "success"))
	s.merged("dev", "shop", "3.1.0")
	s.w.ci.judge(nil)
	s.done("staging", "shop", "3.1.0", shop)
}

// checkOf is an App's check run on a pull request's head.
func checkOf(s *scene, number int, app, name string) githubsim.CheckView {
	s.Helper()
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	for _, c := range p.Checks {
		if c.App == app && c.Name == name {
			return c
		}
	}
	s.Fatalf("#%d has no check %s of %s: %v", number, name, app, p.Checks)
	return githubsim.CheckView{}
}

const mergeRoute = "PUT /repos/{owner}/{repo}/pulls/{number}/merge"

func refusedMerges(s *scene) {
	before := len(s.w.GitHub.Requests())
	s.w.GitHub.Inject(githubsim.Fault{
		Route: mergeRoute, Times: 2, Status: http.StatusMethodNotAllowed,
		Body: `{"message":"Base branch was modified. Review and try the merge again.","documentation_url":"https://docs.github.com/rest"}`,
	})
	s.w.GitHub.Inject(githubsim.Fault{
		Route: mergeRoute, Times: 1, Status: http.StatusConflict,
		Body: `{"message":"Head branch was modified. Review and try the merge again.","documentation_url":"https://docs.github.com/rest"}`,
	})
	payments := s.release("payments", "1.7.0")
	s.merged("dev", "payments", "1.7.0")
	for _, env := range []string{"dev", "staging"} {
		s.done(env, "payments", "1.7.0", payments)
	}
	answers := map[int]int{}
	for _, r := range s.w.GitHub.Requests()[before:] {
		if r.Route == mergeRoute {
			answers[r.Status]++
		}
	}
	if answers[405] != 2 || answers[409] != 1 || answers[200] != 2 {
		s.Errorf("GitHub answered merges with %v", answers)
	}
}

func strictProtection(s *scene) {
	first := s.asked("prod", "payments", "1.7.0")
	s.approve(first.Number, "bob", "carol")
	s.checkSays(first.Number, "2 of 2 approvals")

	strict := s.w.ci.protection
	strict.Strict = true
	s.must(s.w.GitHub.Protect(envRepo, "main", strict))
	defer func() { s.must(s.w.GitHub.Protect(envRepo, "main", s.w.ci.protection)) }()
	catalog := s.release("catalog", "2.3.1") // moves main, twice
	s.runs("staging", "catalog", "2.3.1", catalog)
	s.tickAll(first.Number)
	running, err := s.w.Running(s.ctx)
	s.must(err)
	p := s.done("prod", "payments", "1.7.0", running["staging"]["payments"].Digest)
	if p.Number != first.Number || p.HeadSHA == first.HeadSHA {
		s.Errorf("#%d was merged at %s; it was #%d at %s, behind main", p.Number, p.HeadSHA, first.Number, first.HeadSHA)
	}
	if len(p.Reviews) != 2 {
		s.Errorf("%d reviews were needed; the edit is the same, so two are enough", len(p.Reviews))
	}
}

func foreignCommit(s *scene) {
	p := s.asked("prod", "shop", "3.1.0")
	s.approve(p.Number, "carol")
	s.checkSays(p.Number, "1 of 2 approvals")
	theirs, err := s.as("bob").Push(envRepo, p.HeadRef, "One more thing", map[string]string{"README.md": "changed\n"})
	s.must(err)
	s.checkSays(p.Number, "Blocked by commit", theirs[:12], "is not Tagboat's", "Remove it from the branch", "whoever pushed it")
	s.approve(p.Number, "bob")
	s.tickAll(p.Number)
	s.idle()
	s.must(s.w.checkSays(p.Number, "Blocked by commit"))

	s.must(s.as("bob").ForcePush(envRepo, p.HeadRef, p.HeadSHA))
	s.checkSays(p.Number, "1 of 2 approvals", "bob's approval does not count", "All 2 items are ticked")
	s.approve(p.Number, "bob")
	got := s.merged("prod", "shop", "3.1.0")
	if got.HeadSHA != p.HeadSHA {
		s.Errorf("%s was merged, not our commit %s", got.HeadSHA, p.HeadSHA)
	}
}

func tamperedBody(s *scene) {
	p := s.asked("prod", "catalog", "2.3.1")
	s.until("the description shows the gates", func() error { return s.bodyHas(p.Number, "**Approvals**", "0 of 2 approvals") })
	s.idle()
	body := s.body(p.Number)
	restored := func(what string) {
		s.Helper()
		s.until(what+" is rendered back", func() error {
			if now := s.body(p.Number); now != body {
				return fmt.Errorf("it reads now:\n%s\nand not:\n%s", now, body)
			}
			return nil
		})
	}
	for what, edit := range map[string]func(string) string{
		"a machine item that a person ticked": func(b string) string {
			return strings.Replace(b, "- [ ] **Approvals**", "- [x] **Approvals**", 1)
		},
		"a human item that was removed": func(b string) string {
			from := strings.Index(b, "- [ ] On-call informed")
			return b[:from] + b[from+strings.Index(b[from:], "\n")+1:]
		},
		"a human item that was added": func(b string) string {
			return strings.Replace(b, "- [ ] On-call informed", "- [x] Everything is fine\n- [ ] On-call informed", 1)
		},
		"an empty description": func(string) string { return "" },
	} {
		s.must(s.as("bob").EditPullBody(envRepo, p.Number, func(b string) string {
			if edit(b) == b {
				s.Fatalf("%s: nothing changes in\n%s", what, b)
			}
			return edit(b)
		}))
		restored(what)
	}
	s.must(s.as("bob").EditPullTitle(envRepo, p.Number, "prod: shop 9.9.9"))
	s.until("the title is rendered back", func() error {
		now, err := s.w.GitHub.Pull(envRepo, p.Number)
		if err == nil && now.Title != p.Title {
			err = fmt.Errorf("it is “%s”", now.Title)
		}
		return err
	})
	s.idle()
	s.must(s.w.checkSays(p.Number, "0 of 2 ticked"))

	s.must(s.as("carol").Tick(envRepo, p.Number, "On-call informed"))
	s.checkSays(p.Number, "1 of 2 ticked; open: “Release notes read”")
	s.idle()
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM tick JOIN promotion p ON p.id = promotion_id
		WHERE p.pull_number = $1 AND checked AND actor = 'carol' AND item LIKE 'on-call-informed%'`, p.Number); err != nil || n != 1 {
		s.Errorf("%d ticks of carol's are recorded, %v", n, err)
	}
	s.must(s.bodyHas(p.Number, "- [x] On-call informed"))
	s.must(s.as("alice").ClosePull(envRepo, p.Number))
}

func (s *scene) body(number int) string {
	s.Helper()
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	return p.Body
}

func (s *scene) bodyHas(number int, parts ...string) error {
	p, err := s.w.GitHub.Pull(envRepo, number)
	for _, part := range parts {
		if err == nil && !strings.Contains(p.Body, part) {
			err = fmt.Errorf("the description lacks “%s”:\n%s", part, p.Body)
		}
	}
	return err
}

func retargetedPull(s *scene) {
	_, err := s.as("bob").Push(envRepo, "elsewhere", "A branch without protection", map[string]string{"README.md": "Elsewhere.\n"})
	s.must(err)
	s.w.ci.judge(func(githubsim.Event, string) string { return "" })
	defer s.w.ci.judge(nil)
	digest := s.release("catalog", "2.3.2")
	p := s.opened("dev", "catalog", "2.3.2")
	s.must(s.as("bob").RetargetPull(envRepo, p.Number, "elsewhere"))
	s.must(s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, p.HeadSHA, "lint", "success"))
	s.boardSays("was pointed at branch elsewhere, but dev is deployed from main. Point it back")
	s.w.ci.judge(nil)
	s.must(s.as("bob").RetargetPull(envRepo, p.Number, "main"))
	s.done("dev", "catalog", "2.3.2", digest)
}

func closedByAPerson(s *scene) {
	s.w.ci.judge(func(githubsim.Event, string) string { return "" })
	defer s.w.ci.judge(nil)
	digest := s.release("payments", "1.7.1")
	p := s.opened("dev", "payments", "1.7.1")
	s.checkSays(p.Number, "Waiting for 1 check")
	s.must(s.as("alice").ClosePull(envRepo, p.Number))
	s.boardSays(fmt.Sprintf("alice closed pull request #%d. Tagboat opens nothing for payments in dev until somebody asks again", p.Number))

	// It is announced again by CI, and every look at main finds that it is followed.
	s.must(s.w.callback(s.ctx, fmt.Appendf(nil, `{"image":%q,"tag":"1.7.1","digest":%q,"run":{"url":"https://ci.acme.test/2"}}`, imageHost+"/payments", digest)))
	undo := s.edit("Anything", map[string]func(string) string{"README.md": func(b string) string { return b + "\nMore.\n" }})
	undo()
	s.idle()
	if now, err := s.w.pullTo("dev", "payments", "1.7.1"); err != nil || now.Number != p.Number || now.State != "closed" {
		s.Errorf("#%d is %s, %v; #%d was closed by a person", now.Number, now.State, err, p.Number)
	}

	// Nor is anything newer, until somebody lifts the hold.
	s.w.ci.judge(nil)
	newer := s.release("payments", "1.7.2")
	s.idle()
	if now, err := s.w.pullTo("dev", "payments", "1.7.2"); err == nil {
		s.Errorf("#%d was opened, but alice closed #%d", now.Number, p.Number)
	}
	s.says("bob", p.Number, "/explain dev payments", "rocket", "alice stopped payments in dev", "/unhold")
	s.says("bob", p.Number, "/unhold", "rocket")
	if next := s.merged("dev", "payments", "1.7.2"); next.Number == p.Number {
		s.Errorf("#%d was closed by a person and is used again", p.Number)
	}
	s.runs("staging", "payments", "1.7.2", newer)
}

func newerVersion(s *scene) {
	p := s.asked("prod", "payments", "1.7.2")
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "2 of 2 approvals")
	digest := s.release("payments", "1.8.0")
	s.runs("staging", "payments", "1.8.0", digest)
	s.says("alice", s.issue(), "/promote prod payments 1.8.0", "rocket", fmt.Sprintf("`1.8.0` goes into the pull request that is open already: #%d.", p.Number))
	now := s.opened("prod", "payments", "1.8.0")
	if now.Number != p.Number {
		s.Fatalf("#%d was opened beside #%d", now.Number, p.Number)
	}
	s.checkSays(p.Number, "0 of 2 approvals")
	s.until("the supersession is shown", func() error { return s.bodyHas(p.Number, "Replaces", "`1.7.2`") })
	now, err := s.w.GitHub.Pull(envRepo, p.Number)
	s.must(err)
	if now.HeadSHA == p.HeadSHA || len(now.Commits) != 1 || now.Title != "prod: payments 1.7.0 → 1.8.0" {
		s.Errorf("“%s”, %d commits, head %s (was %s)", now.Title, len(now.Commits), now.HeadSHA, p.HeadSHA)
	}
	s.tickAll(p.Number)
	s.idle()
	s.must(s.w.checkSays(p.Number, "0 of 2 approvals", "All 2 items are ticked"))
	s.approve(p.Number, "bob", "carol")
	s.done("prod", "payments", "1.8.0", digest)
}

func reviewsThatDoNotCount(s *scene) {
	digest := s.release("shop", "3.2.0")
	s.runs("staging", "shop", "3.2.0", digest)
	number := s.asked("prod", "shop", "3.2.0").Number
	s.tickAll(number)
	s.approve(number, "oscar")
	s.checkSays(number, "0 of 2 approvals", "oscar is not in team platform")

	dismissed, err := s.as("bob").Review(envRepo, number, "APPROVE", "")
	s.must(err)
	s.checkSays(number, "1 of 2 approvals (bob)")
	s.must(s.as("alice").DismissReview(envRepo, number, dismissed, "Please look again."))
	s.checkSays(number, "0 of 2 approvals.")

	_, err = s.as("carol").Review(envRepo, number, "REQUEST_CHANGES", "Not on a Friday.")
	s.must(err)
	s.checkSays(number, "Blocked by approvals", "carol asked for changes.")
	s.approve(number, "bob")
	s.checkSays(number, "Blocked by approvals", "1 of 2 approvals (bob)")
	_, err = s.as("carol").Review(envRepo, number, "COMMENT", "Hm.")
	s.must(err)
	s.idle()
	s.must(s.w.checkSays(number, "Blocked by approvals"))
	s.approve(number, "carol")
	s.done("prod", "shop", "3.2.0", digest)
}
