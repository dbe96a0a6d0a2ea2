package worker

import (
	"context"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// takeBack proposes the rollback of a merged promotion that ended unhealthy, as
// tagboat.yaml wants it. Where that cannot be, it is written down why, and people decide.
func (w *Worker) takeBack(ctx context.Context, l *look) error {
	err := w.takeBackItself(ctx, l)
	if err != nil && !fault.KindOf(err).Retryable() {
		return w.Store.RecordStays(ctx, l.row, "It is not rolled back by itself: "+explain(err))
	}
	return err
}

func (w *Worker) takeBackItself(ctx context.Context, l *look) error {
	uses, err := w.usesNow(ctx, l.repo, l.row.Env, func(p envrepo.Pair) bool { return p.App == l.row.App && p.Env == l.row.Env })
	if err != nil {
		return err
	}
	if len(uses) != 1 {
		return fault.Errorf(fault.NotFound, "%s has no overlay any more.", inPlain(l.row.App, l.row.Env))
	}
	back, err := w.wayBack(ctx, uses[0], l.artifact.Image)
	if err != nil {
		return err
	}
	switch {
	case !pins(back.bad, l.artifact):
		return fault.Errorf(fault.Denied, "%s has %s in Git by now.", inPlain(l.row.App, l.row.Env), back.bad.Tag)
	case back.further:
		return fault.Errorf(fault.Denied, "what was there before %s is denied, or was taken back to. People can go further back: /rollback %s %s <reason>.", l.artifact.Tag, l.row.Env, l.row.App)
	}
	says := store.NewRollback{Reason: l.illness(), Automatic: true}
	brought, err := w.broughtTogether(ctx, back)
	if err != nil {
		return err
	}
	if brought != nil {
		_, _, done, err := w.rollbackTogether(ctx, l.repo, l.row.App, brought, says, store.NewSet{})
		if err == nil && !done.Fresh {
			err = fault.Errorf(fault.Denied, "a rollback is on its way there already.")
		}
		return err
	}
	a, err := w.stillThere(ctx, back)
	if err != nil {
		return err
	}
	done, err := w.goBack(ctx, uses[0], a, back, says, proposal{})
	if err == nil && !done.Fresh {
		err = fault.Errorf(fault.Denied, "a rollback is on its way there already.")
	}
	return err
}

// takesBack reads whether a merged promotion whose clusters are ill is taken back by
// Tagboat itself, and whether it was. A configuration that cannot be read lets it be.
func (l *look) takesBack(ctx context.Context) error {
	if l.row.Kind == store.KindRollback || l.illness() == "" {
		return nil
	}
	b, err := l.w.bases.recent(ctx, l.repo, l.row.BaseBranch)
	if err != nil {
		var unread string
		return lasting(err, &unread)
	}
	env, _ := b.config.Environment(l.row.Env)
	if l.facts.Rule.TakesBack = env.TakesBack(); l.facts.Rule.TakesBack {
		l.facts.Reported.TakenBack, err = l.w.Store.TakenBack(ctx, l.row.ID)
	}
	return err
}

// illness says how a merged promotion ended unhealthy.
func (l *look) illness() string {
	var words []string
	for _, t := range l.targets {
		if t.Ill && t.Digest == l.artifact.Digest {
			words = append(words, fmt.Sprintf("%s is not healthy with %s: %s", t.Cluster, l.artifact.Tag, t.Message))
		}
	}
	return strings.Join(words, " ")
}
