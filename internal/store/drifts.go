package store

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Drift is a change that somebody made past Git.
type Drift = query.Drift

// keepDrift notes what a look has come to: a change that is seen for the first time, or
// is another one now, or is over, with or without Tagboat. tell has people told.
func (s *Store) keepDrift(ctx context.Context, tx pgx.Tx, q *query.Queries, t Target, r Reached, tell func(drift int64) river.JobArgs) error {
	open, err := q.OpenDrift(ctx, t.ID)
	known := err == nil
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	now := s.now()
	switch healed := len(r.Healed) > 0; {
	case known && r.DriftCode == t.DriftCode && !healed:
		return nil
	case known && r.DriftCode == "":
		err = q.SetDrift(ctx, query.SetDriftParams{ID: open.ID, Found: open.Found, EndedAt: &now, Healed: healed})
	case known:
		err = q.SetDrift(ctx, query.SetDriftParams{ID: open.ID, Found: object(r.Drift)})
	case r.DriftCode != "":
		open, err = q.InsertDrift(ctx, query.InsertDriftParams{TargetID: t.ID, Found: object(r.Drift), SeenAt: now})
	case healed: // seen and taken back in one look
		open, err = q.InsertDrift(ctx, query.InsertDriftParams{TargetID: t.ID, Found: object(r.Taken), SeenAt: now, EndedAt: &now, Healed: true})
	default:
		return nil
	}
	if err != nil {
		return err
	}
	return s.enqueue(ctx, tx, tell(open.ID))
}

// NoteDrift writes down what somebody has changed past Git before a look comes to its end,
// which may take as long as pods need: people hear of it at once. The target that it gives
// knows of it, so that the end of the look does not tell it again.
func (s *Store) NoteDrift(ctx context.Context, t Target, r Reached, after After) (_ Target, err error) {
	defer wrap(&err, "note what has changed in target %d", t.ID)
	r = r.said()
	is := t
	is.Drift, is.DriftCode, is.Heals, is.Notes = object(r.Drift), r.DriftCode, list(r.Heals), append([]string{}, r.Notes...)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := s.wakeApp(ctx, tx, q, t, after); err != nil {
			return err
		}
		if err := s.auditSync(ctx, q, t, 0, r); err != nil {
			return err
		}
		if err := s.keepDrift(ctx, tx, q, t, r, after.Drift); err != nil {
			return err
		}
		now := s.now()
		return holding(q.SetTargetDrift(ctx, query.SetTargetDriftParams{
			ID: t.ID, Fence: t.Fence, Notes: is.Notes, Drift: is.Drift, DriftCode: is.DriftCode, Heals: is.Heals, At: &now,
		}))
	})
	return is, err
}

// TellDrift has nobody else tell of a change while f does, which gets it as it is now.
func (s *Store) TellDrift(ctx context.Context, id int64, f func(d Drift) error) (err error) {
	defer wrap(&err, "tell drift %d", id)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := q.LockDrift(ctx, id); err != nil {
			return err
		}
		d, err := s.Drift(ctx, id)
		if err != nil {
			return err
		}
		return f(d)
	})
}

// Drift is one change.
func (s *Store) Drift(ctx context.Context, id int64) (_ Drift, err error) {
	defer wrap(&err, "read drift %d", id)
	return s.query.Drift(ctx, id)
}

// AnnounceDrift writes down that a change is about to be told. It answers false when
// that was announced before: then somebody may have told it already.
func (s *Store) AnnounceDrift(ctx context.Context, id int64) (fresh bool, err error) {
	defer wrap(&err, "announce drift %d", id)
	now := s.now()
	n, err := s.query.AnnounceDrift(ctx, query.AnnounceDriftParams{ID: id, At: &now})
	return n == 1, err
}

// PlaceDrift writes down in which pull request or issue a change is told.
func (s *Store) PlaceDrift(ctx context.Context, id, number int64) (err error) {
	defer wrap(&err, "place drift %d", id)
	return s.query.SetDriftPlace(ctx, query.SetDriftPlaceParams{ID: id, Number: number})
}

// ToldDrift writes down the comment that tells of a change, and what it says.
func (s *Store) ToldDrift(ctx context.Context, d Drift, comment int64, hash string) (err error) {
	defer wrap(&err, "tell drift %d", d.ID)
	e := Entry{Action: ActionDriftTold, Inputs: map[string]any{"drift": d.ID, "target": d.TargetID, "number": d.Number, "comment": comment}}
	return s.effect(ctx, e, func(q *query.Queries) error {
		return q.SetDriftTold(ctx, query.SetDriftToldParams{ID: d.ID, CommentID: comment, Told: hash})
	})
}

// MergedLast is the pull request that brought what an app has in an environment; false
// where Tagboat has brought nothing yet.
func (s *Store) MergedLast(ctx context.Context, repo int64, app, env string) (p Promotion, found bool, err error) {
	defer wrap(&err, "read what was merged last for %s in %s", app, env)
	p, err = s.query.MergedLast(ctx, query.MergedLastParams{RepoID: repo, App: app, Env: env})
	if errors.Is(err, pgx.ErrNoRows) {
		return p, false, nil
	}
	return p, err == nil, err
}
