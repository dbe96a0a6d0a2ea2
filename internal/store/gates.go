package store

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// SeeCheck keeps the newest result of a check, and wakes the open promotions
// whose head it is about.
func (s *Store) SeeCheck(ctx context.Context, c CheckResult, wake func(promotion int64) river.JobArgs) (woken int, err error) {
	defer wrap(&err, "keep check %s on %s", c.Name, c.HeadSHA)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.UpsertCheckResult(ctx, query.UpsertCheckResultParams(c)); err != nil {
			return err
		}
		promotions, err := q.PromotionsByHead(ctx, query.PromotionsByHeadParams{RepoID: c.RepoID, HeadSHA: c.HeadSHA})
		if err != nil {
			return err
		}
		woken = len(promotions)
		return s.wake(ctx, tx, q, promotions, wake)
	})
	return woken, err
}

// KeepChecks keeps results that were read from GitHub.
func (s *Store) KeepChecks(ctx context.Context, results []CheckResult) (err error) {
	defer wrap(&err, "keep %d checks", len(results))
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		for _, c := range results {
			if err := q.UpsertCheckResult(ctx, query.UpsertCheckResultParams(c)); err != nil {
				return err
			}
		}
		return nil
	})
}

// Checks are the newest results on a commit.
func (s *Store) Checks(ctx context.Context, repo int64, sha string) (_ []CheckResult, err error) {
	defer wrap(&err, "read checks on %s", sha)
	return s.query.CheckResults(ctx, query.CheckResultsParams{RepoID: repo, HeadSHA: sha})
}

// NewReview is a review as it was submitted.
type NewReview struct {
	ReviewID    int64
	Reviewer    Actor
	Bot         bool
	State       string
	HeadSHA     string // the head when it was submitted
	SubmittedAt time.Time
}

// RecordReview appends a review of a promotion's pull request, with the digest
// that the pull request carried, and wakes the promotion. It is one of each other
// promotion that the pull request carries, too, with that one's digest.
func (s *Store) RecordReview(ctx context.Context, promotion int64, r NewReview, delivery int64, wake func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "record review %d", r.ReviewID)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		members, err := lockTogether(ctx, q, promotion)
		if err != nil {
			return err
		}
		var woken []Promotion
		for _, p := range members {
			digest, err := digestSeen(ctx, q, p, r.HeadSHA)
			if err != nil {
				return err
			}
			fresh, err := s.insertReview(ctx, q, p.ID, r, digest, delivery)
			if err != nil {
				return err
			}
			if fresh {
				woken = append(woken, p)
			}
		}
		return s.wake(ctx, tx, q, woken, wake)
	})
}

// insertReview appends a review and its row in the audit log, if it is new.
func (s *Store) insertReview(ctx context.Context, q *query.Queries, promotion int64, r NewReview, digest string, delivery int64) (fresh bool, err error) {
	rows, err := q.InsertReview(ctx, query.InsertReviewParams{
		PromotionID: promotion, ReviewID: r.ReviewID, ReviewerID: r.Reviewer.ID, Reviewer: r.Reviewer.Login, Bot: r.Bot,
		State: r.State, HeadSHA: r.HeadSHA, Digest: digest, SubmittedAt: r.SubmittedAt, RecordedAt: s.now(), DeliveryID: reference(delivery),
	})
	if err != nil || rows == 0 {
		return false, err
	}
	return true, s.audit(ctx, q, Entry{
		Actor: r.Reviewer, Action: ActionReviewed, Promotion: promotion, Delivery: delivery, SHA: r.HeadSHA,
		Inputs: map[string]any{"review": r.ReviewID, "state": r.State, "digest": digest},
	})
}

