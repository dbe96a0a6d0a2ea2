package demo

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/intake"
)

// TestWhatPeopleWrite tells of comments that ask for what cannot be, of those
// that are none of Tagboat's business, and of what arrives twice or from somebody
// who only says that he is GitHub.
func TestWhatPeopleWrite(t *testing.T) {
	s := newScene(t)
	s.story("commands that cannot be obeyed are answered", refusedCommands)
	s.story("help and explain", helpAndExplain)
	s.story("talk about commands is not a command", ignoredComments)
	s.story("a comment that arrives twice is answered once", repeatedComments)
	s.story("very long and very demanding comments", immoderateComments)
	s.story("the doors keep strangers out", strangersAtTheDoors)
	s.story("what CI says about itself stays data", injectedFacts)
}

func refusedCommands(s *scene) {
	_, err := s.w.pushImage(s.ctx, "payments", "1.5.0", "1.5.0", "")
	s.must(err)
	talk := s.issue()
	pulls := len(s.w.GitHub.Pulls(envRepo))
	for _, c := range []struct{ body, answer string }{
		{"/promote qa payments", "There is no environment qa. There are: dev, staging, prod."},
		{"/promote prd payments", "There is no environment prd. Did you mean prod? There are: dev, staging, prod."},
		{"/promote Prod payments", "names are lower case: \"prod\""},
		{"/promote prod catalg", "“catalg” is neither an app of prod (catalog, payments, shop) nor a tag that is known. Did you mean catalog?"},
		{"/promote prod billing 1.0.0", "billing has no overlay for prod"},
		{"/promote prod", "Which app? Write /promote prod <app> [tag]; the apps of prod are: catalog, payments, shop."},
		{"/promote prod 1.6.0", "Which app?"},
		{"/promote prod payments 9.9.9", "payments:9.9.9 is not in registry"},
		{"/promote prod payments latest", "is a name that moves, not a version"},
		{"/promote prod payments 1.5.0", "1.5.0 is older than 1.6.0, which prod has now"},
		{"/promote $(reboot)", "It is written /promote"},
		{"/promote prod payments 1.6.0 now", "at most 3 are understood"},
		{"/promote", "The environment is missing"},
		{"/promte prod payments", "did you mean /promote?"},
		{"/explain", "not a pull request of Tagboat's"},
		{"/promote @carol", "not the name of an environment"},
	} {
		s.says("alice", talk, c.body, "confused", "`", unescaped(c.answer))
	}
	s.says("alice", talk, "/promote prod payments 1.6.0", "rocket", "prod has `1.6.0` already; there is nothing to change.")
	// Nothing of shop was ever verified: what the overlay pins is, now.
	s.says("alice", talk, "/promote dev shop", "rocket", "dev has `3.0.0` already; there is nothing to change.")
	s.idle()
	if n := len(s.w.GitHub.Pulls(envRepo)); n != pulls {
		s.Errorf("there are %d pull requests, there were %d", n, pulls)
	}
}

// unescaped is what people read as it stands in Markdown.
func unescaped(text string) string {
	return strings.NewReplacer("<", "&lt;", ">", "&gt;", "[", `\[`, "]", `\]`).Replace(text)
}

func helpAndExplain(s *scene) {
	talk := s.issue()
	s.says("alice", talk, "/help", "rocket", "| Command |", "/promote")
	catalog := s.release("catalog", "2.3.1")
	pull := s.asked("prod", "catalog", "2.3.1").Number
	s.runs("staging", "catalog", "2.3.1", catalog)
	s.says("bob", pull, "What is this waiting for?\n\n/explain", "rocket", "**catalog**", "0 of 2 approvals", "Approvals", "team platform")
	s.says("bob", pull, "/promote prod", "rocket", fmt.Sprintf("`2.3.1` is on its way already: #%d.", pull))
	staging := s.merged("staging", "catalog", "2.3.1").Number
	s.until("staging has it for good", func() error {
		state, err := s.w.stateOf(s.ctx, "staging", "catalog", "2.3.1")
		if err == nil && state != "deployed" {
			err = fmt.Errorf("it is %s", state)
		}
		return err
	})
	s.says("bob", staging, "/explain", "rocket", "This promotion is deployed.")
}

func ignoredComments(s *scene) {
	talk := s.issue()
	var ids []int64
	say := func(login, body string) int64 {
		id, err := s.as(login).Comment(envRepo, talk, body)
		s.must(err)
		ids = append(ids, id)
		return id
	}
	say("alice", "> /promote prod payments 1.6.0\n\nWhy not?")
	say("alice", "```\n/promote prod payments 1.6.0\n```")
	say("alice", "    /promote prod payments 1.6.0")
	say("alice", "Please write `/promote prod payments 1.6.0`, or\n- /promote prod")
	say("alice", "/lgtm\n/approve")
	edited := say("alice", "Hello.")
	s.must(s.as("alice").EditComment(envRepo, edited, "/promote prod payments 1.6.0"))
	ids = append(ids, s.robotSays(talk, "/promote prod payments 1.6.0"))
	s.idle()
	for _, id := range ids {
		s.must(s.w.untouched(talk, id))
	}
}

