package worker

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// The commits between what runs and what is to run are shown, and decide nothing:
// whatever keeps them from being known is said in their place, and never holds a
// promotion up.

const (
	// betweenWithin is how long a look waits for them.
	betweenWithin = 5 * time.Second
	// passingFor is how long an answer holds that may be another one in a moment,
	// refusedFor that of one that a person has to act on.
	passingFor, refusedFor = time.Minute, 10 * time.Minute
	// betweenKept is for how many pairs of commits, and for how many images, the answer
	// is remembered in this process.
	betweenKept = 1024
)

// origin is what an image was built from, or why that is not known.
type origin struct {
	repo, commit string
	unknown      string
	until        time.Time // zero: it holds for good
}

// lying is what lies between two commits, as it is shown.
type lying struct {
	shown checklist.Between
	until time.Time // zero: it holds for good
}

// between finds the commits between the image that the newest base pins and the
// promoted one.
func (l *look) between(ctx context.Context) error {
	old := l.edit.Old
	if l.facts.Back != nil || l.facts.Plan.Err != "" || l.facts.Plan.Nothing || old.Tag == "" && old.Digest == "" {
		return nil
	}
	short, cancel := context.WithTimeout(ctx, betweenWithin)
	defer cancel()
	found := l.lying(short, old)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	l.model.Between = &found.shown
	l.again = earlier(l.again, found.until)
	return nil
}

func (l *look) lying(ctx context.Context, old image.Ref) lying {
	is := l.w.told("This image", l.artifact.SourceRepo, l.artifact.SourceCommit)
	if is.unknown != "" {
		return unknown(is.until, "%s", is.unknown)
	}
	was := l.w.originOf(ctx, image.Ref{Name: l.artifact.Image, Tag: old.Tag, Digest: old.Digest})
	if was.unknown != "" {
		return unknown(was.until, "%s", was.unknown)
	}
	if !sameName(was.repo, is.repo) {
		return unknown(time.Time{}, "the image that is pinned now was built from %s, this one from %s.", was.repo, is.repo)
	}
	// Whoever pushes an image says what it was built from. The App sees repositories of
	// other owners, too, whose commits are not for everybody's eyes.
	if owner, _, _ := strings.Cut(is.repo, "/"); !sameName(owner, l.repo.Owner) {
		return unknown(time.Time{}, "%s belongs to another owner than %s/%s: only commits of the same owner's repositories are shown.", is.repo, l.repo.Owner, l.repo.Name)
	}
	key := strings.ToLower(is.repo) + " " + was.commit + " " + is.commit
	if known, ok := l.w.lying.Get(key); ok && known.holds(l.w.Now()) {
		return known
	}
	found := l.w.compareSources(ctx, is.repo, was.commit, is.commit)
	l.w.lying.Add(key, found)
	return found
}

func (k lying) holds(now time.Time) bool  { return k.until.IsZero() || now.Before(k.until) }
func (o origin) holds(now time.Time) bool { return o.until.IsZero() || now.Before(o.until) }

func unknown(until time.Time, format string, args ...any) lying {
	return lying{shown: checklist.Between{Unknown: fmt.Sprintf(format, args...)}, until: until}
}

// told judges what an image, or CI for it, says that it was built from.
func (w *Worker) told(what, repo, commit string) origin {
	switch {
	case repo == "" || commit == "":
		return origin{unknown: what + " does not say which commit it was built from, neither by its labels org.opencontainers.image.source and .revision nor through CI."}
	case !image.IsSourceRepository(repo):
		return origin{unknown: fmt.Sprintf("%s says that it was built from “%s”, which is no repository on %s.", what, repo, w.GitHub.Host())}
	case !image.IsRevision(commit):
		return origin{unknown: fmt.Sprintf("%s says that it was built from the commit “%s”, which is no full commit id.", what, commit)}
	}
	return origin{repo: repo, commit: commit}
}

