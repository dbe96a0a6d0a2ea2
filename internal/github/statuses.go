package github

import (
	"context"

	gh "github.com/google/go-github/v60/github"
)

// CommitStatus is one line beside a commit. The newest of a context counts.
type CommitStatus struct {
	State       string // "pending", "success", "failure" or "error"
	Context     string // who says so
	Description string // cut to GitHub's limit of 140 characters
	TargetURL   string // where to read more
}

// SetCommitStatus sets the status of a commit
// (https://docs.github.com/rest/commits/statuses#create-a-commit-status).
func (r *Repo) SetCommitStatus(ctx context.Context, sha string, s CommitStatus) (err error) {
	defer r.fail(&err, "set the status %s of commit %s", s.Context, sha)
	_, _, err = r.client.Repositories.CreateStatus(ctx, r.Owner, r.Name, sha, &gh.RepoStatus{
		State: &s.State, Context: &s.Context, Description: optional(shorten(s.Description)), TargetURL: optional(s.TargetURL),
	})
	return err
}
