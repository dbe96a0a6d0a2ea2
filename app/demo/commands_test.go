package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestWhatPeopleCommand tells of who may command what, and of the commands that tell
// what there is, or have it looked at again.
func TestWhatPeopleCommand(t *testing.T) {
	s := newScene(t, "TAGBOAT_GITHUB_POLL=0s") // what is made up for by a command, and not by that
	s.w.GitHub.AddUser("erin", "Erin Eaton")
	s.must(s.w.GitHub.SetRole(envRepo, "erin", "triage"))
	s.w.GitHub.AddTeam(org, "sre", "bob")
	s.story("outsiders are told nothing", outsiders)
	s.story("a slip of the pen is asked about once", slipsOfThePen)
	s.story("a comment that is gone asks for nothing", deletedComment)
	s.story("what runs where, and what would change", statusAndDiff)
	s.story("an app is held by its name, from anywhere", heldByName)
	s.story("the merged pull request of an application", onTheSource)
	s.story("a webhook that was lost is made up for", lookedAtAgain)
	s.story("tagboat.yaml keeps a command to some people", narrowedCommands)
}

func outsiders(s *scene) {
	talk := s.issue()
	for _, body := range []string{"/help", "/promote prod payments 1.6.0", "/promote nowhere", "/promte prod", "/promote", "/status", "/hold prod payments", strings.Repeat("/help\n", 9)} {
		s.says("oscar", talk, body, "confused")
	}
	// Somebody who may do a little is told what, and hears of no environment before.
	s.says("erin", talk, "/promote nowhere", "confused", "Only people with write permission on acme/env can use /promote; erin has “triage”. Ask one of them.")
	s.says("erin", talk, "/hold nowhere nothing", "confused", "Only people with write permission on acme/env can use /hold;")
	s.says("erin", talk, "/status prod payments", "rocket", "`1.6.0`")
	s.says("erin", talk, "/help", "rocket", "`/status [env] [app]`", "more, for people who may do more here")
	if text := s.lastAnswer(talk); strings.Contains(text, "/promote") || strings.Contains(text, "/freeze") {
		s.Errorf("the help shows erin what she may not use: %s", text)
	}
}

// lastAnswer is what Tagboat said last.
func (s *scene) lastAnswer(number int) (text string) {
	s.Helper()
	all, err := s.w.comments(number)
	s.must(err)
	for _, c := range all {
		if strings.Contains(c.Body, "<!-- tagboat:reply ") {
			text = c.Body
		}
	}
	return text
}

func slipsOfThePen(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/promte prod payments", "confused", "did you mean /promote?")
	s.says("alice", talk, "/promte prod payments\n/promot", "confused")
	s.says("bob", talk, "/promte prod payments", "confused", "did you mean /promote?")
	s.says("alice", talk, "/statu\n/statsu", "confused", "did you mean /status?")
	s.says("alice", s.issue(), "/promte prod payments", "confused", "did you mean /promote?")
}

// deletedComment: somebody thought better of it, before Tagboat heard of it.
func deletedComment(s *scene) {
	talk := s.issue()
	s.w.GitHub.SetHookPolicy(func(event, action string) githubsim.HookAction {
		if event == "issue_comment" && action == "created" {
			return githubsim.Hold
		}
		return githubsim.Deliver
	})
	id, err := s.as("alice").Comment(envRepo, talk, "/freeze prod\n/promote prod payments 9.9.9\x00")
	s.must(err)
	s.must(s.as("alice").DeleteComment(envRepo, id))
	s.w.GitHub.SetHookPolicy(nil)
	s.w.GitHub.ReleaseHeld(false)
	s.until("it is known to be gone", func() error {
		return s.w.none(s.ctx, `SELECT 1 - count(*) FROM command WHERE outcome = 'withdrawn'`)
	})
	s.idle()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM stop WHERE lifted_at IS NULL`))
}

func statusAndDiff(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/status", "rocket", "| App | Environment |", "payments | dev", "catalog | staging", "shop | prod")
	s.says("alice", talk, "/status prd", "confused", "Nothing is known to run in prd. Did you mean prod? Something does in: dev, staging, prod.")
	s.says("alice", talk, "/status prod pyments", "confused", "pyments is not known to run there. Did you mean payments?")
	s.says("alice", talk, "/diff", "confused", "This is not a pull request of Tagboat's.")
	s.says("alice", talk, "/diff prod shop", "rocket", "prod has `3.0.0` already; there is nothing to change.")

	digest := s.release("catalog", "2.3.1")
	s.runs("staging", "catalog", "2.3.1", digest)
	s.until("staging is known to have it", func() error {
		return s.w.none(s.ctx, `SELECT 1 - count(*) FROM target WHERE app = 'catalog' AND env = 'staging' AND tag = '2.3.1' AND state = 'healthy'`)
	})
	s.says("bob", talk, "/diff prod catalog", "rocket", "**catalog** in **prod**, from `2.3.0` to `2.3.1`, if somebody asked for it: `/promote prod catalog 2.3.1`", "2.3.1", "<details><summary>Diff</summary>", "```diff")
	pull := s.asked("prod", "catalog", "2.3.1").Number
	s.says("bob", pull, "/diff", "rocket", fmt.Sprintf("from `2.3.0` to `2.3.1` (#%d).", pull), "```diff")
	s.says("bob", pull, "/status", "rocket", "catalog | dev", fmt.Sprintf("`2.3.1` (#%d, open)", pull))
	if text := s.lastAnswer(pull); strings.Contains(text, "payments") {
		s.Errorf("on its pull request an app is meant, not all: %s", text)
	}
	s.says("bob", pull, "/status staging", "rocket", "payments | staging", "catalog | staging")
	s.says("bob", talk, strings.Repeat("/diff prod catalog\n", 5), "rocket", "```diff")
}

