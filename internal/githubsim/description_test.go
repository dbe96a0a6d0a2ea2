package githubsim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// do makes one request and demands its status; the answer's body is judged on
// the way (see newWorld).
func do(t *testing.T, c *github.Client, status int, method, path string, in any) map[string]any {
	t.Helper()
	req, err := c.NewRequest(method, path, in)
	must(t, err)
	var body bytes.Buffer
	res, err := c.Do(t.Context(), req, &body)
	if res == nil || res.StatusCode != status {
		t.Errorf("%s %s: %v, want %d", method, path, err, status)
		return nil
	}
	var out map[string]any
	if bytes.HasPrefix(body.Bytes(), []byte("{")) {
		must(t, json.Unmarshal(body.Bytes(), &out))
	}
	return out
}

// TestEveryAnswerFitsTheDescription asks for whatever the stories do not.
func TestEveryAnswerFitsTheDescription(t *testing.T) {
	w := newWorld(t)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{
		RequiredChecks: []githubsim.RequiredCheck{{Context: "lint", AppID: w.ci.ID}, {Context: "scan"}}, RequiredApprovals: 1, Strict: true,
		ExtraRules: []json.RawMessage{json.RawMessage(`{"type":"required_linear_history"}`)},
	}))
	pr := w.propose("bump", "1.7.0")
	sha := pr.Head.GetSHA()
	must(t, w.StartCheck(w.ci.ID, "acme/env", sha, "lint"))
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", sha, "lint", "success"))
	must(t, w.As("alice").SetStatus("acme/env", sha, "scan", "success"))
	review, err := w.As("bob").Review("acme/env", 1, "APPROVE", "fine")
	must(t, err)
	n, err := w.As("alice").OpenIssue("acme/env", "question", "why?")
	must(t, err)
	comment, err := w.As("alice").Comment("acme/env", n, "because")
	must(t, err)

	bot := w.bot()
	const env = "repos/acme/env"
	deployment := do(t, bot, 201, "POST", env+"/deployments", map[string]any{"ref": sha, "auto_merge": false, "required_contexts": []string{}, "environment": "dev"})
	id := int64(deployment["id"].(float64))
	do(t, bot, 201, "POST", fmt.Sprintf("%s/deployments/%d/statuses", env, id), map[string]any{"state": "success", "log_url": "https://tagboat.example.com"})
	runs := do(t, bot, 200, "GET", env+"/commits/"+sha+"/check-runs", nil)
	run := int64(runs["check_runs"].([]any)[0].(map[string]any)["id"].(float64))
	for _, path := range []string{
		"installation/repositories", "users/alice", "users/tagboat[bot]",
		"orgs/acme/teams/platform", "orgs/acme/teams/platform/members", "orgs/acme/teams/platform/memberships/bob", "orgs/acme/memberships/bob",
		env, env + "/branches/main", env + "/branches/main/protection",
		env + "/branches/main/protection/required_status_checks", env + "/rules/branches/main",
		env + "/collaborators/alice/permission", env + "/contents/apps/payments", env + "/contents/tagboat.yaml", env + "/commits",
		env + "/commits/bump", env + "/commits/" + sha + "/pulls", env + "/commits/" + sha + "/check-suites", env + "/commits/bump/status",
		env + "/commits/bump/statuses", env + "/compare/main...bump", env + "/git/ref/heads/bump", env + "/git/matching-refs/heads/",
		env + "/git/trees/main?recursive=1", env + "/git/commits/" + sha, env + "/pulls", env + "/pulls/1", env + "/pulls/1/files",
		env + "/pulls/1/commits", env + "/pulls/1/reviews", env + "/pulls/1/requested_reviewers",
		env + "/issues/comments?since=2026-01-01T00:00:00Z&sort=updated&direction=asc", env + fmt.Sprintf("/issues/%d/comments", n), env + fmt.Sprintf("/issues/comments/%d", comment),
		env + fmt.Sprintf("/issues/comments/%d/reactions", comment), env + "/issues/1/labels",
		env + fmt.Sprintf("/check-runs/%d", run), env + "/deployments", env + fmt.Sprintf("/deployments/%d", id),
		env + fmt.Sprintf("/deployments/%d/statuses", id), "rate_limit",
	} {
		do(t, bot, 200, "GET", path, nil)
	}
	app := w.jwtClient(w.app.PrivateKey)
	for _, path := range []string{"app", "app/hook/config", "app/installations", "app/installations/" + fmt.Sprint(w.inst), "orgs/acme/installation"} {
		do(t, app, 200, "GET", path, nil)
	}
	do(t, bot, 201, "POST", env+"/pulls/1/requested_reviewers", map[string]any{"reviewers": []string{"carol"}, "team_reviewers": []string{"platform"}})
	do(t, bot, 201, "POST", env+"/labels", map[string]any{"name": "tagboat", "color": "0e8a16", "description": "by Tagboat"})
	do(t, bot, 422, "POST", env+"/labels", map[string]any{"name": "tagboat"})
	do(t, bot, 200, "GET", env+"/labels/tagboat", nil)
	do(t, bot, 200, "POST", env+"/issues/1/labels", map[string]any{"labels": []string{"tagboat"}})
	do(t, bot, 200, "PATCH", env+fmt.Sprintf("/issues/comments/%d", comment), map[string]any{"body": "edited"})
	do(t, bot, 200, "PATCH", env+"/pulls/1", map[string]any{"title": "better", "state": "open"})
	blob := do(t, bot, 201, "POST", env+"/git/blobs", map[string]any{"content": "aGk=", "encoding": "base64"})
	do(t, bot, 200, "GET", env+"/git/blobs/"+blob["sha"].(string), nil)
	do(t, w.person("alice"), 200, "PUT", env+fmt.Sprintf("/pulls/1/reviews/%d/dismissals", review), map[string]any{"message": "stale"})
	do(t, w.person("bob"), 200, "POST", env+"/pulls/1/reviews", map[string]any{"event": "APPROVE"})
	do(t, w.person("bob"), 200, "PUT", env+"/pulls/1/merge", map[string]any{"merge_method": "squash", "sha": sha})
	do(t, bot, 204, "DELETE", env+"/git/refs/heads/bump", nil)
	do(t, bot, 204, "DELETE", env+fmt.Sprintf("/issues/comments/%d", comment), nil)
	do(t, bot, 204, "DELETE", "installation/token", nil)
}

