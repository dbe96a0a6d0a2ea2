package store

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Verified is what the registry and the event say about an image.
type Verified struct {
	Image, Tag, Digest       string
	MediaType                string
	Platforms                []string
	SourceRepo, SourceCommit string
	RunURL                   string
	Builder                  Actor `json:",omitzero"` // who caused the CI run; nobody where CI did not tell
	Delivery                 int64
}

// Ledger enters a verified image into the tag ledger and returns the row that
// the tag has there. When the tag was seen before with another digest, that row
// holds the earlier digest, and nothing was changed: the caller compares.
func (s *Store) Ledger(ctx context.Context, v Verified) (a Artifact, err error) {
	defer wrap(&err, "enter %s:%s into the tag ledger", v.Image, v.Tag)
	err = s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		now := s.now()
		if v.Platforms == nil {
			v.Platforms = []string{}
		}
		a, err = q.LedgerArtifact(ctx, query.LedgerArtifactParams{
			Image: v.Image, Tag: v.Tag, Digest: v.Digest, MediaType: v.MediaType, Platforms: v.Platforms,
			SourceRepo: v.SourceRepo, SourceCommit: v.SourceCommit, RunURL: v.RunURL, VerifiedAt: now,
		})
		if err != nil || !a.VerifiedAt.Equal(now.Truncate(time.Microsecond)) || a.Digest != v.Digest {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionVerified, Delivery: v.Delivery, SHA: v.Digest, Inputs: v})
	})
	return a, err
}

// AddBuilder keeps who had CI build an artifact, and has its promotions looked at
// again: whoever built it does not count as their approver. Whoever built it once
// stays; that CI tells another one later takes nobody away.
func (s *Store) AddBuilder(ctx context.Context, a Artifact, v Verified, job func(promotion int64) river.JobArgs) (err error) {
	defer wrap(&err, "keep that %s built artifact %d", v.Builder.Login, a.ID)
	if v.Builder.Login == "" {
		return nil
	}
	return s.tx(ctx, func(tx pgx.Tx, q *query.Queries) error {
		rows, err := q.InsertBuilder(ctx, query.InsertBuilderParams{
			ArtifactID: a.ID, ActorID: v.Builder.ID, Actor: v.Builder.Login, At: s.now(), DeliveryID: reference(v.Delivery),
		})
		if err != nil || rows == 0 {
			return err
		}
		promotions, err := q.ActivePromotionsOfArtifact(ctx, a.ID)
		if err != nil {
			return err
		}
		if err := s.wake(ctx, tx, q, promotions, job); err != nil {
			return err
		}
		return s.audit(ctx, q, Entry{Actor: v.Builder, Action: ActionBuilt, Delivery: v.Delivery, SHA: a.Digest, Inputs: map[string]any{
			"artifact": a.ID, "image": a.Image, "tag": a.Tag, "run": v.RunURL,
		}})
	})
}

// Builders are everybody who had CI build an artifact.
func (s *Store) Builders(ctx context.Context, artifact int64) (_ []Builder, err error) {
	defer wrap(&err, "read who built artifact %d", artifact)
	return s.query.Builders(ctx, artifact)
}

// Refuse writes down that an image will not be promoted, and why; fresh is false
// when the same was refused before.
func (s *Store) Refuse(ctx context.Context, v Verified, reason string) (fresh bool, err error) {
	defer wrap(&err, "refuse %s:%s", v.Image, v.Tag)
	err = s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		_, err := q.InsertRefusal(ctx, query.InsertRefusalParams{
			Image: v.Image, Tag: v.Tag, Digest: v.Digest, Reason: reason, DeliveryID: reference(v.Delivery), RefusedAt: s.now(),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil
		}
		if err != nil {
			return err
		}
		fresh = true
		return s.audit(ctx, q, Entry{Action: ActionRefused, Delivery: v.Delivery, SHA: v.Digest, Inputs: map[string]string{
			"image": v.Image, "tag": v.Tag, "reason": reason,
		}})
	})
	return fresh && err == nil, err
}

