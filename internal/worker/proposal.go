package worker

import (
	"context"
	"slices"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// use is one (app, environment) that runs an image.
type use struct {
	repo store.Repo
	base *base
	pair envrepo.Pair
	env  envrepo.Environment
}

// uses finds who runs an image, or is rendered from a chart. It is Invalid when nobody is found, but not
// everything could be read.
func (w *Worker) uses(ctx context.Context, name string) ([]use, error) {
	repos, err := w.repos(ctx)
	if err != nil {
		return nil, err
	}
	var uses []use
	var unread error
	for _, repo := range repos {
		found, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool {
			if p.Err != nil && len(p.Moves()) == 0 {
				unread = p.Err
			}
			return slices.Contains(p.Moves(), name)
		})
		if err != nil {
			return nil, err
		}
		uses = append(uses, found...)
	}
	if len(uses) == 0 && unread != nil {
		return nil, fault.E(fault.Invalid, explain(unread), unread)
	}
	return uses, nil
}

// usesIn lists the pairs of an env repo that match, each with the branch that
// its environment lives on.
func (w *Worker) usesIn(ctx context.Context, repo store.Repo, match func(envrepo.Pair) bool) ([]use, error) {
	root, err := w.bases.recent(ctx, repo, "")
	if err != nil {
		return nil, err
	}
	var uses []use
	for _, env := range root.config.Environments {
		b := root
		if env.Branch != "" {
			if b, err = w.bases.recent(ctx, repo, env.Branch); err != nil {
				return nil, err
			}
		}
		for _, p := range b.pairs {
			if p.Env == env.Name && match(p) {
				uses = append(uses, use{repo: repo, base: b, pair: p, env: env})
			}
		}
	}
	return uses, nil
}

// proposal is why, and by whom, an artifact is proposed.
type proposal struct {
	requester store.Actor
	reason    string
	delivery  int64
	once      bool
	back      *store.NewRollback // nil: it leads forward
}

// branchPrefix marks the branches that are ours.
const branchPrefix = "tagboat/"

func (w *Worker) propose(ctx context.Context, u use, a store.Artifact, p proposal) (store.Proposed, error) {
	baseBranch := u.env.Branch
	if baseBranch == "" {
		baseBranch = u.repo.DefaultBranch
	}
	return w.Store.Propose(ctx, store.Proposal{
		Repo: u.repo.ID, App: u.pair.App, Env: u.env.Name, Artifact: a.ID,
		Requester: p.requester, Reason: p.reason, Delivery: p.delivery, Once: p.once, Back: p.back,
		Branch: branchPrefix + u.env.Name + "/" + u.pair.App, BaseBranch: baseBranch,
		Replaced: replacedJob,
	}, reconcileJob)
}
