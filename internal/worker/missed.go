package worker

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// missed finds out what no webhook told of an env repo's pull requests: GitHub lists
// those that have changed, which is one question for all of them, and free while
// nothing has. Only a check's result changes nothing there; it is asked for apart.
func (w *Worker) missed(ctx context.Context, j *river.Job[job.Missed]) error {
	ctx = github.WithPriority(ctx, github.Polling)
	repo, err := w.Store.Repo(ctx, j.Args.Repo)
	if err != nil {
		return err
	}
	last, err := w.Store.Poll(ctx, store.PollPulls, repo.Owner+"/"+repo.Name)
	if err != nil {
		return err
	}
	last.Due = w.Now().Add(w.Polls.GitHub)
	if err := w.missedPulls(ctx, repo, &last); err != nil {
		return w.pollFailed(ctx, last, err)
	}
	if err := errors.Join(w.missedChecks(ctx, repo), w.missedGroups(ctx, repo)); err != nil {
		return w.pollFailed(ctx, last, err)
	}
	return w.Store.KeepPoll(ctx, last)
}

// missedPulls looks at the pull requests that have changed since the last time, and at
// every one of ours where that is not known, and says how far it has got.
func (w *Worker) missedPulls(ctx context.Context, repo store.Repo, last *store.Poll) error {
	first := last.Until.IsZero()
	next, all := github.Recent{Until: w.listeningSince()}, first
	var changed []github.Pull
	if !first {
		var err error
		if changed, next, all, err = w.repo(repo).RecentPulls(ctx, github.Recent{Until: last.Until, Tag: last.Tag}); err != nil {
			return err
		}
	}
	quiet := w.Now().Add(-w.Polls.late())
	for _, p := range slices.Backward(changed) { // oldest first
		if p.UpdatedAt.After(quiet) {
			// Webhooks may be on the way; and more may change within the second that
			// GitHub tells. It is looked at next time.
			next = github.Recent{Until: p.UpdatedAt}
			break
		}
		err := w.missedPull(ctx, repo, p)
		if err != nil && fault.KindOf(err).Retryable() {
			if !all { // what was looked at need not be looked at again
				here := *last
				here.Until, here.Tag, here.Due = p.UpdatedAt, "", w.Now()
				err = errors.Join(err, w.Store.KeepPoll(ctx, here))
			}
			return err
		}
		if err != nil {
			w.Log.WarnContext(ctx, "a pull request could not be compared with what is known", "repo", repo.Name, "pull", p.Number, "error", err)
		}
	}
	if all {
		if err := w.missedAnywhere(ctx, repo, changed); err != nil {
			return err
		}
	}
	last.Until, last.Tag = next.Until, next.Tag
	return nil
}

