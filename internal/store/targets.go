package store

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// The states of a target.
const (
	TargetUnknown     = "unknown"
	TargetApplying    = "applying"
	TargetWaiting     = "waiting"
	TargetHealthy     = "healthy"
	TargetFailed      = "failed"
	TargetUnreachable = "unreachable"
)

// NewTarget is an overlay and a cluster that tagboat.yaml brings together.
type NewTarget struct {
	App, Env, Cluster, Branch string
	Position                  int    // of the environment in tagboat.yaml
	Wave                      int    // of the cluster in the environment, from 1; 0 where it has none
	SameAs                    string // the commit at which it renders as it does now; "" when none is known
}

// KeepTargets makes the targets of an env repo those that its tagboat.yaml names
// at heads, a text that tells its branches' commits. Those that are not healthy
// are wanted looked at, and, when heads is not what was kept before, those that are
// not at a commit at which they render the same.
func (s *Store) KeepTargets(ctx context.Context, repo int64, heads string, named []NewTarget, sync func(t Target) river.JobArgs) (err error) {
	defer wrap(&err, "keep %d targets of env repo %d", len(named), repo)
	// Whoever changes several targets does so in one order, so that nobody waits in
	// a circle.
	named = slices.SortedFunc(slices.Values(named), func(a, b NewTarget) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Env, b.Env), cmp.Compare(a.Cluster, b.Cluster))
	})
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		known, err := q.Repo(ctx, repo)
		if err != nil {
			return err
		}
		keep := make([]int64, 0, len(named))
		targets := make([]Target, 0, len(named))
		for _, n := range named {
			t, err := q.UpsertTarget(ctx, query.UpsertTargetParams{
				RepoID: repo, App: n.App, Env: n.Env, Cluster: n.Cluster, Branch: n.Branch, Position: int32(n.Position), Wave: int32(n.Wave), At: s.now(),
			})
			if err != nil {
				return err
			}
			keep = append(keep, t.ID)
			same := heads == known.Surveyed || n.SameAs != "" && n.SameAs == t.CommitSHA
			if !same || t.State != TargetHealthy {
				targets = append(targets, t)
			}
		}
		gone, err := q.MarkTargetsGone(ctx, query.MarkTargetsGoneParams{RepoID: repo, Keep: keep, At: s.now()})
		if err != nil {
			return err
		}
		if gone > 0 {
			if err := q.ForgetMoved(ctx, keep); err != nil {
				return err
			}
		}
		if err := q.SetSurveyed(ctx, query.SetSurveyedParams{ID: repo, Surveyed: heads, SeenAt: s.now()}); err != nil {
			return err
		}
		return s.want(ctx, tx, q, targets, sync)
	})
}

// EndLeftDrifts ends what was seen of drift in the clusters of an env repo's targets that
// are gone: nobody looks there any more. tell has people told.
func (s *Store) EndLeftDrifts(ctx context.Context, repo int64, tell func(drift int64) river.JobArgs) (err error) {
	defer wrap(&err, "end the drift of targets that env repo %d has no more", repo)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		now := s.now()
		ended, err := q.EndLeftDrifts(ctx, query.EndLeftDriftsParams{RepoID: repo, At: &now})
		if err != nil {
			return err
		}
		for _, id := range ended {
			if err := s.enqueue(ctx, tx, tell(id)); err != nil {
				return err
			}
		}
		return nil
	})
}

// WantLeft has those targets looked at that are gone and have left something in a cluster,
// unless somebody has looked since: people may have removed it meanwhile.
func (s *Store) WantLeft(ctx context.Context, since time.Time, sync func(t Target) river.JobArgs) (err error) {
	defer wrap(&err, "want a look at what is left behind")
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		targets, err := q.LeftTargets(ctx, query.LeftTargetsParams{Since: since, Seconds: reachFor.Seconds()})
		if err != nil {
			return err
		}
		return s.want(ctx, tx, q, targets, sync)
	})
}

// WantStale wants every target looked at that nobody has looked at since: what
// was healthy may not be any more. So does one whose turn has come.
func (s *Store) WantStale(ctx context.Context, since time.Time, sync func(t Target) river.JobArgs) (err error) {
	defer wrap(&err, "want stale targets")
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		targets, err := q.StaleTargets(ctx, query.StaleTargetsParams{Since: since, At: s.now()})
		if err != nil {
			return err
		}
		return s.want(ctx, tx, q, targets, sync)
	})
}

