package registry

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/signature"
)

// signed is a registry with a pushed image, and the key that may sign it.
type signed struct {
	*testing.T
	reg    *registrytest.Registry
	client *Client
	key    *registrytest.Key
	digest string
}

func newSigned(t *testing.T) *signed {
	t.Helper()
	reg, c := start(t)
	key, err := registrytest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	return &signed{T: t, reg: reg, client: c, key: key, digest: push(t, reg, "acme/payments", "1.7.0", registrytest.Content{Seed: "payments", Index: true})}
}

func (s *signed) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// another is one more image of the repository.
func (s *signed) another(tag string) string {
	s.Helper()
	return push(s.T, s.reg, "acme/payments", tag, registrytest.Content{Seed: tag})
}

// judged is what a digest's signatures come to, asked for the key.
func (s *signed) judged(digest string) signature.Judgement {
	s.Helper()
	key, err := signature.ParseKey("release.pub", s.key.Public())
	s.must(err)
	attached, err := s.client.Attached(s.Context(), payments, digest)
	s.must(err)
	return signature.Judge(key, digest, attached)
}

func (s *signed) comesTo(digest string, outcome signature.Outcome, says string) {
	s.Helper()
	if j := s.judged(digest); j.Outcome != outcome || !strings.Contains(j.Reason, says) {
		s.Errorf("%+v; want %s, and %q", j, outcome, says)
	}
}

// layer is a payload with a signature, as the older form has it.
func (s *signed) layer(payload []byte, sig string) v1.Descriptor {
	s.Helper()
	d, err := s.reg.Blob(s.Context(), "acme/payments", payload, simpleSigning)
	s.must(err)
	d.Annotations = map[string]string{signatureAnnotation: sig}
	return d
}

func (s *signed) good(digest string) v1.Descriptor {
	s.Helper()
	payload, sig, err := s.key.Simple(digest)
	s.must(err)
	return s.layer(payload, sig)
}

// holds puts layers where the older form has the signatures of a digest.
func (s *signed) holds(digest string, layers ...v1.Descriptor) {
	s.Helper()
	s.must(s.reg.Manifest(s.Context(), "acme/payments", registrytest.SignatureTag(digest), v1.Manifest{Layers: layers}))
}

func TestSignaturesOfARealRegistry(t *testing.T) {
	s := newSigned(t)
	s.comesTo(s.digest, signature.Unsigned, "")
	other, err := registrytest.NewKey()
	s.must(err)
	s.must(s.reg.Sign(t.Context(), "acme/payments", s.digest, other))
	s.comesTo(s.digest, signature.Foreign, "layer 1 of tag sha256-")
	s.must(s.reg.Sign(t.Context(), "acme/payments", s.digest, s.key))
	s.comesTo(s.digest, signature.Signed, "")

	second := s.another("1.8.0")
	s.must(s.reg.SignBundle(t.Context(), "acme/payments", second, other))
	s.comesTo(second, signature.Foreign, "referrer sha256:")
	s.must(s.reg.SignBundle(t.Context(), "acme/payments", second, s.key))
	s.comesTo(second, signature.Signed, "")

	// An image that is not there has no signatures; whether it is there is asked apart.
	s.comesTo("sha256:"+strings.Repeat("0", 64), signature.Unsigned, "")
}

// Whoever may push to a repository may attach anything to an image in it.
func TestHostileSignatures(t *testing.T) {
	s := newSigned(t)
	elsewhere := s.another("1.6.0")
	asked := false
	trap := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer trap.Close()
	foreign := s.good(s.digest)
	foreign.URLs = []string{trap.URL + "/payload"}
	plain := s.good(s.digest)
	plain.Annotations = nil
	odd := s.good(s.digest)
	odd.MediaType = "application/octet-stream"
	lying := s.layer([]byte(strings.Repeat(" ", maxPayload+1)), "AAAA")
	lying.Size = 1
	huge := s.layer([]byte(strings.Repeat(" ", maxPayload+2)), "AAAA")
	for i, c := range []struct {
		story   string
		layers  []v1.Descriptor
		outcome signature.Outcome
		says    string
	}{
		{"a signature of another image", []v1.Descriptor{s.good(elsewhere)}, signature.Foreign, "not for this image"},
		{"garbage", []v1.Descriptor{s.layer([]byte{0, 255, 1}, "AAAA")}, signature.Foreign, "its payload is no JSON"},
		{"garbage beside a good one", []v1.Descriptor{s.layer([]byte{0, 255, 1}, "AAAA"), s.good(s.digest), odd, plain, huge}, signature.Signed, ""},
		{"a payload that is said to be elsewhere", []v1.Descriptor{foreign}, signature.Signed, ""},
		{"no signature beside the payload", []v1.Descriptor{plain}, signature.Foreign, "has no annotation"},
		{"a layer of another type", []v1.Descriptor{odd}, signature.Foreign, `of the type "application/octet-stream"`},
		{"a huge payload", []v1.Descriptor{huge}, signature.Foreign, "larger than 64 KiB"},
		{"a huge payload that claims to be small", []v1.Descriptor{lying}, signature.Foreign, "larger than 64 KiB"},
		{"no layers", nil, signature.Unsigned, ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			s := &signed{T: t, reg: s.reg, client: s.client, key: s.key, digest: s.digest}
			digest := s.digest
			if c.outcome == signature.Unsigned {
				digest = s.another(fmt.Sprint("2.0.", i))
			}
			s.holds(digest, c.layers...)
			s.comesTo(digest, c.outcome, c.says)
		})
	}
	if asked {
		t.Error("an address that a manifest names was asked")
	}
}

