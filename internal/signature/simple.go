package signature

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tagboat/tagboat/internal/image"
)

// Simple is a signature as cosign has written it since its first version: the payload
// is a layer of the image with the tag sha256-<digest>.sig, and the rest are the layer's
// annotations.
type Simple struct {
	Payload     []byte
	Signature   string // base64
	Certificate string // PEM; "" where it was made by a key
	Rekor       string // JSON: the entry of the transparency log; "" where there is none
}

// simpleType is what a payload has to call itself
// (https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md).
const simpleType = "cosign container image signature"

// of makes sure that the payload is about this digest. Whoever signed it is not known
// yet.
func (s *Simple) of(digest string) error {
	var payload struct {
		Critical struct {
			Type  string `json:"type"`
			Image struct {
				Digest string `json:"docker-manifest-digest"`
			} `json:"image"`
		} `json:"critical"`
	}
	switch err := json.Unmarshal(s.Payload, &payload); {
	case err != nil:
		return errors.New("its payload is no JSON")
	case payload.Critical.Type != simpleType:
		return fmt.Errorf("its payload is of the type %.60q, not %q", payload.Critical.Type, simpleType)
	case payload.Critical.Image.Digest != digest:
		return fmt.Errorf("it is for %s, not for this image", other(payload.Critical.Image.Digest))
	}
	return nil
}

// other is a digest that somebody else wrote, for people.
func other(digest string) string {
	if !image.ValidDigest(digest) {
		return fmt.Sprintf("%.60q", digest)
	}
	return image.ShortDigest(digest)
}

// bytes are the signature itself.
func (s *Simple) bytes() ([]byte, error) {
	raw, err := base64.StdEncoding.DecodeString(s.Signature)
	if err != nil || len(raw) == 0 {
		return nil, errors.New("its signature is no base64")
	}
	return raw, nil
}
