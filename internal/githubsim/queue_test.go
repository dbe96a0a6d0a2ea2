package githubsim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// enqueue puts a pull request into its merge queue and gives GitHub's refusal.
func (w *world) enqueue(pr *github.PullRequest, head string) string {
	w.t.Helper()
	c := w.bot()
	req, err := c.NewRequest(http.MethodPost, "/api/graphql", map[string]any{
		"query":     `mutation($pull: ID!, $head: GitObjectID!) { enqueuePullRequest(input: {pullRequestId: $pull, expectedHeadOid: $head}) { mergeQueueEntry { id } } }`,
		"variables": map[string]string{"pull": pr.GetNodeID(), "head": head},
	})
	must(w.t, err)
	var answer struct {
		Data   map[string]*struct{ MergeQueueEntry struct{ ID string } }
		Errors []struct{ Type, Message string }
	}
	_, err = c.Do(w.t.Context(), req, &answer)
	must(w.t, err)
	if len(answer.Errors) > 0 {
		return answer.Errors[0].Type + " " + answer.Errors[0].Message
	}
	if answer.Data["enqueuePullRequest"].MergeQueueEntry.ID == "" {
		w.t.Error("no entry")
	}
	return ""
}

// groups are the commits that the queue wanted tested, in order.
func groups(in *inbox) (heads []string) {
	for _, h := range in.take() {
		if h.event != "merge_group" {
			continue
		}
		var p struct {
			Action     string
			MergeGroup struct {
				HeadSHA string `json:"head_sha"`
			} `json:"merge_group"`
		}
		if json.Unmarshal(h.body, &p) == nil && p.Action == "checks_requested" {
			heads = append(heads, p.MergeGroup.HeadSHA)
		}
	}
	return heads
}

func TestMergeQueue(t *testing.T) {
	w := newWorld(t)
	in := w.receive()
	first := w.propose("bump-1", "1.7.0")
	_, err := w.As("alice").Push("acme/env", "bump-2", "Another", map[string]string{"other.txt": "other\n"})
	must(t, err)
	second, _, err := w.bot().PullRequests.Create(t.Context(), "acme", "env", &github.NewPullRequest{
		Title: github.String("another"), Head: github.String("bump-2"), Base: github.String("main"),
	})
	must(t, err)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{
		MergeQueue: true, RequirePull: true, EnforceAdmins: true, RequiredChecks: []githubsim.RequiredCheck{{Context: "lint", AppID: w.ci.ID}},
	}))
	head := first.GetHead().GetSHA()
	if why := w.enqueue(first, head); !strings.Contains(why, `UNPROCESSABLE Pull request Required status check "lint" is expected.`) {
		t.Errorf("entered without its check: %q", why)
	}
	for _, pr := range []*github.PullRequest{first, second} {
		must(t, w.CompleteCheck(w.ci.ID, "acme/env", pr.GetHead().GetSHA(), "lint", "success"))
	}
	_, _, err = w.bot().PullRequests.Merge(t.Context(), "acme", "env", 1, "", nil)
	refused(t, err, 405, "Changes must be made through the merge queue")
	if why := w.enqueue(first, strings.Repeat("0", 40)); !strings.HasPrefix(why, "UNPROCESSABLE Expected head oid") {
		t.Errorf("entered with another head: %q", why)
	}
	if why := w.enqueue(first, head) + w.enqueue(second, second.GetHead().GetSHA()); why != "" {
		t.Fatal(why)
	}
	if why := w.enqueue(first, head); why != "UNPROCESSABLE Pull request is already in the queue" {
		t.Errorf("entered twice: %q", why)
	}
	w.settle()
	built := groups(in)
	if len(built) != 2 {
		t.Fatalf("%d groups are built", len(built))
	}
	// The second may be tested first: it contains the first, and waits for it.
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", built[1], "lint", "success"))
	if v, err := w.Pull("acme/env", 2); err != nil || v.Merged {
		t.Errorf("the second overtook the first: %v", err)
	}
	// The first fails: it is out, and the second is built without it.
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", built[0], "lint", "failure"))
	w.settle()
	again := groups(in)
	if len(again) != 1 || again[0] == built[1] {
		t.Fatalf("groups %v, then %v", built, again)
	}
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", again[0], "lint", "success"))
	v, err := w.Pull("acme/env", 2)
	must(t, err)
	if !v.Merged || v.MergeCommitSHA != again[0] {
		t.Errorf("merged %v as %s", v.Merged, v.MergeCommitSHA)
	}
	if v, err := w.Pull("acme/env", 1); err != nil || v.Merged || v.State != "open" {
		t.Errorf("the first is %+v, %v", v, err)
	}
	// A push takes a pull request out; whoever closes it, too.
	if why := w.enqueue(first, head); why != "" {
		t.Fatal(why)
	}
	_, err = w.As("alice").Push("acme/env", "bump-1", "more", map[string]string{"x": "x"})
	must(t, err)
	w.settle()
	left := 0
	for _, h := range in.take() {
		if h.event == "pull_request" && strings.Contains(string(h.body), `"reason":"MANUAL"`) {
			left++
		}
	}
	if left != 1 {
		t.Errorf("%d events tell of leaving the queue", left)
	}
}
