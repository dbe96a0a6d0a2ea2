package overlay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

// TestHostileFilesEndInBoundedTime: whoever may open a pull request may also
// write these.
func TestHostileFilesEndInBoundedTime(t *testing.T) {
	bomb := "a0: &a0 {image: x:1}\n"
	for i := range 60 {
		bomb += fmt.Sprintf("a%d: &a%d [*a%d, *a%d, *a%d]\n", i+1, i+1, i, i, i)
	}
	wide := "big: &big\n"
	for i := range 20_000 {
		wide += fmt.Sprintf("  k%d: v\n", i)
	}
	for name, data := range map[string]string{
		"alias bomb":             bomb + "image: {repository: x, tag: 1}\n",
		"one mapping many times": wide + "all:\n" + strings.Repeat("- {image: {<<: *big, repository: x, tag: 1}}\n", 20_000),
		"images many times":      wide + "images:\n" + strings.Repeat("- *big\n", 20_000),
		"itself":                 "apiVersion: v1\nkind: List\nitems: &a\n- {apiVersion: v1, kind: List, items: *a, image: x:1}\n",
		"merge of itself":        "image: &a {<<: *a, tag: 1, repository: x}\n",
		"deep":                   strings.Repeat("[", 9_000) + strings.Repeat("]", 9_000),
		"deeper":                 strings.Repeat("{a: ", 200_000),
		"many keys":              "image: {repository: x, tag: 1}\n" + strings.Repeat("a: b\n", 300_000),
		"many images":            strings.Repeat("- image: {repository: x, tag: 1}\n", 50_000),
		"100 MB":                 "image: {repository: x, tag: 1}\n" + strings.Repeat("#", 100<<20),
	} {
		t.Run(name, func(t *testing.T) {
			for _, file := range []string{"kustomization.yaml", "values.yaml"} {
				began := time.Now()
				_, err := overlay.SetImage(file, []byte(data), image.Ref{Name: "x", Tag: "2"})
				took := time.Since(began)
				if took > 2*time.Minute {
					t.Errorf("%s took %v", file, took)
				}
				t.Logf("%s: %v, %.150v", file, took, err)
				if err != nil && (strings.Contains(err.Error(), "\n") || !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.NotFound)) {
					t.Errorf("%s: %v", file, err)
				}
			}
		})
	}
}
