package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// Announce writes down that an effect is about to be done. It answers false when
// it was announced before: the answer of that attempt was lost, and the caller
// has to look whether it was done.
func (s *Store) Announce(ctx context.Context, promotion int64, effect string) (fresh bool, err error) {
	defer wrap(&err, "announce %s", effect)
	rows, err := s.query.AnnounceIntent(ctx, query.AnnounceIntentParams{PromotionID: promotion, Effect: effect, At: s.now()})
	return rows > 0, err
}

// Commit is a commit that we made for a promotion.
type Commit struct {
	HeadSHA, BaseSHA, EditHash, Digest string
	OldTag, OldDigest, Diff            string
}

// KeepHead remembers a commit of ours before any branch points to it.
func (s *Store) KeepHead(ctx context.Context, promotion int64, c Commit) (err error) {
	defer wrap(&err, "keep commit %s of promotion %d", c.HeadSHA, promotion)
	return insertHead(ctx, s.query, promotion, c, s)
}

// HeadMade is when we made a commit for a promotion; zero for one that is another's.
func (s *Store) HeadMade(ctx context.Context, promotion int64, sha string) (_ time.Time, err error) {
	defer wrap(&err, "find commit %s of promotion %d", sha, promotion)
	head, err := s.query.Head(ctx, query.HeadParams{PromotionID: promotion, HeadSHA: sha})
	if errors.Is(err, pgx.ErrNoRows) {
		return time.Time{}, nil
	}
	return head.MadeAt, err
}

// HeadOf finds the newest commit that we made for a promotion and that makes the
// same edit as c. A Commit without HeadSHA means that there is none.
func (s *Store) HeadOf(ctx context.Context, promotion int64, c Commit) (_ Commit, err error) {
	defer wrap(&err, "find a commit of promotion %d", promotion)
	head, err := s.query.HeadOfEdit(ctx, query.HeadOfEditParams{PromotionID: promotion, EditHash: c.EditHash, Digest: c.Digest})
	if errors.Is(err, pgx.ErrNoRows) {
		return Commit{}, nil
	}
	c.HeadSHA, c.BaseSHA = head.HeadSHA, head.BaseSHA
	return c, err
}

func insertHead(ctx context.Context, q *query.Queries, promotion int64, c Commit, s *Store) error {
	return q.InsertHead(ctx, query.InsertHeadParams{
		HeadSHA: c.HeadSHA, PromotionID: promotion, BaseSHA: c.BaseSHA, EditHash: c.EditHash, Digest: c.Digest, MadeAt: s.now(),
	})
}

// Opened is a pull request of ours as GitHub answered it.
type Opened struct {
	Number         int
	URL            string
	Body, BodyHash string
}

// Carried is a promotion and the commit that makes its edit, which the others of its set
// share.
type Carried struct {
	Promotion Promotion
	Commit    Commit
}

// RecordOpened writes down that a promotion's pull request is open, which carries the
// others of its set, too.
func (s *Store) RecordOpened(ctx context.Context, p Promotion, c Commit, o Opened, others ...Carried) (err error) {
	defer wrap(&err, "record pull request #%d of promotion %d", o.Number, p.ID)
	return s.carried(ctx, append([]Carried{{p, c}}, others...), func(q *query.Queries, p Promotion, c Commit) (int64, Entry, error) {
		rows, err := q.SetOpened(ctx, query.SetOpenedParams{
			ID: p.ID, PullNumber: int32(o.Number), PullURL: o.URL, PullBody: o.Body, BodyHash: o.BodyHash,
			HeadSHA: c.HeadSHA, BaseSHA: c.BaseSHA, EditHash: c.EditHash, OldTag: c.OldTag, OldDigest: c.OldDigest, Diff: c.Diff, At: s.now(),
		})
		return rows, Entry{Action: ActionOpened, Promotion: p.ID, SHA: c.HeadSHA, Inputs: map[string]any{
			"pull": o.Number, "base": c.BaseSHA, "digest": c.Digest, "edit": c.EditHash,
		}}, err
	})
}

// RecordRegenerated writes down that the branch stands at a new commit of ours, which
// makes the edits of the others of its set, too.
func (s *Store) RecordRegenerated(ctx context.Context, p Promotion, c Commit, others ...Carried) (err error) {
	defer wrap(&err, "record commit %s of promotion %d", c.HeadSHA, p.ID)
	return s.carried(ctx, append([]Carried{{p, c}}, others...), func(q *query.Queries, p Promotion, c Commit) (int64, Entry, error) {
		rows, err := q.SetRegenerated(ctx, query.SetRegeneratedParams{
			ID: p.ID, HeadSHA: c.HeadSHA, BaseSHA: c.BaseSHA, EditHash: c.EditHash,
			OldTag: c.OldTag, OldDigest: c.OldDigest, Diff: c.Diff, At: s.now(),
		})
		return rows, Entry{Action: ActionRegenerated, Promotion: p.ID, SHA: c.HeadSHA, Inputs: map[string]any{
			"was": p.HeadSHA, "base": c.BaseSHA, "digest": c.Digest, "edit": c.EditHash,
		}}, err
	})
}

