package githubsim

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// maxBody is the longest body of a pull request, issue, comment or review, in
// characters.
const maxBody = 65536

func checkBody(resource, body string) error {
	if utf8.RuneCountInString(body) > maxBody {
		return unprocessable(resource, "body", "custom", "body is too long (maximum is 65536 characters)")
	}
	return nil
}

func checkTitle(resource, title string) error {
	switch n := utf8.RuneCountInString(title); {
	case strings.TrimSpace(title) == "":
		return unprocessable(resource, "title", "missing_field", "")
	case n > 256:
		return unprocessable(resource, "title", "custom", "title is too long (maximum is 256 characters)")
	}
	return nil
}

func pullRef(i *issue) string { return fmt.Sprintf("refs/pull/%d/head", i.number) }

// onPull finds the pull request of the path.
func (c *call) onPull() (*issue, error) {
	n, err := c.number("number")
	if err != nil {
		return nil, err
	}
	i := c.repo.pull(int(n))
	if i == nil {
		return nil, errNotFound
	}
	return i, nil
}

// listPulls filters like GitHub, also where that surprises: a head without
// "owner:" is ignored and every pull request comes back.
func (s *Server) listPulls(c *call) (any, error) {
	state, base := c.query("state"), c.query("base")
	owner, branch, qualified := strings.Cut(c.query("head"), ":")
	found := []*issue{}
	for _, i := range c.repo.issues {
		switch {
		case i.pull == nil:
		case state != "all" && i.state != cmp.Or(state, "open"):
		case base != "" && i.pull.baseRef != base:
		case qualified && (!strings.EqualFold(owner, c.repo.owner.login) || branch != i.pull.headRef):
		default:
			found = append(found, i)
		}
	}
	sorted := c.query("sort")
	slices.SortStableFunc(found, func(a, b *issue) int {
		if sorted == "updated" {
			return a.updated.Compare(b.updated)
		}
		return a.number - b.number
	})
	if dir := c.query("direction"); dir == "desc" || (dir == "" && (sorted == "" || sorted == "created")) {
		slices.Reverse(found)
	}
	return list(collect(found, func(i *issue) object { return s.pullSimple(c.repo, i) })), nil
}

