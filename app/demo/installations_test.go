package demo

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/githubsim"
)

const globexRepo = "globex/env"

// TestInstallations tells of two organisations in one Tagboat, whose env repos are found
// by their tagboat.yaml, and of what owners do to repositories and to the App: nothing is
// lost, nothing passes to whoever takes over a name, and people read what is the matter.
func TestInstallations(t *testing.T) {
	s := &scene{T: t, w: newWorld(t, "TAGBOAT_ENV_REPOS=acme/*,globex/*",
		"TAGBOAT_CLUSTER_REPOS=dev=acme/env,dev=globex/env,staging=acme/env,prod=acme/env"), ctx: t.Context()}
	s.until("all nine overlays are healthy", func() error { return s.w.allHealthy(s.ctx) })
	g := &globex{}
	s.story("a tagboat.yaml that is added makes an env repo, with apps that another one has, too", g.discovered)
	s.story("while the App is suspended everything rests", g.suspended)
	s.story("a suspension that nobody tells of is found out", g.suspendedUnheard)
	s.story("where the App is taken away everything rests, until it is installed again", g.uninstalled)
	s.story("a default branch is renamed, and an env repo archived for a while, with a pull request open", g.settings)
	s.story("an env repo is renamed, and another takes its name", usurped)
	s.story("a broken tagboat.yaml is shown before the merge and after a push", shownBroken)
}

// globex is the second organisation.
type globex struct {
	installation int64
	talk         int // the issue in which its people command
}

// files are an env repo with payments in one environment, which follows.
func (g *globex) files(s *scene) map[string]string {
	s.Helper()
	files := map[string]string{"tagboat.yaml": `apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
environments:
  - name: dev
    follow: {semver: ">=1.0.0"}
    clusters: [dev]
`}
	for _, name := range []string{"base/deployment.yaml", "base/service.yaml", "base/kustomization.yaml", "overlays/dev/kustomization.yaml"} {
		data, err := s.w.GitHub.File(envRepo, "main", "apps/payments/"+name)
		s.must(err)
		files["apps/payments/"+name] = strings.ReplaceAll(string(data), "namespace: "+s.w.Namespaces["dev"], "namespace: globex")
	}
	return files
}

func (g *globex) push(s *scene, message string, files map[string]string) {
	s.Helper()
	_, err := s.as("gina").Push(globexRepo, "main", message, files)
	s.must(err)
}

func (g *globex) runs(s *scene, version string) {
	s.Helper()
	s.until("globex runs payments "+version, func() error {
		containers, err := s.w.Clusters["dev"].Running(s.ctx, "globex")
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(containers, func(c cluster.Running) bool {
			return c.Name == "payments" && c.Image.Tag == version && c.Ready == c.Desired
		}) {
			return fmt.Errorf("it runs %+v", containers)
		}
		return nil
	})
}

// opened waits for globex's pull request for a version.
func (g *globex) opened(s *scene, version string) (found githubsim.PullView) {
	s.Helper()
	s.until("globex has a pull request for payments "+version, func() error {
		for _, p := range s.w.GitHub.Pulls(globexRepo) {
			if p.HeadRef == "tagboat/dev/payments" && p.State == "open" && strings.Contains(p.Title, version) {
				found = p
				return nil
			}
		}
		return errors.New("there is none")
	})
	return found
}

func (g *globex) says(s *scene, number int, body string) {
	s.Helper()
	id, err := s.as("gina").Comment(globexRepo, number, body)
	s.must(err)
	s.until(fmt.Sprintf("“%s” is obeyed", body), func() error {
		for _, i := range s.w.GitHub.Issues(globexRepo) {
			for _, c := range i.Comments {
				if c.ID == id && slices.ContainsFunc(c.Reactions, func(r githubsim.ReactionView) bool { return r.Content == "rocket" }) {
					return nil
				}
			}
		}
		return errors.New("there is no rocket")
	})
}

