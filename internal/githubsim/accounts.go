package githubsim

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
)

func (s *Server) getUser(c *call) (any, error) {
	a := s.account(c.vars["username"])
	if a == nil {
		return nil, errNotFound
	}
	return s.publicUser(a), nil
}

func (s *Server) getMe(c *call) (any, error) {
	if c.actor.user == nil {
		return nil, fail(http.StatusForbidden, "Resource not accessible by integration")
	}
	return s.publicUser(c.actor.user), nil
}

// getPermission maps the role names to the older permission words, as GitHub
// does: maintain shows as write, triage as read.
func (s *Server) getPermission(c *call) (any, error) {
	a := s.account(c.vars["username"])
	if a == nil || a.kind == "Organization" {
		return nil, failf(http.StatusNotFound, "%s is not a user", c.vars["username"])
	}
	role := s.role(a, c.repo)
	if role == "" {
		role = "none"
	}
	permission := role
	switch role {
	case "maintain":
		permission = "write"
	case "triage":
		permission = "read"
	}
	user := s.user(a)
	user["role_name"] = role
	rank := roleRank[role]
	user["permissions"] = object{
		"pull": rank >= 1, "triage": rank >= 2, "push": rank >= 3, "maintain": rank >= 4, "admin": rank >= 5,
	}
	return object{"permission": permission, "role_name": role, "user": user}, nil
}

func (c *call) org() (*account, error) {
	if o := c.account(c.vars["org"]); o != nil && o.kind == "Organization" {
		return o, c.orgAccess(o)
	}
	return nil, errNotFound
}

// orgAccess hides the teams and members of an organization from Apps that are
// not installed there and from people outside.
func (c *call) orgAccess(o *account) error {
	if t := c.actor.token; t != nil && t.installation.owner != o {
		return errNotFound
	}
	if c.actor.account() == nil {
		return fail(http.StatusUnauthorized, "Requires authentication")
	}
	if u := c.actor.user; u != nil && u != o && !o.isMember(u.login) {
		return errNotFound
	}
	return nil
}

func (s *Server) orgMember(c *call) (any, error) {
	o, err := c.org()
	if err != nil {
		return nil, err
	}
	if !o.isMember(c.vars["username"]) {
		return nil, errNotFound
	}
	return noContent(), nil
}

func (s *Server) orgMembership(c *call) (any, error) {
	o, err := c.org()
	if err != nil {
		return nil, err
	}
	a := s.account(c.vars["username"])
	if a == nil || !o.isMember(a.login) {
		return nil, errNotFound
	}
	return object{
		"url": fmt.Sprintf("%s/api/v3/orgs/%s/memberships/%s", s.url, o.login, a.login), "state": "active", "role": "member",
		"organization_url": s.url + "/api/v3/orgs/" + o.login, "organization": s.organization(o), "user": s.user(a),
	}, nil
}

func (c *call) team() (*team, error) {
	o, err := c.org()
	if err != nil {
		return nil, err
	}
	if t := o.team(c.vars["team_slug"]); t != nil {
		return t, nil
	}
	return nil, errNotFound
}

func (s *Server) getTeam(c *call) (any, error) {
	t, err := c.team()
	if err != nil {
		return nil, err
	}
	return s.teamObject(t), nil
}

func (s *Server) teamMembers(c *call) (any, error) {
	t, err := c.team()
	if err != nil {
		return nil, err
	}
	return list(collect(s.sortedLogins(t.members), s.user)), nil
}

func (s *Server) teamMembership(c *call) (any, error) {
	t, err := c.team()
	if err != nil {
		return nil, err
	}
	login := c.vars["username"]
	if !slices.ContainsFunc(t.members, func(m string) bool { return strings.EqualFold(m, login) }) {
		return nil, errNotFound
	}
	return object{
		"url":  fmt.Sprintf("%s/api/v3/organizations/%d/team/%d/memberships/%s", s.url, t.org.id, t.id, login),
		"role": "member", "state": "active",
	}, nil
}

func (s *Server) getRepo(c *call) (any, error) {
	o := s.repository(c.repo)
	if c.repo.owner.kind == "Organization" {
		o["organization"] = s.user(c.repo.owner)
	}
	if c.actor.user != nil {
		rank := roleRank[s.role(c.actor.user, c.repo)]
		o["permissions"] = object{"pull": rank >= 1, "triage": rank >= 2, "push": rank >= 3, "maintain": rank >= 4, "admin": rank >= 5}
	}
	return o, nil
}

