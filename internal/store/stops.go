package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Scope is what a stop keeps from changing. Without App it is all apps, without Env
// all environments, without Repo all env repos of the owner.
type Scope struct {
	Owner    string
	Repo     int64
	Env, App string
}

// NewStop is a hold or a freeze that a person asked for.
type NewStop struct {
	Scope
	Reason  string
	By      Actor
	URL     string     // of the comment
	Until   *time.Time // nil: until it is lifted
	Command int64      // that asked for it
}

// Stop keeps the scope from changing, in the place of an older stop of the same
// scope, and has the promotions that it concerns looked at. A merge into the
// environment that is under way ends first, so that none is begun after it. (A stop
// of every environment does not wait: the answer to it may cross a last merge.)
func (s *Store) Stop(ctx context.Context, n NewStop, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "stop %+v", n.Scope)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if n.Repo != 0 && n.Env != "" {
			if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: n.Repo, Env: n.Env}); err != nil {
				return err
			}
		}
		done, err := q.StoppedBy(ctx, query.StoppedByParams{
			Owner: n.Owner, RepoID: reference(n.Repo), Env: n.Env, App: n.App, Reason: n.Reason, CommandID: reference(n.Command),
		})
		if err != nil || done {
			return err
		}
		now := s.now()
		if err := q.ReplaceStop(ctx, n.replace(now, n.By.Login)); err != nil {
			return err
		}
		if _, err := q.InsertStop(ctx, query.InsertStopParams{
			Owner: n.Owner, RepoID: reference(n.Repo), Env: n.Env, App: n.App, Reason: n.Reason,
			ActorID: n.By.ID, Actor: n.By.Login, URL: n.URL, Since: now, Until: n.Until, CommandID: reference(n.Command),
		}); err != nil {
			return err
		}
		delivery, err := deliveryOf(ctx, q, n.Command)
		if err != nil {
			return err
		}
		return s.changedStop(ctx, tx, q, n.Scope, []Entry{{Actor: n.By, Action: ActionStopped, Delivery: delivery, Inputs: map[string]any{
			"scope": n.Scope, "reason": n.Reason, "until": n.Until, "comment": n.URL,
		}}}, job)
	})
}

// ErrNoStop says that there is no stop of exactly a scope.
var ErrNoStop = errors.New("nothing of this scope is stopped")

// Lift ends the stops of a scope, has the promotions that they concerned looked at, and
// enqueues what follows from it. What the same command lifted before is lifted: whoever
// stopped it again since is not overruled by a command that is worked on twice.
func (s *Store) Lift(ctx context.Context, scope Scope, by Actor, command int64, job func(promotion int64) river.JobArgs, more ...river.JobArgs) (lifted Stop, err error) {
	defer wrap(&err, "lift the stop of %+v", scope)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		before, err := q.LiftedBy(ctx, query.LiftedByParams{Owner: scope.Owner, RepoID: reference(scope.Repo), Env: scope.Env, App: scope.App, CommandID: reference(command)})
		if err != nil {
			return err
		}
		if len(before) > 0 {
			lifted = before[0]
			return nil
		}
		rows, err := q.LiftStop(ctx, scope.lift(s.now(), by.Login, command))
		if err != nil {
			return err
		}
		if len(rows) == 0 {
			return ErrNoStop
		}
		if err := s.enqueue(ctx, tx, more...); err != nil {
			return err
		}
		delivery, err := deliveryOf(ctx, q, command)
		if err != nil {
			return err
		}
		var entries []Entry
		for _, lifted = range rows {
			entries = append(entries, Entry{Actor: by, Action: ActionStopLifted, Delivery: delivery, Inputs: map[string]any{
				"scope": scope, "stop": lifted.ID, "stopped by": lifted.Actor, "reason": lifted.Reason,
			}})
		}
		return s.changedStop(ctx, tx, q, scope, entries, job)
	})
	return lifted, err
}

func (scope Scope) lift(at time.Time, by string, command int64) query.LiftStopParams {
	return query.LiftStopParams{At: &at, By: by, CommandID: reference(command), Owner: scope.Owner, RepoID: reference(scope.Repo), Env: scope.Env, App: scope.App}
}

func (scope Scope) replace(at time.Time, by string) query.ReplaceStopParams {
	return query.ReplaceStopParams{At: &at, By: by, Owner: scope.Owner, RepoID: reference(scope.Repo), Env: scope.Env, App: scope.App}
}

// deliveryOf is the delivery that told of a command, 0 where none did.
func deliveryOf(ctx context.Context, q *query.Queries, command int64) (int64, error) {
	if command == 0 {
		return 0, nil
	}
	c, err := q.Command(ctx, command)
	return dereference(c.DeliveryID), err
}

// changedStop writes a change down and wakes whom it concerns.
func (s *Store) changedStop(ctx context.Context, tx pgx.Tx, q *query.Queries, scope Scope, log []Entry, job func(promotion int64) river.JobArgs) error {
	var promotions []Promotion
	var err error
	if scope.Repo != 0 {
		promotions, err = q.ActivePromotionsOfRepo(ctx, scope.Repo)
	} else {
		promotions, err = q.ActivePromotionsOfOwner(ctx, scope.Owner)
	}
	if err != nil {
		return err
	}
	if err := s.wake(ctx, tx, q, promotions, job); err != nil {
		return err
	}
	for _, e := range log {
		if err := s.audit(ctx, q, e); err != nil {
			return err
		}
	}
	return nil
}

// Stops are all that keep one app of an environment from changing now, the widest
// first.
func (s *Store) Stops(ctx context.Context, scope Scope) (_ []Stop, err error) {
	defer wrap(&err, "read the stops of %s in %s", scope.App, scope.Env)
	now := s.now()
	return s.query.StopsOf(ctx, query.StopsOfParams{Owner: scope.Owner, RepoID: reference(scope.Repo), Env: scope.Env, App: scope.App, Now: &now})
}