// Ten thousand signatures cost no more than a thousand: the newest are looked at.
func TestTooManySignatures(t *testing.T) {
	s := newSigned(t)
	other, err := registrytest.NewKey()
	s.must(err)
	payload, sig, err := other.Simple(s.digest)
	s.must(err)
	bad := s.layer(payload, sig)
	var many []v1.Descriptor
	for range 10_000 {
		many = append(many, bad)
	}
	s.holds(s.digest, many...)
	s.comesTo(s.digest, signature.Foreign, "And 997 more. 9000 more were not looked at")
	many[9999] = s.good(s.digest)
	s.holds(s.digest, many...)
	s.comesTo(s.digest, signature.Signed, "")

	// Payloads that differ have to be fetched, each of them.
	var differ []v1.Descriptor
	for i := range maxPayloads + 1 {
		differ = append(differ, s.layer(fmt.Appendf(nil, "%d", i), "AAAA"))
	}
	s.holds(s.digest, differ...)
	s.comesTo(s.digest, signature.Foreign, "there are more than 64 payloads that differ")
}

func TestHostileReferrers(t *testing.T) {
	s := newSigned(t)
	ctx, repo := t.Context(), "acme/payments"
	elsewhere := s.another("1.6.0")
	good, err := s.key.Bundle(registrytest.SignStatement(elsewhere))
	s.must(err)
	s.must(s.reg.Refer(ctx, repo, s.digest, good))
	s.comesTo(s.digest, signature.Foreign, "not for this image")
	s.must(s.reg.Refer(ctx, repo, s.digest, []byte(strings.Repeat(" ", maxBundle+1))))
	s.comesTo(s.digest, signature.Foreign, "larger than 1024 KiB")
	s.must(s.reg.Refer(ctx, repo, s.digest, []byte("{}")))
	s.comesTo(s.digest, signature.Foreign, "it is no Sigstore bundle")
	listed := s.another("1.6.1")
	sbom, err := s.key.Bundle(registrytest.Statement("https://spdx.dev/Document", listed))
	s.must(err)
	s.must(s.reg.Refer(ctx, repo, listed, sbom))
	s.comesTo(listed, signature.Foreign, "an attestation of the type")
	s.must(s.reg.SignBundle(ctx, repo, s.digest, s.key))
	s.comesTo(s.digest, signature.Signed, "")
}

// A registry that knows of referrers is asked for them. This one lists them by the type
// of their empty configuration, which says nothing of what they carry.
func TestARegistryThatKnowsReferrers(t *testing.T) {
	asked := 0
	knows := registry.New(registry.WithReferrersSupport(true), registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/referrers/") {
			asked++
		}
		knows.ServeHTTP(w, r)
	}))
	defer server.Close()
	host := strings.TrimPrefix(server.URL, "http://")
	key, err := registrytest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	s := &signed{T: t, reg: registrytest.At(host), client: client(host), key: key}
	s.digest = s.another("1.7.0")
	s.comesTo(s.digest, signature.Unsigned, "")
	s.must(s.reg.SignBundle(t.Context(), "acme/payments", s.digest, s.key))
	s.comesTo(s.digest, signature.Signed, "")
	if asked == 0 {
		t.Error("the registry was not asked for referrers")
	}
}

// One that has never heard of them, and says so oddly, may hold the older form.
func TestARegistryWithoutReferrers(t *testing.T) {
	s := newSigned(t)
	s.must(s.reg.Sign(t.Context(), "acme/payments", s.digest, s.key))
	behind := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(&url.URL{Scheme: "http", Host: s.reg.Host()})
	}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/referrers/") {
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	defer server.Close()
	s.client = client(strings.TrimPrefix(server.URL, "http://"))
	s.comesTo(s.digest, signature.Signed, "")
}

// That a registry is away says nothing about what is signed.
func TestSignaturesThatCannotBeAskedFor(t *testing.T) {
	s := newSigned(t)
	s.must(s.reg.Sign(t.Context(), "acme/payments", s.digest, s.key))
	s.reg.Stop()
	if _, err := s.client.Attached(t.Context(), payments, s.digest); !fault.Is(err, fault.Transient) {
		t.Errorf("%v", err)
	}
	for status, kind := range map[int]fault.Kind{
		http.StatusUnauthorized: fault.Denied, http.StatusInternalServerError: fault.Transient, http.StatusTooManyRequests: fault.RateLimited,
	} {
		sick := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/" {
				w.WriteHeader(status)
			}
		}))
		defer sick.Close()
		_, err := client(strings.TrimPrefix(sick.URL, "http://")).Attached(t.Context(), payments, s.digest)
		if !fault.Is(err, kind) {
			t.Errorf("status %d: %v, want %s", status, err, kind)
		}
	}
	if _, err := s.client.Attached(t.Context(), payments, "sha256:1"); !fault.Is(err, fault.Invalid) {
		t.Errorf("%v", err)
	}
}
