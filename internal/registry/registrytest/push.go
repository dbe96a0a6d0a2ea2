package registrytest

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
)

// Content is what an image is made of. The same content is the same digest, on
// any machine at any time.
type Content struct {
	Seed      string            // what makes this image differ from others
	Platforms []string          // "linux/amd64"; none means that one
	Labels    map[string]string // such as org.opencontainers.image.source
	Index     bool              // an index even for one platform
}

// Push makes a small real image and pushes it as tag of a repository, "acme/payments".
// It gives the digest that the tag then has.
func (r *Registry) Push(ctx context.Context, repo, tag string, c Content) (_ string, err error) {
	defer fault.Wrap(&err, "push %s:%s", repo, tag)
	ref, err := name.NewTag(r.host+"/"+repo+":"+tag, name.Insecure)
	if err != nil {
		return "", err
	}
	platforms := c.Platforms
	if len(platforms) == 0 {
		platforms = []string{"linux/amd64"}
	}
	if len(platforms) > 1 || c.Index {
		index, err := c.index(platforms)
		if err != nil {
			return "", err
		}
		if err := remote.WriteIndex(ref, index, remote.WithContext(ctx)); err != nil {
			return "", err
		}
		return digest(index)
	}
	img, err := c.image(platforms[0])
	if err != nil {
		return "", err
	}
	if err := remote.Write(ref, img, remote.WithContext(ctx)); err != nil {
		return "", err
	}
	return digest(img)
}

// Delete takes an image out of a repository by its digest, whatever tags it has.
func (r *Registry) Delete(ctx context.Context, repo, digest string) (err error) {
	defer fault.Wrap(&err, "delete %s of %s", digest, repo)
	ref, err := name.NewDigest(r.host+"/"+repo+"@"+digest, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Delete(ref, remote.WithContext(ctx))
}

func digest(x interface{ Digest() (v1.Hash, error) }) (string, error) {
	h, err := x.Digest()
	return h.String(), err
}

func (c Content) index(platforms []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, p := range slices.Sorted(slices.Values(platforms)) {
		img, err := c.image(p)
		if err != nil {
			return nil, err
		}
		platform, err := v1.ParsePlatform(p)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: img, Descriptor: v1.Descriptor{Platform: platform}})
	}
	return index, nil
}

func (c Content) image(platform string) (v1.Image, error) {
	p, err := v1.ParsePlatform(platform)
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return archive(c.Seed + " for " + platform) },
		tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return nil, err
	}
	base := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	img, err := mutate.AppendLayers(base, layer)
	if err != nil {
		return nil, err
	}
	config, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Variant = p.OS, p.Architecture, p.Variant
	config.Created = v1.Time{Time: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	config.Config.Labels = c.Labels
	config.Config.Cmd = []string{"/app"}
	return mutate.ConfigFile(img, config)
}

// archive is a tar with one file.
func archive(content string) (io.ReadCloser, error) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	header := &tar.Header{Name: "app", Mode: 0o755, Size: int64(len(content))}
	if err := w.WriteHeader(header); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(w, content); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return io.NopCloser(&b), nil
}
