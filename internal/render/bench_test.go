package render_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/tagboat/tagboat/internal/render"
)

// small is a repository of apps with a base, three overlays each and a component
// that all use.
func small(apps int) (files map[string]string, overlays []string) {
	files = map[string]string{
		"components/meta/kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\nlabels: [{pairs: {owner: platform}}]\n",
	}
	for i := range apps {
		app := fmt.Sprintf("apps/app-%d", i)
		files[app+"/base/kustomization.yaml"] = "resources: [deployment.yaml, service.yaml, config.yaml]\n"
		files[app+"/base/deployment.yaml"] = deployment
		files[app+"/base/service.yaml"] = "apiVersion: v1\nkind: Service\nmetadata: {name: payments}\nspec: {ports: [{port: 80}]}\n"
		files[app+"/base/config.yaml"] = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {level: info}\n"
		for _, env := range []string{"dev", "staging", "prod"} {
			overlay := app + "/overlays/" + env
			overlays = append(overlays, overlay)
			files[overlay+"/kustomization.yaml"] = fmt.Sprintf("namespace: %s\nresources: [../../base]\ncomponents: [../../../../components/meta]\n"+
				"images: [{name: payments, newName: registry.example.com/payments, newTag: 1.%d.0}]\npatches: [{path: replicas.yaml}]\n", env, i)
			files[overlay+"/replicas.yaml"] = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\nspec: {replicas: 3}\n"
		}
	}
	return files, overlays
}

// BenchmarkPoolBuild is one overlay of 300, with two children.
func BenchmarkPoolBuild(b *testing.B) {
	files, overlays := small(100)
	dir := b.TempDir()
	for name, data := range files {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			b.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			b.Fatal(err)
		}
	}
	p := render.NewPool(render.Options{Workers: 2})
	defer p.Close()
	build := func(overlay string) {
		if _, err := p.Build(b.Context(), os.DirFS(dir), render.Source{Dir: overlay}); err != nil {
			b.Error(err)
		}
	}
	build(overlays[0])
	var next atomic.Int64
	b.ResetTimer()
	var children sync.WaitGroup
	for range 2 {
		children.Go(func() {
			for n := next.Add(1); n <= int64(b.N); n = next.Add(1) {
				build(overlays[n%int64(len(overlays))])
			}
		})
	}
	children.Wait()
}

// BenchmarkPoolStart is the first build of a new pool: what `tagboat render` costs.
func BenchmarkPoolStart(b *testing.B) {
	for b.Loop() {
		p := render.NewPool(render.Options{Workers: 1})
		if _, err := p.Build(b.Context(), tree(app), render.Source{Dir: prod}); err != nil {
			b.Fatal(err)
		}
		if err := p.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkKrusty is the same overlay by krusty in this process, from memory and
// without a scan.
func BenchmarkKrusty(b *testing.B) {
	files, overlays := small(100)
	memory := filesys.MakeFsInMemory()
	for name, data := range files {
		if err := memory.WriteFile("/"+name, []byte(data)); err != nil {
			b.Fatal(err)
		}
	}
	options := krusty.MakeDefaultOptions()
	options.PluginConfig = types.DisabledPluginConfig()
	n := 0
	for b.Loop() {
		n++
		resources, err := krusty.MakeKustomizer(options).Run(memory, "/"+overlays[n%len(overlays)])
		if err != nil {
			b.Fatal(err)
		}
		if _, err := resources.AsYaml(); err != nil {
			b.Fatal(err)
		}
	}
}