// want raises the want of targets and enqueues their syncs.
func (s *Store) want(ctx context.Context, tx pgx.Tx, q *query.Queries, targets []Target, sync func(t Target) river.JobArgs) error {
	for _, t := range targets {
		if err := q.RaiseTarget(ctx, t.ID); err != nil {
			return err
		}
		if err := s.enqueue(ctx, tx, sync(t)); err != nil {
			return err
		}
	}
	return nil
}

// SettleTarget ends a sync of t, as SettlePromotion ends a look. When it is the
// last one wanted, the promotions that wait for it are looked at.
func SettleTarget[T river.JobArgs](ctx context.Context, s *Store, t Target, wake func(promotion int64) river.JobArgs, job *river.Job[T]) (again bool, err error) {
	defer wrap(&err, "settle target %d", t.ID)
	err = s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		now, err := q.SettleTarget(ctx, query.SettleTargetParams{ID: t.ID, Got: t.Want})
		if err != nil {
			return err
		}
		if again = now != t.Want; again {
			return nil
		}
		waiting, err := q.MergedPromotionsOfApp(ctx, query.MergedPromotionsOfAppParams{RepoID: t.RepoID, App: t.App})
		if err != nil {
			return err
		}
		if err := s.wake(ctx, tx, q, waiting, wake); err != nil {
			return err
		}
		return completeUnless(ctx, tx, false, job)
	})
	return again, err
}

// completeUnless completes a job in tx, unless it has to run again.
func completeUnless[T river.JobArgs](ctx context.Context, tx pgx.Tx, again bool, job *river.Job[T]) error {
	if again {
		return nil
	}
	_, err := river.JobCompleteTx[*riverpgxv5.Driver](ctx, tx, job)
	return err
}

// Target is one target.
func (s *Store) Target(ctx context.Context, id int64) (_ Target, err error) {
	defer wrap(&err, "read target %d", id)
	return s.query.Target(ctx, id)
}

// Targets are all targets.
func (s *Store) Targets(ctx context.Context) (_ []Target, err error) {
	defer wrap(&err, "read targets")
	return s.query.Targets(ctx)
}

// TargetsOfPair are the clusters of one (app, environment).
func (s *Store) TargetsOfPair(ctx context.Context, repo int64, app, env string) (_ []Target, err error) {
	defer wrap(&err, "read targets of %s in %s", app, env)
	return s.query.TargetsOfPair(ctx, query.TargetsOfPairParams{RepoID: repo, App: app, Env: env})
}

// StartTarget shows what a sync is doing now. What it brings is written down before
// any of it is: a sync that does not come to its end is gone on with, also when it
// would not be the target's turn any more.
func (s *Store) StartTarget(ctx context.Context, t Target, state, message, rendered string) (err error) {
	defer wrap(&err, "keep the state of target %d", t.ID)
	n, err := s.query.StartTarget(ctx, query.StartTargetParams{ID: t.ID, Fence: t.Fence, State: state, Message: said(message), RenderedHash: rendered, At: s.now()})
	return holding(n, err)
}

// AilTarget shows that what was healthy is not ready while it is looked at, and has
// whoever builds on its health look again.
func (s *Store) AilTarget(ctx context.Context, t Target, message string, after After) (err error) {
	defer wrap(&err, "keep that target %d is not ready", t.ID)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		if err := s.wakeApp(ctx, tx, q, t, after); err != nil {
			return err
		}
		return holding(q.AilTarget(ctx, query.AilTargetParams{ID: t.ID, Fence: t.Fence, State: TargetWaiting, Message: said(message), At: s.now()}))
	})
}

// wakeApp has the promotions of a target's app looked at. Before the target is changed: a
// merge, too, takes the promotion first.
func (s *Store) wakeApp(ctx context.Context, tx pgx.Tx, q *query.Queries, t Target, after After) error {
	promotions, err := q.PromotionsOfApp(ctx, query.PromotionsOfAppParams{RepoID: t.RepoID, App: t.App})
	if err != nil {
		return err
	}
	return s.wake(ctx, tx, q, promotions, after.Promotion)
}

