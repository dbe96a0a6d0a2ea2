package render_test

import (
	"context"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

const (
	commit = "0123456789abcdef0123456789abcdef01234567"
	digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

// fetching is a pool that may fetch what is allowed, and what it has fetched.
func fetching(t *testing.T, allowed map[string]fs.FS) (*render.Pool, *[]string) {
	t.Helper()
	var fetched []string
	p := render.NewPool(render.Options{Workers: 1, Fetch: func(_ context.Context, r render.Remote) (fs.FS, error) {
		fetched = append(fetched, r.String())
		if files, ok := allowed[r.String()]; ok {
			return files, nil
		}
		return nil, fault.Errorf(fault.Denied, "%s is not on the allow list", r)
	}})
	t.Cleanup(func() { _ = p.Close() })
	return p, &fetched
}

func TestAPinnedBaseIsFetchedWhereThatIsAllowed(t *testing.T) {
	bases := tree(map[string]string{
		"web/kustomization.yaml":    "resources: [../common, d.yaml]\ncomponents: ['https://git.example.com/acme/parts.git//labels?ref=" + commit + "']\n",
		"web/d.yaml":                deployment,
		"common/kustomization.yaml": "resources: [cm.yaml]\n",
		"common/cm.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
		"out/kustomization.yaml":    "resources: [../../x]\n",
		"into/kustomization.yaml":   "resources: [../../../app]\n",
		"loose/kustomization.yaml":  "resources: ['github.com/acme/parts?ref=main']\n",
	})
	parts := tree(map[string]string{
		"labels/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {team: web}}]\n",
	})
	p, fetched := fetching(t, map[string]fs.FS{"https://github.com/acme/bases@" + commit: bases, "https://git.example.com/acme/parts@" + commit: parts})
	render1 := func(kustomization string) (string, []render.Read, error) {
		output, err := p.Build(t.Context(), tree(map[string]string{"app/kustomization.yaml": kustomization}), render.Source{Dir: "app"})
		return string(output.Manifests), output.Reads, err
	}
	local := tree(map[string]string{
		"app/kustomization.yaml": "namespace: prod\nresources: [../web]\nimages: [{name: payments, newTag: v2}]\n",
		"web/kustomization.yaml": "resources: [../common, d.yaml]\ncomponents: [../labels]\n", "web/d.yaml": deployment,
		"common/kustomization.yaml": "resources: [cm.yaml]\n", "common/cm.yaml": string(bases["common/cm.yaml"].Data),
		"labels/kustomization.yaml": string(parts["labels/kustomization.yaml"].Data),
	})
	want, err := build(t.Context(), local, "app")
	if err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{
		"https://github.com/acme/bases//web?ref=" + commit, "github.com/acme/bases/web?ref=" + commit,
		"https://github.com/acme/bases.git/web?version=" + commit, "git::https://github.com/acme/bases//web?timeout=60s&ref=" + commit,
	} {
		*fetched = nil
		got, reads, err := render1("namespace: prod\nresources: ['" + ref + "']\nimages: [{name: payments, newTag: v2}]\n")
		if err != nil || got != string(want) {
			t.Errorf("%s: %v\n%s", ref, err, cmp.Diff(string(want), got))
		}
		if diff := cmp.Diff([]string{"https://github.com/acme/bases@" + commit, "https://git.example.com/acme/parts@" + commit}, *fetched); diff != "" {
			t.Errorf("%s fetches:\n%s", ref, diff)
		}
		for _, r := range reads {
			if !strings.HasPrefix(r.Path, "app") {
				t.Errorf("%s reads %v of the tree", ref, r)
			}
		}
	}
	for ref, reason := range map[string]string{
		"https://github.com/acme/" + strings.Repeat("x", 1<<20) + "//x?ref=" + commit: " …\" is no address that can be fetched",
		"https://github.com/acme/a\u200bb//x?ref=" + commit:                           "is no address that can be fetched",
		"github.com/acme/bases/web?ref=main":                                          "is not pinned; write ?ref= and the commit's id in full (40 hex digits)",
		"github.com/acme/bases//web":                                                  "is not pinned",
		"https://example.com/x.yaml":                                                  "is a remote file, which is not fetched",
		"git@github.com:acme/secret//x?ref=" + commit:                                 "cannot be fetched: ssh://git@github.com/acme/secret@" + commit + " is not on the allow list",
		"https://github.com/acme/bases//out?ref=" + commit:                            "leads out of the repository",
		"https://github.com/acme/bases//into?ref=" + commit:                           "leads out of the repository",
		"https://github.com/acme/bases//loose?ref=" + commit:                          `https://github.com/acme/bases@` + commit + `/loose/kustomization.yaml: resources: "github.com/acme/parts?ref=main" is not pinned`,
		"https://github.com/acme/bases//nowhere?ref=" + commit:                        "https://github.com/acme/bases@" + commit + "/nowhere has no kustomization.yaml",
		"../.tagboat-remote/x":                                                        "leads out of the repository",
	} {
		_, _, err := render1("resources: ['" + ref + "']\n")
		if err == nil || !strings.Contains(fault.HintOf(err), reason) || strings.Contains(err.Error(), ".tagboat-remote") && !strings.HasPrefix(ref, "..") {
			t.Errorf("%s: %v", ref, err)
		}
	}
}

func TestAnOriginIsNotInvented(t *testing.T) {
	p, _ := fetching(t, map[string]fs.FS{"https://github.com/acme/bases@" + commit: tree(map[string]string{"kustomization.yaml": "resources: [d.yaml]\n", "d.yaml": deployment})})
	_, err := p.Build(t.Context(), tree(map[string]string{
		"app/kustomization.yaml": "resources: ['github.com/acme/bases?ref=" + commit + "']\nbuildMetadata: [originAnnotations]\n",
	}), render.Source{Dir: "app"})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "app/kustomization.yaml: buildMetadata: ") {
		t.Errorf("%v", err)
	}
}

// helmChart is a chart with a namespaced object and a values file.
var helmChart = map[string]string{
	"Chart.yaml":             "apiVersion: v2\nname: web\nversion: 1.2.3\n",
	"values.yaml":            "replicas: 1\nimage: {repository: web, tag: v1}\n",
	"templates/_name.tpl":    "{{ define \"name\" }}{{ .Release.Name }}-web{{ end }}\n",
	"templates/d.yaml":       "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: {{ include \"name\" . }}, namespace: {{ .Release.Namespace }}}\nspec: {replicas: {{ .Values.replicas }}, template: {spec: {containers: [{name: web, image: \"{{ .Values.image.repository }}:{{ .Values.image.tag }}\"}]}}}\n",
	"crds/x.yaml":            "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: xs.acme.io}\n",
	"templates/m.yaml":       "apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate, annotations: {helm.sh/hook: pre-install}}\n",
	"templates/tests/t.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: test, annotations: {helm.sh/hook: test}}\n",
}

func with(dir string, files map[string]string, more map[string]string) fstest.MapFS {
	all := tree(more)
	for name, data := range files {
		all[dir+"/"+name] = &fstest.MapFile{Data: []byte(data)}
	}
	return all
}

func TestAChartOfTheTreeIsRendered(t *testing.T) {
	files := with("app/charts/web", helmChart, map[string]string{
		"app/kustomization.yaml": "namespace: prod\nnamePrefix: x-\nhelmCharts:\n- {name: web, releaseName: shop, valuesFile: values.yaml, valuesInline: {replicas: 3}, skipTests: true}\nimages: [{name: web, newTag: v2}]\nresources: [cm.yaml]\n",
		"app/values.yaml":        "replicas: 2\nimage: {repository: web, tag: v9}\n",
		"app/cm.yaml":            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
	})
	output, err := pool.Build(t.Context(), files, render.Source{Dir: "app"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: x-shop-web", "namespace: prod", "replicas: 3", "image: web:v2", "name: x-x"} {
		if !strings.Contains(string(output.Manifests), want) {
			t.Errorf("%q is missing in\n%s", want, output.Manifests)
		}
	}
	if strings.Contains(string(output.Manifests), "helm-generated") || strings.Contains(string(output.Manifests), "kind: Pod") {
		t.Errorf("too much in\n%s", output.Manifests)
	}
	read := map[render.Read]bool{}
	for _, r := range output.Reads {
		read[r] = true
		if strings.HasPrefix(r.Path, ".tagboat") {
			t.Errorf("%v is not of the tree", r)
		}
	}
	for _, want := range []render.Read{{Path: "app/charts/web/templates", Kind: render.List}, {Path: "app/charts/web/templates/d.yaml", Kind: render.Content}, {Path: "app/values.yaml", Kind: render.Content}} {
		if !read[want] {
			t.Errorf("%v is not recorded", want)
		}
	}
}

func TestAChartInheritsTheNamespaceOfWhatLeadsToIt(t *testing.T) {
	files := with("base/charts/web", helmChart, map[string]string{
		"base/kustomization.yaml": "helmCharts: [{name: web, releaseName: shop}]\n",
		"prod/kustomization.yaml": "namespace: prod\nresources: [../middle]\n", "middle/kustomization.yaml": "resources: [../base]\n",
		"both/kustomization.yaml": "resources: [../a, ../b]\n",
		"a/kustomization.yaml":    "namespace: a\nnamePrefix: a-\nresources: [../base]\n", "b/kustomization.yaml": "namespace: b\nnamePrefix: b-\nresources: [../base]\n",
	})
	got, err := build(t.Context(), files, "prod")
	if err != nil || !strings.Contains(string(got), "namespace: prod") {
		t.Errorf("%v\n%s", err, got)
	}
	if _, err := build(t.Context(), files, "both"); !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), `the same chart is wanted in namespace "a" and in "b"`) {
		t.Errorf("%v", err)
	}
}

