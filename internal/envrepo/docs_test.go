package envrepo_test

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// documentation is the section of docs/configuration.md about tagboat.yaml.
func documentation(t *testing.T) string {
	t.Helper()
	data, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(data), "## tagboat.yaml\n")
	section, _, ended := strings.Cut(section, "\n## ")
	if !found || !ended {
		t.Fatal("docs/configuration.md has no section tagboat.yaml")
	}
	return section
}

// TestTheThreeStrategiesOfTheDocumentationWork reads the examples from the page
// that people copy them from.
func TestTheThreeStrategiesOfTheDocumentationWork(t *testing.T) {
	examples := regexp.MustCompile("(?s)\\*\\*([^*]+)\\*\\*[^`]*?(?:`[^`\\n]+`[^`]*?)*```yaml\n(.*?)```").FindAllStringSubmatch(documentation(t), -1)
	tests := []struct {
		title string
		files map[string]string
		want  string
	}{
		{"A tag for each environment.", map[string]string{
			"apps/payments/overlays/staging/kustomization.yaml": pinned("registry.example.com/payments"),
			"apps/payments/overlays/prod/kustomization.yaml":    pinned("registry.example.com/payments"),
		}, `payments prod apps/payments/overlays/prod/kustomization.yaml registry.example.com/payments
payments staging apps/payments/overlays/staging/kustomization.yaml registry.example.com/payments
`},
		{"A chart version for each environment.", map[string]string{
			"argocd/prod/payments.yaml":    "kind: Application\nspec: {source: {repoURL: registry.example.com/charts, chart: payments, targetRevision: 1.4.2}}\n",
			"argocd/staging/payments.yaml": "kind: Application\nspec: {source: {repoURL: registry.example.com/charts, chart: payments, targetRevision: 1.4.3}}\n",
			"argocd/staging/project.yaml":  "kind: AppProject\n",
		}, `payments prod argocd/prod/payments.yaml registry.example.com/charts/payments
payments staging argocd/staging/payments.yaml registry.example.com/charts/payments
`},
		{"A branch for each environment.", map[string]string{ // the tree of either branch
			"apps/payments/kustomization.yaml": pinned("registry.example.com/payments"),
		}, `payments prod apps/payments/kustomization.yaml registry.example.com/payments
payments staging apps/payments/kustomization.yaml registry.example.com/payments
`},
	}
	if len(examples) != len(tests) {
		t.Fatalf("the documentation has %d strategies, want %d", len(examples), len(tests))
	}
	for i, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			if examples[i][1] != tt.title {
				t.Fatalf("the example is about %q", examples[i][1])
			}
			tt.files["tagboat.yaml"] = examples[i][2]
			_, pairs, err := envrepo.Load(repo(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, found(pairs)); diff != "" {
				t.Errorf("pairs (-want +got):\n%s", diff)
			}
		})
	}
}

// TestTheDocumentationNamesEveryField compares it with the schema, which another
// test compares with the structs.
func TestTheDocumentationNamesEveryField(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any
		} `json:"$defs"`
	}
	if err := json.Unmarshal(envrepo.Schema, &schema); err != nil {
		t.Fatal(err)
	}
	page := documentation(t)
	for list, def := range map[string]string{"apps": "app", "environments": "environment", "clusters": "cluster"} {
		if len(schema.Defs[def].Properties) == 0 {
			t.Fatalf("the schema has no %s", def)
		}
		for field := range schema.Defs[def].Properties {
			if name := "`" + list + "[]." + field + "`"; !strings.Contains(page, name) {
				t.Errorf("docs/configuration.md does not name %s", name)
			}
		}
	}
	for field := range schema.Defs["helm"].Properties {
		if !strings.Contains(page, field+": ") {
			t.Errorf("docs/configuration.md does not show helm's %s", field)
		}
	}
}