// digestSeen is the digest that a head of ours carried for p; "" for a head that is
// not ours, so that a review of it can never count. Where p has taken the pull request
// over, it may be the head of another promotion.
func digestSeen(ctx context.Context, q *query.Queries, p Promotion, head string) (digest string, err error) {
	heads, err := q.Heads(ctx, query.HeadsParams{RepoID: p.RepoID, PullNumber: p.PullNumber})
	for _, h := range heads {
		if h.HeadSHA == head && (digest == "" || h.PromotionID == p.ID) {
			digest = h.Digest
		}
	}
	return digest, err
}

// Reviews are a promotion's reviews in the order of their arrival, each with the
// managed edit of the head that was reviewed.
func (s *Store) Reviews(ctx context.Context, promotion int64) (_ []Review, err error) {
	defer wrap(&err, "read reviews of promotion %d", promotion)
	return s.query.Reviews(ctx, promotion)
}

// EarlierReviews are the reviews of a promotion's pull request from before it took
// that over from another promotion.
func (s *Store) EarlierReviews(ctx context.Context, promotion int64) (reviews []Review, err error) {
	defer wrap(&err, "read earlier reviews of promotion %d", promotion)
	rows, err := s.query.EarlierReviews(ctx, promotion)
	for _, r := range rows {
		reviews = append(reviews, Review(r))
	}
	return reviews, err
}

// What became of a dismissal. Without an outcome it was announced, and its answer
// was lost.
const (
	DismissalDone    = "dismissed"
	DismissalRefused = "refused"
)

// AnnounceDismissal writes down that a review is about to be dismissed on GitHub.
func (s *Store) AnnounceDismissal(ctx context.Context, promotion, review int64) (err error) {
	defer wrap(&err, "announce that review %d is dismissed", review)
	_, err = s.query.AnnounceDismissal(ctx, query.AnnounceDismissalParams{PromotionID: promotion, ReviewID: review, At: s.now()})
	return err
}

// RecordDismissal writes down what became of an announced dismissal, and that the
// review is dismissed, if it is.
func (s *Store) RecordDismissal(ctx context.Context, p Promotion, announced int64, r Review, outcome, why string) (err error) {
	defer wrap(&err, "record that review %d was %s", r.ReviewID, outcome)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		now := s.now()
		rows, err := q.SetDismissal(ctx, query.SetDismissalParams{PromotionID: announced, ReviewID: r.ReviewID, Outcome: outcome, At: &now})
		if err != nil || rows == 0 {
			return err
		}
		e := Entry{Action: ActionUndismissed, Promotion: p.ID, SHA: r.HeadSHA, Inputs: map[string]any{
			"review": r.ReviewID, "reviewer": Actor{ID: r.ReviewerID, Login: r.Reviewer}, "why": why, "head": p.SeenHeadSHA,
		}}
		if outcome == DismissalDone {
			e.Action = ActionDismissed
			if err := s.dismissed(ctx, q, p, r); err != nil {
				return err
			}
		}
		return s.audit(ctx, q, e)
	})
}

// dismissed writes down that a review of p's pull request is dismissed: of the promotion
// that it was of, and of all of its set.
func (s *Store) dismissed(ctx context.Context, q *query.Queries, p Promotion, r Review) error {
	gone := NewReview{
		ReviewID: r.ReviewID, Reviewer: Actor{ID: r.ReviewerID, Login: r.Reviewer}, Bot: r.Bot,
		State: "DISMISSED", HeadSHA: r.HeadSHA, SubmittedAt: r.SubmittedAt,
	}
	if _, err := s.insertReview(ctx, q, r.PromotionID, gone, r.Digest, 0); err != nil || p.SetID == nil {
		return err
	}
	members, err := q.SetMembers(ctx, p.SetID)
	for _, m := range members {
		if m.ID == r.PromotionID {
			continue
		}
		digest, err := digestSeen(ctx, q, m, r.HeadSHA)
		if err != nil {
			return err
		}
		if _, err := s.insertReview(ctx, q, m.ID, gone, digest, 0); err != nil {
			return err
		}
	}
	return err
}

