package worker

import (
	"slices"
	"testing"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/promotion"
)

// What tagboat.yaml may name is what can be overridden.
func TestTheSameGatesCanBeOverridden(t *testing.T) {
	if !slices.Equal(envrepo.Overridable, promotion.Overridable) {
		t.Errorf("tagboat.yaml takes %v, and %v can be overridden", envrepo.Overridable, promotion.Overridable)
	}
}