// TestEveryWebhookFitsTheDescription provokes all events and judges them.
func TestEveryWebhookFitsTheDescription(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	alice, bob := w.As("alice"), w.As("bob")
	sha, err := alice.Push("acme/env", "work", "add a", map[string]string{"a": "a"})
	must(t, err)
	n, err := alice.OpenPull("acme/env", "work", "main", "work", "text")
	must(t, err)
	id, err := bob.Comment("acme/env", n, "hm")
	must(t, err)
	must(t, bob.EditComment("acme/env", id, "hm!"))
	must(t, bob.DeleteComment("acme/env", id))
	review, err := bob.Review("acme/env", n, "REQUEST_CHANGES", "no")
	must(t, err)
	must(t, alice.DismissReview("acme/env", n, review, "yes"))
	do(t, w.person("bob"), 200, "PUT", fmt.Sprintf("repos/acme/env/pulls/%d/reviews/%d", n, review), map[string]any{"body": "well"})
	do(t, w.bot(), 200, "POST", fmt.Sprintf("repos/acme/env/issues/%d/labels", n), map[string]any{"labels": []string{"x"}})
	do(t, w.bot(), 200, "DELETE", fmt.Sprintf("repos/acme/env/issues/%d/labels/x", n), nil)
	must(t, alice.SetStatus("acme/env", sha, "scan", "pending"))
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", sha, "lint", "failure"))
	deployment := do(t, w.bot(), 201, "POST", "repos/acme/env/deployments", map[string]any{"ref": "main", "required_contexts": []string{}})
	do(t, w.bot(), 201, "POST", fmt.Sprintf("repos/acme/env/deployments/%v/statuses", int64(deployment["id"].(float64))), map[string]any{"state": "in_progress"})
	must(t, alice.ClosePull("acme/env", n))
	must(t, alice.ReopenPull("acme/env", n))
	_, err = alice.Push("acme/env", "work", "add b", map[string]string{"b": "b"})
	must(t, err)
	do(t, w.person("alice"), http.StatusNoContent, "DELETE", "repos/acme/env/git/refs/heads/work", nil)
	_, err = w.Install(w.app.ID, "acme", "secret")
	must(t, err)
	w.Suspend(w.inst, true)
	w.Suspend(w.inst, false)
	w.settle()

	judge, seen := description(t), map[string]bool{}
	for _, h := range in.take() {
		event, action, _ := strings.Cut(names([]hook{h}), ".")
		seen[strings.TrimSuffix(event+"."+action, ".")] = true
		if err := judge.Webhook(event, action, h.body); err != nil {
			t.Error(err)
		}
	}
	for _, want := range strings.Fields(`create delete push status deployment.created deployment_status.created
		pull_request.opened pull_request.synchronize pull_request.closed pull_request.reopened pull_request.labeled pull_request.unlabeled
		issue_comment.created issue_comment.edited issue_comment.deleted pull_request_review.submitted pull_request_review.dismissed
		pull_request_review.edited check_run.created check_run.completed check_suite.requested check_suite.completed
		installation_repositories.added installation.suspend installation.unsuspend`) {
		if !seen[want] {
			t.Errorf("%s was not sent", want)
		}
	}
}
