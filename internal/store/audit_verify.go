package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// Mark is a row of the audit log as somebody noted it: the log up to it has to be
// the same for ever.
type Mark struct {
	Row  int64
	Hash string
}

// String is how a mark is written down.
func (m Mark) String() string { return fmt.Sprintf("%d:%s", m.Row, m.Hash) }

// Proof is what walking along the audit log came to.
type Proof struct {
	Rows  int64  // that follow from one another, from the first one on
	Head  string // hash of the last of them
	Break *Break // what is wrong first; nil when nothing is
}

// Mark is the end of the log, to be noted outside of the database.
func (p Proof) Mark() Mark { return Mark{Row: p.Rows, Hash: p.Head} }

// Err is the error that a log that was changed is.
func (p Proof) Err() error {
	if p.Break == nil {
		return nil
	}
	return fault.Errorf(fault.Broken, "%s: %s. %s", p.Break.Where(), p.Break.Found, p.Break.Means)
}

// The ways in which a log can have been changed.
const (
	Edited      = "edited"      // a row is not what was written
	Removed     = "removed"     // rows are missing
	Reordered   = "reordered"   // a row stands where it was not written
	Rewritten   = "rewritten"   // rows were replaced, and their hashes calculated anew
	Uncontained = "uncontained" // something happened that the log does not know
)

// Break is the first thing that is wrong with the audit log.
type Break struct {
	Row   int64  `json:"row"` // 0: of no row in particular
	Kind  string `json:"kind"`
	Found string `json:"found"` // what is wrong
	Means string `json:"means"` // and what that means
}

// Where names the row.
func (b Break) Where() string {
	if b.Row == 0 {
		return "the audit log was changed"
	}
	return fmt.Sprintf("the audit log was changed at row %d", b.Row)
}

// VerifyAudit walks along the audit log, all at one moment, and finds the first
// row that was edited, removed or put elsewhere. That every row follows from the
// one before does not show what was cut off at the end, nor that somebody
// calculated all hashes anew; so the end is compared with the log's own account of
// it, with what other tables say has happened, and with marks that were noted
// before.
func (s *Store) VerifyAudit(ctx context.Context, marks ...Mark) (p Proof, err error) {
	defer wrap(&err, "verify the audit log")
	err = s.audited(ctx, func(q *query.Queries) error {
		p, err = verify(ctx, q, marks)
		return err
	})
	return p, err
}

// audited runs reads that see one moment of the log, however long they take.
func (s *Store) audited(ctx context.Context, f func(q *query.Queries) error) error {
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error { return f(s.query.WithTx(tx)) })
}

func verify(ctx context.Context, q *query.Queries, marks []Mark) (p Proof, err error) {
	noted := map[int64]string{}
	for _, m := range marks {
		noted[m.Row] = m.Hash
	}
	var last Audit
	for {
		page, err := q.AuditRows(ctx, query.AuditRowsParams{After: last.ID, Most: 1000})
		if err != nil {
			return p, err
		}
		for _, row := range page {
			p.Rows, p.Head = last.ID, last.Hash
			if p.Break = follows(last, row); p.Break != nil {
				return p, explainBreak(ctx, q, last, row, p.Break)
			}
			if p.Break = asNoted(row, noted); p.Break != nil {
				return p, nil
			}
			last = row
		}
		if len(page) == 0 {
			p.Rows, p.Head = last.ID, last.Hash
			p.Break, err = ends(ctx, q, last, marks)
			return p, err
		}
	}
}

// follows says how a row does not follow from the one before, as far as the two
// alone can tell; nil when it does.
func follows(last, row Audit) *Break {
	switch {
	case row.ID != last.ID+1:
		return removed(last.ID+1, row.ID-1, "The rows after it are what they were, but the log no longer says what happened in between.")
	case row.Hash != chain(row):
		b := &Break{
			Row: row.ID, Kind: Edited, Found: "it does not have the hash of what it says",
			Means: "Somebody has edited the row, or its hash, after it was written.",
		}
		row.PrevHash = last.Hash
		if row.Hash == chain(row) {
			b.Found = "it does not name the hash of the row before it, and did when it was written"
		}
		return b
	case row.PrevHash != last.Hash:
		return &Break{
			Row: row.ID, Kind: Rewritten, Found: fmt.Sprintf("it does not follow from row %d, though both have the hash of what they say", last.ID),
			Means: fmt.Sprintf("Somebody has replaced row %d or row %d, and calculated its hash anew.", last.ID, row.ID),
		}
	}
	return nil
}

func removed(first, last int64, means string) *Break {
	b := &Break{Row: first, Kind: Removed, Found: "it is missing", Means: means}
	if first != last {
		b.Found = fmt.Sprintf("rows %d to %d are missing", first, last)
	}
	return b
}

// widest is how far away the place of a row is looked for.
const widest = 1000

// explainBreak looks whether a row that does not have the hash of what it says was
// written under another number: then it was moved there.
func explainBreak(ctx context.Context, q *query.Queries, last, row Audit, b *Break) error {
	if b.Kind != Edited {
		return nil
	}
	place := writtenAs(row)
	if place == 0 {
		return nil
	}
	b.Kind, b.Found = Reordered, fmt.Sprintf("what stands there was written as row %d", place)
	b.Means = "Somebody has changed the order of the rows, or put one in between."
	_, err := q.AuditByHash(ctx, row.PrevHash)
	if errors.Is(err, pgx.ErrNoRows) && row.PrevHash != "" {
		b.Kind = Removed
		b.Means = fmt.Sprintf("Somebody has removed rows from row %d on, and closed the gap.", last.ID+1)
		return nil
	}
	return err
}

// writtenAs is the number under which a row has the hash of what it says; 0 when
// there is none near.
func writtenAs(row Audit) int64 {
	here := row.ID
	for away := int64(1); away <= widest; away++ {
		for _, place := range []int64{here + away, here - away} {
			if row.ID = place; row.Hash == chain(row) {
				return place
			}
		}
	}
	return 0
}

// asNoted compares a row with what somebody noted about it.
func asNoted(row Audit, noted map[int64]string) *Break {
	hash, is := noted[row.ID]
	if !is || hash == row.Hash {
		return nil
	}
	return &Break{
		Row: row.ID, Kind: Rewritten, Found: fmt.Sprintf("its hash is %s, and was %s when it was noted", row.Hash, hash),
		Means: "Somebody has changed this row or one before it, and calculated all hashes since anew.",
	}
}

// ends compares the end of the log with what else tells of it.
func ends(ctx context.Context, q *query.Queries, last Audit, marks []Mark) (*Break, error) {
	head, err := q.AuditHead(ctx)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	for _, m := range marks {
		head.ID = max(head.ID, m.Row)
	}
	const cut = "The log was cut off: the rows that are left are what they were, but there were more."
	switch {
	case head.ID > last.ID:
		return removed(last.ID+1, head.ID, cut), nil
	case head.ID < last.ID || head.Hash != last.Hash:
		return &Break{
			Row: last.ID, Kind: Rewritten, Found: "the log ends with another row than the last one that Tagboat has written",
			Means: "Somebody has added rows past Tagboat, or changed rows and calculated all hashes since anew.",
		}, nil
	}
	missing, err := q.Unaudited(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &Break{
		Kind: Uncontained, Found: fmt.Sprintf("it has no row for %s %d", missing.What, missing.ID),
		Means: "Somebody has rewritten the log without it, or added it to the database, or changed it there, past Tagboat.",
	}, nil
}
