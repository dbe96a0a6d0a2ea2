package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/tagboat/tagboat/internal/store/query"
)

// BoardPromotion is the newest promotion of an (app, environment) with its
// artifact.
type BoardPromotion = query.BoardPromotionsRow

// Board is where everything stands, all of it at one moment.
type Board struct {
	Repos      []Repo
	Targets    []Target
	Promotions []BoardPromotion
	Evidence   []Evidence // the newest of each gate, for each promotion's digest and head
	Refusals   []Refusal  // newest first
	Stops      []Stop     // in force, of more than one app; the widest first
	Denials    []Denial   // in force, newest first
	Left       []Left
}

// Left is what a target that is gone has left in its cluster: it is not in tagboat.yaml any
// more, and what it was brought runs on. Named are the first of the objects.
type Left = query.LeftBehindRow

// LeftNote is that in sentences for people: what runs on, and what they can do.
func LeftNote(l Left) string {
	named := strings.Join(l.Named, ", ")
	if more := int(l.Objects) - len(l.Named); more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("%s in %s is not in tagboat.yaml any more, and Tagboat leaves alone what it has brought to cluster %s: %s. Whoever may change the cluster can delete that; "+
		"or put it into another overlay for the cluster, which takes it over as it is; or bring the overlay back.", l.App, l.Env, l.Cluster, named)
}

// MostLeft is how many objects of one target are named.
const MostLeft = 20

// Left is what targets that are gone have left in their clusters.
func (s *Store) Left(ctx context.Context) (_ []Left, err error) {
	defer wrap(&err, "read what is left behind")
	return s.query.LeftBehind(ctx, MostLeft)
}

// Board reads where everything stands, with the newest refusals.
func (s *Store) Board(ctx context.Context, refusals int32) (b Board, err error) {
	defer wrap(&err, "read the board")
	err = s.snapshot(ctx, func(q *query.Queries) error {
		if b.Repos, err = q.Repos(ctx); err != nil {
			return err
		}
		if b.Targets, err = q.Targets(ctx); err != nil {
			return err
		}
		if b.Promotions, err = q.BoardPromotions(ctx); err != nil {
			return err
		}
		ids := make([]int64, 0, len(b.Promotions))
		for _, p := range b.Promotions {
			ids = append(ids, p.ID)
		}
		if b.Evidence, err = q.BoardEvidence(ctx, ids); err != nil {
			return err
		}
		if b.Denials, err = q.DenialsInForce(ctx); err != nil {
			return err
		}
		if b.Refusals, err = q.RecentRefusals(ctx, refusals); err != nil {
			return err
		}
		if b.Left, err = q.LeftBehind(ctx, MostLeft); err != nil {
			return err
		}
		now := s.now()
		b.Stops, err = q.WideStops(ctx, &now)
		return err
	})
	return b, err
}

// ClusterSync is an attempt on one cluster.
type ClusterSync = query.SyncsOfDigestRow

// History is one promotion with everything that was written down about it.
type History struct {
	Promotion Promotion
	Repo      Repo
	Artifact  Artifact
	Targets   []Target      // the clusters of its (app, environment)
	Gates     []Evidence    // the newest of each gate, for its digest and head
	Evidence  []Evidence    // everything observed, oldest first
	Reviews   []Review      // oldest first
	Ticks     []Tick        // oldest first
	Syncs     []ClusterSync // of its digest, since it was proposed; oldest first
}

