package gitmirror

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// mustID is the id of a path that is there.
func mustID(t *testing.T, tree *Tree, name string) string {
	t.Helper()
	id, _, err := tree.ID(name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAnIDTellsWhetherWhatIsReadChanged(t *testing.T) {
	s, before := richTree(t)
	s.write("apps/payments/overlays/prod/kustomization.yaml", "resources: [../../base, extra.yaml]\n")
	s.git(s.clone, "update-index", "--chmod=-x", "bin/run.sh")
	s.git(s.clone, "add", "apps")
	s.git(s.clone, "commit", "-q", "-m", "prod gets an extra, the script loses its x")
	s.git(s.clone, "push", "-q", "origin", "HEAD:refs/heads/main")
	after := s.at(s.mirror(), s.git(s.clone, "rev-parse", "HEAD"))

	for path, changed := range map[string]bool{
		".":                           true,
		"apps":                        true,
		"apps/payments/overlays/prod": true,
		"apps/payments/overlays/prod/kustomization.yaml": true,
		"current":                    true, // the directory that the link leads to
		"current/kustomization.yaml": true,
		"apps/payments/base":         false,
		"apps/payments/base/up":      true, // a link to apps
		"apps/payments/base/up/payments/base/kustomization.yaml": false,
		"apps/shared.yaml": false,
		"bin":              true,
		"bin/run.sh":       false, // its mode is not read
		"vendor/library":   false,
	} {
		if got := mustID(t, before, path) != mustID(t, after, path); got != changed {
			t.Errorf("the id of %s changed: %v, want %v", path, got, changed)
		}
	}
	for link, target := range map[string]string{
		"current": "apps/payments/overlays/prod", "apps/shared.yaml": "apps-notes.txt", "apps/payments/base/up": "apps",
	} {
		if mustID(t, after, link) != mustID(t, after, target) {
			t.Errorf("%s and %s, where it leads, have different ids", link, target)
		}
	}
	for path, want := range map[string]bool{".": true, "apps": true, "current": true, "vendor/library": true, "empty": false, "apps/shared.yaml": false} {
		if _, dir, err := after.ID(path); err != nil || dir != want {
			t.Errorf("ID(%q): directory %v, %v; want %v", path, dir, err, want)
		}
	}
	for _, path := range []string{"missing", "apps/missing", "empty/below-a-file", "vendor/library/inside", "current/missing"} {
		if _, _, err := after.ID(path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("ID(%q): %v; want it not to exist", path, err)
		}
	}
	for _, path := range []string{"", "/apps", "apps/", "apps//payments", "apps/../empty"} {
		if _, _, err := after.ID(path); !errors.Is(err, fs.ErrInvalid) {
			t.Errorf("ID(%q): %v; want an invalid path", path, err)
		}
	}
}

func TestASubmoduleHasTheIDOfAnEmptyDirectory(t *testing.T) {
	s, tree := richTree(t)
	want := s.git(s.clone, "hash-object", "-t", "tree", "/dev/null")
	if got := fmt.Sprintf("%x", mustID(t, tree, "vendor/library")); got != want {
		t.Errorf("id %s, want %s", got, want)
	}
}

func TestAskingForAnIDAllocatesNothing(t *testing.T) {
	_, tree := richTree(t)
	for _, path := range []string{".", "apps/payments/overlays/prod/kustomization.yaml", "apps/payments/overlays/missing.yaml", "vendor/library"} {
		ask := func() { tree.ID(path) }
		ask() // decodes the directories
		if n := testing.AllocsPerRun(100, ask); n > 0 {
			t.Errorf("ID(%q) makes %v allocations", path, n)
		}
	}
}

// counting counts what is read of a source.
type counting struct {
	source
	mu    sync.Mutex
	trees int
}

func (c *counting) object(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	if kind == plumbing.TreeObject {
		c.mu.Lock()
		c.trees++
		c.mu.Unlock()
	}
	return c.source.object(kind, id, limit)
}

func TestTheNextCommitCostsItsChangedDirectories(t *testing.T) {
	s := newServer(t)
	for i := range 40 {
		s.write(fmt.Sprintf("apps/app-%d/overlays/prod/kustomization.yaml", i), fmt.Sprint("newTag: ", i))
	}
	m := s.mirror()
	first := s.at(m, s.commit("main", "40 apps"))
	s.write("apps/app-7/overlays/prod/kustomization.yaml", "newTag: 1008")
	second := s.at(m, s.commit("main", "one bump"))

	walk := func(tree *Tree) int {
		counted := &counting{source: tree.source}
		tree.source = counted
		contents(t, tree)
		return counted.trees
	}
	if n := walk(first); n != 1+1+40*3 {
		t.Errorf("the first commit took %d directories, want all 122", n)
	}
	if n := walk(second); n != 5 { // ., apps, app-7, overlays, prod
		t.Errorf("the next commit took %d directories, want the 5 that it changed", n)
	}
	s.same(second)
	m.packs = 1 // the next fetch starts a new generation
	s.write("apps/app-9/overlays/prod/kustomization.yaml", "newTag: 1010")
	third := s.at(m, s.commit("main", "another bump"))
	if n := walk(third); n != 5 {
		t.Errorf("the first commit of a new generation took %d directories, want 5", n)
	}
	s.same(third)
}

func TestKnownDirectoriesAreBounded(t *testing.T) {
	d := newDirectories(100)
	id := func(i int) plumbing.Hash { return plumbing.ComputeHash(plumbing.TreeObject, []byte(fmt.Sprint(i))) }
	for i := range 1000 {
		d.put(id(i), decoded{entries: make([]entry, 9)})
		if _, ok := d.get(id(0)); !ok {
			t.Fatalf("a directory that is in use was forgotten after %d others", i)
		}
		if n := len(d.recent) + len(d.older); n > 11 { // ten, and the one in use may be in both halves
			t.Fatalf("%d directories of ten names are kept, where 100 names may be", n)
		}
	}
	if _, ok := d.get(id(500)); ok {
		t.Error("a directory that nobody used for long is still kept")
	}
	d.put(id(-1), decoded{entries: make([]entry, 5000)})
	if known, ok := d.get(id(-1)); !ok || len(known.entries) != 5000 {
		t.Error("a directory above the bound is not even kept until the next one")
	}
}

func TestReadersShareDirectories(t *testing.T) {
	_, tree := richTree(t)
	want := []string{"apps/payments/base/kustomization.yaml", "current/kustomization.yaml", "bin/run.sh", "vendor/library"}
	tree.known = newDirectories(8) // thrown away all the time
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				for _, path := range want {
					if _, _, err := tree.ID(path); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	all.Wait()
}
