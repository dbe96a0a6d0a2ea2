package rendertest_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// BenchmarkRepo makes repos of the sizes that others measure with.
func BenchmarkRepo(b *testing.B) {
	for _, r := range []rendertest.Repo{{Apps: 100}, {Apps: 1000}, {Apps: 3000, Envs: []string{"dev", "qa", "staging", "prod"}}} {
		size := fmt.Sprintf("%dx%d", r.Apps, max(len(r.Envs), 3))
		b.Run("memory/"+size, func(b *testing.B) {
			for b.Loop() {
				r.FS()
			}
		})
		b.Run("git/"+size, func(b *testing.B) {
			for b.Loop() {
				if _, err := r.Git(b.Context(), filepath.Join(b.TempDir(), "env.git")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
