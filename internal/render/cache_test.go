package render_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/render"
)

const prodYML = prod + "/kustomization.yaml"

var (
	digest17 = "sha256:" + strings.Repeat("17", 32)
	digest18 = "sha256:" + strings.Repeat("18", 32)
)

// payments is an app with two environments, which share a base and a component.
func payments() gitTree {
	files := map[string]string{
		"apps/payments/base/kustomization.yaml": "resources: [deployment.yaml]\n",
		"apps/payments/base/deployment.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\n" +
			"spec:\n  template:\n    spec:\n      containers:\n      - {name: app, image: payments}\n      - {name: proxy, image: 'proxy:1'}\n",
		"components/labels/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {team: pay}}]\n",
		"README.md":                            "env repo\n",
	}
	for _, env := range []string{"dev", "prod"} {
		files["apps/payments/overlays/"+env+"/kustomization.yaml"] = "# " + env + "\nresources: [../../base]\ncomponents: [../../../../components/labels]\nnamespace: " + env +
			"\nimages:\n- name: payments\n  newName: registry.example.com/payments\n  newTag: 1.7.0 # moved by Tagboat\n  digest: " + digest17 +
			"\n- name: proxy\n  newTag: \"1.20\"\n"
	}
	return committed(files)
}

func bumped(tag, digest string) map[string]string {
	before := string(payments().MapFS[prodYML].Data)
	return map[string]string{prodYML: strings.NewReplacer("1.7.0", tag, digest17, digest).Replace(before)}
}

func cache(t *testing.T) (*render.Cache, *render.Pool) {
	t.Helper()
	pool := render.NewPool(render.Options{Workers: 1})
	t.Cleanup(func() { _ = pool.Close() })
	return render.NewCache(pool, 64<<20), pool
}

// sameAsBuilt compares what a cache answers with what Kustomize renders.
func sameAsBuilt(t *testing.T, c *render.Cache, pool *render.Pool, tree gitTree, dir string) {
	t.Helper()
	got, err := c.Build(t.Context(), "acme/env", tree, render.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	want, err := pool.Build(t.Context(), tree, render.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want.Manifests), string(got)); diff != "" {
		t.Errorf("%s (-Kustomize +kept):\n%s", dir, diff)
	}
}

func TestWhatAnOverlayDoesNotReadDoesNotRenderItAgain(t *testing.T) {
	c, pool := cache(t)
	first := payments()
	sameAsBuilt(t, c, pool, first, prod)
	sameAsBuilt(t, c, pool, first, prod)
	sameAsBuilt(t, c, pool, first.with(map[string]string{
		"README.md": "changed\n", "apps/payments/overlays/dev/kustomization.yaml": "resources: []\n", "apps/payments/base/notes.txt": "new\n",
	}), prod)
	if s := c.Stats(); s.Built != 1 || s.Same != 2 {
		t.Errorf("%+v; want it rendered once, and kept twice", s)
	}
}

func TestABumpIsSubstitutedAndEqualsWhatKustomizeRenders(t *testing.T) {
	c, pool := cache(t)
	sameAsBuilt(t, c, pool, payments(), prod)
	for _, tag := range []string{"1.8.0", "v2", "sha-0123abc", "1e10x", "latest_9"} {
		sameAsBuilt(t, c, pool, payments().with(bumped(tag, digest18)), prod)
	}
	// In quotes, as Tagboat writes what would be read as a number.
	for _, tag := range []string{`"1.20"`, `'0123'`, `"on"`} {
		sameAsBuilt(t, c, pool, payments().with(bumped(tag, digest18)), prod)
	}
	if s := c.Stats(); s.Built != 1 || s.Substituted != 8 {
		t.Errorf("%+v; want one rendering, and the rest substituted", s)
	}
}

func TestWhatIsNotPlainlyABumpIsRendered(t *testing.T) {
	for name, change := range map[string]map[string]string{
		"a base":               {"apps/payments/base/deployment.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec: {containers: [{name: app, image: payments}]}\n"},
		"a component":          {"components/labels/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {team: core}}]\n"},
		"a bump and a patch":   {prodYML: bumped("1.8.0", digest18)[prodYML] + "patches: [{patch: '- {op: add, path: /metadata/labels/x, value: \"y\"}', target: {kind: Deployment}}]\n"},
		"another name":         {prodYML: strings.Replace(bumped("1.8.0", digest18)[prodYML], "newName: registry", "newName: mirror.registry", 1)},
		"a digest taken away":  {prodYML: strings.Replace(bumped("1.8.0", digest18)[prodYML], "  digest: "+digest18+"\n", "", 1)},
		"a bump and a base":    {prodYML: bumped("1.8.0", digest18)[prodYML], "apps/payments/base/kustomization.yaml": "resources: [deployment.yaml]\nnamePrefix: x-\n"},
		"a comment":            {prodYML: "# other\n" + bumped("1.8.0", digest18)[prodYML]},
		"a new kustomization":  {prod + "/kustomization.yml": "resources: []\n"},
		"a base that vanishes": {"apps/payments/base/deployment.yaml": ""},
	} {
		t.Run(name, func(t *testing.T) {
			c, pool := cache(t)
			sameAsBuilt(t, c, pool, payments(), prod)
			next := payments().with(change)
			got, err := c.Build(t.Context(), "acme/env", next, render.Source{Dir: prod})
			want, wantErr := pool.Build(t.Context(), next, render.Source{Dir: prod})
			if !bytes.Equal(want.Manifests, got) || fmt.Sprint(wantErr) != fmt.Sprint(err) {
				t.Errorf("got %v:\n%s\nwant %v:\n%s", err, got, wantErr, want.Manifests)
			}
			if s := c.Stats(); s.Same+s.Substituted != 0 {
				t.Errorf("%+v; want nothing taken from the cache", s)
			}
		})
	}
}

