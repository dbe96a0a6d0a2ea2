package chart_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/render/chart"
)

// Nothing is ever uninstalled or rolled back by a chart's hooks, and nobody asks for its
// tests: what is applied to a cluster has the hooks around an install and an upgrade, as
// they are written.
func TestHooksThatNothingRunsAreLeftOut(t *testing.T) {
	files := fstest.MapFS{
		"Chart.yaml":    {Data: []byte("apiVersion: v2\nname: web\nversion: 1.0.0\n")},
		"crds/x.yaml":   {Data: []byte("apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.example.com}\n")},
		"templates/web": {Data: []byte("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: web}\n")},
	}
	for name, hook := range map[string]string{
		"before": "pre-install,pre-upgrade", "once": "pre-install", "later": "post-upgrade", "mixed": "post-install, pre-delete, TEST",
		"test": "test", "old-test": "test-success", "delete": "pre-delete,post-delete", "rollback": "pre-rollback,post-rollback",
	} {
		files["templates/"+name+".yaml"] = &fstest.MapFile{Data: fmt.Appendf(nil,
			"apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: %s\n  annotations:\n    helm.sh/hook: %q\n    helm.sh/hook-weight: \"-5\"\n    helm.sh/hook-delete-policy: before-hook-creation\n", name, hook)}
	}
	inflated := func(r chart.Request) (names []string, text string) {
		t.Helper()
		r.Release = "blue"
		out, err := chart.Inflate(files, r)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(out)) {
			if name, ok := strings.CutPrefix(line, "  name: "); ok {
				names = append(names, strings.TrimSpace(name))
			}
		}
		return names, string(out)
	}
	names, text := inflated(chart.Request{SkipIdle: true, IncludeCRDs: true})
	if diff := cmp.Diff([]string{"before", "later", "mixed", "once"}, names); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, want := range []string{`helm.sh/hook: "pre-install,pre-upgrade"`, `helm.sh/hook-weight: "-5"`, "helm.sh/hook-delete-policy: before-hook-creation", "xs.example.com"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	if names, text := inflated(chart.Request{}); len(names) != 8 || strings.Contains(text, "xs.example.com") {
		t.Errorf("unless somebody asks, everything is as helm template prints it: %v\n%s", names, text)
	}
}
