package worker

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// somebody closed a pull request, and GitHub does not say who: the account is gone.
const somebody = "somebody on GitHub"

// recordClosed ends a promotion that comes to nothing. A pull request that is closed was
// closed by Tagboat, whose record of it was lost, or by a person, who wants it to stay
// closed: GitHub is asked which, and whether it is closed still. One that was closed when
// it was an older promotion's says nothing about what people asked for since.
func (w *Worker) recordClosed(ctx context.Context, l *look, why string) error {
	if l.row.PullNumber == 0 {
		return w.ended(ctx, l, why)
	}
	if err := w.refresh(ctx, l); err != nil {
		return err
	}
	l, err := w.look(ctx, l.row.ID, true)
	if err != nil || promotion.Decide(l.facts, l.shown, w.Now()).Effect != promotion.RecordClosed {
		return err
	}
	by, at, ours, err := l.door.ClosedBy(ctx, int(l.row.PullNumber))
	if err != nil {
		return err
	}
	// Whoever went back by hand has no use for the pull request, and may close it: the
	// survey takes their commit for this rollback while it is active.
	if l.fulfilled() {
		return w.ended(ctx, l, why)
	}
	// What Tagboat proposed by itself stays closed with what it took the place of.
	// (A set takes no pull request over, so it has none of an older one's.)
	if l.row.SetID == nil && (ours || l.facts.Back != nil || l.row.RequesterID != 0) {
		older, err := w.Store.ClosedOlder(ctx, l.row, store.Actor{ID: by.ID, Login: by.Login}, at, reconcileJob)
		if err != nil || older {
			return err
		}
	}
	if ours {
		return w.ended(ctx, l, why)
	}
	if by.Login == "" {
		by.Login = somebody
	}
	return w.Store.RecordClosedBy(ctx, l.row, store.Closing{
		By: store.Actor{ID: by.ID, Login: by.Login}, Owner: l.repo.Owner,
		Why: fmt.Sprintf("%s closed pull request #%d. Tagboat opens nothing for %s in %s until somebody asks again: %s.",
			by.Login, l.row.PullNumber, strings.Join(l.apps(), ", "), l.row.Env, strings.Join(askingFor(l.row.Env, l.apps()), ", ")),
	})
}

// askingFor are the commands that ask for each of some apps again.
func askingFor(env string, apps []string) (commands []string) {
	for _, app := range apps {
		commands = append(commands, "/promote "+env+" "+app)
	}
	return commands
}

// unsaid stands in for the number of a comment that GitHub did not let us write.
const unsaid = -1

// tellClosed says on a pull request that a person closed what that means, and how to
// ask again. Where GitHub does not let us, as in a locked conversation, the hold says it.
func (w *Worker) tellClosed(ctx context.Context, l *look) error {
	err := w.sayClosed(ctx, l)
	if saidNo(err) {
		w.Log.WarnContext(ctx, "what closing means could not be said", "promotion", l.row.ID, "error", err)
		return w.Store.RecordComment(ctx, l.row.ID, unsaid, "")
	}
	return err
}

func (w *Worker) sayClosed(ctx context.Context, l *look) error {
	fresh, err := w.Store.Announce(ctx, l.row.ID, "tell what closing means")
	if err != nil {
		return err
	}
	closing, err := w.closing(ctx, l)
	if err != nil {
		return err
	}
	body, id := checklist.RenderClosing(closing), int64(0)
	if !fresh {
		if id, _, err = l.door.FindComment(ctx, int(l.row.PullNumber), checklist.ClosingMarker); err != nil {
			return err
		}
	}
	if id == 0 {
		if id, err = l.door.Comment(ctx, int(l.row.PullNumber), body); err != nil {
			return err
		}
	}
	return w.Store.RecordComment(ctx, l.row.ID, id, hash(body))
}

// closing is what is to be said. Where tagboat.yaml cannot be read, it is not known
// whether the environment follows anything, and nothing is said of it.
func (w *Worker) closing(ctx context.Context, l *look) (c checklist.Closing, err error) {
	c = checklist.Closing{App: l.row.App, Env: l.row.Env, Tag: l.artifact.Tag, By: l.row.ClosedBy}
	together, err := w.Store.Together(ctx, l.row)
	if err != nil {
		return c, err
	}
	for _, p := range together[1:] {
		a, err := w.Store.Artifact(ctx, p.ArtifactID)
		if err != nil {
			return c, err
		}
		c.With = append(c.With, checklist.Version{App: p.App, Tag: a.Tag})
	}
	if b, err := w.bases.recent(ctx, l.repo, l.row.BaseBranch); err == nil {
		_, env, err := b.pair(l.row.App, l.row.Env)
		c.Follows = err == nil && env.Follow != nil
	}
	stands, err := l.door.Branch(ctx, l.row.Branch)
	if fault.Is(err, fault.NotFound) {
		c.BranchGone = true
		return c, nil
	}
	if err != nil {
		return c, err
	}
	ours, err := w.Store.KnownHead(ctx, stands)
	if !ours {
		c.Foreign, c.Branch = stands, l.row.Branch
	}
	return c, err
}

