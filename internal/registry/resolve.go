package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Artifact is one runnable image, or one Helm chart, as its registry serves it.
type Artifact struct {
	Image     image.Ref // name, tag and digest; the digest of the index where there is one
	Chart     bool      // a Helm chart, of which the tag is the version
	MediaType string
	Platforms []string // "linux/amd64", sorted; attestations are left out; none for a chart
	// Source and Revision are the repository and the commit that the image was
	// built from, "" where it does not say: the labels, else the annotations,
	// org.opencontainers.image.source and .revision
	// (https://github.com/opencontainers/image-spec/blob/main/annotations.md).
	Source   string
	Revision string
	Created  time.Time // zero where the image does not say
}

// The labels that say where an image comes from.
const (
	sourceLabel   = "org.opencontainers.image.source"
	revisionLabel = "org.opencontainers.image.revision"
)

// chartConfig is the media type of a Helm chart's configuration
// (https://helm.sh/docs/topics/registries/#helm-chart-manifest).
const chartConfig = "application/vnd.cncf.helm.config.v1+json"

const maxConfig = 4 << 20 // bytes of an image configuration; they are a few kB

// Resolve asks the registry what a tag means now. The name is without tag:
// "registry.example.com/acme/payments". It connects to the host in the name, so the
// name must come from configuration, never from an event alone.
//
// Errors: NotFound for a tag or repository that is not there, Denied where the
// credentials do not suffice, RateLimited, Transient where the registry is
// unwell or out of reach, Invalid for what is neither a runnable image nor a Helm
// chart.
func (c *Client) Resolve(ctx context.Context, imageName, tag string) (_ Artifact, err error) {
	defer fault.Wrap(&err, "resolve %s:%s", imageName, tag)
	if !image.ValidTag(tag) {
		return Artifact{}, fault.Errorf(fault.Invalid, "%q is not a tag", tag)
	}
	if image.AttachedTag(tag) {
		return Artifact{}, fault.Errorf(fault.Invalid, "tag %s holds a signature or an attestation of an image, not an image", tag)
	}
	return c.resolve(ctx, image.Ref{Name: imageName, Tag: tag})
}

// ResolveDigest asks the registry for one digest. Errors are those of Resolve;
// an image that was deleted or never pushed is NotFound.
func (c *Client) ResolveDigest(ctx context.Context, imageName, digest string) (_ Artifact, err error) {
	defer fault.Wrap(&err, "resolve %s@%s", imageName, digest)
	if !image.ValidDigest(digest) {
		return Artifact{}, fault.Errorf(fault.Invalid, "%q is not a sha256 digest", digest)
	}
	return c.resolve(ctx, image.Ref{Name: imageName, Digest: digest})
}

func (c *Client) resolve(ctx context.Context, ref image.Ref) (Artifact, error) {
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, ref.Name)
	if err != nil {
		return Artifact{}, err
	}
	a, err := q.read(ctx, ref)
	if err != nil {
		return Artifact{}, q.classify(ctx, ref, err)
	}
	return a, nil
}

func (q *question) read(ctx context.Context, ref image.Ref) (Artifact, error) {
	var asked name.Reference = q.repo.Tag(ref.Tag)
	if ref.Digest != "" {
		asked = q.repo.Digest(ref.Digest)
	}
	d, err := q.puller.Get(ctx, asked)
	if err != nil {
		return Artifact{}, err
	}
	ref.Digest = d.Digest.String()
	a := Artifact{Image: ref, MediaType: string(d.MediaType)}
	m, err := parse(d)
	if err != nil {
		return Artifact{}, err
	}
	switch {
	case d.MediaType.IsIndex():
		err = q.fillFromIndex(ctx, &a, m)
	case d.MediaType.IsImage():
		err = q.fillFromImage(ctx, &a, m)
	default:
		err = notRunnable("its media type is %s", d.MediaType)
	}
	return a, err
}

// manifest is the part of an image manifest or an image index that tells what it
// is. (https://github.com/opencontainers/image-spec, manifest.md, image-index.md)
type manifest struct {
	MediaType    types.MediaType   `json:"mediaType"`
	ArtifactType string            `json:"artifactType"`
	Subject      *v1.Descriptor    `json:"subject"`
	Config       v1.Descriptor     `json:"config"`
	Manifests    []v1.Descriptor   `json:"manifests"`
	Annotations  map[string]string `json:"annotations"`
}