func (g *globex) discovered(s *scene) {
	s.w.GitHub.AddOrg("globex")
	s.w.GitHub.AddUser("gina", "Gina Globe")
	s.must(s.w.GitHub.AddRepo(githubsim.RepoSpec{Owner: "globex", Name: "env", Collaborators: map[string]string{"gina": "admin"}}))
	s.must(s.w.GitHub.AddRepo(githubsim.RepoSpec{Owner: "globex", Name: "website", Collaborators: map[string]string{"gina": "admin"}}))
	namespace, err := cluster.Decode([]byte("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: globex\n"))
	s.must(err)
	_, err = s.w.Clusters["dev"].Apply(s.ctx, cluster.Run{Target: cluster.Target{Key: "tagboat demo globex"}, Objects: namespace, Ledger: cluster.Unrecorded{}})
	s.must(err)
	g.installation, err = s.w.GitHub.Install(s.w.AppID, "globex", "env", "website")
	s.must(err)
	s.idle()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM env_repo WHERE owner = 'globex'`)) // without tagboat.yaml it is none, and no error

	g.push(s, "Deploy payments", g.files(s))
	g.runs(s, "1.6.0")
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM env_repo WHERE name = 'website'`))

	payments := s.release("payments", "1.7.0")
	g.runs(s, "1.7.0")
	s.done("dev", "payments", "1.7.0", payments)
	s.done("staging", "payments", "1.7.0", payments)
	s.boardSays("acme/env", "globex/env")
}

func (g *globex) suspended(s *scene) {
	var err error
	g.talk, err = s.as("gina").OpenIssue(globexRepo, "Talk", "")
	s.must(err)
	g.says(s, g.talk, "/freeze dev the auditors are here")
	s.boardSays(`"what":"all of dev"`, `"by":"gina"`)
	s.release("payments", "1.7.1")
	pull := g.opened(s, "1.7.1").Number
	s.idle()
	s.w.GitHub.Suspend(g.installation, true)
	s.boardSays("The GitHub App is suspended for globex/env.", "Waits: the GitHub App is suspended for globex/env.")
	s.idle()
	before := len(s.w.GitHub.Requests())
	payments := s.release("payments", "1.7.2") // acme goes on
	s.done("staging", "payments", "1.7.2", payments)
	s.idle()
	for _, r := range s.w.GitHub.Requests()[before:] {
		if strings.HasPrefix(r.Path, "/repos/"+globexRepo) && r.User != "gina" {
			s.Errorf("GitHub was asked %s %s meanwhile", r.Method, r.Path)
		}
	}
	g.runs(s, "1.7.0")

	s.w.GitHub.Suspend(g.installation, false)
	s.until("the newest version takes over", func() error {
		p, err := s.w.GitHub.Pull(globexRepo, pull)
		if err == nil && !strings.Contains(p.Title, "1.7.2") {
			err = fmt.Errorf("it is %q", p.Title)
		}
		return err
	})
	g.says(s, g.talk, "/thaw dev")
	g.runs(s, "1.7.2")
}

func (g *globex) suspendedUnheard(s *scene) {
	s.w.GitHub.SetHookPolicy(func(event, _ string) githubsim.HookAction {
		if event == "installation" {
			return githubsim.Drop
		}
		return githubsim.Deliver
	})
	s.w.GitHub.Suspend(g.installation, true)
	s.until("the board knows", func() error {
		return s.w.boardSays(s.ctx, "The GitHub App is suspended for globex/env.")
	})
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target t JOIN env_repo r ON r.id = t.repo_id WHERE r.owner = 'globex' AND t.state <> 'healthy'`))
	s.w.GitHub.SetHookPolicy(nil)
	s.w.GitHub.Suspend(g.installation, false)
	s.release("payments", "1.7.3")
	g.runs(s, "1.7.3")
}

func (g *globex) uninstalled(s *scene) {
	s.must(s.w.GitHub.Uninstall(g.installation))
	s.boardSays("The GitHub App is not installed on globex/env.")
	s.release("payments", "1.7.4")
	s.merged("staging", "payments", "1.7.4")
	s.idle()
	g.runs(s, "1.7.3")
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target t JOIN env_repo r ON r.id = t.repo_id WHERE r.owner = 'globex' AND (t.gone OR t.state <> 'healthy')`))

	var err error
	g.installation, err = s.w.GitHub.Install(s.w.AppID, "globex", "env")
	s.must(err)
	g.runs(s, "1.7.4")
}

func (g *globex) settings(s *scene) {
	g.says(s, g.talk, "/freeze dev")
	s.release("payments", "1.7.5")
	pull := g.opened(s, "1.7.5").Number
	s.must(s.w.GitHub.RenameDefaultBranch(globexRepo, "trunk"))
	s.must(s.w.GitHub.ArchiveRepo(globexRepo, true))
	s.boardSays("globex/env is archived", "Waits: globex/env is archived")
	s.must(s.w.GitHub.ArchiveRepo(globexRepo, false))
	g.says(s, g.talk, "/thaw dev")
	g.runs(s, "1.7.5")
	p, err := s.w.GitHub.Pull(globexRepo, pull)
	s.must(err)
	if !p.Merged || p.BaseRef != "trunk" {
		s.Errorf("the pull request to %s is merged: %v", p.BaseRef, p.Merged)
	}
}

