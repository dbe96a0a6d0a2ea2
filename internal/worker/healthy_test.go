package worker

import (
	"strings"
	"testing"

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
