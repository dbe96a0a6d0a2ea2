package worker

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry"
)

// An image's name in a manifest can lead anywhere, so only registries that Tagboat was
// told of are asked about what a node reports.
func TestARegistryThatNobodyToldOfIsNotAsked(t *testing.T) {
	told := registry.New(registry.Config{Endpoints: []registry.Endpoint{{Host: "registry.example.com", API: "127.0.0.1:1", Insecure: true}}})
	w := &Worker{Config: Config{Registry: told}}
	applied, running := "sha256:"+strings.Repeat("a", 64), "sha256:"+strings.Repeat("b", 64)
	for _, name := range []string{"169.254.169.254/latest/meta-data", "elsewhere.example.com/sidecar", "nginx"} {
		if same, err := w.sameImage(t.Context(), name, applied, running); err != nil || !same {
			t.Errorf("%s: %v, %v", name, same, err)
		}
	}
	if same, err := w.sameImage(t.Context(), "registry.example.com/acme/payments", applied, running); err == nil {
		t.Errorf("a registry that is away said %v", same)
	}
}

// Registries delete what is old. What runs does not get ill by that.
func TestWhatTheRegistryHasDeletedIsBelieved(t *testing.T) {
	var has string // all of the registry
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/" && (has == "" || !strings.HasSuffix(r.URL.Path, has)) {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		_, _ = w.Write([]byte("{}")) // to whoever has gone away
	}))
	defer server.Close()
	told := registry.New(registry.Config{Endpoints: []registry.Endpoint{{Host: "registry.example.com", API: strings.TrimPrefix(server.URL, "http://"), Insecure: true}}})
	w := &Worker{Config: Config{Registry: told}}
	const name = "registry.example.com/acme/payments"
	there := fmt.Sprintf("sha256:%x", sha256.Sum256([]byte("{}")))
	gone := "sha256:" + strings.Repeat("b", 64)
	if same, err := w.sameImage(t.Context(), name, gone, there); err != nil || !same {
		t.Errorf("what was applied is gone: %v, %v", same, err)
	}
	has = there
	if same, err := w.sameImage(t.Context(), name, there, gone); !fault.Is(err, fault.NotFound) || same {
		t.Errorf("what runs is not there: %v, %v", same, err)
	}
}
