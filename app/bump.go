package app

import (
	"cmp"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

// BumpOptions says what a bump moves, where, and what it writes.
type BumpOptions struct {
	// Paths are overlays' directories, or files. Without any, the bump goes where
	// the names stand: in the pairs of tagboat.yaml, or, without a tagboat.yaml, in
	// all files of the checkout.
	Paths   []string
	Changes []overlay.Change // at least one
	Pin     overlay.Pin      // "": that of the environment, else what stands there already
	Refs    bool             // remote bases that carry the old tag follow
	Write   bool             // edit the files, rather than only plan it
}

// Bumped is a planned, or a written, bump.
type Bumped struct {
	Written  bool       `json:"written"`
	Files    []BumpFile `json:"files"` // those that change, by path
	Warnings []string   `json:"warnings,omitempty"`
}

// BumpFile is one file that a bump changes.
type BumpFile struct {
	Path  string `json:"path"`
	Moves []Move `json:"moves"` // in file order
	Diff  string `json:"diff"`  // unified
}

// Move is one version that a bump moves.
type Move struct {
	Line  int          `json:"line"` // from 1, after the bump
	Where string       `json:"where"`
	Kind  overlay.Kind `json:"kind"`
	Name  string       `json:"name"`
	Old   Pinned       `json:"old"`
	New   Pinned       `json:"new"`
}

// Pinned is what pins a version; what does not stand there is "".
type Pinned struct {
	Version string `json:"version,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// Diff is the bump as one unified diff; "" when nothing changes.
func (b Bumped) Diff() string {
	var text strings.Builder
	for _, f := range b.Files {
		text.WriteString(f.Diff)
	}
	return text.String()
}

// Bump moves versions in a checkout. It plans the edits of all files before it
// writes the first one; a file is replaced as a whole, or not at all. A version
// that stands there already is no change and no error.
//
// NotFound when something to move stands nowhere, or a path carries nothing of
// it; Invalid, with file and line, when a file cannot be edited for certain;
// Conflict when a file changed since it was read.
func Bump(dir string, o BumpOptions) (Bumped, error) {
	root, err := openCheckout(dir)
	if err != nil {
		return Bumped{}, err
	}
	defer root.Close()
	edits, warnings, err := planBump(root.FS(), o)
	if err != nil {
		return Bumped{}, err
	}
	b := Bumped{Files: []BumpFile{}, Warnings: warnings}
	for _, e := range edits {
		f, err := bumpFile(e)
		if err != nil {
			return Bumped{}, err
		}
		b.Files = append(b.Files, f)
	}
	if o.Write && len(edits) > 0 {
		if err := writeEdits(root, edits); err != nil {
			return Bumped{}, err
		}
		b.Written = true
	}
	return b, nil
}

// planBump plans the edits of a bump, one per file that changes, by path.
func planBump(tree fs.FS, o BumpOptions) (edits []overlay.Edit, warnings []string, err error) {
	s := newSearch(tree, o)
	batches, err := s.batches()
	if err != nil {
		return nil, nil, err
	}
	if err := s.missing(); err != nil {
		return nil, nil, err
	}
	for _, b := range batches {
		planned, err := overlay.Bump(b.files, b.changes, b.options)
		if err != nil && len(o.Paths) == 0 {
			err = fault.Errorf(fault.KindOf(err), "%s. If that file is not meant, say with --path which are", cmp.Or(fault.HintOf(err), err.Error()))
		}
		if err != nil {
			return nil, nil, err
		}
		for _, e := range planned {
			unpinned, err := b.unpinned(e)
			if err != nil {
				return nil, nil, err
			}
			s.warnings = append(s.warnings, unpinned...)
		}
		edits = append(edits, planned...)
	}
	edits = slices.DeleteFunc(edits, func(e overlay.Edit) bool { return !e.Changed() })
	slices.SortFunc(edits, func(a, b overlay.Edit) int { return cmp.Compare(a.Path, b.Path) })
	return edits, s.warnings, nil
}

// unpinned warns of images that come with a digest and move by their tag alone,
// because the file has no certain place for a digest and nobody asked for one.
func (b *batch) unpinned(e overlay.Edit) (warnings []string, err error) {
	if b.options.Pin != "" {
		return nil, nil
	}
	f, err := bumpFile(e)
	for _, m := range f.Moves {
		given := slices.ContainsFunc(b.changes, func(c overlay.Change) bool { return c.Digest != "" && c.Version == m.New.Version })
		if given && m.Kind == overlay.KindImage && m.New.Digest == "" {
			warnings = append(warnings, fmt.Sprintf("%s:%d: only the tag of %s moves, because there is no place for the digest; where the chart reads one, add the key digest: beside the tag, else say --pin tag", e.Path, m.Line, m.Name))
		}
	}
	return warnings, err
}

// bumpFile says what an edit moves.
func bumpFile(e overlay.Edit) (BumpFile, error) {
	f := BumpFile{Path: e.Path, Moves: []Move{}, Diff: overlay.UnifiedDiff(e)}
	before, err := overlay.Sites(e.Path, e.Before)
	if err != nil {
		return f, err
	}
	after, err := overlay.Sites(e.Path, e.After)
	if err != nil {
		return f, err
	}
	if len(before) != len(after) { // overlay.Bump adds and removes none
		return f, fault.Errorf(fault.Broken, "%s: the planned edit has %d versions where there were %d", e.Path, len(after), len(before))
	}
	for i, was := range before {
		is := after[i]
		move := Move{Line: is.Line, Where: is.Where, Kind: is.Kind, Name: is.Name,
			Old: Pinned{was.Version, was.Digest}, New: Pinned{is.Version, is.Digest}}
		if move.Old != move.New {
			f.Moves = append(f.Moves, move)
		}
	}
	return f, nil
}
