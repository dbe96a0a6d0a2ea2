package worker

import (
	"cmp"
	"context"
	"fmt"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// denialFacts says a row of the denylist in words.
func denialFacts(d store.Denial) *promotion.Denial {
	version := cmp.Or(d.Tag, image.ShortDigest(d.Digest))
	return &promotion.Denial{
		Tag: version, By: cmp.Or(d.Actor, "Tagboat"), Reason: d.Reason, Since: d.Since,
		Lift: fmt.Sprintf("/allow %s %s %s", d.Env, d.App, version),
	}
}

// denied refuses what was taken back from a pair.
func (w *Worker) denied(ctx context.Context, u use, a store.Artifact) error {
	d, denied, err := w.Store.Denial(ctx, u.repo.ID, u.pair.App, u.env.Name, a.Image, a.Digest)
	if err != nil || !denied {
		return err
	}
	return fault.Errorf(fault.Denied, "%s", denialFacts(d).Words())
}

// allow carries out /allow <env> [app] <tag>, where a digest stands for what has no tag.
func (w *Worker) allow(ctx context.Context, r request, cmd command.Allow) (string, error) {
	app, tag := cmd.Resolve()
	if app == "" {
		app = r.app // of the pull request
	}
	if app == "" {
		return "", fault.Errorf(fault.Invalid, "Which app? Write /allow %s <app> %s.", cmd.Env, tag)
	}
	scope := store.Scope{Owner: r.repo.Owner, Repo: r.repo.ID, Env: cmd.Env, App: app}
	lifted, err := w.Store.Allow(ctx, scope, tag, store.Actor{ID: r.command.AuthorID, Login: r.command.Author}, r.command.ID, reconcileJob)
	if err == nil && len(lifted) == 0 {
		err = fault.Errorf(fault.NotFound, "%s is not denied to %s.", tag, inPlain(app, cmd.Env))
	}
	if err != nil {
		return "", err
	}
	stopped, err := w.stillStopped(ctx, scope)
	if err != nil || stopped == "" {
		return "", err
	}
	return checklist.Code(tag) + " may come again. " + stopped, nil
}