// carried changes every promotion that a commit is for, or none, and then appends what
// was done to the audit log.
func (s *Store) carried(ctx context.Context, all []Carried, set func(q *query.Queries, p Promotion, c Commit) (rows int64, e Entry, err error)) error {
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		var log []Entry
		for _, c := range all {
			rows, e, err := set(q, c.Promotion, c.Commit)
			if err := active(c.Promotion, rows, err); err != nil {
				return err
			}
			log = append(log, e)
		}
		return s.auditAll(ctx, q, log)
	})
}

func (s *Store) auditAll(ctx context.Context, q *query.Queries, log []Entry) error {
	for _, e := range log {
		if err := s.audit(ctx, q, e); err != nil {
			return err
		}
	}
	return nil
}

// active is the error for a change that found its promotion ended: a newer one
// took its place meanwhile.
func active(p Promotion, rows int64, err error) error {
	if err == nil && rows == 0 {
		err = fault.Errorf(fault.Conflict, "promotion %d is not active any more", p.ID)
	}
	return err
}

// effect writes down what was done for a promotion, and its row in the audit log,
// both or neither.
func (s *Store) effect(ctx context.Context, e Entry, record func(q *query.Queries) error) error {
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		if err := record(q); err != nil {
			return err
		}
		return s.audit(ctx, q, e)
	})
}

// RecordLabelled keeps that a promotion's pull request has its labels.
func (s *Store) RecordLabelled(ctx context.Context, promotion int64) (err error) {
	defer wrap(&err, "keep that promotion %d is labelled", promotion)
	return s.effect(ctx, Entry{Action: ActionLabelled, Promotion: promotion}, func(q *query.Queries) error {
		return q.SetLabelled(ctx, promotion)
	})
}

// SeenPull is a pull request as read from GitHub or told by it.
type SeenPull struct {
	State    string // open, closed, merged; "" where it does not tell
	Body     string
	HeadSHA  string
	MergeSHA string // only when merged
	Behind   bool
}

// SawPull keeps how GitHub sees a pull request.
func (s *Store) SawPull(ctx context.Context, promotion int64, p SeenPull) (err error) {
	defer wrap(&err, "keep the pull request of promotion %d", promotion)
	return s.query.SawPull(ctx, sawPull(promotion, p, s))
}

func sawPull(promotion int64, p SeenPull, s *Store) query.SawPullParams {
	return query.SawPullParams{
		ID: promotion, PullState: p.State, PullBody: p.Body, SeenHeadSHA: p.HeadSHA, MergeSHA: p.MergeSHA, Behind: p.Behind, At: s.now(),
	}
}

// SawPullAndWake keeps how GitHub sees a pull request, and has the promotion
// looked at.
func (s *Store) SawPullAndWake(ctx context.Context, promotion int64, p SeenPull, job river.JobArgs) (err error) {
	defer wrap(&err, "keep the pull request of promotion %d", promotion)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.SawPull(ctx, sawPull(promotion, p, s)); err != nil {
			return err
		}
		return s.wake(ctx, tx, q, []Promotion{{ID: promotion}}, func(int64) river.JobArgs { return job })
	})
}

// SawRegistry keeps what the registry last said about a promotion's tag.
func (s *Store) SawRegistry(ctx context.Context, promotion int64, digest, problem string) (err error) {
	defer wrap(&err, "keep the digest of promotion %d", promotion)
	now := s.now()
	return s.query.SetRegistry(ctx, query.SetRegistryParams{ID: promotion, Digest: digest, Error: problem, At: &now})
}

// RecordCheckRun keeps what our check run shows, with which annotations, and on which
// head.
func (s *Store) RecordCheckRun(ctx context.Context, promotion, checkRun int64, head, hash, annotations string) (err error) {
	defer wrap(&err, "keep check run %d", checkRun)
	e := Entry{Action: ActionCheck, Promotion: promotion, SHA: head, Inputs: map[string]any{"checkRun": checkRun, "shown": hash}}
	return s.effect(ctx, e, func(q *query.Queries) error {
		return q.SetCheckRun(ctx, query.SetCheckRunParams{ID: promotion, CheckRunID: checkRun, CheckSHA: head, CheckHash: hash, CheckAnnotations: annotations})
	})
}

