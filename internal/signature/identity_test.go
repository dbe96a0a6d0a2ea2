package signature

import (
	"encoding/hex"
	"strings"
	"testing"

	"github.com/sigstore/sigstore-go/pkg/testing/data"
	"github.com/sigstore/sigstore-go/pkg/verify"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/signature/signaturetest"
)

const (
	workflow = "https://github.com/acme/payments/.github/workflows/release.yml@refs/heads/main"
	actions  = "https://token.actions.githubusercontent.com"
)

// instance is a Sigstore instance, told of in tests.
type instance struct {
	*testing.T
	*signaturetest.Instance
}

func newInstance(t *testing.T) instance {
	t.Helper()
	i, err := signaturetest.New()
	if err != nil {
		t.Fatal(err)
	}
	return instance{t, i}
}

func (i instance) must(err error) {
	i.Helper()
	if err != nil {
		i.Fatal(err)
	}
}

func (i instance) roots() *Roots {
	i.Helper()
	published, err := i.TrustedRoot()
	i.must(err)
	roots, err := ParseRoots(published)
	i.must(err)
	return roots
}

func (i instance) bundle(identity, issuer string, statement []byte) []byte {
	i.Helper()
	b, err := i.Bundle(identity, issuer, statement)
	i.must(err)
	return b
}

func (i instance) simple(identity, issuer string, payload []byte) *Simple {
	i.Helper()
	s, err := i.Simple(identity, issuer, payload)
	i.must(err)
	return &Simple{Payload: payload, Signature: s.Signature, Certificate: s.Certificate, Rekor: s.Rekor}
}

func TestWhoHasSignedWithoutAKey(t *testing.T) {
	is, other := newInstance(t), newInstance(t)
	image, another := digest("a"), digest("b")
	exactly := &Identity{Name: workflow, Issuer: actions, Roots: is.roots()}
	about := registrytest.SignStatement(image)
	good := is.bundle(workflow, actions, about)
	simple := is.simple(workflow, actions, registrytest.SimplePayload(image))
	unwitnessed, uncertified, swapped := *simple, *simple, *simple
	unwitnessed.Rekor, uncertified.Certificate, swapped.Payload = "", "", registrytest.SimplePayload(another)
	elsewhere := *is.simple(workflow, actions, registrytest.SimplePayload(another))
	elsewhere.Payload = simple.Payload
	key := newKey(t)
	for _, c := range []struct {
		story   string
		signer  *Identity
		found   Found
		outcome Outcome
		says    string
	}{
		{"the workflow has signed it", exactly, Found{Bundle: good}, Signed, ""},
		{"it has, in the older form", exactly, Found{Simple: simple}, Signed, ""},
		{"one of the workflows has", &Identity{Pattern: `https://github\.com/acme/.*`, Issuer: actions, Roots: is.roots()}, Found{Bundle: good}, Signed, ""},
		{"a pattern matches only a part of who has", &Identity{Pattern: `github\.com/acme`, Issuer: actions, Roots: is.roots()}, Found{Bundle: good}, Foreign, "it is by \"" + workflow},
		{"one of two patterns is at the end only", &Identity{Pattern: `x|.*main`, Issuer: actions, Roots: is.roots()}, Found{Bundle: good}, Signed, ""},
		{"one of two patterns is at the beginning only", &Identity{Pattern: `https:|x`, Issuer: actions, Roots: is.roots()}, Found{Bundle: good}, Foreign, "it is by"},
		{"another workflow has", exactly, Found{Bundle: is.bundle(strings.Replace(workflow, "main", "fork", 1), actions, about)}, Foreign, "refs/heads/fork"},
		{"another workflow has, in the older form", exactly, Found{Simple: is.simple("mallory@example.com", actions, simple.Payload)}, Foreign, `it is by "mallory@example.com"`},
		{"somebody has an odd name", exactly, Found{Bundle: is.bundle("a\u0000\n@example.com", actions, about)}, Foreign, `it is by "a\x00\n@example.com"`},
		{"another issuer calls somebody so", exactly, Found{Bundle: is.bundle(workflow, "https://issuer.example.com", about)}, Foreign, "https://issuer.example.com"},
		{"another instance says so", exactly, Found{Bundle: other.bundle(workflow, actions, about)}, Foreign, "not certified by the Sigstore instance that Tagboat trusts"},
		{"another instance says so, in the older form", exactly, Found{Simple: other.simple(workflow, actions, simple.Payload)}, Foreign, "not certified by the Sigstore instance that Tagboat trusts"},
		{"it has signed another image", exactly, Found{Bundle: is.bundle(workflow, actions, registrytest.SignStatement(another))}, Foreign, "not for this image"},
		{"it has signed another image, in the older form", exactly, Found{Simple: &swapped}, Foreign, "not for this image"},
		{"another image's signature stands beside this one's payload", exactly, Found{Simple: &elsewhere}, Foreign, "not certified"},
		{"it has made a list of contents", exactly, Found{Bundle: is.bundle(workflow, actions, registrytest.Statement("https://spdx.dev/Document", image))}, Foreign, "an attestation of the type"},
		{"nobody knows when", exactly, Found{Simple: &unwitnessed}, Foreign, "no entry of a transparency log"},
		{"a key has signed it", exactly, Found{Simple: &uncertified}, Foreign, "it is by a key, not by an identity"},
		{"a key has signed it, with a bundle", exactly, Found{Bundle: bundled(t, key, about)}, Foreign, "not certified"},
	} {
		t.Run(c.story, func(t *testing.T) {
			j := Judge(c.signer, image, Attached{Found: []Found{c.found}})
			if j.Outcome != c.outcome || !strings.Contains(j.Reason, c.says) {
				t.Errorf("%+v; want %s, and %q", j, c.outcome, c.says)
			}
			if want := workflow + " (by " + actions + ")"; c.outcome == Signed && j.By != want {
				t.Errorf("it is signed by %q, want %q", j.By, want)
			}
		})
	}
	// A key does not take what an identity has signed.
	if j := Judge(parsed(t, key.Public()), image, Attached{Found: []Found{{Bundle: good}, {Simple: simple}}}); j.Outcome != Foreign {
		t.Errorf("%+v", j)
	}
}

