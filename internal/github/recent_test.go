package github_test

import (
	"slices"
	"testing"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/githubsim"
)

// What changed since the last look is listed, and an answer that is the same costs
// nothing.
func TestWhatNoWebhookTold(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	first := w.pull("tagboat/prod/payments", "1.7.0")
	pulls, next, more, err := w.repo.RecentPulls(ctx, github.Recent{Until: first.UpdatedAt})
	if err != nil || more || len(pulls) != 1 || pulls[0].Number != first.Number || pulls[0].Body != first.Body {
		t.Fatalf("the first look: %+v, %v, %v", pulls, more, err)
	}
	if next.Tag == "" || !next.Until.Equal(first.UpdatedAt) {
		t.Errorf("the next look begins at %+v", next)
	}
	used := w.used()
	if pulls, again, _, err := w.repo.RecentPulls(ctx, next); err != nil || len(pulls) != 0 || again != next {
		t.Errorf("nothing has changed: %+v, %+v, %v", pulls, again, err)
	}
	if now := w.used(); now != used {
		t.Errorf("an unchanged answer cost %d of the primary limit", now-used)
	}

	_, err = w.repo.EditPull(ctx, first.Number, github.PullEdit{Title: gh.String("Another title")})
	w.must(err)
	if pulls, _, _, err := w.repo.RecentPulls(ctx, next); err != nil || len(pulls) != 1 || pulls[0].Title != "Another title" {
		t.Errorf("a title has changed: %+v, %v", pulls, err)
	}
	if pulls, _, _, err := w.repo.RecentPulls(ctx, github.Recent{Until: time.Now().Add(time.Hour)}); err != nil || len(pulls) != 0 {
		t.Errorf("what changed before was read: %+v, %v", pulls, err)
	}
}

// used is how much of the primary limit is used up.
func (w *world) used() int {
	w.t.Helper()
	limits, _, err := w.as("alice").RateLimit.Get(w.t.Context())
	w.must(err)
	left := limits.Core.Remaining
	for _, b := range w.app.Budgets() {
		left = min(left, b.Primary)
	}
	return limits.Core.Limit - left
}

// A new comment is listed as its webhook would have told it; one that was edited is
// not.
func TestCommentsThatNoWebhookTold(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	last := github.Recent{Until: time.Now().Add(-time.Minute)}
	issue, _, err := w.as("alice").Issues.Create(ctx, "acme", "env", &gh.IssueRequest{Title: gh.String("Talk")})
	w.must(err)
	for _, n := range []int{pull.Number, issue.GetNumber()} {
		_, _, err = w.as("alice").Issues.CreateComment(ctx, "acme", "env", n, &gh.IssueComment{Body: gh.String("/promote prod")})
		w.must(err)
	}
	comments, next, err := w.repo.RecentComments(ctx, last)
	if err != nil || len(comments) != 2 {
		t.Fatalf("%+v, %v", comments, err)
	}
	told := await(w, func(e github.CommentCreated) bool { return e.Number == pull.Number })
	got := comments[slices.IndexFunc(comments, func(c github.CommentCreated) bool { return c.Number == pull.Number })]
	if !got.IsPull || got.CommentID != told.CommentID || got.Body != told.Body || got.Author != told.Author || !got.At.Equal(told.At) || got.Repo.Name != told.Repo.Name {
		t.Errorf("the list has %+v, the webhook %+v", got, told)
	}
	if on := comments[slices.IndexFunc(comments, func(c github.CommentCreated) bool { return c.Number == issue.GetNumber() })]; on.IsPull {
		t.Errorf("an issue is taken for a pull request: %+v", on)
	}
	comments, again, err := w.repo.RecentComments(ctx, next) // another question, so no tag yet
	w.must(err)
	if quiet, same, err := w.repo.RecentComments(ctx, again); err != nil || len(quiet) != 0 || same != again || again.Tag == "" {
		t.Errorf("after %+v nothing is new, but: %+v, %+v, %v", comments, quiet, same, err)
	}
}

// The history of a description tells who wrote which version, the head's when it was
// moved.
func TestHistoryOfAPull(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	h, err := w.repo.History(ctx, pull.Number)
	if err != nil || h.Body != pull.Body || h.HeadSHA != pull.HeadSHA || len(h.Edits)+len(h.Moves) != 0 {
		t.Errorf("before anything has happened: %+v, %v", h, err)
	}
	_, _, err = w.as("alice").PullRequests.Edit(ctx, "acme", "env", pull.Number, &gh.PullRequest{Body: gh.String("- [x] seen\n")})
	w.must(err)
	_, err = w.repo.EditPull(ctx, pull.Number, github.PullEdit{Body: gh.String("- [x] seen by alice\n")})
	w.must(err)
	base, err := w.repo.Branch(ctx, "main")
	w.must(err)
	other, err := w.repo.Commit(ctx, bump(base, "1.8.0"))
	w.must(err)
	w.must(w.repo.MoveBranch(ctx, "tagboat/prod/payments", pull.HeadSHA, other))

	h, err = w.repo.History(ctx, pull.Number)
	w.must(err)
	if h.HeadSHA != other || len(h.Moves) != 1 || h.Moves[0].From != pull.HeadSHA || h.Moves[0].At.IsZero() || h.Body != "- [x] seen by alice\n" || len(h.Edits) != 3 {
		t.Fatalf("%+v", h)
	}
	for i, want := range []struct {
		body string
		by   string
		bot  bool
	}{{pull.Body, "tagboat", true}, {"- [x] seen\n", "alice", false}, {"- [x] seen by alice\n", "tagboat", true}} {
		if e := h.Edits[i]; e.Body != want.body || e.By.Login != want.by || e.By.Bot != want.bot || e.By.ID == 0 || e.At.IsZero() {
			t.Errorf("version %d is %+v, want %+v", i, e, want)
		}
	}
	if _, err := w.repo.History(ctx, 99); err == nil {
		t.Error("a pull request that is not there has a history")
	}
}

// What a merge queue tests for a pull request is told, while it stands in it.
func TestGroupOfAPull(t *testing.T) {
	w := newWorld(t)
	ctx := t.Context()
	w.must(w.sim.Protect("acme/env", "main", githubsim.Protection{MergeQueue: true, RequiredChecks: []githubsim.RequiredCheck{{Context: "tagboat", AppID: w.simApp.ID}}}))
	pull := w.pull("tagboat/prod/payments", "1.7.0")
	if sha, base, err := w.repo.Group(ctx, pull.Number); err != nil || sha != "" || base != "" {
		t.Errorf("before it is in the queue: %q on %q, %v", sha, base, err)
	}
	_, err := w.repo.CreateCheck(ctx, github.CheckRun{Name: "tagboat", HeadSHA: pull.HeadSHA, Status: "completed", Conclusion: "success"})
	w.must(err)
	w.must(w.repo.Enqueue(ctx, pull, pull.HeadSHA))
	main, err := w.repo.Branch(ctx, "main")
	w.must(err)
	sha, base, err := w.repo.Group(ctx, pull.Number)
	if err != nil || sha == "" || sha == pull.HeadSHA || base != main {
		t.Errorf("%q on %q, %v; main is %s", sha, base, err, main)
	}
}