func heldByName(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/hold prod", "confused", unescaped("Which app? Write /hold prod <app>; the apps of prod are: catalog, payments, shop."))
	s.says("alice", talk, "/hold prod pyments until noon", "confused", "\"pyments\" is no app of prod. Did you mean payments?")
	s.says("alice", talk, "/hold prod payments until noon, @bob", "rocket", "payments in prod is on hold (“until noon, @&#8203;bob”). `/unhold prod payments` lifts that.")
	s.says("alice", talk, "/explain prod payments", "rocket", "alice stopped payments in prod")
	s.says("alice", talk, "/unhold prod shop", "confused", "shop in prod is not on hold.")
	s.says("alice", talk, "/unhold prod payments", "rocket", "payments in prod is not on hold any more.")
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM stop WHERE lifted_at IS NULL`))
}

// onTheSource: whoever merged a change to an application goes on from there.
func onTheSource(s *scene) {
	const source = org + "/shop"
	_, err := s.as("alice").Push(source, "faster", "Be faster", map[string]string{"fast": "yes\n"})
	s.must(err)
	pull, err := s.as("alice").OpenPull(source, "faster", "main", "Be faster", "")
	s.must(err)
	s.saysIn(source, "alice", pull, "/promote prod", "confused", "This pull request is not merged, so nothing was built from it")
	merged, err := s.as("alice").MergePull(source, pull, "squash")
	s.must(err)
	s.saysIn(source, "alice", pull, "/promote prod", "confused", "No verified image is known to be built from "+merged[:12])

	digest, err := s.w.pushImage(s.ctx, "shop", "3.1.0", "3.1.0", merged)
	s.must(err)
	s.runs("staging", "shop", "3.1.0", digest)
	s.saysIn(source, "alice", pull, "/status", "rocket", "shop | dev", "shop | prod")
	s.saysIn(source, "alice", pull, "/hold prod not before noon", "rocket", "shop in prod is on hold (“not before noon”).")
	s.saysIn(source, "alice", pull, "/unhold prod", "rocket", "shop in prod is not on hold any more.")
	s.saysIn(source, "alice", pull, "/promote prod", "rocket")
	s.opened("prod", "shop", "3.1.0")
	s.saysIn(source, "alice", pull, "/explain prod", "rocket", "**shop** `3.1.0` in **prod**")
	s.saysIn(source, "oscar", pull, "/promote prod", "confused")

	// Who may write to an application may not, for that, write to production.
	s.must(s.w.GitHub.SetRole(source, "erin", "admin"))
	s.saysIn(source, "erin", pull, "/promote prod", "confused", "Only people with write permission on acme/env can use /promote; erin has “triage”.")
}

// lookedAtAgain: CI is done, and nobody tells.
func lookedAtAgain(s *scene) {
	s.w.GitHub.SetHookPolicy(func(event, _ string) githubsim.HookAction {
		if event == "check_run" || event == "check_suite" || event == "status" {
			return githubsim.Drop
		}
		return githubsim.Deliver
	})
	s.release("payments", "1.7.0")
	pull := s.opened("dev", "payments", "1.7.0").Number
	s.checkSays(pull, "lint")
	s.idle()
	s.w.GitHub.SetHookPolicy(nil)
	s.says("bob", pull, "/retry", "rocket")
	s.merged("dev", "payments", "1.7.0")
	talk := s.issue()
	s.says("bob", talk, "/retry dev shop", "rocket", "Looking again at shop in dev: promotions on their way 0, clusters 1.")
	s.says("bob", talk, "/retry", "confused", "This is not a pull request of Tagboat's.")
	s.says("bob", talk, "/retry dev", "confused", unescaped("Which app? Write /retry dev <app>"))
}

func narrowedCommands(s *scene) {
	s.edit("Keep prod to some", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    checks: [lint, security-scan]\n", "    checks: [lint, security-scan]\n    commands: {promote: {role: maintain}, freeze: {teams: [sre], users: [alice]}}\n", 1)
	}})
	s.idle()
	talk := s.issue()
	s.says("carol", talk, "/promote prod payments", "confused", "In prod only people with maintain permission can use /promote, says tagboat.yaml; carol cannot. Ask one of them.")
	s.says("carol", talk, "/promote dev payments 1.7.0", "rocket", "dev has `1.7.0` already")
	s.says("carol", talk, "/freeze prod", "confused", "In prod only team sre and alice can use /freeze, says tagboat.yaml; carol cannot.")
	s.says("carol", talk, "/freeze all", "confused", "In prod only team sre and alice can use /freeze")
	s.says("carol", talk, "/help", "rocket", "For you only in dev, staging.")
	s.says("alice", talk, "/freeze prod", "rocket")
	s.says("bob", talk, "/freeze prod 4h", "rocket")
	s.says("carol", talk, "/thaw prod", "rocket") // says nothing of it

	// What GitHub says now counts, not what it said before.
	s.must(s.w.GitHub.SetRole(envRepo, "carol", "maintain"))
	s.says("carol", talk, "/promote prod payments 1.6.0", "rocket", "prod has `1.6.0` already")
	s.w.GitHub.RemoveTeamMember(org, "sre", "bob")
	s.says("bob", talk, "/freeze prod", "confused", "In prod only team sre and alice can use /freeze")
}
