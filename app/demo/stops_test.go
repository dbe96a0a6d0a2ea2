package demo

import (
	"strings"
	"testing"
)

// TestWhatPeopleStop tells of holds and freezes, and of windows: of pull requests
// whose every other gate passes, and that wait all the same.
func TestWhatPeopleStop(t *testing.T) {
	s := newScene(t)
	s.story("a hold keeps an app, and nothing else, until it is lifted", heldApp)
	s.story("a freeze keeps an environment, a wider one keeps more", frozenEnvironment)
	s.story("who may stop what, and what cannot be stopped", stopsThatAreRefused)
	s.story("outside of the window it waits, and says until when", closedWindow)
}

func heldApp(s *scene) {
	s.release("payments", "1.7.0")
	pull := s.asked("prod", "payments", "1.7.0").Number
	s.says("carol", pull, "/hold the migration is not done, @bob", "rocket")
	s.checkSays(pull, "carol stopped payments in prod", "/unhold")
	s.merged("staging", "payments", "1.7.0") // a hold is on one environment
	s.approve(pull, "bob", "carol")
	s.tickAll(pull)
	s.checkSays(pull, "2 of 2 approvals", "Waiting for", "carol stopped payments in prod")
	s.release("catalog", "2.3.1") // and on one app
	s.merged("staging", "catalog", "2.3.1")
	s.idle()
	s.must(s.w.checkSays(pull, "carol stopped payments in prod"))
	s.says("alice", pull, "/explain", "rocket", "carol stopped payments in prod")

	s.says("bob", pull, "/unhold", "rocket")
	s.merged("prod", "payments", "1.7.0")
	s.says("bob", pull, "/unhold", "confused", "payments in prod is not on hold.")
}

func frozenEnvironment(s *scene) {
	talk := s.issue()
	s.says("bob", talk, "/freeze staging nobody is here", "rocket")
	s.release("shop", "3.1.0")
	pull := s.opened("staging", "shop", "3.1.0").Number
	s.checkSays(pull, "bob stopped all of staging (“nobody is here”).", "/thaw staging")
	s.says("alice", talk, "/freeze all 4h", "rocket")
	s.checkSays(pull, "alice stopped every environment until 20")
	s.says("alice", talk, "/thaw staging", "rocket", "every environment is still stopped, by alice; `/thaw all` lifts that.")
	s.checkSays(pull, "alice stopped every environment until 20")
	s.says("alice", talk, "/thaw all", "rocket")
	s.merged("staging", "shop", "3.1.0")
}

func stopsThatAreRefused(s *scene) {
	talk := s.issue()
	for _, c := range []struct{ login, body, answer string }{
		{"alice", "/hold", "Which app, in which environment? Write /hold <env> <app>"},
		{"alice", "/freeze prd", "There is no environment prd. Did you mean prod?"},
		{"alice", "/freeze prod 2020-01-01", "2020-01-01 00:00 UTC is over already."},
		{"alice", "/thaw prod", "prod is not frozen."},
		{"alice", "/freeze org", "Only administrators of acme/env can stop all env repos of acme"},
	} {
		s.says(c.login, talk, c.body, "confused", unescaped(c.answer))
	}
	s.says("oscar", talk, "/freeze prod", "confused") // outsiders are told nothing
}

func closedWindow(s *scene) {
	mend := s.edit("Work in January only", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    needs: [{env: dev}]", "    windows: [{allow: \"2031-01-02\", timezone: Europe/Berlin}, {deny: \"2001-01-01\"}]\n    needs: [{env: dev}]", 1)
	}})
	s.release("shop", "3.2.0")
	pull := s.opened("staging", "shop", "3.2.0").Number
	s.checkSays(pull, "Changes are allowed in 2031-01-02 Europe/Berlin.", "change windows in tagboat.yaml")
	mend()
	s.merged("staging", "shop", "3.2.0")
}