// History reads one promotion; ErrNotFound if there is none. Of evidence, ticks
// and syncs it reads the newest, at most so many of each.
func (s *Store) History(ctx context.Context, promotion int64, most int32) (h History, err error) {
	defer wrap(&err, "read the history of promotion %d", promotion)
	err = s.snapshot(ctx, func(q *query.Queries) error {
		if h.Promotion, err = q.Promotion(ctx, promotion); err != nil {
			return err
		}
		p := h.Promotion
		if h.Repo, err = q.Repo(ctx, p.RepoID); err != nil {
			return err
		}
		if h.Artifact, err = q.Artifact(ctx, p.ArtifactID); err != nil {
			return err
		}
		if h.Targets, err = q.TargetsOfPair(ctx, query.TargetsOfPairParams{RepoID: p.RepoID, App: p.App, Env: p.Env}); err != nil {
			return err
		}
		if h.Gates, err = q.LatestEvidence(ctx, query.LatestEvidenceParams{PromotionID: p.ID, Digest: h.Artifact.Digest, HeadSHA: p.SeenHeadSHA}); err != nil {
			return err
		}
		return h.readLog(ctx, q, most)
	})
	return h, err
}

func (h *History) readLog(ctx context.Context, q *query.Queries, most int32) (err error) {
	p := h.Promotion
	if h.Evidence, err = q.NewestEvidence(ctx, query.NewestEvidenceParams{PromotionID: p.ID, Most: most}); err != nil {
		return err
	}
	slices.Reverse(h.Evidence)
	if h.Reviews, err = q.Reviews(ctx, p.ID); err != nil {
		return err
	}
	if h.Ticks, err = q.TickLog(ctx, query.TickLogParams{PromotionID: p.ID, Most: most}); err != nil {
		return err
	}
	slices.Reverse(h.Ticks)
	h.Syncs, err = q.SyncsOfDigest(ctx, query.SyncsOfDigestParams{
		RepoID: p.RepoID, App: p.App, Env: p.Env, Digest: h.Artifact.Digest, Since: p.CreatedAt, Most: most,
	})
	slices.Reverse(h.Syncs)
	return err
}

// Counts are how many rows there are, for metrics.
type Counts struct {
	Repos      []Repo
	Promotions map[RepoState]int64
	Targets    map[RepoState]int64
	Refusals   int64
	Deliveries map[string]int64 // by source
	Clusters   []ClusterCount
	Healthy    []SeenHealthy // at most MostHealthy, those first that were not for the longest
}

// ClusterCount is what of one cluster somebody may have to be called for.
type ClusterCount = query.CountByClusterRow

// SeenHealthy is when a target was last seen healthy.
type SeenHealthy = query.SeenHealthyRow

// MostHealthy is how many targets are told one by one: each is a series of its own.
const MostHealthy = 1000

// RepoState is a state of promotions or targets of one env repo.
type RepoState struct {
	Repo  int64
	State string
}

// Counts counts. It reads whole tables: not for every request.
func (s *Store) Counts(ctx context.Context) (c Counts, err error) {
	defer wrap(&err, "count rows")
	c = Counts{Promotions: map[RepoState]int64{}, Targets: map[RepoState]int64{}, Deliveries: map[string]int64{}}
	err = s.snapshot(ctx, func(q *query.Queries) error {
		if c.Repos, err = q.Repos(ctx); err != nil {
			return err
		}
		promotions, err := q.CountPromotions(ctx)
		if err != nil {
			return err
		}
		for _, row := range promotions {
			c.Promotions[RepoState{row.RepoID, row.State}] = row.Count
		}
		targets, err := q.CountTargets(ctx)
		if err != nil {
			return err
		}
		for _, row := range targets {
			c.Targets[RepoState{row.RepoID, row.State}] = row.Count
		}
		deliveries, err := q.CountDeliveries(ctx)
		if err != nil {
			return err
		}
		for _, row := range deliveries {
			c.Deliveries[row.Source] = row.Count
		}
		if c.Clusters, err = q.CountByCluster(ctx, reachFor.Seconds()); err != nil {
			return err
		}
		if c.Healthy, err = q.SeenHealthy(ctx, MostHealthy); err != nil {
			return err
		}
		c.Refusals, err = q.CountRefusals(ctx)
		return err
	})
	return c, err
}

// snapshot runs reads that see one moment, and gives up before a page's reader
// would.
func (s *Store) snapshot(ctx context.Context, f func(q *query.Queries) error) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	return pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly},
		func(tx pgx.Tx) error { return f(s.query.WithTx(tx)) })
}
