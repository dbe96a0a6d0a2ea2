package demo

import (
	"context"
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
	s.says("carol", talk, "/promote prod catalog 2.3.0", "rocket", "there is nothing to change.")

	// What keeps one keeps all.
	s.says("carol", talk, "/hold prod shop the stock is counted", "rocket", "shop in prod is on hold")
	s.approve(p.Number, "bob", "carol")
	s.tickAll(p.Number)
	s.checkSays(p.Number, "shop: stopped", "the stock is counted")
	s.says("bob", talk, "/explain prod payments", "rocket", "shop waits for stopped.")
	s.says("bob", p.Number, "/explain", "rocket", "**payments**", "**shop**", "**catalog**")
	s.says("bob", p.Number, "/status", "rocket", "payments", "shop", "catalog")
	if now, err := s.w.GitHub.Pull(envRepo, p.Number); err != nil || now.Merged {
		s.Errorf("#%d is merged while shop is on hold (%v)", p.Number, err)
	}
	s.says("carol", talk, "/unhold prod shop", "rocket", "not on hold any more")

	s.mergedTogether(p.Number, new, digests)
	for app := range new {
		s.must(s.w.auditedOf(s.ctx, app, "staging", "catalog, payments, shop"))
	}
}

// mergedTogether waits until a pull request has brought versions to prod by one commit, and
// all run and are reported, each once.
func (s *scene) mergedTogether(number int, new, digests map[string]string) {
	s.Helper()
	var p githubsim.PullView
	s.until("it is merged", func() (err error) {
		if p, err = s.w.GitHub.Pull(envRepo, number); err == nil && !p.Merged {
			err = errors.New(ownCheck(p).Title)
		}
		return err
	})
	var files []string
	for app := range new {
		files = append(files, overlayOf(app))
	}
	slices.Sort(files)
	slices.Sort(p.Files)
	if len(p.Commits) != 1 || !slices.Equal(p.Files, files) {
		s.Errorf("#%d has %d commits, and changes %v", number, len(p.Commits), p.Files)
	}
	for app, version := range new {
		s.runs("prod", app, version, digests[app])
		s.until(app+" is reported", func() error { return s.w.said(number, "<!-- tagboat:status "+app+" -->", "`"+version+"`", "healthy") })
	}
	s.until("each has its deployment", func() error {
		now, err := s.w.GitHub.Pull(envRepo, number)
		if err == nil && len(now.Deployments) != len(new) {
			err = fmt.Errorf("there are %d", len(now.Deployments))
		}
		return err
	})
	p, err := s.w.GitHub.Pull(envRepo, number)
	s.must(err)
	status, checks := 0, 0
	for _, c := range p.Comments {
		if strings.Contains(c.Body, "tagboat:status") {
			status++
		}
	}
	for _, c := range p.Checks {
		if c.Name == "tagboat" {
			checks++
		}
	}
	if status != len(new) || checks != 1 {
		s.Errorf("#%d has %d status comments, and %d check runs of Tagboat's", number, status, checks)
	}
}

// auditedOf wants tagboat audit to say all parts about an app in prod.
func (w *World) auditedOf(ctx context.Context, app string, parts ...string) error {
	said, code, err := w.command(ctx, "audit", "--env", "prod", "--app", app)
	if err != nil || code != 0 {
		return errors.Join(err, fmt.Errorf("tagboat audit ended with %d and said: %s", code, said))
	}
	for _, part := range parts {
		if !strings.Contains(said, part) {
			return fmt.Errorf("the answer about %s does not say “%s”:\n%s", app, part, said)
		}
	}
	return nil
}

