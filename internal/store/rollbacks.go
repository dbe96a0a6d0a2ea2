package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store/query"
)

// Where a promotion leads.
const (
	KindForward  = "forward"
	KindRollback = "rollback"
)

// NewRollback is what a rollback takes back, and why.
type NewRollback struct {
	TakesBack         int64 // the promotion that brought it; 0 where nobody knows
	BadTag, BadDigest string
	Reason            string
	Automatic         bool
	Further           bool     // more than the one change that came last
	Reverts           []string // commits, the newest first
	Subject           string   // of the first of them
}

// insertRollback writes down what a rollback takes back, if p is one.
func (s *Store) insertRollback(ctx context.Context, q *query.Queries, p Promotion, back *NewRollback) error {
	if back == nil {
		return nil
	}
	if back.Reverts == nil {
		back.Reverts = []string{}
	}
	return q.InsertRollback(ctx, query.InsertRollbackParams{
		PromotionID: p.ID, TakesBack: reference(back.TakesBack), BadTag: back.BadTag, BadDigest: back.BadDigest, Reason: back.Reason,
		Automatic: back.Automatic, Further: back.Further, Reverts: back.Reverts, Subject: back.Subject, At: s.now(),
	})
}

// Rollback is what a promotion takes back; ErrNotFound for one that leads forward.
func (s *Store) Rollback(ctx context.Context, promotion int64) (_ Rollback, err error) {
	defer wrap(&err, "read what promotion %d takes back", promotion)
	return s.query.Rollback(ctx, promotion)
}

// sameWish reports whether a promotion that is active is what a proposal wishes for. An
// artifact alone does not say so: what leads back takes something back, which nothing that
// leads forward does, nor a rollback of something else; and what a person asks for may do
// more than what Tagboat proposed by itself.
func sameWish(ctx context.Context, q *query.Queries, active Promotion, in Proposal) (bool, error) {
	if active.ArtifactID != in.Artifact || (active.Kind == KindRollback) != (in.Back != nil) {
		return false, nil
	}
	if in.Back == nil {
		return true, nil
	}
	back, err := q.Rollback(ctx, active.ID)
	if err != nil {
		return false, err
	}
	return back.BadTag == in.Back.BadTag && back.BadDigest == in.Back.BadDigest && !(back.Automatic && in.Requester.ID != 0), nil
}

// yields decides about a proposal that finds another promotion active. Whoever goes
// back goes first: nothing that leads forward takes the place of a rollback, and what
// goes back by itself not of any other. A person who asks for it is told; what Tagboat
// proposes by itself is left.
func yields(active Promotion, in Proposal) (stays bool, err error) {
	if active.Kind != KindRollback || in.Back != nil && !in.Back.Automatic {
		return false, nil
	}
	if in.Requester.ID == 0 {
		return true, nil
	}
	return true, fault.Errorf(fault.Denied, "%s in %s is being rolled back%s, and a rollback goes first. Ask again when it is merged, or close it.",
		in.App, in.Env, inPull(active))
}

func inPull(p Promotion) string {
	if p.PullNumber == 0 {
		return ""
	}
	return fmt.Sprintf(" in #%d", p.PullNumber)
}

// staysEffect marks a promotion that is not taken back by Tagboat itself.
const staysEffect = "stays: no automatic rollback"

// TakenBack reports whether it was ever proposed to take back what a promotion
// brought, by anybody, or found that it cannot be.
func (s *Store) TakenBack(ctx context.Context, promotion int64) (_ bool, err error) {
	defer wrap(&err, "look whether promotion %d was taken back", promotion)
	taken, err := s.query.TakenBack(ctx, query.TakenBackParams{PromotionID: promotion, Stays: staysEffect})
	return taken != nil && *taken, err
}

// RecordStays writes down, once, why Tagboat does not take a promotion back by itself.
func (s *Store) RecordStays(ctx context.Context, p Promotion, why string) (err error) {
	defer wrap(&err, "record that promotion %d stays", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		fresh, err := q.AnnounceIntent(ctx, query.AnnounceIntentParams{PromotionID: p.ID, Effect: staysEffect, At: s.now()})
		if err != nil || fresh == 0 {
			return err
		}
		if err := q.SetMessage(ctx, query.SetMessageParams{ID: p.ID, Message: why}); err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionStays, Promotion: p.ID, SHA: p.MergeSHA, Inputs: map[string]string{"why": why}})
	})
}

// MergedChange is a promotion that was merged.
type MergedChange struct {
	Promotion Promotion
	Artifact  Artifact
}

// historyKept is how many merged changes of an (app, environment) are looked through.
const historyKept = 200