// What looks at an image after it was set, or at the text of a pin, makes
// substituting uncertain.
func TestNothingIsSubstitutedWhereSomethingElseLooksAtTheImage(t *testing.T) {
	for name, more := range map[string]string{
		"replacements": "replacements: [{source: {kind: Deployment, fieldPath: spec.template.spec.containers.0.image}, targets: [{select: {kind: Deployment}, fieldPaths: [metadata.annotations.image], options: {create: true}}]}]\n",
		"vars":         "vars: [{name: IMAGE, objref: {apiVersion: apps/v1, kind: Deployment, name: payments}, fieldref: {fieldpath: 'spec.template.spec.containers[0].image'}}]\n",
		"transformers": "transformers: ['{apiVersion: builtin, kind: AnnotationsTransformer, metadata: {name: x}, annotations: {a: b}, fieldSpecs: [{path: metadata/annotations, create: true}]}']\n",
	} {
		t.Run(name, func(t *testing.T) {
			c, pool := cache(t)
			files := payments().with(map[string]string{prodYML: string(payments().MapFS[prodYML].Data) + more})
			sameAsBuilt(t, c, pool, files, prod)
			sameAsBuilt(t, c, pool, files.with(map[string]string{prodYML: bumped("1.8.0", digest18)[prodYML] + more}), prod)
			if s := c.Stats(); s.Substituted != 0 || s.Built != 2 {
				t.Errorf("%+v; want both rendered", s)
			}
		})
	}
}

// A plain 1.20 is a number: Kustomize refuses it, and so must the cache.
func TestAPinThatYAMLReadsAsANumberIsNotSubstituted(t *testing.T) {
	c, pool := cache(t)
	sameAsBuilt(t, c, pool, payments(), prod)
	for _, tag := range []string{"1.20", "1e10", "0123", "on", "null", "2026-11-24"} {
		_, err := c.Build(t.Context(), "acme/env", payments().with(bumped(tag, digest18)), render.Source{Dir: prod})
		_, want := pool.Build(t.Context(), payments().with(bumped(tag, digest18)), render.Source{Dir: prod})
		if fmt.Sprint(err) != fmt.Sprint(want) {
			t.Errorf("%s: %v; Kustomize says %v", tag, err, want)
		}
	}
}

func TestAffectedTellsWhatACommitCanChange(t *testing.T) {
	c, _ := cache(t)
	first := payments()
	dev := render.Source{Dir: "apps/payments/overlays/dev"}
	all := []render.Source{dev, {Dir: prod}}
	for _, s := range all {
		if _, err := c.Build(t.Context(), "acme/env", first, s); err != nil {
			t.Fatal(err)
		}
	}
	for name, test := range map[string]struct {
		change map[string]string
		want   []bool // dev, prod
	}{
		"nothing that is read": {map[string]string{"README.md": "x", "apps/payments/base/x.yaml": "x", "apps/other/base/kustomization.yaml": "x"}, []bool{false, false}},
		"one overlay":          {bumped("1.8.0", digest18), []bool{false, true}},
		"the base":             {map[string]string{"apps/payments/base/deployment.yaml": "x"}, []bool{true, true}},
		"the component":        {map[string]string{"components/labels/kustomization.yaml": "x"}, []bool{true, true}},
		"a second file that Kustomize would find": {map[string]string{"apps/payments/base/Kustomization": "x"}, []bool{true, true}},
	} {
		got := c.Affected("acme/env", first, first.with(test.change), all)
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	unknown := c.Affected("another/env", first, first, all)
	if !unknown[0] || !unknown[1] {
		t.Errorf("of a repository that was never rendered: %v; want all, because nothing is known", unknown)
	}
}

func TestACacheKeepsNoMoreThanItMay(t *testing.T) {
	pool := render.NewPool(render.Options{Workers: 1})
	t.Cleanup(func() { _ = pool.Close() })
	c := render.NewCache(pool, 8<<10)
	for i := range 8 {
		if _, err := c.Build(context.Background(), fmt.Sprint(i), payments(), render.Source{Dir: prod}); err != nil {
			t.Fatal(err)
		}
	}
	if s := c.Stats(); s.Bytes > 8<<10 || s.Bytes <= 0 {
		t.Errorf("%d bytes are kept; want some, and at most 8 KiB", s.Bytes)
	}
}
