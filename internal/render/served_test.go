package render_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// Where there are charts or remote bases, Kustomize is shown another kustomization than
// the file's. It must not take that for the file's text.
func TestWhatKustomizeIsShownIsNotTakenForTheFile(t *testing.T) {
	remote := "'https://github.com/acme/bases//web?ref=" + commit + "'"
	p, _ := fetching(t, map[string]fs.FS{"https://github.com/acme/bases@" + commit: tree(map[string]string{
		"web/kustomization.yaml":   "resources: [d.yaml]\n",
		"web/d.yaml":               deployment,
		"parts/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nresources: [cm.yaml]\n",
		"parts/cm.yaml":            configMap,
		"self/kustomization.yaml":  "resources: [" + remote + "]\nconfigMapGenerator: [{name: own, files: [kustomization.yaml]}]\n",
		"plain/kustomization.yaml": "resources: [../web]\nconfigMapGenerator: [{name: own, files: [kustomization.yaml]}]\n",
	})})
	const reason = "is a kustomization with charts or remote bases, which Kustomize is shown in another form; refer to a copy of it"
	itself := func(file string) string { return "configMapGenerator: [{name: own, files: [" + file + "]}]\n" }
	plugin := func(path string) string {
		return "transformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {name: x}\n  Path: " + path + "\n"
	}
	for name, test := range map[string]struct {
		kustomization string // with CHART in the place of what has Kustomize shown another
		more          change
		want          string
	}{
		"a file of a config map":      {"CHART" + itself("kustomization.yaml"), nil, `configMapGenerator: "kustomization.yaml" ` + reason},
		"a file with a name":          {"CHART" + itself("key=./kustomization.yaml"), nil, `configMapGenerator: "./kustomization.yaml" ` + reason},
		"a file of a secret":          {"CHART" + "secretGenerator: [{name: own, files: [kustomization.yaml]}]\n", nil, `secretGenerator: "kustomization.yaml" ` + reason},
		"an env file":                 {"CHART" + "configMapGenerator: [{name: own, envs: [kustomization.yaml]}]\n", nil, `configMapGenerator: "kustomization.yaml" ` + reason},
		"a patch":                     {"CHART" + "patches: [{path: kustomization.yaml, target: {kind: Deployment}}]\n", nil, `patches: "kustomization.yaml" ` + reason},
		"a merge patch":               {"CHART" + "patchesStrategicMerge: [kustomization.yaml]\n", nil, `patchesStrategicMerge: "kustomization.yaml" ` + reason},
		"a resource":                  {"CHART" + "resources: [kustomization.yaml]\n", nil, `resources: "kustomization.yaml" ` + reason},
		"a replacement":               {"CHART" + "replacements: [{path: kustomization.yaml}]\n", nil, `replacements: "kustomization.yaml" ` + reason},
		"a configuration":             {"CHART" + "configurations: [kustomization.yaml]\n", nil, `configurations: "kustomization.yaml" ` + reason},
		"a plugin's path":             {"CHART" + plugin("kustomization.yaml"), nil, `transformers: "kustomization.yaml" ` + reason},
		"a plugin's file":             {"CHART" + "generators: ['{apiVersion: builtin, kind: ConfigMapGenerator, metadata: {name: own}, files: [k=kustomization.yaml]}']\n", nil, `generators: "k=kustomization.yaml" ` + reason},
		"a plugin in a file":          {"CHART" + "generators: [g.yaml]\n", change{"app/g.yaml": "apiVersion: builtin\nkind: ConfigMapGenerator\nmetadata: {name: own}\nenvs: [kustomization.yaml]\n"}, `app/g.yaml: generators: "kustomization.yaml" ` + reason},
		"by a link":                   {"CHART" + itself("copy.txt"), change{"app/copy.txt": link + "kustomization.yaml"}, `configMapGenerator: "copy.txt" ` + reason},
		"by a directory's link":       {"CHART" + itself("here/kustomization.yaml"), change{"app/here": link + "."}, `configMapGenerator: "here/kustomization.yaml" ` + reason},
		"by a plugin's link":          {"CHART" + plugin("copy.txt"), change{"app/copy.txt": link + "kustomization.yaml"}, `transformers: "copy.txt" ` + reason},
		"a base":                      {"resources: [base]\n" + itself("base/kustomization.yaml"), change{"app/base/kustomization.yaml": "CHART"}, `configMapGenerator: "base/kustomization.yaml" ` + reason},
		"a base that is read earlier": {"resources: [first, first/base]\n", change{"app/first/kustomization.yaml": itself("base/kustomization.yaml"), "app/first/base/kustomization.yaml": "CHART"}, `app/first/kustomization.yaml: configMapGenerator: "base/kustomization.yaml" ` + reason},
		"another name":                {"", change{"app/kustomization.yaml": nought, "app/Kustomization": "CHART" + itself("Kustomization")}, `configMapGenerator: "Kustomization" ` + reason},
		"a kustomization by a link":   {"", change{"app/kustomization.yaml": link + "k.yaml", "app/k.yaml": "CHART" + itself("kustomization.yaml")}, `configMapGenerator: "kustomization.yaml" ` + reason},

		// The tree's own text is no secret.
		"a copy":               {"CHART" + itself("copy.yaml"), change{"app/copy.yaml": "helmCharts: []\n"}, ""},
		"what the link is to":  {"", change{"app/kustomization.yaml": link + "k.yaml", "app/k.yaml": "CHART" + itself("k.yaml")}, ""},
		"another's, unchanged": {"CHARTresources: [base]\n" + itself("base/kustomization.yaml"), change{"app/base/kustomization.yaml": "resources: [d.yaml]\n", "app/base/d.yaml": deployment}, ""},
		"no charts":            {"resources: [base]\n" + itself("kustomization.yaml"), change{"app/base/kustomization.yaml": "resources: [d.yaml]\n", "app/base/d.yaml": configMap}, ""},
	} {
		for with, line := range map[string]string{"a chart": "helmCharts: [{name: web, releaseName: shop}]\n", "a remote base": "components: [" + strings.Replace(remote, "//web", "//parts", 1) + "]\n"} {
			t.Run(name+", with "+with, func(t *testing.T) {
				files := change{"app/kustomization.yaml": test.kustomization}
				for file, content := range test.more {
					files[file] = content
				}
				for file, content := range files {
					if strings.Contains(content, "CHART") {
						for chart, text := range helmChart {
							files[strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(file, "Kustomization"), "kustomization.yaml"), "k.yaml")+"charts/web/"+chart] = text
						}
						files[file] = strings.ReplaceAll(content, "CHART", line)
					}
				}
				output, err := p.Build(t.Context(), committed(nil).with(files), render.Source{Dir: "app"})
				switch hint := fault.HintOf(err); {
				case test.want == "" && err != nil:
					t.Error(err)
				case test.want == "":
				case !fault.Is(err, fault.Invalid) || !strings.Contains(hint, test.want) || strings.Contains(hint, "\n"):
					t.Errorf("%v: %v\n%s", fault.KindOf(err), err, output.Manifests)
				}
			})
		}
	}
	for dir, want := range map[string]string{"self": `https://github.com/acme/bases@` + commit + `/self/kustomization.yaml: configMapGenerator: "kustomization.yaml" ` + reason, "plain": ""} {
		_, err := p.Build(t.Context(), tree(map[string]string{"app/kustomization.yaml": "resources: [" + strings.Replace(remote, "//web", "//"+dir, 1) + "]\n"}), render.Source{Dir: "app"})
		if hint := fault.HintOf(err); hint != want {
			t.Errorf("%s: %v", dir, err)
		}
	}
}

// A kustomization is no file of objects, even where somebody asks for it as one.
func TestAKustomizationIsNotRenderedAsAFileOfObjects(t *testing.T) {
	for _, name := range []string{"kustomization.yaml", "kustomization.yml", "Kustomization"} {
		files := tree(map[string]string{"app/" + name: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"})
		output, err := pool.Build(t.Context(), files, render.Source{Dir: "app", Manifest: "app/" + name})
		if !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "app/"+name+": it is a kustomization; render its directory" {
			t.Errorf("%v\n%s", err, output.Manifests)
		}
	}
}
