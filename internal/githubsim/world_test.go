package githubsim_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bradleyfalzon/ghinstallation/v2"
	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/openapi"
)

const secret = "hook secret"

// world is an organization with an env repository, three people of a platform
// team, an outsider, our App and a CI App.
type world struct {
	*githubsim.Server
	t      *testing.T
	clock  *clock
	app    *githubsim.App
	ci     *githubsim.App
	inst   int64
	tokens map[string]string
}

type clock struct {
	mu    sync.Mutex
	shift time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.shift)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shift += d
}

var permissions = map[string]string{
	"contents": "write", "pull_requests": "write", "checks": "write", "statuses": "write", "deployments": "write",
	"members": "read", "administration": "read", "issues": "write",
}

var events = []string{
	"push", "create", "delete", "pull_request", "pull_request_review", "issue_comment", "check_run", "check_suite",
	"status", "deployment", "deployment_status", "issues", "merge_group",
}

func newWorld(t *testing.T, edit ...func(*githubsim.Options)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{}, tokens: map[string]string{}}
	judge := description(t)
	opt := githubsim.Options{Dir: t.TempDir(), Now: w.clock.now, Wrap: func(h http.Handler) http.Handler {
		return judge.Wrap(h, func(err error) {
			if !strings.Contains(err.Error(), ambiguous) && !strings.Contains(err.Error(), bareLabels) {
				t.Errorf("GitHub's description: %v", err)
			}
		})
	}}
	for _, e := range edit {
		e(&opt)
	}
	var err error
	w.Server, err = githubsim.New(opt)
	must(t, err)
	must(t, w.Listen("127.0.0.1:0"))
	t.Cleanup(func() { must(t, w.Close()) })
	w.AddOrg("acme")
	for _, login := range []string{"alice", "bob", "carol", "mallory"} {
		w.tokens[login] = w.AddUser(login, login)
	}
	w.AddTeam("acme", "platform", "bob", "carol", "alice")
	must(t, w.AddRepo(githubsim.RepoSpec{
		Owner: "acme", Name: "env", Private: true,
		Files: map[string]string{
			"tagboat.yaml": "apiVersion: tagboat.dev/v1\n",
			"apps/payments/overlays/prod/kustomization.yaml": "images:\n- name: payments\n  newTag: 1.6.0\n",
		},
		Collaborators: map[string]string{"alice": "write", "bob": "write", "carol": "maintain"},
	}))
	must(t, w.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "secret", Private: true}))
	w.app, err = w.AddApp(githubsim.AppSpec{
		Slug: "tagboat", Name: "Tagboat", Owner: "acme", WebhookSecret: secret, Permissions: permissions, Events: events,
	})
	must(t, err)
	w.ci, err = w.AddApp(githubsim.AppSpec{
		Slug: "ci", Name: "CI", Owner: "acme", Permissions: map[string]string{"checks": "write", "contents": "read"},
	})
	must(t, err)
	w.inst, err = w.Install(w.app.ID, "acme", "env")
	must(t, err)
	_, err = w.Install(w.ci.ID, "acme", "env")
	must(t, err)
	return w
}

// bot is Tagboat's client: go-github over ghinstallation, as in production.
func (w *world) bot() *github.Client {
	w.t.Helper()
	tr, err := ghinstallation.New(http.DefaultTransport, w.app.ID, w.inst, w.app.PrivateKey)
	must(w.t, err)
	tr.BaseURL = w.URL() + "/api/v3"
	tr.InstallationTokenOptions = &github.InstallationTokenOptions{} // else it sends "null", against the description
	return w.client(&http.Client{Transport: tr})
}

// jwtClient is the App itself.
func (w *world) jwtClient(key []byte) *github.Client {
	w.t.Helper()
	tr, err := ghinstallation.NewAppsTransport(http.DefaultTransport, w.app.ID, key)
	must(w.t, err)
	return w.client(&http.Client{Transport: tr})
}

func (w *world) client(h *http.Client) *github.Client {
	w.t.Helper()
	c, err := github.NewClient(h).WithEnterpriseURLs(w.URL(), w.URL())
	must(w.t, err)
	return c
}

