package github_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"sync"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/openapi"
)

const secret = "It's a Secret to Everybody"

var description = sync.OnceValues(func() (*openapi.Validator, error) { return openapi.Load(context.Background(), "") })

// world is a GitHub with acme/env, on which our App is installed, and its
// people. GitHub's own description judges every request, answer and webhook.
type world struct {
	t      *testing.T
	sim    *githubsim.Server
	api    string
	app    *github.App
	repo   *github.Repo
	simApp *githubsim.App
	hooks  *inbox
	tokens map[string]string
}

var permissions = map[string]string{"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write",
	"statuses": "write", "deployments": "write", "members": "read"}

func newWorld(t *testing.T) *world {
	t.Helper()
	judge, err := description()
	if err != nil {
		t.Fatal(err)
	}
	sim, err := githubsim.New(githubsim.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(judge.Wrap(sim, func(err error) { t.Errorf("GitHub's description: %v", err) }))
	t.Cleanup(func() { sim.Close(); server.Close() })
	sim.SetURL(server.URL)
	w := &world{t: t, sim: sim, api: server.URL + "/api/v3/", hooks: newInbox(t, judge), tokens: map[string]string{}}

	t.Cleanup(func() { // before the inbox closes
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		if err := sim.WaitDeliveries(ctx); err != nil {
			t.Errorf("webhooks are still under way: %v", err)
		}
	})

	sim.AddOrg("acme")
	for _, login := range []string{"alice", "bob", "mallory"} {
		w.tokens[login] = sim.AddUser(login, login)
	}
	sim.AddTeam("acme", "platform", "alice")
	w.must(sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env", Private: true,
		Files:         map[string]string{"apps/payments/overlays/prod/kustomization.yaml": "newTag: 1.6.0\n", "README.md": "# env\n"},
		Collaborators: map[string]string{"alice": "maintain", "bob": "triage"}}))
	w.simApp, err = sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme", Permissions: permissions,
		WebhookURL: w.hooks.server.URL, WebhookSecret: secret,
		Events: []string{"issue_comment", "pull_request", "pull_request_review", "check_run", "check_suite", "status", "push", "repository"}})
	w.must(err)
	installation, err := sim.Install(w.simApp.ID, "acme", "env")
	w.must(err)
	w.app, err = github.New(github.Config{APIURL: w.api, GitURL: server.URL, AppID: w.simApp.ID, PrivateKey: w.simApp.PrivateKey})
	w.must(err)
	w.repo = w.app.Repo(installation, "acme", "env")
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// as is a person's own client.
func (w *world) as(login string) *gh.Client {
	w.t.Helper()
	client, err := gh.NewClient(nil).WithAuthToken(w.tokens[login]).WithEnterpriseURLs(w.api, w.api)
	w.must(err)
	return client
}

// branch makes a branch with one commit that sets the tag in prod.
func (w *world) branch(name, tag string) (sha string) {
	w.t.Helper()
	base, err := w.repo.Branch(w.t.Context(), "main")
	w.must(err)
	sha, err = w.repo.Commit(w.t.Context(), bump(base, tag))
	w.must(err)
	w.must(w.repo.CreateBranch(w.t.Context(), name, sha))
	return sha
}

func bump(base, tag string) github.CommitRequest {
	return github.CommitRequest{Parent: base, BaseTree: base, Message: "Bump to " + tag, Files: []github.File{
		{Path: "apps/payments/overlays/prod/kustomization.yaml", Content: []byte("newTag: " + tag + "\n")}}}
}

func (w *world) pull(branch, tag string) github.Pull {
	w.t.Helper()
	w.branch(branch, tag)
	p, err := w.repo.OpenPull(w.t.Context(), github.NewPull{Branch: branch, Base: "main", Title: "payments " + tag, Body: "- [ ] seen\n"})
	w.must(err)
	return p
}

func (w *world) wantKind(err error, kind fault.Kind) {
	w.t.Helper()
	if !fault.Is(err, kind) {
		w.t.Errorf("kind %v, want %v: %v", fault.KindOf(err), kind, err)
	}
}

// inbox receives the App's webhooks as Tagboat would.
type inbox struct {
	server *httptest.Server
	mu     sync.Mutex
	refuse bool
	events []github.Event
	grown  chan struct{} // closed, and replaced, with every event
}

func newInbox(t *testing.T, judge *openapi.Validator) *inbox {
	in := &inbox{grown: make(chan struct{})}
	in.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Errorf("read a webhook: %v", err)
		}
		in.mu.Lock()
		refuse := in.refuse
		in.mu.Unlock()
		if refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		if err := github.Verify([][]byte{[]byte(secret)}, r.Header.Get("X-Hub-Signature-256"), body); err != nil {
			t.Error(err)
		}
		var about struct{ Action string }
		if err := json.Unmarshal(body, &about); err != nil {
			t.Error(err)
		}
		name := r.Header.Get("X-GitHub-Event")
		if err := judge.Webhook(name, about.Action, body); err != nil {
			t.Errorf("GitHub's description: %v", err)
		}
		event, err := github.Decode(name, body)
		if err != nil {
			t.Errorf("%v in %s", err, body)
		}
		if event != nil {
			in.add(event)
		}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(in.server.Close)
	return in
}

func (in *inbox) add(e github.Event) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.events = append(in.events, e)
	close(in.grown)
	in.grown = make(chan struct{})
}

func (in *inbox) refusing(yes bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.refuse = yes
}

// await waits for an event of type E that ok accepts.
func await[E github.Event](w *world, ok func(E) bool) E {
	w.t.Helper()
	deadline := time.After(2 * time.Minute)
	for {
		w.hooks.mu.Lock()
		events, grown := w.hooks.events, w.hooks.grown
		w.hooks.mu.Unlock()
		for _, e := range events {
			if e, is := e.(E); is && ok(e) {
				return e
			}
		}
		select {
		case <-grown:
		case <-deadline:
			w.t.Fatalf("no such %s among %d webhooks: %+v", reflect.TypeFor[E](), len(events), events)
		}
	}
}
