package demo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestSets tells of apps that were proven together, go to production as one, and come back
// as one.
func TestSets(t *testing.T) {
	s := newScene(t)
	s.story("what is healthy in staging goes to prod as one", provenTogether)
	s.story("one of them is bad, and all go back", backTogether)
	s.story("an app that is on its way by itself keeps the set from being asked for", onItsOwnWay)
	s.story("closing the pull request holds every app", closedTogether)
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

const fromStaging = "tagboat/prod/_from-staging"

func overlayOf(app string) string { return "apps/" + app + "/overlays/prod/kustomization.yaml" }

// proven has versions of apps healthy in staging, and gives their digests.
func (s *scene) proven(versions map[string]string) map[string]string {
	s.Helper()
	digests := map[string]string{}
	for _, app := range apps {
		if v := versions[app]; v != "" {
			digests[app] = s.release(app, v)
		}
	}
	for app, v := range versions {
		s.done("staging", app, v, digests[app])
	}
	return digests
}

// onBranch waits until the newest pull request of a branch is as wanted.
func (s *scene) onBranch(branch, state string) (p githubsim.PullView) {
	s.Helper()
	s.until(branch+" is "+state, func() error {
		pulls := s.w.GitHub.Pulls(envRepo)
		i := len(pulls) - 1
		for i >= 0 && pulls[i].HeadRef != branch {
			i--
		}
		if i < 0 {
			return errors.New("there is no pull request of it")
		}
		if p = pulls[i]; p.State != state && !(state == "merged" && p.Merged) {
			return fmt.Errorf("#%d is %s: %s", p.Number, p.State, ownCheck(p).Title)
		}
		return nil
	})
	return p
}

func provenTogether(s *scene) {
	new := map[string]string{"payments": "1.7.0", "shop": "3.1.0", "catalog": "2.5.0"}
	digests := s.proven(new)
	talk := s.issue()
	s.says("alice", talk, "/promote prod --from testing", "confused", "There is no environment testing.", "dev, staging, prod")
	s.says("alice", talk, "/promote prod --from staging", "rocket", "payments `1.7.0`", "shop `3.1.0`", "catalog `2.5.0`", "go to prod together, in one pull request.")
	p := s.onBranch(fromStaging, "open")
	if want := "prod: catalog, payments and shop from staging"; p.Title != want {
		s.Errorf("#%d is “%s”, not “%s”", p.Number, p.Title, want)
	}
	s.until("the description tells of all three", func() error {
		now, err := s.w.GitHub.Pull(envRepo, p.Number)
		for app, version := range new {
			for _, part := range []string{"| " + app + " | `" + versions[app] + "` | `" + version + "` | `" + digests[app] + "`", "/rollback prod catalog"} {
				if !strings.Contains(now.Body, part) {
					err = errors.Join(err, fmt.Errorf("the description lacks “%s”:\n%s", part, now.Body))
				}
			}
		}
		if n := strings.Count(now.Body, "Release notes read"); n != 1 {
			err = errors.Join(err, fmt.Errorf("people are asked %d times whether they read the release notes", n))
		}
		return err
	})
	s.checkSays(p.Number, "0 of 2 approvals")

	// While they go together, none goes another way.
	s.says("alice", talk, "/promote prod --from staging", "rocket", fmt.Sprintf("together already: #%d", p.Number))
	newer := s.release("shop", "3.2.0")
	s.done("staging", "shop", "3.2.0", newer)
	s.says("carol", talk, "/promote prod shop 3.2.0", "confused", fmt.Sprintf("shop is on its way to prod in #%d, together with other apps.", p.Number))

	// What keeps one keeps all.
	s.says("carol", talk, "/hold prod shop the stock is counted", "rocket", "shop in prod is on hold")
	s.approve(p.Number, "bob", "carol")
	s.tickAll(p.Number)
	s.checkSays(p.Number, "shop: stopped", "the stock is counted")
	s.says("bob", talk, "/explain prod payments", "rocket", "shop waits for", "stopped")
	if now, err := s.w.GitHub.Pull(envRepo, p.Number); err != nil || now.Merged {
		s.Errorf("#%d is merged while shop is on hold (%v)", p.Number, err)
	}
	s.says("carol", talk, "/unhold prod shop", "rocket", "not on hold any more")

	// 3.2.0 is what staging has now; what was proven together was 3.1.0.
	s.checkSays(p.Number, "shop: upstream", "staging runs 3.2.0")
	s.says("bob", p.Number, "/status", "rocket", "payments", "shop", "catalog")
}

func backTogether(s *scene) {}
func onItsOwnWay(s *scene)  {}
func closedTogether(s *scene) {
	_ = slices.Contains[[]string]
}
