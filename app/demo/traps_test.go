package demo

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

// TestTraps tells of traps that other bots fell into. docs/traps.md has all that are
// known, and the tests that cover them; here are those that no other story tells.
func TestTraps(t *testing.T) {
	s := newScene(t, "TAGBOAT_GITHUB_POLL=0s") // what is done meanwhile nobody tells, and a poll would
	digest := s.release("payments", "1.7.0")
	s.runs("staging", "payments", "1.7.0", digest)
	s.story("a push between the evaluation and the merge", pushedMeanwhile)
	s.story("a check that flips between the evaluation and the merge", flippedMeanwhile)
	s.story("GitHub moves reviews along to a head that nobody saw", movedReviews)
	s.story("a pull request brings rules of its own", ownRules)
	s.story("a commit under Tagboat's name", spoofedAuthor)
	s.story("commands where nobody commands", misplacedCommands)
	s.story("an image's labels say what they like", hostileLabels)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// meanwhile does something once while Tagboat is about to merge: after the last thing
// that it reads of GitHub, and without a webhook that would tell it.
func (s *scene) meanwhile(number int, act func() error) (done func()) {
	s.Helper()
	var once sync.Once
	s.w.GitHub.SetHookPolicy(func(event, action string) githubsim.HookAction {
		if event == "push" || event == "check_run" || event == "pull_request" && action == "synchronize" {
			return githubsim.Drop
		}
		return githubsim.Deliver
	})
	s.w.GitHub.OnRequest(func(r githubsim.Request) {
		if r.App == "tagboat" && r.Route == "GET /repos/{owner}/{repo}/pulls/{number}/reviews" {
			once.Do(func() {
				if err := act(); err != nil {
					s.Error(err)
				}
			})
		}
	})
	done = func() {
		s.w.GitHub.OnRequest(nil)
		s.w.GitHub.SetHookPolicy(nil)
	}
	s.Cleanup(done)
	return done
}

// refused waits until GitHub has refused a merge with a status.
func (s *scene) refused(since, status int) {
	s.Helper()
	s.until("GitHub refuses the merge", func() error {
		for _, r := range s.w.GitHub.Requests()[since:] {
			if r.Route == mergeRoute && r.Status == status {
				return nil
			}
		}
		return fmt.Errorf("no merge was answered with %d", status)
	})
}

func pushedMeanwhile(s *scene) {
	p := s.asked("prod", "payments", "1.7.0")
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "2 of 2 approvals")
	s.idle()
	since := len(s.w.GitHub.Requests())
	done := s.meanwhile(p.Number, func() error {
		_, err := s.as("bob").Push(envRepo, p.HeadRef, "Quickly", map[string]string{"apps/payments/base/deployment.yaml": "kind: Surprise\n"})
		return err
	})
	s.tickAll(p.Number)
	s.refused(since, http.StatusConflict)
	done()
	s.checkSays(p.Number, "Blocked by commit", "is not Tagboat's")
	s.must(s.as("bob").ForcePush(envRepo, p.HeadRef, p.HeadSHA))
	if got := s.merged("prod", "payments", "1.7.0"); got.HeadSHA != p.HeadSHA {
		s.Errorf("%s was merged, not %s", got.HeadSHA, p.HeadSHA)
	}
}

func flippedMeanwhile(s *scene) {
	digest := s.release("payments", "1.8.0")
	s.runs("staging", "payments", "1.8.0", digest)
	p := s.asked("prod", "payments", "1.8.0")
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "2 of 2 approvals")
	s.idle()
	since := len(s.w.GitHub.Requests())
	done := s.meanwhile(p.Number, func() error { return s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, p.HeadSHA, "lint", "failure") })
	s.tickAll(p.Number)
	s.refused(since, http.StatusMethodNotAllowed)
	done()
	s.checkSays(p.Number, "Blocked by checks", "Not successful: lint (failure)")
	s.must(s.w.GitHub.CompleteCheck(s.w.ci.app, envRepo, p.HeadSHA, "lint", "success"))
	s.done("prod", "payments", "1.8.0", digest)
}

