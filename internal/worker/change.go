package worker

import (
	"context"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// diff carries out /diff [env] [app]: what is on its way, or what would be if somebody
// asked now.
func (w *Worker) diff(ctx context.Context, r request, cmd command.Diff) (string, error) {
	if cmd.App != "" {
		r.app = cmd.App
	}
	if cmd.Env == "" {
		if r.carried == nil {
			return "", fault.Errorf(fault.Invalid, "This is not a pull request of Tagboat's. Comment on one, or name an environment and an app: /diff <env> <app>.")
		}
		return w.diffTogether(ctx, *r.carried)
	}
	u, err := w.pairOf(ctx, r, "diff")
	if err != nil {
		return "", err
	}
	active, err := w.Store.ActivePromotion(ctx, r.repo.ID, u.pair.App, u.env.Name)
	if err == nil {
		return w.diffPull(ctx, active)
	}
	if !fault.Is(err, fault.NotFound) {
		return "", err
	}
	r.app = u.pair.App
	return w.diffNext(ctx, r, u)
}

// diffTogether is what all change that a pull request carries.
func (w *Worker) diffTogether(ctx context.Context, p store.Promotion) (string, error) {
	together, err := w.Store.Together(ctx, p)
	var texts []string
	for _, m := range together {
		text, err := w.diffPull(ctx, m)
		if err != nil {
			return "", err
		}
		texts = append(texts, text)
	}
	return strings.Join(texts, "\n\n"), err
}

// diffPull is what a promotion changes. One that has ended changes nothing any more:
// what was rendered then is not kept.
func (w *Worker) diffPull(ctx context.Context, p store.Promotion) (string, error) {
	if !promotion.State(p.State).Active() {
		return "", fault.Errorf(fault.Invalid, "This promotion is %s, and changes nothing any more. Its pull request shows what it changed; /diff %s %s tells what would be next.", p.State, p.Env, p.App)
	}
	l, err := w.look(ctx, p.ID, true)
	if err != nil {
		return "", err
	}
	return l.change(int(p.PullNumber))
}

// diffNext is what the version changes that /promote would take.
func (w *Worker) diffNext(ctx context.Context, r request, u use) (string, error) {
	a, err := w.chosen(ctx, r, u)
	if err != nil {
		return "", err
	}
	l := &look{w: w, at: w.Now(), repo: r.repo, base: u.base, pair: u.pair, env: u.env, artifact: a, row: store.Promotion{App: u.pair.App, Env: u.env.Name}}
	if err := l.plan(ctx); err != nil {
		return "", err
	}
	if l.facts.Plan.Nothing {
		return fmt.Sprintf("%s has %s already; there is nothing to change.", checklist.Escape(u.env.Name), checklist.Code(a.Tag)), nil
	}
	if err := l.rendered(ctx); err != nil {
		return "", err
	}
	return l.change(0)
}

// change is what a look found out, for people.
func (l *look) change(pull int) (string, error) {
	for _, wrong := range []string{l.facts.RuleErr, l.facts.Plan.Err} {
		if wrong != "" {
			return "", fault.Errorf(fault.Invalid, "%s", wrong)
		}
	}
	return checklist.RenderChange(checklist.Change{
		App: l.row.App, Env: l.row.Env, Old: l.edit.Old, New: l.ref(), Pull: pull,
		Diff: overlay.UnifiedDiff(l.edit), Rendered: l.model.Rendered, Unknown: l.facts.Rendered.Err,
	}), nil
}
