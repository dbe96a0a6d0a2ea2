package registrytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
)

// Key signs images as cosign does with a key pair. It is written by cosign's
// specifications and shares nothing with what verifies
// (https://github.com/sigstore/cosign/tree/main/specs).
type Key struct{ private *ecdsa.PrivateKey }

// NewKey makes a key pair.
func NewKey() (*Key, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	return &Key{private}, err
}

// Public is what cosign generate-key-pair writes to cosign.pub.
func (k *Key) Public() []byte {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		panic(err) // it is a key on a curve that has a name
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Sign signs bytes, in base64.
func (k *Key) Sign(message []byte) (string, error) {
	sum := sha256.Sum256(message)
	raw, err := ecdsa.SignASN1(rand.Reader, k.private, sum[:])
	return base64.StdEncoding.EncodeToString(raw), err
}

// SimplePayload is what is signed of an image in cosign's older form.
func SimplePayload(digest string) []byte {
	return []byte(`{"critical":{"identity":{"docker-reference":""},"image":{"docker-manifest-digest":"` + digest + `"},"type":"cosign container image signature"},"optional":null}`)
}

// Simple signs a digest in cosign's older form: a payload and its signature.
func (k *Key) Simple(digest string) (payload []byte, signature string, err error) {
	payload = SimplePayload(digest)
	signature, err = k.Sign(payload)
	return payload, signature, err
}

// SignStatement is what cosign states of an image that it signs.
func SignStatement(digest string) []byte {
	return Statement("https://sigstore.dev/cosign/sign/v1", digest)
}

// Statement is an in-toto statement about digests.
func Statement(predicateType string, digests ...string) []byte {
	var subject []any
	for _, d := range digests {
		subject = append(subject, map[string]any{"digest": map[string]string{"sha256": strings.TrimPrefix(d, "sha256:")}})
	}
	text, err := json.Marshal(map[string]any{
		"_type": "https://in-toto.io/Statement/v1", "subject": subject, "predicateType": predicateType, "predicate": map[string]any{},
	})
	if err != nil {
		panic(err) // strings and maps of them
	}
	return text
}

const statementType = "application/vnd.in-toto+json"

// Bundle signs a statement, as a Sigstore bundle of version 0.3 with a DSSE envelope
// (https://github.com/secure-systems-lab/dsse/blob/master/protocol.md).
func (k *Key) Bundle(statement []byte) ([]byte, error) {
	signature, err := k.Sign(fmt.Appendf(nil, "DSSEv1 %d %s %d %s", len(statementType), statementType, len(statement), statement))
	if err != nil {
		return nil, err
	}
	return json.Marshal(map[string]any{
		"mediaType":            bundleType,
		"verificationMaterial": map[string]any{"publicKey": map[string]string{"hint": "release"}},
		"dsseEnvelope": map[string]any{
			"payload": base64.StdEncoding.EncodeToString(statement), "payloadType": statementType,
			"signatures": []any{map[string]string{"sig": signature}},
		},
	})
}

const (
	bundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"
	simpleType = "application/vnd.dev.cosign.simplesigning.v1+json"
)

// SignatureTag is the tag that cosign's older form gives to the signatures of a digest.
func SignatureTag(digest string) string { return strings.Replace(digest, ":", "-", 1) + ".sig" }

// Sign signs an image in cosign's older form, beside the signatures that it has.
func (r *Registry) Sign(ctx context.Context, repo, digest string, k *Key) (err error) {
	defer fault.Wrap(&err, "sign %s@%s", repo, digest)
	payload, signature, err := k.Simple(digest)
	if err != nil {
		return err
	}
	layer, err := r.Blob(ctx, repo, payload, simpleType)
	if err != nil {
		return err
	}
	layer.Annotations = map[string]string{"dev.cosignproject.cosign/signature": signature}
	layers, err := r.layers(ctx, repo, SignatureTag(digest))
	if err != nil {
		return err
	}
	return r.Manifest(ctx, repo, SignatureTag(digest), v1.Manifest{Layers: append(layers, layer)})
}

// layers are those that the manifest of a tag has; none where there is no such tag.
func (r *Registry) layers(ctx context.Context, repo, tag string) ([]v1.Descriptor, error) {
	ref, err := name.NewTag(r.host+"/"+repo+":"+tag, name.Insecure)
	if err != nil {
		return nil, err
	}
	img, err := remote.Image(ref, remote.WithContext(ctx))
	if answer, ok := errors.AsType[*transport.Error](err); ok && answer.StatusCode == http.StatusNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	m, err := img.Manifest()
	if err != nil {
		return nil, err
	}
	return m.Layers, nil
}

// SignBundle signs an image as cosign does since version 3: a bundle that refers to it.
func (r *Registry) SignBundle(ctx context.Context, repo, digest string, k *Key) (err error) {
	defer fault.Wrap(&err, "sign %s@%s", repo, digest)
	bundle, err := k.Bundle(SignStatement(digest))
	if err != nil {
		return err
	}
	return r.Refer(ctx, repo, digest, bundle)
}

// Refer attaches a Sigstore bundle to an image.
func (r *Registry) Refer(ctx context.Context, repo, digest string, bundle []byte) error {
	ref, err := name.NewDigest(r.host+"/"+repo+"@"+digest, name.Insecure)
	if err != nil {
		return err
	}
	subject, err := remote.Head(ref, remote.WithContext(ctx))
	if err != nil {
		return err
	}
	layer, err := r.Blob(ctx, repo, bundle, bundleType)
	if err != nil {
		return err
	}
	return r.Manifest(ctx, repo, "", v1.Manifest{
		ArtifactType: bundleType, Layers: []v1.Descriptor{layer},
		Subject: &v1.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
	})
}

// Blob pushes content that a manifest can name.
func (r *Registry) Blob(ctx context.Context, repo string, content []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	ref, err := name.NewRepository(r.host+"/"+repo, name.Insecure)
	if err != nil {
		return v1.Descriptor{}, err
	}
	layer := static.NewLayer(content, mediaType)
	if err := remote.WriteLayer(ref, layer, remote.WithContext(ctx)); err != nil {
		return v1.Descriptor{}, err
	}
	hash, err := layer.Digest()
	return v1.Descriptor{MediaType: mediaType, Digest: hash, Size: int64(len(content))}, err
}

// Manifest pushes what holds layers and is no image, as a tag, or without one.
func (r *Registry) Manifest(ctx context.Context, repo, tag string, m v1.Manifest) error {
	empty, err := r.Blob(ctx, repo, []byte("{}"), "application/vnd.oci.empty.v1+json")
	if err != nil {
		return err
	}
	m.SchemaVersion, m.MediaType, m.Config = 2, types.OCIManifestSchema1, empty
	raw, err := json.Marshal(m)
	if err != nil {
		return err
	}
	address := fmt.Sprintf("%s/%s@sha256:%x", r.host, repo, sha256.Sum256(raw))
	if tag != "" {
		address = r.host + "/" + repo + ":" + tag
	}
	ref, err := name.ParseReference(address, name.Insecure)
	if err != nil {
		return err
	}
	return remote.Put(ref, rawManifest(raw), remote.WithContext(ctx))
}

// rawManifest is a manifest as it is pushed, byte by byte.
type rawManifest []byte

// RawManifest is what is pushed.
func (m rawManifest) RawManifest() ([]byte, error) { return m, nil }

// MediaType is that of an image manifest.
func (m rawManifest) MediaType() (types.MediaType, error) { return types.OCIManifestSchema1, nil }
