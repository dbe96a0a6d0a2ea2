package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// brokenCheck is the check run on a commit of the default branch whose tagboat.yaml
// cannot be used. No branch requires it: it is there to be seen.
const brokenCheck = envrepo.File

// unusable writes down why a configuration cannot be used, for the board and on the
// commit that brought it, and has the open pull requests say so. Targets stay as they
// are: what cannot be read is not gone (I6).
func (w *Worker) unusable(ctx context.Context, repo store.Repo, cause error) error {
	if !fault.Is(cause, fault.Invalid) {
		return w.outOfReach(ctx, cause)
	}
	if err := w.Store.SetConfigError(ctx, repo.ID, explain(cause)); err != nil {
		return err
	}
	if err := w.Store.WakeRepo(ctx, repo.ID, reconcileJob); err != nil {
		return err
	}
	return w.tellBroken(ctx, repo, cause)
}

// outOfReach has it found out why GitHub does not let an env repo be read: the App may
// be suspended or removed, or the repository or its default branch be called otherwise,
// without Tagboat having been told. It may as well be there and stay unreadable, as one
// without a commit is: nothing new is learnt of that, so it is not asked at every look.
func (w *Worker) outOfReach(ctx context.Context, cause error) error {
	if !fault.Is(cause, fault.Denied) && !fault.Is(cause, fault.NotFound) {
		return cause
	}
	if !errors.Is(cause, github.ErrAbsent) && !w.unread.again(w.Now()) {
		return cause
	}
	return errors.Join(cause, w.Store.Enqueue(ctx, job.Learn{}))
}

// wonderEvery is how often it is asked why env repos cannot be read.
const wonderEvery = time.Minute

// wonder is when that was asked last. Surveys and syncs ask side by side.
type wonder struct {
	mu   sync.Mutex
	last time.Time
}

// again reports whether it is time to ask, and takes it that whoever asks here does.
func (a *wonder) again(now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if now.Sub(a.last) < wonderEvery {
		return false
	}
	a.last = now
	return true
}

// tellBroken shows the error on the default branch's commit, once, where whoever pushed
// it looks. Nobody has to see to it any more when the next commit mends it.
func (w *Worker) tellBroken(ctx context.Context, repo store.Repo, cause error) error {
	commit, err := w.bases.head(ctx, repo, repo.DefaultBranch, recentEnough)
	if err != nil || repo.ConfigTold == commit || repo.Presence == store.PresenceArchived {
		return err
	}
	door := w.repo(repo)
	checks, err := door.Checks(ctx, commit) // the answer to an earlier attempt may have been lost
	if err != nil {
		return err
	}
	if slices.ContainsFunc(checks, func(c github.Check) bool { return c.AppID == w.GitHub.ID() && c.Name == brokenCheck }) {
		return w.Store.RecordConfigTold(ctx, repo, 0, commit)
	}
	id, err := door.CreateCheck(github.WithPriority(ctx, github.Checking), github.CheckRun{
		Name: brokenCheck, HeadSHA: commit, Status: "completed", Conclusion: "failure", Title: "Nothing merges until it is mended",
		Summary: fmt.Sprintf("%s\n\nUntil this is mended, Tagboat merges nothing here, and leaves everything that runs as it is. `tagboat validate` says the same about a checkout.",
			listed([]string{checklist.Escape(explain(cause))})),
		Annotations: located(cause),
	})
	if err != nil {
		return err
	}
	return w.Store.RecordConfigTold(ctx, repo, id, commit)
}

// located are the lines that an error about configuration is about.
func located(err error) (remarks []github.Annotation) {
	for _, p := range envrepo.Problems(err) {
		if len(remarks) == maxRemarks {
			break
		}
		remarks = append(remarks, github.Annotation{Path: p.File, Line: max(p.Line, 1), Level: "failure", Title: "Tagboat cannot use this", Message: p.Message})
	}
	return remarks
}
