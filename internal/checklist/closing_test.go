package checklist_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
)

func TestWhoClosedReadsWhatThatMeans(t *testing.T) {
	closing := checklist.Closing{App: "payments", Env: "dev", Tag: "1.7.0", By: "alice"}
	for name, c := range map[string]struct {
		change      func(*checklist.Closing)
		says, never []string
	}{
		"an environment for which people ask": {func(c *checklist.Closing) { c.BranchGone = true },
			[]string{"alice closed this pull request, so `1.7.0` of **payments** does not go to **dev**.", "- `/promote dev payments` asks for a version.", "Its branch is deleted"}, []string{"/unhold", "stays"}},
		"one that follows": {func(c *checklist.Closing) { c.Follows = true }, []string{"- `/unhold dev payments` lets Tagboat propose by itself again what dev follows."}, []string{"branch is deleted", "stays"}},
		"somebody else's commit on the branch": {func(c *checklist.Closing) { c.Branch, c.Foreign = "tagboat/dev/payments", strings.Repeat("f", 40) },
			[]string{"`tagboat/dev/payments` stays, because commit `" + strings.Repeat("f", 7)}, []string{"Its branch is deleted"}},
	} {
		t.Run(name, func(t *testing.T) {
			d := closing
			c.change(&d)
			got := checklist.RenderClosing(d)
			for _, part := range c.says {
				if !strings.Contains(got, part) {
					t.Errorf("it does not say %q:\n%s", part, got)
				}
			}
			for _, part := range c.never {
				if strings.Contains(got, part) {
					t.Errorf("it says %q:\n%s", part, got)
				}
			}
		})
	}
}
