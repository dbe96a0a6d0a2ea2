package demo

import (
	"context"
	"embed"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

// What the env repo starts with.
//
//go:embed files
var files embed.FS

// versions are what every environment runs when the story begins.
var versions = map[string]string{"payments": "1.6.0", "catalog": "2.3.0", "shop": "3.0.0"}

var apps = []string{"payments", "catalog", "shop"}

// permissions are those that deploy/github-app.yaml asks for.
var permissions = map[string]string{
	"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write", "statuses": "write",
	"deployments": "write", "members": "read", "metadata": "read", "merge_queues": "read",
}

var events = []string{"issue_comment", "pull_request", "pull_request_review", "check_run", "check_suite", "status", "merge_group", "push", "repository"}

// seed makes the organisation, its repositories and its first images.
func (w *World) seed(ctx context.Context, tagboat string) error {
	w.progress("seeding the organisation acme")
	w.people()
	writers := map[string]string{"alice": "write", "bob": "write", "carol": "write"}
	digests := map[string]string{}
	for _, app := range apps {
		err := w.GitHub.AddRepo(githubsim.RepoSpec{Owner: org, Name: app, Collaborators: writers, Files: map[string]string{"README.md": "# " + app + "\n"}})
		if err != nil {
			return err
		}
		commit, err := w.GitHub.Head(org+"/"+app, "main")
		if err != nil {
			return err
		}
		if digests[app], err = w.pushImage(ctx, app, versions[app], versions[app], commit); err != nil {
			return err
		}
	}
	tree, err := w.envFiles(digests)
	if err != nil {
		return err
	}
	if err := w.GitHub.AddRepo(githubsim.RepoSpec{Owner: org, Name: "env", Files: tree, Collaborators: writers}); err != nil {
		return err
	}
	app, err := w.GitHub.AddApp(githubsim.AppSpec{
		Slug: "tagboat", Name: "Tagboat", Owner: org, Permissions: permissions, Events: events,
		WebhookURL: tagboat + "/hooks/github", WebhookSecret: w.secrets.github,
	})
	if err != nil {
		return err
	}
	w.AppID = app.ID
	if err := os.WriteFile(filepath.Join(w.dir, "app.pem"), app.PrivateKey, 0o600); err != nil {
		return err
	}
	repos := []string{"env"}
	repos = append(repos, apps...)
	if _, err := w.GitHub.Install(app.ID, org, repos...); err != nil {
		return err
	}
	return w.startCI(app.ID)
}

func (w *World) people() {
	w.GitHub.AddOrg(org)
	w.GitHub.AddUser("alice", "Alice Archer")
	w.GitHub.AddUser("bob", "Bob Baker")
	w.GitHub.AddUser("carol", "Carol Cook")
	w.GitHub.AddUser("oscar", "Oscar Outsider")
	w.GitHub.AddTeam(org, "platform", "alice", "bob", "carol")
}

// envFiles are the files of acme/env: tagboat.yaml, and a base and three overlays
// of each app.
func (w *World) envFiles(digests map[string]string) (map[string]string, error) {
	tree := map[string]string{}
	read := func(name string) (string, error) {
		data, err := files.ReadFile("files/" + name)
		return string(data), err
	}
	for to, from := range map[string]string{
		"tagboat.yaml": "tagboat.yaml", "README.md": "README.md",
		".tagboat/pull_request_template.prod.md": "pull_request_template.prod.md",
	} {
		text, err := read(from)
		if err != nil {
			return nil, err
		}
		tree[to] = text
	}
	for _, app := range apps {
		fill := strings.NewReplacer("APP", app, "HOST", imageHost, "TAG", versions[app], "DIGEST", digests[app])
		for _, name := range []string{"deployment.yaml", "service.yaml", "kustomization.yaml"} {
			text, err := read("base/" + name)
			if err != nil {
				return nil, err
			}
			tree["apps/"+app+"/base/"+name] = fill.Replace(text)
		}
		overlay, err := read("overlay.yaml")
		if err != nil {
			return nil, err
		}
		if app == "catalog" { // written in flow style: the bump is one line
			if overlay, err = read("overlay-flow.yaml"); err != nil {
				return nil, err
			}
		}
		for _, env := range environments {
			tree[fmt.Sprintf("apps/%s/overlays/%s/kustomization.yaml", app, env)] =
				strings.NewReplacer("NAMESPACE", w.Namespaces[env], "ENV", env).Replace(fill.Replace(overlay))
		}
	}
	return tree, nil
}

// pushImage builds and pushes an image. What it is made of decides its digest.
func (w *World) pushImage(ctx context.Context, app, tag, content, commit string) (string, error) {
	labels := map[string]string{"org.opencontainers.image.source": w.GitHub.URL() + "/" + org + "/" + app}
	if commit != "" {
		labels["org.opencontainers.image.revision"] = commit
	}
	return w.Registry.Push(ctx, app, tag, registrytest.Content{
		Seed: app + " " + content, Platforms: []string{"linux/amd64", "linux/arm64"}, Labels: labels, Index: true,
	})
}
