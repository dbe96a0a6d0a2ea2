package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// queue reads where the pull request stands in a merge queue.
func (l *look) queue(ctx context.Context) (err error) {
	if l.queued, err = l.w.Store.Queued(ctx, l.row.ID); err != nil {
		return err
	}
	l.facts.Queue = promotion.Queue{
		HeadSHA: l.queued.HeadSHA, EnteredAt: moment(l.queued.EnteredAt), AskedAt: moment(l.queued.AskedAt), LeftAt: moment(l.queued.LeftAt),
		GroupSHA: l.queued.GroupSHA, CheckSHA: l.queued.CheckSHA, CheckHash: l.queued.CheckHash,
	}
	return nil
}

// moment is zero for a time that was never written down.
func moment(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// enterQueue puts the pull request into the merge queue, on the evidence that a merge
// would need. It is done under the lock of merges.
func (w *Worker) enterQueue(ctx context.Context, m store.Merging, l *look, gates []promotion.Gate) error {
	if err := w.guard(ctx, l, l.row.BaseSHA, l.row.SeenHeadSHA); err != nil {
		return err
	}
	grounds, err := w.judgedTogether(ctx, m, l, gates)
	if err != nil {
		return err
	}
	if err := l.door.Enqueue(ctx, l.pull, l.row.SeenHeadSHA); err != nil {
		return err
	}
	return m.Queued(ctx, l.row, grounds)
}

// judgedTogether keeps the evidence of all that the pull request carries, and answers the
// grounds of the one that acts for them.
func (w *Worker) judgedTogether(ctx context.Context, m store.Merging, l *look, gates []promotion.Gate) (store.Grounds, error) {
	for _, c := range l.companions {
		if _, err := c.judged(ctx, m, l.gatesFor(c, gates, w.Now())); err != nil {
			return store.Grounds{}, err
		}
	}
	grounds, err := l.judged(ctx, m, gates)
	grounds.Set = l.inSet()
	return grounds, err
}

// checkGroup says on the commit that the merge queue tests what the gates say now,
// and whether that commit makes our edit and nothing else. GitHub merges it when we
// say yes, so this is decided as a merge is: under its lock, on what was read again.
func (w *Worker) checkGroup(ctx context.Context, m store.Merging, l *look, d promotion.Decision) error {
	shown := checklist.RenderCheck(l.withGates(d.Gates), checklist.StateOpen)
	run := github.CheckRun{
		Name: CheckName, HeadSHA: l.queued.GroupSHA, Status: "completed", Conclusion: "failure",
		Title: shown.Title, Summary: shown.Summary, Text: shown.Text, DetailsURL: w.promotionURL(l.row), ExternalID: fmt.Sprint(l.row.ID),
	}
	said := checkHash(shown)
	switch promotion.GroupVerdict(l.facts, d.Gates) {
	case promotion.Wait:
		run.Status, run.Conclusion, said = "in_progress", "", ""
		run.Title = "Waiting for what is ahead in the queue"
	case promotion.Pass:
		switch err := w.guard(ctx, l, l.queued.GroupBase, l.queued.GroupSHA); {
		case err == nil:
			run.Conclusion = "success"
		case fault.KindOf(err).Retryable():
			return err
		default:
			run.Title, run.Summary = "Not what was promoted", checklist.Escape(explain(err))
		}
	}
	if _, err := w.judgedTogether(ctx, m, l, d.Gates); err != nil {
		return err
	}
	id, err := w.publishGroup(ctx, l, run)
	if fault.Is(err, fault.Invalid) || fault.Is(err, fault.NotFound) {
		w.Log.WarnContext(ctx, "GitHub does not take a check on a merge queue's group; it is gone", "promotion", l.row.ID, "group", l.queued.GroupSHA, "error", err)
		return m.GroupGone(ctx, l.row, l.queued.GroupSHA)
	}
	if err != nil {
		return err
	}
	return m.GroupChecked(ctx, l.row, l.queued.GroupSHA, id, run.Conclusion, said)
}

// publishGroup makes our check run on the group, or changes the one that is there.
func (w *Worker) publishGroup(ctx context.Context, l *look, run github.CheckRun) (int64, error) {
	id := l.queued.CheckRunID
	if l.queued.CheckSHA != l.queued.GroupSHA {
		fresh, err := w.Store.Announce(ctx, l.row.ID, "create check on group "+l.queued.GroupSHA)
		if err != nil {
			return 0, err
		}
		if fresh {
			return l.door.CreateCheck(ctx, run)
		}
		found, ok, err := l.door.FindCheck(ctx, l.queued.GroupSHA, CheckName)
		if err != nil {
			return 0, err
		}
		if !ok {
			return l.door.CreateCheck(ctx, run)
		}
		id = found
	}
	return id, l.door.UpdateCheck(ctx, id, run)
}

// groupChanged keeps what a merge queue wants tested. A group around a pull request
// that is not ours gets the check that the pull request itself gets.
func (w *Worker) groupChanged(ctx context.Context, e github.GroupChanged) (string, error) {
	if e.Action != "checks_requested" && e.Action != "destroyed" {
		return "", errNotOurs
	}
	p, err := w.promotionOf(ctx, e.Repo, e.Number)
	switch {
	case err == nil && e.Action == "destroyed":
		return "group gone", w.Store.SawGroup(ctx, p.ID, store.Group{SHA: e.HeadSHA}, reconcileJob(p.ID))
	case err == nil:
		// A delivery that comes late, or again, may tell of a group that is gone; it would
		// take the place of the one that the queue waits for.
		stands, err := w.GitHub.Repo(e.Repo.InstallationID, e.Repo.Owner, e.Repo.Name).Branch(ctx, e.Branch)
		if fault.Is(err, fault.NotFound) || err == nil && stands != e.HeadSHA {
			return "group gone already", nil
		}
		if err != nil {
			return "", err
		}
		return "group to be checked", w.Store.SawGroup(ctx, p.ID, store.Group{SHA: e.HeadSHA, Base: e.BaseSHA}, reconcileJob(p.ID))
	case !errors.Is(err, errNotOurs) || e.Action == "destroyed":
		return "", err
	}
	repo, err := w.envRepo(ctx, e.Repo)
	if err != nil {
		return "", err
	}
	return "somebody's group, to be compared", w.Store.Enqueue(ctx, job.Stranger{
		Repo: repo.ID, HeadSHA: e.HeadSHA, BaseRef: e.BaseRef, BaseSHA: e.BaseSHA,
	})
}
