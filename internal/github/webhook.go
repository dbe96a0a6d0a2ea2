package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"regexp"
	"strconv"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Verify checks a body against its X-Hub-Signature-256 header. Several secrets
// may be active while one replaces another; empty ones never match. Without a
// secret everything is refused. It takes as long whichever secret matches.
func Verify(secrets [][]byte, signature string, body []byte) error {
	const scheme = "sha256="
	got, err := hex.DecodeString(strings.TrimPrefix(signature, scheme))
	if err != nil || !strings.HasPrefix(signature, scheme) || len(got) != sha256.Size {
		return fault.Errorf(fault.Denied, "the webhook has no X-Hub-Signature-256 of the form sha256=<64 hex digits>: "+
			"set a secret in the App's webhook settings")
	}
	usable, matches := 0, 0
	for _, secret := range secrets {
		if len(secret) == 0 {
			continue
		}
		usable++
		mac := hmac.New(sha256.New, secret)
		mac.Write(body)
		if hmac.Equal(got, mac.Sum(nil)) {
			matches++
		}
	}
	if usable == 0 {
		return fault.Errorf(fault.Denied, "no webhook secret is configured, so that no webhook can be trusted")
	}
	if matches == 0 {
		return fault.Errorf(fault.Denied, "the webhook's signature does not match: "+
			"the secret in the App's webhook settings is not the one that Tagboat was given")
	}
	return nil
}

// Decode reads a webhook by the name in its X-GitHub-Event header. Events and
// actions that Tagboat has no use for give nil. Invalid: the body is not such an
// event, or lacks what identifies its subject.
func Decode(event string, body []byte) (_ Event, err error) {
	defer fault.Wrap(&err, "read webhook %s", event)
	decode, known := decoders[event]
	if !known {
		return nil, nil
	}
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, fault.E(fault.Invalid, "The webhook's body is not the JSON that GitHub describes.", err)
	}
	return decode(&p)
}

var decoders = map[string]func(*payload) (Event, error){
	"issue_comment":             decodeComment,
	"pull_request_review":       decodeReview,
	"pull_request":              decodePull,
	"check_run":                 decodeCheckRun,
	"check_suite":               decodeCheckSuite,
	"status":                    decodeStatus,
	"push":                      decodePush,
	"merge_group":               decodeGroup,
	"installation":              decodeInstallation,
	"installation_repositories": decodeInstallation,
	"repository":                decodeRepository,
}

func decodeComment(p *payload) (Event, error) {
	if p.Action != "created" {
		return nil, nil
	}
	if err := p.needs(field{"issue.number", p.Issue.Number != 0}, field{"comment.id", p.Comment.ID != 0}); err != nil {
		return nil, err
	}
	return CommentCreated{Repo: p.repo(), Number: p.Issue.Number, IsPull: p.Issue.PullRequest != nil,
		CommentID: p.Comment.ID, Body: p.Comment.Body, Author: p.Comment.User.user(), At: p.Comment.CreatedAt.Time}, nil
}

func decodeReview(p *payload) (Event, error) {
	if p.Action != "submitted" && p.Action != "dismissed" {
		return nil, nil
	}
	if err := p.needs(field{"pull_request.number", p.PullRequest.Number != 0}, field{"review.id", p.Review.ID != 0}); err != nil {
		return nil, err
	}
	r := Reviewed{
		Repo: p.repo(), Number: p.PullRequest.Number, ReviewID: p.Review.ID, Reviewer: p.Review.User.user(),
		State:   strings.ToUpper(p.Review.State), // REST says APPROVED, webhooks say approved
		HeadSHA: p.PullRequest.Head.SHA, CommitID: p.Review.CommitID, At: p.Review.SubmittedAt.Time, Sender: p.Sender.user(),
	}
	if p.Action == "submitted" {
		return ReviewSubmitted(r), nil
	}
	r.At = p.PullRequest.UpdatedAt.Time // the review itself keeps the time of its submission
	return ReviewDismissed(r), nil
}

func decodePull(p *payload) (Event, error) {
	if err := p.needs(field{"pull_request.number", p.PullRequest.Number != 0}); err != nil {
		return nil, err
	}
	e := PullChanged{Repo: p.repo(), Number: p.PullRequest.Number, Action: p.Action, Pull: p.PullRequest.pull(),
		Sender: p.Sender.user(), Reason: p.Reason, OldBase: p.Changes.Base.Ref.From, At: p.PullRequest.UpdatedAt.Time}
	if p.Changes.Body != nil {
		e.OldBody = &p.Changes.Body.From
	}
	if p.Action == "synchronize" {
		e.Before = p.Before
	}
	return e, nil
}

