package worker

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// Polls is how often Tagboat looks by itself for what it is told of otherwise. Zero is
// never.
type Polls struct {
	GitHub     time.Duration // an env repo's pull requests and comments
	Registries time.Duration // an image's tags
}

const (
	// sourcesRarer is by how much the repositories of applications are asked more rarely
	// for comments than env repos are.
	sourcesRarer = 5
	// sourcesKnown is for how long a repository is listened to after an image of it was
	// last verified.
	sourcesKnown = 90 * 24 * time.Hour
	// sourcesAtOnce and imagesAtOnce bound what one sweep has asked: of all sources, and
	// of each registry.
	sourcesAtOnce = 30
	imagesAtOnce  = 30
)

// late is how old something has to be before it is looked for: until then whoever tells
// of it may still be on the way.
func (p Polls) late() time.Duration { return min(time.Minute, p.GitHub/2) }

// listeningSince is where a list is read from that was never read: clocks differ, and
// GitHub's shows seconds.
func (w *Worker) listeningSince() time.Time { return w.Now().Add(-time.Minute).Truncate(time.Second) }

// poll has those lists read whose time has come.
func (w *Worker) poll(ctx context.Context) error {
	var errs [2]error
	if w.Polls.GitHub > 0 {
		errs[0] = w.pollGitHub(ctx)
	}
	if w.Polls.Registries > 0 {
		errs[1] = w.pollRegistries(ctx)
	}
	return errors.Join(errs[:]...)
}

func (w *Worker) pollGitHub(ctx context.Context) error {
	if err := w.Store.ForgetPolls(ctx); err != nil {
		return err
	}
	repos, err := w.repos(ctx)
	if err != nil {
		return err
	}
	var names []string
	places := map[string]github.Repository{} // by name
	ids := map[string]int64{}
	for _, r := range repos {
		name := r.Owner + "/" + r.Name
		names, ids[name] = append(names, name), r.ID
		places[name] = github.Repository{Owner: r.Owner, Name: r.Name, ID: numberOf(r), InstallationID: r.InstallationID}
	}
	due, err := w.Store.DuePolls(ctx, store.PollPulls, names)
	if err != nil {
		return err
	}
	for _, p := range due {
		if err := w.Store.Enqueue(ctx, job.Missed{Repo: ids[p.Subject]}); err != nil {
			return err
		}
	}
	if err := w.listen(ctx, places, len(names)); err != nil {
		return err
	}
	sources, err := w.sources(ctx, places)
	if err != nil {
		return err
	}
	return w.listen(ctx, sources, sourcesAtOnce)
}

// pollFailed ends a poll that could not be made. What no retry can mend is tried again
// when the next one is due; anything else by the next sweep.
func (w *Worker) pollFailed(ctx context.Context, p store.Poll, err error) error {
	if fault.KindOf(err).Retryable() {
		return err
	}
	w.Log.WarnContext(ctx, "a poll could not be made", "kind", p.Kind, "subject", p.Subject, "error", err)
	return w.Store.KeepPoll(ctx, p)
}

// numberOf is GitHub's number of an env repo; 0 where it is not known yet.
func numberOf(r store.Repo) int64 {
	if r.GithubID == nil {
		return 0
	}
	return *r.GithubID
}

// listen has repositories asked for new comments.
func (w *Worker) listen(ctx context.Context, places map[string]github.Repository, most int) error {
	var names []string
	for name := range places {
		names = append(names, name)
	}
	slices.Sort(names)
	due, err := w.Store.DuePolls(ctx, store.PollComments, names)
	if err != nil {
		return err
	}
	for _, p := range due[:min(len(due), most)] {
		at := places[p.Subject]
		if err := w.Store.Enqueue(ctx, job.Overheard{Owner: at.Owner, Name: at.Name, Number: at.ID, Installation: at.InstallationID}); err != nil {
			return err
		}
	}
	return nil
}

// sources are the repositories that images are built from and that the App is
// installed on, but for env repos.
func (w *Worker) sources(ctx context.Context, envRepos map[string]github.Repository) (map[string]github.Repository, error) {
	named, err := w.Store.SourceRepos(ctx, w.Now().Add(-sourcesKnown))
	if err != nil {
		return nil, err
	}
	sources := map[string]github.Repository{}
	for _, full := range named {
		at := slices.IndexFunc(w.swept.installed, func(r github.Repository) bool { return sameName(r.Owner+"/"+r.Name, full) })
		if at < 0 {
			continue
		}
		r := w.swept.installed[at]
		if _, is := envRepos[r.Owner+"/"+r.Name]; !is {
			sources[r.Owner+"/"+r.Name] = r
		}
	}
	return sources, nil
}

// pollRegistries has the registries asked for the images that overlays set, of all env
// repos that can be read.
func (w *Worker) pollRegistries(ctx context.Context) error {
	repos, err := w.repos(ctx)
	if err != nil {
		return err
	}
	var images []string
	var unread []error
	for _, repo := range repos {
		uses, err := w.usesIn(ctx, repo, func(p envrepo.Pair) bool { return p.Err == nil })
		if fault.KindOf(err).Retryable() {
			unread = append(unread, err) // any other its survey tells
		}
		for _, u := range uses {
			images = append(images, slices.DeleteFunc(slices.Clone(u.pair.Moves()), func(name string) bool { return registryOf(name) == "" })...)
		}
	}
	slices.Sort(images)
	due, err := w.Store.DuePolls(ctx, store.PollTags, slices.Compact(images))
	if err != nil {
		return err
	}
	asked := map[string]int{} // by registry
	for _, p := range due {
		host := registryOf(p.Subject)
		if asked[host]++; asked[host] > imagesAtOnce {
			continue
		}
		if err := w.Store.Enqueue(ctx, job.Tags{Image: p.Subject}); err != nil {
			return err
		}
	}
	return errors.Join(unread...)
}

// registryOf is the part of an image's name that stands for its registry: what limits
// are of. It is "" where the name has none: a chart that its file names apart from its
// repository, or an image of which only tools know where it is.
func registryOf(image string) string {
	host, _, found := strings.Cut(image, "/")
	if !found || !strings.ContainsAny(host, ".:") && host != "localhost" {
		return ""
	}
	return host + "/"
}
