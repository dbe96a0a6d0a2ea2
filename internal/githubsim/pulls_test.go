package githubsim_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

func TestPullRequestFromProposalToMerge(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	pr := w.propose("bump", "1.7.0")
	if pr.GetUser().GetLogin() != "tagboat[bot]" || pr.GetUser().GetType() != "Bot" || pr.GetNumber() != 1 {
		t.Errorf("opened by %v as #%d", pr.GetUser(), pr.GetNumber())
	}
	_, _, err := c.PullRequests.Create(ctx, "acme", "env", &github.NewPullRequest{Title: github.String("x"), Head: github.String("bump"), Base: github.String("main")})
	refused(t, err, 422, "A pull request already exists for acme:bump.")
	_, _, err = c.PullRequests.Create(ctx, "acme", "env", &github.NewPullRequest{Title: github.String("x"), Head: github.String("main"), Base: github.String("main")})
	refused(t, err, 422, "No commits between main and main")

	// Without "owner:" GitHub ignores the head filter.
	for head, want := range map[string]int{"acme:bump": 1, "acme:other": 0, "other": 1} {
		found, _, err := c.PullRequests.List(ctx, "acme", "env", &github.PullRequestListOptions{Head: head})
		must(t, err)
		if len(found) != want {
			t.Errorf("head=%s finds %d", head, len(found))
		}
	}
	files, _, err := c.PullRequests.ListFiles(ctx, "acme", "env", 1, nil)
	must(t, err)
	if len(files) != 1 || !strings.Contains(files[0].GetPatch(), "+  newTag: 1.7.0") {
		t.Errorf("files %v", files)
	}
	_, _, err = c.PullRequests.Merge(ctx, "acme", "env", 1, "", &github.PullRequestOptions{SHA: strings.Repeat("0", 40)})
	refused(t, err, 409, "Head branch was modified. Review and try the merge again.")
	merged, _, err := c.PullRequests.Merge(ctx, "acme", "env", 1, "because", &github.PullRequestOptions{
		SHA: pr.Head.GetSHA(), MergeMethod: "squash", CommitTitle: "payments 1.7.0 (#1)",
	})
	must(t, err)
	pr, _, err = c.PullRequests.Get(ctx, "acme", "env", 1)
	must(t, err)
	if !pr.GetMerged() || pr.GetState() != "closed" || pr.GetMergeCommitSHA() != merged.GetSHA() || pr.GetMergedBy().GetLogin() != "tagboat[bot]" {
		t.Errorf("after the merge: %v", pr)
	}
	log, err := w.Log("acme/env", "main")
	must(t, err)
	if log[0].Message != "payments 1.7.0 (#1)\n\nbecause" || len(log[0].Parents) != 1 || !log[0].Verified {
		t.Errorf("main is at %+v", log[0])
	}
	_, _, err = c.PullRequests.Merge(ctx, "acme", "env", 1, "", nil)
	refused(t, err, 405, "Pull Request is not mergeable")
}

func TestMergeableIsUnknownAtFirstAndConflictsAreDirty(t *testing.T) {
	w := newWorld(t, func(o *githubsim.Options) { o.MergeableUnknown = 1 })
	c, ctx := w.bot(), t.Context()
	first, second := w.propose("one", "1.7.0"), w.propose("two", "1.8.0")
	get := func(n int) *github.PullRequest {
		pr, _, err := c.PullRequests.Get(ctx, "acme", "env", n)
		must(t, err)
		return pr
	}
	if pr := get(first.GetNumber()); pr.Mergeable != nil || pr.GetMergeableState() != "unknown" {
		t.Errorf("first read: %v %s", pr.Mergeable, pr.GetMergeableState())
	}
	if pr := get(first.GetNumber()); !pr.GetMergeable() || pr.GetMergeableState() != "clean" {
		t.Errorf("second read: %v %s", pr.Mergeable, pr.GetMergeableState())
	}
	_, err := w.As("alice").MergePull("acme/env", first.GetNumber(), "merge")
	must(t, err)
	get(second.GetNumber())
	if pr := get(second.GetNumber()); pr.GetMergeable() || pr.GetMergeableState() != "dirty" {
		t.Errorf("conflicting: %v %s", pr.Mergeable, pr.GetMergeableState())
	}
	_, err = w.As("alice").MergePull("acme/env", second.GetNumber(), "squash")
	if err == nil || !strings.Contains(err.Error(), "405") {
		t.Errorf("merging a conflict: %v", err)
	}
}

