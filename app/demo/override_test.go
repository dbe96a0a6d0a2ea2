package demo

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestBrokenGlass tells of an outage in a freeze: of who may override it, of what
// nobody may, and of what is left to see of it.
func TestBrokenGlass(t *testing.T) {
	s := newScene(t)
	s.w.GitHub.AddTeam(org, "sre", "alice", "bob")
	s.story("two people let one release pass a freeze, and everybody is told", brokenGlass)
}

func brokenGlass(s *scene) {
	digest := s.release("payments", "1.7.0")
	s.runs("staging", "payments", "1.7.0", digest)
	s.merged("staging", "payments", "1.7.0")
	talk := s.issue()
	s.says("carol", talk, "/freeze prod nobody is here", "rocket")
	pull := s.asked("prod", "payments", "1.7.0").Number
	s.checkSays(pull, "carol stopped all of prod")

	// Without a word of tagboat.yaml nobody may; with it, those whom it names.
	s.says("bob", pull, "/override stop the shop is down", "confused", "Nobody may override gates of prod: tagboat.yaml has no override for it.")
	s.edit("Let two of sre break the glass", map[string]func(string) string{"tagboat.yaml": func(text string) string {
		return strings.Replace(text, "    approvals: {count: 2, teams: [platform]}\n", "    approvals: {count: 2, teams: [platform]}\n    override: {teams: [sre], gates: [stop]}\n", 1)
	}})
	s.idle()
	for _, c := range []struct{ login, body, answer string }{
		{"carol", "/override stop the shop is down", "Only team sre may override gates of prod; carol is not among them"},
		{"alice", "/override digest the shop is down", "Digest cannot be overridden by anybody. Gates that can: checks, upstream, stop, window."},
		{"alice", "/override approvals the shop is down", "Approvals cannot be overridden by anybody."},
		{"alice", "/override checks the shop is down", "tagboat.yaml lets nobody override checks of prod; it does so for: stop."},
		{"alice", "/override stop", "The reason is missing"},
	} {
		s.says(c.login, pull, c.body, "confused", unescaped(c.answer))
	}
	s.says("oscar", pull, "/override stop the shop is down", "confused") // outsiders are told nothing
	s.says("alice", talk, "/override stop the shop is down", "confused", "A gate is overridden on the pull request that it blocks")

	// One person alone does not pass, however often.
	s.says("alice", pull, "/override stop the shop is down", "rocket", "alice asks to override this (“the shop is down”), which takes a second person of team sre")
	s.says("alice", pull, "/override stop it really is", "rocket", "alice asks to override this (“it really is”)")
	s.checkSays(pull, "Waiting for", "alice asks to override this", "carol stopped all of prod")

	// What was said of one version is not said of the next.
	digest = s.release("payments", "1.7.1")
	s.runs("staging", "payments", "1.7.1", digest)
	s.merged("staging", "payments", "1.7.1")
	s.says("alice", pull, "/promote prod payments 1.7.1", "rocket", "goes into the pull request that is open already")
	s.opened("prod", "payments", "1.7.1")
	s.until("1.7.1 is on the branch", func() error { return s.w.checkSays(pull, "1.7.1") })
	s.approve(pull, "bob", "carol")
	s.tickAll(pull)
	s.says("bob", pull, "/override stop the shop is down", "rocket", "bob asks to override this")
	s.idle()
	s.must(s.w.checkSays(pull, "bob asks to override this", "carol stopped all of prod"))
	if n := len(s.followUps()); n != 0 {
		s.Fatalf("%d issues follow up what is not overridden", n)
	}

	// Two do, and it is there for everybody to see: once, though Tagboat is killed before
	// it hears that the issue is open.
	opening := true
	k := &killer{t: s.T, w: s.w, pick: func(r githubsim.Request) bool {
		now := opening && r.Route == "POST /repos/{owner}/{repo}/issues"
		opening = opening && !now
		return now
	}}
	s.w.GitHub.OnRequest(k.see)
	defer s.w.GitHub.OnRequest(nil)
	s.says("alice", pull, "/override stop @bob is right", "rocket", "Overridden by bob (“the shop is down”) and alice")
	s.done("prod", "payments", "1.7.1", digest)
	k.busy.Wait()
	s.idle()
	issues := s.followUps()
	if len(issues) != 1 || len(k.kills) != 1 {
		s.Fatalf("%d issues follow the override up; Tagboat was killed after %v", len(issues), k.kills)
	}
	for _, want := range []string{fmt.Sprintf("(#%d)", pull), "| bob | the shop is down |", "| alice |", "carol stopped all of prod"} {
		if !strings.Contains(issues[0].Body, want) {
			s.Errorf("the issue does not say “%s”: %s", want, issues[0].Body)
		}
	}
	s.must(s.w.said(pull, "Merged although not every gate passed", "Overridden by bob", fmt.Sprintf("/issues/%d)", issues[0].Number)))
	said, code, err := s.w.command(s.ctx, "audit", "--env", "prod", "--app", "payments")
	s.must(err)
	for _, want := range []string{"Overridden    stop by bob (", ": the shop is down", "stop by alice (", fmt.Sprintf("/issues/%d", issues[0].Number), "over stop", "holds: "} {
		if code != 0 || !strings.Contains(said, want) {
			s.Errorf("tagboat audit ended with %d and does not say “%s”:\n%s", code, want, said)
		}
	}
	s.says("carol", talk, "/thaw prod", "rocket")
}

// followUps are the issues that Tagboat has opened.
func (s *scene) followUps() (all []githubsim.IssueView) {
	for _, i := range s.w.GitHub.Issues(envRepo) {
		if strings.Contains(i.Title, "was overridden for payments") {
			all = append(all, i)
		}
	}
	return all
}
