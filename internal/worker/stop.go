package worker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// hold carries out /hold. Where names were written, the answer says what was understood.
func (w *Worker) hold(ctx context.Context, r request, cmd command.Hold) (string, error) {
	scope := store.Scope{Owner: r.repo.Owner, Repo: r.repo.ID, Env: cmd.Env, App: cmd.App}
	if err := w.stop(ctx, r.command, scope, cmd.Reason, command.Until{}); err != nil || r.carries(cmd.Env, cmd.App) {
		return "", err // the reaction and the gate say it
	}
	text := fmt.Sprintf("%s in %s is on hold", checklist.Escape(cmd.App), checklist.Escape(cmd.Env))
	if cmd.Reason != "" {
		text += fmt.Sprintf(" (“%s”)", checklist.Escape(cmd.Reason))
	}
	return fmt.Sprintf("%s. %s lifts that.", text, checklist.Code("/unhold "+cmd.Env+" "+cmd.App)), nil
}

func (w *Worker) unhold(ctx context.Context, r request, cmd command.Unhold) (string, error) {
	scope := store.Scope{Owner: r.repo.Owner, Repo: r.repo.ID, Env: cmd.Env, App: cmd.App}
	// Where the hold kept Tagboat from proposing what the environment follows, it has
	// that to do now.
	follow := []river.JobArgs{job.CatchUp{Repo: scope.Repo, App: scope.App, Env: scope.Env}}
	text, err := w.lift(ctx, r.command, scope, follow, "%s in %s is not on hold.", scope.App, scope.Env)
	if err == nil && text == "" && !r.carries(cmd.Env, cmd.App) {
		text = fmt.Sprintf("%s in %s is not on hold any more.", checklist.Escape(cmd.App), checklist.Escape(cmd.Env))
	}
	return text, err
}

// carries reports whether the comment is on the pull request of an app in an environment.
func (r request) carries(env, app string) bool {
	return r.carried != nil && r.carried.Env == env && r.carried.App == app
}

// freeze carries out /freeze.
func (w *Worker) freeze(ctx context.Context, r request, s *speaker, cmd command.Freeze) (string, error) {
	scope, err := w.frozenBy(ctx, r, s, cmd.Env)
	if err != nil {
		return "", err
	}
	if until := cmd.Until.From(w.Now()); until != nil && !until.After(w.Now()) {
		return "", fault.Errorf(fault.Invalid, "%s is over already. Name a time to come, or none: then it lasts until /thaw %s.", until.UTC().Format("2006-01-02 15:04 MST"), cmd.Env)
	}
	return "", w.stop(ctx, r.command, scope, cmd.Reason, cmd.Until)
}

func (w *Worker) thaw(ctx context.Context, r request, s *speaker, cmd command.Thaw) (string, error) {
	scope, err := w.frozenBy(ctx, r, s, cmd.Env)
	if err != nil {
		return "", err
	}
	return w.lift(ctx, r.command, scope, nil, "%s is not frozen.", cmd.Env)
}

