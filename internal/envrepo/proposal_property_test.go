package envrepo_test

import (
	"path"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// TestWhateverATreeHasItsProposalIsAccepted puts trees together from names that
// are usual, and from such as YAML or the grammar of names does not like.
func TestWhateverATreeHasItsProposalIsAccepted(t *testing.T) {
	names := rapid.SampledFrom([]string{
		"apps", "overlays", "envs", "clusters", "components", "helm", "base", "dev", "staging", "prod", "production", "prod-eu", "pre-prod",
		"payments", "orders", "payments-prod", "eu", "1.20", "null", "on", "0123", "Shouty", "a b", "#x", "{app}", "{{x}}", "é", "_t", "x_y", "templates", "charts",
	})
	files := rapid.SampledFrom([]string{"kustomization.yaml", "Kustomization", "values.yaml", "values-prod.yaml", "values-dev.yaml", "deployment.yaml", "Chart.yaml", "payments.yaml", "prod.yaml", "app: x.yaml"})
	contents := rapid.SampledFrom([]string{
		pinned("registry.example.com/payments"), "images: [{name: a}, {name: b}]\n", "images: [\n", "resources: ['https://github.com/acme/x?ref=1.0.0']\nimages: [{name: x, newTag: 1.0.0}]\n",
		values("registry.example.com/payments"), "kind: Pod\napiVersion: v1\nspec: {containers: [{image: 'r/a:1'}, {image: 'r/b:1'}]}\n", "a: {{ .x }}\n",
		"helmCharts: [{name: payments, repo: 'oci://registry.example.com/charts', version: 1.0.0}]\n", "kind: Application\napiVersion: x\nspec: {source: {repoURL: r.example.com, chart: c, targetRevision: 1.0.0}}\n",
		"name: payments\nversion: 1.0.0\ndependencies: [{name: redis, version: 1.0.0}]\n", "resources: [..]\n", "",
	})
	proposed := 0
	rapid.Check(t, func(t *rapid.T) {
		tree := map[string]string{}
		dirs := map[string]bool{}
		for range rapid.IntRange(1, 12).Draw(t, "files") {
			file := path.Join(strings.Join(rapid.SliceOfN(names, 0, 5).Draw(t, "dir"), "/"), files.Draw(t, "file"))
			tree[file] = contents.Draw(t, "content")
			for dir := path.Dir(file); dir != "."; dir = path.Dir(dir) {
				dirs[dir] = true
			}
		}
		for dir := range dirs {
			delete(tree, dir)
		}
		proposal, err := envrepo.Propose(repo(tree))
		if fault.Is(err, fault.NotFound) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		proposed++
		tree["tagboat.yaml"] = string(proposal.YAML)
		_, pairs, err := envrepo.Load(repo(tree))
		if err != nil {
			t.Fatalf("%v\n%s", err, proposal.YAML)
		}
		if found(pairs) != found(proposal.Pairs) {
			t.Fatalf("proposed for\n%sfound\n%s", found(proposal.Pairs), found(pairs))
		}
		for _, e := range proposal.Config.Environments {
			if strings.Contains(e.Name, "prod") && e.Name != "pre-prod" && (e.Follow != nil || !e.Approvals.Asked()) {
				t.Fatalf("%s is not guarded: %s", e.Name, proposal.YAML)
			}
		}
		for _, p := range pairs {
			if p.Err != nil && strings.Contains(p.Err.Error(), "two overlays") {
				t.Fatalf("%v\n%s", p.Err, proposal.YAML)
			}
		}
	})
	if proposed == 0 {
		t.Error("no tree was proposed for")
	}
	t.Logf("%d trees were proposed for", proposed)
}