func TestAPinnedChartIsFetchedWhereThatIsAllowed(t *testing.T) {
	p, fetched := fetching(t, map[string]fs.FS{"registry.example.com/charts/web@" + digest: tree(helmChart)})
	kustomization := func(version string) fs.FS {
		return tree(map[string]string{"app/kustomization.yaml": "helmCharts:\n- name: web\n  repo: oci://registry.example.com/charts\n  releaseName: shop\n  version: " + version + "\n"})
	}
	output, err := p.Build(t.Context(), kustomization("1.2.3 # "+digest), render.Source{Dir: "app"})
	if err != nil || !strings.Contains(string(output.Manifests), "name: shop-web") {
		t.Errorf("%v\n%s", err, output.Manifests)
	}
	if diff := cmp.Diff([]string{"registry.example.com/charts/web@" + digest}, *fetched); diff != "" {
		t.Error(diff)
	}
	for version, reason := range map[string]string{
		"1.2.3": "the chart is not pinned; write its digest behind its version",
		"1.2.3 # " + digest[:len(digest)-1] + "0": "is not on the allow list",
	} {
		if _, err := p.Build(t.Context(), kustomization(version), render.Source{Dir: "app"}); err == nil || !strings.HasPrefix(fault.HintOf(err), "app/kustomization.yaml: helmCharts: ") || !strings.Contains(fault.HintOf(err), reason) {
			t.Errorf("%s: %v", version, err)
		}
	}
}

