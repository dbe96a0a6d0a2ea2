package signature

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"
	"github.com/sigstore/sigstore/pkg/cryptoutils"
	"github.com/sigstore/sigstore/pkg/signature"

	"github.com/tagboat/tagboat/internal/fault"
)

// Key is a public key, as cosign generate-key-pair writes it to cosign.pub.
type Key struct {
	name        string // of its file
	fingerprint string // sha256 of its DER form
	verifier    anyOf
}

// MaxKey is more than a public key can have, in bytes.
const MaxKey = 16 << 10

// ParseKey reads a file that holds one public key in PEM form. Invalid for anything
// else, also for kinds of keys that cosign does not sign with.
func ParseKey(name string, data []byte) (*Key, error) {
	refuse := func(format string, args ...any) (*Key, error) {
		return nil, fault.Errorf(fault.Invalid, "%s is no public key: "+format+". Write what cosign generate-key-pair writes to cosign.pub.", append([]any{name}, args...)...)
	}
	if len(data) > MaxKey {
		return refuse("it is larger than %d KiB", MaxKey>>10)
	}
	block, rest := pem.Decode(data)
	switch {
	case block == nil:
		return refuse("it is not in PEM form")
	case strings.Contains(block.Type, "PRIVATE"):
		return nil, fault.Errorf(fault.Invalid, "%s holds a private key (%s). Everybody who can read the repository has it now: make a new pair, and write its public key there.", name, block.Type)
	case len(bytes.TrimSpace(rest)) > 0:
		return refuse("something follows the first key")
	}
	public, err := cryptoutils.UnmarshalPEMToPublicKey(data)
	if err != nil {
		return refuse("it holds a %.40q that cannot be read as one", block.Type)
	}
	verifier, err := verifierOf(public)
	if err != nil {
		return refuse("%v", err)
	}
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		return refuse("%v", err)
	}
	sum := sha256.Sum256(der)
	return &Key{name: name, fingerprint: hex.EncodeToString(sum[:]), verifier: verifier}, nil
}

// verifierOf is what checks a key's signatures. Cosign signs with SHA-256 whatever the
// curve; newer versions take the hash that is as long as the curve.
func verifierOf(public crypto.PublicKey) (anyOf, error) {
	long := false
	switch key := public.(type) {
	case *ecdsa.PublicKey:
		if key.Curve == elliptic.P224() {
			return nil, errors.New("it is an ECDSA key on the curve P-224, which nothing of Sigstore takes")
		}
		long = key.Curve != elliptic.P256()
	case *rsa.PublicKey:
		if key.N.BitLen() < minRSA {
			return nil, fmt.Errorf("it is an RSA key of %d bits, and less than %d are not safe", key.N.BitLen(), minRSA)
		}
	case ed25519.PublicKey:
	default:
		return nil, errors.New("it is neither an ECDSA, nor an RSA, nor an Ed25519 key")
	}
	first, err := signature.LoadVerifier(public, crypto.SHA256)
	if err != nil || !long {
		return anyOf{first}, err
	}
	second, err := signature.LoadDefaultVerifier(public)
	return anyOf{first, second}, err
}

const minRSA = 2048 // bits

// ID names the key and its file.
func (k *Key) ID() string { return "key " + k.fingerprint + " " + k.name }

func (k *Key) String() string {
	return fmt.Sprintf("key %s (sha256:%s)", k.name, k.fingerprint[:12])
}

func (k *Key) signed(digest string, f Found) (string, error) {
	if f.Simple != nil {
		return k.String(), k.signedSimple(digest, f.Simple)
	}
	return k.String(), k.signedBundle(digest, f.Bundle)
}

func (k *Key) signedSimple(digest string, s *Simple) error {
	if err := s.of(digest); err != nil {
		return err
	}
	raw, err := s.bytes()
	if err != nil {
		return err
	}
	if k.verifier.VerifySignature(bytes.NewReader(raw), bytes.NewReader(s.Payload)) != nil {
		return errors.New("it is not by this key")
	}
	return nil
}

// signedBundle checks a bundle by the key alone: what it says of when it was signed is
// not asked, for a key has no end.
func (k *Key) signedBundle(digest string, data []byte) error {
	b, err := statementFor(digest, data)
	if err != nil {
		return err
	}
	trusted := root.NewTrustedPublicKeyMaterial(func(string) (root.TimeConstrainedVerifier, error) {
		return root.NewExpiringKey(k.verifier, time.Time{}, time.Time{}), nil
	})
	v, err := verify.NewVerifier(trusted, verify.WithNoObserverTimestamps(), verify.WithoutStatementPredicate())
	if err != nil {
		return err
	}
	about, err := artifact(digest)
	if err != nil {
		return err
	}
	if _, err := v.Verify(b, verify.NewPolicy(about, verify.WithKey())); err != nil {
		return errors.New("it is not by this key")
	}
	return nil
}

// anyOf takes what one of several verifiers of the same key takes.
type anyOf []signature.Verifier

// PublicKey is the key.
func (a anyOf) PublicKey(o ...signature.PublicKeyOption) (crypto.PublicKey, error) {
	return a[0].PublicKey(o...)
}

// VerifySignature checks a signature over a message.
func (a anyOf) VerifySignature(sig, message io.Reader, o ...signature.VerifyOption) error {
	rawSig, err := io.ReadAll(sig)
	if err != nil {
		return err
	}
	raw, err := io.ReadAll(message)
	if err != nil {
		return err
	}
	for _, v := range a {
		if err = v.VerifySignature(bytes.NewReader(rawSig), bytes.NewReader(raw), o...); err == nil {
			return nil
		}
	}
	return err
}
