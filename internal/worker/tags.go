package worker

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// tags looks for versions of an image that its registry, or CI, did not tell, and
// whether the newest that is known was moved. Only the newest that an environment would
// take is verified: what lies before it was to be skipped anyway.
func (w *Worker) tags(ctx context.Context, j *river.Job[job.Tags]) error {
	name := j.Args.Image
	last, err := w.Store.Poll(ctx, store.PollTags, name)
	if err != nil {
		return err
	}
	// An env repo that cannot be read does not keep the others from getting new versions.
	uses, unread := w.uses(ctx, name)
	if len(uses) == 0 && unread != nil {
		last.Due = w.Now().Add(w.Polls.Registries)
		return w.pollFailed(ctx, last, unread)
	}
	listed, pages, err := w.Registry.Tags(ctx, name)
	if err == nil {
		err = w.verifyNew(ctx, name, uses, listed, &last)
	}
	every := w.Polls.Registries * time.Duration(max(1, pages))
	last.Due = w.Now().Add(every)
	if fault.Is(err, fault.RateLimited) {
		last.Due = later(last.Due, fault.UntilOf(err))
		// All of the registry's images: the limit is the registry's.
		if err := w.Store.PostponePolls(ctx, store.PollTags, registryOf(name), fault.UntilOf(err)); err != nil {
			return err
		}
	}
	if err != nil {
		w.Log.InfoContext(ctx, "a registry could not be asked for new versions", "image", name, "error", err)
	}
	last.Until = w.Now()
	return w.Store.KeepPoll(ctx, last)
}

// verifyNew has those versions verified that are not in the tag ledger, once each: what
// is refused is not asked for again.
func (w *Worker) verifyNew(ctx context.Context, name string, uses []use, listed []string, last *store.Poll) error {
	newest := wanted(uses, listed)
	ledger, err := w.Store.LedgerOf(ctx, name, newest)
	if err != nil {
		return err
	}
	asked := strings.Fields(last.Tag)
	for _, tag := range newest {
		known, entered := ledger[tag]
		if entered {
			now, err := w.Registry.Digest(ctx, name, tag)
			if err != nil {
				return err
			}
			if now == known {
				continue
			}
			tag = tag + "@" + now // moved to that
		}
		if slices.Contains(asked, tag) {
			continue
		}
		version, _, _ := strings.Cut(tag, "@")
		w.Log.InfoContext(ctx, "nobody told of a version", "image", name, "tag", tag)
		if err := w.Store.Enqueue(ctx, job.Verify{Image: name, Tag: version}); err != nil {
			return err
		}
		asked = append(asked, tag)
	}
	last.Tag = strings.Join(asked[max(0, len(asked)-mostRemembered):], " ")
	return nil
}

// mostRemembered is how many versions of an image are remembered as asked for.
const mostRemembered = 20

// wanted are the versions that environments would take by themselves, each the newest
// for one of them, and the newest of all: people may ask for that.
func wanted(uses []use, listed []string) (tags []string) {
	add := func(tag string) {
		if tag != "" && !slices.Contains(tags, tag) {
			tags = append(tags, tag)
		}
	}
	for _, u := range uses {
		add(u.base.config.NewestFollowed(u.env, listed))
	}
	add(envrepo.NewestVersion(listed))
	return tags
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
