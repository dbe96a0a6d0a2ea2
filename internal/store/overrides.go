package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// NewVoice is somebody's word that a gate be overridden.
type NewVoice struct {
	Gate     string
	By       Actor
	Reason   string
	Digest   string // what they saw
	HeadSHA  string
	EditHash string
	Comment  int64
	At       time.Time // when it was said
	Delivery int64
}

// RecordVoice appends somebody's word, once per comment and gate, and has the
// promotion looked at.
func (s *Store) RecordVoice(ctx context.Context, promotion int64, v NewVoice, wake func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "record that %s overrides %s", v.By.Login, v.Gate)
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		p, err := q.LockPromotion(ctx, promotion)
		if err != nil {
			return err
		}
		rows, err := q.InsertVoice(ctx, query.InsertVoiceParams{
			PromotionID: p.ID, Gate: v.Gate, ActorID: v.By.ID, Actor: v.By.Login, Reason: v.Reason,
			Digest: v.Digest, HeadSHA: v.HeadSHA, EditHash: v.EditHash, CommentID: v.Comment, At: v.At, DeliveryID: reference(v.Delivery),
		})
		if err != nil || rows == 0 {
			return err
		}
		if err := s.audit(ctx, q, Entry{
			Actor: v.By, Action: ActionVoiced, Promotion: p.ID, Delivery: v.Delivery, SHA: v.HeadSHA,
			Inputs: map[string]any{"gate": v.Gate, "reason": v.Reason, "digest": v.Digest, "edit": v.EditHash, "comment": v.Comment},
		}); err != nil {
			return err
		}
		return s.wake(ctx, tx, q, []Promotion{p}, wake)
	})
}

// Voices are what people said about overriding a promotion's gates, oldest first.
func (s *Store) Voices(ctx context.Context, promotion int64) (_ []Voice, err error) {
	defer wrap(&err, "read who overrides gates of promotion %d", promotion)
	return s.query.Voices(ctx, promotion)
}

// FollowUps are the issues that follow a promotion's overrides up.
func (s *Store) FollowUps(ctx context.Context, promotion int64) (_ []FollowUp, err error) {
	defer wrap(&err, "read the follow-ups of promotion %d", promotion)
	return s.query.FollowUps(ctx, promotion)
}

// RecordFollowUp keeps the issue that follows an override up; number 0 stands for
// none.
func (s *Store) RecordFollowUp(ctx context.Context, p Promotion, gate string, number int, url string) (err error) {
	defer wrap(&err, "keep follow-up #%d of promotion %d", number, p.ID)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		rows, err := q.InsertFollowUp(ctx, query.InsertFollowUpParams{
			PromotionID: p.ID, Gate: gate, HeadSHA: p.SeenHeadSHA, Number: int32(number), URL: url, At: s.now(),
		})
		if err != nil || rows == 0 {
			return err
		}
		return s.audit(ctx, q, Entry{
			Action: ActionFollowedUp, Promotion: p.ID, SHA: p.SeenHeadSHA, Inputs: map[string]any{"gate": gate, "issue": number, "url": url},
		})
	})
}
