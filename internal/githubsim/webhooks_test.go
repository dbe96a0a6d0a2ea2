package githubsim_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

func names(hooks []hook) string {
	var all []string
	for _, h := range hooks {
		var body struct{ Action string }
		_ = json.Unmarshal(h.body, &body) // a body without action is fine
		all = append(all, strings.TrimSuffix(h.event+"."+body.Action, "."))
	}
	return strings.Join(all, " ")
}

func TestWebhooksAreSignedOrderedAndDecodable(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	w.propose("bump", "1.7.0")
	alice, bob := w.As("alice"), w.As("bob")
	_, err := alice.Comment("acme/env", 1, "/promote prod")
	must(t, err)
	must(t, bob.Tick("acme/env", 1, "runbook"))
	_, err = bob.Review("acme/env", 1, "APPROVE", "")
	must(t, err)
	sha, err := alice.Push("acme/env", "bump", "mine", map[string]string{"x": "y"})
	must(t, err)
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", sha, "lint", "success"))
	_, err = alice.MergePull("acme/env", 1, "squash")
	must(t, err)
	w.settle()
	hooks := in.take()
	want := "create push check_suite.requested pull_request.opened issue_comment.created pull_request.edited " +
		"pull_request_review.submitted push pull_request.synchronize check_suite.requested check_run.created " +
		"check_run.completed check_suite.completed pull_request.closed push check_suite.requested"
	if got := names(hooks); got != want {
		t.Errorf("order of events:\n got %s\nwant %s", got, want)
	}
	judge := description(t)
	for _, h := range hooks {
		_, action, _ := strings.Cut(names([]hook{h}), ".")
		if err := judge.Webhook(h.event, action, h.body); err != nil {
			t.Errorf("GitHub's description: %v", err)
		}
		if err := github.ValidateSignature(h.signature, h.body, []byte(secret)); err != nil {
			t.Errorf("%s: %v", h.event, err)
		}
		e, err := github.ParseWebHook(h.event, h.body)
		if err != nil {
			t.Errorf("%s: %v", h.event, err)
		}
		if i, ok := e.(interface{ GetInstallation() *github.Installation }); !ok || i.GetInstallation().GetID() != w.inst {
			t.Errorf("%s carries no installation", h.event)
		}
		if h.guid == "" || !strings.HasPrefix(h.header.Get("User-Agent"), "GitHub-Hookshot/") || h.header.Get("X-GitHub-Hook-Installation-Target-Type") != "integration" {
			t.Errorf("%s has headers %v", h.event, h.header)
		}
		switch e := e.(type) {
		case *github.PullRequestEvent:
			if e.GetAction() == "edited" && (!strings.Contains(e.Changes.Body.GetFrom(), "- [ ] runbook") || e.Sender.GetLogin() != "bob") {
				t.Errorf("edited: %v by %v", e.Changes, e.Sender)
			}
			if e.GetAction() == "closed" && !e.PullRequest.GetMerged() {
				t.Error("closed without merged")
			}
		case *github.PullRequestReviewEvent:
			if e.Review.GetState() != "approved" || e.Review.GetCommitID() != e.PullRequest.Head.GetSHA() {
				t.Errorf("review %v", e.Review)
			}
		}
	}
}

func TestRedeliveryKeepsTheGUID(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	in.answer(http.StatusInternalServerError)
	_, err := w.As("alice").OpenIssue("acme/env", "x", "")
	must(t, err)
	w.settle()
	lost := in.take()
	if len(lost) != 1 {
		t.Fatalf("GitHub does not retry, yet %d came", len(lost))
	}
	in.answer(http.StatusAccepted)
	apps := w.jwtClient(w.app.PrivateKey).Apps
	log, _, err := apps.ListHookDeliveries(t.Context(), &github.ListCursorOptions{PerPage: 1})
	must(t, err)
	if len(log) != 1 || log[0].GetGUID() != lost[0].guid || log[0].GetStatusCode() != 500 || log[0].GetEvent() != "issues" {
		t.Fatalf("log %v", log)
	}
	if _, _, err = apps.RedeliverHookDelivery(t.Context(), log[0].GetID()); err != nil && !strings.Contains(err.Error(), "scheduled") {
		t.Fatal(err)
	}
	w.settle()
	again := in.take()
	if len(again) != 1 || again[0].guid != lost[0].guid || !bytes.Equal(again[0].body, lost[0].body) {
		t.Errorf("redelivered %d", len(again))
	}
	full, _, err := apps.GetHookDelivery(t.Context(), log[0].GetID())
	must(t, err)
	if full.Request.GetHeaders()["X-GitHub-Delivery"] != lost[0].guid {
		t.Errorf("the log remembers headers %v", full.Request.GetHeaders())
	}
	_, res, err := apps.ListHookDeliveries(t.Context(), &github.ListCursorOptions{PerPage: 1})
	must(t, err)
	next, _, err := apps.ListHookDeliveries(t.Context(), &github.ListCursorOptions{PerPage: 1, Cursor: res.Cursor})
	must(t, err)
	if len(next) != 1 || next[0].GetID() != log[0].GetID() {
		t.Errorf("second page by cursor %q: %v", res.Cursor, next)
	}
}