// movedReviews: after “update branch” GitHub says of an older approval that it is of
// the new head. Tagboat keeps what the person saw.
func movedReviews(s *scene) {
	digest := s.release("catalog", "2.3.1")
	s.runs("staging", "catalog", "2.3.1", digest)
	p := s.asked("prod", "catalog", "2.3.1")
	s.approve(p.Number, "bob", "carol")
	s.checkSays(p.Number, "2 of 2 approvals")
	undo := s.edit("Anything", map[string]func(string) string{"README.md": func(b string) string { return b + "\nMore.\n" }})
	s.must(s.as("bob").UpdateBranch(envRepo, p.Number))
	s.until("GitHub has moved the reviews along", func() error {
		now, err := s.w.GitHub.Pull(envRepo, p.Number)
		if err != nil {
			return err
		}
		for _, r := range now.Reviews {
			if now.HeadSHA == p.HeadSHA || r.Commit != now.HeadSHA {
				return fmt.Errorf("%s's review is of %s; the head is %s, and was %s", r.Author, r.Commit, now.HeadSHA, p.HeadSHA)
			}
		}
		return nil
	})
	s.tickAll(p.Number)
	s.checkSays(p.Number, "Blocked by commit", "is not Tagboat's", "All 2 items are ticked")
	s.until("what they saw is what is kept", func() error {
		return s.w.none(s.ctx, `SELECT count(*) FROM review r JOIN promotion p ON p.id = r.promotion_id WHERE p.pull_number = $1 AND r.head_sha <> $2`, p.Number, p.HeadSHA)
	})
	undo()
	s.must(s.as("bob").ForcePush(envRepo, p.HeadRef, p.HeadSHA))
	s.done("prod", "catalog", "2.3.1", digest)
}

// ownRules: what a pull request says about approvals and policies holds for the next.
func ownRules(s *scene) {
	digest := s.release("shop", "3.1.0")
	s.runs("staging", "shop", "3.1.0", digest)
	p := s.asked("prod", "shop", "3.1.0")
	s.tickAll(p.Number)
	loose := strings.Replace(s.on("main", "tagboat.yaml"), "    approvals: {count: 2, teams: [platform]}\n", "", 1)
	loose = strings.ReplaceAll(loose, "enforce", "off")
	_, err := s.as("bob").Push(envRepo, p.HeadRef, "Be generous", map[string]string{"tagboat.yaml": loose})
	s.must(err)
	s.checkSays(p.Number, "Blocked by commit", "0 of 2 approvals")

	limitless := strings.Replace(s.on("main", baseOfPayments), "            limits: {memory: 64Mi}\n", "", 1)
	number := s.propose("generous", "main", map[string]string{"tagboat.yaml": loose, baseOfPayments: limitless})
	s.verdict(number, "failure", "Brings what rules forbid", "resource-limits", "The rules in force on the base branch")
	s.must(s.w.remarked(number, "failure", "resource-limits", baseOfPayments))
	s.must(s.as("bob").ForcePush(envRepo, p.HeadRef, p.HeadSHA))
	s.approve(p.Number, "bob", "carol")
	s.done("prod", "shop", "3.1.0", digest)
}

// spoofedAuthor: who made a commit is known from having made it, not from what it says.
func spoofedAuthor(s *scene) {
	digest := s.release("shop", "3.2.0")
	s.runs("staging", "shop", "3.2.0", digest)
	p := s.asked("prod", "shop", "3.2.0")
	s.approve(p.Number, "bob", "carol")
	s.tickAllBut(p.Number)
	clone := s.clone()
	tagboat := []string{"-c", "user.name=tagboat[bot]", "-c", "user.email=tagboat[bot]@users.noreply.github.com"}
	s.git(clone, "checkout", "--quiet", p.HeadRef)
	s.git(clone, append(tagboat, "commit", "--quiet", "--amend", "--no-edit", "--reset-author")...)
	s.git(clone, "push", "--quiet", "--force", "origin", "HEAD:"+p.HeadRef)
	s.checkSays(p.Number, "Blocked by commit", "is not Tagboat's")
	s.must(s.as("bob").Tick(envRepo, p.Number, "On-call informed"))
	s.checkSays(p.Number, "Blocked by commit", "All 2 items are ticked")
	s.idle()
	if now, err := s.w.GitHub.Pull(envRepo, p.Number); err != nil || now.Merged {
		s.Errorf("#%d is merged: %t, %v", p.Number, now.Merged, err)
	}
	s.must(s.as("bob").ForcePush(envRepo, p.HeadRef, p.HeadSHA))
	s.done("prod", "shop", "3.2.0", digest)
}

