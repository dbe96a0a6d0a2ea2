package render_test

import (
	"encoding/json"
	"io/fs"
	"strings"
	"testing"

	"pgregory.net/rapid"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tagboat/tagboat/internal/render"
)

const labelled = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {team: old}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: web}]}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db, annotations: {of: web}}
spec:
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: db}]}
  volumeClaimTemplates: [{metadata: {name: data}, spec: {accessModes: [ReadWriteOnce]}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: tidy}
spec: {schedule: "@daily", jobTemplate: {spec: {template: {spec: {containers: [{name: tidy, image: web}]}}}}}
---
apiVersion: example.com/v1
kind: Site
metadata: {name: home}
spec: {selector: {app: web}, marks: {a: b}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {level: info, text: "a\n b\n"}
`

// TestLabelsSaidOtherwiseComeToTheSame draws trees in which bases, components and
// overlays set labels in every way, among all that could see them, and compares
// with krusty on the tree as it is.
func TestLabelsSaidOtherwiseComeToTheSame(t *testing.T) {
	pairs := func(t *rapid.T) map[string]string {
		return rapid.MapOfN(rapid.SampledFrom([]string{"app", "team", "env", "example.com/tier"}), rapid.SampledFrom([]string{"web", "1.20", "true", "x y", ""}), 1, 2).Draw(t, "pairs")
	}
	label := func(t *rapid.T) map[string]any {
		l := map[string]any{"pairs": pairs(t)}
		switch rapid.IntRange(0, 9).Draw(t, "kind of label") {
		case 0, 1, 2:
			l["includeSelectors"] = true
		case 3:
			l["includeTemplates"] = true
		case 4:
			l["includeVolumeClaimTemplates"] = true
		case 5:
			l["fields"] = []any{map[string]any{"path": "spec/marks", "create": true}}
		}
		return l
	}
	// extras are fields that work on objects before or after the labels, or look at them.
	extras := map[string]any{
		"commonLabels":      map[string]string{"app": "common"},
		"commonAnnotations": map[string]string{"owner": "platform"},
		"namespace":         "prod",
		"namePrefix":        "eu-",
		"images":            []any{map[string]string{"name": "web", "newTag": "1.7.0"}},
		"replicas":          []any{map[string]any{"name": "web", "count": 3}},
		"configurations":    []string{"configuration.yaml"},
		"generatorOptions":  map[string]any{"labels": map[string]string{"made": "yes"}},
		"configMapGenerator": []any{
			map[string]any{"name": "made", "literals": []string{"a=b"}}},
		"patches": []any{
			map[string]any{"patch": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, labels: {env: patched}}\n"}},
		"patchesJson6902": []any{
			map[string]any{"target": map[string]string{"group": "apps", "version": "v1", "kind": "Deployment", "name": "web"}, "patch": `[{"op": "replace", "path": "/metadata/labels/team", "value": "new"}]`}},
		"replacements": []any{map[string]any{
			"source":  map[string]string{"kind": "Deployment", "name": "web", "fieldPath": "metadata.labels.team"},
			"targets": []any{map[string]any{"select": map[string]string{"kind": "StatefulSet"}, "fieldPaths": []string{"metadata.annotations.of"}}}}},
		"transformers": []string{"apiVersion: builtin\nkind: LabelTransformer\nmetadata: {name: own}\nlabels: {team: own}\nfieldSpecs: [{path: metadata/labels, create: true}]\n"},
		"vars": []any{map[string]any{
			"name": "TEAM", "objref": map[string]string{"kind": "Deployment", "name": "web", "apiVersion": "apps/v1"}, "fieldref": map[string]string{"fieldpath": "metadata.labels.team"}}},
		"buildMetadata": []string{"transformerAnnotations"},
	}
	var names []string
	for name := range extras {
		names = append(names, name)
	}
	kustomization := func(t *rapid.T, k map[string]any) string {
		for _, name := range rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 2, rapid.ID).Draw(t, "fields") {
			k[name] = extras[name]
		}
		var labels []any
		for range rapid.IntRange(0, 2).Draw(t, "labels") {
			labels = append(labels, label(t))
		}
		k["labels"] = labels
		data, err := json.MarshalIndent(k, "", " ")
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	configuration := "commonLabels: [{path: spec/selector, kind: Site, create: true}]\nlabels: [{path: spec/marks, kind: Site, create: true}]\n"
	rapid.Check(t, func(t *rapid.T) {
		files := tree(map[string]string{
			"base/kustomization.yaml": kustomization(t, map[string]any{"resources": []string{"objects.yaml"}}),
			"base/objects.yaml":       labelled, "base/configuration.yaml": configuration, "part/configuration.yaml": configuration, "top/configuration.yaml": configuration,
			"part/kustomization.yaml": kustomization(t, map[string]any{"apiVersion": "kustomize.config.k8s.io/v1alpha1", "kind": "Component"}),
			"top/kustomization.yaml":  kustomization(t, map[string]any{"resources": []string{"../base"}, "components": []string{"../part"}}),
		})
		want, wrong := plainly(t, files, "top")
		got, err := pool.Build(t.Context(), files, render.Source{Dir: "top"})
		switch {
		case wrong != nil && err == nil:
			t.Fatalf("rendered, where Kustomize says %v", wrong)
		case wrong == nil && err != nil:
			t.Fatalf("Kustomize renders it, but: %v", err)
		case wrong == nil && string(got.Manifests) != string(want):
			t.Fatalf("rendered\n%s\nKustomize renders\n%s", got.Manifests, want)
		}
	})
}

// plainly is what krusty makes of a tree in this process.
func plainly(t *rapid.T, files fs.FS, dir string) ([]byte, error) {
	memory := filesys.MakeFsInMemory()
	err := fs.WalkDir(files, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		return memory.WriteFile("/"+name, data)
	})
	if err != nil {
		t.Fatal(err)
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified
	options.PluginConfig = types.DisabledPluginConfig()
	objects, err := krusty.MakeKustomizer(options).Run(memory, "/"+dir)
	if err != nil {
		return nil, err
	}
	return objects.AsYaml()
}

// A kustomization that is also data is rendered from the bytes that people wrote.
func TestAKustomizationThatIsDataIsLeftAsItIs(t *testing.T) {
	for name, field := range map[string]string{
		"generated": "configMapGenerator: [{name: self, files: [kustomization.yaml]}]\n",
		"a base's":  "configMapGenerator: [{name: self, files: [base/kustomization.yaml]}]\n",
	} {
		files := tree(map[string]string{
			"kustomization.yaml":      field + "labels: [{pairs: {team: web}}]\nresources: [base]\n",
			"base/kustomization.yaml": "labels: [{pairs: {app: web}, includeSelectors: true}]\nresources: [objects.yaml]\n", "base/objects.yaml": labelled,
		})
		manifests, err := build(t.Context(), files, ".")
		if err != nil || !strings.Contains(string(manifests), "labels: [{pairs: {") || strings.Contains(string(manifests), "LabelTransformer") {
			t.Errorf("%s: %v\n%s", name, err, manifests)
		}
	}
}