// Dismissals are the reviews of a promotion's pull request that Tagboat dismissed,
// or tried to.
func (s *Store) Dismissals(ctx context.Context, promotion int64) (_ []Dismissal, err error) {
	defer wrap(&err, "read the dismissals of promotion %d", promotion)
	return s.query.Dismissals(ctx, promotion)
}

// NewTick is a change of one checklist item.
type NewTick struct {
	Item    string
	Checked bool
	At      time.Time // when GitHub says it was changed; zero for now
}

// RecordTicks appends who changed which items, keeps the body as it now stands,
// and wakes the promotion, which will render the body anew. What is ticked on a pull
// request is ticked for all that it carries.
func (s *Store) RecordTicks(ctx context.Context, promotion int64, ticks []NewTick, by Actor, body string, delivery int64, wake func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "record ticks on promotion %d", promotion)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		members, err := lockTogether(ctx, q, promotion)
		if err != nil {
			return err
		}
		for _, p := range members {
			if err := s.insertTicks(ctx, q, p, ticks, by, delivery); err != nil {
				return err
			}
		}
		if err := q.ForgetBody(ctx, query.ForgetBodyParams{ID: promotion, PullBody: body}); err != nil {
			return err
		}
		return s.wake(ctx, tx, q, []Promotion{{ID: promotion}}, wake)
	})
}

func (s *Store) insertTicks(ctx context.Context, q *query.Queries, p Promotion, ticks []NewTick, by Actor, delivery int64) error {
	for _, t := range ticks {
		if t.At.IsZero() {
			t.At = s.now()
		}
		if err := q.InsertTick(ctx, query.InsertTickParams{
			PromotionID: p.ID, Item: t.Item, Checked: t.Checked, ActorID: by.ID, Actor: by.Login, At: t.At, DeliveryID: reference(delivery),
		}); err != nil {
			return err
		}
	}
	if len(ticks) == 0 {
		return nil
	}
	return s.audit(ctx, q, Entry{
		Actor: by, Action: ActionTicked, Promotion: p.ID, Delivery: delivery, SHA: p.SeenHeadSHA, Inputs: ticks,
	})
}

// Ticks are the newest state of each checklist item that anybody ever touched.
func (s *Store) Ticks(ctx context.Context, promotion int64) (_ []Tick, err error) {
	defer wrap(&err, "read ticks of promotion %d", promotion)
	return s.query.Ticks(ctx, promotion)
}

// Observed is one gate's verdict for one digest and head.
type Observed struct {
	Gate, Verdict, Reason, Source, URL string
	Detail                             string // JSON: what it was made from, where that is more than Reason tells
	Owner                              string // who can move it; "" when it passes
	Missing                            int    // of what the gate counts
	NextCheck                          time.Time
	At                                 time.Time // zero: now
	ExpiresAt                          time.Time // when it has to be observed anew, though nothing happened; zero: never
}

// NoLongerAsked is the reason of the evidence that lets a gate go which the
// environment has ceased to ask for.
const NoLongerAsked = "No longer asked for."

// Observe appends the verdicts that differ from what was last observed for this
// digest and head. When the gates are complete, one that kept the promotion
// waiting and is not among them any more is let go, so that it does not seem to
// wait for ever; when they are not, its last verdict stands.
func (s *Store) Observe(ctx context.Context, p Promotion, digest string, gates []Observed, complete bool) (err error) {
	defer wrap(&err, "record evidence of promotion %d", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		known, err := q.LatestEvidence(ctx, query.LatestEvidenceParams{PromotionID: p.ID, Digest: digest, HeadSHA: p.SeenHeadSHA})
		if err != nil {
			return err
		}
		last := map[string]Evidence{}
		for _, e := range known {
			last[e.Gate] = e
		}
		fresh := slices.DeleteFunc(slices.Clone(gates), func(g Observed) bool {
			e, ok := last[g.Gate]
			return ok && e.Verdict == g.Verdict && e.Reason == g.Reason && e.Owner == g.Owner && sameInstant(e.NextCheck, g.NextCheck) && sameInstant(e.ExpiresAt, g.ExpiresAt)
		})
		for gate, e := range last {
			asked := slices.ContainsFunc(gates, func(g Observed) bool { return g.Gate == gate })
			if !asked && complete && e.Verdict != "pass" {
				fresh = append(fresh, Observed{Gate: gate, Verdict: "pass", Reason: NoLongerAsked, Source: e.Source})
			}
		}
		return s.observe(ctx, q, p, digest, fresh)
	})
}

