package worker

import (
	"context"
	"errors"
	"io/fs"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
)

// lookedBack is how many commits of a base branch are looked through for what an overlay
// had before. Each that is not held costs a request to git.
const lookedBack = 50

// committed are the changes of a pair's version as its base branch has them, the newest
// first, whoever made them: as far back as is looked.
func (w *Worker) committed(ctx context.Context, u use, name string) (past []promotion.Change, err error) {
	mirror, err := w.bases.mirror(u.repo)
	if err != nil {
		return nil, err
	}
	at := u.base.commit
	now, id, err := w.pinnedAt(ctx, u, name, at, image.Ref{}, "")
	for range lookedBack {
		if err != nil {
			return past, err
		}
		c, err := mirror.Commit(ctx, at)
		if err != nil || len(c.Parents) == 0 {
			return past, err
		}
		was, before, err := w.pinnedAt(ctx, u, name, c.Parents[0], now, id)
		if fault.Is(err, fault.NotFound) || fault.Is(err, fault.Invalid) {
			return past, nil // the overlay begins here, or cannot be read before
		}
		if err != nil {
			return past, err
		}
		if was != now {
			past = append(past, promotion.Change{From: was, To: now, Commit: at})
		}
		at, now, id = c.Parents[0], was, before
	}
	return past, nil
}

// pinnedAt is what an overlay pins in a commit. The file with the id that is known is
// not read again.
func (w *Worker) pinnedAt(ctx context.Context, u use, name, commit string, known image.Ref, id string) (image.Ref, string, error) {
	mirror, err := w.bases.mirror(u.repo)
	if err != nil {
		return image.Ref{}, "", err
	}
	tree, err := mirror.At(ctx, commit)
	if err != nil {
		return image.Ref{}, "", err
	}
	is, err := tree.BlobID(u.pair.File)
	if err != nil {
		return image.Ref{}, "", absent(err)
	}
	if is == id {
		return known, id, nil
	}
	data, err := tree.ReadFile(u.pair.File)
	if err != nil {
		return image.Ref{}, "", absent(err)
	}
	ref, err := overlay.Current(u.pair.File, data, name)
	return ref, is, err
}

// absent is NotFound where a file is not there.
func absent(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fault.E(fault.NotFound, "", err)
	}
	return err
}
