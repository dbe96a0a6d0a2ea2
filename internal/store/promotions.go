package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// pullOpen is the state of a pull request that has not ended.
const pullOpen = "open"

// Proposal is the wish to have an artifact in an (app, environment).
type Proposal struct {
	Repo               int64
	App, Env           string
	Artifact           int64
	Requester          Actor  // nobody when Tagboat proposes by itself
	Reason             string // for people
	Branch, BaseBranch string
	Delivery           int64
	Once               bool         // not if this artifact was ever promoted here: a person may have closed it
	Back               *NewRollback // nil: it leads forward

	// Replaced is the job that tells who asked for the promotion whose place this one
	// takes; nil tells nobody.
	Replaced func(older int64) river.JobArgs
}

// Proposed is what came of a proposal.
type Proposed struct {
	Promotion Promotion
	Fresh     bool       // false: this very wish is active already, or what is goes first
	Older     *Promotion // the promotion whose place it took
	Lifted    *Stop      // the hold that it ended: see Closing
}

// Propose makes a promotion the active one of its (app, environment). An older
// active promotion is superseded, and the new one takes over its pull request;
// one that is the same wish is left as it is. Conflict: the older one's pull
// request has ended, and what became of it has to be written down first. Where a
// person closed the last one, only another person's asking proposes anything. What
// leads back does not wait for that, and asks for nothing newer.
func (s *Store) Propose(ctx context.Context, in Proposal, wake func(promotion int64) river.JobArgs) (out Proposed, err error) {
	defer wrap(&err, "propose artifact %d for %s in %s", in.Artifact, in.App, in.Env)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		// Proposals are made one after the other, and not while a merge into the
		// environment is under way: it would be written down for the wrong artifact.
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: in.Repo, Env: in.Env}); err != nil {
			return err
		}
		hold, err := closedHold(ctx, q, in)
		if err != nil || hold != nil && in.Requester.ID == 0 && in.Back == nil {
			return err
		}
		if in.Once {
			had, err := q.HasPromotion(ctx, query.HasPromotionParams{RepoID: in.Repo, App: in.App, Env: in.Env, ArtifactID: in.Artifact})
			if err != nil || had {
				return err
			}
		}
		var same bool
		older, err := q.ActivePromotion(ctx, query.ActivePromotionParams{RepoID: in.Repo, App: in.App, Env: in.Env})
		if err == nil {
			if same, err = sameWish(ctx, q, older, in); err != nil {
				return err
			}
		}
		switch {
		case err == nil && same:
			out = Proposed{Promotion: older}
			return s.requested(ctx, tx, q, older, in, wake)
		case err == nil && older.PullNumber > 0 && older.PullState != pullOpen:
			return fault.Errorf(fault.Conflict, "pull request #%d of promotion %d is %s", older.PullNumber, older.ID, older.PullState)
		case err == nil && older.SetID != nil:
			if stays, err := staysTogether(older, in); stays {
				out = Proposed{Promotion: older}
				return err
			}
			if err := s.breakUp(ctx, tx, q, []Promotion{older}, in.App, in.Env, wake); err != nil {
				return err
			}
		case err == nil:
			if stays, err := yields(older, in); stays {
				out = Proposed{Promotion: older}
				return err
			}
			out.Older = &older
			if err := s.supersede(ctx, tx, q, older, in); err != nil {
				return err
			}
		case !errors.Is(err, pgx.ErrNoRows):
			return err
		}
		if out.Promotion, err = s.insertPromotion(ctx, q, in, out.Older); err != nil {
			return err
		}
		out.Fresh = true
		if hold != nil && in.Back == nil {
			out.Lifted = hold
			if err := s.askedAgain(ctx, q, *hold, out.Promotion, in); err != nil {
				return err
			}
		}
		return s.enqueue(ctx, tx, wake(out.Promotion.ID))
	})
	return out, err
}

