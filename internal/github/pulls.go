package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	gh "github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/fault"
)

// Why a pull request was not opened or merged; each comes as a Conflict.
var (
	ErrPullExists   = errors.New("the branch has an open pull request already")
	ErrNoCommits    = errors.New("GitHub sees no commits between base and branch")
	ErrBaseModified = errors.New("the base branch was modified during the merge")
	ErrHeadMoved    = errors.New("the pull request's head is not the commit that was evaluated")
)

// Pull is a pull request.
type Pull struct {
	Number                     int
	NodeID                     string // GraphQL's name for it; only where it was read
	State                      string // "open" or "closed"
	Merged                     bool
	MergeSHA                   string // only once it is merged
	HeadSHA, HeadRef, HeadRepo string // HeadRepo is "owner/name", "" once a fork is gone
	BaseRef, BaseSHA           string
	Title, Body                string
	Author                     User
	MergedBy                   User // only once it is merged
	Draft                      bool
	Mergeable                  *bool  // nil while GitHub is still finding out
	MergeableState             string // "clean", "blocked", "behind", "dirty", "unknown", ...
	URL                        string // for people
	Labels                     []string
	UpdatedAt                  time.Time // also when it was reviewed, or commented on
}

func pullOf(p *gh.PullRequest) Pull {
	out := Pull{
		Number: p.GetNumber(), NodeID: p.GetNodeID(), State: p.GetState(), Merged: p.GetMerged() || p.MergedAt != nil,
		HeadSHA: p.GetHead().GetSHA(), HeadRef: p.GetHead().GetRef(), HeadRepo: p.GetHead().GetRepo().GetFullName(),
		BaseRef: p.GetBase().GetRef(), BaseSHA: p.GetBase().GetSHA(),
		Title: p.GetTitle(), Body: p.GetBody(), Author: userOf(p.GetUser()), Draft: p.GetDraft(),
		Mergeable: p.Mergeable, MergeableState: p.GetMergeableState(), URL: p.GetHTMLURL(),
		UpdatedAt: p.GetUpdatedAt().Time,
	}
	if out.Merged { // before that GitHub puts its trial merge there
		out.MergeSHA, out.MergedBy = p.GetMergeCommitSHA(), userOf(p.MergedBy)
	}
	for _, l := range p.Labels {
		out.Labels = append(out.Labels, l.GetName())
	}
	return out
}

// NewPull is a pull request to open, from a branch of the same repository.
type NewPull struct{ Branch, Base, Title, Body string }

// OpenPull opens a pull request. Conflict with ErrPullExists: the branch has
// one; with ErrNoCommits: GitHub sees no difference, also for a moment after a
// push (octokit/octokit.rb#622).
func (r *Repo) OpenPull(ctx context.Context, n NewPull) (_ Pull, err error) {
	defer r.fail(&err, "open a pull request for %s", n.Branch)
	p, _, err := r.client.PullRequests.Create(ctx, r.Owner, r.Name, &gh.NewPullRequest{
		Title: &n.Title, Head: &n.Branch, Base: &n.Base, Body: &n.Body, MaintainerCanModify: gh.Bool(false),
	})
	if err == nil {
		return pullOf(p), nil
	}
	if e, ok := refusedWith(err, http.StatusUnprocessableEntity); ok {
		switch {
		case e.says("a pull request already exists"):
			err = fault.E(fault.Conflict, "", fmt.Errorf("%w: %w", ErrPullExists, err))
		case e.says("no commits between"):
			err = fault.E(fault.Conflict, "", fmt.Errorf("%w: %w", ErrNoCommits, err))
		}
	}
	return Pull{}, err
}

// PullOf is the open pull request of a branch of this repository, if the App
// itself opened it.
func (r *Repo) PullOf(ctx context.Context, branch string) (_ Pull, _ bool, err error) {
	defer r.fail(&err, "find the pull request of %s", branch)
	found, err := pages(func(o gh.ListOptions) ([]*gh.PullRequest, *gh.Response, error) {
		return r.client.PullRequests.List(ctx, r.Owner, r.Name, &gh.PullRequestListOptions{
			State: "open", Head: r.Owner + ":" + branch, ListOptions: o,
		})
	})
	if err != nil {
		return Pull{}, false, err
	}
	for _, p := range found {
		// GitHub ignores a head filter that it cannot read and lists everything.
		if p.GetHead().GetRef() != branch || p.GetHead().GetRepo().GetFullName() != p.GetBase().GetRepo().GetFullName() {
			continue
		}
		if ours, err := r.app.isUs(ctx, userOf(p.GetUser())); err != nil || ours {
			return pullOf(p), ours, err
		}
	}
	return Pull{}, false, nil
}

// Pull reads one pull request. Reading it makes GitHub compute Mergeable.
func (r *Repo) Pull(ctx context.Context, n int) (_ Pull, err error) {
	defer r.fail(&err, "read #%d", n)
	p, _, err := r.client.PullRequests.Get(ctx, r.Owner, r.Name, n)
	if err != nil {
		return Pull{}, err
	}
	return pullOf(p), nil
}