// observe appends verdicts, and one row to the audit log for all of them.
func (s *Store) observe(ctx context.Context, q *query.Queries, p Promotion, digest string, gates []Observed) error {
	var judgements []Judged
	for _, g := range gates {
		j, err := insertEvidence(ctx, q, p, digest, p.SeenHeadSHA, g, s.now())
		if err != nil {
			return err
		}
		judgements = append(judgements, j)
	}
	if len(judgements) == 0 {
		return nil
	}
	return s.audit(ctx, q, Entry{
		Action: ActionObserved, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"digest": digest, "gates": judgements},
	})
}

// sameInstant compares with what PostgreSQL has kept of a time.
func sameInstant(kept *time.Time, at time.Time) bool {
	if kept == nil || at.IsZero() {
		return kept == nil && at.IsZero()
	}
	return kept.Truncate(time.Microsecond).Equal(at.Truncate(time.Microsecond))
}

func insertEvidence(ctx context.Context, q *query.Queries, p Promotion, digest, head string, g Observed, now time.Time) (Judged, error) {
	if !g.At.IsZero() {
		now = g.At
	}
	id, err := q.InsertEvidence(ctx, query.InsertEvidenceParams{
		PromotionID: p.ID, App: p.App, Env: p.Env, Digest: digest, HeadSHA: head,
		Gate: g.Gate, Verdict: g.Verdict, Reason: g.Reason, Detail: g.Detail, Source: g.Source, URL: g.URL, ObservedAt: now, ExpiresAt: instant(g.ExpiresAt),
		Owner: g.Owner, Missing: int32(g.Missing), NextCheck: instant(g.NextCheck),
	})
	return judged(Evidence{ID: id, Gate: g.Gate, Verdict: g.Verdict, Reason: g.Reason, Detail: g.Detail, Source: g.Source, URL: g.URL, ObservedAt: now, ExpiresAt: instant(g.ExpiresAt)}), err
}

// Evidence is everything that was observed for a promotion, oldest first.
func (s *Store) Evidence(ctx context.Context, promotion int64) (_ []Evidence, err error) {
	defer wrap(&err, "read evidence of promotion %d", promotion)
	return s.query.Evidence(ctx, promotion)
}

// Standing is since when a gate says what it says.
type Standing struct {
	Verdict string
	Since   time.Time
}

// Standings are those of a promotion's gates, by name: each holds since the oldest
// evidence after which no other verdict came.
func (s *Store) Standings(ctx context.Context, promotion int64) (_ map[string]Standing, err error) {
	defer wrap(&err, "read since when the gates of promotion %d stand", promotion)
	rows, err := s.query.Standing(ctx, promotion)
	standings := map[string]Standing{}
	for _, r := range rows {
		standings[r.Gate] = Standing{r.Verdict, r.Since}
	}
	return standings, err
}

// LastEvidence is what was observed last of each gate for this digest and head.
func (s *Store) LastEvidence(ctx context.Context, promotion int64, digest, head string) (_ []Evidence, err error) {
	defer wrap(&err, "read the last evidence of promotion %d", promotion)
	return s.query.LatestEvidence(ctx, query.LatestEvidenceParams{PromotionID: promotion, Digest: digest, HeadSHA: head})
}
