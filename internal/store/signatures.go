package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// What a look for a signature came to.
const (
	SignatureFound   = "signed"   // the signer has signed exactly this digest
	SignatureMissing = "unsigned" // nothing at all is attached
	SignatureForeign = "foreign"  // only what is not the signer's, or not for this digest
	SignatureUnread  = "unread"   // the registry could not be asked
)

// NewSignature is what a look for a signature came to.
type NewSignature struct {
	Signer   string // who is asked for; for comparing
	Outcome  string
	SignedBy string // who has signed, in words
	Reason   string // what is there instead, or why it could not be read
	At       time.Time
}

// RecordSignature keeps what was found of a signer's signature of an artifact. The audit
// log tells of what differs from the look before; the promotion is the one for which it
// was looked.
func (s *Store) RecordSignature(ctx context.Context, promotion int64, a Artifact, n NewSignature) (err error) {
	defer wrap(&err, "record the signature of artifact %d", a.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		known, err := q.Signature(ctx, query.SignatureParams{ArtifactID: a.ID, Signer: n.Signer})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		if err := q.UpsertSignature(ctx, query.UpsertSignatureParams{
			ArtifactID: a.ID, Signer: n.Signer, Outcome: n.Outcome, SignedBy: n.SignedBy, Reason: n.Reason, AskedAt: n.At,
		}); err != nil {
			return err
		}
		if known.Outcome == n.Outcome && known.SignedBy == n.SignedBy && known.Reason == n.Reason {
			return nil
		}
		return s.audit(ctx, q, Entry{Action: ActionSignature, Promotion: promotion, SHA: a.Digest, Inputs: map[string]any{
			"image": a.Image, "tag": a.Tag, "signer": n.Signer, "outcome": n.Outcome, "signed by": n.SignedBy, "reason": n.Reason,
		}})
	})
}

// Signatures are what was found last of every signature of an artifact that anybody
// asked for.
func (s *Store) Signatures(ctx context.Context, artifact int64) (_ []Signature, err error) {
	defer wrap(&err, "read the signatures of artifact %d", artifact)
	return s.query.Signatures(ctx, artifact)
}

// DoubtSignatures has the signatures that an image lacks looked for again: something
// was attached to it.
func (s *Store) DoubtSignatures(ctx context.Context, image, digest string, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "doubt the signatures of %s@%s", image, digest)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		artifacts, err := q.DoubtSignatures(ctx, query.DoubtSignaturesParams{Image: image, Digest: digest})
		if err != nil {
			return err
		}
		slices.Sort(artifacts)
		for _, a := range slices.Compact(artifacts) {
			promotions, err := q.ActivePromotionsOfArtifact(ctx, a)
			if err != nil {
				return err
			}
			if err := s.wake(ctx, tx, q, promotions, job); err != nil {
				return err
			}
		}
		return nil
	})
}