func (s *Store) insertPromotion(ctx context.Context, q *query.Queries, in Proposal, older *Promotion) (Promotion, error) {
	if err := freeBranch(ctx, q, in.Repo, in.Branch); err != nil {
		return Promotion{}, err
	}
	kind := KindForward
	if in.Back != nil {
		kind = KindRollback
	}
	p, err := q.InsertPromotion(ctx, query.InsertPromotionParams{
		RepoID: in.Repo, App: in.App, Env: in.Env, ArtifactID: in.Artifact, Kind: kind,
		RequesterID: in.Requester.ID, Requester: in.Requester.Login, Reason: in.Reason,
		Branch: in.Branch, BaseBranch: in.BaseBranch, At: s.now(),
	})
	if err != nil {
		return p, err
	}
	if err := s.insertRollback(ctx, q, p, in.Back); err != nil {
		return p, err
	}
	inputs := map[string]any{"app": in.App, "env": in.Env, "artifact": in.Artifact, "reason": in.Reason}
	if in.Back != nil {
		inputs["takes back"] = in.Back
	}
	if older != nil {
		inputs["supersedes"] = older.ID
	}
	if err := s.audit(ctx, q, Entry{
		Actor: in.Requester, Action: ActionProposed, Promotion: p.ID, Delivery: in.Delivery, Inputs: inputs,
	}); err != nil {
		return p, err
	}
	if err := s.recordRequest(ctx, q, p.ID, in); err != nil {
		return p, err
	}
	if older == nil || older.PullNumber == 0 {
		return p, nil
	}
	if err := q.InheritQueued(ctx, query.InheritQueuedParams{PromotionID: p.ID, OlderID: older.ID}); err != nil {
		return p, err
	}
	return q.InheritPull(ctx, query.InheritPullParams{ID: p.ID, OlderID: older.ID})
}

// requested: somebody asks for what is on its way already. From now on their
// approval does not count either.
func (s *Store) requested(ctx context.Context, tx pgx.Tx, q *query.Queries, p Promotion, in Proposal, wake func(promotion int64) river.JobArgs) error {
	asked, err := q.Requesters(ctx, p.ID)
	if err != nil || in.Requester.ID == 0 || slices.Contains(asked, in.Requester.ID) {
		return err
	}
	if err := s.recordRequest(ctx, q, p.ID, in); err != nil {
		return err
	}
	if err := s.wake(ctx, tx, q, []Promotion{p}, wake); err != nil {
		return err
	}
	return s.audit(ctx, q, Entry{
		Actor: in.Requester, Action: ActionAskedAgain, Promotion: p.ID, Delivery: in.Delivery, SHA: p.SeenHeadSHA,
	})
}

func (s *Store) recordRequest(ctx context.Context, q *query.Queries, promotion int64, in Proposal) error {
	if in.Requester.ID == 0 {
		return nil
	}
	return q.InsertRequest(ctx, query.InsertRequestParams{
		PromotionID: promotion, ActorID: in.Requester.ID, Actor: in.Requester.Login, At: s.now(), DeliveryID: reference(in.Delivery),
	})
}

// Requesters are the numbers of everybody who asked for a promotion.
func (s *Store) Requesters(ctx context.Context, promotion int64) (_ []int64, err error) {
	defer wrap(&err, "read who asked for promotion %d", promotion)
	return s.query.Requesters(ctx, promotion)
}

// wake raises the want of promotions and enqueues the job that looks at each, and at
// those that act for them. All in one order, so that nobody waits in a circle.
func (s *Store) wake(ctx context.Context, tx pgx.Tx, q *query.Queries, promotions []Promotion, job func(promotion int64) river.JobArgs) error {
	if len(promotions) == 0 {
		return nil
	}
	var ids []int64
	for _, p := range promotions {
		ids = append(ids, p.ID)
	}
	leaders, err := q.Leaders(ctx, ids)
	if err != nil {
		return err
	}
	ids = append(ids, leaders...)
	slices.Sort(ids)
	for _, id := range slices.Compact(ids) {
		if err := q.RaiseWant(ctx, id); err != nil {
			return err
		}
		if err := s.enqueue(ctx, tx, job(id)); err != nil {
			return err
		}
	}
	return nil
}

// Wake has a promotion looked at again.
func (s *Store) Wake(ctx context.Context, id int64, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "wake promotion %d", id)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		return s.wake(ctx, tx, q, []Promotion{{ID: id}}, job)
	})
}

// SettlePromotion ends a look at a promotion that had seen want: the job is
// completed if nothing was wanted since, else again is true and the job has to
// go round once more. next is when to look without being asked; zero for never.
func SettlePromotion[T river.JobArgs](ctx context.Context, s *Store, id, want int64, next time.Time, job *river.Job[T]) (again bool, err error) {
	defer wrap(&err, "settle promotion %d", id)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		var at *time.Time
		if !next.IsZero() {
			at = &next
		}
		now, err := q.SettlePromotion(ctx, query.SettlePromotionParams{ID: id, Got: want, NextCheck: at, At: s.now()})
		if err != nil {
			return err
		}
		again = now != want
		return completeUnless(ctx, tx, again, job)
	})
	return again, err
}

// Promotion is one promotion.
func (s *Store) Promotion(ctx context.Context, id int64) (_ Promotion, err error) {
	defer wrap(&err, "read promotion %d", id)
	return s.query.Promotion(ctx, id)
}

// PromotionByPull is the newest promotion that a pull request carries; of a set, the one
// that acts for all.
func (s *Store) PromotionByPull(ctx context.Context, repo int64, number int) (_ Promotion, err error) {
	defer wrap(&err, "read the promotion of pull request #%d", number)
	return s.query.PromotionByPull(ctx, query.PromotionByPullParams{RepoID: repo, PullNumber: int32(number)})
}

