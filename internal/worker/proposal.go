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

// branch is where the environment lives.
func (u use) branch() string {
	if u.env.Branch != "" {
		return u.env.Branch
	}
	return u.repo.DefaultBranch
}

// uses finds who runs an image, or is rendered from a chart. An env repo that cannot be
// read keeps nothing from the others: its error comes beside what was found in them.
// One overlay that cannot be read counts where nobody is found.
func (w *Worker) uses(ctx context.Context, name string) ([]use, error) {
	repos, err := w.repos(ctx)
	if err != nil {
		return nil, err
	}
	var uses []use
	var unread, broken error
	for _, repo := range repos {
		found, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool {
			if p.Err != nil && len(p.Moves()) == 0 {
				unread = p.Err
			}
			return slices.Contains(p.Moves(), name)
		})
		if err != nil {
			broken = passing(broken, err)
		}
		uses = append(uses, found...)
	}
	if broken == nil && len(uses) == 0 && unread != nil {
		broken = fault.E(fault.Invalid, explain(unread), unread)
	}
	return uses, broken
}

// passing is the one of two errors that may pass: something may be found then.
func passing(a, b error) error {
	if a == nil || !fault.KindOf(a).Retryable() && fault.KindOf(b).Retryable() {
		return b
	}
	return a
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
	return w.Store.Propose(ctx, store.Proposal{
		Repo: u.repo.ID, App: u.pair.App, Env: u.env.Name, Artifact: a.ID,
		Requester: p.requester, Reason: p.reason, Delivery: p.delivery, Once: p.once, Back: p.back,
		Branch: branchPrefix + u.env.Name + "/" + u.pair.App, BaseBranch: u.branch(),
		Replaced: replacedJob,
	}, reconcileJob)
}
