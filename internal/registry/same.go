package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Knows reports whether the registry of an image name is one that Tagboat was told of.
func (c *Client) Knows(imageName string) bool {
	host, _ := splitHost(imageName)
	_, known := c.endpoints[host]
	return known
}

// ErrForgotten: the registry does not have what was applied any more, so that nobody can
// say whether what runs is that.
var ErrForgotten = errors.New("the registry does not have what was applied any more")

// SameImage reports whether two digests of one image name stand for the same image: one
// is in the index that the other is, or both are indexes of the very same images. (CRI-O
// reports what it took out of an index; containerd any of the digests that it knows an
// image by.)
//
// It says no only of what it has read. A digest that the registry does not have is
// NotFound, ErrForgotten where it is the applied one: registries delete what is old.
func (c *Client) SameImage(ctx context.Context, imageName, applied, running string) (_ bool, err error) {
	defer fault.Wrap(&err, "compare %s and %s of %s", image.ShortDigest(applied), image.ShortDigest(running), imageName)
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, imageName)
	if err != nil {
		return false, err
	}
	for _, digest := range []string{applied, running} {
		if !image.ValidDigest(digest) {
			return false, fault.Errorf(fault.Invalid, "%q is not a sha256 digest", digest)
		}
	}
	if applied == running {
		return true, nil
	}
	wanted, err := q.imagesIn(ctx, applied)
	if missing(err) {
		err = fmt.Errorf("%w: %w", ErrForgotten, err)
	}
	if err != nil {
		return false, q.unsaid(ctx, imageName, applied, err)
	}
	if slices.Contains(wanted, running) {
		return true, nil
	}
	have, err := q.imagesIn(ctx, running)
	if err != nil {
		return false, q.unsaid(ctx, imageName, running, err)
	}
	if len(wanted) > 0 && len(have) > 0 {
		return slices.Equal(wanted, have), nil
	}
	return slices.Contains(have, applied), nil
}

// unsaid is why a registry does not say what a digest is.
func (q *question) unsaid(ctx context.Context, imageName, digest string, err error) error {
	why := q.classify(ctx, image.Ref{Name: imageName, Digest: digest}, err)
	if errors.Is(err, ErrForgotten) { // of whose cause the text alone is kept
		return fault.E(fault.KindOf(why), fault.HintOf(why), fmt.Errorf("%w: %w", ErrForgotten, why))
	}
	return why
}

// imagesIn are the images in an index, in the order of their digests; none in what is no
// index.
func (q *question) imagesIn(ctx context.Context, digest string) (all []string, err error) {
	d, err := q.puller.Get(ctx, q.repo.Digest(digest))
	if err != nil || !d.MediaType.IsIndex() {
		return nil, err
	}
	m, err := parse(d)
	if err != nil {
		return nil, err
	}
	for _, child := range m.Manifests {
		if isPlatform(child) {
			all = append(all, child.Digest.String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all), nil
}
