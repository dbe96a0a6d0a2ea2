package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/signature"
)

// How cosign writes a signature without a bundle: the media type of a layer that is a
// payload, and its annotations
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const (
	simpleSigning         = "application/vnd.dev.cosign.simplesigning.v1+json"
	signatureAnnotation   = "dev.cosignproject.cosign/signature"
	certificateAnnotation = "dev.sigstore.cosign/certificate"
	rekorAnnotation       = "dev.sigstore.cosign/bundle"
)

// predicateAnnotation says what a bundle states, on what carries it
// (https://github.com/sigstore/cosign/blob/main/specs/BUNDLE_SPEC.md).
const predicateAnnotation = "dev.sigstore.bundle.predicateType"

// Bounds of what is looked at. Whoever may push to a repository may attach anything to
// an image there, as often as they like.
const (
	maxSignatures  = 1000 // layers of one image; as many as cosign looks at
	maxBundles     = 64   // each is three requests
	maxPayloads    = 64   // that differ; those of one image are usually the same
	maxPayload     = 64 << 10
	maxBundle      = 1 << 20
	maxAttachments = 4 << 20 // bytes of a manifest, of which registries take no more either
)

// Attached reads the signatures that are attached to an image, whoever they are by: as
// referrers of its digest, and under the tag that cosign gives them. None is no error.
//
// What cannot be read because of what it is, is told as such; errors are those of
// Resolve, where it is not known what is there.
func (c *Client) Attached(ctx context.Context, imageName, digest string) (_ signature.Attached, err error) {
	defer fault.Wrap(&err, "read the signatures of %s@%s", imageName, digest)
	if !image.ValidDigest(digest) {
		return signature.Attached{}, fault.Errorf(fault.Invalid, "%q is not a sha256 digest", digest)
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.Timeout)
	defer cancel()
	q, err := c.ask(ctx, imageName)
	if err != nil {
		return signature.Attached{}, err
	}
	all, err := q.simple(ctx, digest)
	if err == nil {
		var bundles signature.Attached
		bundles, err = q.bundles(ctx, digest)
		all.Found, all.Left = append(all.Found, bundles.Found...), all.Left+bundles.Left
	}
	if err != nil {
		return signature.Attached{}, q.classify(ctx, image.Ref{Name: imageName, Digest: digest}, err)
	}
	return all, nil
}

// simple are the signatures under the tag sha256-<digest>.sig.
func (q *question) simple(ctx context.Context, digest string) (all signature.Attached, err error) {
	tag := strings.Replace(digest, ":", "-", 1) + ".sig"
	short := "tag sha256-" + strings.TrimPrefix(digest, "sha256:")[:12] + "….sig"
	d, err := q.puller.Get(ctx, q.repo.Tag(tag))
	if missing(err) {
		return all, nil
	}
	if err != nil {
		return all, err
	}
	m, broken := carrier(d)
	if broken != "" {
		return signature.Attached{Found: []signature.Found{{Place: short, Broken: broken}}}, nil
	}
	layers := m.Layers
	if all.Left = max(0, len(layers)-maxSignatures); all.Left > 0 {
		layers = layers[all.Left:]
	}
	payloads := map[v1.Hash]payload{}
	for i, l := range layers {
		f := signature.Found{Place: fmt.Sprintf("layer %d of %s", all.Left+i+1, short)}
		if err := q.layer(ctx, l, &f, payloads); err != nil {
			return all, err
		}
		all.Found = append(all.Found, f)
	}
	return all, nil
}

// payload is a layer's content, or why it cannot be had.
type payload struct {
	data   []byte
	broken string
}

// layer reads one signature, with a payload that others may have, too.
func (q *question) layer(ctx context.Context, l v1.Descriptor, f *signature.Found, payloads map[v1.Hash]payload) error {
	if l.MediaType != simpleSigning {
		f.Broken = fmt.Sprintf("it is of the type %.80q, not %s", l.MediaType, simpleSigning)
		return nil
	}
	if l.Annotations[signatureAnnotation] == "" {
		f.Broken = "it has no annotation " + signatureAnnotation
		return nil
	}
	p, known := payloads[l.Digest]
	if !known {
		if len(payloads) == maxPayloads {
			f.Broken = fmt.Sprintf("there are more than %d payloads that differ", maxPayloads)
			return nil
		}
		var err error
		if p.data, p.broken, err = q.content(ctx, l, maxPayload); err != nil {
			return err
		}
		payloads[l.Digest] = p
	}
	if p.broken != "" {
		f.Broken = p.broken
		return nil
	}
	f.Simple = &signature.Simple{
		Payload: p.data, Signature: l.Annotations[signatureAnnotation],
		Certificate: l.Annotations[certificateAnnotation], Rekor: l.Annotations[rekorAnnotation],
	}
	return nil
}

