package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tagboat/tagboat/internal/registry"
)

// stumble is how long a look at what was healthy may take until it is again. Pods come
// and go when nodes do and when load does; longer than that it was ill.
const stumble = time.Minute

// sameImage asks the registry whether two digests are one image. A registry that Tagboat
// was not told of is not asked, because an image's name in a manifest is anybody's; what
// a node reports of such an image is believed. So it is when the registry has deleted what
// was applied: nothing that runs gets ill by that.
func (w *Worker) sameImage(ctx context.Context, name, applied, running string) (bool, error) {
	if !w.Registry.Knows(name) {
		return true, nil
	}
	same, err := w.Registry.SameImage(ctx, name, applied, running)
	if errors.Is(err, registry.ErrForgotten) {
		return true, nil
	}
	return same, err
}
