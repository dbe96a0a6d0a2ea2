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

// ErrAbsent is in the chain of every error that comes of an installation that is
// suspended or is no more. No retry helps: somebody has to let the App in again.
var ErrAbsent = errors.New("the App's installation cannot be used")

// absent marks a refusal that is about the whole installation: of any request while
// it is suspended, and of a token for one that is not there.
func absent(req *http.Request, e *apiError) error {
	tokens := strings.HasSuffix(req.URL.Path, "/access_tokens")
	switch {
	case e.status == http.StatusForbidden && e.says("suspended"):
		return fault.E(fault.Denied, "The App's installation is suspended: an owner of the organisation can unsuspend it in its settings.", fmt.Errorf("%w: %w", ErrAbsent, e))
	case e.status == http.StatusNotFound && tokens:
		return fault.E(fault.NotFound, "The App's installation is gone: an owner of the organisation can install it again.", fmt.Errorf("%w: %w", ErrAbsent, e))
	}
	return nil
}

// Installation is the id of the App's installation that covers a repository.
// NotFound: the App is not installed there.
func (a *App) Installation(ctx context.Context, owner, name string) (_ int64, err error) {
	defer a.fail(&err, "find the App's installation for %s/%s", owner, name)
	found, _, err := a.client.Apps.FindRepositoryInstallation(ctx, owner, name)
	return found.GetID(), err
}

// Installation is the App on one account.
type Installation struct {
	ID        int64
	Account   User
	Suspended bool
}

// Installations lists where the App is installed.
func (a *App) Installations(ctx context.Context) (_ []Installation, err error) {
	defer a.fail(&err, "list the App's installations")
	found, err := pages(func(o gh.ListOptions) ([]*gh.Installation, *gh.Response, error) {
		return a.client.Apps.ListInstallations(ctx, &o)
	})
	if err != nil {
		return nil, err
	}
	all := make([]Installation, len(found))
	for i, in := range found {
		all[i] = Installation{ID: in.GetID(), Account: userOf(in.Account), Suspended: in.SuspendedAt != nil}
	}
	return all, nil
}

// Repository is one that the App is installed on.
type Repository struct {
	Owner, Name    string
	ID             int64
	InstallationID int64
	DefaultBranch  string
	Archived       bool
	PushedAt       time.Time // any branch
}

// Repositories lists the repositories of one installation.
func (a *App) Repositories(ctx context.Context, installation int64) (_ []Repository, err error) {
	defer a.fail(&err, "list the repositories of installation %d", installation)
	c := a.installation(installation).client
	found, err := pages(func(o gh.ListOptions) ([]*gh.Repository, *gh.Response, error) {
		page, resp, err := c.Apps.ListRepos(ctx, &o)
		if err != nil {
			return nil, nil, err
		}
		return page.Repositories, resp, nil
	})
	if err != nil {
		return nil, err
	}
	all := make([]Repository, len(found))
	for i, r := range found {
		all[i] = repositoryOf(r, installation)
	}
	return all, nil
}

func repositoryOf(r *gh.Repository, installation int64) Repository {
	return Repository{Owner: r.GetOwner().GetLogin(), Name: r.GetName(), ID: r.GetID(), InstallationID: installation,
		DefaultBranch: r.GetDefaultBranch(), Archived: r.GetArchived(), PushedAt: r.GetPushedAt().Time}
}

// Number is the repository's own, which stays when it is renamed. Whoever holds a
// name alone finds out by it that the name is another repository's now.
func (r *Repo) Number(ctx context.Context) (_ int64, err error) {
	defer r.fail(&err, "read the repository")
	found, _, err := r.client.Repositories.Get(ctx, r.Owner, r.Name)
	return found.GetID(), err
}

// HasFile reports whether there is a file on the default branch.
func (r *Repo) HasFile(ctx context.Context, path string) (_ bool, err error) {
	defer r.fail(&err, "look for %s", path)
	file, _, _, err := r.client.Repositories.GetContents(ctx, r.Owner, r.Name, path, nil)
	if _, missing := refusedWith(err, http.StatusNotFound); missing {
		return false, nil
	}
	return err == nil && file != nil, err
}
