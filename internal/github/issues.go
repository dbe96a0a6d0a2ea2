package github

import (
	"context"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Issue is an issue of ours.
type Issue struct {
	Number int
	URL    string
}

// OpenIssue opens an issue.
func (r *Repo) OpenIssue(ctx context.Context, title, body string) (_ Issue, err error) {
	defer r.fail(&err, "open an issue")
	i, _, err := r.client.Issues.Create(ctx, r.Owner, r.Name, &gh.IssueRequest{Title: &title, Body: &body})
	return Issue{i.GetNumber(), i.GetHTMLURL()}, err
}

// ClosedBy is who closed an issue or a pull request; unknown where GitHub does not say
// (the account is gone), and when. ours: the App itself did.
func (r *Repo) ClosedBy(ctx context.Context, n int) (by User, at time.Time, ours bool, err error) {
	defer r.fail(&err, "find out who closed #%d", n)
	i, _, err := r.client.Issues.Get(ctx, r.Owner, r.Name, n)
	if err != nil {
		return User{}, time.Time{}, false, err
	}
	by = userOf(i.GetClosedBy())
	ours, err = r.app.isUs(ctx, by)
	return by, i.GetClosedAt().Time, ours, err
}

// FindIssue is the newest issue, open or closed, that the App has written since and
// that contains the marker; anybody can write a marker.
func (r *Repo) FindIssue(ctx context.Context, marker string, since time.Time) (_ Issue, found bool, err error) {
	defer r.fail(&err, "find our issue")
	issues, err := pages(func(o gh.ListOptions) ([]*gh.Issue, *gh.Response, error) {
		// What was opened since was changed since.
		return r.client.Issues.ListByRepo(ctx, r.Owner, r.Name, &gh.IssueListByRepoOptions{State: "all", Since: since, ListOptions: o})
	})
	if err != nil {
		return Issue{}, false, err
	}
	for _, i := range issues {
		if i.IsPullRequest() || !strings.Contains(i.GetBody(), marker) {
			continue
		}
		if ours, err := r.app.isUs(ctx, userOf(i.GetUser())); err != nil || ours {
			return Issue{i.GetNumber(), i.GetHTMLURL()}, ours, err
		}
	}
	return Issue{}, false, nil
}