// originOf is what the image was built from that is pinned now. One that was there
// before Tagboat is in no ledger: its registry is asked, for the digest.
func (w *Worker) originOf(ctx context.Context, ref image.Ref) origin {
	const what = "The image that is pinned now"
	var known store.Artifact
	var err error
	if ref.Digest != "" {
		known, err = w.Store.ArtifactByDigest(ctx, ref.Name, ref.Digest)
	} else {
		known, err = w.Store.ArtifactByTag(ctx, ref.Name, ref.Tag)
	}
	switch {
	case err == nil:
		return w.told(what, known.SourceRepo, known.SourceCommit)
	case !fault.Is(err, fault.NotFound):
		return origin{unknown: "what is pinned now could not be looked up; Tagboat looks again.", until: w.Now().Add(passingFor)}
	case ref.Digest == "":
		return origin{unknown: "Tagboat has not verified the image that is pinned now, which has no digest.", until: w.Now().Add(refusedFor)}
	}
	key := ref.Name + "@" + ref.Digest
	if o, ok := w.origins.Get(key); ok && o.holds(w.Now()) {
		return o
	}
	o := w.askOrigin(ctx, what, ref)
	w.origins.Add(key, o)
	return o
}

func (w *Worker) askOrigin(ctx context.Context, what string, ref image.Ref) origin {
	found, err := w.Registry.ResolveDigest(ctx, ref.Name, ref.Digest)
	switch {
	case err == nil:
		repo, commit := w.labelled(found)
		return w.told(what, repo, commit)
	case fault.KindOf(err).Retryable() || ctx.Err() != nil:
		return origin{unknown: "the registry could not be asked about the image that is pinned now; Tagboat asks again.", until: w.again(err)}
	}
	return origin{unknown: what + " could not be read: " + explain(err), until: w.Now().Add(refusedFor)}
}

// again is when to ask again after an error that passes.
func (w *Worker) again(err error) time.Time {
	at := w.Now().Add(passingFor)
	if until := fault.UntilOf(err); until.After(at) {
		return until
	}
	return at
}

// compareSources asks GitHub once for all replicas. Commits do not change; where
// their history is rewritten, what lay between them is still told as it was.
func (w *Worker) compareSources(ctx context.Context, repo, base, head string) lying {
	found := checklist.Between{Repo: repo}
	known, err := w.Store.Comparison(ctx, repo, base, head, &found)
	if err == nil && !known {
		if found, err = w.askComparison(ctx, repo, base, head); err == nil {
			err = w.Store.KeepComparison(ctx, repo, base, head, &found)
		}
	}
	switch {
	case err == nil:
		return lying{shown: found}
	case fault.Is(err, fault.NotFound) && found.Repo == "":
		return unknown(w.Now().Add(refusedFor), "Tagboat's GitHub App is not installed on %s. Install it there to see the commits between the two versions here.", repo)
	case fault.Is(err, fault.NotFound):
		return unknown(w.Now().Add(refusedFor), "%s has no commits %s and %s that could be compared: its history was rewritten, or what the images say of it is not true.", repo, short(base), short(head))
	case fault.KindOf(err).Retryable() || ctx.Err() != nil:
		w.Log.InfoContext(ctx, "GitHub could not be asked what lies between two versions", "repo", repo, "error", err)
		return unknown(w.again(err), "GitHub could not be asked about %s; Tagboat asks again.", repo)
	}
	return unknown(w.Now().Add(refusedFor), "%s could not be read: %s", repo, explain(err))
}

// askComparison asks with the rights of the App's installation on the source
// repository. Without a Repo in the answer there is no such installation.
func (w *Worker) askComparison(ctx context.Context, repo, base, head string) (checklist.Between, error) {
	owner, name, _ := strings.Cut(repo, "/")
	installation, err := w.GitHub.Installation(ctx, owner, name)
	if err != nil {
		return checklist.Between{}, err
	}
	found := checklist.Between{Repo: repo}
	c, err := w.GitHub.Repo(installation, owner, name).Compare(ctx, base, head, checklist.MaxCommits)
	if err != nil {
		return found, err
	}
	found.Ahead, found.Behind, found.URL = c.Ahead, c.Behind, c.URL
	for _, n := range c.Newest {
		found.Newest = append(found.Newest, checklist.Commit(n))
	}
	return found, nil
}

// earlier is the first of two times, of which either may be none.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
