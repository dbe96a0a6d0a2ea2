package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// ci is the organisation's continuous integration, as a GitHub App of its own: it
// answers every commit of a pull request of acme/env, and of its merge queue, with its
// two checks.
type ci struct {
	github     *githubsim.Server
	app        int64
	protection githubsim.Protection // of main: what a merge needs
	work       chan githubsim.Event
	done       sync.WaitGroup
	once       sync.Once

	mu       sync.Mutex
	conclude func(e githubsim.Event, check string) string // "" reports nothing; nil: everything succeeds
}

var ciChecks = []string{"lint", "security-scan"}

func (w *World) startCI(tagboat int64) error {
	app, err := w.GitHub.AddApp(githubsim.AppSpec{Slug: "acme-ci", Name: "Acme CI", Owner: org, Permissions: map[string]string{
		"checks": "write", "contents": "read", "pull_requests": "read",
	}})
	if err != nil {
		return err
	}
	if _, err := w.GitHub.Install(app.ID, org, "env"); err != nil {
		return err
	}
	w.ci = &ci{github: w.GitHub, app: app.ID, work: make(chan githubsim.Event, 1000), protection: githubsim.Protection{
		RequirePull:   true,
		EnforceAdmins: true,
		RequiredChecks: []githubsim.RequiredCheck{
			{Context: "lint", AppID: app.ID},
			{Context: "tagboat", AppID: tagboat},
		},
	}}
	if err := w.GitHub.Protect(envRepo, "main", w.ci.protection); err != nil {
		return err
	}
	w.ci.done.Go(w.ci.run)
	w.GitHub.OnEvent(w.ci.see)
	return nil
}

func (c *ci) see(e githubsim.Event) {
	pull := e.Name == "pull_request" && (e.Action == "opened" || e.Action == "synchronize" || e.Action == "reopened")
	group := e.Name == "merge_group" && e.Action == "checks_requested"
	if e.Repo == envRepo && (pull || group) {
		c.work <- e
	}
}

func (c *ci) run() {
	for e := range c.work {
		for _, name := range ciChecks {
			if conclusion := c.conclusion(e, name); conclusion != "" {
				// A commit that is gone again needs no check.
				_ = c.github.CompleteCheck(c.app, e.Repo, e.SHA, name, conclusion)
			}
		}
	}
}

func (c *ci) conclusion(e githubsim.Event, check string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conclude == nil {
		return "success"
	}
	return c.conclude(e, check)
}

// judge has the CI conclude otherwise from now on.
func (c *ci) judge(conclude func(e githubsim.Event, check string) string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.conclude = conclude
}

func (c *ci) stop() {
	c.once.Do(func() {
		_ = c.github.Close() // no event comes after this
		close(c.work)
		c.done.Wait()
	})
}

// release is what CI does with a new version of an app: commit, build, push,
// and tell Tagboat. It gives the image's digest.
func (w *World) release(ctx context.Context, app, version string) (string, error) {
	commit, err := w.GitHub.As("alice").Push(org+"/"+app, "main", "Release "+version, map[string]string{"VERSION": version + "\n"})
	if err != nil {
		return "", err
	}
	digest, err := w.pushImage(ctx, app, version, version, commit)
	if err != nil {
		return "", err
	}
	body, err := json.Marshal(map[string]any{
		"image": imageHost + "/" + app, "tag": version, "digest": digest,
		"source": map[string]string{"repository": org + "/" + app, "revision": commit},
		"run":    map[string]string{"url": fmt.Sprintf("%s/%s/%s/actions/runs/1", w.GitHub.URL(), org, app)},
	})
	if err != nil {
		return "", err
	}
	return digest, w.callbackUntilAccepted(ctx, body)
}

// callbackUntilAccepted sends the callback again while Tagboat is away, as a CI
// step would.
func (w *World) callbackUntilAccepted(ctx context.Context, body []byte) error {
	for {
		err := w.callback(ctx, body)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}