func TestAChartIsRenderedWithoutAKustomization(t *testing.T) {
	files := with("charts/web", helmChart, map[string]string{"env/common.yaml": "replicas: 2\n", "env/prod.yaml": "image: {tag: v7}\n", "none/Chart.yaml": "apiVersion: v2\nname: none\nversion: 1.0.0\n"})
	src := func(chart string, values ...string) render.Source {
		return render.Source{Dir: "env", Helm: &render.Helm{Chart: chart, Release: "shop", Namespace: "prod", Values: values}}
	}
	output, err := pool.Build(t.Context(), files, src("charts/web", "env/common.yaml", "env/prod.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# Source: web/templates/d.yaml", "replicas: 2", "web:v7", "namespace: prod", "xs.acme.io", "helm.sh/hook: pre-install"} {
		if !strings.Contains(string(output.Manifests), want) {
			t.Errorf("%q is missing in\n%s", want, output.Manifests)
		}
	}
	if strings.Contains(string(output.Manifests), "helm.sh/hook: test") {
		t.Errorf("nobody runs the test, and it is brought to the cluster:\n%s", output.Manifests)
	}
	p, _ := fetching(t, map[string]fs.FS{"registry.example.com/charts/web@" + digest: tree(helmChart)})
	if output, err := p.Build(t.Context(), files, src("oci://registry.example.com/charts/web@"+digest)); err != nil || !strings.Contains(string(output.Manifests), "web:v1") {
		t.Errorf("%v\n%s", err, output.Manifests)
	}
	for _, bad := range []struct {
		src    render.Source
		kind   fault.Kind
		reason string
	}{
		{src("charts/nope"), fault.NotFound, "env: there is no chart at charts/nope"},
		{src("../charts"), fault.Invalid, "is not a directory of the repository"},
		{src("charts/web", "env/nope.yaml"), fault.Invalid, "the values file env/nope.yaml is not a file of this repository"},
		{src("none"), fault.Invalid, "env: it renders to nothing"},
		{src("oci://registry.example.com/charts/web:1.2.3"), fault.Invalid, "it is not pinned"},
		{src("oci://registry.example.com/charts/web@" + digest), fault.Invalid, "is a remote reference, which is not fetched"},
	} {
		if _, err := pool.Build(t.Context(), files, bad.src); !fault.Is(err, bad.kind) || !strings.Contains(fault.HintOf(err), bad.reason) || !strings.HasPrefix(fault.HintOf(err), "env: ") {
			t.Errorf("%s: %v", bad.src.Helm.Chart, err)
		}
	}
}
