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
	Action    string // "promotion proposed", "merged", ...
	Promotion int64  // 0: none
	Delivery  int64  // 0: none
	SHA       string // the commit or digest that the action is about
	Inputs    any    // what the decision was made from; marshalled to JSON
}

// Actor is who caused an effect: a GitHub account, or Tagboat by itself (zero).
type Actor struct {
	ID    int64
	Login string
}

// audit appends to the log, in q's transaction. Each row's hash covers the one
// before it, so rows are written one after the other.
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

// chain is the hash of everything in a row but the hash itself.
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

// VerifyAudit walks the audit log and reports the first row that was changed, or
// that misses its predecessor; rows is how many are sound.
func (s *Store) VerifyAudit(ctx context.Context) (rows int64, err error) {
	defer wrap(&err, "verify the audit log")
	var prev Audit
	for {
		page, err := s.query.AuditRows(ctx, query.AuditRowsParams{After: prev.ID, Most: 1000})
		if err != nil {
			return prev.ID, err
		}
		if len(page) == 0 {
			return prev.ID, nil
		}
		for _, row := range page {
			if row.ID != prev.ID+1 || row.PrevHash != prev.Hash || row.Hash != chain(row) {
				return prev.ID, fmt.Errorf("audit row %d does not follow from row %d: the log was changed", row.ID, prev.ID)
			}
			prev = row
		}
	}
}

// AuditLog is the audit log after row id after, oldest first.
func (s *Store) AuditLog(ctx context.Context, after int64, most int32) (_ []Audit, err error) {
	defer wrap(&err, "read the audit log")
	return s.query.AuditRows(ctx, query.AuditRowsParams{After: after, Most: most})
}

// reference is a nullable foreign key: 0 is none.
func reference(id int64) *int64 {
	if id == 0 {
		return nil
	}
	return &id
}