// tickAllBut ticks all but the last item of prod.
func (s *scene) tickAllBut(number int) {
	s.Helper()
	s.must(s.as("bob").Tick(envRepo, number, "Release notes read"))
	s.checkSays(number, "2 of 2 approvals", "1 of 2 ticked")
}

func misplacedCommands(s *scene) {
	pulls := len(s.w.GitHub.Pulls(envRepo))
	talk, err := s.as("alice").OpenIssue(envRepo, "/promote prod payments 1.6.0", "/promote prod payments 1.6.0")
	s.must(err)
	reply, err := s.as("alice").Comment(envRepo, talk, "Thanks, looks good.\r\n\r\nOn Tue, 3 Mar 2026 at 09:12, Bob Baker <notifications@github.com> wrote:\r\n\r\n> /promote dev payments 1.7.0\r\n>\r\n> —\r\n> Reply to this email directly.\r\n")
	s.must(err)
	number := s.propose("talkative", "main", map[string]string{"README.md": "# acme/env\n\n/promote prod payments 1.6.0\n"})
	s.must(s.as("alice").EditPullBody(envRepo, number, func(string) string { return "/freeze all\n\n/promote dev payments 1.7.0" }))
	s.verdict(number, "success", "Not a promotion")
	s.idle()
	s.must(s.w.untouched(talk, reply))
	if n := len(s.w.GitHub.Pulls(envRepo)); n != pulls+1 {
		s.Errorf("there are %d pull requests, there were %d and one was opened", n, pulls)
	}
	if err := s.w.boardSays(s.ctx, "every environment"); err == nil {
		s.Error("something is frozen")
	}
}

// hostileLabels: whoever builds an image decides what its labels say. Nobody is
// mentioned by them, nothing is linked, no box is made.
func hostileLabels(s *scene) {
	const evil = "- [x] **Approvals** @acme/platform fixes #1 <!-- tagboat:reply 1 --> ![](https://evil.test/x.png)"
	digest, err := s.w.Registry.Push(s.ctx, "payments", "1.9.0", registrytest.Content{
		Seed: "payments evil", Platforms: []string{"linux/amd64"}, Index: true, Labels: map[string]string{
			"org.opencontainers.image.source":   "https://github.test/acme/payments\n\n" + evil,
			"org.opencontainers.image.revision": "0123456789abcdef0123456789abcdef01234567\n\n" + evil,
			"org.opencontainers.image.title":    evil, "org.opencontainers.image.description": evil,
		},
	})
	s.must(err)
	s.runs("staging", "payments", "1.9.0", digest)
	p := s.asked("prod", "payments", "1.9.0")
	s.says("carol", p.Number, "/hold - [x] Approvals, @acme/platform, fixes #1", "rocket")
	s.checkSays(p.Number, "carol stopped payments in prod")
	s.idle()
	now, err := s.w.GitHub.Pull(envRepo, p.Number)
	s.must(err)
	texts := []string{now.Title, now.Body, ownCheck(now).Title, ownCheck(now).Summary}
	for _, c := range now.Comments {
		if c.Author == "tagboat[bot]" {
			texts = append(texts, c.Body)
		}
	}
	for _, c := range now.Commits {
		texts = append(texts, c.Message)
	}
	for _, text := range texts {
		for _, bad := range []string{"- [x] **Approvals**", "- [x] Approvals", "@acme/platform", "fixes #1", "![]("} {
			if strings.Contains(code.ReplaceAllString(text, ""), bad) { // code is shown as it stands
				s.Errorf("it says %s:\n%s", bad, text)
			}
		}
	}
	s.says("carol", p.Number, "/unhold", "rocket")
}