// PullEdit changes what is not nil.
type PullEdit struct{ Title, Body *string }

// EditPull changes a pull request's texts.
func (r *Repo) EditPull(ctx context.Context, n int, e PullEdit) (_ Pull, err error) {
	defer r.fail(&err, "edit #%d", n)
	return r.patchPull(ctx, n, &gh.PullRequest{Title: e.Title, Body: e.Body})
}

// ClosePull closes a pull request without merging it.
func (r *Repo) ClosePull(ctx context.Context, n int) (err error) {
	defer r.fail(&err, "close #%d", n)
	_, err = r.patchPull(ctx, n, &gh.PullRequest{State: gh.String("closed")})
	return err
}

func (r *Repo) patchPull(ctx context.Context, n int, change *gh.PullRequest) (Pull, error) {
	p, _, err := r.client.PullRequests.Edit(ctx, r.Owner, r.Name, n, change)
	if err != nil {
		return Pull{}, err
	}
	return pullOf(p), nil
}

// AddLabels adds labels to an issue or pull request; GitHub creates those that
// the repository does not have.
func (r *Repo) AddLabels(ctx context.Context, n int, labels []string) (err error) {
	defer r.fail(&err, "label #%d", n)
	// go-github sends a bare list, which GitHub's description no longer has.
	body := struct {
		Labels []string `json:"labels"`
	}{labels}
	req, err := r.client.NewRequest(http.MethodPost, fmt.Sprintf("repos/%s/%s/issues/%d/labels", r.Owner, r.Name, n), body)
	if err != nil {
		return err
	}
	_, err = r.client.Do(ctx, req, nil)
	return err
}

// Review is one review as GitHub lists it now. CommitID is not proof of what the
// reviewer saw: GitHub moves it forward when the branch is updated.
type Review struct {
	ID          int64
	User        User
	State       string // "APPROVED", "CHANGES_REQUESTED", "COMMENTED", "DISMISSED", "PENDING"
	CommitID    string
	SubmittedAt time.Time
	Body        string
}

// Reviews lists a pull request's reviews, oldest first.
func (r *Repo) Reviews(ctx context.Context, n int) (_ []Review, err error) {
	defer r.fail(&err, "list the reviews of #%d", n)
	found, err := pages(func(o gh.ListOptions) ([]*gh.PullRequestReview, *gh.Response, error) {
		return r.client.PullRequests.ListReviews(ctx, r.Owner, r.Name, n, &o)
	})
	reviews := make([]Review, len(found))
	for i, f := range found {
		reviews[i] = Review{ID: f.GetID(), User: userOf(f.GetUser()), State: strings.ToUpper(f.GetState()),
			CommitID: f.GetCommitID(), SubmittedAt: f.GetSubmittedAt().Time, Body: f.GetBody()}
	}
	return reviews, err
}

// DismissReview takes an approval or a change request back, for everybody to see
// why. Denied: the branch's protection names who may. A review that is dismissed
// already is refused, as Invalid.
func (r *Repo) DismissReview(ctx context.Context, n int, review int64, message string) (err error) {
	defer r.fail(&err, "dismiss review %d of #%d", review, n)
	_, _, err = r.client.PullRequests.DismissReview(ctx, r.Owner, r.Name, n, review, &gh.PullRequestReviewDismissalRequest{Message: &message})
	return err
}

// MergeRequest is a merge of exactly the commit that was evaluated.
type MergeRequest struct {
	HeadSHA        string
	Method         string // "squash", "merge" or "rebase"
	Title, Message string // of the commit that results
}

// Merge merges a pull request and returns the resulting commit's SHA. Conflict
// with ErrBaseModified: try again; with ErrHeadMoved: evaluate the new head.
// Denied: a rule of the repository says no, in GitHub's words. Transient: it
// may have merged; read it first.
func (r *Repo) Merge(ctx context.Context, n int, m MergeRequest) (_ string, err error) {
	defer r.fail(&err, "merge #%d at %s", n, m.HeadSHA)
	if m.HeadSHA == "" { // GitHub would merge whatever is there
		return "", fault.Errorf(fault.Broken, "a merge needs the head SHA that was evaluated")
	}
	done, _, err := r.client.PullRequests.Merge(ctx, r.Owner, r.Name, n, m.Message, &gh.PullRequestOptions{
		SHA: m.HeadSHA, MergeMethod: m.Method, CommitTitle: m.Title, DontDefaultIfBlank: true,
	})
	if e, ok := refusedWith(err, http.StatusMethodNotAllowed); ok && e.says("base branch was modified") {
		return "", fault.E(fault.Conflict, "", fmt.Errorf("%w: %w", ErrBaseModified, err))
	}
	if _, ok := refusedWith(err, http.StatusConflict); ok {
		return "", fault.E(fault.Conflict, "", fmt.Errorf("%w: %w", ErrHeadMoved, err))
	}
	if err != nil {
		return "", err
	}
	if !done.GetMerged() {
		return "", fault.E(fault.Denied, "GitHub did not merge it: "+done.GetMessage(), nil)
	}
	return done.GetSHA(), nil
}
