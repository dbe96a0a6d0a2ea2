package render

import (
	"encoding/json"
	"fmt"
	"maps"

	"sigs.k8s.io/kustomize/api/types"
)

// With labels: in a kustomization, krusty writes and parses the list of all fields
// that a selector can stand in, once for the labels and once more for commonLabels:
// even where there are none. In a tree that labels every overlay, its base and a
// component, that is a third of all work. So where labels: can be said in another
// way that comes to the same, krusty is served that:
//
//   - labels that go into selectors too are what commonLabels means, and
//   - labels that go into metadata only can be set by a transformer that names that
//     one field. It runs after the kustomization's own ones instead of among them,
//     so none of those that would come after the labels may look at labels.
//
// What a configuration or a schema of the tree could change about that, a build
// that has one is not served. Nor is one that would show what transformed an object.

// lighter is a kustomization to the same end as k, as JSON, or nil where there is
// none.
func lighter(k *types.Kustomization) []byte {
	//lint:ignore SA1019 people's overlays still have the old fields, and Kustomize reads them
	others := len(k.CommonLabels) + len(k.PatchesJson6902) + len(k.Vars) + len(k.Replacements) + len(k.Transformers)
	if len(k.Labels) == 0 || others > 0 {
		return nil
	}
	own := *k
	own.Labels = nil
	if l := k.Labels[0]; len(k.Labels) == 1 && l.IncludeSelectors && len(l.FieldSpecs) == 0 {
		//lint:ignore SA1019 it is what the field meant before it was called old
		own.CommonLabels = l.Pairs
		return asJSON(own)
	}
	for i, l := range k.Labels {
		if l.IncludeSelectors || l.IncludeTemplates || l.IncludeVolumeClaimTemplates || len(l.FieldSpecs) > 0 {
			return nil
		}
		own.Transformers = append(own.Transformers, string(asJSON(map[string]any{
			"apiVersion": "builtin", "kind": "LabelTransformer", "metadata": map[string]string{"name": fmt.Sprintf("labels-%d", i)},
			"labels": l.Pairs, "fieldSpecs": []types.FieldSpec{{Path: "metadata/labels", CreateIfNotPresent: true}},
		})))
	}
	return asJSON(own)
}

// asJSON is a value that was read from YAML, and so can be written, as JSON, which
// is YAML.
func asJSON(value any) []byte {
	data, err := json.Marshal(value)
	if err != nil {
		return nil
	}
	return data
}

// lighten remembers that a kustomization could be served lighter.
func (s *scan) lighten(file, id string, k *types.Kustomization) {
	data, known := s.files.kept.lighter[id]
	if !known {
		data = lighter(k)
		s.files.kept.lighter[id] = data
	}
	if data != nil {
		s.lightened[file] = data
	}
}

// configured reports whether a kustomization has what may change the meaning of
// labels for those that build on it, or refers to what may.
func configured(k *types.Kustomization) bool {
	//lint:ignore SA1019 people's overlays still have the old field, and Kustomize reads it
	vars := k.Vars
	return len(k.Configurations)+len(k.Crds)+len(k.OpenAPI)+len(k.Transformers)+len(k.Generators)+len(k.Validators)+
		len(vars)+len(k.HelmCharts)+len(k.BuildMetadata) > 0
}

// lighterBuild renders with what could be served lighter, or is nil. Errors are
// left to the plain build: they must be about what people wrote.
func (s *scan) lighterBuild(dir string) []byte {
	if s.configured || len(s.lightened) == 0 || s.readAsData(s.lightened) >= 0 {
		return nil
	}
	maps.Copy(s.files.written, s.lightened)
	manifests, err := kustomize(s.files, dir)
	if err != nil {
		for file := range s.lightened {
			delete(s.files.written, file)
		}
		return nil
	}
	return manifests
}