func (s *Server) getApp(c *call) (any, error) {
	o := s.integration(c.actor.app)
	n := 0
	for _, inst := range s.installations {
		if inst.app == c.actor.app {
			n++
		}
	}
	o["installations_count"] = n
	return o, nil
}

func (s *Server) listInstallations(c *call) (any, error) {
	items := list{}
	for _, inst := range s.installations {
		if inst.app == c.actor.app {
			items = append(items, s.installationObject(inst))
		}
	}
	return items, nil
}

// installation finds the installation of the path among the App's own.
func (c *call) installation() (*installation, error) {
	id, err := c.number("installation_id")
	if err != nil {
		return nil, err
	}
	for _, inst := range c.installations {
		if inst.id == id && inst.app == c.actor.app {
			return inst, nil
		}
	}
	return nil, errNotFound
}

func (s *Server) getInstallation(c *call) (any, error) {
	inst, err := c.installation()
	if err != nil {
		return nil, err
	}
	return s.installationObject(inst), nil
}

func (s *Server) repoInstallation(c *call) (any, error) {
	for _, inst := range s.installations {
		if inst.app == c.actor.app && inst.covers(c.repo) {
			return s.installationObject(inst), nil
		}
	}
	return nil, errNotFound
}

func (s *Server) orgInstallation(c *call) (any, error) {
	for _, inst := range s.installations {
		if inst.app == c.actor.app && strings.EqualFold(inst.owner.login, c.vars["org"]) {
			return s.installationObject(inst), nil
		}
	}
	return nil, errNotFound
}

func (s *Server) installationRepos(c *call) (any, error) {
	t := c.actor.token
	if t == nil {
		return nil, fail(http.StatusForbidden, "You must authenticate with an installation access token in order to list repositories for an installation.")
	}
	items := []any{}
	for _, r := range t.installation.repos {
		if t.covers(r) {
			items = append(items, s.repository(r))
		}
	}
	return wrapped{key: "repositories", items: items, rest: object{"total_count": len(items), "repository_selection": "selected"}}, nil
}

func (s *Server) getHookConfig(c *call) (any, error) {
	return hookConfig(c.actor.app), nil
}

func hookConfig(a *App) object {
	return object{"url": a.spec.WebhookURL, "content_type": "json", "insecure_ssl": "0", "secret": "********"}
}

func (s *Server) patchHookConfig(c *call) (any, error) {
	var in struct{ URL, Secret *string }
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.URL != nil {
		c.actor.app.spec.WebhookURL = *in.URL
	}
	if in.Secret != nil {
		c.actor.app.spec.WebhookSecret = *in.Secret
	}
	return hookConfig(c.actor.app), nil
}

// ping tells a webhook URL that it has been configured.
func (s *Server) ping(a *App) {
	if a.spec.WebhookURL == "" {
		return
	}
	config := hookConfig(a)
	s.emitTo(a, 0, "ping", object{
		"zen": "Favor focus over features.", "hook_id": a.hookID, "hook": object{
			"type": "App", "id": a.hookID, "name": "web", "active": true, "events": nonNil(a.spec.Events), "config": config,
			"app_id": a.ID, "created_at": stamp(a.created), "updated_at": stamp(a.created),
			"deliveries_url": s.url + "/api/v3/app/hook/deliveries",
		},
	})
}

func (s *Server) emitInstallation(inst *installation, action string) {
	s.emitTo(inst.app, inst.id, "installation", object{
		"action": action, "installation": s.installationObject(inst), "requester": nil,
		"repositories": collect(inst.repos, shortRepository), "sender": s.user(inst.owner),
	})
}

func (s *Server) emitInstallationRepositories(inst *installation, action string, repos []*repo) {
	added, removed := repos, []*repo{}
	if action == "removed" {
		added, removed = removed, repos
	}
	s.emitTo(inst.app, inst.id, "installation_repositories", object{
		"action": action, "installation": s.installationObject(inst), "repository_selection": "selected",
		"repositories_added": collect(added, shortRepository), "repositories_removed": collect(removed, shortRepository), "requester": nil,
		"sender": s.user(inst.owner),
	})
}

func shortRepository(r *repo) object {
	return object{"id": r.id, "node_id": nodeID("Repository", r.id), "name": r.name, "full_name": r.fullName(), "private": r.private}
}
