package app

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// AuditFilter selects what an audit is about.
type AuditFilter = store.AuditFilter

// AuditMark is a row of the audit log as somebody noted it.
type AuditMark = store.Mark

// AuditAnswer is who changed what on which grounds, and whether the log that says
// so is whole.
type AuditAnswer struct {
	Changes []AuditChange `json:"changes"` // newest first
	Chain   AuditChain    `json:"chain"`
}

// AuditChain is what walking along the log came to.
type AuditChain struct {
	Holds bool         `json:"holds"`
	Rows  int64        `json:"rows"`            // that follow from one another
	Head  string       `json:"head"`            // hash of the last of them
	Break *store.Break `json:"break,omitempty"` // the first thing that is wrong
}

// Err is the error that a log that was changed is.
func (c AuditChain) Err() error {
	return store.Proof{Rows: c.Rows, Head: c.Head, Break: c.Break}.Err()
}

// Mark is the end of the log, to be noted outside of the database.
func (c AuditChain) Mark() AuditMark { return AuditMark{Row: c.Rows, Hash: c.Head} }

// AuditChange is one merged change of an (app, environment).
type AuditChange struct {
	Repo      string `json:"repo"`
	App       string `json:"app"`
	Env       string `json:"env"`
	Promotion int64  `json:"promotion"`
	Pull      int32  `json:"pull"`
	PullURL   string `json:"pullUrl"`

	Kind       string           `json:"kind"`                 // forward or rollback
	Reason     string           `json:"reason"`               // why it was proposed
	Back       *store.Back      `json:"back,omitempty"`       // what a rollback took back
	Set        *store.InSet     `json:"set,omitempty"`        // what it was merged with as one
	Asked      []AuditAsked     `json:"asked"`                // empty: Tagboat by itself
	Saw        AuditSaw         `json:"saw"`                  // what was before those who decided
	Approvals  []AuditApproval  `json:"approvals"`            // every review that decided something
	Gates      []store.Judged   `json:"gates"`                // as they were when it was merged
	Overridden []store.Override `json:"overridden,omitempty"` // gates that did not pass, and who answers for it
	Checklist  []AuditTick      `json:"checklist"`            // who ticked what, oldest first
	Merged     AuditMerged      `json:"merged"`
	Clusters   []AuditSync      `json:"clusters"` // the last sync of each
	Log        []AuditRecord    `json:"log"`      // every row about it, oldest first
}

// AuditAsked is somebody who asked for a change.
type AuditAsked struct {
	store.Actor
	At  time.Time `json:"at"`
	Row int64     `json:"row"` // of the audit log
}

// AuditSaw is what the pull request showed.
type AuditSaw struct {
	Image     string `json:"image"`
	Tag       string `json:"tag"`
	Digest    string `json:"digest"`
	OldTag    string `json:"oldTag"`
	OldDigest string `json:"oldDigest"`
	Head      string `json:"head"`
	Base      string `json:"base"`
	Edit      string `json:"edit"`  // hash of the managed edit
	Diff      string `json:"diff"`  // SHA-256 of the diff
	Body      string `json:"body"`  // hash of title and description
	Check     string `json:"check"` // hash of the check run
}

// AuditApproval is a review, and whether it counted when it was merged.
type AuditApproval struct {
	store.Actor
	State   string      `json:"state"`
	Review  int64       `json:"review"`
	At      time.Time   `json:"at"`
	Head    string      `json:"head"` // what the person saw
	Digest  string      `json:"digest"`
	Edit    string      `json:"edit"`
	Counted bool        `json:"counted"`
	For     []store.For `json:"for,omitempty"` // for which rules, and as a member of which teams, where that was written down
	Why     string      `json:"why,omitempty"` // not, where that was written down
}

// AuditTick is an item of the checklist that somebody ticked or unticked.
type AuditTick struct {
	store.Actor
	Item    string    `json:"item"`
	Checked bool      `json:"checked"`
	At      time.Time `json:"at"`
}

// AuditMerged is how a change came in.
type AuditMerged struct {
	SHA   string       `json:"sha"`
	At    time.Time    `json:"at"`
	By    *store.Actor `json:"by"`    // who merged on GitHub; null: Tagboat, every gate passing
	Cause *store.Actor `json:"cause"` // who caused it; null: Tagboat by itself
	Found bool         `json:"found"` // Tagboat did not merge it, but found it merged
	Row   int64        `json:"row"`
	Hash  string       `json:"hash"` // of that row
}

