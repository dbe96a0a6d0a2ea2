package worker

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/store"
)

// People can type what they are told to.
func TestWhatLiftsADenial(t *testing.T) {
	digest := "sha256:" + strings.Repeat("0123456789abcdef", 4)
	for tag, want := range map[string]string{"1.7.0": "/allow prod payments 1.7.0", "": "/allow prod payments sha256:0123456789ab"} {
		d := denialFacts(store.Denial{App: "payments", Env: "prod", Tag: tag, Digest: digest})
		if d.Lift != want || d.Tag == "" {
			t.Errorf("%q is denied as %q, and lifted with %q, want %q", tag, d.Tag, d.Lift, want)
		}
	}
}