// backTogether: 3.1.0 of shop is bad. What came with it goes back with it, by one commit.
func backTogether(s *scene) {
	former := map[string]string{"payments": versions["payments"], "shop": versions["shop"], "catalog": versions["catalog"]}
	bad := map[string]string{}
	for app := range former {
		bad[app] = s.digestIn("prod", app)
	}
	brought := s.onBranch(fromStaging, "merged")
	s.says("bob", s.issue(), "/rollback prod shop 3.1.0 returns errors", "rocket", "was merged as one, and goes back as one", "payments `"+former["payments"]+"`", "catalog `"+former["catalog"]+"`")
	p := s.onBranch("tagboat/prod/_back-"+brought.MergeCommitSHA[:12], "merged")
	if p.Title != "Roll catalog, payments and shop in prod back" || len(p.Files) != 3 || len(p.Commits) != 1 {
		s.Errorf("#%d is “%s” and changes %v in %d commits", p.Number, p.Title, p.Files, len(p.Commits))
	}
	s.must(s.w.revertsAll(p.Number, brought.Number, "3.1.0 returns errors"))
	for app, version := range former {
		s.until(app+" is back", func() error {
			running, err := s.w.Running(s.ctx)
			if err == nil && running["prod"][app].Tag != version {
				err = fmt.Errorf("it is %s", running["prod"][app].Tag)
			}
			return err
		})
		s.until(app+" is on hold in prod, and its version denied", func() error { return s.w.heldAndDenied(s.ctx, "prod", app, "bob", bad[app]) })
	}
	talk := s.issue()
	s.says("alice", talk, "/promote prod --from staging", "rocket", "there is nothing to promote.", "catalog: 2.5.0 was taken back here by bob", "shop: 3.1.0 was taken back")
	for app := range former {
		s.says("alice", talk, "/unhold prod "+app, "rocket", "not on hold any more")
	}
}

// revertsAll wants a pull request to have put one commit on main, in the form of git
// revert, that takes back another's merge.
func (w *World) revertsAll(number, reverted int, reason string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	of, err := w.GitHub.Pull(envRepo, reverted)
	if err != nil {
		return err
	}
	return w.revertCommit(p, of, reason)
}

// onItsOwnWay: shop has a pull request of its own, so the set would not be the one that was
// proven.
func onItsOwnWay(s *scene) {
	s.proven(map[string]string{"payments": "1.8.0", "shop": "3.2.0"})
	alone := s.asked("prod", "shop", "3.2.0")
	s.says("bob", s.issue(), "/promote prod --from staging", "confused", "shop is on its way to prod in", "merge or close that first")
	s.must(s.as("alice").ClosePull(envRepo, alone.Number))
	s.until("shop is held", func() error { return s.held(alone.Number, "alice") })
}

// closedTogether: whoever closes the pull request of a set keeps all of its apps away,
// until somebody asks for them again.
func closedTogether(s *scene) {
	s.says("alice", s.issue(), "/promote prod --from staging", "rocket", "payments `1.8.0`", "shop `3.2.0`", "alice had closed", "catalog: 2.5.0 was taken back here")
	p := s.onBranch(fromStaging, "open")
	s.checkSays(p.Number, "0 of 2 approvals")
	s.must(s.as("bob").ClosePull(envRepo, p.Number))
	s.until("both are held, the branch is gone, and bob reads what that means", func() error {
		n, err := s.w.count(s.ctx, `SELECT count(*) FROM stop WHERE closed_pull = $1 AND actor = 'bob' AND lifted_at IS NULL`, p.Number)
		if err == nil && n != 2 {
			err = fmt.Errorf("%d apps are held", n)
		}
		return errors.Join(err, s.w.branchIs(fromStaging, ""),
			s.w.said(p.Number, "bob closed this pull request, so `1.8.0` of **payments**, together with `3.2.0` of **shop**, does not go to **prod**", "/promote prod shop"))
	})
	s.says("carol", s.issue(), "/promote prod --from staging", "rocket", "bob had closed")
	if again := s.onBranch(fromStaging, "open"); again.Number == p.Number {
		s.Errorf("#%d is open again", p.Number)
	}
}