func (s *Server) createPull(c *call) (any, error) {
	var in struct {
		Title, Head, Base, Body string
		Draft                   bool
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkTitle("PullRequest", in.Title); err != nil {
		return nil, err
	}
	if err := checkBody("PullRequest", in.Body); err != nil {
		return nil, err
	}
	head := in.Head
	if owner, branch, ok := strings.Cut(in.Head, ":"); ok && strings.EqualFold(owner, c.repo.owner.login) {
		head = branch
	}
	headSHA, ok := c.repo.git.refs["refs/heads/"+head]
	if !ok {
		return nil, unprocessable("PullRequest", "head", "invalid", "")
	}
	baseSHA, ok := c.repo.git.refs["refs/heads/"+in.Base]
	if !ok {
		return nil, unprocessable("PullRequest", "base", "invalid", "")
	}
	if len(c.repo.openPulls(func(i *issue) bool { return i.pull.headRef == head && i.pull.baseRef == in.Base })) > 0 {
		return nil, unprocessable("PullRequest", "", "custom", fmt.Sprintf("A pull request already exists for %s:%s.", c.repo.owner.login, head))
	}
	d, err := s.comparisonOf(c.repo, baseSHA, headSHA)
	if err != nil {
		return nil, err
	}
	if d.ahead == 0 {
		return nil, unprocessable("PullRequest", "", "custom", fmt.Sprintf("No commits between %s and %s", in.Base, head))
	}
	i := s.newIssue(c, in.Title, in.Body)
	i.pull = &pull{
		id: s.nextID(), headRef: head, headSHA: headSHA, baseRef: in.Base, baseSHA: baseSHA, draft: in.Draft,
		unknownFor: s.opt.MergeableUnknown,
	}
	if err := c.repo.git.updateRef(pullRef(i), headSHA, zeroSHA); err != nil {
		return nil, err
	}
	o, err := s.emitPull(c.repo, i, c.actor, "opened", nil)
	if err != nil {
		return nil, err
	}
	return reply{status: http.StatusCreated, body: o, header: http.Header{"Location": {s.api(c.repo, "pulls/%d", i.number)}}}, nil
}

// newIssue adds an issue by the caller; the number is the next of the repository.
func (s *Server) newIssue(c *call, title, body string) *issue {
	i := &issue{
		id: s.nextID(), number: len(c.repo.issues) + 1, title: title, body: body, state: "open",
		author: c.actor.account(), via: c.actor.app, created: s.now(), updated: s.now(),
	}
	c.repo.issues = append(c.repo.issues, i)
	return i
}

// emitPull emits pull_request with an action and more fields, and returns the
// pull request as it was sent.
func (s *Server) emitPull(r *repo, i *issue, who actor, action string, more object) (object, error) {
	o, err := s.pullObject(r, i, false)
	if err != nil {
		return nil, err
	}
	payload := object{"action": action, "number": i.number, "pull_request": o, "sender": s.user(who.account())}
	for name, value := range more {
		payload[name] = value
	}
	s.emit("pull_request", payload, r, nil)
	return o, nil
}

func (s *Server) getPull(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	if strings.Contains(c.r.Header.Get("Accept"), ".diff") {
		d, err := s.pullComparison(c.repo, i)
		if err != nil {
			return nil, err
		}
		return reply{status: http.StatusOK, body: []byte(d.diff), header: http.Header{"Content-Type": {"application/vnd.github.diff; charset=utf-8"}}}, nil
	}
	computed := i.pull.unknownFor == 0
	if !computed {
		i.pull.unknownFor--
	}
	o, err := s.pullObject(c.repo, i, computed)
	return o, err
}

func (s *Server) patchPull(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	if c.actor.user != nil && c.actor.user != i.author && roleRank[s.role(c.actor.user, c.repo)] < roleRank["triage"] {
		return nil, fail(http.StatusForbidden, "Must have triage rights to Repository.")
	}
	var in struct{ Title, Body, State, Base *string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	changes, err := s.editIssue(i, c.actor, "PullRequest", in.Title, in.Body)
	if err != nil {
		return nil, err
	}
	if in.Base != nil && *in.Base != i.pull.baseRef {
		tip, ok := c.repo.git.refs["refs/heads/"+*in.Base]
		if !ok {
			return nil, unprocessable("PullRequest", "base", "invalid", "")
		}
		changes["base"] = object{"ref": object{"from": i.pull.baseRef}, "sha": object{"from": i.pull.baseSHA}}
		i.pull.baseRef, i.pull.baseSHA, i.pull.unknownFor = *in.Base, tip, s.opt.MergeableUnknown
	}
	if len(changes) > 0 {
		i.updated = s.now()
		if _, err := s.emitPull(c.repo, i, c.actor, "edited", object{"changes": changes}); err != nil {
			return nil, err
		}
	}
	if in.State != nil && *in.State != i.state {
		if err := s.setPullState(c, i, *in.State); err != nil {
			return nil, err
		}
	}
	o, err := s.pullObject(c.repo, i, i.pull.unknownFor == 0)
	return o, err
}

// editIssue sets title and body and returns what changed, as webhooks say it.
func (s *Server) editIssue(i *issue, who actor, resource string, title, body *string) (object, error) {
	changes := object{}
	if title != nil && *title != i.title {
		if err := checkTitle(resource, *title); err != nil {
			return nil, err
		}
		changes["title"] = object{"from": i.title}
	}
	if body != nil && *body != i.body {
		if err := checkBody(resource, *body); err != nil {
			return nil, err
		}
		changes["body"] = object{"from": i.body}
		s.keepEdit(i, who, *body)
		i.body = *body
	}
	if changes["title"] != nil {
		i.title = *title
	}
	return changes, nil
}

func (s *Server) setPullState(c *call, i *issue, state string) error {
	switch {
	case state == "closed":
		return s.closePull(c.repo, i, c.actor)
	case state != "open":
		return unprocessable("PullRequest", "state", "invalid", "")
	case i.pull.merged:
		return unprocessable("PullRequest", "state", "invalid", "state cannot be changed. The pull request was merged.")
	}
	tip, ok := c.repo.git.refs["refs/heads/"+i.pull.headRef]
	if !ok {
		return unprocessable("PullRequest", "state", "invalid", fmt.Sprintf("state cannot be changed. The %s branch has been deleted.", i.pull.headRef))
	}
	others := c.repo.openPulls(func(o *issue) bool { return o.pull.headRef == i.pull.headRef && o.pull.baseRef == i.pull.baseRef })
	if len(others) > 0 {
		return unprocessable("PullRequest", "state", "invalid", fmt.Sprintf("state cannot be changed. There is already an open pull request from %s.", i.pull.headRef))
	}
	i.state, i.closed, i.closedBy, i.reopenedBy, i.updated = "open", time.Time{}, nil, c.actor.account(), s.now()
	if tip != i.pull.headSHA {
		old := i.pull.headSHA
		i.pull.headSHA = tip
		if err := c.repo.git.updateRef(pullRef(i), tip, old); err != nil {
			return err
		}
	}
	_, err := s.emitPull(c.repo, i, c.actor, "reopened", nil)
	return err
}

func (s *Server) closePull(r *repo, i *issue, who actor) error {
	if i.state == "closed" {
		return nil
	}
	i.state, i.closed, i.updated, i.closedBy = "closed", s.now(), s.now(), who.account()
	if _, err := s.emitPull(r, i, who, "closed", nil); err != nil {
		return err
	}
	return s.unqueue(r, i, "MANUAL")
}

// pullComparison is the diff that the pull request shows.
func (s *Server) pullComparison(r *repo, i *issue) (*comparison, error) {
	base := i.pull.baseSHA
	if tip, ok := r.git.refs["refs/heads/"+i.pull.baseRef]; ok && !i.pull.merged {
		base = tip
	}
	return s.comparisonOf(r, base, i.pull.headSHA)
}

func (s *Server) pullFiles(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	d, err := s.pullComparison(c.repo, i)
	if err != nil {
		return nil, err
	}
	return list(s.fileObjects(c.repo, i.pull.headSHA, d.files)), nil
}

func (s *Server) pullCommits(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	d, err := s.pullComparison(c.repo, i)
	if err != nil {
		return nil, err
	}
	objects, err := s.commitObjects(c.repo, d.commits)
	return list(objects), err
}

func (s *Server) getRequestedReviewers(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	return object{"users": collect(i.pull.requested, s.user), "teams": collect(i.pull.teams, s.teamObject)}, nil
}

func (s *Server) requestReviewers(c *call) (any, error) {
	i, err := c.onPull()
	if err != nil {
		return nil, err
	}
	var in struct {
		Reviewers     []string `json:"reviewers"`
		TeamReviewers []string `json:"team_reviewers"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	for _, login := range in.Reviewers {
		a := s.account(login)
		switch {
		case a == i.author && a != nil:
			return nil, fail(http.StatusUnprocessableEntity, "Review cannot be requested from pull request author.")
		case a == nil || s.role(a, c.repo) == "" || (!c.repo.owner.isMember(login) && c.repo.collaborators[login] == ""):
			return nil, fail(http.StatusUnprocessableEntity, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the "+c.repo.fullName()+" repository.")
		case !slices.Contains(i.pull.requested, a):
			i.pull.requested = append(i.pull.requested, a)
		}
	}
	for _, slug := range in.TeamReviewers {
		t := c.repo.owner.team(slug)
		if t == nil {
			return nil, fail(http.StatusUnprocessableEntity, "Could not resolve to a node with the global id of '"+slug+"'.")
		}
		if !slices.Contains(i.pull.teams, t) {
			i.pull.teams = append(i.pull.teams, t)
		}
	}
	return created(s.pullSimple(c.repo, i)), nil
}
