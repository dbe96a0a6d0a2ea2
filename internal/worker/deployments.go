package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// place is what GitHub calls an environment: one app in one cluster. GitHub knows one
// active deployment of an environment, shows the newest as what it has, and marks earlier
// ones inactive; an environment of all apps would show whichever was merged last. The
// name also keeps clear of environments that workflows have rules and secrets for.
func (l *look) place(cluster string) string {
	return l.row.Env + "/" + l.row.App + "/" + cluster
}

// createDeployment records the merge as a GitHub deployment to one cluster. An App
// without the permission does without.
func (w *Worker) createDeployment(ctx context.Context, l *look, cluster string) error {
	fresh, err := w.Store.Announce(ctx, l.row.ID, "create deployment "+cluster)
	if err != nil {
		return err
	}
	made := store.Deployment{PromotionID: l.row.ID, Cluster: cluster}
	if !fresh {
		id, found, err := l.door.FindDeployment(ctx, l.row.MergeSHA, l.place(cluster), l.deploymentIs)
		if found {
			made.GithubID = id
			return w.Store.RecordDeployment(ctx, made)
		}
		if err != nil && !fault.Is(err, fault.Denied) {
			return err
		}
	}
	mark, err := w.Store.AuditMark(ctx)
	if err != nil {
		return err
	}
	made.GithubID, err = l.door.CreateDeployment(ctx, github.Deployment{
		Ref: l.row.MergeSHA, Environment: l.place(cluster),
		Description: fmt.Sprintf("%s %s", l.row.App, l.artifact.Tag),
		// The mark lets people show later that nobody has rewritten the log: GitHub
		// keeps it where whoever has the database cannot reach.
		Payload: map[string]any{"app": l.row.App, "cluster": cluster, "image": l.ref().String(), "promotion": l.row.ID, "audit": mark.String()},
	})
	if fault.Is(err, fault.Denied) {
		w.Log.WarnContext(ctx, "deployments cannot be recorded on GitHub", "promotion", l.row.ID, "error", err)
		made.GithubID, err = -1, nil
	}
	if err != nil {
		return err
	}
	return w.Store.RecordDeployment(ctx, made)
}

// deploymentIs reports whether a deployment's payload names this promotion.
func (l *look) deploymentIs(payload []byte) bool {
	var of struct {
		Promotion int64 `json:"promotion"`
	}
	return json.Unmarshal(payload, &of) == nil && of.Promotion == l.row.ID
}

// updateDeployment tells how a cluster took the promotion. Nothing is told while it is
// applied: that would be one more request for each, of which GitHub allows few, and a
// deployment without a status is shown as pending.
func (w *Worker) updateDeployment(ctx context.Context, l *look, d promotion.Decision) error {
	at := slices.IndexFunc(l.deployments, func(made store.Deployment) bool { return made.Cluster == d.Cluster })
	if at < 0 {
		return fault.Errorf(fault.Broken, "promotion %d has no deployment to %s", l.row.ID, d.Cluster)
	}
	made := l.deployments[at]
	made.State = string(d.Took)
	if made.GithubID > 0 {
		if err := l.door.DeploymentStatus(ctx, made.GithubID, github.DeploymentStatus{
			State: made.State, Description: l.took(d.Cluster, d.Took), LogURL: w.promotionURL(l.row),
		}); err != nil {
			return err
		}
	}
	return w.Store.RecordDeployment(ctx, made)
}

// took says how a cluster took the promotion, and why.
func (l *look) took(cluster string, how promotion.Outcome) string {
	what := fmt.Sprintf("%s %s", l.row.App, l.artifact.Tag)
	switch how {
	case promotion.Success:
		return what + " is healthy"
	case promotion.Left:
		return what + " did not stay: the cluster has got something else, or is not one of " + l.row.Env + " any more"
	}
	at := slices.IndexFunc(l.targets, func(t store.Target) bool { return t.Cluster == cluster })
	if at < 0 || l.targets[at].Message == "" {
		return what + " is not healthy"
	}
	return what + " is not healthy: " + l.targets[at].Message
}

// setCommitStatus shows on the merge commit how all clusters took it. It is about a commit
// of the base branch, which no required check is asked for any more. Setting it twice is
// setting it once. An App without the permission does without.
func (w *Worker) setCommitStatus(ctx context.Context, l *look, status promotion.CommitStatus) error {
	err := l.door.SetCommitStatus(ctx, l.row.MergeSHA, github.CommitStatus{
		State: string(status), Context: statusContext(l.row), Description: l.inShort(status), TargetURL: w.promotionURL(l.row),
	})
	if fault.Is(err, fault.Denied) {
		w.Log.WarnContext(ctx, "commits get no status on GitHub", "promotion", l.row.ID, "error", err)
		return w.Store.RecordCommitStatus(ctx, l.row, string(promotion.StatusRefused), false)
	}
	if err != nil {
		return err
	}
	return w.Store.RecordCommitStatus(ctx, l.row, string(status), true)
}

// statusContext tells apart what one commit brings to several apps.
func statusContext(p store.Promotion) string { return "tagboat/" + p.Env + "/" + p.App }

// inShort is the line beside the merge commit.
func (l *look) inShort(status promotion.CommitStatus) string {
	what, ill := l.artifact.Tag, ""
	healthy := 0
	for _, t := range l.targets {
		switch {
		case t.Digest == l.artifact.Digest && t.State == store.TargetHealthy:
			healthy++
		case ill == "" && (t.State == store.TargetFailed || t.State == store.TargetUnreachable):
			ill = "; " + t.Cluster + ": " + t.Message
		}
	}
	switch status {
	case promotion.StatusSuccess:
		return fmt.Sprintf("%s is healthy in %s", what, clusters(len(l.targets)))
	case promotion.StatusLeft:
		return "Another version was merged before " + what + " ran everywhere"
	case promotion.StatusFailure:
		return fmt.Sprintf("%s is healthy in %d of %s%s", what, healthy, clusters(len(l.targets)), ill)
	}
	// No count: it is not told anew for each cluster.
	return fmt.Sprintf("%s is on its way to %s", what, clusters(len(l.targets)))
}

func clusters(n int) string {
	if n == 1 {
		return "1 cluster"
	}
	return fmt.Sprintf("%d clusters", n)
}
