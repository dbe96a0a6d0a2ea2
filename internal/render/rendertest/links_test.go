package rendertest_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/render"
)

// checkout is a git repository in which a test changes files and links.
type checkout struct {
	t   *testing.T
	dir string
}

func newCheckout(t *testing.T) checkout {
	c := checkout{t, t.TempDir()}
	c.git("init", "--quiet")
	return c
}

func (c checkout) git(args ...string) {
	c.t.Helper()
	cmd := exec.CommandContext(c.t.Context(), "git", append([]string{"-C", c.dir, "-c", "maintenance.auto=false",
		"-c", "user.name=Acme", "-c", "user.email=acme@example.com"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		c.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (c checkout) remove(name string) {
	c.t.Helper()
	if err := os.RemoveAll(filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) write(name, content string) {
	c.t.Helper()
	c.remove(name)
	file := filepath.Join(c.dir, name)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		c.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func (c checkout) link(name, target string) {
	c.t.Helper()
	c.remove(name)
	if err := os.Symlink(target, filepath.Join(c.dir, name)); err != nil {
		c.t.Fatal(err)
	}
}

// commit is the tree of what there is now.
func (c checkout) commit() *gitmirror.Tree {
	c.t.Helper()
	c.git("add", "-A")
	c.git("commit", "--quiet", "--allow-empty", "-m", "x")
	local, err := gitmirror.OpenLocal(c.dir)
	if err != nil {
		c.t.Fatal(err)
	}
	tree, err := local.At("HEAD")
	if err != nil {
		c.t.Fatal(err)
	}
	return tree
}

// TestTheCacheSeesTheLinksOfGit follows a repository whose paths become links, lead
// elsewhere and are none any more: what the cache answers is what Kustomize renders.
func TestTheCacheSeesTheLinksOfGit(t *testing.T) {
	pod := func(name string) string {
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + "}\nspec: {containers: [{name: app, image: payments}]}\n"
	}
	overlay := func(tag string) string {
		return "resources: [../base]\nimages: [{name: payments, newTag: " + tag + "}]\n"
	}
	c := newCheckout(t)
	c.write("base/kustomization.yaml", "resources: [pod.yaml]\n")
	c.write("base/pod.yaml", pod("first"))
	c.write("base/other.yaml", pod("other"))
	c.write("second/kustomization.yaml", "resources: [pod.yaml]\n")
	c.write("second/pod.yaml", pod("second"))
	c.write("prod/kustomization.yaml", overlay("v1"))
	c.link("current", "prod")
	pool := newPool(t)
	cache := render.NewCache(pool, 64<<20)
	for i, change := range []func(){
		func() {},
		func() { c.write("prod/kustomization.yaml", overlay("v2")) },
		func() { c.link("base/pod.yaml", "other.yaml") },
		func() { c.write("base/other.yaml", pod("edited")) },
		func() { c.link("base/pod.yaml", "../second/pod.yaml") }, // out of its directory, which Kustomize refuses
		func() { c.write("base/pod.yaml", pod("first")) },
		func() { c.link("base", "second") },
		func() { c.write("second/pod.yaml", pod("third")) },
		func() { c.write("prod/k.yaml", overlay("v3")); c.link("prod/kustomization.yaml", "k.yaml") },
		func() { c.write("prod/k.yaml", overlay("v4")) },
		func() { c.write("prod/kustomization.yaml", overlay("v5")) },
		func() { c.link("prod/kustomization.yml", "later.yml") },
		func() { c.write("prod/later.yml", "resources: []\n") },
		func() { c.remove("prod/kustomization.yml") },
		func() { c.link("current", "second") },
	} {
		change()
		tree := c.commit()
		for _, dir := range []string{"prod", "current"} {
			got, err := cache.Build(t.Context(), "", tree, render.Source{Dir: dir})
			want, wantErr := pool.Build(t.Context(), tree, render.Source{Dir: dir})
			if string(got) != string(want.Manifests) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Errorf("%s after change %d: the cache says %v:\n%s\nand Kustomize says %v:\n%s", dir, i, err, got, wantErr, want.Manifests)
			}
		}
	}
	if s := cache.Stats(); s.Substituted == 0 || s.Same == 0 {
		t.Errorf("%+v; want some of each", s)
	}
}
