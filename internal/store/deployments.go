package store

import (
	"context"

	"github.com/tagboat/tagboat/internal/store/query"
)

// Deployment is the GitHub deployment of a merged promotion in one cluster.
type Deployment = query.Deployment

// Deployments are those of a promotion.
func (s *Store) Deployments(ctx context.Context, promotion int64) (_ []Deployment, err error) {
	defer wrap(&err, "read the deployments of promotion %d", promotion)
	return s.query.Deployments(ctx, promotion)
}

// RecordDeployment keeps the GitHub deployment of a promotion in a cluster and its last
// status; one whose number is below 1 stands for none.
func (s *Store) RecordDeployment(ctx context.Context, d Deployment) (err error) {
	defer wrap(&err, "keep deployment %d of promotion %d in %s", d.GithubID, d.PromotionID, d.Cluster)
	set := query.SetDeploymentParams(d)
	if d.GithubID < 1 {
		return s.query.SetDeployment(ctx, set)
	}
	e := Entry{Action: ActionDeployment, Promotion: d.PromotionID, Inputs: map[string]any{"cluster": d.Cluster, "deployment": d.GithubID, "state": d.State}}
	return s.effect(ctx, e, func(q *query.Queries) error { return q.SetDeployment(ctx, set) })
}

// RecordCommitStatus keeps what the status of a promotion's merge commit says. Where the
// App may not set one, nothing was done that the audit log has to tell of.
func (s *Store) RecordCommitStatus(ctx context.Context, p Promotion, status string, set bool) (err error) {
	defer wrap(&err, "keep the commit status of promotion %d", p.ID)
	row := query.SetCommitStatusParams{ID: p.ID, CommitStatus: status}
	if !set {
		return s.query.SetCommitStatus(ctx, row)
	}
	e := Entry{Action: ActionCommitStatus, Promotion: p.ID, SHA: p.MergeSHA, Inputs: map[string]any{"state": status}}
	return s.effect(ctx, e, func(q *query.Queries) error { return q.SetCommitStatus(ctx, row) })
}
