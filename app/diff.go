package app

import (
	"bytes"
	"cmp"
	"context"
	"io/fs"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/render"
)

// DiffOptions says what a rendered diff compares.
type DiffOptions struct {
	From, To string   // revisions; "" is HEAD for From and the work tree for To
	Paths    []string // only overlays at or below these; none: all
	Remotes  []string // as in Render
}

// Diff renders the overlays of a checkout before and after a change and says how
// they differ, in the order of their paths. Only those are rendered that the change
// can affect. What cannot be rendered is in the result, with its reason; an
// error of Diff itself means that nothing is known.
func Diff(ctx context.Context, dir string, o DiffOptions) (diffs []manifest.OverlayDiff, err error) {
	root, err := openCheckout(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	repository, err := gitmirror.OpenLocal(dir)
	if err != nil {
		return nil, err
	}
	before, err := repository.At(cmp.Or(o.From, "HEAD"))
	if err != nil {
		return nil, err
	}
	after := root.FS()
	if o.To != "" {
		if after, err = repository.At(o.To); err != nil {
			return nil, err
		}
	}
	r, err := newRenderer(o.Remotes)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
	}()
	return diffTrees(ctx, r.pool, before, after, o.Paths)
}

// diffTrees compares what two trees render to.
func diffTrees(ctx context.Context, pool *render.Pool, before, after fs.FS, paths []string) ([]manifest.OverlayDiff, error) {
	overlays, err := overlaysOf(before, after, paths)
	if err != nil {
		return nil, err
	}
	reach, err := newReach(before, after)
	if err != nil {
		return nil, err
	}
	d := differ{pool: pool, before: before, after: after, answers: newComparison(before, after)}
	diffs := make([]manifest.OverlayDiff, len(overlays))
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i, o := range overlays {
		if !reach.may(o) {
			diffs[i] = o.diff()
			continue
		}
		g.Go(func() error {
			diffs[i] = d.overlay(ctx, o)
			return ctx.Err()
		})
	}
	if err := g.Wait(); err != nil {
		return nil, fault.E(fault.Transient, "Interrupted before everything was compared.", err)
	}
	return diffs, nil
}

// differ compares one overlay after the other.
type differ struct {
	pool          *render.Pool
	before, after fs.FS
	answers       *comparison
}

func (d *differ) overlay(ctx context.Context, o diffOverlay) manifest.OverlayDiff {
	result := o.diff()
	diff, err := d.compare(ctx, o)
	if err != nil {
		result.Err = oneLine(err)
		return result
	}
	result.Diff = diff
	return result
}

// compare renders the overlay before the change, and after it unless every answer
// that the first rendering was made from is still the same.
func (d *differ) compare(ctx context.Context, o diffOverlay) (manifest.Diff, error) {
	var before, after render.Output
	var err error
	if o.before != nil {
		if before, err = d.pool.Build(ctx, d.before, *o.before); err != nil {
			return manifest.Diff{}, fault.E(fault.KindOf(err), "before the change: "+oneLine(err), err)
		}
		if o.sameSource() && d.answers.same(before.Reads) {
			return manifest.Diff{}, nil
		}
	}
	if o.after != nil {
		if after, err = d.pool.Build(ctx, d.after, *o.after); err != nil {
			return manifest.Diff{}, err
		}
	}
	if bytes.Equal(before.Manifests, after.Manifests) {
		return manifest.Diff{}, nil
	}
	return manifest.Compare(before.Manifests, after.Manifests)
}

// oneLine is an error for a person, where it is one of many.
func oneLine(err error) string {
	return strings.Join(strings.Fields(cmp.Or(fault.HintOf(err), err.Error())), " ")
}
