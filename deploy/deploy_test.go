// Package deploy_test holds what deploy/ and the Dockerfile say against what
// Tagboat is: its settings, its secrets, its doors, and what a sync may do in a
// real cluster.
package deploy_test

import (
	"errors"
	"io/fs"
	"os"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/render"
)

const (
	root    = ".." // of the checkout
	base    = "deploy/base"
	example = "deploy/overlays/example"
	worker  = "deploy/overlays/example-sync"
)

var controlPlane clustertest.Shared

func TestMain(m *testing.M) {
	render.RunIfChild()
	code := m.Run()
	controlPlane.Stop()
	os.Exit(code)
}

// rendered are the objects of an overlay of this checkout.
func rendered(t *testing.T, dir string) []cluster.Object {
	t.Helper()
	pool := render.NewPool(render.Options{Workers: 1})
	defer pool.Close()
	output, err := pool.Build(t.Context(), os.DirFS(root), render.Source{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	objects, err := cluster.Decode(output.Manifests)
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

// every is every object of a kind, as its Go type. A field that the type does
// not have fails the test: Kubernetes would ignore it in silence.
func every[T any](t *testing.T, objects []cluster.Object, kind string) (found []T) {
	t.Helper()
	for _, o := range objects {
		if o.GetKind() != kind {
			continue
		}
		var typed T
		if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(o.Object, &typed, true); err != nil {
			t.Fatalf("%s %s: %v", kind, o.GetName(), err)
		}
		found = append(found, typed)
	}
	return found
}

// only is the one object of a kind.
func only[T any](t *testing.T, objects []cluster.Object, kind string) T {
	t.Helper()
	found := every[T](t, objects, kind)
	if len(found) != 1 {
		t.Fatalf("there are %d objects of kind %s, want one", len(found), kind)
	}
	return found[0]
}

func read(t *testing.T, name string) []byte {
	t.Helper()
	data, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("%s is not there", name)
	}
	if err != nil {
		t.Fatal(err)
	}
	return data
}