func TestRebaseReplaysEveryCommit(t *testing.T) {
	w := newWorld(t)
	alice := w.As("alice")
	for i, file := range []string{"a", "b"} {
		_, err := alice.Push("acme/env", "work", "add "+file, map[string]string{file: strings.Repeat("x", i+1)})
		must(t, err)
	}
	n, err := alice.OpenPull("acme/env", "work", "main", "work", "")
	must(t, err)
	_, err = alice.Push("acme/env", "main", "meanwhile", map[string]string{"c": "c"})
	must(t, err)
	_, err = alice.MergePull("acme/env", n, "rebase")
	must(t, err)
	log, err := w.Log("acme/env", "main")
	must(t, err)
	var messages []string
	for _, c := range log {
		messages = append(messages, c.Message)
	}
	if got := strings.Join(messages, ","); got != "add b,add a,meanwhile,Initial commit" {
		t.Errorf("history is %s", got)
	}
	for _, file := range []string{"a", "b", "c", "tagboat.yaml"} {
		if _, err := w.File("acme/env", "main", file); err != nil {
			t.Error(err)
		}
	}
}

func TestReviewsFollowTheRules(t *testing.T) {
	w := newWorld(t)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{RequiredApprovals: 2, DismissStale: true, EnforceAdmins: true}))
	w.propose("bump", "1.7.0")
	_, _, err := w.bot().PullRequests.CreateReview(t.Context(), "acme", "env", 1, &github.PullRequestReviewRequest{Event: github.String("APPROVE")})
	refused(t, err, 422, "Can not approve your own pull request")
	review := func(who, event string) {
		t.Helper()
		_, err := w.As(who).Review("acme/env", 1, event, "see above")
		must(t, err)
	}
	if _, err := w.As("mallory").Review("acme/env", 1, "APPROVE", ""); err == nil {
		t.Error("an outsider could review a private repository")
	}
	review("bob", "APPROVE")
	_, err = w.As("bob").MergePull("acme/env", 1, "squash")
	if err == nil || !strings.Contains(err.Error(), "405") || !strings.Contains(err.Error(), "At least 2 approving reviews are required") {
		t.Errorf("with one approval: %v", err)
	}
	review("carol", "REQUEST_CHANGES")
	review("carol", "APPROVE")
	if v, err := w.Pull("acme/env", 1); err != nil || v.MergeableState != "clean" {
		t.Errorf("two approvals: %s %v", v.MergeableState, err)
	}
	// An update-branch merge carries the reviews along; another push does not.
	must(t, w.Protect("acme/env", "main", githubsim.Protection{}))
	_, err = w.As("alice").Push("acme/env", "main", "meanwhile", map[string]string{"c": "c"})
	must(t, err)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{RequiredApprovals: 2, DismissStale: true}))
	must(t, w.As("alice").UpdateBranch("acme/env", 1))
	v, err := w.Pull("acme/env", 1)
	must(t, err)
	if v.Reviews[0].State != "APPROVED" || v.Reviews[0].Commit != v.HeadSHA {
		t.Errorf("after update-branch: %+v, head %s", v.Reviews[0], v.HeadSHA)
	}
	_, err = w.As("alice").Push("acme/env", "bump", "more", map[string]string{"d": "d"})
	must(t, err)
	v, err = w.Pull("acme/env", 1)
	must(t, err)
	if v.Reviews[0].State != "DISMISSED" || v.Reviews[0].Commit == v.HeadSHA {
		t.Errorf("after a push: %+v, head %s", v.Reviews[0], v.HeadSHA)
	}
}