// AuditSync is where a change stands in a cluster.
type AuditSync struct {
	store.Synced
	Commit string    `json:"commit"`
	At     time.Time `json:"at"`
	Row    int64     `json:"row"`
}

// AuditRecord is a row of the audit log.
type AuditRecord struct {
	Row       int64           `json:"row"`
	At        time.Time       `json:"at"`
	ActorID   int64           `json:"actorId"` // 0: Tagboat by itself
	Actor     string          `json:"actor"`
	Action    string          `json:"action"`
	Promotion *int64          `json:"promotion"`
	Delivery  *int64          `json:"delivery"`
	SHA       string          `json:"sha"`
	Inputs    json.RawMessage `json:"inputs"`
	PrevHash  string          `json:"prevHash"`
	Hash      string          `json:"hash"`
}

// Auditor reads the audit log.
type Auditor struct{ store *store.Store }

// OpenAudit opens the database at url, and changes nothing there.
func OpenAudit(ctx context.Context, url string) (*Auditor, error) {
	if url == "" {
		return nil, fault.Errorf(fault.Invalid, "Which database? Give --database, or set %s or %s_FILE.", envDatabase, envDatabase)
	}
	s, err := store.Open(ctx, url, store.Options{MaxConns: 2, ReadOnly: true})
	if err != nil {
		return nil, noDatabase(err)
	}
	return &Auditor{store: s}, nil
}

// Close ends the connection.
func (a *Auditor) Close() { a.store.Close() }

// Changes answers what was merged, newest first.
func (a *Auditor) Changes(ctx context.Context, f AuditFilter) (AuditAnswer, error) {
	answer := AuditAnswer{Changes: []AuditChange{}}
	merges, proof, err := a.store.AuditedMerges(ctx, f)
	if err != nil {
		return answer, err
	}
	answer.Chain = chained(proof)
	for _, m := range merges {
		answer.Changes = append(answer.Changes, change(m))
	}
	return answer, nil
}

// Verify walks along the log.
func (a *Auditor) Verify(ctx context.Context, marks []AuditMark) (AuditChain, error) {
	proof, err := a.store.VerifyAudit(ctx, marks...)
	return chained(proof), err
}

func chained(p store.Proof) AuditChain {
	return AuditChain{Holds: p.Break == nil, Rows: p.Rows, Head: p.Head, Break: p.Break}
}

// Rows yields rows of the log, oldest first.
func (a *Auditor) Rows(ctx context.Context, f AuditFilter) iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		for row, err := range a.store.AuditRows(ctx, f) {
			if !yield(record(row), err) {
				return
			}
		}
	}
}

func record(r store.Audit) AuditRecord {
	inputs := json.RawMessage(r.Inputs)
	if !json.Valid(inputs) { // of a row that somebody has edited
		inputs, _ = json.Marshal(r.Inputs)
	}
	return AuditRecord{
		Row: r.ID, At: r.At.UTC(), ActorID: r.ActorID, Actor: r.Actor, Action: r.Action, Promotion: r.PromotionID, Delivery: r.DeliveryID,
		SHA: r.SHA, Inputs: inputs, PrevHash: r.PrevHash, Hash: r.Hash,
	}
}

// MigrateDatabase brings a database's schema up to date, and says what it has
// left.
func MigrateDatabase(ctx context.Context, url string) (string, error) {
	if url == "" {
		return "", fault.Errorf(fault.Invalid, "Which database? Give --database, or set %s or %s_FILE.", envDatabase, envDatabase)
	}
	schema, err := store.Migrate(ctx, url)
	if err != nil {
		return "", noDatabase(err)
	}
	text := fmt.Sprintf("The schema is version %d.", schema.Version)
	if !schema.Writer {
		return text + " There is no role " + store.WriterRole + ", and this database user may not make one: an administrator can, " +
			"with CREATE ROLE " + store.WriterRole + " NOLOGIN; then run this again.", nil
	}
	return text + " Members of the role " + store.WriterRole + " can do Tagboat's work, and cannot change the audit log.", nil
}