// holding is ErrTakenOver where nothing was written, because another attempt has the
// target.
func holding(rows int64, err error) error {
	if err == nil && rows == 0 {
		return ErrTakenOver
	}
	return err
}

// StartSync begins an attempt; attempts that never ended are marked interrupted.
func (s *Store) StartSync(ctx context.Context, target int64, commit, tag, digest string) (id int64, err error) {
	defer wrap(&err, "start a sync of target %d", target)
	err = s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		now := s.now()
		if err := q.InterruptSyncs(ctx, query.InterruptSyncsParams{TargetID: target, At: &now}); err != nil {
			return err
		}
		id, err = q.InsertSync(ctx, query.InsertSyncParams{TargetID: target, CommitSHA: commit, Tag: tag, Digest: digest, StartedAt: now})
		return err
	})
	return id, err
}

// RefuseSync ends an attempt that was refused before it had written anything.
func (s *Store) RefuseSync(ctx context.Context, sync int64, message string) (err error) {
	defer wrap(&err, "refuse sync %d", sync)
	now := s.now()
	return s.query.FinishSync(ctx, query.FinishSyncParams{ID: sync, State: "failed", Message: message, FinishedAt: &now})
}

// InterruptSync ends an attempt that was left for another one.
func (s *Store) InterruptSync(ctx context.Context, sync int64, message string) (err error) {
	defer wrap(&err, "interrupt sync %d", sync)
	now := s.now()
	return s.query.InterruptSync(ctx, query.InterruptSyncParams{ID: sync, Message: message, At: &now})
}

// PrunedObject is what became of an object that is not in Git any more.
type PrunedObject struct {
	Object  string `json:"object"`
	Outcome string `json:"outcome"`
	Why     string `json:"why,omitempty"`
}

// What a note of a target begins with that is about objects which are not in Git any more
// and not deleted: because somebody keeps them, or they are another tool's, too; and because
// they belong to another target or installation.
const (
	KeptNote   = "kept, though not in Git any more: "
	PartedNote = "not in Git any more, and left to whom it belongs: "
)

// TellsOfKept reports whether a note is about objects that are kept. It asks for nothing:
// whoever keeps them has decided that.
func TellsOfKept(note string) bool {
	return strings.HasPrefix(note, KeptNote) || strings.HasPrefix(note, PartedNote)
}

// Reached is where a target stands after a sync.
type Reached struct {
	Commit, RenderedHash string
	Image, Tag, Digest   string
	State, Message       string
	Ill                  bool      // failed because a rollout ended ill
	Changed              int       // objects that were written
	Held                 string    // why it does not get the newest commit yet; "" where it does
	HeldUntil            time.Time // when its turn comes if nothing happens; zero: something has to
	Ailed                bool      // it was shown not to be ready for a part of this look
	Violations           Violations
	Surplus              []byte   // JSON: what waits for a yes before it is deleted; nil: nothing
	SurplusCode          string   // names exactly that; "" where nothing waits
	Adoption             []byte   // JSON: what waits for a yes before it is taken over; nil: nothing
	AdoptionCode         string   // names exactly these objects; "" where nothing waits
	Drift                []byte   // JSON: what differs from what was applied; nil: nothing
	DriftCode            string   // names exactly that; "" where nothing differs
	Heals                []byte   // JSON: what was taken back lately; nil: nothing
	Notes                []string // what people should know besides, in sentences
	Pruned               []PrunedObject
	Healed               []string // objects of which a change was taken back
	Taken                []byte   // JSON: what was, as Drift says it
	Unseen               bool     // nobody has looked: the time of the last look stays
	Vain                 bool     // no attempt is made, and none is wanted before something happens
	Remembers            bool     // nobody says that it is healthy now; since when it was stays
}

// object and list are what is kept of JSON that nobody has anything to say in.
func object(json []byte) []byte { return orElse(json, "{}") }
func list(json []byte) []byte   { return orElse(json, "[]") }

func orElse(json []byte, empty string) []byte {
	if len(json) == 0 {
		return []byte(empty)
	}
	return json
}

// Watched is how long ago a target may have been seen healthy for what it has been since
// to count: longer than a sync lasts, and than Tagboat needs to start again. Over a
// longer time nobody knows what it was.
const Watched = 20 * time.Minute

