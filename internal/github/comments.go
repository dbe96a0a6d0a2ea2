package github

import (
	"context"
	"strings"

	gh "github.com/google/go-github/v60/github"
)

// Comment writes on an issue or pull request and returns the comment's id.
func (r *Repo) Comment(ctx context.Context, n int, body string) (_ int64, err error) {
	defer r.fail(&err, "comment on #%d", n)
	c, _, err := r.client.Issues.CreateComment(ctx, r.Owner, r.Name, n, &gh.IssueComment{Body: &body})
	return c.GetID(), err
}

// EditComment replaces a comment's text.
func (r *Repo) EditComment(ctx context.Context, id int64, body string) (err error) {
	defer r.fail(&err, "edit comment %d", id)
	_, _, err = r.client.Issues.EditComment(ctx, r.Owner, r.Name, id, &gh.IssueComment{Body: &body})
	return err
}

// FindComment is the oldest comment on #n that the App wrote and that contains
// the marker; anybody can write a marker.
func (r *Repo) FindComment(ctx context.Context, n int, marker string) (_ int64, found bool, err error) {
	defer r.fail(&err, "find our comment on #%d", n)
	comments, err := pages(func(o gh.ListOptions) ([]*gh.IssueComment, *gh.Response, error) {
		return r.client.Issues.ListComments(ctx, r.Owner, r.Name, n, &gh.IssueListCommentsOptions{ListOptions: o})
	})
	if err != nil {
		return 0, false, err
	}
	for _, c := range comments {
		if !strings.Contains(c.GetBody(), marker) {
			continue
		}
		if ours, err := r.app.isUs(ctx, userOf(c.GetUser())); err != nil || ours {
			return c.GetID(), ours, err
		}
	}
	return 0, false, nil
}

// React puts a reaction on an issue comment: "eyes", "rocket", "confused", ...
// The same reaction twice is one.
func (r *Repo) React(ctx context.Context, commentID int64, reaction string) (err error) {
	defer r.fail(&err, "react to comment %d", commentID)
	_, _, err = r.client.Reactions.CreateIssueCommentReaction(ctx, r.Owner, r.Name, commentID, reaction)
	return err
}
