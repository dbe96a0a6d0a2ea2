package checklist_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
)

// How a drift has ended is told as it was.
func TestHowADriftEnds(t *testing.T) {
	at := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	for what, c := range map[string]struct {
		drift  checklist.Drift
		says   string
		silent string
	}{
		"it lasts":                      {checklist.Drift{}, "Tagboat leaves it as it is. If the change is right", "in Git again"},
		"it was changed back":           {checklist.Drift{Ended: at}, "as it is in Git again", "taken it back"},
		"Tagboat has changed it back":   {checklist.Drift{Ended: at, Healed: true}, "Tagboat has taken it back", "in Git again"},
		"its target is in Git no more":  {checklist.Drift{Ended: at, Gone: true}, "not in tagboat.yaml any more", "in Git again"},
		"it was over before its target": {checklist.Drift{Ended: at, Healed: true, Gone: true}, "Tagboat has taken it back", "tagboat.yaml any more"},
	} {
		c.drift.App, c.drift.Env, c.drift.Cluster, c.drift.Since = "payments", "prod", "prod-eu", at
		text := checklist.RenderDrift(c.drift)
		if !strings.Contains(text, c.says) || strings.Contains(text, c.silent) {
			t.Errorf("%s: %s", what, text)
		}
	}
}
