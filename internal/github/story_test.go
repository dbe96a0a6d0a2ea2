package github_test

import (
	"bytes"
	"errors"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

func TestAppKnowsItselfAndItsRepositories(t *testing.T) {
	w := newWorld(t)
	login, err := w.app.Login(t.Context())
	if login != "tagboat[bot]" || err != nil {
		t.Errorf("Login = %q, %v", login, err)
	}
	installations, err := w.app.Installations(t.Context())
	if err != nil || len(installations) != 1 || installations[0].Account.Login != "acme" || installations[0].Suspended {
		t.Fatalf("Installations = %+v, %v", installations, err)
	}
	all, err := w.app.Repositories(t.Context(), installations[0].ID)
	if err != nil || len(all) != 1 || all[0].Owner != "acme" || all[0].Name != "env" || all[0].DefaultBranch != "main" || all[0].ID == 0 || all[0].Archived || all[0].PushedAt.IsZero() {
		t.Fatalf("Repositories = %+v, %v", all, err)
	}
	id, err := w.app.Installation(t.Context(), "acme", "env")
	if err != nil || id != all[0].InstallationID {
		t.Errorf("Installation = %d, %v; want %d", id, err, all[0].InstallationID)
	}
	_, err = w.app.Installation(t.Context(), "acme", "other")
	w.wantKind(err, fault.NotFound)
	created := await(w, func(e github.InstallationChanged) bool { return e.Action == "created" })
	if created.InstallationID != id || created.Account.Login != "acme" || len(created.Added) != 1 || created.Added[0].ID != all[0].ID {
		t.Errorf("installation webhook: %+v", created)
	}
}

func TestPromotionWalk(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.must(w.sim.Protect("acme/env", "main", githubsim.Protection{RequiredApprovals: 1, Strict: true,
		RequiredChecks: []githubsim.RequiredCheck{{Context: "tagboat", AppID: w.app.ID()}}}))

	// A branch, the one pull request, its label.
	head := w.branch("tagboat/prod/payments", "1.7.0")
	if err := w.repo.CreateBranch(ctx, "tagboat/prod/payments", head); !errors.Is(err, github.ErrBranchExists) || !fault.Is(err, fault.Conflict) {
		t.Errorf("the branch again: %v", err)
	}
	request := github.NewPull{Branch: "tagboat/prod/payments", Base: "main", Title: "payments 1.7.0", Body: "- [ ] seen\n"}
	pull, err := w.repo.OpenPull(ctx, request)
	w.must(err)
	if pull.HeadSHA != head || pull.HeadRef != request.Branch || pull.HeadRepo != "acme/env" || pull.BaseRef != "main" || pull.State != "open" ||
		pull.Title != request.Title || pull.Body != request.Body || pull.Merged || pull.MergeSHA != "" || pull.URL == "" {
		t.Errorf("the pull request: %+v", pull)
	}
	if pull.Author.Login != "tagboat[bot]" || !pull.Author.Bot {
		t.Errorf("its author: %+v", pull.Author)
	}
	if _, err := w.repo.OpenPull(ctx, request); !errors.Is(err, github.ErrPullExists) || !fault.Is(err, fault.Conflict) {
		t.Errorf("the pull request again: %v", err)
	}
	w.must(w.repo.AddLabels(ctx, pull.Number, []string{"prod", "tagboat"}))
	found, ok, err := w.repo.PullOf(ctx, request.Branch)
	if err != nil || !ok || found.Number != pull.Number || !slices.Equal(found.Labels, []string{"prod", "tagboat"}) {
		t.Errorf("PullOf = %+v, %v, %v", found, ok, err)
	}

	// Rules, and GitHub holding us to them.
	rules, err := w.repo.Rules(ctx, "main")
	want := github.BranchRules{Checks: []github.RequiredCheck{{Name: "tagboat", AppID: w.app.ID()}}, Strict: true}
	if diff := cmp.Diff(want, rules); diff != "" || err != nil {
		t.Errorf("Rules: %v, %s", err, diff)
	}
	merge := github.MergeRequest{HeadSHA: head, Method: "squash", Title: "payments 1.7.0 in prod (#1)", Message: "why"}
	_, err = w.repo.Merge(ctx, pull.Number, merge)
	w.wantKind(err, fault.Denied)
	if fault.HintOf(err) == "" {
		t.Errorf("the refusal has no hint: %v", err)
	}

	// Our check.
	check := github.CheckRun{Name: "tagboat", HeadSHA: head, Status: "in_progress", Title: "Waiting", Summary: "| gate |\n|-|\n",
		DetailsURL: "https://tagboat.example.com/p/1", ExternalID: "1", StartedAt: time.Now()}
	id, err := w.repo.CreateCheck(ctx, check)
	w.must(err)
	check.Status, check.Conclusion, check.Title, check.Text = "completed", "success", "Ready", strings.Repeat("é", 40000)
	check.CompletedAt = time.Now()
	w.must(w.repo.UpdateCheck(ctx, id, check))
	if again, ok, err := w.repo.FindCheck(ctx, head, "tagboat"); again != id || !ok || err != nil {
		t.Errorf("FindCheck = %d, %v, %v; want %d", again, ok, err, id)
	}
	if _, ok, err := w.repo.FindCheck(ctx, head, "other"); ok || err != nil {
		t.Errorf("FindCheck of another name: %v, %v", ok, err)
	}
	_, _, err = w.as("alice").Repositories.CreateStatus(ctx, "acme", "env", head, &gh.RepoStatus{State: gh.String("pending"), Context: gh.String("scan")})
	w.must(err)
	checks, err := w.repo.Checks(ctx, head)
	w.must(err)
	for i := range checks {
		checks[i].At = time.Time{}
	}
	if diff := cmp.Diff([]github.Check{
		{Kind: github.RunKind, AppID: w.app.ID(), Name: "tagboat", Status: "completed", Conclusion: "success", URL: check.DetailsURL},
		{Kind: github.StatusKind, Name: "scan", Status: "in_progress"},
	}, checks); diff != "" {
		t.Errorf("Checks: %s", diff)
	}
	await(w, func(e github.CheckChanged) bool {
		return e.Name == "tagboat" && e.Conclusion == "success" && e.AppID == w.app.ID()
	})
	await(w, func(e github.CheckChanged) bool {
		return e.Kind == github.StatusKind && e.Name == "scan" && e.HeadSHA == head
	})

	// A review, and a head that is not the one evaluated.
	_, _, err = w.as("alice").PullRequests.CreateReview(ctx, "acme", "env", pull.Number, &gh.PullRequestReviewRequest{Event: gh.String("APPROVE"), Body: gh.String("fine")})
	w.must(err)
	reviews, err := w.repo.Reviews(ctx, pull.Number)
	if err != nil || len(reviews) != 1 || reviews[0].State != "APPROVED" || reviews[0].User.Login != "alice" || reviews[0].CommitID != head || reviews[0].User.ID == 0 {
		t.Errorf("Reviews = %+v, %v", reviews, err)
	}
	review := await(w, func(e github.ReviewSubmitted) bool { return e.Reviewer.Login == "alice" })
	if review.State != "APPROVED" || review.HeadSHA != head || review.ReviewID != reviews[0].ID || review.Reviewer.ID != reviews[0].User.ID {
		t.Errorf("review webhook: %+v", review)
	}
	moved := merge
	moved.HeadSHA = pull.BaseSHA
	if _, err := w.repo.Merge(ctx, pull.Number, moved); !errors.Is(err, github.ErrHeadMoved) || !fault.Is(err, fault.Conflict) {
		t.Errorf("merge of another head: %v", err)
	}

	// The merge, and what GitHub tells of it.
	merged, err := w.repo.Merge(ctx, pull.Number, merge)
	w.must(err)
	after, err := w.repo.Pull(ctx, pull.Number)
	if err != nil || !after.Merged || after.MergeSHA != merged || after.State != "closed" {
		t.Errorf("after the merge: %+v, %v", after, err)
	}
	if main, err := w.repo.Branch(ctx, "main"); main != merged || err != nil {
		t.Errorf("main is at %s, %v; want %s", main, err, merged)
	}
	closed := await(w, func(e github.PullChanged) bool { return e.Action == "closed" })
	if !closed.Pull.Merged || closed.Pull.MergeSHA != merged || closed.Repo.ID == 0 || closed.Sender.Login != "tagboat[bot]" {
		t.Errorf("closed webhook: %+v", closed)
	}
	push := await(w, func(e github.Pushed) bool { return e.Ref == "refs/heads/main" && e.After == merged })
	if push.Before != pull.BaseSHA || push.Deleted || push.Forced {
		t.Errorf("push webhook: %+v", push)
	}

	// Afterwards.
	w.must(w.repo.DeleteBranch(ctx, request.Branch))
	w.must(w.repo.DeleteBranch(ctx, request.Branch))
	_, err = w.repo.Branch(ctx, request.Branch)
	w.wantKind(err, fault.NotFound)
	deployment, err := w.repo.CreateDeployment(ctx, github.Deployment{Ref: merged, Environment: "prod", Description: strings.Repeat("ü", 200), Payload: map[string]string{"app": "payments"}})
	w.must(err)
	w.must(w.repo.DeploymentStatus(ctx, deployment, github.DeploymentStatus{State: "in_progress", Description: "rolling out"}))
	w.must(w.repo.DeploymentStatus(ctx, deployment, github.DeploymentStatus{State: "success", Description: "healthy",
		LogURL: "https://tagboat.example.com/s/1", EnvironmentURL: "https://payments.example.com"}))
	for _, state := range []string{"pending", "failure"} {
		w.must(w.repo.SetCommitStatus(ctx, merged, github.CommitStatus{State: state, Context: "tagboat/prod/payments", Description: strings.Repeat("ü", 200), TargetURL: "https://tagboat.example.com/p/1"}))
	}
	said, _, err := w.as("bob").Repositories.GetCombinedStatus(ctx, "acme", "env", merged, nil)
	w.must(err)
	if len(said.Statuses) != 1 || said.Statuses[0].GetState() != "failure" || said.Statuses[0].GetContext() != "tagboat/prod/payments" || said.Statuses[0].GetTargetURL() != "https://tagboat.example.com/p/1" {
		t.Errorf("the commit says %v", said.Statuses)
	}
}

func TestConversation(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	const marker = "<!-- tagboat:status -->"

	// Somebody else writes our marker first.
	forged, _, err := w.as("bob").Issues.CreateComment(ctx, "acme", "env", pull.Number, &gh.IssueComment{Body: gh.String(marker + " all good")})
	w.must(err)
	if _, found, err := w.repo.FindComment(ctx, pull.Number, marker); found || err != nil {
		t.Errorf("a forged comment was taken for ours: %v", err)
	}
	id, err := w.repo.Comment(ctx, pull.Number, "waiting\n"+marker)
	w.must(err)
	w.must(w.repo.EditComment(ctx, id, "done\n"+marker))
	if again, found, err := w.repo.FindComment(ctx, pull.Number, marker); again != id || !found || err != nil {
		t.Errorf("FindComment = %d, %v, %v; want %d", again, found, err, id)
	}
	heard := await(w, func(e github.CommentCreated) bool { return e.CommentID == forged.GetID() })
	if !heard.IsPull || heard.Number != pull.Number || heard.Author.Login != "bob" || heard.Author.ID == 0 || heard.At.IsZero() {
		t.Errorf("comment webhook: %+v", heard)
	}
	if ours := await(w, func(e github.CommentCreated) bool { return e.CommentID == id }); !ours.Author.Bot {
		t.Errorf("our own comment's author: %+v", ours.Author)
	}
	for range 2 {
		w.must(w.repo.React(ctx, forged.GetID(), "eyes"))
	}
	w.must(w.repo.React(ctx, forged.GetID(), "confused"))

	// A person ticks the checklist; the old body tells what changed.
	_, _, err = w.as("alice").PullRequests.Edit(ctx, "acme", "env", pull.Number, &gh.PullRequest{Body: gh.String("- [x] seen\n")})
	w.must(err)
	edited := await(w, func(e github.PullChanged) bool { return e.Action == "edited" })
	if edited.OldBody == nil || *edited.OldBody != "- [ ] seen\n" || edited.Pull.Body != "- [x] seen\n" || edited.Sender.Login != "alice" {
		t.Errorf("edited webhook: %+v", edited)
	}
	title := "payments 1.7.1"
	after, err := w.repo.EditPull(ctx, pull.Number, github.PullEdit{Title: &title})
	if err != nil || after.Title != title || after.Body != "- [x] seen\n" {
		t.Errorf("EditPull = %+v, %v", after, err)
	}
	w.must(w.repo.ClosePull(ctx, pull.Number))
	if _, open, err := w.repo.PullOf(ctx, "tagboat/prod/payments"); open || err != nil {
		t.Errorf("the closed pull request was found: %v", err)
	}
}

func TestPeople(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	for login, want := range map[string]string{"alice": "maintain", "bob": "triage", "mallory": "none", "nobody": "none"} {
		if got, err := w.repo.Permission(ctx, login); got != want || err != nil {
			t.Errorf("Permission(%s) = %q, %v; want %q", login, got, err, want)
		}
	}
	for login, want := range map[string]bool{"alice": true, "bob": false, "nobody": false} {
		if got, err := w.repo.TeamMember(ctx, "acme", "platform", login); got != want || err != nil {
			t.Errorf("TeamMember(%s) = %v, %v", login, got, err)
		}
	}
	w.sim.SetPermissions(w.app.ID(), map[string]string{"contents": "write"})
	_, err := w.repo.TeamMember(ctx, "acme", "platform", "alice")
	w.wantKind(err, fault.Denied)
	if !strings.Contains(fault.HintOf(err), "members=read") {
		t.Errorf("the hint names no permission: %q", fault.HintOf(err))
	}
}

func TestWhoCanSeeARepository(t *testing.T) {
	w := newWorld(t)
	w.must(w.sim.AddRepo(githubsim.RepoSpec{Owner: "acme", Name: "open"}))
	installation, err := w.sim.Install(w.simApp.ID, "acme", "env", "open")
	w.must(err)
	for name, want := range map[string]bool{"env": false, "open": true} {
		if got, err := w.app.Repo(installation, "acme", name).Public(t.Context()); got != want || err != nil {
			t.Errorf("everybody can see %s: %v, %v", name, got, err)
		}
	}
}

func TestACommentThatIsGoneTakesNoReaction(t *testing.T) {
	w := newWorld(t)
	number := w.pull("tagboat/prod/payments", "1.7.0").Number
	id, err := w.sim.As("alice").Comment("acme/env", number, "/freeze prod")
	w.must(err)
	w.must(w.sim.As("alice").DeleteComment("acme/env", id))
	w.wantKind(w.repo.React(t.Context(), id, "eyes"), fault.NotFound)
}

func TestMovingOurBranch(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	next, err := w.repo.Commit(ctx, bump(pull.BaseSHA, "1.7.1"))
	w.must(err)
	for range 2 { // the second time it is there already
		w.must(w.repo.MoveBranch(ctx, "tagboat/prod/payments", pull.HeadSHA, next))
	}
	moved := await(w, func(e github.PullChanged) bool { return e.Action == "synchronize" })
	if moved.Pull.HeadSHA != next || moved.Before != pull.HeadSHA {
		t.Errorf("synchronize webhook: %+v", moved)
	}
	third, err := w.repo.Commit(ctx, bump(pull.BaseSHA, "1.7.2"))
	w.must(err)
	err = w.repo.MoveBranch(ctx, "tagboat/prod/payments", pull.HeadSHA, third)
	if !errors.Is(err, github.ErrBranchMoved) || !fault.Is(err, fault.Conflict) {
		t.Errorf("a branch that stands elsewhere was moved: %v", err)
	}
}

func TestCommitsAreSignedAndKeepBytes(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	base, err := w.repo.Branch(ctx, "main")
	w.must(err)
	binary := []byte{0xff, 0x00, 0xfe, '\r', '\n'}
	sha, err := w.repo.Commit(ctx, github.CommitRequest{Parent: base, BaseTree: base, Message: "bytes", Files: []github.File{
		{Path: "bin/tool", Mode: "100755", Content: binary},
		{Path: "text", Content: []byte("no newline at the end, é")},
		{Path: "empty", Content: nil},
	}})
	w.must(err)
	w.must(w.repo.CreateBranch(ctx, "bytes", sha))
	commit, _, err := w.as("alice").Git.GetCommit(ctx, "acme", "env", sha)
	w.must(err)
	if !commit.GetVerification().GetVerified() || commit.GetAuthor().GetName() != "tagboat[bot]" {
		t.Errorf("the commit is not signed for the App: %+v", commit)
	}
	token, err := w.repo.Token(ctx)
	w.must(err)
	dir := t.TempDir()
	url := strings.Replace(w.repo.CloneURL(), "://", "://x-access-token:"+token+"@", 1)
	if out, err := exec.Command("git", "clone", "--quiet", "--branch", "bytes", url, dir).CombinedOutput(); err != nil {
		t.Fatalf("clone: %v %s", err, github.Redact(string(out)))
	}
	for path, want := range map[string][]byte{"bin/tool": binary, "text": []byte("no newline at the end, é"), "empty": {},
		"README.md": []byte("# env\n")} {
		got, err := exec.Command("git", "-C", dir, "show", "HEAD:"+path).Output()
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s holds %q, %v; want %q", path, got, err, want)
		}
	}
	mode, err := exec.Command("git", "-C", dir, "ls-tree", "HEAD", "bin/tool").Output()
	if err != nil || !strings.HasPrefix(string(mode), "100755 ") {
		t.Errorf("bin/tool: %s %v", mode, err)
	}
}

func TestMergeThatHappenedBehindABadAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	w.sim.Inject(githubsim.Fault{Route: "PUT /repos/{owner}/{repo}/pulls/{number}/merge", Times: 1, Status: 502, AfterWork: true})
	_, err := w.repo.Merge(ctx, pull.Number, github.MergeRequest{HeadSHA: pull.HeadSHA, Method: "squash", Title: "t"})
	w.wantKind(err, fault.Transient)
	if after, err := w.repo.Pull(ctx, pull.Number); err != nil || !after.Merged || after.MergeSHA == "" {
		t.Errorf("read again: %+v, %v", after, err)
	}
}

func TestLostWebhooksAreSentAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	since := time.Now().Add(-time.Minute)
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	w.must(w.sim.WaitDeliveries(ctx))
	failed := func(since time.Time) (failed []github.Delivery) {
		t.Helper()
		all, next, err := w.app.Deliveries(ctx, since, "")
		if err != nil || next != "" {
			t.Errorf("Deliveries: %q, %v", next, err)
		}
		for _, d := range all {
			if !d.Arrived {
				failed = append(failed, d)
			}
		}
		return failed
	}
	if lost := failed(since); len(lost) != 0 {
		t.Errorf("failed before anything failed: %+v", lost)
	}
	w.hooks.refusing(true)
	comment, _, err := w.as("alice").Issues.CreateComment(ctx, "acme", "env", pull.Number, &gh.IssueComment{Body: gh.String("/promote prod")})
	w.must(err)
	w.must(w.sim.WaitDeliveries(ctx))
	lost := failed(since)
	if len(lost) != 1 || lost[0].Event != "issue_comment" || lost[0].GUID == "" || lost[0].At.IsZero() || lost[0].Asked {
		t.Fatalf("the failed deliveries are %+v", lost)
	}
	if none := failed(time.Now().Add(time.Hour)); len(none) != 0 {
		t.Errorf("failed in the future: %+v", none)
	}
	w.hooks.refusing(false)
	w.must(w.app.Redeliver(ctx, lost[0].ID))
	await(w, func(e github.CommentCreated) bool { return e.CommentID == comment.GetID() })
	w.must(w.sim.WaitDeliveries(ctx))
	if lost := failed(since); len(lost) != 0 {
		t.Errorf("failed after the redelivery: %+v", lost)
	}
	all, _, err := w.app.Deliveries(ctx, since, "")
	w.must(err)
	if i := slices.IndexFunc(all, func(d github.Delivery) bool { return d.GUID == lost[0].GUID }); i < 0 || !all[i].Asked || !all[i].Arrived {
		t.Errorf("what was sent again does not show so: %+v", all)
	}
}