// frozenBy is what a freeze is about: an environment of the env repo, all of them,
// or those of every env repo of the organisation. An environment that has one of
// these names is meant before them.
func (w *Worker) frozenBy(ctx context.Context, r request, s *speaker, env string) (store.Scope, error) {
	repo := r.repo
	scope := store.Scope{Owner: repo.Owner, Repo: repo.ID, Env: env}
	// What cannot be read may still be stopped: then its environments are not known.
	if b, err := w.bases.recent(ctx, repo, ""); err == nil {
		if _, known := b.config.Environment(env); known {
			return scope, nil
		}
		var names []string
		for _, e := range b.config.Environments {
			names = append(names, e.Name)
		}
		names = append(names, command.All, command.Organisation)
		if !slices.Contains(names, env) {
			return scope, fault.Errorf(fault.NotFound, "There is no environment %s.%s There are: %s.", env, didYouMean(env, names), strings.Join(names, ", "))
		}
	} else if fault.KindOf(err).Retryable() {
		return scope, err
	}
	switch env {
	case command.All:
		scope.Env = ""
	case command.Organisation:
		scope.Repo, scope.Env = 0, ""
		if !w.named(repo) {
			return scope, fault.Errorf(fault.Denied, "All env repos of %s are stopped, and let go again, in one that whoever runs Tagboat has named, for itself or for a cluster; %s/%s was only found by its tagboat.yaml.", repo.Owner, repo.Owner, repo.Name)
		}
		role, err := s.roleOn(ctx, repo)
		if err == nil && role < command.Admin {
			err = fault.Errorf(fault.Denied, "Only administrators of %s/%s can stop all env repos of %s; %s has “%s”. Ask one of them.", repo.Owner, repo.Name, repo.Owner, r.command.Author, role)
		}
		return scope, err
	}
	return scope, nil
}

func (w *Worker) stop(ctx context.Context, c store.Command, scope store.Scope, reason string, until command.Until) error {
	return w.Store.Stop(ctx, store.NewStop{
		Scope: scope, Reason: reason, By: store.Actor{ID: c.AuthorID, Login: c.Author}, Until: until.From(w.Now()),
		URL: fmt.Sprintf("%s/%s#%d", c.Owner, c.Repo, c.Number), Command: c.ID,
	}, reconcileJob)
}

// lift takes a stop back; without one, the words say so. Where a wider one is still
// in force, the answer tells: nothing would move, and nobody would know why.
func (w *Worker) lift(ctx context.Context, c store.Command, scope store.Scope, more []river.JobArgs, none string, args ...any) (string, error) {
	_, err := w.Store.Lift(ctx, scope, store.Actor{ID: c.AuthorID, Login: c.Author}, c.ID, reconcileJob, more...)
	if errors.Is(err, store.ErrNoStop) {
		return "", fault.Errorf(fault.NotFound, none, args...)
	}
	if err != nil {
		return "", err
	}
	return w.stillStopped(ctx, scope)
}

// stillStopped says what is in force for a scope, and what lifts it; "" where nothing is.
func (w *Worker) stillStopped(ctx context.Context, scope store.Scope) (string, error) {
	left, err := w.Store.Stops(ctx, scope)
	if err != nil || len(left) == 0 {
		return "", err
	}
	facts := stopFacts(left[0])
	return fmt.Sprintf("%s is still stopped, by %s; %s lifts that.", checklist.Escape(facts.What), checklist.Escape(facts.By), checklist.Code(facts.Lift)), nil
}

// stops reads what keeps the promotion's app from changing. A hold that came of closing
// a pull request keeps Tagboat from proposing; what is proposed all the same leads back.
func (l *look) stops(ctx context.Context) error {
	rows, err := l.w.Store.Stops(ctx, store.Scope{Owner: l.repo.Owner, Repo: l.repo.ID, Env: l.row.Env, App: l.row.App})
	for _, s := range slices.DeleteFunc(rows, func(s store.Stop) bool { return s.ClosedPull > 0 }) {
		l.facts.Stops = append(l.facts.Stops, stopFacts(s))
	}
	return err
}

// stopFacts says a stop in words.
func stopFacts(s store.Stop) promotion.Stop {
	facts := promotion.Stop{By: cmp.Or(s.Actor, "Tagboat"), Pair: s.App != "", Reason: s.Reason, Since: s.Since, Until: moment(s.Until)}
	facts.What, facts.Lift = command.Stopped(s.Owner, s.Env, s.App, s.RepoID == nil)
	if s.ClosedPull > 0 {
		facts.Lift = fmt.Sprintf("/promote %s %s, or %s", s.Env, s.App, facts.Lift)
	}
	return facts
}

func deliveryOf(c store.Command) int64 {
	if c.DeliveryID == nil {
		return 0
	}
	return *c.DeliveryID
}
