// Package signaturetest is a Sigstore instance for tests, which certifies whoever it is
// told to. It is sigstore-go's own: certificates, a transparency log and timestamps are
// real, but for their authorities.
package signaturetest

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"time"

	protobundle "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	protocommon "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	protodsse "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	protorekor "github.com/sigstore/protobuf-specs/gen/pb-go/rekor/v1"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/testing/ca"
	"github.com/sigstore/sigstore-go/pkg/tlog"
	"google.golang.org/protobuf/encoding/protojson"
)

// Instance is a Sigstore instance.
type Instance struct{ sigstore *ca.VirtualSigstore }

// New makes an instance that nobody knows yet.
func New() (*Instance, error) {
	v, err := ca.NewVirtualSigstore()
	return &Instance{v}, err
}

// TrustedRoot is the trusted_root.json that the instance publishes. It has no log of
// certificates.
func (i *Instance) TrustedRoot() ([]byte, error) {
	logs := i.sigstore.RekorLogs()
	for id, log := range logs { // sigstore-go writes their ids as text
		raw, err := hex.DecodeString(id)
		if err != nil {
			return nil, err
		}
		log.ID = raw
	}
	trusted, err := root.NewTrustedRoot(root.TrustedRootMediaType01, i.sigstore.FulcioCertificateAuthorities(), nil, i.sigstore.TimestampingAuthorities(), logs)
	if err != nil {
		return nil, err
	}
	return trusted.MarshalJSON()
}

// Bundle is a statement that somebody has signed without a key of their own, as a
// Sigstore bundle of version 0.3.
func (i *Instance) Bundle(identity, issuer string, statement []byte) ([]byte, error) {
	e, err := i.sigstore.AttestAtTime(identity, issuer, statement, time.Now().Add(5*time.Minute), true)
	if err != nil {
		return nil, err
	}
	certificate, signature, entries, err := i.parts(e)
	if err != nil {
		return nil, err
	}
	stamps, err := e.Timestamps()
	if err != nil {
		return nil, err
	}
	var times protobundle.TimestampVerificationData
	for _, s := range stamps {
		times.Rfc3161Timestamps = append(times.Rfc3161Timestamps, &protocommon.RFC3161SignedTimestamp{SignedTimestamp: s})
	}
	return protojson.Marshal(&protobundle.Bundle{
		MediaType: "application/vnd.dev.sigstore.bundle.v0.3+json",
		VerificationMaterial: &protobundle.VerificationMaterial{
			Content:     &protobundle.VerificationMaterial_Certificate{Certificate: &protocommon.X509Certificate{RawBytes: certificate}},
			TlogEntries: entries, TimestampVerificationData: &times,
		},
		Content: &protobundle.Bundle_DsseEnvelope{DsseEnvelope: &protodsse.Envelope{
			Payload: statement, PayloadType: "application/vnd.in-toto+json", Signatures: []*protodsse.Signature{{Sig: signature}},
		}},
	})
}

// Simple is the signature of a payload in cosign's older form.
type Simple struct {
	Signature   string // base64
	Certificate string // PEM
	Rekor       string // JSON: the transparency log's promise
}

// Simple has somebody sign a payload without a key of their own.
func (i *Instance) Simple(identity, issuer string, payload []byte) (s Simple, err error) {
	e, err := i.sigstore.Sign(identity, issuer, payload)
	if err != nil {
		return s, err
	}
	certificate, signature, entries, err := i.parts(e)
	if err != nil {
		return s, err
	}
	rekor, err := json.Marshal(map[string]any{
		"SignedEntryTimestamp": entries[0].GetInclusionPromise().GetSignedEntryTimestamp(),
		"Payload": map[string]any{
			"body": entries[0].GetCanonicalizedBody(), "integratedTime": entries[0].GetIntegratedTime(), "logIndex": entries[0].GetLogIndex(),
			"logID": hex.EncodeToString(entries[0].GetLogId().GetKeyId()),
		},
	})
	return Simple{
		Signature: base64.StdEncoding.EncodeToString(signature), Rekor: string(rekor),
		Certificate: string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})),
	}, err
}

// parts are the certificate and the signature, and what the transparency log says of
// them. Of what kind an entry is, and the log's promise to have it, sigstore-go keeps
// apart.
func (i *Instance) parts(e *ca.TestEntity) (certificate, signature []byte, all []*protorekor.TransparencyLogEntry, err error) {
	by, err := e.VerificationContent()
	if err != nil {
		return nil, nil, nil, err
	}
	signed, err := e.SignatureContent()
	if err != nil {
		return nil, nil, nil, err
	}
	entries, err := e.TlogEntries()
	if err != nil {
		return nil, nil, nil, err
	}
	for _, entry := range entries {
		e := entry.TransparencyLogEntry()
		var kind struct{ Kind, APIVersion string }
		if err := json.Unmarshal(e.GetCanonicalizedBody(), &kind); err != nil {
			return nil, nil, nil, err
		}
		promise, err := i.sigstore.RekorSignPayload(tlog.RekorPayload{
			Body: e.GetCanonicalizedBody(), IntegratedTime: e.GetIntegratedTime(), LogIndex: e.GetLogIndex(), LogID: hex.EncodeToString(e.GetLogId().GetKeyId()),
		})
		if err != nil {
			return nil, nil, nil, err
		}
		e.KindVersion = &protorekor.KindVersion{Kind: kind.Kind, Version: kind.APIVersion}
		e.InclusionPromise = &protorekor.InclusionPromise{SignedEntryTimestamp: promise}
		all = append(all, e)
	}
	return by.Certificate().Raw, signed.Signature(), all, nil
}