// RecordBody keeps what the pull request's title and body show since they were
// rendered for p. When a person has edited them meanwhile, nothing is kept, and
// the next look shows them again.
func (s *Store) RecordBody(ctx context.Context, p Promotion, hash, body string) (err error) {
	defer wrap(&err, "keep the body of promotion %d", p.ID)
	e := Entry{Action: ActionBody, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"pull": p.PullNumber, "shown": hash}}
	return s.effect(ctx, e, func(q *query.Queries) error {
		return q.SetBody(ctx, query.SetBodyParams{ID: p.ID, BodyHash: hash, PullBody: body, BodyEdits: p.BodyEdits})
	})
}

// RecordClosed ends a promotion that will not be merged, with the others of its set, and
// says why. One that is not active any more stays as it is.
func (s *Store) RecordClosed(ctx context.Context, p Promotion, why string) (err error) {
	defer wrap(&err, "close promotion %d", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		_, err := s.closeTogether(ctx, q, p, why)
		return err
	})
}

// closeTogether ends a promotion with the others of its set, and answers which it ended.
func (s *Store) closeTogether(ctx context.Context, q *query.Queries, p Promotion, why string) (ended []Promotion, err error) {
	members, err := lockTogether(ctx, q, p.ID)
	if err != nil {
		return nil, err
	}
	var log []Entry
	for _, m := range members {
		rows, err := q.SetClosed(ctx, query.SetClosedParams{ID: m.ID, Message: why, At: s.now()})
		if err != nil {
			return nil, err
		}
		if rows > 0 {
			ended = append(ended, m)
			log = append(log, Entry{Action: ActionClosed, Promotion: m.ID, SHA: m.SeenHeadSHA, Inputs: map[string]string{"why": why}})
		}
	}
	return ended, s.auditAll(ctx, q, log)
}

// RecordMessage keeps why a promotion stands still, for the board.
func (s *Store) RecordMessage(ctx context.Context, promotion int64, message string) (err error) {
	defer wrap(&err, "keep the message of promotion %d", promotion)
	return s.query.SetMessage(ctx, query.SetMessageParams{ID: promotion, Message: message})
}

// RecordBranchDeleted keeps that a promotion is done with its branch: it was
// deleted, or the next promotion uses it.
func (s *Store) RecordBranchDeleted(ctx context.Context, p Promotion, deleted bool) (err error) {
	defer wrap(&err, "keep that the branch of promotion %d is gone", p.ID)
	if !deleted {
		return s.query.SetBranchDeleted(ctx, p.ID)
	}
	e := Entry{Action: ActionBranch, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]string{"branch": p.Branch}}
	return s.effect(ctx, e, func(q *query.Queries) error { return q.SetBranchDeleted(ctx, p.ID) })
}

// RecordComment keeps the one status comment of a promotion and what it shows; a
// comment below 1 stands for none.
func (s *Store) RecordComment(ctx context.Context, promotion, comment int64, hash string) (err error) {
	defer wrap(&err, "keep comment %d", comment)
	set := query.SetCommentParams{ID: promotion, CommentID: comment, CommentHash: hash}
	if comment < 1 {
		return s.query.SetComment(ctx, set)
	}
	e := Entry{Action: ActionComment, Promotion: promotion, Inputs: map[string]any{"comment": comment, "shown": hash}}
	return s.effect(ctx, e, func(q *query.Queries) error { return q.SetComment(ctx, set) })
}

// RecordDeployed writes down that every cluster was healthy with a promotion.
func (s *Store) RecordDeployed(ctx context.Context, p Promotion, digest string) (err error) {
	defer wrap(&err, "record that promotion %d is deployed", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		now := s.now()
		rows, err := q.SetDeployed(ctx, query.SetDeployedParams{ID: p.ID, At: &now})
		if err != nil || rows == 0 {
			return err
		}
		seen, err := insertEvidence(ctx, q, p, digest, p.MergeSHA, Observed{
			Gate: "deployed", Verdict: "pass", Reason: "Every cluster of " + p.Env + " is healthy with this digest.", Source: "cluster",
		}, now)
		if err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionDeployed, Promotion: p.ID, SHA: p.MergeSHA, Inputs: map[string]any{"digest": digest, "evidence": seen.Evidence}})
	})
}

