package registry

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

func TestTheSameImageByAnotherDigest(t *testing.T) {
	reg, c := start(t)
	content := func(seed string, platforms ...string) registrytest.Content {
		return registrytest.Content{Seed: seed, Platforms: platforms, Index: true}
	}
	index := push(t, reg, "acme/payments", "1.7.0", content("a", "linux/amd64", "linux/arm64"))
	smaller := push(t, reg, "acme/payments", "1.7.0-amd64", content("a", "linux/amd64"))
	other := push(t, reg, "acme/payments", "1.8.0", content("b", "linux/amd64", "linux/arm64"))
	read, err := remote.Index(tagAt(t, reg, "acme/payments:1.7.0"))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := read.IndexManifest()
	if err != nil {
		t.Fatal(err)
	}
	copied := mutate.Annotations(read, map[string]string{"copied": "by a mirror"}).(v1.ImageIndex)
	if err := remote.WriteIndex(tagAt(t, reg, "acme/payments:1.7.0-again"), copied); err != nil {
		t.Fatal(err)
	}
	hash, err := copied.Digest()
	if err != nil {
		t.Fatal(err)
	}
	again := hash.String()
	part, never := manifest.Manifests[1].Digest.String(), "sha256:"+strings.Repeat("0", 64)
	for _, tt := range []struct {
		name, a, b string
		want       bool
	}{
		{"itself", index, index, true},
		{"what is in it for one platform", index, part, true},
		{"the other way round", part, index, true},
		{"another index of the same images", index, again, true},
		{"an index of less", index, smaller, false},
		{"an index of more", smaller, index, false},
		{"another platform's", smaller, part, false},
		{"another version", index, other, false},
	} {
		got, err := c.SameImage(t.Context(), payments, tt.a, tt.b)
		if err != nil || got != tt.want {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
	// What is not there proves nothing: it may have been deleted.
	if same, err := c.SameImage(t.Context(), payments, index, never); same || !fault.Is(err, fault.NotFound) || errors.Is(err, ErrForgotten) {
		t.Errorf("what runs is not there: %v, %v", same, err)
	}
	if same, err := c.SameImage(t.Context(), payments, never, index); same || !fault.Is(err, fault.NotFound) || !errors.Is(err, ErrForgotten) {
		t.Errorf("what was applied is not there: %v, %v", same, err)
	}
	if _, err := c.SameImage(t.Context(), payments, index, "latest"); !fault.Is(err, fault.Invalid) {
		t.Errorf("no digest: %v", err)
	}
	if !c.Knows(payments) || c.Knows("elsewhere.example.com/acme/payments") || c.Knows("nginx") {
		t.Error("which registries are known")
	}
}

// What could not be asked is no answer.
func TestARegistryThatIsUnwellComparesNothing(t *testing.T) {
	unwell := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.Error(w, "down", http.StatusServiceUnavailable) }))
	defer unwell.Close()
	digest := "sha256:" + strings.Repeat("a", 64)
	_, err := client(strings.TrimPrefix(unwell.URL, "http://")).SameImage(t.Context(), payments, digest, digest[:70]+"b")
	if !fault.KindOf(err).Retryable() {
		t.Errorf("got %v", err)
	}
}
