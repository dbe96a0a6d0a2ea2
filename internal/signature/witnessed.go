package signature

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/bundle"
)

// simpleBundle is the media type of the bundles whose witness may be a promise of the
// transparency log, which is all that the older form keeps.
const simpleBundle = "application/vnd.dev.sigstore.bundle+json;version=0.1"

// rekorEntry is the annotation dev.sigstore.cosign/bundle.
type rekorEntry struct {
	SignedEntryTimestamp []byte
	Payload              struct {
		Body           []byte `json:"body"`
		IntegratedTime int64  `json:"integratedTime"`
		LogIndex       int64  `json:"logIndex"`
		LogID          string `json:"logID"`
	}
}

// bundle is the Sigstore bundle that a signature by an identity comes to.
func (s *Simple) bundle() (*bundle.Bundle, error) {
	if s.Certificate == "" {
		return nil, errors.New("it is by a key, not by an identity")
	}
	certificate, _ := pem.Decode([]byte(s.Certificate))
	if certificate == nil {
		return nil, errors.New("its certificate is not in PEM form")
	}
	raw, err := s.bytes()
	if err != nil {
		return nil, err
	}
	entry, err := s.witness()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(s.Payload)
	b, err := bundle.NewBundle(&protobundle.Bundle{
		MediaType: simpleBundle,
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content: &protobundle.VerificationMaterial_X509CertificateChain{X509CertificateChain: &protocommon.X509CertificateChain{
				Certificates: []*protocommon.X509Certificate{{RawBytes: certificate.Bytes}},
			}},
			TlogEntries: []*protorekor.TransparencyLogEntry{entry},
		},
		Content: &protobundle.Bundle_MessageSignature{MessageSignature: &protocommon.MessageSignature{
			MessageDigest: &protocommon.HashOutput{Algorithm: protocommon.HashAlgorithm_SHA2_256, Digest: sum[:]},
			Signature:     raw,
		}},
	})
	if err != nil {
		return nil, errors.New("its certificate or its entry of the transparency log cannot be read")
	}
	return b, nil
}

// witness is the transparency log's promise that it has the signature.
func (s *Simple) witness() (*protorekor.TransparencyLogEntry, error) {
	if s.Rekor == "" {
		return nil, errors.New("it has no entry of a transparency log, so nobody witnesses when it was made")
	}
	var e rekorEntry
	var kind struct{ Kind, APIVersion string }
	if json.Unmarshal([]byte(s.Rekor), &e) != nil || json.Unmarshal(e.Payload.Body, &kind) != nil {
		return nil, errors.New("its entry of the transparency log is no JSON")
	}
	id, err := hex.DecodeString(e.Payload.LogID)
	if err != nil {
		return nil, errors.New("its entry of the transparency log names no log")
	}
	return &protorekor.TransparencyLogEntry{
		LogIndex: e.Payload.LogIndex, LogId: &protocommon.LogId{KeyId: id},
		KindVersion:    &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion},
		IntegratedTime: e.Payload.IntegratedTime, InclusionPromise: &protorekor.InclusionPromise{SignedEntryTimestamp: e.SignedEntryTimestamp},
		CanonicalizedBody: e.Payload.Body,
	}, nil
}