// robotSays comments as another GitHub App.
func (s *scene) robotSays(number int, body string) int64 {
	s.Helper()
	app, err := s.w.GitHub.AddApp(githubsim.AppSpec{Slug: "robot", Name: "Robot", Owner: org, Permissions: map[string]string{"issues": "write"}})
	s.must(err)
	installation, err := s.w.GitHub.Install(app.ID, org, "env")
	s.must(err)
	jwt, err := app.SignJWT(time.Now(), time.Now().Add(time.Minute))
	s.must(err)
	var token struct{ Token string }
	s.post(fmt.Sprintf("app/installations/%d/access_tokens", installation), jwt, map[string]any{}, &token)
	var comment struct{ ID int64 }
	s.post(fmt.Sprintf("repos/%s/issues/%d/comments", envRepo, number), token.Token, map[string]any{"body": body}, &comment)
	return comment.ID
}

func (s *scene) post(path, token string, in, out any) {
	s.Helper()
	body, err := json.Marshal(in)
	s.must(err)
	req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.w.GitHub.APIURL()+path, bytes.NewReader(body))
	s.must(err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	s.must(err)
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusCreated {
		s.Fatalf("POST %s: %s", path, resp.Status)
	}
	s.must(json.NewDecoder(resp.Body).Decode(out))
}

func repeatedComments(s *scene) {
	for name, action := range map[string]githubsim.HookAction{
		"with the same GUID": githubsim.DeliverTwice, "with another GUID": githubsim.DeliverTwiceNewGUID,
	} {
		s.w.GitHub.SetHookPolicy(func(event, _ string) githubsim.HookAction {
			if event == "issue_comment" {
				return action
			}
			return githubsim.Deliver
		})
		talk := s.issue()
		id, err := s.as("alice").Comment(envRepo, talk, "/help")
		s.must(err)
		s.until("the answer comes "+name, func() error { return s.w.answered(talk, id, "rocket", "| Command |") })
		s.idle()
		s.w.GitHub.SetHookPolicy(nil)
		s.must(s.w.answered(talk, id, "rocket", "| Command |"))
	}
}

func immoderateComments(s *scene) {
	talk := s.issue()
	s.says("alice", talk, strings.Repeat("/explain\n", 9), "confused", "at most 5 commands", "were not read")
	s.says("alice", talk, strings.Repeat("A long story. ", 60_000/14)+"\n\n/help", "rocket", "| Command |")
	s.says("alice", talk, "/help\n/promote prod "+strings.Repeat("x", 60_000), "confused", "| Command |", "neither the name of an app nor a tag")
}

func strangersAtTheDoors(s *scene) {
	s.idle()
	before, err := s.w.count(s.ctx, `SELECT count(*) FROM delivery`)
	s.must(err)
	now := fmt.Sprint(time.Now().Unix())
	built := fmt.Sprintf(`{"image":%q,"tag":"6.6.6"}`, imageHost+"/payments")
	for _, c := range []struct {
		door, body string
		header     map[string]string
	}{
		{"github", `{}`, map[string]string{"X-GitHub-Event": "ping", "X-GitHub-Delivery": "1"}},
		{"github", `{}`, map[string]string{"X-GitHub-Event": "ping", "X-GitHub-Delivery": "2", "X-Hub-Signature-256": "sha256=" + strings.Repeat("0", 64)}},
		{"registry/distribution", `{"events":[]}`, nil},
		{"registry/distribution", `{"events":[]}`, map[string]string{"Authorization": "Bearer " + s.w.secrets.ci}},
		{"ci", built, nil},
		{"ci", built, map[string]string{intake.HeaderTimestamp: now, intake.HeaderSignature: intake.SignCI([]byte("guess"), now, []byte(built))}},
		{"ci", built, map[string]string{intake.HeaderTimestamp: "1", intake.HeaderSignature: intake.SignCI([]byte(s.w.secrets.ci), "1", []byte(built))}},
	} {
		req, err := http.NewRequestWithContext(s.ctx, http.MethodPost, s.w.Tagboat.URL()+"/hooks/"+c.door, strings.NewReader(c.body))
		s.must(err)
		for name, value := range c.header {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		s.must(err)
		answer, err := io.ReadAll(resp.Body)
		s.must(errors.Join(err, resp.Body.Close()))
		if resp.StatusCode != http.StatusUnauthorized {
			s.Errorf("%s %v: %s %s", c.door, c.header, resp.Status, answer)
		}
	}
	after, err := s.w.count(s.ctx, `SELECT count(*) FROM delivery`)
	s.must(err)
	if after != before {
		s.Errorf("%d deliveries of strangers were stored", after-before)
	}
}

// injectedFacts: a CI that is under somebody else's control cannot write into a
// commit message or a body what it likes.
func injectedFacts(s *scene) {
	digest, err := s.w.pushImage(s.ctx, "scratch", "1.7.0", "payments", "") // nobody uses this one
	s.must(err)
	for field, value := range map[string]any{
		"source": map[string]string{"repository": "acme/payments\n\nCo-authored-by: mallory"},
		"tag":    "1.7.0\n\nApproved-by: bob",
		"run":    map[string]string{"url": "javascript:alert(1)"},
		"image":  "registry/[x](http://evil.test)",
	} {
		built := map[string]any{"image": imageHost + "/payments", "tag": "1.7.0", "digest": digest, field: value}
		body, err := json.Marshal(built)
		s.must(err)
		if err := s.w.callback(s.ctx, body); err == nil || !strings.Contains(err.Error(), "400") {
			s.Errorf("%s %q: %v", field, value, err)
		}
	}
}
