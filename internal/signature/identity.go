package signature

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"

	"github.com/sigstore/sigstore-go/pkg/bundle"
	"github.com/sigstore/sigstore-go/pkg/root"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/tagboat/tagboat/internal/fault"
)

// Roots are the authorities of a Sigstore instance: who gives certificates to
// identities, and who witnesses when something was signed.
type Roots struct {
	id      string
	trusted *root.TrustedRoot
}

// ParseRoots reads a trusted_root.json, as a Sigstore instance publishes it. Invalid for
// anything else, and for one without certificate authorities or without witnesses: a
// certificate is good for minutes, so somebody has to say when it was used.
func ParseRoots(data []byte) (*Roots, error) {
	trusted, err := root.NewTrustedRootFromJSON(data)
	switch {
	case err != nil:
		return nil, fault.E(fault.Invalid, "it is no trusted root of Sigstore (trusted_root.json).", err)
	case len(trusted.FulcioCertificateAuthorities()) == 0:
		return nil, fault.Errorf(fault.Invalid, "it names no certificate authority.")
	case len(trusted.RekorLogs()) == 0 && len(trusted.TimestampingAuthorities()) == 0:
		return nil, fault.Errorf(fault.Invalid, "it names neither a transparency log nor a timestamp authority.")
	}
	return &Roots{id: fmt.Sprintf("%x", sha256.Sum256(data)), trusted: trusted}, nil
}

// demands are what a signature has to come with: all kinds of witnesses that the
// instance has. The public one has all of them.
func (r *Roots) demands() []verify.VerifierOption {
	options := []verify.VerifierOption{verify.WithObserverTimestamps(1), verify.WithoutStatementPredicate()}
	if len(r.trusted.RekorLogs()) > 0 {
		options = append(options, verify.WithTransparencyLog(1))
	}
	if len(r.trusted.CTLogs()) > 0 {
		options = append(options, verify.WithSignedCertificateTimestamps(1))
	}
	return options
}

// Identity is somebody who signs without a key of their own: a Sigstore instance has
// certified, for minutes, that an issuer knows them by a name.
type Identity struct {
	Name    string // exactly: "https://github.com/acme/payments/.github/workflows/release.yml@refs/heads/main"
	Pattern string // or a regular expression, which has to match all of the name
	Issuer  string // exactly: "https://token.actions.githubusercontent.com"
	Roots   *Roots
}

// ID names the identity, and whom it is believed from.
func (i *Identity) ID() string {
	return fmt.Sprintf("identity %q %q %q %s", i.Name, i.Pattern, i.Issuer, i.Roots.id)
}

func (i *Identity) String() string {
	return fmt.Sprintf("%s (by %s)", cmp.Or(i.Name, i.Pattern), i.Issuer)
}

// Whole is a regular expression that matches all of a text or nothing of it.
func Whole(pattern string) string {
	if pattern == "" {
		return ""
	}
	return `^(?:` + pattern + `)$`
}

func (i *Identity) signed(digest string, f Found) (string, error) {
	if f.Simple != nil {
		return i.signedSimple(digest, f.Simple)
	}
	b, err := statementFor(digest, f.Bundle)
	if err != nil {
		return "", err
	}
	about, err := artifact(digest)
	if err != nil {
		return "", err
	}
	return i.certified(b, about)
}

// signedSimple has the older form checked as the bundle that it comes to.
func (i *Identity) signedSimple(digest string, s *Simple) (string, error) {
	if err := s.of(digest); err != nil {
		return "", err
	}
	b, err := s.bundle()
	if err != nil {
		return "", err
	}
	return i.certified(b, verify.WithArtifact(bytes.NewReader(s.Payload)))
}

// certified checks what an identity has signed, and gives the name that it was
// certified by.
func (i *Identity) certified(b *bundle.Bundle, about verify.ArtifactPolicyOption) (string, error) {
	who, err := verify.NewShortCertificateIdentity(i.Issuer, "", i.Name, Whole(i.Pattern))
	if err != nil {
		return "", err
	}
	v, err := verify.NewVerifier(i.Roots.trusted, i.Roots.demands()...)
	if err != nil {
		return "", err
	}
	anybody, err := v.Verify(b, verify.NewPolicy(about, verify.WithoutIdentitiesUnsafe()))
	if err != nil {
		return "", fmt.Errorf("it is not certified by the Sigstore instance that Tagboat trusts (%w)", err)
	}
	if anybody.Signature == nil || anybody.Signature.Certificate == nil {
		return "", errors.New("it is by a key, not by an identity")
	}
	is := *anybody.Signature.Certificate
	if who.Verify(is) != nil {
		return "", fmt.Errorf("it is by %.200q (by %.200q)", is.SubjectAlternativeName, is.Issuer)
	}
	return fmt.Sprintf("%s (by %s)", is.SubjectAlternativeName, is.Issuer), nil
}
