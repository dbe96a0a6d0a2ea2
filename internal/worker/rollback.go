package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// rollback carries out /rollback <env> [app] [reason].
func (w *Worker) rollback(ctx context.Context, r request, cmd command.Rollback) (string, error) {
	u, reason, err := w.rolledBack(ctx, r, cmd)
	if err != nil {
		return "", err
	}
	name, err := imageOf(r, u)
	if err != nil {
		return "", err
	}
	if done, err := w.takenBackSince(ctx, u, name, r.command); err != nil || done != "" {
		return done, err
	}
	back, err := w.wayBack(ctx, u, name)
	if err != nil {
		return "", err
	}
	says := store.NewRollback{Reason: cmp.Or(reason, "no reason was given")}
	by := store.Actor{ID: r.command.AuthorID, Login: r.command.Author}
	brought, err := w.broughtTogether(ctx, back)
	if err != nil {
		return "", err
	}
	if brought != nil {
		wishes, left, done, err := w.rollbackTogether(ctx, r.repo, u.pair.App, brought, says, store.NewSet{Requester: by, Delivery: deliveryOf(r.command)})
		if err != nil {
			return "", err
		}
		return backTogether(brought, wishes, left, done), nil
	}
	a, err := w.stillThere(ctx, back)
	if err != nil {
		return "", err
	}
	done, err := w.goBack(ctx, u, a, back, says, proposal{requester: by, delivery: deliveryOf(r.command)})
	if err != nil {
		return "", err
	}
	return goesBackIn(a, done), nil
}

// rolledBack is the overlay that is meant, and why.
func (w *Worker) rolledBack(ctx context.Context, r request, cmd command.Rollback) (use, string, error) {
	uses, err := w.usesNow(ctx, r.repo, r.env, func(p envrepo.Pair) bool { return p.Env == r.env })
	if err != nil {
		return use{}, "", err
	}
	if err := w.knownEnvironment(ctx, r, uses); err != nil {
		return use{}, "", err
	}
	var apps []string
	for _, u := range uses {
		apps = append(apps, u.pair.App)
	}
	app, reason := cmd.Resolve(apps)
	if app == "" && r.app == "" && len(apps) > 1 {
		return use{}, "", fault.Errorf(fault.Invalid, "Which app?%s Write /rollback %s <app> [reason]; the apps of %s are: %s.",
			didYouMean(firstWord(reason), apps), r.env, r.env, strings.Join(apps, ", "))
	}
	if app != "" {
		r.app = app
	}
	u, err := pick(r, uses, apps)
	return u, reason, err
}

// takenBackSince says what was taken back since a comment was written, "" where nothing
// was: by the same comment, before a crash, or by somebody who was faster. Whoever wrote it
// had that in mind, and does not want to go back twice. A comment does
// not want what it had done, and GitHub tells no more than the second in which it was said.
func (w *Worker) takenBackSince(ctx context.Context, u use, name string, c store.Command) (string, error) {
	at := saidAt(c)
	history, err := w.Store.MergedHistory(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if err != nil {
		return "", err
	}
	if len(history) > 0 && history[0].Promotion.Kind == store.KindRollback {
		asked, err := w.Store.Asked(ctx, history[0].Promotion.ID)
		if err != nil {
			return "", err
		}
		its := slices.ContainsFunc(asked, func(a store.Asked) bool { return a.Command == c.ID })
		if its || history[0].Promotion.MergedAt.After(at) {
			return fmt.Sprintf("%s is back at %s already: #%d.", inEnvironment(u.pair.App, u.env.Name), checklist.Code(history[0].Artifact.Tag), history[0].Promotion.PullNumber), nil
		}
	}
	denials, err := w.Store.Denials(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if err != nil || len(denials) == 0 || denials[0].Image != name || !denials[0].Since.After(at) {
		return "", err
	}
	return fmt.Sprintf("%s took %s back already.", checklist.Escape(cmp.Or(denials[0].Actor, "Tagboat")), checklist.Code(cmp.Or(denials[0].Tag, image.ShortDigest(denials[0].Digest)))), nil
}

// usesNow is usesIn as it is now: what is taken back is what Git has at this moment.
func (w *Worker) usesNow(ctx context.Context, repo store.Repo, env string, match func(envrepo.Pair) bool) ([]use, error) {
	root, err := w.bases.fresh(ctx, repo, "")
	if err != nil {
		return nil, err
	}
	if e, _ := root.config.Environment(env); e.Branch != "" {
		if _, err := w.bases.fresh(ctx, repo, e.Branch); err != nil {
			return nil, err
		}
	}
	return w.usesIn(ctx, repo, match)
}

func firstWord(text string) string {
	word, _, _ := strings.Cut(text, " ")
	return word
}

// goesBackIn says where a rollback is on its way, and whose wish had to wait for it.
func goesBackIn(a store.Artifact, done store.Proposed) string {
	switch number := done.Promotion.PullNumber; {
	case number == 0:
		return "" // the reaction says it
	case !done.Fresh:
		return fmt.Sprintf("%s is on its way back already: #%d.", checklist.Code(a.Tag), number)
	default:
		return fmt.Sprintf("%s comes back in the pull request that is open already: #%d.", checklist.Code(a.Tag), number)
	}
}

// goBack proposes a rollback.
func (w *Worker) goBack(ctx context.Context, u use, a store.Artifact, back wayBack, says store.NewRollback, p proposal) (store.Proposed, error) {
	taking, err := w.taking(ctx, u, back, says)
	if err != nil {
		return store.Proposed{}, err
	}
	p.reason, p.back = says.Reason, taking
	return w.propose(ctx, u, a, p)
}

// taking is what a rollback takes back.
func (w *Worker) taking(ctx context.Context, u use, back wayBack, says store.NewRollback) (*store.NewRollback, error) {
	says.TakesBack, says.Further = back.brought, back.further
	says.BadTag, says.BadDigest = back.bad.Tag, back.bad.Digest
	if bad, err := w.badArtifact(ctx, back.bad); err != nil {
		return nil, err
	} else if bad.Digest != "" {
		says.BadTag, says.BadDigest = cmp.Or(says.BadTag, bad.Tag), bad.Digest
	}
	for _, c := range back.undone {
		says.Reverts = append(says.Reverts, c.Commit)
	}
	var err error
	says.Subject, err = w.subject(ctx, u.repo, says.Reverts[0])
	return &says, err
}

// back reads what the promotion takes back, and what keeps its artifact out.
func (l *look) back(ctx context.Context) error {
	d, denied, err := l.w.Store.Denial(ctx, l.repo.ID, l.row.App, l.row.Env, l.artifact.Image, l.artifact.Digest)
	if err != nil {
		return err
	}
	if denied {
		l.facts.Denial = denialFacts(d)
	}
	if l.row.Kind != store.KindRollback {
		return nil
	}
	if l.rollback, err = l.w.Store.Rollback(ctx, l.row.ID); err != nil {
		return err
	}
	bad := image.Ref{Name: l.artifact.Image, Tag: l.rollback.BadTag, Digest: l.rollback.BadDigest}
	l.facts.Back = &promotion.Rollback{Bad: bad, Automatic: l.rollback.Automatic}
	l.model.Undone = checklist.Undone{Bad: bad, Commits: l.rollback.Reverts, Subject: l.rollback.Subject}
	return nil
}

// inPlain is how people call an app in an environment, in a text that is escaped later.
func inPlain(app, env string) string { return app + " in " + env }
