package store

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// AuditFilter selects rows of the audit log; what is zero selects all.
type AuditFilter struct {
	Repo, App, Env string // of the promotion that a row is about; Repo is "owner/name"
	Promotion      int64
	Action, Actor  string
	Since, Until   time.Time
	Newest         int32 // so many, the newest
}

// AuditLog is the audit log after row id after, oldest first.
func (s *Store) AuditLog(ctx context.Context, after int64, most int32) (_ []Audit, err error) {
	defer wrap(&err, "read the audit log")
	return s.query.AuditRows(ctx, query.AuditRowsParams{After: after, Most: most})
}

// AuditRows yields a selection of the audit log, oldest first. It ends with the
// first error.
func (s *Store) AuditRows(ctx context.Context, f AuditFilter) iter.Seq2[Audit, error] {
	return func(yield func(Audit, error) bool) {
		err := s.audited(ctx, func(q *query.Queries) error { return f.rows(ctx, q, yield) })
		if wrap(&err, "read the audit log"); err != nil && !errors.Is(err, errEnough) {
			yield(Audit{}, err)
		}
	}
}

// errEnough: who reads the rows wants no more.
var errEnough = errors.New("enough")

func (f AuditFilter) rows(ctx context.Context, q *query.Queries, yield func(Audit, error) bool) error {
	params := query.SelectAuditParams{
		Promotion: f.Promotion, App: f.App, Env: f.Env, Repo: f.Repo, Action: f.Action, Actor: f.Actor,
		Since: instant(f.Since), Until: instant(f.Until), Most: 1000,
	}
	if f.Newest > 0 {
		first, err := q.NewestAudit(ctx, query.NewestAuditParams{
			Promotion: f.Promotion, App: f.App, Env: f.Env, Repo: f.Repo, Action: f.Action, Actor: f.Actor,
			Since: params.Since, Until: params.Until, Most: f.Newest,
		})
		if err != nil {
			return err
		}
		params.After = first - 1
	}
	for {
		page, err := q.SelectAudit(ctx, params)
		if err != nil || len(page) == 0 {
			return err
		}
		for _, row := range page {
			if !yield(row, nil) {
				return errEnough
			}
			params.After = row.ID
		}
	}
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// AuditMark is the end of the audit log now.
func (s *Store) AuditMark(ctx context.Context) (_ Mark, err error) {
	defer wrap(&err, "read the end of the audit log")
	head, err := s.query.LastAudit(ctx)
	if errors.Is(err, pgx.ErrNoRows) {
		err = nil
	}
	return Mark{Row: head.ID, Hash: head.Hash}, err
}

// AuditedMerge is a merge with everything that was written down about it.
type AuditedMerge struct {
	Repo      Repo
	Promotion Promotion
	Artifact  Artifact
	Row       Audit   // of the merge
	Grounds   Grounds // what Row says
	Log       []Audit // of the promotion, oldest first
	Reviews   []Review
}

// AuditedMerges are the merges that f selects, newest first, and the proof of the
// log at the same moment. Action and Actor select nothing here.
func (s *Store) AuditedMerges(ctx context.Context, f AuditFilter) (merges []AuditedMerge, p Proof, err error) {
	defer wrap(&err, "read the audited merges")
	err = s.audited(ctx, func(q *query.Queries) error {
		if p, err = verify(ctx, q, nil); err != nil {
			return err
		}
		rows, err := q.AuditedMerges(ctx, query.AuditedMergesParams{
			Promotion: f.Promotion, App: f.App, Env: f.Env, Repo: f.Repo, Since: instant(f.Since), Until: instant(f.Until), Most: f.Newest,
		})
		if err != nil {
			return err
		}
		for _, row := range rows {
			m := AuditedMerge{Repo: row.EnvRepo, Promotion: row.Promotion, Artifact: row.Artifact, Row: row.Audit}
			// Rows of earlier versions say less; what they do say is under the same names.
			_ = json.Unmarshal([]byte(row.Audit.Inputs), &m.Grounds)
			if m.Log, err = q.AuditOfPromotion(ctx, row.Promotion.ID); err != nil {
				return err
			}
			if m.Reviews, err = q.Reviews(ctx, row.Promotion.ID); err != nil {
				return err
			}
			merges = append(merges, m)
		}
		return nil
	})
	return merges, p, err
}

// Grounds is what a merge was made on, as its row in the audit log keeps it.
type Grounds struct {
	Pull      int32  `json:"pull"`
	Image     string `json:"image,omitempty"`
	Tag       string `json:"tag,omitempty"`
	Digest    string `json:"digest,omitempty"`
	OldTag    string `json:"oldTag,omitempty"`
	OldDigest string `json:"oldDigest,omitempty"`
	Head      string `json:"head"`
	Base      string `json:"base,omitempty"`
	Edit      string `json:"edit,omitempty"`  // hash of the managed edit in Head
	Diff      string `json:"diff,omitempty"`  // SHA-256 of the diff that the pull request showed
	Body      string `json:"body,omitempty"`  // hash of the title and body that it showed
	Check     string `json:"check,omitempty"` // hash of what the check run showed

	Requesters []int64    `json:"requesters,omitempty"`
	ApprovedBy []Approved `json:"approvedBy,omitempty"`
	Excluded   []Excluded `json:"excluded,omitempty"`
	Gates      []Judged   `json:"gates,omitempty"`
	Overridden []Override `json:"overridden,omitempty"`
	Back       *Back      `json:"back,omitempty"` // of a rollback
	Set        *InSet     `json:"set,omitempty"`  // of one that was merged together with others

	// Merger is who merged on GitHub; nobody where Tagboat did, every gate passing.
	Merger *Actor `json:"merger,omitempty"`
	// Found: Tagboat did not merge, but found that it was merged. Gates are as they
	// were last observed.
	Found       bool  `json:"found,omitempty"`
	TakenOverBy int64 `json:"takenOverBy,omitempty"` // the promotion that had taken over the pull request
}

// InSet is the set that was merged as one.
type InSet struct {
	ID     int64    `json:"id"`
	Origin string   `json:"origin"` // where it was proven, or what it was built from
	Apps   []string `json:"apps"`   // all of them
}

// Back is what a rollback took back, and why.
type Back struct {
	Tag       string   `json:"tag"`
	Digest    string   `json:"digest,omitempty"`
	Reason    string   `json:"reason"`
	Automatic bool     `json:"automatic,omitempty"` // Tagboat proposed it by itself
	Reverts   []string `json:"reverts"`             // commits, the newest first
}

// Approved is an approval that counted when it was merged.
type Approved struct {
	Actor
	Review int64     `json:"review"`
	Head   string    `json:"head"` // what the person saw
	Edit   string    `json:"edit"`
	Digest string    `json:"digest"`
	At     time.Time `json:"at"`
	For    []For     `json:"for,omitempty"`
}

// For is a rule that an approval counted for.
type For struct {
	Rule  string    `json:"rule"`
	Team  string    `json:"team,omitempty"` // as a member of which team; "" where the person is named, or may write
	Asked time.Time `json:"asked,omitzero"` // when GitHub said so
}

// Excluded is a review that did not count, and why.
type Excluded struct {
	Login string `json:"login"`
	State string `json:"state"`
	Why   string `json:"why"`
	Rule  string `json:"rule,omitempty"` // for which rule; "" is for none
}

// Override is a gate that did not pass, and that people had overridden.
type Override struct {
	Gate     string       `json:"gate"`
	By       []Overriding `json:"by"`
	FollowUp string       `json:"followUp,omitempty"` // the URL
}

// Overriding is somebody's word for an override.
type Overriding struct {
	Actor
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Judged is a gate's verdict, and the row of evidence that keeps it.
type Judged struct {
	Gate       string    `json:"gate"`
	Verdict    string    `json:"verdict"`
	Reason     string    `json:"reason"`
	Source     string    `json:"source"`
	URL        string    `json:"url,omitempty"`
	ObservedAt time.Time `json:"observedAt,omitzero"`
	ExpiresAt  time.Time `json:"expiresAt,omitzero"`
	Evidence   int64     `json:"evidence,omitempty"`
	// Detail is what the verdict was made from, where that is more than Reason tells.
	Detail json.RawMessage `json:"detail,omitempty"`
}

func judged(e Evidence) Judged {
	j := Judged{Gate: e.Gate, Verdict: e.Verdict, Reason: e.Reason, Source: e.Source, URL: e.URL, ObservedAt: e.ObservedAt.UTC(), Evidence: e.ID, Detail: json.RawMessage(e.Detail)}
	if e.ExpiresAt != nil {
		j.ExpiresAt = e.ExpiresAt.UTC()
	}
	return j
}
