package policy_test

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tagboat/tagboat/internal/policy"
)

// TestFindingsAreAtTheLineThatCausesThem: each case is a tree, what it renders to, and
// where the rule's finding has to be.
func TestFindingsAreAtTheLineThatCausesThem(t *testing.T) {
	const at = "apps/shop/prod/kustomization.yaml"
	base := "# the base\n" + workload("Deployment", "image: shop\nsecurityContext:\n  privileged: true\n")
	rendered := workload("Deployment", "image: registry.example.com/shop:latest\nsecurityContext:\n  privileged: true\n")
	for _, tt := range []struct {
		name, rule, rendered string
		files                map[string]string
		want                 string
	}{
		{"the kustomization sets the image", "mutable-tag", rendered, map[string]string{
			at: "resources: [../base]\nimages:\n  - name: other\n    newTag: latest\n  - name: shop\n    newName: registry.example.com/shop\n    newTag: latest\n", "apps/shop/base/d.yaml": base,
		}, at + ":7"},
		{"by an alias, without a tag", "mutable-tag", strings.Replace(rendered, ":latest", "", 1), map[string]string{
			at: "images:\n  - newName: registry.example.com/shop\n    name: shop\n", "apps/shop/base/d.yaml": base,
		}, at + ":2"},
		{"the overlay's own entry counts, not the base's", "mutable-tag", rendered, map[string]string{
			at: "images:\n  - name: registry.example.com/shop\n    newTag: latest\n", "apps/shop/base/kustomization.yaml": "\n\nimages:\n  - name: registry.example.com/shop\n    newTag: latest\n",
		}, at + ":3"},
		{"the manifest says the image", "mutable-tag", workload("Deployment", "image: shop"), map[string]string{at: "resources: [d.yaml]\n", "apps/shop/prod/d.yaml": "\n\n" + workload("Deployment", "image: shop")}, "apps/shop/prod/d.yaml:11"},
		{"the base says it", "privileged", rendered, map[string]string{at: "resources: [../base]\n", "apps/shop/base/d.yaml": base}, "apps/shop/base/d.yaml:12"},
		{"a patch says it", "privileged", rendered, map[string]string{
			at: "resources: [../base]\n", "apps/shop/base/d.yaml": strings.Replace(base, "true", "false", 1),
			"apps/shop/prod/patch.yaml": "kind: Deployment\napiVersion: apps/v1\nmetadata: {name: web}\nspec:\n  template:\n    spec:\n      containers:\n        - name: web\n          securityContext: {privileged: true}\n",
		}, "apps/shop/prod/patch.yaml:9"},
		{"the last of several documents", "privileged", rendered, map[string]string{at: "", "apps/shop/base/all.yaml": "kind: Service\napiVersion: v1\nmetadata: {name: web}\n---\n" + base}, "apps/shop/base/all.yaml:16"},
		{"in a List", "privileged", rendered, map[string]string{at: "", "l.yaml": "kind: List\napiVersion: v1\nitems:\n- apiVersion: apps/v1\n  kind: Deployment\n  metadata: {name: web}\n  spec: {template: {spec: {containers: [{name: web, securityContext: {\n    privileged: true}}]}}}\n"}, "l.yaml:8"},
		{"what is missing is at what should have it", "probes", strings.Replace(rendered, "image:", "livenessProbe: {}\n        image:", 1), map[string]string{at: "", "apps/shop/base/d.yaml": base}, "apps/shop/base/d.yaml:9"},
		{"another one's value is at what is around it", "privileged", rendered, map[string]string{at: "", "apps/shop/base/d.yaml": strings.Replace(base, "true", "false", 1)}, "apps/shop/base/d.yaml:11"},
		{"a prefix", "privileged", strings.Replace(rendered, "{name: web,", "{name: prod-web,", 1), map[string]string{at: "", "apps/shop/base/d.yaml": base}, "apps/shop/base/d.yaml:12"},
		{"a prefix that two could have", "privileged", strings.Replace(rendered, "{name: web,", "{name: prod-web,", 1), map[string]string{at: "", "a.yaml": base, "b.yaml": strings.Replace(base, "{name: web,", "{name: prod,", 1)}, at},
		{"another kind of the same name", "privileged", rendered, map[string]string{at: "", "d.yaml": strings.Replace(base, "kind: Deployment", "kind: StatefulSet", 1)}, at},
		{"a chart's template", "privileged", rendered, map[string]string{at: "", "charts/web/templates/d.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {{ .Release.Name }}\n"}, at},
		{"Helm values", "mutable-tag", rendered, map[string]string{"helm/shop/values-prod.yaml": "image:\n  repository: shop\n  # moves\n  tag: latest\nother: {repository: other, tag: latest}\n", "charts/shop/values.yaml": "image: {repository: shop, tag: latest}\n"}, "helm/shop/values-prod.yaml:4"},
		{"Helm values in one", "mutable-tag", rendered, map[string]string{"helm/shop/values-prod.yaml": "a: 1\nimage: registry.example.com/shop:latest\n"}, "helm/shop/values-prod.yaml:2"},
		{"Helm values that say it twice", "mutable-tag", rendered, map[string]string{"helm/shop/values-prod.yaml": "a: {repository: shop, tag: latest}\nb: {repository: shop, tag: latest}\n"}, "helm/shop/values-prod.yaml"},
		{"an argument is found by its value", "plaintext-secret", workload("Deployment", "args: [a, --password=hunter2]"), map[string]string{at: "", "d.yaml": strings.Replace(workload("Deployment", "args:\n- a\n- --password=hunter2"), "apps/v1", "apps/v1 # c", 1)}, "d.yaml:11"},
		{"an argument that others are put before", "plaintext-secret", workload("Deployment", "args: [a, --password=hunter2]"), map[string]string{at: "", "d.yaml": workload("Deployment", "args:\n- --password=hunter2\n- b")}, "d.yaml:9"},
		{"a generated literal", "plaintext-secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: db-5h2b9bfk6t}\ndata: {PASSWORD: aHVudGVyMg==}\n", map[string]string{at: "secretGenerator:\n  - name: db\n    literals:\n      - A=1\n      - PASSWORD=hunter2\n"}, at + ":5"},
		{"a generated file", "plaintext-secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: db-5h2b9bfk6t}\ndata: {key: aHVudGVyMg==}\n", map[string]string{at: "secretGenerator:\n  - name: db\n    files: [key=pass.txt]\n", "apps/shop/prod/pass.txt": "hunter2"}, "apps/shop/prod/pass.txt"},
		{"a generated variable", "plaintext-secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: db-5h2b9bfk6t}\ndata: {PASSWORD: aHVudGVyMg==}\n", map[string]string{at: "secretGenerator:\n  - name: db\n    envs: [db.env]\n", "apps/shop/prod/db.env": "# a\nPASSWORD=hunter2\n"}, "apps/shop/prod/db.env:2"},
		{"an alias", "privileged", rendered, map[string]string{at: "", "d.yaml": "x: &c\n  privileged: true\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web}\nspec: {template: {spec: {containers: [{name: web, securityContext: *c}]}}}\n"}, "d.yaml:2"},
	} {
		tree, reads := fstest.MapFS{}, []string{}
		for name, data := range tt.files {
			tree[name] = &fstest.MapFile{Data: []byte(data)}
			reads = append(reads, name)
		}
		in := policy.Input{Head: objects(t, tt.rendered), Secrets: detector}
		all := policy.Evaluate(only(tt.rule), in, time.Time{})
		if len(all) != 1 {
			t.Errorf("%s: found %+v", tt.name, all)
			continue
		}
		at := at
		if strings.HasPrefix(tt.name, "Helm") {
			at = "helm/shop/values-prod.yaml"
		}
		if got := policy.NewFiles(tree).Locator(at, reads).Locate(all[0]).String(); got != tt.want {
			t.Errorf("%s: at %s, want %s", tt.name, got, tt.want)
		}
	}
}