// moves reports whether whoever waits for a target has to look again.
func (r Reached) moves(t Target) bool {
	return r.Ailed || r.State != t.State || r.Digest != t.Digest || r.Message != t.Message || r.RenderedHash != t.RenderedHash || r.Held != t.Held || r.Ill != t.Ill || r.DriftCode != t.DriftCode || r.SurplusCode != t.SurplusCode || r.AdoptionCode != t.AdoptionCode || !slices.Equal(r.Notes, t.Notes)
}

// After are the jobs that look at what a sync has changed something for.
type After struct {
	Promotion func(promotion int64) river.JobArgs
	Target    func(t Target) river.JobArgs
	Drift     func(drift int64) river.JobArgs
}

// FinishSync writes down how an attempt ended (sync 0: nothing had to be done), unless
// another attempt has the target by now (ErrTakenOver), and where the target stands now.
// It has the app's promotions and the clusters of later waves looked at.
func (s *Store) FinishSync(ctx context.Context, t Target, sync int64, r Reached, after After) (err error) {
	defer wrap(&err, "finish a sync of target %d", t.ID)
	r = r.said()
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		now := s.now()
		if sync != 0 {
			state := "failed"
			if r.State == TargetHealthy || r.State == TargetWaiting { // for metrics: what was brought is there
				state = "healthy"
			}
			if err := q.FinishSync(ctx, query.FinishSyncParams{ID: sync, State: state, Message: r.Message, Changed: int32(r.Changed), FinishedAt: &now}); err != nil {
				return err
			}
		}
		// An attempt has shown meanwhile what it was doing, and whoever looked then waits to
		// hear how it ended, also where that is as before. And who waits for an attempt that
		// is not made has to hear that.
		if r.moves(t) || sync != 0 || r.Vain {
			if err := s.wakeApp(ctx, tx, q, t, after); err != nil {
				return err
			}
		}
		if err := s.auditSync(ctx, q, t, sync, r); err != nil {
			return err
		}
		if err := s.keepDrift(ctx, tx, q, t, r, after.Drift); err != nil {
			return err
		}
		if r.moves(t) {
			if err := s.wantLater(ctx, tx, q, t, after.Target); err != nil {
				return err
			}
		}
		if r.Vain {
			if _, err := q.SettleTarget(ctx, query.SettleTargetParams{ID: t.ID, Got: t.Want}); err != nil {
				return err
			}
		}
		if sync != 0 {
			if err := q.ForgetMoved(ctx, []int64{t.ID}); err != nil {
				return err
			}
		}
		if err := q.EndPruneYes(ctx, query.EndPruneYesParams{TargetID: t.ID, Code: r.SurplusCode}); err != nil {
			return err
		}
		if r.Violations == nil {
			r.Violations = Violations{}
		}
		return holding(q.SetTarget(ctx, query.SetTargetParams{
			ID: t.ID, Fence: t.Fence, Examined: t.Suspected, CommitSHA: r.Commit, RenderedHash: r.RenderedHash, Image: r.Image, Tag: r.Tag, Digest: r.Digest,
			State: r.State, Message: r.Message, Held: r.Held, HeldUntil: instant(r.HeldUntil), Ill: r.Ill, At: now,
			Surplus: object(r.Surplus), SurplusCode: r.SurplusCode, Drift: object(r.Drift), DriftCode: r.DriftCode, Heals: list(r.Heals), Notes: append([]string{}, r.Notes...),
			Adoption: object(r.Adoption), AdoptionCode: r.AdoptionCode,
			Unbroken: now.Add(-Watched), Unseen: r.Unseen, Remembers: r.Remembers, Violations: r.Violations,
		}))
	})
}

