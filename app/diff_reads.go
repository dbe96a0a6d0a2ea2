package app

import (
	"bytes"
	"io/fs"
	"sync"

	"github.com/tagboat/tagboat/internal/render"
)

// identified is a tree whose paths have ids: where they are equal, so is all that
// stands there.
type identified interface {
	ID(name string) (id string, dir bool, err error)
}

// comparison knows which questions two trees answer alike. It is safe for
// concurrent use.
type comparison struct {
	before, after fs.FS

	mu    sync.Mutex
	known map[render.Read]bool
}

func newComparison(before, after fs.FS) *comparison {
	return &comparison{before: before, after: after, known: map[render.Read]bool{}}
}

// same reports whether the trees answer all questions alike. What cannot be
// answered is never alike.
func (c *comparison) same(reads []render.Read) bool {
	for _, r := range reads {
		c.mu.Lock()
		alike, ok := c.known[r]
		c.mu.Unlock()
		if !ok {
			alike = c.ask(r)
			c.mu.Lock()
			c.known[r] = alike
			c.mu.Unlock()
		}
		if !alike {
			return false
		}
	}
	return true
}

func (c *comparison) ask(r render.Read) bool {
	a, fromGit := c.before.(identified)
	b, toGit := c.after.(identified)
	if fromGit && toGit && r.Kind != render.Link { // an id is that of a link's end
		idA, _, errA := a.ID(r.Path)
		idB, _, errB := b.ID(r.Path)
		if errA == nil && errB == nil && idA == idB {
			return true
		}
	}
	x, err := answer(c.before, r)
	if err != nil {
		return false
	}
	y, err := answer(c.after, r)
	return err == nil && bytes.Equal(x, y)
}

// answer is what a tree says to a question, as bytes that are equal where the
// answers are.
func answer(tree fs.FS, r render.Read) ([]byte, error) {
	look := fs.Stat
	if r.Kind == render.Link {
		look = fs.Lstat
	}
	info, err := look(tree, r.Path)
	if absent(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	said := []byte(info.Mode().Type().String())
	switch {
	case r.Kind == render.Link && info.Mode()&fs.ModeSymlink != 0:
		target, err := fs.ReadLink(tree, r.Path)
		return append(said, target...), err
	case r.Kind == render.Content && info.Mode().IsRegular():
		data, err := readFile(tree, r.Path)
		return append(said, data...), err
	case r.Kind == render.List && info.IsDir():
		entries, err := fs.ReadDir(tree, r.Path)
		for _, e := range entries {
			said = append(append(append(said, '/'), e.Name()...), e.Type().String()...)
		}
		return said, err
	}
	return said, nil
}