// The public instance has more witnesses, and all of them are asked for: a bundle that
// it has really certified passes, offline.
func TestThePublicInstance(t *testing.T) {
	trusted := data.TrustedRoot(t, "public-good.json")
	published, err := trusted.MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	roots, err := ParseRoots(published)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(roots.demands()); n != 4 {
		t.Errorf("it demands %d things", n)
	}
	sum, err := hex.DecodeString("46d4e2f74c4877316640000a6fdf8a8b59f1e0847667973e9859f774dd31b8f1e0937813b777fb66a2ac67d50540fe34640966eee9fc2ccca387082b4c85cd3c")
	if err != nil {
		t.Fatal(err)
	}
	who := &Identity{Pattern: `https://github\.com/sigstore/sigstore-js/.*`, Issuer: actions, Roots: roots}
	by, err := who.certified(data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json"), verify.WithArtifactDigest("sha512", sum))
	if err != nil || !strings.HasPrefix(by, "https://github.com/sigstore/sigstore-js/") {
		t.Errorf("%q, %v", by, err)
	}
	who.Roots = newInstance(t).roots()
	if by, err := who.certified(data.Bundle(t, "sigstore.js@2.0.0-provenance.sigstore.json"), verify.WithArtifactDigest("sha512", sum)); err == nil {
		t.Errorf("another instance has certified %s", by)
	}
}

func TestFilesThatAreNoTrustedRoot(t *testing.T) {
	for _, c := range []struct{ file, says string }{
		{"", "no trusted root of Sigstore"},
		{"{}", "no trusted root of Sigstore"},
		{`{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}`, "names no certificate authority"},
	} {
		if _, err := ParseRoots([]byte(c.file)); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), c.says) {
			t.Errorf("%q: %v", c.file, err)
		}
	}
}
