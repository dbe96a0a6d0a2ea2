package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// envRepo is the env repo that an event is about. It is found by its number: its name
// may be another's by now.
func (w *Worker) envRepo(ctx context.Context, ref github.RepoRef) (store.Repo, error) {
	r, err := w.repoOf(ctx, ref)
	if fault.Is(err, fault.NotFound) || err == nil && !w.EnvRepos.Means(r) {
		return r, errNotOurs
	}
	if err == nil && !sameName(ref.Owner+"/"+ref.Name, r.Owner+"/"+r.Name) {
		err = w.Store.Enqueue(ctx, job.Learn{}) // it is called otherwise now, or was when the event was sent
	}
	return r, err
}

func (w *Worker) repoOf(ctx context.Context, ref github.RepoRef) (store.Repo, error) {
	if ref.ID != 0 {
		r, err := w.Store.RepoByGitHubID(ctx, ref.ID)
		if !fault.Is(err, fault.NotFound) {
			return r, err
		}
	}
	r, err := w.Store.RepoByName(ctx, ref.Owner, ref.Name)
	if err == nil && ref.ID != 0 && r.GithubID != nil {
		return r, errNotOurs // another repository had the name before
	}
	return r, err
}

// placeOf is the repository of a comment.
func placeOf(c store.Command) github.RepoRef {
	return github.RepoRef{Owner: c.Owner, Name: c.Repo, ID: c.GithubRepoID, InstallationID: c.InstallationID}
}

// isStill makes sure that an env repo's name leads to it still, and not to another
// repository that took the name over before Tagboat was told.
func (w *Worker) isStill(ctx context.Context, r store.Repo) error {
	if r.GithubID == nil {
		return nil
	}
	number, err := w.repo(r).Number(ctx)
	if err != nil || number == *r.GithubID {
		return err
	}
	if err := w.Store.Enqueue(ctx, job.Learn{}); err != nil {
		return err
	}
	return fault.E(fault.Transient, fmt.Sprintf("%s/%s is another repository now, and nothing is taken from it. Tagboat looks for the one that was called so.", r.Owner, r.Name),
		fmt.Errorf("number %d instead of %d", number, *r.GithubID))
}

// mayBeNew reports whether a push may have made a repository an env repo.
func (w *Worker) mayBeNew(e github.Pushed) bool {
	may, _ := w.EnvRepos.May(e.Repo.Owner, e.Repo.Name, e.Repo.ID)
	return may && e.Ref == "refs/heads/"+e.DefaultBranch && slices.Contains(e.Files, envrepo.File)
}

// placeIn finds the env repo that a comment in an application's repository means: the
// one that has the environment; of several, the one in which the author may write. (Who
// may do what there is asked next.)
func (w *Worker) placeIn(ctx context.Context, r *request, door *github.Repo, uses []use) error {
	places := placesFor(r.env, uses)
	may := places
	if len(places) > 1 {
		may = nil
		for _, u := range places {
			role, err := w.repo(u.repo).Permission(ctx, r.command.Author)
			if err != nil {
				return err
			}
			if writer(role) {
				may = append(may, u)
			}
		}
	}
	if len(may) > 1 {
		var names []string
		for _, u := range may {
			if err := w.mayBeTold(ctx, door, u.repo); err != nil {
				return err
			}
			names = append(names, nameOf(u.repo))
		}
		return fault.Errorf(fault.Invalid, "Several env repos have the image in %s: %s. Comment in the one that you mean.", r.env, strings.Join(names, ", "))
	}
	meant := append(may, places...)[0]
	if r.repo = meant.repo; meant.env.Name == r.env {
		r.app = meant.pair.App
	}
	return nil
}

// placesFor are the uses in an environment, one of each env repo, or, where no env
// repo has one there, one of each.
func placesFor(env string, uses []use) (places []use) {
	for _, exact := range []bool{true, false} {
		for _, u := range uses {
			if (u.env.Name == env || !exact) && !slices.ContainsFunc(places, func(p use) bool { return p.repo.ID == u.repo.ID }) {
				places = append(places, u)
			}
		}
		if len(places) > 0 {
			return places
		}
	}
	return nil
}
