package render_test

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

// gitTree is a tree as git has them: what stands at a path has an id.
type gitTree struct {
	fstest.MapFS
	files map[string]string
}

const (
	link   = "link to "         // what a symbolic link begins with, before its target
	nought = "there is nothing" // takes a file away
)

// committed is a tree of files and links.
func committed(files map[string]string) gitTree {
	c := gitTree{fstest.MapFS{}, map[string]string{}}
	maps.Copy(c.files, files)
	for name, content := range files {
		if target, ok := strings.CutPrefix(content, link); ok {
			c.MapFS[name] = &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
		} else {
			c.MapFS[name] = &fstest.MapFile{Data: []byte(content)}
		}
	}
	return c
}

// with is the commit after it.
func (c gitTree) with(changes map[string]string) gitTree {
	files := maps.Clone(c.files)
	maps.Copy(files, changes)
	maps.DeleteFunc(files, func(_, content string) bool { return content == nought })
	return committed(files)
}

// ID follows links.
func (c gitTree) ID(name string) (string, bool, error) {
	info, err := fs.Stat(c.MapFS, name)
	if err != nil {
		return "", false, err
	}
	if !info.IsDir() {
		data, err := fs.ReadFile(c.MapFS, name)
		return fmt.Sprintf("%x", sha256.Sum256(data)), false, err
	}
	id, err := c.directory(name)
	return id, true, err
}

// directory is the id of a directory: of all that is in it.
func (c gitTree) directory(name string) (string, error) {
	entries, err := fs.ReadDir(c.MapFS, name)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, e := range entries {
		id, kind, err := c.entry(path.Join(name, e.Name()))
		if err != nil {
			return "", err
		}
		fmt.Fprintln(h, e.Name(), kind, id)
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}

// Entry follows no link: below one there is nothing.
func (c gitTree) Entry(name string) (string, fs.FileMode, error) {
	for dir := path.Dir(name); dir != "."; dir = path.Dir(dir) {
		if f := c.MapFS[dir]; f != nil {
			return "", 0, fs.ErrNotExist
		}
	}
	return c.entry(name)
}

func (c gitTree) entry(name string) (string, fs.FileMode, error) {
	info, err := fs.Lstat(c.MapFS, name)
	switch {
	case err != nil:
		return "", 0, err
	case info.IsDir():
		id, err := c.directory(name)
		return id, fs.ModeDir, err
	}
	return fmt.Sprintf("%x", sha256.Sum256(c.MapFS[name].Data)), info.Mode().Type(), nil
}

// change is what a commit does to a tree: the new content of files, by path.
type change = map[string]string

// follow builds a source with a cache from one commit to the next, and demands after
// each that the cache says what a build without it says, to the byte.
func follow(t *testing.T, p *render.Pool, dir string, first gitTree, changes ...change) render.Stats {
	t.Helper()
	c := render.NewCache(p, 64<<20)
	tree := first
	for i := range len(changes) + 1 {
		if i > 0 {
			tree = tree.with(changes[i-1])
		}
		got, err := c.Build(t.Context(), "acme/env", tree, render.Source{Dir: dir})
		want, wantErr := p.Build(t.Context(), tree, render.Source{Dir: dir})
		if string(got) != string(want.Manifests) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
			t.Errorf("after change %d the cache says %v:\n%s\nand Kustomize says %v:\n%s", i, err, got, wantErr, want.Manifests)
		}
		if i == 0 && err != nil {
			t.Fatal(err)
		}
	}
	return c.Stats()
}

// refusedWith demands that a build is refused in one line that says why.
func refusedWith(t *testing.T, files fs.FS, dir, reason string) {
	t.Helper()
	output, err := pool.Build(t.Context(), files, render.Source{Dir: dir})
	if hint := fault.HintOf(err); !fault.Is(err, fault.Invalid) || !strings.Contains(hint, reason) || strings.Contains(hint, "\n") {
		t.Errorf("%s: %v: %v\n%s", dir, fault.KindOf(err), err, output.Manifests)
	}
}
