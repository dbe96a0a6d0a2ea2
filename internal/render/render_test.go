package render_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// app is a tree with a base, an overlay, a component, generators and a built-in
// transformer.
var app = map[string]string{
	"apps/payments/base/kustomization.yaml": "resources: [deployment.yaml, service.yaml]\n",
	"apps/payments/base/deployment.yaml":    deployment,
	"apps/payments/base/service.yaml":       "apiVersion: v1\nkind: Service\nmetadata: {name: payments}\nspec: {ports: [{port: 80}]}\n",
	"apps/components/debug/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\npatches:\n- target: {kind: Deployment}\n  patch: |-\n" +
		"    - {op: add, path: /metadata/annotations, value: {docs: 'https://example.com/debug'}}\n",
	"apps/payments/overlays/prod/kustomization.yaml": `namespace: prod
resources: [../../base]
components: [../../../components/debug]
images:
- {name: payments, newName: registry.example.com/payments, newTag: 1.7.0}
configMapGenerator:
- name: settings
  files: [app.ini=files/app.ini]
  literals: [docs=https://example.com]
patches:
- path: replicas.yaml
replacements:
- source: {kind: Service, name: payments, fieldPath: spec.ports.0.port}
  targets: [{select: {kind: Deployment}, fieldPaths: [spec.template.spec.containers.0.ports.0.containerPort]}]
transformers: [annotate.yaml]
`,
	"apps/payments/overlays/prod/replicas.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\nspec: {replicas: 3}\n",
	"apps/payments/overlays/prod/files/app.ini": "[main]\nx = 1 & y * 2\n",
	"apps/payments/overlays/prod/annotate.yaml": "apiVersion: builtin\nkind: AnnotationsTransformer\nmetadata: {name: x}\nannotations: {home: 'https://example.com'}\nfieldSpecs: [{path: metadata/annotations, create: true}]\n",
}

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata: {name: payments}
spec:
  selector: {matchLabels: {app: payments}}
  template:
    metadata: {labels: {app: payments}}
    spec:
      initContainers: [{name: migrate, image: payments}]
      containers:
      - {name: app, image: payments, ports: [{containerPort: 8080}], envFrom: [{configMapRef: {name: settings}}]}
      - {name: sidecar, image: "side:1"}