func (w *world) person(login string) *github.Client {
	w.t.Helper()
	return w.client(nil).WithAuthToken(w.tokens[login])
}

// propose makes Tagboat open a pull request that bumps payments.
func (w *world) propose(branch, tag string) *github.PullRequest {
	w.t.Helper()
	ctx, c := w.t.Context(), w.bot()
	base, _, err := c.Git.GetRef(ctx, "acme", "env", "heads/main")
	must(w.t, err)
	tree, _, err := c.Git.CreateTree(ctx, "acme", "env", base.Object.GetSHA(), []*github.TreeEntry{{
		Path: github.String("apps/payments/overlays/prod/kustomization.yaml"), Mode: github.String("100644"),
		Type: github.String("blob"), Content: github.String("images:\n- name: payments\n  newTag: " + tag + "\n"),
	}})
	must(w.t, err)
	commit, _, err := c.Git.CreateCommit(ctx, "acme", "env", &github.Commit{
		Message: github.String("payments " + tag), Tree: tree, Parents: []*github.Commit{{SHA: base.Object.SHA}},
	}, nil)
	must(w.t, err)
	_, _, err = c.Git.CreateRef(ctx, "acme", "env", &github.Reference{
		Ref: github.String("refs/heads/" + branch), Object: &github.GitObject{SHA: commit.SHA},
	})
	must(w.t, err)
	pr, _, err := c.PullRequests.Create(ctx, "acme", "env", &github.NewPullRequest{
		Title: github.String("payments " + tag), Head: github.String(branch), Base: github.String("main"),
		Body: github.String("- [ ] runbook read\n- [ ] announced\n"),
	})
	must(w.t, err)
	return pr
}

// Two verdicts that say something about the description, not about traffic:
// the 409 of a contents write is described as one of two errors of which one
// contains the other, and labels may be added as a bare array, which is what
// go-github sends.
const (
	ambiguous  = "input matches more than one oneOf schemas"
	bareLabels = "/labels: request body has an error"
)

// description is GitHub's OpenAPI description, loaded once; every request and
// answer of these tests is judged by it.
func description(t *testing.T) *openapi.Validator {
	t.Helper()
	v, err := loadDescription()
	must(t, err)
	return v
}

var loadDescription = sync.OnceValues(func() (*openapi.Validator, error) {
	return openapi.Load(context.Background(), "")
})

// hook is one webhook as it arrived.
type hook struct {
	event, guid, signature string
	header                 http.Header
	body                   []byte
}

// inbox receives our App's webhooks.
type inbox struct {
	mu    sync.Mutex
	hooks []hook
	code  int
}

// receive points the App's webhook at a new inbox.
func (w *world) receive() *inbox {
	w.t.Helper()
	in := &inbox{code: http.StatusAccepted}
	srv := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		in.mu.Lock()
		defer in.mu.Unlock()
		if err == nil {
			in.hooks = append(in.hooks, hook{
				r.Header.Get("X-GitHub-Event"), r.Header.Get("X-GitHub-Delivery"), r.Header.Get("X-Hub-Signature-256"), r.Header, body,
			})
		}
		rw.WriteHeader(in.code)
	}))
	w.t.Cleanup(srv.Close)
	w.SetWebhookURL(w.app.ID, srv.URL)
	w.settle()
	in.take()
	return in
}

func (in *inbox) take() []hook {
	in.mu.Lock()
	defer in.mu.Unlock()
	got := in.hooks
	in.hooks = nil
	return got
}

func (in *inbox) answer(code int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.code = code
}

// settle waits until all webhooks are delivered.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*time.Minute)
	defer cancel()
	must(w.t, w.WaitDeliveries(ctx))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// refused demands an API error with a status and (part of) a message.
func refused(t *testing.T, err error, status int, message string) *github.ErrorResponse {
	t.Helper()
	var er *github.ErrorResponse
	if !errors.As(err, &er) {
		t.Fatalf("want %d %q, got error %v", status, message, err)
	}
	if er.Response.StatusCode != status || !contains(er, message) {
		t.Fatalf("want %d %q, got %d %q %+v", status, message, er.Response.StatusCode, er.Message, er.Errors)
	}
	return er
}
