package signature

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/verify"
)

// BundleType is the media type of a Sigstore bundle, and the artifact type of what
// carries one in a registry.
const BundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

// SignPredicate is what cosign states of an image that it signs. Any other statement is
// an attestation: that an image has a list of its contents does not mean that anybody
// stands up for it.
const SignPredicate = "https://sigstore.dev/cosign/sign/v1"

// statementFor reads a bundle, and makes sure that it states that exactly this digest,
// and nothing else, is signed. Whoever says so is not known yet.
func statementFor(digest string, data []byte) (*bundle.Bundle, error) {
	b := &bundle.Bundle{}
	if err := b.UnmarshalJSON(data); err != nil {
		return nil, errors.New("it is no Sigstore bundle")
	}
	if b.GetMediaType() != BundleType {
		return nil, fmt.Errorf("it is a bundle of the type %.80q, not %s", b.GetMediaType(), BundleType)
	}
	var statement struct {
		PredicateType string `json:"predicateType"`
		Subject       []struct {
			Digest map[string]string `json:"digest"`
		} `json:"subject"`
	}
	if json.Unmarshal(b.GetDsseEnvelope().GetPayload(), &statement) != nil {
		return nil, errors.New("it makes no in-toto statement")
	}
	switch {
	case statement.PredicateType != SignPredicate:
		return nil, fmt.Errorf("it is an attestation of the type %.80q, not a signature", statement.PredicateType)
	case len(statement.Subject) != 1:
		return nil, fmt.Errorf("it is for %d things at once", len(statement.Subject))
	case "sha256:"+statement.Subject[0].Digest["sha256"] != digest:
		return nil, fmt.Errorf("it is for %s, not for this image", other("sha256:"+statement.Subject[0].Digest["sha256"]))
	}
	return b, nil
}

// artifact is what a bundle has to be about.
func artifact(digest string) (verify.ArtifactPolicyOption, error) {
	raw, err := hex.DecodeString(strings.TrimPrefix(digest, "sha256:"))
	if err != nil || len(raw) != 32 {
		return nil, fmt.Errorf("%.80q is not a sha256 digest", digest)
	}
	return verify.WithArtifactDigest("sha256", raw), nil
}
