package worker

import (
	"context"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/store"
)

// pinned is what an overlay pins now for an image.
func pinned(u use, name string) (image.Ref, error) {
	data, err := u.base.tree.ReadFile(u.pair.File)
	if err != nil {
		return image.Ref{}, err
	}
	return overlay.Current(u.pair.File, data, name)
}

// pins reports whether an overlay pins an artifact already. Where it pins the tag
// alone, the tag ledger says that the tag means this artifact.
func pins(current image.Ref, a store.Artifact) bool {
	return current.Digest == a.Digest || current.Digest == "" && current.Tag == a.Tag
}

// older reports whether version a is before b. Only full semantic versions, with
// or without a leading v, have an order of their own: a date or a commit that
// happens to be digits is no version.
func older(a, b string) bool {
	va, errA := version(a)
	vb, errB := version(b)
	return errA == nil && errB == nil && va.LessThan(vb)
}

func version(tag string) (*semver.Version, error) {
	return semver.StrictNewVersion(strings.TrimPrefix(tag, "v"))
}

// goesBack reports whether a would take an overlay back (I5): to an older version,
// or, where the tags are no versions, to what was verified earlier.
func (w *Worker) goesBack(ctx context.Context, a store.Artifact, current image.Ref) (bool, error) {
	_, errA := version(a.Tag)
	_, errB := version(current.Tag)
	if errA == nil && errB == nil {
		return older(a.Tag, current.Tag), nil
	}
	known, err := w.Store.ArtifactByDigest(ctx, a.Image, current.Digest)
	if fault.Is(err, fault.NotFound) {
		return false, nil // from before Tagboat came
	}
	return known.ID > a.ID, err
}