// MergedHistory is what was merged into an (app, environment), the newest first.
func (s *Store) MergedHistory(ctx context.Context, repo int64, app, env string) (past []MergedChange, err error) {
	defer wrap(&err, "read what was merged of %s into %s", app, env)
	rows, err := s.query.MergedHistory(ctx, query.MergedHistoryParams{RepoID: repo, App: app, Env: env, Most: historyKept})
	for _, r := range rows {
		past = append(past, MergedChange{Promotion: r.Promotion, Artifact: r.Artifact})
	}
	return past, err
}

// Denial is the row of the denylist that keeps a digest out of an (app, environment);
// denied is false where none does.
func (s *Store) Denial(ctx context.Context, repo int64, app, env, image, digest string) (d Denial, denied bool, err error) {
	defer wrap(&err, "look whether %s is denied in %s", digest, env)
	d, err = s.query.DenialOf(ctx, query.DenialOfParams{RepoID: repo, App: app, Env: env, Image: image, Digest: digest})
	if errors.Is(err, pgx.ErrNoRows) {
		return d, false, nil
	}
	return d, err == nil, err
}

// Denials are what an (app, environment) may not get, the newest first.
func (s *Store) Denials(ctx context.Context, repo int64, app, env string) (_ []Denial, err error) {
	defer wrap(&err, "read what is denied to %s in %s", app, env)
	return s.query.Denials(ctx, query.DenialsParams{RepoID: repo, App: app, Env: env})
}

// Taking is a commit that took something back.
type Taking = query.Taking

// Takings are the commits that took something back from an (app, environment), whatever
// became of what they denied: the newest first.
func (s *Store) Takings(ctx context.Context, repo int64, app, env string) (_ []Taking, err error) {
	defer wrap(&err, "read what was taken back from %s in %s", app, env)
	return s.query.Takings(ctx, query.TakingsParams{RepoID: repo, App: app, Env: env})
}

// Allow takes a version off the denylist of an (app, environment), by its tag or, where it
// has none, by the beginning of its digest, and has the promotions that wait there looked
// at. It answers what was denied; nothing where nothing was. What the same command allowed
// before is allowed: whoever has taken it back again since is not overruled by a command
// that is worked on twice.
func (s *Store) Allow(ctx context.Context, scope Scope, version string, by Actor, command int64, job func(promotion int64) river.JobArgs) (lifted []Denial, err error) {
	defer wrap(&err, "allow %s in %s", version, scope.Env)
	digest, _ := image.DigestPrefix(version)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		lifted, err = q.AllowedBy(ctx, query.AllowedByParams{RepoID: scope.Repo, App: scope.App, Env: scope.Env, Tag: version, Digest: digest, CommandID: reference(command)})
		if err != nil || len(lifted) > 0 {
			return err
		}
		now := s.now()
		lifted, err = q.LiftDenial(ctx, query.LiftDenialParams{At: &now, By: by.Login, CommandID: reference(command), RepoID: scope.Repo, App: scope.App, Env: scope.Env, Tag: version, Digest: digest})
		if err != nil || len(lifted) == 0 {
			return err
		}
		promotions, err := q.ActivePromotionsOfRepo(ctx, scope.Repo)
		if err != nil {
			return err
		}
		if err := s.wake(ctx, tx, q, promotions, job); err != nil {
			return err
		}
		delivery, err := deliveryOf(ctx, q, command)
		if err != nil {
			return err
		}
		for _, d := range lifted {
			if err := s.audit(ctx, q, Entry{Actor: by, Action: ActionAllowed, Delivery: delivery, SHA: d.Digest, Inputs: map[string]any{
				"app": d.App, "env": d.Env, "image": d.Image, "tag": d.Tag, "denied by": d.Actor, "reason": d.Reason,
			}}); err != nil {
				return err
			}
		}
		return nil
	})
	return lifted, err
}

// Taken is what was taken back from an (app, environment), by whom and why.
type Taken struct {
	Scope
	Image, Tag, Digest string // Digest "" where it is not known: then nothing is denied
	By                 Actor
	Reason             string
	Commit             string // that took it back
	URL                string // of where people talk about it
	Promotion          int64  // the rollback; 0 for one that people made without Tagboat
	Comment            int64  // in which they were told; 0 for none
}

