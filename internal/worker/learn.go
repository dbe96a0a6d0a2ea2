package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// learnEvery is how often the installations are listed without being told: one
	// request, and one for each hundred repositories.
	learnEvery = 10 * time.Minute
	// mostAsked is how many repositories are asked at once whether they have a
	// tagboat.yaml. The next sweep asks the others.
	mostAsked = 50
	// settledAfter is how old a push has to be to say anything: GitHub tells its time in
	// seconds, and a moment late.
	settledAfter = time.Minute
)

// learn finds out where the App is installed, and so which env repos there are, what
// they are called, and in which of them it may work.
func (w *Worker) learn(ctx context.Context, _ *river.Job[job.Learn]) error { return w.seeRepos(ctx) }

func (w *Worker) learnSometimes(ctx context.Context) error {
	if w.Now().Sub(w.swept.learnt) < learnEvery {
		return nil
	}
	return w.seeRepos(ctx)
}

// seeRepos brings what is known of env repos up to date. What GitHub did not tell, of
// one installation or of all, stays as it was (I6).
func (w *Worker) seeRepos(ctx context.Context) error {
	known, err := w.Store.Repos(ctx)
	if err != nil {
		return err
	}
	l := &learning{w: w, began: w.Now(), known: known, seen: map[int64]bool{}, installations: map[int64]string{}}
	if err := l.list(ctx); err != nil {
		return err
	}
	if l.known, err = w.Store.Repos(ctx); err != nil { // as they are called now
		return err
	}
	err = errors.Join(append(l.failed, l.away(ctx), l.missing(ctx))...)
	if err == nil && l.unasked == 0 {
		w.swept.learnt = w.Now()
	}
	return err
}

// learning is one round of it.
type learning struct {
	w             *Worker
	began         time.Time
	known         []store.Repo
	seen          map[int64]bool   // by GitHub's number
	installations map[int64]string // what became of each: "listed", "suspended", or "" where that could not be found out
	asked         int
	unasked       int // repositories that may be env repos, and were not asked
	failed        []error
}

func (l *learning) list(ctx context.Context) error {
	all, err := l.w.GitHub.Installations(ctx)
	if err != nil {
		return fmt.Errorf("list where the App is installed: %w", err)
	}
	var installed []github.Repository
	defer func() { l.w.swept.installed = installed }()
	for _, in := range all {
		l.installations[in.ID] = ""
		if in.Suspended {
			l.installations[in.ID] = store.PresenceSuspended
			continue
		}
		repos, err := l.w.GitHub.Repositories(ctx, in.ID)
		switch {
		case errors.Is(err, github.ErrAbsent):
			// It was suspended or removed meanwhile, which the next round sees.
		case err != nil:
			l.failed = append(l.failed, err)
		default:
			l.installations[in.ID] = store.PresenceInstalled
			installed = append(installed, repos...)
			for _, r := range repos {
				if err := l.see(ctx, r); err != nil {
					l.failed = append(l.failed, err)
				}
			}
		}
	}
	return nil
}

// see keeps a repository, if it is an env repo.
func (l *learning) see(ctx context.Context, r github.Repository) error {
	l.seen[r.ID] = true
	is, err := l.isEnvRepo(ctx, r)
	if err != nil || !is {
		return err
	}
	was, known := l.was(r.ID)
	now, err := l.w.Store.SeeRepo(ctx, store.SeenRepo{
		GitHubID: r.ID, Owner: r.Owner, Name: r.Name, Installation: r.InstallationID, DefaultBranch: r.DefaultBranch, Archived: r.Archived,
	}, reconcileJob)
	if err != nil || !store.Readable(now) || !l.w.EnvRepos.Means(now) {
		return err
	}
	// It is new, back, or has another default branch. One that was there already is
	// surveyed by the sweep: what cannot be read has it learnt why, and that must not
	// have it read again.
	if !known || was.Presence != now.Presence || was.DefaultBranch != now.DefaultBranch {
		return l.w.Store.Enqueue(ctx, job.Survey{Repo: now.ID})
	}
	return nil
}

// was is what was known of an env repo, by GitHub's number, before this round.
func (l *learning) was(number int64) (r store.Repo, known bool) {
	i := slices.IndexFunc(l.known, func(k store.Repo) bool { return k.GithubID != nil && *k.GithubID == number })
	if i < 0 {
		return r, false
	}
	return l.known[i], true
}

// isEnvRepo: one that is known stays one. Of the others, those that are named in the
// configuration are; where it leaves open which are, those with a tagboat.yaml.
func (l *learning) isEnvRepo(ctx context.Context, r github.Repository) (bool, error) {
	if _, known := l.was(r.ID); known {
		return true, nil
	}
	may, named := l.w.EnvRepos.May(r.Owner, r.Name, r.ID)
	if !may || named {
		return named, nil
	}
	if at, asked := l.w.swept.without[r.ID]; asked && at.Equal(r.PushedAt) || r.Archived {
		return false, nil // it had none, and nobody has pushed since
	}
	if l.asked++; l.asked > mostAsked {
		l.unasked++
		return false, nil
	}
	has, err := l.w.GitHub.Repo(r.InstallationID, r.Owner, r.Name).HasFile(ctx, envrepo.File)
	if err == nil && !has && l.w.Now().Sub(r.PushedAt) > settledAfter {
		l.w.swept.without[r.ID] = r.PushedAt
	}
	return has, err
}

// away keeps which env repos cannot be worked in any more. One that another process has
// seen since this round began may be newer than the lists that it is not in.
func (l *learning) away(ctx context.Context) error {
	for _, r := range l.known {
		if r.GithubID != nil && l.seen[*r.GithubID] || !l.w.EnvRepos.Means(r) || !r.SeenAt.Before(l.began) {
			continue
		}
		presence := store.PresenceRemoved
		if state, exists := l.installations[r.InstallationID]; exists {
			if presence = state; state == "" {
				continue
			}
			if state == store.PresenceInstalled {
				presence = store.PresenceRemoved // the installation is there, without this repository
			}
		}
		if err := l.w.Store.RepoAway(ctx, r.ID, presence, "", reconcileJob); err != nil {
			return err
		}
		if r.Presence != presence {
			l.w.Log.WarnContext(ctx, "an env repo is away: its promotions rest, and its clusters stay as they are", "repo", r.Owner+"/"+r.Name, "presence", presence)
		}
	}
	return nil
}

// missing keeps which env repos are named in the configuration although the App is
// not installed there.
func (l *learning) missing(ctx context.Context) error {
	for _, s := range l.w.EnvRepos {
		if s.Name == "" || s.Number != 0 {
			continue
		}
		missed, err := l.w.Store.MissRepo(ctx, s.Owner, s.Name)
		if err != nil {
			return err
		}
		if missed {
			l.w.Log.WarnContext(ctx, "the GitHub App is not installed on an env repo: install it there, with the permissions of deploy/github-app.yaml", "repo", s.String())
		}
	}
	return nil
}

// repos are the env repos that are worked in now. One that was taken out of the
// configuration is remembered, and left alone.
func (w *Worker) repos(ctx context.Context) ([]store.Repo, error) {
	known, err := w.Store.Repos(ctx)
	return slices.DeleteFunc(known, func(r store.Repo) bool { return !w.EnvRepos.Means(r) || !store.Readable(r) }), err
}
