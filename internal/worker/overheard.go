package worker

import (
	"context"
	"errors"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// heeded is for how long a command is worth obeying, however it became known: later its
// author has done something else.
const heeded = 24 * time.Hour

// overheard looks for comments that no webhook told, and keeps the commands among them.
// A comment is kept once, however it became known.
func (w *Worker) overheard(ctx context.Context, j *river.Job[job.Overheard]) error {
	ctx = github.WithPriority(ctx, github.Polling)
	place := github.RepoRef{Owner: j.Args.Owner, Name: j.Args.Name, ID: j.Args.Number, InstallationID: j.Args.Installation}
	last, err := w.Store.Poll(ctx, store.PollComments, place.Owner+"/"+place.Name)
	if err != nil {
		return err
	}
	every, err := w.listenEvery(ctx, place)
	if err != nil {
		return err
	}
	last.Due = w.Now().Add(every)
	if last.Until.IsZero() {
		// What was said before Tagboat listened was not said to it.
		last.Until = w.listeningSince()
		return w.Store.KeepPoll(ctx, last)
	}
	comments, next, err := w.GitHub.Repo(place.InstallationID, place.Owner, place.Name).RecentComments(ctx, github.Recent{Until: last.Until, Tag: last.Tag})
	if err != nil {
		return w.pollFailed(ctx, last, err)
	}
	quiet := w.Now().Add(-w.Polls.late())
	for _, c := range comments { // oldest first
		if c.At.After(quiet) {
			// Its webhook may be on the way, and tells more. It is looked at next time.
			next = github.Recent{Until: c.At}
			break
		}
		c.Repo = place
		if _, err := w.commented(ctx, store.Delivery{}, c); err != nil {
			return err
		}
	}
	last.Until, last.Tag = next.Until, next.Tag
	return w.Store.KeepPoll(ctx, last)
}

// listenEvery is how often a repository is asked: an env repo more often.
func (w *Worker) listenEvery(ctx context.Context, place github.RepoRef) (time.Duration, error) {
	switch _, err := w.envRepo(ctx, place); {
	case errors.Is(err, errNotOurs):
		return sourcesRarer * w.Polls.GitHub, nil
	default:
		return w.Polls.GitHub, err
	}
}
