package registry

import (
	"context"
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

// SameImage reports whether two digests of one image name stand for the same image on
// some platform: one is in the index that the other is, or both are indexes that have an
// image in common. (CRI-O reports what it took out of an index; containerd any of the
// digests that it knows an image by.) A digest that the registry does not have is nothing
// but itself.
func (c *Client) SameImage(ctx context.Context, imageName, a, b string) (_ bool, err error) {
	defer fault.Wrap(&err, "compare %s and %s of %s", image.ShortDigest(a), image.ShortDigest(b), imageName)
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, imageName)
	if err != nil {
		return false, err
	}
	all := [2][]string{}
	for i, digest := range []string{a, b} {
		if !image.ValidDigest(digest) {
			return false, fault.Errorf(fault.Invalid, "%q is not a sha256 digest", digest)
		}
		if all[i], err = q.standsFor(ctx, digest); err != nil {
			return false, q.classify(ctx, image.Ref{Name: imageName, Digest: digest}, err)
		}
	}
	return slices.ContainsFunc(all[0], func(digest string) bool { return slices.Contains(all[1], digest) }), nil
}

// standsFor is a digest and, where it is an index, the images in it.
func (q *question) standsFor(ctx context.Context, digest string) ([]string, error) {
	all := []string{digest}
	d, err := q.puller.Get(ctx, q.repo.Digest(digest))
	if missing(err) {
		return all, nil
	}
	if err != nil || !d.MediaType.IsIndex() {
		return all, err
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
	return all, nil
}
