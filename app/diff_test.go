package app

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/render"
)

// twoApps is an env repo without a tagboat.yaml: a base, two overlays of it, a
// component, and an app of its own.
func twoApps() fstest.MapFS {
	return tree(map[string]string{
		"base/kustomization.yaml":      "resources: [pod.yaml]\n",
		"base/pod.yaml":                podText,
		"component/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nnamePrefix: c-\n",
		"dev/kustomization.yaml":       "resources: [../base]\nimages: [{name: shop, newTag: 1.7.0}]\n",
		"prod/kustomization.yaml":      "resources: [../base]\ncomponents: [../component]\nimages: [{name: shop, newTag: 1.6.0}]\n",
		"cart/kustomization.yaml":      "resources: [pod.yaml]\n",
		"cart/pod.yaml":                strings.ReplaceAll(podText, "shop", "cart"),
	})
}

// outcome is what became of each overlay.
func outcome(diffs []manifest.OverlayDiff) map[string]string {
	all := map[string]string{}
	for _, d := range diffs {
		switch {
		case d.Err != "":
			all[d.Path] = "failed"
		case d.Diff.Empty():
			all[d.Path] = "same"
		default:
			all[d.Path] = "differs"
		}
	}
	return all
}

func TestADiffShowsWhatAChangeReaches(t *testing.T) {
	same := map[string]string{"dev": "same", "prod": "same", "cart": "same"}
	with := func(changes ...string) map[string]string {
		all := map[string]string{}
		for name, what := range same {
			all[name] = what
		}
		for i := 0; i < len(changes); i += 2 {
			all[changes[i]] = changes[i+1]
		}
		return all
	}
	for story, c := range map[string]struct {
		file, content string
		want          map[string]string
	}{
		"nothing":                {"README.md", "hello", same},
		"a base":                 {"base/pod.yaml", podText + "  hostNetwork: true\n", with("dev", "differs", "prod", "differs")},
		"a component":            {"component/kustomization.yaml", "kind: Component\napiVersion: kustomize.config.k8s.io/v1alpha1\nnamePrefix: d-\n", with("prod", "differs")},
		"only comments":          {"base/pod.yaml", "# the shop\n" + podText, same},
		"one overlay":            {"dev/kustomization.yaml", "resources: [../base]\nimages: [{name: shop, newTag: 1.8.0}]\n", with("dev", "differs")},
		"one that breaks":        {"cart/kustomization.yaml", "resources: [nope.yaml]\n", with("cart", "failed")},
		"a new overlay":          {"test/kustomization.yaml", "resources: [../base]\n", with("test", "differs")},
		"a second kustomization": {"dev/kustomization.yml", "resources: [../base]\n", with("dev", "failed")},
	} {
		after := twoApps()
		after[c.file] = &fstest.MapFile{Data: []byte(c.content)}
		diffs, err := diffTrees(t.Context(), pool, twoApps(), after, nil)
		if err != nil {
			t.Errorf("%s: %v", story, err)
			continue
		}
		if diff := cmp.Diff(c.want, outcome(diffs)); diff != "" {
			t.Errorf("%s: %s", story, diff)
		}
	}
}

func TestADiffOfSomeOverlays(t *testing.T) {
	after := twoApps()
	after["base/pod.yaml"] = &fstest.MapFile{Data: []byte(podText + "  hostNetwork: true\n")}
	for name, want := range map[string]map[string]string{
		"dev":  {"dev": "differs"},
		"base": {"base": "differs"}, // no leaf, but somebody asks for it
		".":    {"dev": "differs", "prod": "differs", "cart": "same"},
	} {
		diffs, err := diffTrees(t.Context(), pool, twoApps(), after, []string{name})
		if diff := cmp.Diff(want, outcome(diffs)); diff != "" || err != nil {
			t.Errorf("%s: %v %s", name, err, diff)
		}
	}
	for _, name := range []string{"nowhere", "../outside", "cart/pod.yaml"} {
		if diffs, err := diffTrees(t.Context(), pool, twoApps(), after, []string{name}); err == nil {
			t.Errorf("%s: %v", name, diffs)
		}
	}
	if _, err := diffTrees(t.Context(), pool, fstest.MapFS{}, fstest.MapFS{}, nil); !fault.Is(err, fault.NotFound) {
		t.Errorf("two empty trees: %v", err)
	}
}

func TestADiffReadsTheConfigurationOfEachSide(t *testing.T) {
	before, after := checkout(), checkout()
	after["tagboat.yaml"] = &fstest.MapFile{Data: []byte("apiVersion: tagboat.dev/v1\nenvironments:\n  - {name: dev, clusters: [dev]}\n")}
	all := map[string]string{"apps/shop/overlays/dev": "same", "apps/shop/overlays/prod": "same", "apps/shop/overlays/prod/us": "same"}
	diffs, err := diffTrees(t.Context(), pool, before, after, nil)
	if diff := cmp.Diff(all, outcome(diffs)); diff != "" || err != nil {
		t.Errorf("an environment left the configuration: %v %s", err, diff)
	}
	if d := diffs[2]; d.App != "shop" || d.Env != "prod" || d.Cluster != "us" {
		t.Errorf("%+v has not the names of its pair", d)
	}
	before["tagboat.yaml"] = &fstest.MapFile{Data: []byte("broken: [")}
	if diffs, err = diffTrees(t.Context(), pool, before, after, nil); err != nil || len(diffs) != 1 {
		t.Errorf("a mended configuration: %v %v", diffs, err)
	}
	if _, err = diffTrees(t.Context(), pool, after, before, nil); !fault.Is(err, fault.Invalid) {
		t.Errorf("a broken configuration: %v", err)
	}
}

