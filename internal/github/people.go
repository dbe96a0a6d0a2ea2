package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
)

var roles = []string{"none", "read", "triage", "write", "maintain", "admin"}

// Permission is what a person may do in the repository: "none", "read",
// "triage", "write", "maintain" or "admin". A custom role counts as the role
// that it is based on; somebody whom GitHub does not know has "none".
func (r *Repo) Permission(ctx context.Context, login string) (_ string, err error) {
	role, _, err := r.permission(ctx, login)
	return role, err
}

// PermissionOf is Permission of the account with that number: a login can be given
// up, and taken by somebody else. ErrAnotherAccount: it was.
func (r *Repo) PermissionOf(ctx context.Context, u User) (string, error) {
	role, id, err := r.permission(ctx, u.Login)
	if err == nil && id != 0 && id != u.ID {
		err = fault.E(fault.Denied, "", fmt.Errorf("%w: %s was %d, and is %d", ErrAnotherAccount, u.Login, u.ID, id))
	}
	if err != nil {
		return "", err
	}
	return role, nil
}

// ErrAnotherAccount: a login belongs to another account than it did. It comes as a
// Denied.
var ErrAnotherAccount = errors.New("the login belongs to another account now")

func (r *Repo) permission(ctx context.Context, login string) (role string, id int64, err error) {
	defer r.fail(&err, "read the permission of %s", login)
	var p struct {
		Permission string `json:"permission"` // maintain is told as write, triage as read
		RoleName   string `json:"role_name"`
		User       struct {
			ID int64 `json:"id"`
		} `json:"user"`
	}
	_, err = r.client.read(ctx, &p, "repos/%s/%s/collaborators/%s/permission", r.Owner, r.Name, url.PathEscape(login))
	if _, unknown := refusedWith(err, http.StatusNotFound); unknown {
		return "none", 0, nil
	}
	if err != nil {
		return "", 0, err
	}
	for _, role := range []string{p.RoleName, p.Permission} {
		if slices.Contains(roles, role) {
			return role, p.User.ID, nil
		}
	}
	return "none", p.User.ID, nil
}

// Public reports whether the whole world can read the repository.
func (r *Repo) Public(ctx context.Context) (_ bool, err error) {
	defer r.fail(&err, "read who can see it")
	var repo struct {
		Visibility string `json:"visibility"`
	}
	_, err = r.client.read(ctx, &repo, "repos/%s/%s", r.Owner, r.Name)
	return repo.Visibility == "public", err
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