func TestChecksGateTheMerge(t *testing.T) {
	w := newWorld(t)
	must(t, w.Protect("acme/env", "main", githubsim.Protection{RequiredChecks: []githubsim.RequiredCheck{{Context: "lint", AppID: w.ci.ID}}}))
	pr := w.propose("bump", "1.7.0")
	c, ctx, sha := w.bot(), t.Context(), pr.Head.GetSHA()
	merge := func() error {
		_, _, err := c.PullRequests.Merge(ctx, "acme", "env", 1, "", &github.PullRequestOptions{SHA: sha, MergeMethod: "squash"})
		return err
	}
	refused(t, merge(), 405, `Required status check "lint" is expected.`)
	// A run of the same name by another App is not the required one.
	_, _, err := c.Checks.CreateCheckRun(ctx, "acme", "env", github.CreateCheckRunOptions{
		Name: "lint", HeadSHA: sha, Status: github.String("completed"), Conclusion: github.String("success"),
	})
	must(t, err)
	refused(t, merge(), 405, `"lint" is expected`)
	must(t, w.StartCheck(w.ci.ID, "acme/env", sha, "lint"))
	refused(t, merge(), 405, `"lint" is pending`)
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", sha, "lint", "failure"))
	refused(t, merge(), 405, `"lint" is failing`)
	must(t, w.CompleteCheck(w.ci.ID, "acme/env", sha, "lint", "success"))

	runs, _, err := c.Checks.ListCheckRunsForRef(ctx, "acme", "env", sha, &github.ListCheckRunsOptions{CheckName: github.String("lint")})
	must(t, err)
	if runs.GetTotal() != 2 {
		t.Errorf("latest lint runs: %d, want one per App", runs.GetTotal())
	}
	protection, _, err := c.Repositories.GetBranchProtection(ctx, "acme", "env", "main")
	must(t, err)
	if checks := *protection.GetRequiredStatusChecks().Checks; len(checks) != 1 || checks[0].GetAppID() != w.ci.ID {
		t.Errorf("required checks %v", checks)
	}
	rules, _, err := c.Repositories.GetRulesForBranch(ctx, "acme", "env", "main")
	must(t, err)
	if len(rules) != 4 || !strings.Contains(string(*rules[3].Parameters), "integration_id") {
		t.Errorf("rules %v", rules)
	}
	must(t, merge())
}

func TestCheckOutputIsLimitedInBytes(t *testing.T) {
	w := newWorld(t)
	pr := w.propose("bump", "1.7.0")
	create := func(summary string) error {
		_, _, err := w.bot().Checks.CreateCheckRun(t.Context(), "acme", "env", github.CreateCheckRunOptions{
			Name: "tagboat", HeadSHA: pr.Head.GetSHA(), Output: &github.CheckRunOutput{Title: github.String("t"), Summary: &summary},
		})
		return err
	}
	must(t, create(strings.Repeat("x", 65535)))
	refused(t, create(strings.Repeat("ä", 32768)), 422, "Only 65535")
	_, err := w.As("alice").Comment("acme/env", 1, strings.Repeat("ä", 65536))
	must(t, err)
	_, err = w.As("alice").Comment("acme/env", 1, strings.Repeat("a", 65537))
	if err == nil || !strings.Contains(err.Error(), "body is too long") {
		t.Errorf("65537 characters: %v", err)
	}
}

func TestCommentsReactionsLabelsAndTicks(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	w.propose("bump", "1.7.0")
	id, err := w.As("alice").Comment("acme/env", 1, "/promote prod")
	must(t, err)
	for _, status := range []int{http.StatusCreated, http.StatusOK} {
		_, res, err := c.Reactions.CreateIssueCommentReaction(ctx, "acme", "env", id, "eyes")
		must(t, err)
		if res.StatusCode != status {
			t.Errorf("reaction answered %d, want %d", res.StatusCode, status)
		}
	}
	reactions, _, err := c.Reactions.ListIssueCommentReactions(ctx, "acme", "env", id, nil)
	must(t, err)
	_, err = c.Reactions.DeleteIssueCommentReaction(ctx, "acme", "env", id, reactions[0].GetID())
	must(t, err)
	labels, _, err := c.Issues.AddLabelsToIssue(ctx, "acme", "env", 1, []string{"tagboat", "prod"})
	must(t, err)
	_, err = c.Issues.RemoveLabelForIssue(ctx, "acme", "env", 1, "prod")
	must(t, err)
	must(t, w.As("bob").Tick("acme/env", 1, "runbook"))
	if err := w.As("bob").Tick("acme/env", 1, "runbook"); err == nil {
		t.Error("ticked twice")
	}
	v, err := w.Pull("acme/env", 1)
	must(t, err)
	if len(labels) != 2 || len(v.Labels) != 1 || v.Body != "- [x] runbook read\n- [ ] announced\n" || len(v.Comments[0].Reactions) != 0 {
		t.Errorf("labels %v, now %v; body %q; comments %+v", labels, v.Labels, v.Body, v.Comments)
	}
	n, err := w.As("mallory").OpenIssue("acme/env", "hello", "")
	if err == nil {
		t.Errorf("an outsider opened #%d in a private repository", n)
	}
	n, err = w.As("alice").OpenIssue("acme/env", "catalog please", "")
	must(t, err)
	_, _, err = c.Issues.CreateComment(ctx, "acme", "env", n, &github.IssueComment{Body: github.String("done")})
	must(t, err)
	if err := w.As("bob").EditComment("acme/env", id, "/promote dev"); err != nil {
		t.Errorf("people with write access may edit comments: %v", err)
	}
}