`

const prod = "apps/payments/overlays/prod"

func TestAnOverlayRendersAsKustomizeDoes(t *testing.T) {
	got, err := build(t.Context(), tree(app), prod)
	if err != nil {
		t.Fatal(err)
	}
	memory := filesys.MakeFsInMemory()
	for name, data := range app {
		if err := memory.WriteFile("/"+name, []byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionUnspecified // what the command line passes
	resources, err := krusty.MakeKustomizer(options).Run(memory, "/"+prod)
	if err != nil {
		t.Fatal(err)
	}
	want, err := resources.AsYaml()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("krusty itself (-) and this package (+):\n%s", diff)
	}
	golden := filepath.Join("testdata", "prod.yaml")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	recorded, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(recorded), string(got)); diff != "" {
		t.Errorf("%s (-want +got, -update rewrites):\n%s", golden, diff)
	}
	images, err := render.Images(got)
	if diff := cmp.Diff([]string{"registry.example.com/payments:1.7.0", "side:1"}, images); err != nil || diff != "" {
		t.Errorf("images: %v\n%s", err, diff)
	}
}

// TestOneOverlaysSchemaDoesNotReachTheNext is the trap of krusty's process-wide
// schema: with the poisoned one, a strategic merge replaces the list of containers.
func TestOneOverlaysSchemaDoesNotReachTheNext(t *testing.T) {
	patched := "resources: [d.yaml]\npatches:\n- patch: |-\n    apiVersion: apps/v1\n    kind: Deployment\n    metadata: {name: payments}\n" +
		"    spec: {template: {spec: {containers: [{name: app, env: [{name: A, value: b}]}]}}}\n"
	files := tree(map[string]string{
		"victim/kustomization.yaml": patched, "victim/d.yaml": deployment,
		"poison/kustomization.yaml": "openapi: {path: s.json}\n" + patched, "poison/d.yaml": deployment,
		"poison/s.json": `{"definitions":{"x":{"properties":{"a":{"type":"string"}},"x-kubernetes-group-version-kind":[{"group":"acme.io","kind":"X","version":"v1"}]}}}`,
	})
	for _, dir := range []string{"poison", "victim", "poison", "victim"} {
		got, err := build(t.Context(), files, dir)
		if err != nil {
			t.Fatal(err)
		}
		if kept := strings.Contains(string(got), "image: side:1"); kept != (dir == "victim") {
			t.Errorf("%s keeps its sidecar: %v", dir, kept)
		}
	}
}

func TestNoReferenceLeavesTheRepository(t *testing.T) {
	var hits atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		hits.Add(1)
		fmt.Fprint(w, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n")
	}))
	defer server.Close()
	url := server.URL + "/x.yaml"
	const cm = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"
	const remote = "is a remote reference, which is not fetched; copy it into the repository"
	tests := []struct{ name, kustomization, want string }{
		{"resource", "resources: [" + url + "]\n", remote},
		{"resource in capitals", "resources: [" + strings.Replace(url, "http", "HTTP", 1) + "]\n", remote},
		{"aliased resource", "namePrefix: &u " + url + "\nresources: [*u]\n", remote},
		{"field in other case", "RESOURCES: [" + url + "]\n", remote},
		{"base", "bases: [" + url + "]\n", remote},
		{"component", "components: [" + url + "]\n", remote},
		{"git", "resources: ['" + server.URL + "/acme/repo.git//dir?ref=main']\n", remote},
		{"git over ssh", "resources: ['git@127.0.0.1:acme/repo']\n", remote},
		{"git of GitHub", "resources: [github.com/acme/repo]\n", remote},
		{"forced git", "resources: ['git::file:///etc']\n", remote},
		{"patch", "resources: [cm.yaml]\npatches: [{path: '" + url + "'}]\n", remote},
		{"JSON patch", "resources: [cm.yaml]\npatchesJson6902: [{path: '" + url + "', target: {kind: ConfigMap, name: x, version: v1}}]\n", remote},
		{"merge patch", "resources: [cm.yaml]\npatchesStrategicMerge: ['" + url + "']\n", remote},
		{"merge patch with braces", "resources: [cm.yaml]\npatchesStrategicMerge: ['" + url + "?{a: b}']\n", remote},
		{"generator with braces", "generators: ['" + url + "?{}']\n", remote},
		{"CRD", "resources: [cm.yaml]\ncrds: ['" + url + "']\n", remote},
		{"configuration", "resources: [cm.yaml]\nconfigurations: ['" + url + "']\n", remote},
		{"schema", "resources: [cm.yaml]\nopenapi: {path: '" + url + "'}\n", remote},
		{"replacement", "resources: [cm.yaml]\nreplacements: [{path: '" + url + "'}]\n", remote},
		{"file of a config map", "configMapGenerator: [{name: a, files: ['" + url + "']}]\n", remote},
		{"named file of a config map", "configMapGenerator: [{name: a, files: ['k=" + url + "']}]\n", remote},
		{"env of a secret", "secretGenerator: [{name: a, envs: ['" + url + "']}]\n", remote},
		{"old env of a secret", "secretGenerator: [{name: a, env: '" + url + "'}]\n", remote},
		{"generator", "generators: ['" + url + "']\n", remote},
		{"transformer", "resources: [cm.yaml]\ntransformers: ['" + url + "']\n", remote},
		{"validator", "resources: [cm.yaml]\nvalidators: ['" + url + "']\n", remote},
		{"plugin file", "resources: [cm.yaml]\ntransformers: [plugin.yaml]\n", remote},
		{"inline plugin", "resources: [cm.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: x}\n  Path: " + url + "\n", remote},
		{"inline generator", "generators:\n- '{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: x}, files: [\"k=" + url + "\"]}'\n", remote},
		{"plugin directory", "resources: [cm.yaml]\ntransformers: [sub]\n", "is not a file of this repository"},
		{"nested", "resources: [sub]\n", remote},
		{"parent of the root", "resources: [../../x]\n", "leads out of the repository"},
		{"absolute", "resources: [/etc/passwd]\n", "leads out of the repository"},
		{"file beside", "resources: [../other/cm.yaml]\n", "is a file outside of its kustomization's directory"},
		{"missing", "resources: [nope.yaml]\n", `app/kustomization.yaml: resources: "nope.yaml" is not a file of this repository`},
		{"chart", "helmCharts: [{name: x, repo: '" + server.URL + "'}]\n", "helmCharts: x: the chart of " + server.URL + " is not fetched; commit it at app/charts/x"},
		{"old chart", "helmChartInflationGenerator: [{chartName: x, chartRepoUrl: '" + server.URL + "'}]\n", "helmCharts: x: the chart of " + server.URL + " is not fetched"},
		{"chart as a plugin", "generators: [chart.yaml]\n", "it fetches and runs a Helm chart while rendering"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := build(t.Context(), tree(map[string]string{
				"app/kustomization.yaml": tt.kustomization, "app/cm.yaml": cm, "other/cm.yaml": cm,
				"app/sub/kustomization.yaml":              "resources: ['" + url + "']\n",
				"app/plugin.yaml":                         "apiVersion: builtin\nkind: PatchTransformer\nmetadata: {name: x}\npath: " + url + "\n",
				"app/chart.yaml":                          "apiVersion: builtin\nkind: HelmChartInflationGenerator\nmetadata: {name: x}\nname: c\nrepo: " + server.URL + "\n",
				"github.com/acme/repo/kustomization.yaml": "resources: []\n",
			}), "app")
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), tt.want) || !strings.HasPrefix(fault.HintOf(err), "app/") {
				t.Errorf("%v: %v", fault.KindOf(err), err)
			}
		})
	}
	if n := hits.Load(); n != 0 {
		t.Errorf("%d requests left the process", n)
	}
}

func TestWhatIsWrongIsSaidWithTheFile(t *testing.T) {
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for i := range 8 {
		bomb += fmt.Sprintf("%c: &%c [*%c,*%c,*%c,*%c,*%c,*%c,*%c,*%c]\n", 'b'+i, 'b'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i, 'a'+i)
	}
	indent := func(s string) string { return "    " + strings.ReplaceAll(s, "\n", "\n    ") }
	tests := []struct{ name, kustomization, want string }{
		{"unparsable", "resources: [\n", "app/kustomization.yaml: not valid YAML: line 1: did not find expected node content"},
		{"unknown field", "resource: [a.yaml]\n", "app/kustomization.yaml: not a kustomization: unknown field resource; correct or remove it"},
		{"wrong type", "resources: a.yaml\n", "app/kustomization.yaml: not a kustomization: resources has the wrong type (string)"},
		{"a list", "- a\n", "app/kustomization.yaml: not a kustomization: the file has the wrong type (array)"},
		{"nothing to render", "resources: [empty.yaml]\n", "app: it renders to nothing; an overlay must have at least one object"},
		{"broken resource", "resources: [broken.yaml]\n", "app: Kustomize cannot build it: "},
		{"cycle", "resources: [../app]\n", `app/kustomization.yaml: resources: "../app" leads back`},
		{"large file", "resources: [large.yaml]\n", "app/large.yaml: the file is larger than 2 MiB"},
		{"alias bomb in the kustomization", bomb, "app/kustomization.yaml: its aliases (*name) stand for more than 20000 values"},
		{"alias bomb in a resource", "resources: [bomb.yaml]\n", "app/bomb.yaml: its aliases (*name)"},
		{"alias bomb in a patch", "resources: [cm.yaml]\npatches:\n- target: {kind: ConfigMap}\n  patch: |-\n" + indent(bomb), "app/kustomization.yaml: its aliases (*name)"},
		{"alias inside its anchor", "resources: &a [*a]\n", "app/kustomization.yaml: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := build(t.Context(), tree(map[string]string{
				"app/kustomization.yaml": tt.kustomization, "app/empty.yaml": "# nothing\n", "app/broken.yaml": "kind: [\n", "app/bomb.yaml": bomb,
				"app/large.yaml": strings.Repeat("# x\n", 1<<20), "app/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n",
			}), "app")
			if !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.HintOf(err), tt.want) {
				t.Errorf("%v: %v", fault.KindOf(err), fault.HintOf(err))
			}
			if hint := fault.HintOf(err); strings.Contains(hint, "Go ") || strings.Contains(hint, ".go:") || strings.Contains(hint, "\n") {
				t.Errorf("internals: %q", hint)
			}
		})
	}
}

func TestAMissingOverlayIsNotFound(t *testing.T) {
	for _, dir := range []string{"nope", "apps/components"} {
		_, err := build(t.Context(), tree(app), dir)
		if !fault.Is(err, fault.NotFound) || !strings.Contains(fault.HintOf(err), dir+" has no kustomization.yaml") {
			t.Errorf("%s: %v", dir, err)
		}
	}
	root := tree(map[string]string{"kustomization.yaml": "resources: [d.yaml]\n", "d.yaml": deployment})
	if got, err := build(t.Context(), root, "."); err != nil || !strings.Contains(string(got), "kind: Deployment") {
		t.Errorf("an overlay at the root: %v", err)
	}
	if _, err := build(t.Context(), tree(app), "../x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("outside: %v", err)
	}
	twice := tree(map[string]string{"a/kustomization.yaml": "resources: []\n", "a/Kustomization": "resources: []\n"})
	if _, err := build(t.Context(), twice, "a"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "has both") {
		t.Errorf("two kustomizations: %v", err)
	}
}

// TestAFailedReadIsNotAnAbsence keeps I6: a tree that cannot be read just now
// must not look like one without the file.
func TestAFailedReadIsNotAnAbsence(t *testing.T) {
	down := fault.Errorf(fault.Transient, "the repository cannot be read just now")
	for _, file := range []string{prod + "/kustomization.yaml", "apps/payments/base/service.yaml", prod + "/files/app.ini"} {
		_, err := build(t.Context(), failing{tree(app), file, down}, prod)
		if !errors.Is(err, down) || !fault.Is(err, fault.Transient) {
			t.Errorf("%s: %v %v", file, fault.KindOf(err), err)
		}
	}
}

func TestABuildEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	slow := stalling{tree(app), make(chan struct{}), make(chan struct{})}
	single := render.NewPool(render.Options{Workers: 1})
	defer single.Close()
	build := func(ctx context.Context, tree fs.FS, dir string) ([]byte, error) {
		output, err := single.Build(ctx, tree, render.Source{Dir: dir})
		return output.Manifests, err
	}
	done := make(chan error)
	go func() {
		_, err := build(ctx, slow, prod)
		done <- err
	}()
	<-slow.reached
	second, cancelSecond := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancelSecond()
	if _, err := build(second, tree(app), prod); !fault.Is(err, fault.Transient) {
		t.Errorf("a build that waits for its turn: %v", err)
	}
	cancel()
	if err := <-done; !fault.Is(err, fault.Transient) || !errors.Is(err, context.Canceled) {
		t.Errorf("the build that stalls: %v", err)
	}
	close(slow.release)
	if _, err := build(t.Context(), tree(app), prod); err != nil {
		t.Errorf("the next build: %v", err)
	}
}

func TestImagesOfEveryWorkload(t *testing.T) {
	got, err := render.Images([]byte("kind: CronJob\nspec: {jobTemplate: {spec: {template: {spec: {containers: [{image: b}], initContainers: [{image: a@sha256:1}], ephemeralContainers: [{image: c}]}}}}}\n---\nkind: ConfigMap\ndata: {image: no, containers: text}\n---\nkind: Pod\nspec: {containers: [{image: b}, {name: none}]}\n"))
	if diff := cmp.Diff([]string{"a@sha256:1", "b", "c"}, got); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	if _, err := render.Images([]byte("a: [")); !fault.Is(err, fault.Invalid) {
		t.Errorf("not YAML: %v", err)
	}
}

func BenchmarkBuild(b *testing.B) {
	files := tree(app)
	for b.Loop() {
		if _, err := build(b.Context(), files, prod); err != nil {
			b.Fatal(err)
		}
	}
}

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, data := range files {
		m[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return m
}

// failing cannot open one file.
type failing struct {
	fs.FS
	file string
	err  error
}

func (f failing) Open(name string) (fs.File, error) {
	if name == f.file {
		return nil, f.err
	}
	return f.FS.Open(name)
}

// stalling blocks its first read until it is released.
type stalling struct {
	fs.FS
	reached, release chan struct{}
}

func (s stalling) Open(name string) (fs.File, error) {
	select {
	case <-s.release:
	case s.reached <- struct{}{}:
		<-s.release
	}
	return s.FS.Open(name)
}

// An Argo CD Application, or plain objects without a kustomization, are rendered as
// Kustomize prints them.
func TestAFileOfObjectsIsRenderedAsItStands(t *testing.T) {
	const file = "argocd/prod/payments.yaml"
	files := tree(map[string]string{
		file:                      "kind: Application\napiVersion: argoproj.io/v1alpha1\nmetadata: {name: payments}\nspec:\n  source: {chart: payments, targetRevision: 1.2.3} # moved by Tagboat\n",
		"argocd/prod/orders.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: orders}\n",
		"argocd/prod/empty.yaml":  "# nothing\n",
	})
	out, err := pool.Build(t.Context(), files, render.Source{Dir: "argocd/prod", Manifest: file})
	if err != nil {
		t.Fatal(err)
	}
	want := "apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata:\n  name: payments\nspec:\n  source:\n    chart: payments\n    targetRevision: 1.2.3\n"
	if diff := cmp.Diff(want, string(out.Manifests)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if diff := cmp.Diff([]render.Read{{Path: file, Kind: render.Content}}, out.Reads[len(out.Reads)-1:]); diff != "" {
		t.Errorf("what was read (-want +got):\n%s", diff)
	}
	for _, wrong := range []string{"argocd/prod/empty.yaml", "argocd/prod/none.yaml", "argocd/other.yaml", "../x.yaml"} {
		if _, err := pool.Build(t.Context(), files, render.Source{Dir: "argocd/prod", Manifest: wrong}); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v; want invalid", wrong, err)
		}
	}
}