// usurped: the pull request goes on under the repository's new name, and whoever has
// the old one gets no cluster by it.
func usurped(s *scene) {
	shop := s.release("shop", "3.1.0")
	s.merged("staging", "shop", "3.1.0")
	pull := s.asked("prod", "shop", "3.1.0").Number
	s.checkSays(pull, "0 of 2 approvals")
	s.idle()
	claims := map[string]string{"tagboat.yaml": `apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
environments:
  - name: prod
    clusters: [prod]
`}
	for _, name := range []string{"base/deployment.yaml", "base/service.yaml", "base/kustomization.yaml", "overlays/prod/kustomization.yaml"} {
		data, err := s.w.GitHub.File(envRepo, "main", "apps/shop/"+name)
		s.must(err)
		claims["apps/shop/"+name] = strings.ReplaceAll(string(data), "replicas: 2", "replicas: 7")
	}

	s.must(s.w.GitHub.RenameRepo(envRepo, "gitops"))
	s.must(s.w.GitHub.AddRepo(githubsim.RepoSpec{Owner: org, Name: "env", Files: claims, Collaborators: map[string]string{"alice": "admin"}}))
	_, err := s.w.GitHub.Install(s.w.AppID, org, "env")
	s.must(err)
	s.boardSays("acme/gitops", "Cluster prod takes nothing from acme/env.", "Another repository was called acme/env before")
	talk, err := s.as("alice").OpenIssue(envRepo, "Talk", "")
	s.must(err)
	s.says("alice", talk, "/freeze org", "confused", "was only found by its tagboat.yaml")
	for _, reviewer := range []string{"bob", "carol"} {
		_, err := s.as(reviewer).Review("acme/gitops", pull, "APPROVE", "")
		s.must(err)
	}
	for _, item := range []string{"Release notes read", "On-call informed"} {
		s.must(s.as("bob").Tick("acme/gitops", pull, item))
	}
	s.until("it is merged under the new name", func() error {
		p, err := s.w.GitHub.Pull("acme/gitops", pull)
		if err == nil && !p.Merged {
			err = errors.New(ownCheck(p).Title)
		}
		return err
	})
	s.runs("prod", "shop", "3.1.0", shop)
	s.idle()
	s.must(s.w.none(s.ctx, `SELECT count(*) FROM target t JOIN env_repo r ON r.id = t.repo_id WHERE r.name = 'env' AND r.owner = 'acme' AND t.state <> 'failed'`))

	s.must(s.w.GitHub.RenameRepo(envRepo, "impostor"))
	s.must(s.w.GitHub.RenameRepo("acme/gitops", "env"))
	s.boardSays("acme/impostor")
	s.idle()
	next := s.release("shop", "3.2.0")
	s.done("staging", "shop", "3.2.0", next)
}

func shownBroken(s *scene) {
	data, err := s.w.GitHub.File(envRepo, "main", "tagboat.yaml")
	s.must(err)
	broken := strings.Replace(string(data), "checks: [lint, security-scan]", "chekcs: [lint, security-scan]", 1)
	_, err = s.as("alice").Push(envRepo, "stricter", "Check more", map[string]string{"tagboat.yaml": broken})
	s.must(err)
	pull, err := s.as("alice").OpenPull(envRepo, "stricter", "main", "Check more", "")
	s.must(err)
	annotated := func(checks []githubsim.CheckView, name string) error {
		for _, c := range checks {
			if c.Name == name && c.Concluded == "failure" && strings.Contains(fmt.Sprint(c.Annotations...), "path:tagboat.yaml") && strings.Contains(fmt.Sprint(c.Annotations...), "start_line:18") {
				return nil
			}
		}
		return fmt.Errorf("there is no failed check %s with the line: %+v", name, checks)
	}
	s.until("its check fails, with the line", func() error {
		p, err := s.w.GitHub.Pull(envRepo, pull)
		return errors.Join(err, annotated(p.Checks, "tagboat"))
	})
	mend := s.edit("Check more", map[string]func(string) string{"tagboat.yaml": func(string) string { return broken }})
	s.until("the commit has a failed check, with the line", func() error {
		checks, err := s.w.GitHub.Checks(envRepo, "main")
		return errors.Join(err, annotated(checks, "tagboat.yaml"))
	})
	s.boardSays("tagboat.yaml:18")
	mend()
	s.until("the board forgets it", func() error {
		if s.w.boardSays(s.ctx, "tagboat.yaml:18") == nil {
			return errors.New("it does not")
		}
		return nil
	})
}
