package chart_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render/chart"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// echo is a chart that prints its values.
var echo = map[string]string{
	"charts/echo/Chart.yaml":          "apiVersion: v2\nname: echo\nversion: 1.0.0\n",
	"charts/echo/values.yaml":         "# defaults\nreplicas: 1\nimage: {tag: 1.0.0, pull: Always}\nlist: [a, b]\nbig: 10000000000\nfloat: 1.50\nquoted: \"1\"\ngone: here\nempty: {}\n",
	"charts/echo/templates/echo.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: echo}\ndata:\n  values: {{ .Values | toJson | quote }}\n",
	"mine.yaml":                       "replicas: 7\nown: true\nimage: {tag: 7.0.0}\n",
	"more.yaml":                       "replicas: 8\nmore: true\n",
	"most.yaml":                       "more: false\nlist: null\n",
}

func TestValuesComeTogetherAsInKustomize(t *testing.T) {
	const inline = "  valuesInline: {replicas: 3, image: {tag: 2.0.0}, list: [c], gone: null, huge: 123456789012345678, small: 0.00001, text: \"0123\"}\n"
	for name, entry := range map[string]string{
		"the chart's own":           "",
		"another file":              "  valuesFile: mine.yaml\n",
		"more files":                "  valuesFile: mine.yaml\n  additionalValuesFiles: [more.yaml, most.yaml]\n",
		"inline":                    inline,
		"inline that wins":          inline + "  valuesMerge: override\n",
		"inline that does not win":  inline + "  valuesMerge: merge\n",
		"inline alone":              inline + "  valuesMerge: replace\n",
		"inline on another file":    inline + "  valuesFile: mine.yaml\n  additionalValuesFiles: [more.yaml]\n",
		"inline under another file": inline + "  valuesFile: mine.yaml\n  valuesMerge: merge\n",
		"a rule without inline":     "  valuesMerge: replace\n",
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for name, content := range echo {
				write(t, filepath.Join(dir, name), []byte(content))
			}
			kustomization := "helmCharts:\n- name: echo\n  releaseName: blue\n" + entry
			write(t, filepath.Join(dir, "kustomization.yaml"), []byte(kustomization))
			want, err := rendertest.KustomizeBuild(t.Context(), dir, "--enable-helm")
			if err != nil {
				t.Fatal(err)
			}

			var k types.Kustomization
			if err := k.Unmarshal([]byte(kustomization)); err != nil {
				t.Fatal(err)
			}
			got := inflateEntry(t, dir, k.HelmCharts[0])
			line := func(s string) string {
				_, after, _ := strings.Cut(s, "values: ")
				return strings.SplitN(after, "\n", 2)[0]
			}
			if diff := cmp.Diff(unquote(line(string(want))), unquote(line(got))); diff != "" {
				t.Errorf("-kustomize +tagboat:\n%s", diff)
			}
		})
	}
}

// unquote takes the quotes of YAML from a line of JSON, which one program writes
// double and the other single.
func unquote(s string) string {
	if strings.HasPrefix(s, `"`) {
		s = strings.ReplaceAll(strings.Trim(s, `"`), `\"`, `"`)
	}
	return strings.Trim(s, "'")
}

// inflateEntry renders an entry of helmCharts from a directory.
func inflateEntry(t *testing.T, dir string, entry types.HelmChart) string {
	t.Helper()
	read := func(name string) []byte {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		return data
	}
	file := "charts/echo/values.yaml"
	if entry.ValuesFile != "" {
		file = entry.ValuesFile
	}
	var additional [][]byte
	for _, name := range entry.AdditionalValuesFiles {
		additional = append(additional, read(name))
	}
	values, err := chart.KustomizeValues(read(file), additional, entry.ValuesInline, entry.ValuesMerge)
	if err != nil {
		t.Fatal(err)
	}
	got, err := chart.Inflate(os.DirFS(filepath.Join(dir, "charts/echo")), chart.Request{Release: entry.ReleaseName, Values: values})
	if err != nil {
		t.Fatal(err)
	}
	return string(got)
}

func TestValuesThatCannotBeCombinedAreRefused(t *testing.T) {
	inline := map[string]any{"replicas": 1.0}
	for _, c := range []struct{ file, merge, want string }{
		{"a: 1", "deep", `valuesMerge: "deep" is not one of merge, override and replace`},
		{"", "", "the values file has no values"},
		{"# nothing yet\n", "merge", "the values file has no values"},
		{"a: [", "", "the values file cannot be combined with valuesInline: line 1"},
	} {
		t.Run(fmt.Sprintf("%q %s", c.file, c.merge), func(t *testing.T) {
			_, err := chart.KustomizeValues([]byte(c.file), nil, inline, c.merge)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
}