// auditSync appends what a sync came to: an attempt that ended otherwise than the
// last one did, or at another commit, and a look that mended something. One that
// finds everything as it was, or fails as it did before, adds nothing.
func (s *Store) auditSync(ctx context.Context, q *query.Queries, t Target, sync int64, r Reached) error {
	same := r.State == t.State && r.Message == t.Message && (sync == 0 || r.Commit == t.CommitSHA) && r.DriftCode == t.DriftCode && r.SurplusCode == t.SurplusCode &&
		r.AdoptionCode == t.AdoptionCode
	if same && r.Changed == 0 && len(r.Pruned) == 0 && len(r.Healed) == 0 {
		return nil
	}
	promotion, err := q.MergedWithDigest(ctx, query.MergedWithDigestParams{RepoID: t.RepoID, App: t.App, Env: t.Env, Digest: r.Digest})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	return s.audit(ctx, q, Entry{Action: ActionSynced, Promotion: promotion, SHA: r.Commit, Inputs: Synced{
		App: t.App, Env: t.Env, Cluster: t.Cluster, State: r.State, Message: r.Message, Tag: r.Tag, Digest: r.Digest,
		Rendered: r.RenderedHash, Changed: r.Changed, Sync: sync, Pruned: r.Pruned, Healed: r.Healed, Drift: told(r.DriftCode, r.Drift), Surplus: told(r.SurplusCode, r.Surplus),
		Adoption: told(r.AdoptionCode, r.Adoption),
	}})
}

// Synced is what a sync came to, as its row in the audit log keeps it.
type Synced struct {
	App      string `json:"app"`
	Env      string `json:"env"`
	Cluster  string `json:"cluster"`
	State    string `json:"state"`
	Message  string `json:"message,omitempty"`
	Tag      string `json:"tag,omitempty"`
	Digest   string `json:"digest,omitempty"`
	Rendered string `json:"rendered,omitempty"` // SHA-256 of the manifests
	Changed  int    `json:"changed"`            // objects that were written
	Sync     int64  `json:"sync,omitempty"`     // 0: a look at what was there

	Pruned  []PrunedObject  `json:"pruned,omitempty"`
	Healed  []string        `json:"healed,omitempty"`  // objects of which a change was taken back
	Drift   json.RawMessage `json:"drift,omitempty"`   // what differs from what was applied, and who has changed it
	Surplus json.RawMessage `json:"surplus,omitempty"` // what waits for a yes before it is deleted

	Adoption json.RawMessage `json:"adoption,omitempty"` // what waits for a yes before it is taken over
}

// told is JSON that has something to say.
func told(code string, text []byte) json.RawMessage {
	if code == "" {
		return nil
	}
	return text
}

// SyncedTo is the commit of the last sync of a target that succeeded, "" where none
// did, and whether a later one failed.
func (s *Store) SyncedTo(ctx context.Context, target int64) (commit string, failed bool, err error) {
	defer wrap(&err, "read the last good sync of target %d", target)
	row, err := s.query.SyncedTo(ctx, target)
	return row.CommitSHA, row.Ended == "failed", err
}

// BroughtWhole is the commit that a target was brought last, healthy; "" where there is
// none, and where a later attempt may have written something else. One that was refused
// before it wrote anything leaves what was.
func (s *Store) BroughtWhole(ctx context.Context, target int64) (commit string, err error) {
	defer wrap(&err, "read what target %d was brought whole", target)
	return s.query.BroughtWhole(ctx, target)
}

// RecentSyncs are the newest attempts on a target.
func (s *Store) RecentSyncs(ctx context.Context, target int64, most int32) (_ []Sync, err error) {
	defer wrap(&err, "read syncs of target %d", target)
	return s.query.RecentSyncs(ctx, query.RecentSyncsParams{TargetID: target, Most: most})
}

// Seen reports whether a target is healthy by a look that is recent enough to count now.
// So it is while no process serves its cluster, as far as it was healthy when one did.
func Seen(t Target, now time.Time) bool {
	healthy := t.State == TargetHealthy || Unserved(t) && t.HealthySince != nil
	return healthy && t.HealthySeen != nil && now.Sub(*t.HealthySeen) <= Watched
}

// HealthySince is when the last of an environment's clusters became healthy with
// a digest that they all run; ok is false while they do not, while one of them
// waits for another to get what is in Git, and while one was not looked at for long.
func HealthySince(targets []Target, now time.Time) (since time.Time, ok bool) {
	for _, t := range targets {
		if t.Held != "" || !Seen(t, now) || t.HealthySince == nil || t.Digest != targets[0].Digest {
			return time.Time{}, false
		}
		if t.HealthySince.After(since) {
			since = *t.HealthySince
		}
	}
	return since, len(targets) > 0
}
