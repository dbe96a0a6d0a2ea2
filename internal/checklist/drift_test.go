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
		"something else wants it":       {checklist.Drift{Fought: true}, "taken this back twice within ten minutes, and it came again", "`drift: heal` in tagboat.yaml"},
		"it could not be taken back":    {checklist.Drift{Kept: "Cluster prod-eu does not let Tagboat."}, "Tagboat could not take it back: Cluster prod-eu does not let Tagboat.", "`drift: heal` in tagboat.yaml"},
		"nobody knows what it was":      {checklist.Drift{Objects: []checklist.DriftedObject{{Object: "Job shop/a", State: "unsure", Why: "it cannot be compared"}}}, "- **Job shop/a**: it cannot be compared", "unsure"},
		"one field more is left out":    {checklist.Drift{Objects: []checklist.DriftedObject{{Object: "Job shop/a", Changes: []checklist.FieldChange{{Path: "a", Is: "b"}}, More: 1}}, More: 1}, "and 1 more field\n- and 1 more object\n", "1 more objects"},
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
