package signature

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }

func newKey(t *testing.T) *registrytest.Key {
	t.Helper()
	k, err := registrytest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func parsed(t *testing.T, data []byte) *Key {
	t.Helper()
	k, err := ParseKey("keys/release.pub", data)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// simple is a signature in cosign's older form.
func simple(t *testing.T, k *registrytest.Key, digest string) *Simple {
	t.Helper()
	payload, sig, err := k.Simple(digest)
	if err != nil {
		t.Fatal(err)
	}
	return &Simple{Payload: payload, Signature: sig}
}

// bundled is a statement that a key has signed.
func bundled(t *testing.T, k *registrytest.Key, statement []byte) []byte {
	t.Helper()
	b, err := k.Bundle(statement)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestWhoHasSigned(t *testing.T) {
	release, other := newKey(t), newKey(t)
	key := parsed(t, release.Public())
	image, another := digest("a"), digest("b")
	payloadOf := func(payload string) *Simple {
		sig, err := release.Sign([]byte(payload))
		if err != nil {
			t.Fatal(err)
		}
		return &Simple{Payload: []byte(payload), Signature: sig}
	}
	good := simple(t, release, image)
	swapped := *good
	swapped.Payload = registrytest.SimplePayload(another)
	copied := *simple(t, release, another)
	copied.Payload = good.Payload
	sbom := registrytest.Statement("https://spdx.dev/Document", image)
	changed := strings.Replace(string(bundled(t, release, registrytest.SignStatement(another))),
		base64.StdEncoding.EncodeToString(registrytest.SignStatement(another)), base64.StdEncoding.EncodeToString(registrytest.SignStatement(image)), 1)
	for _, c := range []struct {
		story   string
		found   []Found
		outcome Outcome
		says    string
	}{
		{"nothing is attached", nil, Unsigned, ""},
		{"the key has signed it", []Found{{Simple: good}}, Signed, ""},
		{"it has signed it with a bundle", []Found{{Bundle: bundled(t, release, registrytest.SignStatement(image))}}, Signed, ""},
		{"others have, too", []Found{{Simple: simple(t, other, image)}, {Simple: good}, {Broken: "larger than the world"}}, Signed, ""},
		{"somebody else has", []Found{{Place: "layer 1", Simple: simple(t, other, image)}}, Foreign, "layer 1: it is not by this key."},
		{"somebody else has, with a bundle", []Found{{Bundle: bundled(t, other, registrytest.SignStatement(image))}}, Foreign, "it is not by this key"},
		{"it has signed another image, and that was copied over", []Found{{Simple: simple(t, release, another)}}, Foreign, "it is for sha256:bbbbbbbbbbbb, not for this image"},
		{"that was copied over as a bundle", []Found{{Bundle: bundled(t, release, registrytest.SignStatement(another))}}, Foreign, "it is for sha256:bbbbbbbbbbbb, not for this image"},
		{"the payload was replaced", []Found{{Simple: &swapped}}, Foreign, "it is for sha256:bbbbbbbbbbbb"},
		{"another image's signature stands beside this one's payload", []Found{{Simple: &copied}}, Foreign, "it is not by this key"},
		{"a bundle's statement was replaced", []Found{{Bundle: []byte(changed)}}, Foreign, "it is not by this key"},
		{"it is a list of contents that the key has signed", []Found{{Bundle: bundled(t, release, sbom)}}, Foreign, "an attestation of the type \"https://spdx.dev/Document\", not a signature"},
		{"a statement about two images", []Found{{Bundle: bundled(t, release, registrytest.Statement(SignPredicate, image, another))}}, Foreign, "for 2 things at once"},
		{"a statement about nothing", []Found{{Bundle: bundled(t, release, registrytest.Statement(SignPredicate))}}, Foreign, "for 0 things at once"},
		{"the payload is of another kind", []Found{{Simple: payloadOf(`{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"` + image + `"}}}`)}}, Foreign, `of the type "atomic container signature"`},
		{"the payload names the digest elsewhere", []Found{{Simple: payloadOf(`{"critical":{"type":"cosign container image signature"},"optional":{"docker-manifest-digest":"` + image + `"}}`)}}, Foreign, `it is for "", not for this image`},
		{"the payload is garbage", []Found{{Simple: payloadOf("\x00\xff")}}, Foreign, "its payload is no JSON"},
		{"the signature is garbage", []Found{{Simple: &Simple{Payload: good.Payload, Signature: "%%%"}}}, Foreign, "its signature is no base64"},
		{"the signature is empty", []Found{{Simple: &Simple{Payload: good.Payload}}}, Foreign, "its signature is no base64"},
		{"the bundle is garbage", []Found{{Bundle: []byte("{}")}}, Foreign, "it is no Sigstore bundle"},
		{"the bundle is of another version", []Found{{Bundle: []byte(strings.Replace(string(bundled(t, release, registrytest.SignStatement(image))), "v0.3", "v0.9", 1))}}, Foreign, "it is no Sigstore bundle"},
		{"it could not be read", []Found{{Place: "layer 7", Broken: "it is larger than 64 KiB"}}, Foreign, "layer 7: it cannot be read: it is larger than 64 KiB."},
		{"five that are not its", []Found{{Place: "1", Broken: "x"}, {Place: "2", Broken: "x"}, {Place: "3", Broken: "x"}, {Place: "4", Broken: "x"}, {Place: "5", Broken: "y"}}, Foreign, "5: it cannot be read: y. 4: it cannot be read: x. 3: it cannot be read: x. And 2 more."},
	} {
		t.Run(c.story, func(t *testing.T) {
			j := Judge(key, image, Attached{Found: c.found})
			if j.Outcome != c.outcome || !strings.Contains(j.Reason, c.says) {
				t.Errorf("%+v; want %s, and %q", j, c.outcome, c.says)
			}
			if (j.By == key.String()) != (c.outcome == Signed) {
				t.Errorf("it is signed by %q", j.By)
			}
		})
	}
	j := Judge(key, image, Attached{Found: []Found{{Broken: "x"}}, Left: 9000})
	if !strings.Contains(j.Reason, "9000 more were not looked at") {
		t.Errorf("%+v", j)
	}
}

// pemOf is a public key in PEM form.
func pemOf(t *testing.T, public any) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// Cosign takes keys of other kinds, too.
func TestKindsOfKeys(t *testing.T) {
	image := digest("a")
	payload := registrytest.SimplePayload(image)
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	long, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	edPublic, edPrivate, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for story, c := range map[string]struct {
		public any
		signer crypto.Signer
		hash   crypto.Hash
	}{
		"P-384, as cosign has always signed": {p384.Public(), p384, crypto.SHA256},
		"P-384, as newer versions sign":      {p384.Public(), p384, crypto.SHA384},
		"RSA":                                {long.Public(), long, crypto.SHA256},
		"Ed25519":                            {edPublic, edPrivate, 0},
	} {
		t.Run(story, func(t *testing.T) {
			sum := payload
			if c.hash != 0 {
				h := c.hash.New()
				h.Write(payload)
				sum = h.Sum(nil)
			}
			sig, err := c.signer.Sign(rand.Reader, sum, c.hash)
			if err != nil {
				t.Fatal(err)
			}
			found := []Found{{Simple: &Simple{Payload: payload, Signature: base64.StdEncoding.EncodeToString(sig)}}}
			if j := Judge(parsed(t, pemOf(t, c.public)), image, Attached{Found: found}); j.Outcome != Signed {
				t.Errorf("%+v", j)
			}
			// Every key says no to the signatures of all others.
			if j := Judge(parsed(t, newKey(t).Public()), image, Attached{Found: found}); j.Outcome != Foreign {
				t.Errorf("another key: %+v", j)
			}
		})
	}
}

func TestFilesThatAreNoPublicKey(t *testing.T) {
	k := newKey(t)
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p224, err := ecdsa.GenerateKey(elliptic.P224(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for story, c := range map[string]struct{ file, says string }{
		"nothing":                  {"", "it is not in PEM form"},
		"text":                     {"ssh-ed25519 AAAA", "it is not in PEM form"},
		"a private key":            {string(pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED SIGSTORE PRIVATE KEY", Bytes: []byte("x")})), "holds a private key (ENCRYPTED SIGSTORE PRIVATE KEY). Everybody who can read"},
		"a certificate":            {string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")})), `it holds a "CERTIFICATE" that cannot be read as one`},
		"two keys":                 {string(k.Public()) + string(k.Public()), "something follows the first key"},
		"a broken key":             {string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte("x")})), "cannot be read as one"},
		"a short RSA key":          {string(pemOf(t, short.Public())), "an RSA key of 1024 bits"},
		"a key of a short curve":   {string(pemOf(t, p224.Public())), "ECDSA key on the curve P-224"},
		"more than a key can have": {strings.Repeat("x", MaxKey+1), "larger than 16 KiB"},
	} {
		_, err := ParseKey("keys/release.pub", []byte(c.file))
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), c.says) || !strings.HasPrefix(fault.HintOf(err), "keys/release.pub ") {
			t.Errorf("%s: %v; want it to say %q", story, err, c.says)
		}
	}
}

// What was found of one key is not believed of another, nor of the same in another
// file, which people would read about.
func TestSignersDiffer(t *testing.T) {
	a, b := newKey(t), newKey(t)
	one, two := parsed(t, a.Public()), parsed(t, b.Public())
	elsewhere, err := ParseKey("keys/other.pub", a.Public())
	if err != nil {
		t.Fatal(err)
	}
	if one.ID() == two.ID() || one.ID() == elsewhere.ID() || one.ID() != parsed(t, a.Public()).ID() {
		t.Errorf("%s, %s, %s", one.ID(), two.ID(), elsewhere.ID())
	}
	roots := &Roots{id: "one"}
	seen := map[string]bool{}
	for _, i := range []Identity{
		{Name: "a", Issuer: "b", Roots: roots}, {Pattern: "a", Issuer: "b", Roots: roots}, {Name: "a", Issuer: "c", Roots: roots},
		{Name: "a", Issuer: "b", Roots: &Roots{id: "two"}}, {Name: `a" "`, Issuer: "b", Roots: roots},
	} {
		seen[i.ID()] = true
	}
	if len(seen) != 5 {
		t.Errorf("%v", seen)
	}
	if fmt.Sprint(one) != one.String() || !strings.HasPrefix(one.String(), "key keys/release.pub (sha256:") {
		t.Errorf("%s", one)
	}
}

// What others wrote is told on one line that can be kept, and is not told for ever.
func TestWordsOfOthersArePlain(t *testing.T) {
	for text, want := range map[string]string{
		"key release.pub": "key release.pub", "a\x00b\nc\u202ed": "a b c d", "\xff": "\ufffd", strings.Repeat("é", 400): strings.Repeat("é", 300),
	} {
		if got := plain(text); got != want {
			t.Errorf("plain(%q) = %q", text, got)
		}
	}
}
