package envrepo_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// counted is a tree with ids that counts what is read from it.
type counted struct {
	fstest.MapFS
	reads map[string]int
}

func (c counted) ID(name string) (string, bool, error) {
	info, err := fs.Stat(c.MapFS, name)
	if err != nil || info.IsDir() {
		return "", true, err
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.MapFS[name].Data)), false, nil
}

func (c counted) ReadFile(name string) ([]byte, error) {
	c.reads[name]++
	return c.MapFS.ReadFile(name)
}

func TestTheNextCommitIsReadOnlyWhereItDiffers(t *testing.T) {
	const config = "apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [c]}, {name: prod, clusters: [c]}]\n"
	file := func(env string) string { return "apps/payments/overlays/" + env + "/kustomization.yaml" }
	commit := func(devImage string) counted {
		return counted{fstest.MapFS{
			"tagboat.yaml": {Data: []byte(config)},
			file("dev"):    {Data: []byte("images: [{name: " + devImage + "}]\n")},
			file("prod"):   {Data: []byte("images: [{name: payments}]\n")},
		}, map[string]int{}}
	}
	var memory envrepo.Memory
	for _, step := range []struct {
		story, image string
		read         map[string]int
	}{
		{"at first everything is read", "payments", map[string]int{"tagboat.yaml": 1, file("dev"): 1, file("prod"): 1}},
		{"then only what changed", "orders", map[string]int{"tagboat.yaml": 1, file("dev"): 1}},
		{"and nothing of another branch that is known", "payments", map[string]int{"tagboat.yaml": 1}},
	} {
		tree := commit(step.image)
		_, got, err := memory.Load(tree)
		if err != nil {
			t.Fatal(err)
		}
		_, want, err := envrepo.Load(commit(step.image))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-without memory +with):\n%s", step.story, diff)
		}
		if diff := cmp.Diff(step.read, tree.reads); diff != "" {
			t.Errorf("%s (-want +read):\n%s", step.story, diff)
		}
	}
}
