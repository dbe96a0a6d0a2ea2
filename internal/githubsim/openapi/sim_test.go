package openapi_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/bradleyfalzon/ghinstallation/v2"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/openapi"
)

// caller speaks to the simulator as one identity. Whatever GitHub's description
// has against an exchange fails the test.
type caller struct {
	t    *testing.T
	api  string
	http *http.Client
}

type bearer string

func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+string(b))
	return http.DefaultTransport.RoundTrip(r)
}

// do sends a request and returns the answer's values. GitHub's own description
// decides whether the answer is right; do only wants it to be a success.
func (c caller) do(method, path string, body any) map[string]any {
	c.t.Helper()
	var send io.Reader
	if body != nil {
		raw, err := json.Marshal(body)
		if err != nil {
			c.t.Fatal(err)
		}
		send = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.api+path, send)
	if err != nil {
		c.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		c.t.Fatalf("%s %s: %s %s %v", method, path, resp.Status, raw, err)
	}
	var values map[string]any
	_ = json.Unmarshal(raw, &values) // lists and empty answers have none
	return values
}

func id(values map[string]any) int64 { return int64(values["id"].(float64)) }

// The simulator answers as GitHub does wherever anybody can ask it: every
// operation that it serves is called once with something to show.
func TestSimulatorAnswersAsDescribed(t *testing.T) {
	judge, err := openapi.Load(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	sim, err := githubsim.New(githubsim.Options{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(judge.Wrap(sim, func(err error) { t.Error(err) }))
	defer server.Close()
	defer sim.Close()
	sim.SetURL(server.URL)
	hooks := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var about struct{ Action string }
		if err := json.Unmarshal(body, &about); err != nil {
			t.Error(err)
		}
		if err := judge.Webhook(r.Header.Get("X-GitHub-Event"), about.Action, body); err != nil {
			t.Error(err)
		}
	}))
	defer hooks.Close()

	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	sim.AddOrg("acme")
	person := func(login string) caller {
		return caller{t, server.URL + "/api/v3", &http.Client{Transport: bearer(sim.AddUser(login, login))}}
	}
	alice, bob := person("alice"), person("bob")
	sim.AddTeam("acme", "platform", "alice", "bob")
	must(sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "env", Files: map[string]string{"a/b.yaml": "x: 1\n", "CODEOWNERS": "* @alice\n"},
		Collaborators: map[string]string{"alice": "admin", "bob": "write"}}))
	app, err := sim.AddApp(githubsim.AppSpec{Slug: "tagboat", Name: "Tagboat", Owner: "acme", WebhookURL: hooks.URL, WebhookSecret: "s",
		Permissions: map[string]string{"contents": "write", "pull_requests": "write", "issues": "write", "checks": "write", "statuses": "write", "deployments": "write", "members": "read"},
		Events: []string{"issue_comment", "pull_request", "pull_request_review", "check_run", "check_suite", "status", "push", "create", "delete",
			"deployment", "deployment_status", "branch_protection_rule", "repository_ruleset", "repository"}})
	must(err)
	installation, err := sim.Install(app.ID, "acme", "env")
	must(err)
	signed, err := ghinstallation.NewAppsTransport(http.DefaultTransport, app.ID, app.PrivateKey)
	must(err)
	asApp := caller{t, server.URL + "/api/v3", &http.Client{Transport: signed}}
	token := asApp.do("POST", fmt.Sprintf("/app/installations/%d/access_tokens", installation), map[string]any{})["token"].(string)
	bot := caller{t, server.URL + "/api/v3", &http.Client{Transport: bearer(token)}}

	const repo = "/repos/acme/env"
	// Something to show: a branch with a commit, and all that hangs on it.
	ref := alice.do("GET", repo+"/git/ref/heads/main", nil)
	main := ref["object"].(map[string]any)["sha"].(string)
	blob := bot.do("POST", repo+"/git/blobs", map[string]any{"content": "eA==", "encoding": "base64"})["sha"].(string)
	tree := bot.do("POST", repo+"/git/trees", map[string]any{"base_tree": main, "tree": []any{
		map[string]any{"path": "a/b.yaml", "mode": "100644", "type": "blob", "content": "x: 2\n"}}})["sha"].(string)
	head := bot.do("POST", repo+"/git/commits", map[string]any{"message": "m", "tree": tree, "parents": []string{main}})["sha"].(string)
	bot.do("POST", repo+"/git/refs", map[string]any{"ref": "refs/heads/b/1", "sha": head})
	bot.do("PATCH", repo+"/git/refs/heads/b/1", map[string]any{"sha": head, "force": true})
	alice.do("PUT", repo+"/contents/new.txt", map[string]any{"message": "new", "content": "eA==", "branch": "b/1"})
	head = alice.do("GET", repo+"/git/ref/heads/b/1", nil)["object"].(map[string]any)["sha"].(string)
	bot.do("POST", repo+"/pulls", map[string]any{"title": "t", "head": "b/1", "base": "main", "body": "b"})
	run := bot.do("POST", repo+"/check-runs", map[string]any{"name": "tagboat", "head_sha": head, "status": "in_progress",
		"output": map[string]any{"title": "t", "summary": "s"}})
	bot.do("PATCH", fmt.Sprintf("%s/check-runs/%d", repo, id(run)), map[string]any{"status": "completed", "conclusion": "success"})
	alice.do("POST", fmt.Sprintf("%s/check-runs/%d/rerequest", repo, id(run)), nil)
	suite := id(run["check_suite"].(map[string]any))
	alice.do("POST", repo+"/statuses/"+head, map[string]any{"state": "success", "context": "scan"})
	deployment := bot.do("POST", repo+"/deployments", map[string]any{"ref": head, "environment": "prod", "auto_merge": false, "required_contexts": []string{}})
	bot.do("POST", fmt.Sprintf("%s/deployments/%d/statuses", repo, id(deployment)), map[string]any{"state": "success"})
	alice.do("POST", repo+"/labels", map[string]any{"name": "prod", "color": "ff0000"})
	bot.do("POST", repo+"/issues/1/labels", map[string]any{"labels": []string{"prod", "new"}})
	alice.do("POST", repo+"/issues", map[string]any{"title": "an issue", "body": "please"})
	alice.do("PATCH", repo+"/issues/2", map[string]any{"state": "closed"})
	comment := bot.do("POST", repo+"/issues/1/comments", map[string]any{"body": "hello"})
	bot.do("PATCH", fmt.Sprintf("%s/issues/comments/%d", repo, id(comment)), map[string]any{"body": "hello again"})
	reaction := alice.do("POST", fmt.Sprintf("%s/issues/comments/%d/reactions", repo, id(comment)), map[string]any{"content": "eyes"})
	alice.do("POST", repo+"/issues/1/reactions", map[string]any{"content": "rocket"})
	alice.do("POST", repo+"/pulls/1/requested_reviewers", map[string]any{"reviewers": []string{"bob"}})
	review := bob.do("POST", repo+"/pulls/1/reviews", map[string]any{"event": "APPROVE", "body": "fine"})
	bob.do("PUT", fmt.Sprintf("%s/pulls/1/reviews/%d", repo, id(review)), map[string]any{"body": "really fine"})
	alice.do("PUT", fmt.Sprintf("%s/pulls/1/reviews/%d/dismissals", repo, id(review)), map[string]any{"message": "no"})
	alice.do("PUT", repo+"/contents/main.txt", map[string]any{"message": "main moves on", "content": "eA=="})
	must(sim.Protect("acme/env", "main", githubsim.Protection{RequiredApprovals: 1, RequiredChecks: []githubsim.RequiredCheck{{Context: "tagboat", AppID: app.ID}, {Context: "lint"}},
		ExtraRules: []json.RawMessage{json.RawMessage(`{"type":"deletion"}`)}}))

	for _, path := range []string{"", "/contents/a/b.yaml", "/contents/a", "/compare/main...b/1", "/commits", "/commits/" + head,
		"/commits/" + head + "/pulls", "/commits/" + head + "/check-runs", "/commits/" + head + "/check-suites", "/commits/" + head + "/status",
		"/commits/" + head + "/statuses", "/branches", "/branches/main", "/branches/main/protection", "/branches/main/protection/required_status_checks",
		"/rules/branches/main", "/git/matching-refs/heads/", "/git/blobs/" + blob, "/git/trees/" + head, "/git/trees/" + head + "?recursive=1", "/git/commits/" + head,
		"/pulls?state=all", "/pulls/1", "/pulls/1/files", "/pulls/1/commits", "/pulls/1/reviews", "/pulls/1/requested_reviewers",
		"/issues?state=all", "/issues/1", "/issues/2", "/issues/1/comments", "/issues/1/labels", "/labels", "/labels/prod", "/deployments",
		"/collaborators/bob/permission"} {
		alice.do("GET", repo+path, nil)
	}
	for _, path := range []string{"/check-runs/%d", "/issues/comments/%d", "/issues/comments/%d/reactions", "/pulls/1/reviews/%d",
		"/deployments/%d", "/deployments/%d/statuses", "/check-suites/%d/check-runs"} {
		subject := map[string]int64{"check-runs": id(run), "issues": id(comment), "pulls": id(review), "deployments": id(deployment), "check-suites": suite}
		first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
		alice.do("GET", repo+fmt.Sprintf(path, subject[first]), nil)
	}
	for _, path := range []string{"/user", "/users/bob", "/users/acme", "/users/tagboat[bot]", "/orgs/acme/members/bob", "/orgs/acme/memberships/bob", "/orgs/acme/teams/platform",
		"/orgs/acme/teams/platform/members", "/orgs/acme/teams/platform/memberships/bob", "/rate_limit"} {
		alice.do("GET", path, nil)
	}
	must(sim.WaitDeliveries(t.Context()))
	for _, path := range []string{"/app", "/app/hook/config", "/app/hook/deliveries", "/app/installations", "/repos/acme/env/installation", "/orgs/acme/installation"} {
		asApp.do("GET", path, nil)
	}
	asApp.do("GET", fmt.Sprintf("/app/installations/%d", installation), nil)
	asApp.do("PATCH", "/app/hook/config", map[string]any{"url": hooks.URL})
	bot.do("GET", "/installation/repositories", nil)

	// And away with it again.
	alice.do("DELETE", fmt.Sprintf("%s/issues/comments/%d/reactions/%d", repo, id(comment), id(reaction)), nil)
	alice.do("DELETE", repo+"/issues/1/labels/new", nil)
	bot.do("DELETE", fmt.Sprintf("%s/issues/comments/%d", repo, id(comment)), nil)
	alice.do("PUT", repo+"/pulls/1/update-branch", map[string]any{})
	must(sim.Protect("acme/env", "main", githubsim.Protection{}))
	alice.do("PATCH", repo+"/pulls/1", map[string]any{"title": "t2"})
	alice.do("PUT", repo+"/pulls/1/merge", map[string]any{"merge_method": "squash"})
	bot.do("DELETE", repo+"/git/refs/heads/b/1", nil)

	// A repository that has moved is found under its old name, for reads and for writes.
	must(sim.RenameRepo("acme/env", "gitops"))
	alice.do("GET", repo, nil)
	alice.do("GET", repo+"/contents/a/b.yaml?ref=main", nil)
	bot.do("POST", repo+"/issues/1/comments", map[string]any{"body": "hello there"})
	asApp.do("GET", "/repos/acme/env/installation", nil)
	must(sim.RenameDefaultBranch("acme/gitops", "trunk"))
	must(sim.ArchiveRepo("acme/gitops", true))
	must(sim.ArchiveRepo("acme/gitops", false))
	sim.AddOrg("globex")
	must(sim.TransferRepo("acme/gitops", "globex"))
	alice.do("GET", repo, nil)
	second, err := sim.Install(app.ID, "globex", "gitops")
	must(err)
	asApp.do("GET", "/app/installations", nil)

	bot.do("DELETE", "/installation/token", nil)
	sim.Suspend(installation, true)
	asApp.do("GET", fmt.Sprintf("/app/installations/%d", installation), nil)
	must(sim.TakeFrom(second, "gitops"))
	must(sim.Uninstall(second))
	must(sim.WaitDeliveries(t.Context()))
}
