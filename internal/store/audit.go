package store

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Entry is one line of the audit log: who caused what, on which grounds.
type Entry struct {
	Actor     Actor
	Action    string // one of those below
	Promotion int64  // 0: none
	Delivery  int64  // 0: none
	SHA       string // the commit or digest that the action is about
	Inputs    any    // what the decision was made from; marshalled to JSON
}

// The actions of the audit log: every decision, and everything that was done to
// GitHub or to a cluster.
const (
	ActionVerified      = "artifact verified"
	ActionBuilt         = "builder recorded"
	ActionRefused       = "artifact refused"
	ActionToldRefused   = "refusal posted"
	ActionAnswered      = "command answered"
	ActionReplied       = "reply posted"
	ActionProposed      = "promotion proposed"
	ActionAskedAgain    = "promotion asked for again"
	ActionToldReplace   = "replacement posted"
	ActionOpened        = "pull request opened"
	ActionLabelled      = "pull request labelled"
	ActionRegenerated   = "commit regenerated"
	ActionReviewed      = "review recorded"
	ActionDismissed     = "review dismissed"
	ActionUndismissed   = "dismissal refused"
	ActionTicked        = "checklist changed"
	ActionObserved      = "gates observed"
	ActionCheck         = "check published"
	ActionBody          = "description published"
	ActionMerged        = "merged"
	ActionQueued        = "entered the merge queue"
	ActionGroup         = "merge queue's group checked"
	ActionClosed        = "promotion closed"
	ActionBranch        = "branch deleted"
	ActionDeployment    = "deployment recorded"
	ActionCommitStatus  = "commit status set"
	ActionComment       = "status comment published"
	ActionSynced        = "cluster synced"
	ActionDeployed      = "deployed"
	ActionOvertaken     = "overtaken"
	ActionVoiced        = "override asked for"
	ActionFollowedUp    = "follow-up opened"
	ActionStranger      = "stranger's pull request checked"
	ActionRetried       = "asked to look again"
	ActionPruneApproved = "let be deleted"
	ActionAdoptApproved = "let be taken over"
	ActionDriftTold     = "drift told"
	ActionDryRun        = "cluster asked by dry run"
	ActionSignature     = "signature looked for"
	ActionRepo          = "env repo changed"
	ActionConfigTold    = "broken configuration told"
	ActionDenied        = "digest denied"
	ActionAllowed       = "digest allowed"
	ActionReverted      = "revert recognised"
	ActionStays         = "not taken back by itself"
	ActionLeftPull      = "pull request closed before"
	ActionPullClosed    = "pull request closed"
	ActionStopped       = "stopped"
	ActionStopLifted    = "stop lifted"
)

// Actor is who caused an effect: a GitHub account, or Tagboat by itself (zero).
type Actor struct {
	ID    int64  `json:"id"`
	Login string `json:"login"`
}

// audit appends to the log, in q's transaction. Each row's hash covers the one
// before it, so rows are written one after the other, and whoever has appended one
// keeps the others waiting until the end of its transaction. So that nobody waits
// in a circle, a transaction takes promotions before it appends, and targets
// after.
func (s *Store) audit(ctx context.Context, q *query.Queries, e Entry) error {
	inputs, err := json.Marshal(e.Inputs)
	if err != nil {
		return fmt.Errorf("audit %s: %w", e.Action, err)
	}
	if err := q.LockAudit(ctx); err != nil {
		return err
	}
	last, err := q.LastAudit(ctx)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	row := Audit{
		// PostgreSQL keeps microseconds; the hash has to be the same when read back.
		ID: last.ID + 1, At: s.now().UTC().Truncate(time.Microsecond),
		ActorID: e.Actor.ID, Actor: e.Actor.Login, Action: e.Action,
		PromotionID: reference(e.Promotion), DeliveryID: reference(e.Delivery),
		SHA: e.SHA, Inputs: string(inputs), PrevHash: last.Hash,
	}
	row.Hash = chain(row)
	return q.InsertAudit(ctx, query.InsertAuditParams(row))
}

// chain is the hash of everything in a row but the hash itself. Its text is
// documented (docs/audit.md), so that others can calculate it.
func chain(a Audit) string {
	a.Hash = ""
	a.At = a.At.UTC()
	line, err := json.Marshal(a)
	if err != nil {
		panic(err) // plain fields only
	}
	sum := sha256.Sum256(line)
	return hex.EncodeToString(sum[:])
}

// reference is a nullable foreign key: 0 is none.
func reference(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}

// dereference is the other way round.
func dereference(id *int64) int64 {
	if id == nil {
		return 0
	}
	return *id
}