// ActivePromotion is the promotion of an (app, environment) that waits to be
// merged; ErrNotFound if there is none.
func (s *Store) ActivePromotion(ctx context.Context, repo int64, app, env string) (_ Promotion, err error) {
	defer wrap(&err, "read the active promotion of %s in %s", app, env)
	return s.query.ActivePromotion(ctx, query.ActivePromotionParams{RepoID: repo, App: app, Env: env})
}

// LatestPromotion is the newest promotion of an (app, environment), whatever became
// of it; ErrNotFound if there never was one.
func (s *Store) LatestPromotion(ctx context.Context, repo int64, app, env string) (_ Promotion, err error) {
	defer wrap(&err, "read the latest promotion of %s in %s", app, env)
	return s.query.LatestPromotion(ctx, query.LatestPromotionParams{RepoID: repo, App: app, Env: env})
}

// ActivePromotions are all promotions that wait to be merged.
func (s *Store) ActivePromotions(ctx context.Context) (_ []Promotion, err error) {
	defer wrap(&err, "read active promotions")
	return s.query.ActivePromotions(ctx)
}

// DuePromotions are the active promotions whose next look is due, or that were
// woken without having been looked at since.
func (s *Store) DuePromotions(ctx context.Context) (_ []Promotion, err error) {
	defer wrap(&err, "read due promotions")
	now := s.now()
	return s.query.DuePromotions(ctx, &now)
}

// UnreportedPromotions are merged, but not known to run everywhere yet.
func (s *Store) UnreportedPromotions(ctx context.Context) (_ []Promotion, err error) {
	defer wrap(&err, "read unreported promotions")
	return s.query.UnreportedPromotions(ctx)
}

// LatestPromotions are the newest promotion of every (app, environment).
func (s *Store) LatestPromotions(ctx context.Context) (_ []Promotion, err error) {
	defer wrap(&err, "read latest promotions")
	return s.query.LatestPromotions(ctx)
}

// KnownHead reports whether a commit is one that we made.
func (s *Store) KnownHead(ctx context.Context, sha string) (_ bool, err error) {
	defer wrap(&err, "look up commit %s", sha)
	return s.query.KnownHead(ctx, sha)
}

// Overtaken reports whether a newer promotion of p's (app, environment) was
// merged.
func (s *Store) Overtaken(ctx context.Context, p Promotion) (_ bool, err error) {
	defer wrap(&err, "look for a newer promotion than %d", p.ID)
	return s.query.Overtaken(ctx, query.OvertakenParams{RepoID: p.RepoID, App: p.App, Env: p.Env, ID: p.ID})
}

// WakeRepo has every active promotion of an env repo looked at: its base moved.
func (s *Store) WakeRepo(ctx context.Context, repo int64, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "wake the promotions of env repo %d", repo)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error { return s.wakeRepo(ctx, tx, q, repo, job) })
}

func (s *Store) wakeRepo(ctx context.Context, tx pgx.Tx, q *query.Queries, repo int64, job func(promotion int64) river.JobArgs) error {
	promotions, err := q.ActivePromotionsOfRepo(ctx, repo)
	if err != nil {
		return err
	}
	return s.wake(ctx, tx, q, promotions, job)
}

// MoveBase keeps that an environment lives on another branch than an app's promotion
// there was made for, and has that looked at.
func (s *Store) MoveBase(ctx context.Context, repo int64, app, env, branch string, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "move the promotion of %s in %s to branch %s", app, env, branch)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		moved, err := q.MoveBase(ctx, query.MoveBaseParams{Branch: branch, At: s.now(), RepoID: repo, App: app, Env: env})
		if err != nil || moved == 0 {
			return err
		}
		return s.wakeRepo(ctx, tx, q, repo, job)
	})
}

// WasThere reports whether an (app, environment) had a version before, by digest
// or, where that is "", by tag.
func (s *Store) WasThere(ctx context.Context, repo int64, app, env, tag, digest string) (_ bool, err error) {
	defer wrap(&err, "look whether %s had %s in %s", app, tag, env)
	return s.query.WasThere(ctx, query.WasThereParams{RepoID: repo, App: app, Env: env, Tag: tag, Digest: digest})
}

// ImagesThere are the names of what an (app, environment) is known to have had. None
// means that WasThere knows of no version of it either.
func (s *Store) ImagesThere(ctx context.Context, repo int64, app, env string) (_ []string, err error) {
	defer wrap(&err, "look what %s had in %s", app, env)
	return s.query.ImagesThere(ctx, query.ImagesThereParams{RepoID: repo, App: app, Env: env})
}