// RecordToldRefused writes down, once, the comment on a promotion's pull request
// that says that its tag was pushed with a digest that is refused.
func (s *Store) RecordToldRefused(ctx context.Context, promotion, comment int64, v Verified, reason string) (err error) {
	defer wrap(&err, "record that %s:%s was told to be refused", v.Image, v.Tag)
	return s.tx(ctx, func(_ pgx.Tx, q *query.Queries) error {
		fresh, err := q.AnnounceIntent(ctx, query.AnnounceIntentParams{PromotionID: promotion, Effect: "told refused " + v.Digest, At: s.now()})
		if err != nil || fresh == 0 {
			return err
		}
		return s.audit(ctx, q, Entry{Action: ActionToldRefused, Promotion: promotion, Delivery: v.Delivery, SHA: v.Digest, Inputs: map[string]any{
			"comment": comment, "image": v.Image, "tag": v.Tag, "reason": reason,
		}})
	})
}

// Artifact is one verified artifact.
func (s *Store) Artifact(ctx context.Context, id int64) (_ Artifact, err error) {
	defer wrap(&err, "read artifact %d", id)
	return s.query.Artifact(ctx, id)
}

// ArtifactByTag is the artifact that a tag stands for; ErrNotFound if the tag
// was never verified.
func (s *Store) ArtifactByTag(ctx context.Context, image, tag string) (_ Artifact, err error) {
	defer wrap(&err, "read artifact %s:%s", image, tag)
	return s.query.ArtifactByTag(ctx, query.ArtifactByTagParams{Image: image, Tag: tag})
}

// ArtifactByDigest is an artifact by its identity.
func (s *Store) ArtifactByDigest(ctx context.Context, image, digest string) (_ Artifact, err error) {
	defer wrap(&err, "read artifact %s@%s", image, digest)
	return s.query.ArtifactByDigest(ctx, query.ArtifactByDigestParams{Image: image, Digest: digest})
}

// ArtifactBySource is the newest artifact that was built from a commit of a
// source repository ("owner/name").
func (s *Store) ArtifactBySource(ctx context.Context, repo, commit string) (_ Artifact, err error) {
	defer wrap(&err, "read the artifact built from %s@%s", repo, commit)
	return s.query.ArtifactBySource(ctx, query.ArtifactBySourceParams{SourceRepo: repo, SourceCommit: commit})
}

// ArtifactsBySource are all artifacts that were built from a commit of a source
// repository ("owner/name"), in the order in which they became known.
func (s *Store) ArtifactsBySource(ctx context.Context, repo, commit string) (_ []Artifact, err error) {
	defer wrap(&err, "read the artifacts built from %s@%s", repo, commit)
	return s.query.ArtifactsBySource(ctx, query.ArtifactsBySourceParams{SourceRepo: repo, SourceCommit: commit})
}

// RecentRefusals are the newest refusals.
func (s *Store) RecentRefusals(ctx context.Context, most int32) (_ []Refusal, err error) {
	defer wrap(&err, "read refusals")
	return s.query.RecentRefusals(ctx, most)
}

// LatestRefusal is the newest push of an image that Tagboat will not promote;
// ErrNotFound if there is none.
func (s *Store) LatestRefusal(ctx context.Context, image string) (_ Refusal, err error) {
	defer wrap(&err, "read the latest refusal of %s", image)
	return s.query.LatestRefusal(ctx, image)
}

// PromotionsOfTag are the promotions whose pull requests carry image:tag, newest
// first.
func (s *Store) PromotionsOfTag(ctx context.Context, image, tag string) (_ []Promotion, err error) {
	defer wrap(&err, "read promotions of %s:%s", image, tag)
	return s.query.PromotionsOfTag(ctx, query.PromotionsOfTagParams{Image: image, Tag: tag})
}

// NewestArtifact is the artifact of an image that was verified last.
func (s *Store) NewestArtifact(ctx context.Context, image string) (_ Artifact, err error) {
	defer wrap(&err, "read the newest artifact of %s", image)
	return s.query.NewestArtifact(ctx, image)
}

// RecentArtifacts are the artifacts of an image that were verified last, newest
// first.
func (s *Store) RecentArtifacts(ctx context.Context, image string, most int32) (_ []Artifact, err error) {
	defer wrap(&err, "read the recent artifacts of %s", image)
	return s.query.RecentArtifacts(ctx, query.RecentArtifactsParams{Image: image, Most: most})
}
