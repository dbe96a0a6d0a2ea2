package gitmirror

import (
	"cmp"
	"context"
	"path"
	"slices"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// Kind is how a path differs between two commits.
type Kind string

// A file whose mode changed, or that became a link, is Modified; a renamed one
// is Deleted and Added.
const (
	Added    Kind = "added"
	Modified Kind = "modified"
	Deleted  Kind = "deleted"
)

// Change is one file that differs between two commits.
type Change struct {
	Path string
	Kind Kind
}

// Changed lists the files that differ between two commits, by path. Neither needs
// to be the other's ancestor: their trees are compared, not the history between.
func (m *Mirror) Changed(ctx context.Context, from, to string) ([]Change, error) {
	a, err := m.At(ctx, from)
	if err != nil {
		return nil, err
	}
	b, err := m.At(ctx, to)
	if err != nil {
		return nil, err
	}
	return changed(ctx, a, b)
}

// changed lists the files that differ between two trees, by path.
func changed(ctx context.Context, from, to *Tree) ([]Change, error) {
	d := difference{ctx: ctx, from: from, to: to}
	err := d.compare(".", from.top(), to.top())
	slices.SortFunc(d.changes, func(a, b Change) int { return cmp.Compare(a.Path, b.Path) })
	return d.changes, err
}

// difference walks two trees side by side and skips what is equal.
type difference struct {
	ctx      context.Context
	from, to *Tree
	changes  []Change
}

// compare looks at one path in both trees. An entry without an id is absent.
func (d *difference) compare(at string, a, b entry) error {
	if a.id == b.id && a.mode == b.mode {
		return nil
	}
	if isTree(a) || isTree(b) {
		if err := d.directories(at, a, b); err != nil {
			return err
		}
	}
	oldFile, newFile := isFile(a), isFile(b)
	switch {
	case oldFile && newFile:
		d.changes = append(d.changes, Change{at, Modified})
	case oldFile:
		d.changes = append(d.changes, Change{at, Deleted})
	case newFile:
		d.changes = append(d.changes, Change{at, Added})
	}
	return nil
}

// directories compares what is below a path; where one side is no directory,
// nothing is below it.
func (d *difference) directories(at string, a, b entry) error {
	if err := d.ctx.Err(); err != nil {
		return err
	}
	before, err := below(d.from, a)
	if err != nil {
		return err
	}
	after, err := below(d.to, b)
	if err != nil {
		return err
	}
	for len(before) > 0 || len(after) > 0 {
		var x, y entry
		order := first(before, after)
		if order <= 0 {
			x, before = before[0], before[1:]
		}
		if order >= 0 {
			y, after = after[0], after[1:]
		}
		if err := d.compare(path.Join(at, cmp.Or(x.name, y.name)), x, y); err != nil {
			return err
		}
	}
	return nil
}

// first tells which list has the smaller first name: -1, 0 for both, or 1.
func first(a, b []entry) int {
	switch {
	case len(a) == 0:
		return 1
	case len(b) == 0:
		return -1
	}
	return cmp.Compare(a[0].name, b[0].name)
}

func below(t *Tree, e entry) ([]entry, error) {
	if !isTree(e) {
		return nil, nil
	}
	return t.entries(e)
}

func isTree(e entry) bool { return e.mode == filemode.Dir }
func isFile(e entry) bool { return e.id != "" && !isTree(e) }