// reopened: whoever opens a pull request again that was closed asks for its promotion
// again. What opens it again may be late: it counts if it is open now.
func (w *Worker) reopened(ctx context.Context, d store.Delivery, p store.Promotion, e github.PullChanged) (string, error) {
	repo, err := w.Store.Repo(ctx, p.RepoID)
	if err != nil {
		return "", err
	}
	door := w.repo(repo)
	if e.Sender.Bot {
		return "reopened by a bot, which asks for nothing", nil
	}
	pull, err := door.Pull(ctx, e.Number)
	if err != nil || pull.State != "open" {
		return "closed again since", err
	}
	if err := w.mayAskAgain(ctx, repo, p, e.Sender); err != nil && fault.KindOf(err).Retryable() {
		return "", err
	} else if err != nil {
		return "reopened by somebody who may not ask for that: " + explain(err), nil
	}
	together, err := w.Store.Together(ctx, p)
	if err != nil {
		return "", err
	}
	for _, m := range together {
		latest, err := w.Store.LatestPromotion(ctx, repo.ID, m.App, m.Env)
		if err != nil || latest.ID != m.ID {
			return "reopened after something else was promoted", err
		}
	}
	if p.SetID != nil {
		return w.reopenedSet(ctx, d, repo, together, e)
	}
	uses, err := w.usesIn(ctx, repo, func(pair envrepo.Pair) bool { return pair.App == p.App && pair.Env == p.Env })
	if err != nil || len(uses) == 0 {
		return "reopened, but the app is not there any more", err
	}
	a, err := w.Store.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return "", err
	}
	wish := proposal{
		requester: store.Actor{ID: e.Sender.ID, Login: e.Sender.Login},
		reason:    fmt.Sprintf("%s reopened pull request #%d.", e.Sender.Login, e.Number), delivery: d.ID,
	}
	if p.Kind == store.KindRollback {
		wish.back, err = w.backAgain(ctx, p)
	} else {
		err = w.denied(ctx, uses[0], a)
	}
	if fault.Is(err, fault.Denied) {
		return explain(err), nil
	}
	if err != nil {
		return "", err
	}
	_, err = w.propose(ctx, uses[0], a, wish)
	return "reopened, and so asked for again", err
}

// reopenedSet has all that a pull request brought asked for again, as one.
func (w *Worker) reopenedSet(ctx context.Context, d store.Delivery, repo store.Repo, together []store.Promotion, e github.PullChanged) (string, error) {
	uses, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool { return p.Env == together[0].Env })
	if err != nil {
		return "", err
	}
	set, err := w.Store.SetOf(ctx, together[0].ID)
	if err != nil {
		return "", err
	}
	var wishes []wish
	for _, p := range together {
		i := slices.IndexFunc(uses, func(u use) bool { return u.pair.App == p.App })
		if i < 0 {
			return fmt.Sprintf("reopened, but %s is not there any more", p.App), nil
		}
		one := wish{use: uses[i], reason: fmt.Sprintf("%s reopened pull request #%d.", e.Sender.Login, e.Number)}
		if one.artifact, err = w.Store.Artifact(ctx, p.ArtifactID); err != nil {
			return "", err
		}
		if p.Kind == store.KindRollback {
			one.back, err = w.backAgain(ctx, p)
		} else {
			err = w.denied(ctx, one.use, one.artifact)
		}
		if fault.Is(err, fault.Denied) {
			return explain(err), nil
		}
		if err != nil {
			return "", err
		}
		wishes = append(wishes, one)
	}
	_, err = w.proposeSet(ctx, wishes, store.NewSet{
		Origin: set.Origin, Branch: set.Branch, Requester: store.Actor{ID: e.Sender.ID, Login: e.Sender.Login}, Delivery: d.ID,
	})
	if fault.Is(err, fault.Denied) {
		return explain(err), nil
	}
	return "reopened, and so asked for again", err
}

// backAgain is what a rollback takes back that is asked for again.
func (w *Worker) backAgain(ctx context.Context, p store.Promotion) (*store.NewRollback, error) {
	back, err := w.Store.Rollback(ctx, p.ID)
	if err != nil {
		return nil, err
	}
	again := &store.NewRollback{
		BadTag: back.BadTag, BadDigest: back.BadDigest, Reason: back.Reason, Automatic: back.Automatic,
		Further: back.Further, Reverts: back.Reverts, Subject: back.Subject,
	}
	if back.TakesBack != nil {
		again.TakesBack = *back.TakesBack
	}
	return again, nil
}

// mayAskAgain refuses whoever may not ask for a promotion by a command either: opening
// its pull request again is no way around what tagboat.yaml says of that.
func (w *Worker) mayAskAgain(ctx context.Context, repo store.Repo, p store.Promotion, by github.User) error {
	verb := "promote"
	if p.Kind == store.KindRollback {
		verb = "rollback"
	}
	v, known := command.VerbOf(verb)
	if !known {
		return fault.Errorf(fault.Broken, "there is no row for /%s in the table of verbs", verb)
	}
	s, err := w.speaker(ctx, store.Command{AuthorID: by.ID, Author: by.Login}, w.repo(repo))
	if err != nil {
		return err
	}
	if err := s.mayUse(ctx, repo, v); err != nil {
		return err
	}
	return s.mayUseIn(ctx, repo, v, p.Env)
}
