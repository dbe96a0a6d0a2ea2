package worker

import (
	"cmp"
	"context"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// wayBack is where a pair leads back to, and what is taken back by going there.
type wayBack struct {
	bad, to image.Ref
	undone  []promotion.Change // the newest first
	brought int64              // the promotion that brought bad; 0 where nobody knows
	further bool
}

// wayBack finds what a pair had before. What was merged by way of Tagboat is looked at
// first; where that does not lead back, the history in Git is.
func (w *Worker) wayBack(ctx context.Context, u use, name string) (back wayBack, err error) {
	if back.bad, err = pinned(u, name); err != nil {
		return back, err
	}
	history, err := w.Store.MergedHistory(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if err != nil {
		return back, err
	}
	denials, err := w.Store.Denials(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if err != nil {
		return back, err
	}
	takings, err := w.Store.Takings(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if err != nil {
		return back, err
	}
	denied := func(r image.Ref) bool { return deniedAmong(denials, name, r) }
	past := merged(history, name)
	to, undone, ok := promotion.WayBack(back.bad, past, denied)
	if !ok {
		if past, err = w.committed(ctx, u, name); err != nil {
			return back, err
		}
		markBack(past, takings)
		to, undone, ok = promotion.WayBack(back.bad, past, denied)
	}
	if !ok {
		return back, fault.Errorf(fault.NotFound, "Nothing is known that %s had before %s and may have again. Revert the commit that brought it, with git revert: Tagboat takes that for a rollback.",
			inPlain(u.pair.App, u.env.Name), cmp.Or(back.bad.Tag, image.ShortDigest(back.bad.Digest)))
	}
	to.Name = name
	back.to, back.undone = to, undone
	back.further = len(undone) > 1 || len(past) > 0 && past[0].Back || len(history) > 0 && history[0].Promotion.Kind == store.KindRollback
	for _, h := range history {
		if h.Promotion.MergeSHA != undone[0].Commit {
			continue
		}
		back.brought = h.Promotion.ID
		// By whomever, and however: what is there now is what was gone back to.
		back.further = back.further || len(takings) > 0 && h.Promotion.MergedAt != nil && takings[0].At.After(*h.Promotion.MergedAt)
	}
	return back, nil
}

// merged are the changes of a pair's image that Tagboat knows to be merged.
func merged(history []store.MergedChange, name string) (past []promotion.Change) {
	for _, h := range history {
		if h.Artifact.Image != name {
			continue
		}
		past = append(past, promotion.Change{
			From:   image.Ref{Name: name, Tag: h.Promotion.OldTag, Digest: h.Promotion.OldDigest},
			To:     image.Ref{Name: name, Tag: h.Artifact.Tag, Digest: h.Artifact.Digest},
			Commit: h.Promotion.MergeSHA, Back: h.Promotion.Kind == store.KindRollback,
		})
	}
	return past
}

// markBack marks the changes that took something back, whoever made them and whatever
// became of the denial since: Git does not tell a revert from any other commit.
func markBack(past []promotion.Change, takings []store.Taking) {
	for i := range past {
		past[i].Back = slices.ContainsFunc(takings, func(t store.Taking) bool { return t.CommitSHA == past[i].Commit })
	}
}

func deniedAmong(denials []store.Denial, name string, r image.Ref) bool {
	for _, d := range denials {
		if d.Image == name && (r.Digest != "" && d.Digest == r.Digest || r.Digest == "" && d.Tag == r.Tag) {
			return true
		}
	}
	return false
}

// stillThere is the artifact that a pair had before, proven to be pullable now. Its
// digest is asked for: the tag may have been deleted or moved since, and changes nothing
// about what ran here.
func (w *Worker) stillThere(ctx context.Context, back wayBack) (store.Artifact, error) {
	to := back.to
	if to.Digest == "" {
		return w.known(ctx, to.Name, to.Tag) // all that is known is what its tag means
	}
	found, err := w.Registry.ResolveDigest(ctx, to.Name, to.Digest)
	if fault.Is(err, fault.NotFound) {
		return store.Artifact{}, fault.Errorf(fault.Denied, "The registry does not have %s any more, which was %s (%s). Push that very image again, or go forward with a version that is mended.",
			image.ShortDigest(to.Digest), to.Tag, to.Name)
	}
	if err != nil {
		return store.Artifact{}, err
	}
	a, err := w.Store.ArtifactByDigest(ctx, to.Name, to.Digest)
	if !fault.Is(err, fault.NotFound) {
		return a, err
	}
	if to.Tag == "" {
		return a, fault.Errorf(fault.Denied, "%s was pinned without a tag, and before Tagboat came, so it has no name. Revert the commit that brought what is there now, with git revert.", image.ShortDigest(to.Digest))
	}
	// From before Tagboat came: what Git says of the tag was true when it was deployed.
	a, err = w.Store.Ledger(ctx, w.described(store.Verified{Image: to.Name, Tag: to.Tag, Digest: to.Digest}, found))
	if err == nil && a.Digest != to.Digest {
		err = fault.Errorf(fault.Denied, "%s was pinned as %s, but that tag was verified as %s later: it was moved. Revert the commit that brought what is there now, with git revert.",
			to.Tag, image.ShortDigest(to.Digest), image.ShortDigest(a.Digest))
	}
	return a, err
}

// badArtifact is what is taken back as the ledger has it, where it does: an overlay that
// pins a tag alone says no digest, and one that pins a digest alone no tag.
func (w *Worker) badArtifact(ctx context.Context, bad image.Ref) (a store.Artifact, err error) {
	if bad.Digest != "" {
		a, err = w.Store.ArtifactByDigest(ctx, bad.Name, bad.Digest)
	} else {
		a, err = w.Store.ArtifactByTag(ctx, bad.Name, bad.Tag)
	}
	if fault.Is(err, fault.NotFound) {
		return store.Artifact{}, nil
	}
	return a, err
}

// subject is the first line of a commit of the env repo; "" where the commit is gone.
func (w *Worker) subject(ctx context.Context, repo store.Repo, sha string) (string, error) {
	mirror, err := w.bases.mirror(repo)
	if err != nil {
		return "", err
	}
	c, err := mirror.Commit(ctx, sha)
	if fault.Is(err, fault.NotFound) {
		return "", nil
	}
	return c.Subject, err
}