// parse reads a manifest and refuses what says of itself that it is no image.
func parse(d *remote.Descriptor) (manifest, error) {
	var m manifest
	if err := json.Unmarshal(d.Manifest, &m); err != nil {
		return m, notRunnable("its manifest is not JSON")
	}
	switch {
	case m.MediaType != "" && m.MediaType != d.MediaType, len(m.Manifests) > 0 && m.Config.Size > 0:
		// Two readers could take it for two different things (CVE-2021-41190).
		return m, notRunnable("it is served as %s but does not look like one", d.MediaType)
	case m.Subject != nil:
		return m, notRunnable("it is attached to %s, as a signature or an attestation is", image.ShortDigest(m.Subject.Digest.String()))
	case m.ArtifactType != "" && m.ArtifactType != chartConfig && !types.MediaType(m.ArtifactType).IsConfig():
		return m, notRunnable("it is an artifact of type %s", m.ArtifactType)
	}
	return m, nil
}

// fillFromIndex reads a multi-platform image. One of its platforms is looked
// into, for the labels and to be sure that these are images at all.
func (q *question) fillFromIndex(ctx context.Context, a *Artifact, index manifest) error {
	runnable := slices.DeleteFunc(slices.Clone(index.Manifests), func(d v1.Descriptor) bool { return !isPlatform(d) })
	if len(runnable) == 0 {
		return notRunnable("it is an index without any image in it")
	}
	child := q.repo.Digest(runnable[0].Digest.String())
	d, err := q.puller.Get(ctx, child)
	if err != nil {
		return &partError{child.DigestStr(), err}
	}
	m, err := parse(d)
	if err != nil {
		return err
	}
	if err := q.fillFromImage(ctx, a, m); err != nil {
		return err
	}
	if a.Chart {
		return notRunnable("it is an index of a Helm chart, which stands alone where Helm pushes it")
	}
	a.Source = cmp.Or(a.Source, index.Annotations[sourceLabel])
	a.Revision = cmp.Or(a.Revision, index.Annotations[revisionLabel])
	platforms := map[string]bool{}
	for _, d := range runnable {
		if d.Platform != nil {
			platforms[d.Platform.String()] = true
		}
	}
	if len(platforms) > 0 {
		a.Platforms = slices.Sorted(maps.Keys(platforms))
	}
	return nil
}

// isPlatform tells an image in an index from an attestation, a signature or a
// nested index. BuildKit's attestations have the platform unknown/unknown
// (https://docs.docker.com/build/metadata/attestations/attestation-storage/).
func isPlatform(d v1.Descriptor) bool {
	switch {
	case !d.MediaType.IsImage():
		return false
	case d.Platform != nil && d.Platform.OS == "unknown":
		return false
	case d.Annotations["vnd.docker.reference.type"] != "":
		return false
	}
	return d.ArtifactType == "" || types.MediaType(d.ArtifactType).IsConfig()
}

func (q *question) fillFromImage(ctx context.Context, a *Artifact, m manifest) error {
	if m.Config.MediaType == chartConfig {
		// Helm copies what Chart.yaml says of its sources into the annotations.
		a.Chart, a.Source, a.Revision = true, m.Annotations[sourceLabel], m.Annotations[revisionLabel]
		return nil
	}
	if !m.Config.MediaType.IsConfig() {
		return notRunnable("its configuration is of type %s, not an image's", m.Config.MediaType)
	}
	c, err := q.config(ctx, m.Config)
	if err != nil {
		return err
	}
	if c.OS == "" || c.Architecture == "" {
		return notRunnable("it does not say which platform it is for")
	}
	a.Platforms = []string{c.Platform().String()}
	a.Source = cmp.Or(c.Config.Labels[sourceLabel], m.Annotations[sourceLabel])
	a.Revision = cmp.Or(c.Config.Labels[revisionLabel], m.Annotations[revisionLabel])
	a.Created = c.Created.Time
	return nil
}

// config reads an image configuration; the library checks its bytes against the
// digest.
func (q *question) config(ctx context.Context, d v1.Descriptor) (*v1.ConfigFile, error) {
	if d.Size > maxConfig {
		return nil, notRunnable("its configuration is larger than %d MiB", maxConfig>>20)
	}
	blob, err := q.puller.Layer(ctx, q.repo.Digest(d.Digest.String()))
	if err != nil {
		return nil, err
	}
	r, err := blob.Compressed()
	if err != nil {
		return nil, &partError{d.Digest.String(), err}
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxConfig+1)) // to the end, where the digest is checked
	if err != nil {
		return nil, &partError{d.Digest.String(), err}
	}
	var c v1.ConfigFile
	if err := json.Unmarshal(b, &c); err != nil {
		return nil, notRunnable("its configuration is not an image's")
	}
	return &c, nil
}
