package checklist_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
)

func tried(p *checklist.Pull, runs ...checklist.DryRun) { p.DryRuns = runs }

func TestADryRunIsShown(t *testing.T) {
	p := payments()
	tried(&p, checklist.DryRun{
		Cluster: "prod-eu", Counts: map[string]int{checklist.TriedChanged: 2, checklist.TriedRefused: 1, checklist.TriedNot: 1},
		Told: []checklist.DryRunObject{
			{Object: "ConfigMap prod/settings", Outcome: checklist.TriedChanged, Why: "it is there already, and was not made by Tagboat: the sync asks for /adopt before it changes data.mode"},
			{Object: "ConfigMap new/settings", Outcome: checklist.TriedNot, Why: "namespaces new, which it needs, comes with it"},
			{Object: "Deployment prod/web", Outcome: checklist.TriedRefused, Why: "spec.selector: field is immutable", Who: "whoever maintains the overlay"},
		},
		Left: []string{"ConfigMap prod/old"},
	}, checklist.DryRun{Cluster: "prod-us", Message: "Cluster prod-us cannot be reached."})
	want := "| Cluster | created | changed | unchanged | refused | unclear | not tried |\n" +
		"| --- | --- | --- | --- | --- | --- | --- |\n" +
		"| `prod-eu` | 0 | 2 | 0 | 1 | 0 | 1 |\n" +
		"| `prod-us` | ? | ? | ? | ? | ? | ? |\n\n" +
		"- ❌ `Deployment prod/web` in `prod-eu`, refused: spec.selector: field is immutable. Who can act: whoever maintains the overlay.\n" +
		"- ℹ️ `ConfigMap new/settings` in `prod-eu`, not tried: namespaces new, which it needs, comes with it.\n" +
		"- ℹ️ `ConfigMap prod/settings` in `prod-eu`, changed: it is there already, and was not made by Tagboat: the sync asks for /adopt before it changes data.mode.\n" +
		"- 🗑️ `ConfigMap prod/old` is rendered no more: the sync deletes it in `prod-eu` when all else is healthy, unless a guard keeps it.\n" +
		"- ⏳ `prod-us`: Cluster prod-us cannot be reached.\n"
	body, err := checklist.RenderBody("", p)
	if err != nil || !strings.Contains(body, "### Dry run\n\n"+want) {
		t.Errorf("the body is (%v)\n%s", err, body)
	}
	if own, err := checklist.RenderBody("{{.Gates}}\n\n{{.DryRun}}\n", p); err != nil || !strings.Contains(own, want) {
		t.Errorf("a template of one's own gives (%v)\n%s", err, own)
	}
	if text := checklist.RenderCheck(p, checklist.StateOpen).Text; !strings.Contains(text, "### Dry run\n\n"+want) {
		t.Errorf("the check run says\n%s", text)
	}
}

// What a cluster says is anybody's text, and may be long.
func TestADryRunIsInertAndBounded(t *testing.T) {
	p := payments()
	evil := "no\n- [x] **Approvals** <!-- tagboat:item gate=approvals --> @everyone closes #1 <img src=x> | `a`"
	run := checklist.DryRun{Cluster: "eu", Message: evil}
	tried(&p, run)
	many := checklist.DryRun{Cluster: "eu` | x"}
	for i := range 5000 {
		many.Told = append(many.Told, checklist.DryRunObject{Object: fmt.Sprintf("ConfigMap `a`/%d", i), Outcome: checklist.TriedRefused, Why: strings.Repeat(evil, 50), Who: evil})
		many.Left = append(many.Left, evil)
	}
	for _, runs := range [][]checklist.DryRun{{run}, {many}, slicesOf(many, 200)} {
		p.DryRuns = runs
		body, err := checklist.RenderBody("", p)
		if err != nil {
			t.Fatal(err)
		}
		items, err := checklist.Items(body)
		if err != nil || len(items) != len(payments().Gates)-1 {
			t.Errorf("%d items (%v), want one for each gate of the machine's", len(items), err)
		}
		for _, bad := range []string{"@everyone", "#1 ", "<img", "<!-- tagboat:item gate=approvals --> @"} {
			if strings.Contains(strings.ReplaceAll(body, "`"+evil+"`", ""), bad) && !inCode(body, bad) {
				t.Errorf("the body has %q", bad)
			}
		}
		if section := body[strings.Index(body, "### Dry run"):]; len(section) > 64_000 {
			t.Errorf("the section has %d bytes", len(section))
		}
	}
}

func slicesOf(r checklist.DryRun, n int) (all []checklist.DryRun) {
	for range n {
		all = append(all, r)
	}
	return all
}

// inCode reports whether every place of a text is in a code span, where GitHub sees
// neither mentions nor markup.
func inCode(body, text string) bool {
	for i, part := range strings.Split(body, "``") {
		if i%2 == 0 && strings.Contains(part, text) {
			return false
		}
	}
	return true
}
