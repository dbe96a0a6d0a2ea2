package chart

import (
	"errors"
	"io"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"
	jsonyaml "sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// KustomizeValues are the values files that Kustomize gives to Helm for one entry
// of helmCharts, in order
// (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/helmcharts/):
// the entry's valuesFile (without one, the chart's own values.yaml) combined with
// valuesInline as valuesMerge says, then additionalValuesFiles.
//
// valuesMerge is "override" (inline wins; also ""), "merge" (the file wins) or
// "replace" (inline alone). The file is not looked at where inline replaces it.
func KustomizeValues(valuesFile []byte, additional [][]byte, inline map[string]any, valuesMerge string) ([][]byte, error) {
	if !slices.Contains([]string{"", "override", "merge", "replace"}, valuesMerge) {
		return nil, fault.Errorf(fault.Invalid, "valuesMerge: %q is not one of merge, override and replace", valuesMerge)
	}
	first := valuesFile
	if len(inline) > 0 {
		var err error
		if first, err = combine(valuesFile, inline, valuesMerge); err != nil {
			return nil, err
		}
	}
	return append([][]byte{first}, additional...), nil
}

// combine goes through the same libraries in the same order as Kustomize does,
// which decide how numbers are written and what null removes.
func combine(file []byte, inline map[string]any, valuesMerge string) ([]byte, error) {
	if valuesMerge == "replace" {
		return jsonyaml.Marshal(inline)
	}
	under, err := yaml.Parse(string(file))
	if errors.Is(err, io.EOF) {
		return nil, fault.Errorf(fault.Invalid, "the values file has no values, and Kustomize cannot combine valuesInline with that; add one, or set valuesMerge: replace")
	}
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the values file cannot be combined with valuesInline: %s", oneLine(err.Error()))
	}
	over, err := yaml.FromMap(inline)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "valuesInline: %s", oneLine(err.Error()))
	}
	if valuesMerge == "merge" {
		under, over = over, under
	}
	merged, err := merge2.Merge(over, under, yaml.MergeOptions{})
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "valuesInline cannot be combined with the values file: %s", oneLine(err.Error()))
	}
	values, err := merged.Map()
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "valuesInline cannot be combined with the values file: %s", oneLine(err.Error()))
	}
	return jsonyaml.Marshal(values)
}