func TestADiffOfChartsWithValuesPerEnvironment(t *testing.T) {
	before := tree(map[string]string{
		"tagboat.yaml": `apiVersion: tagboat.dev/v1
apps:
  - discover: helm/{app}/values-{env}.yaml
    helm: {chart: "charts/{app}", values: ["helm/{app}/values-{env}.yaml"]}
environments:
  - {name: dev, clusters: [dev]}
  - {name: prod, clusters: [prod]}
`,
		"charts/web/Chart.yaml":         "apiVersion: v2\nname: web\nversion: 0.1.0\n",
		"charts/web/templates/pod.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: web, image: \"web:{{ .Values.image.tag }}\"}]}\n",
		"helm/web/values-dev.yaml":      "image: {repository: web, tag: 1.1.0}\n",
		"helm/web/values-prod.yaml":     "image: {repository: web, tag: 1.0.0}\n",
	})
	after := fstest.MapFS{}
	for name, file := range before {
		after[name] = file
	}
	after["helm/web/values-prod.yaml"] = &fstest.MapFile{Data: []byte("image: {repository: web, tag: 1.1.0}\n")}
	diffs, err := diffTrees(t.Context(), pool, before, after, nil)
	want := map[string]string{"helm/web/values-dev.yaml": "same", "helm/web/values-prod.yaml": "differs"}
	if diff := cmp.Diff(want, outcome(diffs)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

// on is a checkout with files and symbolic links.
func on(t *testing.T, files, links map[string]string) fs.FS {
	t.Helper()
	dir := write(t, files)
	for name, target := range links {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	root, err := openCheckout(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root.FS()
}

func TestAnswersThatAreTheSame(t *testing.T) {
	before := on(t, map[string]string{"a/x.yaml": "1", "a/y.yaml": "2", "b/x.yaml": "1", "f": "1"}, map[string]string{"link": "a", "out": "../outside"})
	after := on(t, map[string]string{"a/x.yaml": "1", "a/y.yaml": "3", "b/x.yaml": "1", "b/z.yaml": "1", "f/g": "1"}, map[string]string{"link": "b", "out": "../outside"})
	for _, c := range []struct {
		read render.Read
		want bool
	}{
		{render.Read{Path: "a/x.yaml", Kind: render.Content}, true},
		{render.Read{Path: "a/y.yaml", Kind: render.Content}, false},
		{render.Read{Path: "a/y.yaml", Kind: render.Stat}, true},
		{render.Read{Path: "a", Kind: render.List}, true},
		{render.Read{Path: "b", Kind: render.Stat}, true},
		{render.Read{Path: "b", Kind: render.List}, false},
		{render.Read{Path: "f", Kind: render.Stat}, false},
		{render.Read{Path: "f/g", Kind: render.Stat}, false},
		{render.Read{Path: "f/h", Kind: render.Content}, true}, // absent on both sides, below a file on one
		{render.Read{Path: "nowhere", Kind: render.Content}, true},
		{render.Read{Path: "link", Kind: render.Link}, false},
		{render.Read{Path: "a", Kind: render.Link}, true},
		{render.Read{Path: "out", Kind: render.Content}, false}, // nobody can tell
	} {
		if got := newComparison(before, after).same([]render.Read{c.read}); got != c.want {
			t.Errorf("%s of %s is the same: %v, want %v", c.read.Kind, c.read.Path, got, c.want)
		}
	}
}

func TestWhatIsRenderedForAnOverlayCanChangeInEveryField(t *testing.T) {
	source := func() *render.Source {
		return &render.Source{Dir: "web", Manifest: "web/prod.yaml", Helm: &render.Helm{Chart: "chart", Release: "web", Namespace: "shop", Values: []string{"prod.yaml"}}}
	}
	if o := (diffOverlay{before: source(), after: source()}); !o.sameSource() {
		t.Error("the same differs")
	}
	if o := (diffOverlay{before: source()}); o.sameSource() {
		t.Error("what went is the same")
	}
	for field, change := range map[string]func(*render.Source){
		"Dir":       func(s *render.Source) { s.Dir = "shop" },
		"Manifest":  func(s *render.Source) { s.Manifest = "web/dev.yaml" },
		"Helm":      func(s *render.Source) { s.Helm = nil },
		"Chart":     func(s *render.Source) { s.Helm.Chart = "other" },
		"Release":   func(s *render.Source) { s.Helm.Release = "other" },
		"Namespace": func(s *render.Source) { s.Helm.Namespace = "other" },
		"Values":    func(s *render.Source) { s.Helm.Values = nil },
	} {
		after := source()
		change(after)
		if o := (diffOverlay{before: source(), after: after}); o.sameSource() {
			t.Errorf("another %s is the same", field)
		}
	}
}