func TestWebhookPolicy(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	comment := func() {
		t.Helper()
		_, err := w.As("alice").OpenIssue("acme/env", "x", "")
		must(t, err)
		w.settle()
	}
	policy := func(a githubsim.HookAction) {
		w.SetHookPolicy(func(event, _ string) githubsim.HookAction { return a })
		comment()
	}
	policy(githubsim.Drop)
	if got := in.take(); len(got) != 0 {
		t.Errorf("dropped, yet %s came", names(got))
	}
	logged := len(w.Deliveries())
	policy(githubsim.Forget)
	if got := in.take(); len(got) != 0 || len(w.Deliveries()) != logged {
		t.Errorf("never made, yet %s came, and the log has %d more", names(got), len(w.Deliveries())-logged)
	}
	policy(githubsim.DeliverTwice)
	if got := in.take(); len(got) != 2 || got[0].guid != got[1].guid {
		t.Errorf("twice: %d", len(got))
	}
	policy(githubsim.DeliverTwiceNewGUID)
	if got := in.take(); len(got) != 2 || got[0].guid == got[1].guid {
		t.Errorf("twice under new GUIDs: %d", len(got))
	}
	policy(githubsim.Hold)
	comment()
	if got := in.take(); len(got) != 0 {
		t.Errorf("held, yet %s came", names(got))
	}
	w.ReleaseHeld(true)
	w.settle()
	got := in.take()
	if len(got) != 2 {
		t.Fatalf("released %d", len(got))
	}
	first, second := got[0].body, got[1].body
	var a, b struct{ Issue struct{ Number int } }
	must(t, json.Unmarshal(first, &a))
	must(t, json.Unmarshal(second, &b))
	if a.Issue.Number < b.Issue.Number {
		t.Errorf("released in order %d, %d, want reversed", a.Issue.Number, b.Issue.Number)
	}
}

// TestLittleCI is the demo's: it answers new heads with a check run, in
// process, by OnEvent.
func TestLittleCI(t *testing.T) {
	w := newWorld(t)
	w.OnEvent(func(e githubsim.Event) {
		if e.Name == "pull_request" && slices.Contains([]string{"opened", "synchronize"}, e.Action) {
			if err := w.CompleteCheck(w.ci.ID, e.Repo, e.SHA, "lint", "success"); err != nil {
				t.Errorf("%s#%d: %v", e.Repo, e.Number, err)
			}
		}
	})
	w.propose("bump", "1.7.0")
	w.settle()
	v, err := w.Pull("acme/env", 1)
	must(t, err)
	if len(v.Checks) != 1 || v.Checks[0].Concluded != "success" || v.Checks[0].App != "ci" {
		t.Errorf("checks %+v", v.Checks)
	}
}

func TestButtonsOfChecksReachTheirApp(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	pr := w.propose("bump", "1.7.0")
	run, _, err := w.bot().Checks.CreateCheckRun(t.Context(), "acme", "env", github.CreateCheckRunOptions{
		Name: "tagboat", HeadSHA: pr.Head.GetSHA(), Actions: []*github.CheckRunAction{{Label: "Hold", Description: "hold it", Identifier: "hold"}},
	})
	must(t, err)
	w.settle()
	in.take()
	must(t, w.As("alice").PressAction("acme/env", run.GetID(), "hold"))
	must(t, w.As("alice").RerunCheck("acme/env", run.GetID()))
	if err := w.As("mallory").PressAction("acme/env", run.GetID(), "hold"); err == nil {
		t.Error("an outsider pressed a button")
	}
	w.settle()
	hooks := in.take()
	if got := names(hooks); got != "check_run.requested_action check_run.rerequested" {
		t.Fatalf("got %s", got)
	}
	e, err := github.ParseWebHook("check_run", hooks[0].body)
	must(t, err)
	if got := e.(*github.CheckRunEvent); got.RequestedAction.Identifier != "hold" || got.Sender.GetLogin() != "alice" {
		t.Errorf("action %v by %v", got.RequestedAction, got.Sender)
	}
}
