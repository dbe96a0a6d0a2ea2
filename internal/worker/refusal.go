package worker

import (
	"context"
	"errors"
	"fmt"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// refuse writes down that an image will not be promoted, and says so on the pull
// requests that carry its tag: that is where people who rely on it look.
func (w *Worker) refuse(ctx context.Context, v store.Verified, reason string) error {
	fresh, err := w.Store.Refuse(ctx, v, reason)
	if err != nil {
		return err
	}
	w.Log.WarnContext(ctx, "an image was refused", "image", v.Image, "tag", v.Tag, "digest", v.Digest, "reason", reason)
	promotions, err := w.Store.PromotionsOfTag(ctx, v.Image, v.Tag)
	if err != nil || len(promotions) == 0 {
		return err
	}
	if fresh && v.Digest != "" {
		for _, p := range promotions {
			// The tag means something else now: the digest gate has to know at once.
			if err := w.Store.SawRegistry(ctx, p.ID, v.Digest, ""); err != nil {
				return err
			}
			if err := w.Store.Wake(ctx, p.ID, reconcileJob); err != nil {
				return err
			}
		}
	}
	return w.tellRefused(ctx, promotions[0], v, reason)
}

// tellRefused comments on the newest pull request of the tag, once per digest.
func (w *Worker) tellRefused(ctx context.Context, p store.Promotion, v store.Verified, reason string) error {
	repo, err := w.Store.Repo(ctx, p.RepoID)
	if err != nil {
		return err
	}
	effect := "tell refused " + v.Digest
	fresh, err := w.Store.Announce(ctx, p.ID, effect)
	if err != nil {
		return err
	}
	door, number := w.repo(repo), int(p.PullNumber)
	marker := fmt.Sprintf("<!-- tagboat:refused %s -->", v.Digest)
	if !fresh {
		id, found, err := door.FindComment(ctx, number, marker)
		if err != nil {
			return err
		}
		if found {
			return w.Store.RecordToldRefused(ctx, p.ID, id, v, reason)
		}
	}
	id, err := door.Comment(ctx, number, fmt.Sprintf("**Refused:** %s\n\n%s\n\n%s",
		checklist.Code(image.Ref{Name: v.Image, Tag: v.Tag, Digest: v.Digest}.String()), checklist.Escape(reason), marker))
	if err != nil {
		return err
	}
	return w.Store.RecordToldRefused(ctx, p.ID, id, v, reason)
}

// saidNo reports whether GitHub said no to an effect, and would again. Where the App
// itself is shut out, everything is tried again when it is back.
func saidNo(err error) bool {
	return err != nil && !fault.KindOf(err).Retryable() && !errors.Is(err, github.ErrAbsent)
}