// bundles are the Sigstore bundles among the referrers of a digest.
func (q *question) bundles(ctx context.Context, digest string) (all signature.Attached, err error) {
	index, err := remote.Referrers(q.repo.Digest(digest), append(q.options, remote.WithContext(ctx))...)
	if answered(err, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented) {
		return all, nil // a registry that has never heard of referrers
	}
	if err != nil {
		return all, err
	}
	list, err := index.IndexManifest()
	if err != nil {
		return signature.Attached{Found: []signature.Found{{Place: "the list of referrers", Broken: "it is no image index"}}}, nil
	}
	var candidates []v1.Descriptor
	for _, d := range list.Manifests {
		if mayCarryBundle(d) {
			candidates = append(candidates, d)
		}
	}
	if all.Left = max(0, len(candidates)-maxBundles); all.Left > 0 {
		candidates = candidates[all.Left:]
	}
	for _, d := range candidates {
		found, err := q.bundle(ctx, d)
		if err != nil {
			return all, err
		}
		all.Found = append(all.Found, found...)
	}
	return all, nil
}

// mayCarryBundle leaves out what says of itself that it is something else. Some
// registries list what carries a bundle by the type of its empty configuration.
func mayCarryBundle(d v1.Descriptor) bool {
	if states := d.Annotations[predicateAnnotation]; states != "" && states != signature.SignPredicate {
		return false
	}
	switch d.ArtifactType {
	case "", signature.BundleType, "application/vnd.oci.empty.v1+json":
		return d.MediaType.IsImage()
	}
	return false
}

// bundle reads what carries a bundle; nothing where it is something else.
func (q *question) bundle(ctx context.Context, d v1.Descriptor) ([]signature.Found, error) {
	f := signature.Found{Place: "referrer " + image.ShortDigest(d.Digest.String())}
	if !image.ValidDigest(d.Digest.String()) {
		f.Broken = "it has no digest"
		return []signature.Found{f}, nil
	}
	got, err := q.puller.Get(ctx, q.repo.Digest(d.Digest.String()))
	if missing(err) {
		f.Broken = "the registry lists it and does not have it"
		return []signature.Found{f}, nil
	}
	if err != nil {
		return nil, err
	}
	m, broken := carrier(got)
	if broken != "" {
		f.Broken = broken
		return []signature.Found{f}, nil
	}
	if states := m.Annotations[predicateAnnotation]; states != "" && states != signature.SignPredicate {
		return nil, nil
	}
	for _, l := range m.Layers {
		if l.MediaType != signature.BundleType {
			continue
		}
		f.Bundle, f.Broken, err = q.content(ctx, l, maxBundle)
		return []signature.Found{f}, err // a carrier has one
	}
	return nil, nil
}

// carrier reads the manifest of what signatures are kept in, or says why it is none.
func carrier(d *remote.Descriptor) (m v1.Manifest, broken string) {
	switch {
	case len(d.Manifest) > maxAttachments:
		return m, fmt.Sprintf("its manifest is larger than %d MiB", maxAttachments>>20)
	case !d.MediaType.IsImage():
		return m, fmt.Sprintf("it is of the type %.80q, not an image manifest", d.MediaType)
	case json.Unmarshal(d.Manifest, &m) != nil:
		return m, "its manifest is no JSON"
	}
	return m, ""
}

// content reads a blob from this registry, wherever else a manifest says that it is;
// the library checks it against its digest.
func (q *question) content(ctx context.Context, d v1.Descriptor, most int64) (data []byte, broken string, err error) {
	tooLarge := fmt.Sprintf("it is larger than %d KiB", most>>10)
	switch {
	case d.Size > most:
		return nil, tooLarge, nil
	case !image.ValidDigest(d.Digest.String()):
		return nil, "it has no digest", nil
	}
	ref := q.repo.Digest(d.Digest.String())
	blob, err := q.puller.Layer(ctx, ref)
	if err != nil {
		return nil, "", err
	}
	r, err := blob.Compressed()
	if missing(err) {
		return nil, "registry " + q.host() + " does not have its content", nil
	}
	if err != nil {
		return nil, "", err
	}
	defer r.Close()
	data, err = io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(data)) > most {
		return nil, tooLarge, nil
	}
	return data, "", err
}

// missing reports whether a registry has answered that something is not there.
func missing(err error) bool { return answered(err, http.StatusNotFound) }

func answered(err error, statuses ...int) bool {
	answer, ok := errors.AsType[*transport.Error](err)
	return ok && slices.Contains(statuses, answer.StatusCode)
}