// missedAnywhere looks at every open pull request of ours that is not among those that
// were listed.
func (w *Worker) missedAnywhere(ctx context.Context, repo store.Repo, listed []github.Pull) error {
	promotions, err := w.Store.ActivePromotionsOf(ctx, repo.ID)
	if err != nil {
		return err
	}
	for _, p := range promotions {
		number := int(p.PullNumber)
		if number == 0 || p.LedBy != nil || slices.ContainsFunc(listed, func(l github.Pull) bool { return l.Number == number }) {
			continue
		}
		pull, err := w.repo(repo).Pull(ctx, number)
		if err != nil {
			return err
		}
		if err := w.missedOf(ctx, repo, p, pull); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) missedPull(ctx context.Context, repo store.Repo, pull github.Pull) error {
	p, err := w.Store.PromotionByPull(ctx, repo.ID, pull.Number)
	if fault.Is(err, fault.NotFound) {
		return w.missedStranger(ctx, repo, pull)
	}
	if err != nil {
		return err
	}
	if p.State == string(promotion.Closed) && pull.State == pullOpen {
		return w.missedReopening(ctx, repo, p, pull)
	}
	if !promotion.State(p.State).Active() {
		return nil
	}
	return w.missedOf(ctx, repo, p, pull)
}

// missedReopening has a promotion asked for again whose pull request somebody opened
// again.
func (w *Worker) missedReopening(ctx context.Context, repo store.Repo, p store.Promotion, pull github.Pull) error {
	by, known, err := w.repo(repo).ReopenedBy(ctx, pull.Number)
	if err != nil || !known {
		return err
	}
	outcome, err := w.reopened(ctx, store.Delivery{}, p, github.PullChanged{
		Repo: github.RepoRef{Owner: repo.Owner, Name: repo.Name, ID: numberOf(repo)}, Number: pull.Number, Action: "reopened", Pull: pull, Sender: by,
	})
	w.Log.InfoContext(ctx, "no webhook told that a pull request was reopened", "promotion", p.ID, "pull", pull.Number, "outcome", outcome, "error", err)
	return err
}

// missedOf compares a pull request of ours with what is known of it.
func (w *Worker) missedOf(ctx context.Context, repo store.Repo, p store.Promotion, pull github.Pull) error {
	if err := w.missedState(ctx, repo, p, pull); err != nil {
		return err
	}
	if pull.State != pullOpen {
		return nil
	}
	h := &pullHistory{door: w.repo(repo), number: pull.Number}
	if err := w.missedReviews(ctx, p, h); err != nil {
		return err
	}
	return w.missedTicks(ctx, p, pull.Body, h)
}

// pullOpen is the state of a pull request that has not ended.
const pullOpen = "open"

// missedState keeps whether the pull request has ended, and which commit its head is.
func (w *Worker) missedState(ctx context.Context, repo store.Repo, p store.Promotion, pull github.Pull) error {
	if state := seenPull(pull).State; state == p.PullState && pull.HeadSHA == p.SeenHeadSHA {
		return nil
	}
	now, err := w.repo(repo).Pull(ctx, pull.Number) // a list does not tell whether it is behind
	if err != nil {
		return err
	}
	seen, err := w.seen(ctx, p, now)
	if err != nil {
		return err
	}
	w.Log.InfoContext(ctx, "no webhook told how a pull request stands", "promotion", p.ID, "pull", pull.Number, "state", seen.State)
	seen.Body = p.PullBody
	return w.Store.SawPullAndWake(ctx, p.ID, seen, reconcileJob(p.ID))
}

// missedStranger has somebody's pull request looked at that has no check of ours yet.
func (w *Worker) missedStranger(ctx context.Context, repo store.Repo, pull github.Pull) error {
	if pull.State != pullOpen {
		return nil
	}
	checks, err := w.repo(repo).Checks(ctx, pull.HeadSHA)
	if err != nil || w.concluded(checks) != "" {
		return err
	}
	_, err = w.strangers(ctx, github.PullChanged{
		Repo: github.RepoRef{Owner: repo.Owner, Name: repo.Name, ID: numberOf(repo)}, Number: pull.Number, Action: "synchronize", Pull: pull,
	})
	return err
}

// pullHistory is the history of a pull request, read when it is first needed.
type pullHistory struct {
	door   *github.Repo
	number int
	known  *github.History
}

func (h *pullHistory) read(ctx context.Context) (github.History, error) {
	if h.known == nil {
		read, err := h.door.History(ctx, h.number)
		if err != nil {
			return read, err
		}
		h.known = &read
	}
	return *h.known, nil
}

// missedGroups asks which commit the merge queue tests for the pull requests that it
// has: without our check on it, nothing goes on.
func (w *Worker) missedGroups(ctx context.Context, repo store.Repo) error {
	queued, err := w.Store.InQueue(ctx, repo.ID)
	if err != nil {
		return err
	}
	for _, q := range queued {
		sha, base, err := w.repo(repo).Group(ctx, int(q.PullNumber))
		if err != nil {
			return err
		}
		if sha == "" || base == "" || sha == q.GroupSHA {
			continue
		}
		if err := w.Store.SawGroup(ctx, q.ID, store.Group{SHA: sha, Base: base}, reconcileJob(q.ID)); err != nil {
			return err
		}
	}
	return nil
}

// checksAtOnce bounds how many heads one look asks about.
const checksAtOnce = 20

// longestBetween is how rarely a head is asked about that has waited for its checks
// for long.
const longestBetween = time.Hour

// missedChecks asks about the heads that wait for checks, those first that were asked
// about longest ago. The longer one waits, the more rarely.
func (w *Worker) missedChecks(ctx context.Context, repo store.Repo) error {
	waiting, err := w.Store.WaitingFor(ctx, repo.ID, promotion.GateChecks)
	if err != nil {
		return err
	}
	of := map[string]store.Promotion{}
	var subjects []string
	for _, p := range waiting {
		subject := strconv.FormatInt(p.ID, 10)
		of[subject], subjects = p, append(subjects, subject)
	}
	due, err := w.Store.DuePolls(ctx, store.PollChecks, subjects)
	if err != nil {
		return err
	}
	for _, last := range due[:min(len(due), checksAtOnce)] {
		p := of[last.Subject]
		if err := w.missedChecksOf(ctx, repo, p); err != nil {
			return err
		}
		if last.Tag != p.SeenHeadSHA {
			last.Tag, last.Until = p.SeenHeadSHA, w.Now() // since when this head is asked about
		}
		last.Due = w.Now().Add(min(max(w.Polls.GitHub, w.Now().Sub(last.Until)/4), longestBetween))
		if err := w.Store.KeepPoll(ctx, last); err != nil {
			return err
		}
	}
	return nil
}

func (w *Worker) missedChecksOf(ctx context.Context, repo store.Repo, p store.Promotion) error {
	listed, err := w.repo(repo).Checks(ctx, p.SeenHeadSHA)
	if err != nil {
		return err
	}
	known, err := w.Store.Checks(ctx, repo.ID, p.SeenHeadSHA)
	if err != nil {
		return err
	}
	for _, c := range listed {
		result := checkResult(repo.ID, p.SeenHeadSHA, c)
		if c.AppID == w.GitHub.ID() && c.Name == CheckName || slices.ContainsFunc(known, func(k store.CheckResult) bool { return says(k, result) }) {
			continue
		}
		if _, err := w.Store.SeeCheck(ctx, result, reconcileJob); err != nil {
			return err
		}
	}
	return nil
}

// says reports whether what is known of a check is what is told of it, or newer.
func says(known, told store.CheckResult) bool {
	same := known.Kind == told.Kind && known.AppID == told.AppID && known.Name == told.Name
	return same && (known.Status == told.Status && known.Conclusion == told.Conclusion || known.ObservedAt.After(told.ObservedAt))
}
