package github

import (
	"context"

	gh "github.com/google/go-github/v60/github"
)

// Brought is how a commit came to a branch.
type Brought struct {
	By   User   // who merged its pull request, else its author; nobody where GitHub knows none
	Pull int    // the pull request whose merge made it; 0 for a push
	URL  string // of the pull request, else of the commit
}

// Brought finds out how a commit came to a branch.
func (r *Repo) Brought(ctx context.Context, sha string) (b Brought, err error) {
	defer r.fail(&err, "find out who brought commit %.12s", sha)
	pulls, err := pages(func(o gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return r.client.PullRequests.ListPullRequestsWithCommit(ctx, r.Owner, r.Name, sha, &o)
	})
	if err != nil {
		return b, err
	}
	for _, listed := range pulls {
		if listed.GetMergeCommitSHA() != sha || listed.MergedAt == nil {
			continue // it only has the commit, as many may
		}
		pull, err := r.Pull(ctx, listed.GetNumber()) // the list does not tell who merged
		return Brought{By: pull.MergedBy, Pull: pull.Number, URL: pull.URL}, err
	}
	commit, _, err := r.client.Repositories.GetCommit(ctx, r.Owner, r.Name, sha, nil)
	if err != nil {
		return b, err
	}
	return Brought{By: userOf(commit.GetAuthor()), URL: commit.GetHTMLURL()}, nil
}
