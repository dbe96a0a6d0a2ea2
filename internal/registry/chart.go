package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"testing/fstest"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// chartContent is the media type of the layer that is the packed chart
// (https://helm.sh/docs/topics/registries/#helm-chart-manifest).
const chartContent = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"

// Bounds of one chart. Charts have tens of files and some 100 kB.
const (
	maxChart    = 16 << 20 // bytes, packed
	maxUnpacked = 64 << 20 // bytes
	maxFiles    = 4096
)

// Chart fetches a Helm chart by the digest of its manifest. The repository is
// without oci:// and tag: "registry.example.com/charts/payments". The result has
// Chart.yaml at its root, is held in memory, and nobody can change it.
//
// Errors are those of Resolve; Invalid for what is no chart, or one that could
// harm: too large, with links, or with names that lead out of it.
func (c *Client) Chart(ctx context.Context, repository, digest string) (_ fs.FS, err error) {
	defer fault.Wrap(&err, "fetch chart %s@%s", repository, digest)
	if !image.ValidDigest(digest) {
		return nil, fault.Errorf(fault.Invalid, "%q is not a sha256 digest", digest)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, repository)
	if err != nil {
		return nil, err
	}
	ref := image.Ref{Name: repository, Digest: digest}
	packed, err := q.chart(ctx, ref)
	if err != nil {
		return nil, q.classify(ctx, ref, err)
	}
	files, err := unpack(packed)
	if err != nil {
		return nil, q.notChart(ref, err.Error())
	}
	return files, nil
}

func (q *question) notChart(ref image.Ref, reason string) error {
	return fault.Errorf(fault.Invalid, "%s is not a Helm chart that can be used: %s", q.short(ref), q.clean(reason))
}

// chart reads a packed chart. The library checks manifest and layer against their
// digests.
func (q *question) chart(ctx context.Context, ref image.Ref) ([]byte, error) {
	d, err := q.puller.Get(ctx, q.repo.Digest(ref.Digest))
	if err != nil {
		return nil, err
	}
	layer, reason := contentOf(d)
	if reason != "" {
		return nil, q.notChart(ref, reason)
	}
	blob, err := q.puller.Layer(ctx, q.repo.Digest(layer.Digest.String()))
	if err != nil {
		return nil, err
	}
	r, err := blob.Compressed()
	if err != nil {
		return nil, &partError{layer.Digest.String(), err}
	}
	defer r.Close()
	packed, err := io.ReadAll(io.LimitReader(r, layer.Size+1)) // to the end, where the digest is checked
	if err != nil {
		return nil, &partError{layer.Digest.String(), err}
	}
	if int64(len(packed)) != layer.Size {
		return nil, q.notChart(ref, "its content is not as long as its manifest says")
	}
	return packed, nil
}

// contentOf finds the layer of a manifest that is the packed chart, or tells why
// there is none.
func contentOf(d *remote.Descriptor) (layer v1.Descriptor, reason string) {
	var m v1.Manifest
	if d.MediaType.IsIndex() {
		return layer, "it is an index"
	}
	if json.Unmarshal(d.Manifest, &m) != nil || m.MediaType != "" && m.MediaType != d.MediaType {
		return layer, "it is served as " + string(d.MediaType) + " but does not look like one"
	}
	if m.Config.MediaType != chartConfig {
		return layer, "its configuration is of type " + string(m.Config.MediaType)
	}
	found := 0
	for _, l := range m.Layers { // another one may be the chart's provenance
		if l.MediaType == chartContent {
			layer = l
			found++
		}
	}
	switch {
	case found != 1:
		return layer, "it has not exactly one layer of type " + chartContent
	case layer.Size < 0 || layer.Size > maxChart:
		return layer, fmt.Sprintf("it is larger than %d MiB", maxChart>>20)
	}
	return layer, ""
}

// unpack reads a packed chart: a gzipped tar of one directory.
func unpack(packed []byte) (fs.FS, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return nil, errors.New("its content is not gzipped")
	}
	files := fstest.MapFS{}
	root, left := "", int64(maxUnpacked)
	for tr := tar.NewReader(unzipped); ; {
		h, err := tr.Next()
		switch {
		case errors.Is(err, io.EOF):
			return below(files)
		case err != nil:
			return nil, errors.New("its content is not a tar archive")
		case h.Typeflag == tar.TypeDir, h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case len(files) == maxFiles:
			return nil, fmt.Errorf("it has more than %d files", maxFiles)
		}
		name, err := inside(h, &root)
		if err != nil {
			return nil, err
		}
		if files[name] != nil {
			return nil, fmt.Errorf("%q is there twice", h.Name)
		}
		data, err := io.ReadAll(io.LimitReader(tr, left+1)) // what the header says may be wrong
		if err != nil {
			return nil, errors.New("its content breaks off")
		}
		if left -= int64(len(data)); left < 0 {
			return nil, fmt.Errorf("it is larger than %d MiB unpacked", maxUnpacked>>20)
		}
		files[name] = &fstest.MapFile{Data: data, Mode: 0o444}
	}
}

// inside is the name of a file below the one directory of a packed chart, which
// the first file decides.
func inside(h *tar.Header, root *string) (string, error) {
	top, name, ok := strings.Cut(h.Name, "/")
	switch {
	case h.Typeflag != tar.TypeReg:
		return "", fmt.Errorf("%q is a link or a device, which a chart may not have", h.Name)
	case !ok || !fs.ValidPath(h.Name) || strings.ContainsAny(h.Name, "\\\x00"):
		return "", fmt.Errorf("%q is not a name below one directory", h.Name)
	case *root != "" && top != *root:
		return "", fmt.Errorf("%q is outside of the directory %q", h.Name, *root)
	}
	*root = top
	return name, nil
}

// below checks that no file stands where another needs a directory, and that
// there is a chart.
func below(files fstest.MapFS) (fs.FS, error) {
	for name := range files {
		for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
			if files[dir] != nil {
				return nil, fmt.Errorf("%q is both a file and a directory", dir)
			}
		}
	}
	if files["Chart.yaml"] == nil {
		return nil, errors.New("it has no Chart.yaml")
	}
	return files, nil
}
