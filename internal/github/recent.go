package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Recent says where a list was read to: what changed before Until was read. Tag is how
// GitHub calls its answer to the same question. An answer that has not changed costs
// nothing of the primary limit
// (https://docs.github.com/rest/using-the-rest-api/best-practices-for-using-the-rest-api#use-conditional-requests-if-appropriate).
type Recent struct {
	Until time.Time
	Tag   string
}

// One look at a list ends somewhere. An entry of the list of pull requests is 20 kB and
// more, with two descriptions of the repository, so its pages are smaller.
const (
	pullsPerPage, pullPages       = 50, 20
	commentsPerPage, commentPages = 100, 10
)

// RecentPulls lists the pull requests that changed since the last look, whatever their
// state, and says where the next look begins. more: there was too much for one look,
// and nothing older than the last one listed was read. A list's entry knows nothing of
// Mergeable.
func (r *Repo) RecentPulls(ctx context.Context, last Recent) (pulls []Pull, next Recent, more bool, err error) {
	defer r.fail(&err, "list what changed among the pull requests")
	next = last
	for page := 1; page <= pullPages; page++ {
		var found []*gh.PullRequest
		tag := ""
		if page == 1 {
			tag = last.Tag
		}
		answer, err := r.client.conditional(ctx, &found, tag, "repos/%s/%s/pulls?state=all&sort=updated&direction=desc&per_page=%d&page=%d", r.Owner, r.Name, pullsPerPage, page)
		if err != nil || answer == nil {
			return nil, last, false, err
		}
		if page == 1 {
			next.Tag = answer.Header.Get("ETag")
		}
		for _, p := range found {
			if p.GetUpdatedAt().Before(last.Until) {
				return pulls, next, false, nil
			}
			pulls = append(pulls, pullOf(p))
			next.Until = later(next.Until, p.GetUpdatedAt().Time)
		}
		if answer.NextPage == 0 {
			return pulls, next, false, nil
		}
	}
	return pulls, next, true, nil
}

// RecentComments lists the comments on issues and pull requests that were written or
// edited since the last look, oldest first, as the webhooks that told of them. One
// that was edited is left out: only a new comment is a command. What does not fit into
// one look comes with the next.
func (r *Repo) RecentComments(ctx context.Context, last Recent) (comments []CommentCreated, next Recent, err error) {
	defer r.fail(&err, "list new comments")
	next = last
	for page := 1; page <= commentPages; page++ {
		var found []*gh.IssueComment
		tag := ""
		if page == 1 {
			tag = last.Tag
		}
		answer, err := r.client.conditional(ctx, &found, tag, "repos/%s/%s/issues/comments?since=%s&sort=updated&direction=asc&per_page=%d&page=%d",
			r.Owner, r.Name, last.Until.UTC().Format(time.RFC3339), commentsPerPage, page)
		if err != nil || answer == nil {
			return nil, last, err
		}
		if page == 1 {
			next.Tag = answer.Header.Get("ETag")
		}
		for _, c := range found {
			next.Until = later(next.Until, c.GetUpdatedAt().Time)
			if number, isPull := place(c); number != 0 && !edited(c) {
				comments = append(comments, CommentCreated{
					Repo: RepoRef{Owner: r.Owner, Name: r.Name}, Number: number, IsPull: isPull,
					CommentID: c.GetID(), Body: c.GetBody(), Author: userOf(c.GetUser()), At: c.GetCreatedAt().Time,
				})
			}
		}
		if answer.NextPage == 0 {
			break
		}
	}
	if !next.Until.Equal(last.Until) {
		next.Tag = "" // of another question
	}
	return comments, next, nil
}

// edited: GitHub sets both times one after the other, so that they may be a second
// apart (palantir/policy-bot#459).
func edited(c *gh.IssueComment) bool {
	return c.GetUpdatedAt().Sub(c.GetCreatedAt().Time) > time.Second
}

// place is what a comment was written on. Only its page's address tells whether that
// is a pull request.
func place(c *gh.IssueComment) (number int, isPull bool) {
	url := c.GetIssueURL()
	number, err := strconv.Atoi(url[strings.LastIndexByte(url, '/')+1:])
	if err != nil {
		return 0, false
	}
	return number, strings.Contains(c.GetHTMLURL(), "/pull/")
}

// conditional reads path into v, unless the answer is still the one called tag: then
// there is no response.
func (c client) conditional(ctx context.Context, v any, tag, path string, args ...any) (*gh.Response, error) {
	req, err := c.get(path, args...)
	if err != nil {
		return nil, err
	}
	if tag != "" {
		req.Header.Set("If-None-Match", tag)
	}
	resp, err := c.Do(ctx, req, v)
	if refused, ok := errors.AsType[*gh.ErrorResponse](err); ok && refused.Response.StatusCode == http.StatusNotModified {
		return nil, nil
	}
	return resp, err
}
