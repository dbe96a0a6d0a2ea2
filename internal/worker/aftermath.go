package worker

import (
	"context"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// deleteBranch removes our branch after the pull request has ended, unless the next
// promotion of the pair uses it already, or it holds what is not ours.
func (w *Worker) deleteBranch(ctx context.Context, l *look) error {
	if store.LeftOpen(l.row) {
		if l.facts.Led { // who acts for it closes the pull request, and deletes the branch
			return w.Store.RecordBranchDeleted(ctx, l.row, false)
		}
		if merged, err := w.closeLeft(ctx, l); err != nil || merged {
			return err
		}
	}
	deleted, err := w.dropBranch(ctx, l)
	if saidNo(err) { // by a rule for branches, say: it stays
		w.Log.WarnContext(ctx, "a branch could not be deleted", "promotion", l.row.ID, "branch", l.row.Branch, "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return w.Store.RecordBranchDeleted(ctx, l.row, deleted)
}

// dropBranch deletes the branch if no promotion needs it, and nobody else's commit is on
// it: that is never thrown away. The lock keeps a new promotion from being proposed
// meanwhile. (GitHub deletes a branch wherever it stands, so a push between the two
// requests goes with it; GitHub keeps what was pushed, and offers to restore it.)
func (w *Worker) dropBranch(ctx context.Context, l *look) (deleted bool, err error) {
	ctx, done, err := l.door.Reserve(ctx, 0, 1)
	if err != nil {
		return false, err
	}
	defer done()
	err = w.Store.Merge(ctx, l.repo.ID, l.row.Env, func(store.Merging) error {
		if wanted, err := w.Store.BranchWanted(ctx, l.repo.ID, l.row.Branch); err != nil || wanted {
			return err
		}
		stands, err := l.door.Branch(ctx, l.row.Branch)
		if fault.Is(err, fault.NotFound) {
			return nil // somebody was faster, or it was never made
		}
		if err != nil {
			return err
		}
		if ours, err := w.Store.KnownHead(ctx, stands); err != nil || !ours {
			return err
		}
		err = l.door.DeleteBranch(ctx, l.row.Branch)
		deleted = err == nil
		return err
	})
	return deleted, err
}

// status is where a merged promotion runs.
func (l *look) status() checklist.Status {
	return checklist.Status{
		Of: l.commentOf(), App: l.row.App, Env: l.row.Env, Tag: l.artifact.Tag, Digest: l.artifact.Digest, Commit: l.row.MergeSHA, Clusters: clusterStatuses(l.targets),
		Overridden: l.overridden,
	}
}

func clusterStatuses(targets []store.Target) (all []checklist.ClusterStatus) {
	for _, t := range targets {
		if store.Unserved(t) {
			t.HealthySince = nil // it is remembered, and nobody says so now
		}
		all = append(all, checklist.ClusterStatus{
			Cluster: t.Cluster, Tag: t.Tag, Digest: t.Digest, Commit: t.CommitSHA, Phase: phase(t), Reason: t.Message, Waits: t.Held, Notes: t.Notes,
			Since: moment(t.HealthySince),
		})
	}
	return all
}

func phase(t store.Target) checklist.Phase {
	if store.Unserved(t) {
		return checklist.Pending
	}
	switch t.State {
	case store.TargetHealthy:
		return checklist.Healthy
	case store.TargetFailed, store.TargetUnreachable:
		return checklist.Failed
	case store.TargetApplying, store.TargetWaiting:
		return checklist.Syncing
	}
	return checklist.Pending
}

// publishComment keeps the one comment that says where the promotion runs.
func (w *Worker) publishComment(ctx context.Context, l *look) error {
	body := checklist.RenderSticky(l.status())
	id, err := w.comment(ctx, l)
	if err != nil {
		return err
	}
	if id != 0 {
		err = l.door.EditComment(ctx, id, body)
	} else {
		id, err = l.door.Comment(ctx, int(l.row.PullNumber), body)
	}
	if err != nil {
		return err
	}
	return w.Store.RecordComment(ctx, l.row.ID, id, hash(body))
}

// commentOf is the app whose clusters the status comment is about, where the pull request
// carried others, too: each has a comment of its own, because each goes its own way.
func (l *look) commentOf() string {
	if l.row.SetID == nil {
		return ""
	}
	return l.row.App
}

// comment is our status comment, 0 if there is none. One whose creation was never
// recorded is looked for.
func (w *Worker) comment(ctx context.Context, l *look) (int64, error) {
	if l.row.CommentID != 0 {
		return l.row.CommentID, nil
	}
	fresh, err := w.Store.Announce(ctx, l.row.ID, "create status comment")
	if err != nil || fresh {
		return 0, err
	}
	id, _, err := l.door.FindComment(ctx, int(l.row.PullNumber), l.status().Marker())
	return id, err
}

// deployed proposes the artifact to the environments that follow this one, then
// writes down that it runs here. In this order: a crash in between proposes it
// again, which changes nothing.
func (w *Worker) deployed(ctx context.Context, l *look) error {
	uses, err := w.usesIn(ctx, l.repo, func(p envrepo.Pair) bool { return p.App == l.row.App })
	if err != nil {
		return err
	}
	for _, u := range uses {
		if u.env.Follow == nil || u.env.Follow.Env != l.row.Env {
			continue
		}
		if err := w.passOn(ctx, u, l.artifact); err != nil {
			return err
		}
	}
	return w.Store.RecordDeployed(ctx, l.row, l.artifact.Digest)
}