// takeBack puts what was taken back on the denylist, and its (app, environment) on
// hold. A hold that is there stays: it says already why nothing moves. It answers
// false for a commit that was taken notice of before.
func (s *Store) takeBack(ctx context.Context, q *query.Queries, t Taken) (fresh bool, err error) {
	now := s.now()
	if !image.ValidDigest(t.Digest) { // an overlay may say anything
		t.Digest = ""
	}
	rows, err := q.InsertTaking(ctx, query.InsertTakingParams{RepoID: t.Repo, App: t.App, Env: t.Env, Image: t.Image, CommitSHA: t.Commit, At: now})
	if err != nil || rows == 0 {
		return false, err
	}
	inputs := map[string]any{"app": t.App, "env": t.Env, "image": t.Image, "tag": t.Tag, "reason": t.Reason}
	if t.Digest != "" {
		rows, err := q.InsertDenial(ctx, query.InsertDenialParams{
			RepoID: t.Repo, App: t.App, Env: t.Env, Image: t.Image, Tag: t.Tag, Digest: t.Digest, Reason: t.Reason,
			ActorID: t.By.ID, Actor: t.By.Login, CommitSHA: t.Commit, Since: now,
		})
		if err != nil {
			return false, err
		}
		if rows > 0 {
			if err := s.audit(ctx, q, Entry{Actor: t.By, Action: ActionDenied, Promotion: t.Promotion, SHA: t.Digest, Inputs: inputs}); err != nil {
				return false, err
			}
		}
	}
	held, err := q.HeldPair(ctx, query.HeldPairParams{RepoID: &t.Repo, Env: t.Env, App: t.App, Now: &now})
	if err != nil || held {
		return true, err
	}
	if err := q.ReplaceStop(ctx, t.replace(now, t.By.Login)); err != nil { // one whose time is over
		return false, err
	}
	if _, err := q.InsertStop(ctx, query.InsertStopParams{
		Owner: t.Owner, RepoID: &t.Repo, Env: t.Env, App: t.App, Reason: t.Reason, ActorID: t.By.ID, Actor: t.By.Login, URL: t.URL, Since: now,
	}); err != nil {
		return false, err
	}
	return true, s.audit(ctx, q, Entry{Actor: t.By, Action: ActionStopped, Promotion: t.Promotion, SHA: t.Commit, Inputs: map[string]any{
		"scope": t.Scope, "reason": t.Reason, "until": nil,
	}})
}

// tookBack does what the merge of a rollback means, or that its wish was found
// fulfilled: both are written down with it.
func (s *Store) tookBack(ctx context.Context, q *query.Queries, p Promotion, commit string) error {
	if p.Kind != KindRollback {
		return nil
	}
	back, err := q.Rollback(ctx, p.ID)
	if err != nil {
		return err
	}
	a, err := q.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return err
	}
	repo, err := q.Repo(ctx, p.RepoID)
	if err != nil {
		return err
	}
	_, err = s.takeBack(ctx, q, Taken{
		Scope: Scope{Owner: repo.Owner, Repo: p.RepoID, Env: p.Env, App: p.App},
		Image: a.Image, Tag: back.BadTag, Digest: back.BadDigest, Reason: back.Reason,
		By: Actor{ID: p.RequesterID, Login: p.Requester}, Commit: commit, URL: p.PullURL, Promotion: p.ID,
	})
	return err
}

// RecordFulfilled ends a rollback, with the others of its set, whose wish somebody else
// has fulfilled: the base has what they lead back to, at a commit of its own.
func (s *Store) RecordFulfilled(ctx context.Context, p Promotion, commit, why string) (err error) {
	defer wrap(&err, "record that rollback %d is fulfilled", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		ended, err := s.closeTogether(ctx, q, p, why)
		if err != nil {
			return err
		}
		for _, m := range ended {
			if err := s.tookBack(ctx, q, m, commit); err != nil {
				return err
			}
		}
		return nil
	})
}

// MergedAs reports whether a commit is the merge of a promotion.
func (s *Store) MergedAs(ctx context.Context, repo int64, commit string) (_ bool, err error) {
	defer wrap(&err, "look whether %s is a merge of ours", commit)
	return s.query.MergedBy(ctx, query.MergedByParams{RepoID: repo, CommitSHA: commit})
}

// RecordRevert writes down that people took something back without Tagboat, and has
// the promotions that wait there looked at. A merge into the environment that is under
// way ends first: the commit may be its own. It answers false for a commit of ours, or
// one that was taken notice of before.
func (s *Store) RecordRevert(ctx context.Context, t Taken, job func(promotion int64) river.JobArgs) (fresh bool, err error) {
	defer wrap(&err, "record that %s was taken back from %s in %s", t.Tag, t.App, t.Env)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: t.Repo, Env: t.Env}); err != nil {
			return err
		}
		ours, err := q.MergedBy(ctx, query.MergedByParams{RepoID: t.Repo, CommitSHA: t.Commit})
		if err != nil || ours {
			return err
		}
		promotions, err := q.ActivePromotionsOfRepo(ctx, t.Repo)
		if err != nil {
			return err
		}
		if err := s.wake(ctx, tx, q, promotions, job); err != nil {
			return err
		}
		fresh, err = s.takeBack(ctx, q, t)
		if err != nil || !fresh {
			return err
		}
		return s.audit(ctx, q, Entry{Actor: t.By, Action: ActionReverted, SHA: t.Commit, Inputs: map[string]any{
			"app": t.App, "env": t.Env, "image": t.Image, "tag": t.Tag, "digest": t.Digest, "reason": t.Reason, "comment": t.Comment,
		}})
	})
	return fresh && err == nil, err
}
