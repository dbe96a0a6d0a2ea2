package githubsim

import (
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"
)

func branchOf(ref string) (string, bool) { return strings.CutPrefix(ref, "refs/heads/") }

func (s *Server) createStatus(c *call) (any, error) {
	var in struct {
		State, Context, Description string
		TargetURL                   string `json:"target_url"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	sha := c.vars["sha"]
	if _, err := s.commitOf(c.repo, sha); err != nil {
		return nil, failf(http.StatusUnprocessableEntity, "No commit found for SHA: %s", sha)
	}
	switch {
	case !slices.Contains([]string{"error", "failure", "pending", "success"}, in.State):
		return nil, unprocessable("Status", "state", "invalid", "")
	case utf8.RuneCountInString(in.Description) > 140:
		return nil, unprocessable("Status", "description", "custom", "description is too long (maximum is 140 characters)")
	}
	if in.Context == "" {
		in.Context = "default"
	}
	st := &commitStatus{
		id: s.nextID(), sha: sha, state: in.State, context: in.Context, description: in.Description,
		target: in.TargetURL, creator: c.actor.account(), created: s.now(),
	}
	c.repo.statuses = append(c.repo.statuses, st)
	if err := s.emitStatus(c, st); err != nil {
		return nil, err
	}
	if err := s.checked(c.repo, sha); err != nil {
		return nil, err
	}
	return created(s.statusObject(c.repo, st)), nil
}

func (s *Server) emitStatus(c *call, st *commitStatus) error {
	commit, err := s.commitObject(c.repo, st.sha)
	if err != nil {
		return err
	}
	branches := []any{}
	for ref, tip := range c.repo.git.refs {
		if name, ok := branchOf(ref); ok && tip == st.sha {
			_, protected := c.repo.protection(name)
			branches = append(branches, object{"name": name, "protected": protected, "commit": object{"sha": tip, "url": s.api(c.repo, "commits/%s", tip)}})
		}
	}
	o := s.statusObject(c.repo, st)
	s.emit("status", object{
		"id": st.id, "sha": st.sha, "name": c.repo.fullName(), "target_url": o["target_url"], "context": st.context,
		"description": o["description"], "state": st.state, "commit": commit, "branches": branches,
		"avatar_url": o["avatar_url"], "created_at": o["created_at"], "updated_at": o["updated_at"],
		"sender": s.user(c.actor.account()),
	}, c.repo, nil)
	return nil
}

// latestStatuses are the newest statuses on a commit, one per context.
// Contexts are compared without regard to case.
func (r *repo) latestStatuses(sha string) []*commitStatus {
	seen := map[string]bool{}
	var latest []*commitStatus
	for _, st := range slices.Backward(r.statuses) {
		k := strings.ToLower(st.context)
		if st.sha == sha && !seen[k] {
			seen[k] = true
			latest = append(latest, st)
		}
	}
	return latest
}

// combinedStatus is pending when there are no statuses at all.
func (s *Server) combinedStatus(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["ref"])
	if err != nil {
		return nil, err
	}
	latest := c.repo.latestStatuses(sha)
	state := "success"
	if len(latest) == 0 {
		state = "pending"
	}
	for _, st := range latest {
		switch st.verdict() {
		case "failing":
			state = "failure"
		case "pending":
			if state != "failure" {
				state = "pending"
			}
		}
	}
	items := collect(latest, func(st *commitStatus) object { return s.statusObject(c.repo, st) })
	return wrapped{key: "statuses", items: items, rest: object{
		"state": state, "sha": sha, "total_count": len(items), "repository": s.repository(c.repo),
		"commit_url": s.api(c.repo, "commits/%s", sha), "url": s.api(c.repo, "commits/%s/status", sha),
	}}, nil
}

func (s *Server) listStatuses(c *call) (any, error) {
	sha, err := c.commitFor(c.vars["ref"])
	if err != nil {
		return nil, err
	}
	items := list{}
	for _, st := range slices.Backward(c.repo.statuses) {
		if st.sha == sha {
			items = append(items, s.statusObject(c.repo, st))
		}
	}
	return items, nil
}