func decodeCheckRun(p *payload) (Event, error) {
	run := p.CheckRun
	if err := p.needs(field{"check_run.id", run.ID != 0}, field{"check_run.head_sha", run.HeadSHA != ""}); err != nil {
		return nil, err
	}
	at := run.StartedAt.Time
	if !run.CompletedAt.IsZero() {
		at = run.CompletedAt.Time
	}
	switch p.Action {
	case "created", "completed":
		return CheckChanged{Repo: p.repo(), HeadSHA: run.HeadSHA, Check: Check{Kind: RunKind, AppID: run.App.ID,
			Name: run.Name, Status: run.Status, Conclusion: run.Conclusion, URL: run.url(), At: at}}, nil
	case "rerequested":
		return CheckRerequested{Repo: p.repo(), HeadSHA: run.HeadSHA, CheckRunID: run.ID, Name: run.Name,
			AppID: run.App.ID, Sender: p.Sender.user(), At: at}, nil
	}
	return nil, nil
}

func decodeCheckSuite(p *payload) (Event, error) {
	if p.Action != "rerequested" {
		return nil, nil
	}
	if err := p.needs(field{"check_suite.head_sha", p.CheckSuite.HeadSHA != ""}); err != nil {
		return nil, err
	}
	return CheckRerequested{Repo: p.repo(), HeadSHA: p.CheckSuite.HeadSHA, AppID: p.CheckSuite.App.ID,
		Sender: p.Sender.user(), At: p.CheckSuite.UpdatedAt.Time}, nil
}

func decodeStatus(p *payload) (Event, error) {
	if err := p.needs(field{"sha", p.SHA != ""}, field{"context", p.Context != ""}); err != nil {
		return nil, err
	}
	c := Check{Kind: StatusKind, Name: p.Context, URL: p.TargetURL, At: p.UpdatedAt.Time}
	c.Status, c.Conclusion = statusWords(p.State)
	return CheckChanged{Repo: p.repo(), HeadSHA: p.SHA, Check: c}, nil
}

func decodePush(p *payload) (Event, error) {
	if err := p.needs(field{"ref", p.Ref != ""}, field{"after", p.After != ""}); err != nil {
		return nil, err
	}
	e := Pushed{Repo: p.repo(), Ref: p.Ref, Before: p.Before, After: p.After,
		Forced: p.Forced, Deleted: p.Deleted, Pusher: p.Sender.user(), DefaultBranch: p.Repository.DefaultBranch}
	for _, c := range p.Commits {
		e.Files = append(append(e.Files, c.Added...), c.Modified...)
	}
	return e, nil
}

// groupRef is how GitHub calls the branch of a merge queue's group.
var groupRef = regexp.MustCompile(`^refs/heads/gh-readonly-queue/.+/pr-([0-9]{1,9})-[0-9a-f]{40}$`)

func decodeGroup(p *payload) (Event, error) {
	g := p.MergeGroup
	if err := p.needs(field{"merge_group.head_sha", g.HeadSHA != ""}, field{"merge_group.base_sha", g.BaseSHA != ""}); err != nil {
		return nil, err
	}
	parts := groupRef.FindStringSubmatch(g.HeadRef)
	if parts == nil {
		return nil, missing("the pull request's number in merge_group.head_ref")
	}
	number, err := strconv.Atoi(parts[1])
	return GroupChanged{Repo: p.repo(), Action: p.Action, Number: number, Branch: strings.TrimPrefix(g.HeadRef, "refs/heads/"), HeadSHA: g.HeadSHA,
		BaseRef: strings.TrimPrefix(g.BaseRef, "refs/heads/"), BaseSHA: g.BaseSHA}, err
}

func decodeInstallation(p *payload) (Event, error) {
	if p.Installation.ID == 0 {
		return nil, missing("installation.id")
	}
	e := InstallationChanged{InstallationID: p.Installation.ID, Account: p.Installation.Account.user(), Action: p.Action,
		Added: p.refs(p.RepositoriesAdded), Removed: p.refs(p.RepositoriesRemoved), Sender: p.Sender.user()}
	switch p.Action {
	case "created":
		e.Added = p.refs(p.Repositories)
	case "deleted":
		e.Removed = p.refs(p.Repositories)
	}
	return e, nil
}

func decodeRepository(p *payload) (Event, error) {
	if err := p.needs(); err != nil {
		return nil, err
	}
	return RepositoryChanged{Repo: p.repo(), Action: p.Action, Sender: p.Sender.user()}, nil
}
