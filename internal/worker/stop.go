package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// hold carries out /hold: the app of the pull request, in its environment.
func (w *Worker) hold(ctx context.Context, c store.Command, cmd command.Hold) (string, error) {
	scope, err := w.heldBy(ctx, c)
	if err != nil {
		return "", err
	}
	return "", w.stop(ctx, c, scope, cmd.Reason, command.Until{}) // the reaction and the gate say it
}

func (w *Worker) unhold(ctx context.Context, c store.Command) (string, error) {
	scope, err := w.heldBy(ctx, c)
	if err != nil {
		return "", err
	}
	return w.lift(ctx, c, scope, "%s in %s is not on hold.", scope.App, scope.Env)
}

// heldBy is the app and environment of the pull request that a comment is on.
func (w *Worker) heldBy(ctx context.Context, c store.Command) (store.Scope, error) {
	p, err := w.promotionOf(ctx, placeOf(c), int(c.Number))
	if fault.Is(err, fault.NotFound) || errors.Is(err, errNotOurs) {
		return store.Scope{}, fault.Errorf(fault.Invalid, "A hold is for the app of a pull request of Tagboat's, and this is none. Comment there, or stop a whole environment with /freeze <env>.")
	}
	return store.Scope{Owner: c.Owner, Repo: p.RepoID, Env: p.Env, App: p.App}, err
}

// freeze carries out /freeze.
func (w *Worker) freeze(ctx context.Context, c store.Command, door *github.Repo, cmd command.Freeze) (string, error) {
	scope, err := w.frozenBy(ctx, c, door, cmd.Env)
	if err != nil {
		return "", err
	}
	if until := cmd.Until.From(w.Now()); until != nil && !until.After(w.Now()) {
		return "", fault.Errorf(fault.Invalid, "%s is over already. Name a time to come, or none: then it lasts until /thaw %s.", until.UTC().Format("2006-01-02 15:04 MST"), cmd.Env)
	}
	return "", w.stop(ctx, c, scope, cmd.Reason, cmd.Until)
}

func (w *Worker) thaw(ctx context.Context, c store.Command, door *github.Repo, cmd command.Thaw) (string, error) {
	scope, err := w.frozenBy(ctx, c, door, cmd.Env)
	if err != nil {
		return "", err
	}
	return w.lift(ctx, c, scope, "%s is not frozen.", cmd.Env)
}

// frozenBy is what a freeze is about: an environment of the env repo, all of them,
// or those of every env repo of the organisation. An environment that has one of
// these names is meant before them.
func (w *Worker) frozenBy(ctx context.Context, c store.Command, door *github.Repo, env string) (store.Scope, error) {
	repo, err := w.envRepo(ctx, placeOf(c))
	if errors.Is(err, errNotOurs) {
		return store.Scope{}, fault.Errorf(fault.Invalid, "Environments are stopped in the env repo, and this is none. Comment on an issue or pull request there.")
	}
	if err != nil {
		return store.Scope{}, err
	}
	scope := store.Scope{Owner: c.Owner, Repo: repo.ID, Env: env}
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
		role, err := door.Permission(ctx, c.Author)
		if err == nil && role != "admin" {
			err = fault.Errorf(fault.Denied, "Only administrators of %s/%s can stop all env repos of %s; %s has “%s”. Ask one of them.", c.Owner, c.Repo, c.Owner, c.Author, role)
		}
		return scope, err
	}
	return scope, nil
}

func (w *Worker) stop(ctx context.Context, c store.Command, scope store.Scope, reason string, until command.Until) error {
	return w.Store.Stop(ctx, store.NewStop{
		Scope: scope, Reason: reason, By: store.Actor{ID: c.AuthorID, Login: c.Author}, Until: until.From(w.Now()),
		URL: fmt.Sprintf("%s/%s#%d", c.Owner, c.Repo, c.Number), Delivery: deliveryOf(c),
	}, reconcileJob)
}

// lift takes a stop back; without one, the words say so. Where a wider one is still
// in force, the answer tells: nothing would move, and nobody would know why.
func (w *Worker) lift(ctx context.Context, c store.Command, scope store.Scope, none string, args ...any) (string, error) {
	_, err := w.Store.Lift(ctx, scope, store.Actor{ID: c.AuthorID, Login: c.Author}, deliveryOf(c), reconcileJob)
	if errors.Is(err, store.ErrNoStop) {
		return "", fault.Errorf(fault.NotFound, none, args...)
	}
	if err != nil {
		return "", err
	}
	left, err := w.Store.Stops(ctx, scope)
	if err != nil || len(left) == 0 {
		return "", err
	}
	facts := stopFacts(left[0])
	return fmt.Sprintf("%s is still stopped, by %s; %s lifts that.", checklist.Escape(facts.What), checklist.Escape(facts.By), checklist.Code(facts.Lift)), nil
}

// stops reads what keeps the promotion's app from changing.
func (l *look) stops(ctx context.Context) error {
	rows, err := l.w.Store.Stops(ctx, store.Scope{Owner: l.repo.Owner, Repo: l.repo.ID, Env: l.row.Env, App: l.row.App})
	for _, s := range rows {
		l.facts.Stops = append(l.facts.Stops, stopFacts(s))
	}
	return err
}

// stopFacts says a stop in words.
func stopFacts(s store.Stop) promotion.Stop {
	facts := promotion.Stop{By: s.Actor, Reason: s.Reason, Since: s.Since, Until: moment(s.Until)}
	facts.What, facts.Lift = command.Stopped(s.Owner, s.Env, s.App, s.RepoID == nil)
	return facts
}

func deliveryOf(c store.Command) int64 {
	if c.DeliveryID == nil {
		return 0
	}
	return *c.DeliveryID
}
