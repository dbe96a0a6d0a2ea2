package githubsim

import (
	"net/http"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
)

var reviewStates = map[string]string{"APPROVE": "APPROVED", "REQUEST_CHANGES": "CHANGES_REQUESTED", "COMMENT": "COMMENTED"}

func (s *Server) listReviews(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	return list(collect(i.pull.reviews, func(rv *review) object { return s.reviewObject(c.repo, i, rv) })), nil
}

// createReview submits a review; GitHub answers 200, not 201.
func (s *Server) createReview(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	var in struct {
		Body, Event string
		CommitID    string `json:"commit_id"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkBody("PullRequestReview", in.Body); err != nil {
		return nil, err
	}
	state, ok := reviewStates[in.Event]
	who := c.actor.account()
	refuse := func(why string) (any, error) {
		return nil, fail(http.StatusUnprocessableEntity, "Unprocessable Entity", why)
	}
	switch {
	case !ok:
		return refuse("Variable $event of type PullRequestReviewEvent was provided invalid value")
	case in.Body == "" && in.Event != "APPROVE":
		return refuse("Review body cannot be blank when requesting changes or commenting")
	case who == i.author && in.Event == "APPROVE":
		return refuse("Can not approve your own pull request")
	case who == i.author && in.Event == "REQUEST_CHANGES":
		return refuse("Can not request changes on your own pull request")
	case in.CommitID != "" && !c.repo.git.has(in.CommitID, plumbing.CommitObject):
		return refuse("The commit_id is not part of the pull request")
	}
	rv := &review{id: s.nextID(), author: who, body: in.Body, state: state, commit: i.pull.headSHA, submitted: s.now()}
	if in.CommitID != "" {
		rv.commit = in.CommitID
	}
	i.pull.reviews = append(i.pull.reviews, rv)
	i.pull.requested = slices.DeleteFunc(i.pull.requested, func(a *account) bool { return a == who })
	i.updated = s.now()
	s.emitReview(c.repo, i, rv, c.actor, "submitted", nil)
	return s.reviewObject(c.repo, i, rv), nil
}

func (s *Server) emitReview(r *repo, i *issue, rv *review, who actor, action string, changes object) {
	o := s.reviewObject(r, i, rv)
	o["state"] = strings.ToLower(rv.state)
	o["body"] = orNull(rv.body)
	payload := object{"action": action, "review": o, "pull_request": s.pullSimple(r, i), "sender": s.user(who.account())}
	if changes != nil {
		payload["changes"] = changes
	}
	s.emit("pull_request_review", payload, r, nil)
}

func (c *call) onReview() (*issue, *review, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, nil, err
	}
	id, err := c.number("review_id")
	if err != nil {
		return nil, nil, err
	}
	for _, rv := range i.pull.reviews {
		if rv.id == id {
			return i, rv, nil
		}
	}
	return nil, nil, errNotFound
}

func (s *Server) getReview(c *call) (any, error) {
	i, rv, err := c.onReview()
	if err != nil {
		return nil, err
	}
	return s.reviewObject(c.repo, i, rv), nil
}

func (s *Server) editReview(c *call) (any, error) {
	i, rv, err := c.onReview()
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if rv.author != c.actor.account() {
		return nil, fail(http.StatusForbidden, "Must be the author of the review.")
	}
	if err := checkBody("PullRequestReview", in.Body); err != nil {
		return nil, err
	}
	changes := object{"body": object{"from": rv.body}}
	rv.body = in.Body
	s.emitReview(c.repo, i, rv, c.actor, "edited", changes)
	return s.reviewObject(c.repo, i, rv), nil
}

func (s *Server) dismissReview(c *call) (any, error) {
	i, rv, err := c.onReview()
	if err != nil {
		return nil, err
	}
	var in struct{ Message string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Message == "":
		return nil, unprocessable("PullRequestReview", "message", "missing_field", "")
	case rv.state != "APPROVED" && rv.state != "CHANGES_REQUESTED":
		return nil, fail(http.StatusUnprocessableEntity, "Unprocessable Entity", "Can not dismiss a "+strings.ToLower(rv.state)+" pull request review")
	}
	rv.state, rv.dismissal = "DISMISSED", in.Message
	s.emitReview(c.repo, i, rv, c.actor, "dismissed", nil)
	return s.reviewObject(c.repo, i, rv), nil
}

// dismissApprovals is what a push does where stale reviews are dismissed.
func (s *Server) dismissApprovals(r *repo, i *issue, who actor) {
	for _, rv := range i.pull.reviews {
		if rv.state == "APPROVED" {
			rv.state = "DISMISSED"
			s.emitReview(r, i, rv, who, "dismissed", nil)
		}
	}
}