func TestUnwelcomeApp(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	id, err := w.app.Installation(ctx, "acme", "env")
	w.must(err)
	_, err = w.app.Repo(id, "acme", "secret").Branch(ctx, "main")
	w.wantKind(err, fault.NotFound)
	w.sim.Suspend(id, true)
	_, err = w.app.Repo(id, "acme", "env").Branch(ctx, "main")
	w.wantKind(err, fault.Denied)
	if !errors.Is(err, github.ErrAbsent) {
		t.Errorf("suspended: %v", err)
	}
	if all, err := w.app.Installations(ctx); len(all) != 1 || all[0].ID != id || !all[0].Suspended || all[0].Account.Login != "acme" || err != nil {
		t.Errorf("Installations with the only one suspended: %+v, %v", all, err)
	}
	if _, err := w.app.Repositories(ctx, id); !errors.Is(err, github.ErrAbsent) {
		t.Errorf("Repositories of a suspended installation: %v", err)
	}
	w.sim.Suspend(id, false)
	if _, err = w.app.Repo(id, "acme", "env").Branch(ctx, "main"); err != nil {
		t.Errorf("unsuspended: %v", err)
	}
}

// An issue of ours is found again by its marker, whoever else writes that.
func TestAnIssueIsOpenedAndFoundAgain(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	const marker = "<!-- tagboat:override 7 checks -->"
	before := time.Now().Add(-time.Hour)
	_, _, err := w.as("bob").Issues.Create(ctx, "acme", "env", &gh.IssueRequest{Title: gh.String("Overridden"), Body: gh.String(marker)})
	w.must(err)
	if _, found, err := w.repo.FindIssue(ctx, marker, before); found || err != nil {
		t.Errorf("a forged issue was taken for ours: %v", err)
	}
	opened, err := w.repo.OpenIssue(ctx, "Overridden", "Why?\n\n"+marker)
	w.must(err)
	_, _, err = w.as("alice").Issues.Edit(ctx, "acme", "env", opened.Number, &gh.IssueRequest{State: gh.String("closed")})
	w.must(err)
	if again, found, err := w.repo.FindIssue(ctx, marker, before); again != opened || !found || err != nil || opened.URL == "" {
		t.Errorf("FindIssue = %+v, %v, %v; want %+v", again, found, err, opened)
	}
	if _, found, err := w.repo.FindIssue(ctx, marker, time.Now().Add(time.Hour)); found || err != nil {
		t.Errorf("found an issue of the future: %v", err)
	}
}
