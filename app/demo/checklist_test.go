package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestTheChecklist tells of who may tick, and of those who tick all the same.
func TestTheChecklist(t *testing.T) {
	s := newScene(t)
	s.story("a tick counts when somebody makes it who may", whoseTicksCount)
	s.story("a tick that comes late is not for the next version", ticksThatComeLate)
	s.story("a bot ticks, and it is as if nobody had", ticksOfBots)
	s.story("the template is the base branch's", templateOfTheBase)
}

func whoseTicksCount(s *scene) {
	s.w.GitHub.AddTeam(org, "oncall", "carol")
	s.edit("On-call ticks", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    approvals: {count: 2, teams: [platform]}\n", "    approvals: {count: 1, teams: [platform]}\n    checklist: {teams: [oncall], users: [alice]}\n", 1)
	}})
	digest := s.release("payments", "1.7.0")
	s.runs("staging", "payments", "1.7.0", digest)
	pull := s.asked("prod", "payments", "1.7.0").Number
	s.approve(pull, "bob")
	s.checkSays(pull, "0 of 2 ticked", "team oncall, alice", "1 of 1 approvals")

	s.must(s.as("bob").Tick(envRepo, pull, "On-call informed"))
	s.checkSays(pull, "0 of 2 ticked; open: “Release notes read”, “On-call informed” (bob ticked it, which does not count: only team oncall, alice may).")
	s.until("bob's tick is taken back", func() error { return s.bodyHas(pull, "- [ ] On-call informed") })
	s.must(s.as("carol").Tick(envRepo, pull, "On-call informed"))
	s.checkSays(pull, "1 of 2 ticked; open: “Release notes read”.")
	s.until("carol's stays", func() error { return s.bodyHas(pull, "- [x] On-call informed") })

	// Who leaves the team takes the tick along, at the latest before the merge.
	s.w.GitHub.RemoveTeamMember(org, "oncall", "carol")
	s.must(s.as("alice").Tick(envRepo, pull, "Release notes read"))
	s.checkSays(pull, "(carol ticked it, which does not count: only team oncall, alice may)")
	s.idle()
	s.must(s.w.checkSays(pull, "1 of 2 ticked"))
	s.until("carol's is taken back", func() error { return s.bodyHas(pull, "- [ ] On-call informed", "- [x] Release notes read") })
	s.must(s.as("alice").Tick(envRepo, pull, "On-call informed"))
	s.done("prod", "payments", "1.7.0", digest)

	for who, want := range map[string]int{"bob": 1, "carol": 1, "alice": 2} {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM tick t JOIN promotion p ON p.id = t.promotion_id
			WHERE p.pull_number = $1 AND t.actor = $2 AND t.checked AND t.at > now() - interval '10 minutes'`, pull, who)
		if err != nil || n != want {
			s.Errorf("%d ticks of %s's are recorded, %v", n, who, err)
		}
	}
	if n, err := s.w.count(s.ctx, `SELECT count(*) FROM evidence e JOIN promotion p ON p.id = e.promotion_id
		WHERE p.pull_number = $1 AND gate = 'checklist' AND verdict = 'pass' AND e.reason = 'All 2 items are ticked, by alice.'`, pull); err != nil || n == 0 {
		s.Errorf("%d rows of evidence say who ticked, %v", n, err)
	}
	s.must(s.w.soundAudit(s.ctx))
}

// ticksThatComeLate: GitHub tells of a tick when the pull request carries something
// else already.
func ticksThatComeLate(s *scene) {
	digest := s.release("payments", "1.7.1")
	s.runs("staging", "payments", "1.7.1", digest)
	pull := s.asked("prod", "payments", "1.7.1").Number
	s.must(s.as("alice").Tick(envRepo, pull, "On-call informed"))
	s.checkSays(pull, "1 of 2 ticked")

	digest = s.release("payments", "1.7.2")
	s.runs("staging", "payments", "1.7.2", digest)
	s.merged("staging", "payments", "1.7.2")
	s.says("alice", pull, "/promote prod payments 1.7.2", "rocket", "goes into the pull request that is open already")
	s.checkSays(pull, "0 of 2 ticked", "1.7.2")
	s.toldAgain("pull_request", `payload->>'action' = 'edited' AND payload->'sender'->>'login' = 'alice'`)
	s.idle()
	s.must(s.w.checkSays(pull, "0 of 2 ticked"))
	s.must(s.bodyHas(pull, "- [ ] On-call informed"))

	s.must(s.as("alice").Tick(envRepo, pull, "On-call informed"))
	s.must(s.as("alice").Tick(envRepo, pull, "Release notes read"))
	s.approve(pull, "bob", "carol")
	s.done("prod", "payments", "1.7.2", digest)
}

func ticksOfBots(s *scene) {
	digest := s.release("shop", "3.1.0")
	s.runs("staging", "shop", "3.1.0", digest)
	pull := s.asked("prod", "shop", "3.1.0").Number
	s.checkSays(pull, "0 of 2 ticked")
	s.idle()
	body := s.body(pull)

	helper, err := s.w.GitHub.AddApp(githubsim.AppSpec{Slug: "helper", Name: "Helper", Owner: org, Permissions: map[string]string{"pull_requests": "write"}})
	s.must(err)
	installation, err := s.w.GitHub.Install(helper.ID, org, "env")
	s.must(err)
	app, err := github.New(github.Config{APIURL: s.w.GitHub.APIURL(), GitURL: s.w.GitHub.URL(), AppID: helper.ID, PrivateKey: helper.PrivateKey})
	s.must(err)
	ticked := strings.ReplaceAll(body, "- [ ]", "- [x]")
	_, err = app.Repo(installation, org, "env").EditPull(s.ctx, pull, github.PullEdit{Body: &ticked})
	s.must(err)
	s.until("the description is rendered back", func() error {
		if now := s.body(pull); now != body {
			return fmt.Errorf("it reads:\n%s", now)
		}
		return nil
	})
	s.idle()
	s.must(s.w.checkSays(pull, "0 of 2 ticked; open: “Release notes read”, “On-call informed”."))

	// It may add what it likes, so that the two do not answer each other for ever.
	more := body + "\n\nA summary by the helper.\n"
	_, err = app.Repo(installation, org, "env").EditPull(s.ctx, pull, github.PullEdit{Body: &more})
	s.must(err)
	s.idle()
	s.must(s.bodyHas(pull, "A summary by the helper."))
	s.must(s.as("alice").ClosePull(envRepo, pull))
}

func templateOfTheBase(s *scene) {
	const template = ".tagboat/pull_request_template.staging.md"
	s.pushMain("A checklist for staging", map[string]string{template: "To {{.New}}, {{.Old}} before.\n\n- [ ] Testers know of {{.NewTag}}\n\n{{.Gates}}\n"})
	s.release("catalog", "2.3.1")
	pull := s.opened("staging", "catalog", "2.3.1")
	s.checkSays(pull.Number, "0 of 1 ticked; open: “Testers know of 2.3.1”")
	_, err := s.as("bob").Push(envRepo, pull.HeadRef, "No checklist for this one", map[string]string{template: "{{.Gates}}\n"})
	s.must(err)
	s.checkSays(pull.Number, "Blocked by commit", "0 of 1 ticked")
	s.must(s.as("bob").ForcePush(envRepo, pull.HeadRef, pull.HeadSHA))
	s.must(s.as("bob").Tick(envRepo, pull.Number, "Testers know of 2.3.1"))
	s.merged("staging", "catalog", "2.3.1")
}
