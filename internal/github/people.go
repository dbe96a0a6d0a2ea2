package github

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

var roles = []string{"none", "read", "triage", "write", "maintain", "admin"}

// Permission is what a person may do in the repository: "none", "read",
// "triage", "write", "maintain" or "admin". A custom role counts as the role
// that it is based on; somebody whom GitHub does not know has "none".
func (r *Repo) Permission(ctx context.Context, login string) (_ string, err error) {
	defer r.fail(&err, "read the permission of %s", login)
	var p struct {
		Permission string `json:"permission"` // maintain is told as write, triage as read
		RoleName   string `json:"role_name"`
	}
	_, err = r.client.read(ctx, &p, "repos/%s/%s/collaborators/%s/permission", r.Owner, r.Name, url.PathEscape(login))
	if _, unknown := refusedWith(err, http.StatusNotFound); unknown {
		return "none", nil
	}
	if err != nil {
		return "", err
	}
	for _, role := range []string{p.RoleName, p.Permission} {
		if slices.Contains(roles, role) {
			return role, nil
		}
	}
	return "none", nil
}

// TeamMember reports whether a person is an active member of a team, given by
// its slug, or of one of its child teams. An invitation does not count.
func (r *Repo) TeamMember(ctx context.Context, org, team, login string) (_ bool, err error) {
	defer r.fail(&err, "read the membership of %s in %s/%s", login, org, team)
	var m struct {
		State string `json:"state"`
	}
	_, err = r.client.read(ctx, &m, "orgs/%s/teams/%s/memberships/%s",
		url.PathEscape(org), url.PathEscape(team), url.PathEscape(login))
	if _, unknown := refusedWith(err, http.StatusNotFound); unknown {
		return false, nil
	}
	return m.State == "active", err
}