// RecordOvertaken ends a merged promotion whose artifact gave way to a newer one
// before it ran everywhere.
func (s *Store) RecordOvertaken(ctx context.Context, p Promotion) (err error) {
	defer wrap(&err, "record that promotion %d was overtaken", p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		rows, err := q.SetOvertaken(ctx, query.SetOvertakenParams{
			ID: p.ID, Message: "Another version was merged before this one ran everywhere.", At: s.now(),
		})
		if err != nil || rows == 0 {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionOvertaken, Promotion: p.ID, SHA: p.MergeSHA})
	})
}

// Merging is a merge under way: the lock on (env repo, environment) is held.
type Merging struct {
	store *Store
	tx    pgx.Tx
	query *query.Queries
}

// Merge holds the lock on (env repo, environment) while f reads GitHub again,
// decides and merges. What f records is kept if f returns nil.
func (s *Store) Merge(ctx context.Context, repo int64, env string, f func(m Merging) error) (err error) {
	defer wrap(&err, "merge into %s", env)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := q.LockMerge(ctx, query.LockMergeParams{RepoID: repo, Env: env}); err != nil {
			return err
		}
		return f(Merging{store: s, tx: tx, query: q})
	})
}

// Evidence appends every gate's verdict as it was for the merge. Without gates it
// answers what was observed last for this digest and head.
func (m Merging) Evidence(ctx context.Context, p Promotion, digest, head string, gates []Observed) (judgements []Judged, err error) {
	if len(gates) == 0 {
		known, err := m.query.LatestEvidence(ctx, query.LatestEvidenceParams{PromotionID: p.ID, Digest: digest, HeadSHA: head})
		for _, e := range known {
			judgements = append(judgements, judged(e))
		}
		return judgements, err
	}
	for _, g := range gates {
		j, err := insertEvidence(ctx, m.query, p, digest, head, g, m.store.now())
		if err != nil {
			return nil, err
		}
		judgements = append(judgements, j)
	}
	return judgements, nil
}

// MergedOlder handles a pull request that was merged with the commit of an older
// promotion, before the commit of p, which had taken it over, reached it: the
// older one was merged, and p begins anew. It answers the one that was merged.
func (m Merging) MergedOlder(ctx context.Context, p Promotion, wake func(promotion int64) river.JobArgs) (merged Promotion, older bool, err error) {
	owner, err := m.query.OwnerOfHead(ctx, query.OwnerOfHeadParams{
		HeadSHA: p.SeenHeadSHA, RepoID: p.RepoID, PullNumber: p.PullNumber, ID: p.ID,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return p, false, nil
	}
	if err != nil {
		return p, false, err
	}
	if err := errors.Join(m.query.DetachPull(ctx, p.ID), m.query.ForgetQueued(ctx, p.ID)); err != nil {
		return p, false, err
	}
	if err := m.store.wake(ctx, m.tx, m.query, []Promotion{p}, wake); err != nil {
		return p, false, err
	}
	owner.SeenHeadSHA = p.SeenHeadSHA
	return owner, true, nil
}

// Merge is what is written down of the merge of one promotion.
type Merge struct {
	Promotion Promotion
	By        Actor
	Grounds   Grounds
}

// Merged writes down the merge of a promotion: see MergedTogether.
func (m Merging) Merged(ctx context.Context, p Promotion, by Actor, sha string, grounds Grounds, sync func(t Target) river.JobArgs) error {
	return m.MergedTogether(ctx, sha, []Merge{{p, by, grounds}}, sync)
}

// MergedTogether writes down what one commit merged, and raises the want of the
// environment's targets for these apps, whose sync jobs it enqueues.
func (m Merging) MergedTogether(ctx context.Context, sha string, merged []Merge, sync func(t Target) river.JobArgs) error {
	now := m.store.now()
	fresh := merged[:0:0]
	for _, one := range merged {
		rows, err := m.query.SetMerged(ctx, query.SetMergedParams{ID: one.Promotion.ID, MergeSHA: sha, At: &now})
		if err != nil {
			return err
		}
		if rows > 0 {
			fresh = append(fresh, one)
		}
	}
	for _, one := range fresh {
		if err := m.store.audit(ctx, m.query, Entry{Actor: one.By, Action: ActionMerged, Promotion: one.Promotion.ID, SHA: sha, Inputs: one.Grounds}); err != nil {
			return err
		}
		if err := m.store.tookBack(ctx, m.query, one.Promotion, sha); err != nil {
			return err
		}
	}
	var targets []Target
	for _, one := range fresh {
		of, err := m.query.LockTargetsOfPair(ctx, query.LockTargetsOfPairParams{RepoID: one.Promotion.RepoID, App: one.Promotion.App, Env: one.Promotion.Env})
		if err != nil {
			return err
		}
		targets = append(targets, of...)
	}
	return m.store.want(ctx, m.tx, m.query, targets, sync)
}
