package worker

import (
	"context"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

// closeLeft closes the pull request of a promotion that ended before it: a rollback went
// first, and nobody judges any more what it would bring. It may be merged: by a merge of
// ours whose answer was lost before the rollback was asked for, or by people meanwhile.
// Then that is written down, for all that it carried. The lock keeps everybody else from
// merging, and from proposing on its branch.
func (w *Worker) closeLeft(ctx context.Context, l *look) (merged bool, err error) {
	ctx, done, err := l.door.Reserve(ctx, 1, 1) // the comment; and it is closed
	if err != nil {
		return false, err
	}
	defer done()
	err = w.Store.Merge(ctx, l.repo.ID, l.row.Env, func(m store.Merging) error {
		pull, err := w.closedPull(ctx, l)
		if err != nil {
			return err
		}
		if !pull.Merged {
			return nil
		}
		merged = true
		if err := l.withCompanions(ctx, false); err != nil {
			return err
		}
		l.row.SeenHeadSHA, l.mergedBy = pull.HeadSHA, pull.MergedBy
		return w.merged(ctx, m, l, nil, pull.MergeSHA)
	})
	if merged || err != nil {
		return merged, err
	}
	return false, w.Store.RecordPullClosed(ctx, l.row)
}

// closedPull is a pull request as it is after it was closed. It is read before, and again
// afterwards: a merge may be faster.
func (w *Worker) closedPull(ctx context.Context, l *look) (github.Pull, error) {
	number := int(l.row.PullNumber)
	pull, err := l.door.Pull(ctx, number)
	if err != nil || pull.State != "open" {
		return pull, err
	}
	err = w.sayLeft(ctx, l)
	if saidNo(err) { // in a locked conversation, say
		w.Log.WarnContext(ctx, "why a pull request is closed could not be said", "promotion", l.row.ID, "error", err)
		err = nil
	}
	if err != nil {
		return pull, err
	}
	if err := l.door.ClosePull(ctx, number); err != nil {
		return pull, err
	}
	if pull, err = l.door.Pull(ctx, number); err == nil && pull.State == "open" {
		err = fault.Errorf(fault.Transient, "pull request #%d is open still", number)
	}
	return pull, err
}

// sayLeft says on a pull request, once, why it is closed.
func (w *Worker) sayLeft(ctx context.Context, l *look) error {
	fresh, err := w.Store.Announce(ctx, l.row.ID, "tell that a rollback goes first")
	if err != nil {
		return err
	}
	if !fresh {
		if _, found, err := l.door.FindComment(ctx, int(l.row.PullNumber), checklist.LeftMarker); err != nil || found {
			return err
		}
	}
	_, err = l.door.Comment(ctx, int(l.row.PullNumber), checklist.RenderLeft(l.row.Env))
	return err
}