func TestStatusesAndDeployments(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	pr := w.propose("bump", "1.7.0")
	sha := pr.Head.GetSHA()
	state := func() string {
		got, _, err := c.Repositories.GetCombinedStatus(ctx, "acme", "env", "bump", nil)
		must(t, err)
		return got.GetState()
	}
	if got := state(); got != "pending" {
		t.Errorf("without statuses: %s", got)
	}
	must(t, w.As("alice").SetStatus("acme/env", sha, "scan", "failure"))
	_, _, err := c.Repositories.CreateDeployment(ctx, "acme", "env", &github.DeploymentRequest{Ref: &sha, AutoMerge: github.Bool(false)})
	refused(t, err, 409, "Conflict: Commit status checks failed")
	must(t, w.As("alice").SetStatus("acme/env", sha, "Scan", "success"))
	if got := state(); got != "success" {
		t.Errorf("the newest status of a context counts whatever its case: %s", got)
	}
	deploy := func() *github.Deployment {
		d, _, err := c.Repositories.CreateDeployment(ctx, "acme", "env", &github.DeploymentRequest{
			Ref: &sha, AutoMerge: github.Bool(false), RequiredContexts: &[]string{}, Environment: github.String("staging"),
		})
		must(t, err)
		_, _, err = c.Repositories.CreateDeploymentStatus(ctx, "acme", "env", d.GetID(), &github.DeploymentStatusRequest{State: github.String("success")})
		must(t, err)
		return d
	}
	first := deploy()
	deploy()
	statuses, _, err := c.Repositories.ListDeploymentStatuses(ctx, "acme", "env", first.GetID(), nil)
	must(t, err)
	if len(statuses) != 2 || statuses[0].GetState() != "inactive" {
		t.Errorf("the first deployment is %v", statuses)
	}
}

func TestPagesETagsAndFaults(t *testing.T) {
	w := newWorld(t)
	c, ctx := w.bot(), t.Context()
	w.propose("bump", "1.7.0")
	for range 31 {
		_, err := w.As("alice").Comment("acme/env", 1, "hi")
		must(t, err)
	}
	page, res, err := c.Issues.ListComments(ctx, "acme", "env", 1, nil)
	must(t, err)
	if len(page) != 30 || res.NextPage != 2 || res.LastPage != 2 {
		t.Errorf("page of %d, next %d, last %d", len(page), res.NextPage, res.LastPage)
	}
	req, err := c.NewRequest(http.MethodGet, "repos/acme/env/pulls/1", nil)
	must(t, err)
	res, err = c.Do(ctx, req, nil)
	must(t, err)
	req.Header.Set("If-None-Match", res.Header.Get("ETag"))
	res, _ = c.Do(ctx, req, nil)
	if res.StatusCode != http.StatusNotModified || res.Rate.Remaining == 0 {
		t.Errorf("conditional read: %d, remaining %d", res.StatusCode, res.Rate.Remaining)
	}
	const merge = "PUT /repos/{owner}/{repo}/pulls/{number}/merge"
	w.Inject(githubsim.Fault{Route: merge, Status: 500, Match: func(r githubsim.Request) bool { return r.App == "another" }})
	w.Inject(githubsim.Fault{Route: merge, Times: 1, Status: 405, Body: `{"message":"Base branch was modified. Review and try the merge again."}`})
	w.Inject(githubsim.Fault{Route: merge, Times: 1, DropAnswer: true})
	_, _, err = c.PullRequests.Merge(ctx, "acme", "env", 1, "", nil)
	refused(t, err, 405, "Base branch was modified")
	if _, _, err = c.PullRequests.Merge(ctx, "acme", "env", 1, "", nil); err == nil {
		t.Error("the lost answer arrived")
	}
	if v, err := w.Pull("acme/env", 1); err != nil || !v.Merged {
		t.Errorf("behind the lost answer: merged %v, %v", v.Merged, err)
	}
	last := w.Requests()[len(w.Requests())-1]
	if last.Route != merge || last.Status != 0 || last.App != "tagboat" || last.At.IsZero() || last.At.After(time.Now().Add(time.Minute)) {
		t.Errorf("journal ends with %+v", last)
	}
}
