package demo

import (
	"context"
	"testing"
)

// TestStory plays the demo's story, with every request of Tagboat's and every
// answer to it judged by GitHub's OpenAPI description.
func TestStory(t *testing.T) {
	w := newWorld(t)
	report := Play(context.Background(), w, func(s string) { t.Log(s) })
	if failed := report.Failed(); failed != "" {
		t.Fatal(failed)
	}
	want := map[string]string{"payments": "1.6.0", "catalog": "2.3.0", "shop": "3.1.1"}
	for app, tag := range want {
		for _, cluster := range []string{"prod", newcomer} {
			if got := report.Running[cluster][app].Tag; got != tag {
				t.Errorf("%s runs %s %s, want %s", cluster, app, got, tag)
			}
		}
	}
	t.Logf("a promotion took %d REST calls", report.RestCallsPerPromotion)
	if report.RestCallsPerPromotion == 0 || report.RestCallsPerPromotion > 15 {
		t.Errorf("a promotion takes %d REST calls, want at most 15", report.RestCallsPerPromotion)
	}
}
