package githubsim

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// onIssue finds the issue or pull request of the path.
func (c *call) onIssue() (*issue, error) {
	n, err := c.number("number")
	if err != nil {
		return nil, err
	}
	if i := c.repo.issue(int(n)); i != nil {
		return i, nil
	}
	return nil, errNotFound
}

func (s *Server) createIssue(c *call) (any, error) {
	var in struct {
		Title, Body string
		Labels      []string
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := checkTitle("Issue", in.Title); err != nil {
		return nil, err
	}
	if err := checkBody("Issue", in.Body); err != nil {
		return nil, err
	}
	i := s.newIssue(c, in.Title, in.Body)
	for _, name := range in.Labels {
		i.labels = append(i.labels, s.ensureLabel(c.repo, name))
	}
	s.emitIssue(c, i, "opened", nil)
	return created(s.issueObject(c.repo, i)), nil
}

func (s *Server) emitIssue(c *call, i *issue, action string, more object) {
	payload := object{"action": action, "issue": s.issueObject(c.repo, i), "sender": s.user(c.actor.account())}
	for name, value := range more {
		payload[name] = value
	}
	s.emit("issues", payload, c.repo, nil)
}

func (s *Server) getIssue(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	return s.issueObject(c.repo, i), nil
}

func (s *Server) listIssues(c *call) (any, error) {
	state := c.query("state")
	since, err := c.since()
	if err != nil {
		return nil, err
	}
	found := list{}
	for _, i := range slices.Backward(c.repo.issues) {
		if i.updated.Before(since) {
			continue
		}
		if state == "all" || i.state == state || (state == "" && i.state == "open") {
			found = append(found, s.issueObject(c.repo, i))
		}
	}
	return found, nil
}

// since is the query parameter of that name; zero without it.
func (c *call) since() (since time.Time, err error) {
	if text := c.query("since"); text != "" {
		if since, err = time.Parse(time.RFC3339, text); err != nil {
			return since, fail(http.StatusUnprocessableEntity, "Validation Failed")
		}
	}
	return since, nil
}

func (s *Server) patchIssue(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	if i.pull != nil {
		if _, err := s.patchPull(c); err != nil {
			return nil, err
		}
		return s.issueObject(c.repo, i), nil
	}
	if c.actor.user != nil && c.actor.user != i.author && roleRank[s.role(c.actor.user, c.repo)] < roleRank["triage"] {
		return nil, fail(http.StatusForbidden, "Must have triage rights to Repository.")
	}
	var in struct{ Title, Body, State *string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	changes, err := s.editIssue(i, c.actor, "Issue", in.Title, in.Body)
	if err != nil {
		return nil, err
	}
	i.updated = s.now()
	if len(changes) > 0 {
		s.emitIssue(c, i, "edited", object{"changes": changes})
	}
	if in.State != nil && *in.State != i.state {
		i.state, i.closed, i.closedBy = *in.State, s.now(), c.actor.account()
		action := "closed"
		if i.state == "open" {
			i.closed, i.closedBy, action = time.Time{}, nil, "reopened"
		}
		s.emitIssue(c, i, action, nil)
	}
	return s.issueObject(c.repo, i), nil
}

func (s *Server) listComments(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	return list(collect(i.comments, func(cm *comment) object { return s.commentObject(c.repo, cm) })), nil
}

// listRepoComments is those of all issues and pull requests. GitHub's own order is by
// number; sort and direction change it.
func (s *Server) listRepoComments(c *call) (any, error) {
	since, err := c.since()
	if err != nil {
		return nil, err
	}
	var found []*comment
	for _, i := range c.repo.issues {
		for _, cm := range i.comments {
			if !cm.updated.Before(since) {
				found = append(found, cm)
			}
		}
	}
	slices.SortStableFunc(found, func(a, b *comment) int {
		switch c.query("sort") {
		case "updated":
			return cmp.Or(a.updated.Compare(b.updated), cmp.Compare(a.id, b.id))
		case "created":
			return cmp.Or(a.created.Compare(b.created), cmp.Compare(a.id, b.id))
		}
		return cmp.Compare(a.id, b.id)
	})
	if c.query("sort") != "" && c.query("direction") != "asc" {
		slices.Reverse(found)
	}
	return list(collect(found, func(cm *comment) object { return s.commentObject(c.repo, cm) })), nil
}

func (s *Server) createComment(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Body) == "" {
		return nil, unprocessable("IssueComment", "body", "custom", "body cannot be blank")
	}
	if err := checkBody("IssueComment", in.Body); err != nil {
		return nil, err
	}
	cm := &comment{
		id: s.nextID(), issue: i, author: c.actor.account(), via: c.actor.app, body: in.Body, created: s.now(), updated: s.now(),
	}
	i.comments = append(i.comments, cm)
	i.updated = s.now()
	s.emitComment(c, cm, "created", nil)
	return created(s.commentObject(c.repo, cm)), nil
}

func (s *Server) emitComment(c *call, cm *comment, action string, changes object) {
	payload := object{
		"action": action, "issue": s.issueObject(c.repo, cm.issue), "comment": s.commentObject(c.repo, cm),
		"sender": s.user(c.actor.account()),
	}
	if changes != nil {
		payload["changes"] = changes
	}
	s.emit("issue_comment", payload, c.repo, nil)
}

// onComment finds the comment of the path. The path does not name the issue.
func (c *call) onComment() (*comment, error) {
	id, err := c.number("comment_id")
	if err != nil {
		return nil, err
	}
	for _, i := range c.repo.issues {
		for _, cm := range i.comments {
			if cm.id == id {
				return cm, nil
			}
		}
	}
	return nil, errNotFound
}

func (s *Server) getComment(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	return s.commentObject(c.repo, cm), nil
}

// mayAlter lets the author and people with write access change a comment; an
// App may change what Apps' permissions allow.
func (c *call) mayAlter(cm *comment) error {
	if c.actor.user == nil || c.actor.user == cm.author || roleRank[c.role(c.actor.user, c.repo)] >= roleRank["write"] {
		return nil
	}
	return fail(http.StatusForbidden, "Must have admin rights to Repository.")
}

func (s *Server) patchComment(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	var in struct{ Body string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if err := c.mayAlter(cm); err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Body) == "" {
		return nil, unprocessable("IssueComment", "body", "custom", "body cannot be blank")
	}
	if err := checkBody("IssueComment", in.Body); err != nil {
		return nil, err
	}
	if in.Body != cm.body {
		from := cm.body
		cm.body, cm.updated = in.Body, s.now()
		s.emitComment(c, cm, "edited", object{"body": object{"from": from}})
	}
	return s.commentObject(c.repo, cm), nil
}

func (s *Server) deleteComment(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	if err := c.mayAlter(cm); err != nil {
		return nil, err
	}
	s.emitComment(c, cm, "deleted", nil)
	cm.issue.comments = slices.DeleteFunc(cm.issue.comments, func(o *comment) bool { return o == cm })
	return noContent(), nil
}

func (s *Server) listReactions(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	return list(collect(cm.reactions, s.reactionObject)), nil
}

func (s *Server) createReaction(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	return s.react(c, &cm.reactions)
}

func (s *Server) createIssueReaction(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	return s.react(c, &i.reactions)
}

// react adds a reaction, once per person: 201 when new, 200 when it was there.
func (s *Server) react(c *call, reactions *[]*reaction) (any, error) {
	var in struct{ Content string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if !slices.Contains(reactionContents, in.Content) {
		return nil, unprocessable("Reaction", "content", "invalid", "")
	}
	who := c.actor.account()
	for _, r := range *reactions {
		if r.user == who && r.content == in.Content {
			return s.reactionObject(r), nil
		}
	}
	r := &reaction{id: s.nextID(), user: who, content: in.Content, created: s.now()}
	*reactions = append(*reactions, r)
	return created(s.reactionObject(r)), nil
}

func (s *Server) deleteReaction(c *call) (any, error) {
	cm, err := c.onComment()
	if err != nil {
		return nil, err
	}
	id, err := c.number("reaction_id")
	if err != nil {
		return nil, err
	}
	at := slices.IndexFunc(cm.reactions, func(r *reaction) bool { return r.id == id })
	if at < 0 {
		return nil, errNotFound
	}
	if cm.reactions[at].user != c.actor.account() {
		return nil, fail(http.StatusForbidden, "You can only delete your own reactions.")
	}
	cm.reactions = slices.Delete(cm.reactions, at, at+1)
	return noContent(), nil
}

// ensureLabel finds a label or makes it, as labelling an issue does.
func (s *Server) ensureLabel(r *repo, name string) *label {
	if l := r.label(name); l != nil {
		return l
	}
	l := &label{id: s.nextID(), name: name, color: "ededed"}
	r.labels = append(r.labels, l)
	return l
}

func (s *Server) createLabel(c *call) (any, error) {
	var in struct{ Name, Color, Description string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	switch {
	case in.Name == "":
		return nil, unprocessable("Label", "name", "missing_field", "")
	case c.repo.label(in.Name) != nil:
		return nil, unprocessable("Label", "name", "already_exists", "")
	}
	l := s.ensureLabel(c.repo, in.Name)
	if in.Color != "" {
		l.color = strings.TrimPrefix(in.Color, "#")
	}
	l.description = in.Description
	return created(s.labelObject(c.repo, l)), nil
}

func (s *Server) getLabel(c *call) (any, error) {
	l := c.repo.label(c.vars["name"])
	if l == nil {
		return nil, errNotFound
	}
	return s.labelObject(c.repo, l), nil
}

func (s *Server) listRepoLabels(c *call) (any, error) {
	return list(s.labels(c.repo, c.repo.labels)), nil
}

func (s *Server) listLabels(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	return list(s.labels(c.repo, i.labels)), nil
}

// addLabels takes {"labels":[…]} or, as go-github sends it, a bare array.
func (s *Server) addLabels(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	var names []string
	if err := c.decode(&names); err != nil {
		var in struct{ Labels []string }
		if err := c.decode(&in); err != nil {
			return nil, err
		}
		names = in.Labels
	}
	for _, name := range names {
		l := s.ensureLabel(c.repo, name)
		if slices.Contains(i.labels, l) {
			continue
		}
		i.labels = append(i.labels, l)
		if err := s.emitLabel(c, i, l, "labeled"); err != nil {
			return nil, err
		}
	}
	return list(s.labels(c.repo, i.labels)), nil
}

func (s *Server) emitLabel(c *call, i *issue, l *label, action string) error {
	i.updated = s.now()
	more := object{"label": s.labelObject(c.repo, l)}
	if i.pull == nil {
		s.emitIssue(c, i, action, more)
		return nil
	}
	_, err := s.emitPull(c.repo, i, c.actor, action, more)
	return err
}

func (s *Server) removeLabel(c *call) (any, error) {
	i, err := c.onIssue()
	if err != nil {
		return nil, err
	}
	l := c.repo.label(c.vars["name"])
	at := slices.Index(i.labels, l)
	if l == nil || at < 0 {
		return nil, fail(http.StatusNotFound, "Label does not exist")
	}
	i.labels = slices.Delete(i.labels, at, at+1)
	if err := s.emitLabel(c, i, l, "unlabeled"); err != nil {
		return nil, err
	}
	return list(s.labels(c.repo, i.labels)), nil
}
