package gitmirror

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxLinks  = 40   // symbolic links followed for one path, as Linux does
	maxTarget = 4096 // bytes of a link's target, as Linux does (PATH_MAX)
)

var (
	errIsDir  = errors.New("is a directory")
	errNotDir = errors.New("not a directory")
	errEscape = fmt.Errorf("a symbolic link leads out of the repository: %w", fs.ErrPermission)
	errLoop   = errors.New("too many symbolic links")
	errTarget = errors.New("a symbolic link's target is too long")
)

// find is walk for a path that was not checked yet.
func (t *Tree) find(op, name string, follow bool) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e, err := t.walk(name, follow)
	if err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

// walk goes down a valid path. Links on the way are followed; a final one if
// follow. What is absent is fs.ErrNotExist itself. Where no link is met and the
// directories are known, nothing is allocated: this is asked thousands of times
// for every commit.
func (t *Tree) walk(name string, follow bool) (entry, error) {
	here := t.top()
	if name == "." {
		return here, nil
	}
	for rest, more := name, true; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		next, err := t.child(here, part)
		if err != nil {
			return entry{}, err
		}
		if next.mode == filemode.Symlink && (more || follow) {
			stack, err := t.descend(t.base, strings.Split(name, "/"), follow)
			if err != nil {
				return entry{}, err
			}
			return stack[len(stack)-1], nil
		}
		here = next
	}
	return here, nil
}

// descend walks as walk does, with links in mind: it knows the directories from
// the repository's root down to where it is, so that ".." in a link's target can
// go back.
func (t *Tree) descend(stack []entry, pending []string, follow bool) ([]entry, error) {
	stack = slices.Clone(stack)
	links := 0
	for len(pending) > 0 {
		here, part := stack[len(stack)-1], pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..": // only ever from a link's target
			if len(stack) == 1 {
				return nil, errEscape
			}
			stack = stack[:len(stack)-1]
			continue
		}
		next, err := t.child(here, part)
		if err != nil {
			return nil, err
		}
		if next.mode != filemode.Symlink || (len(pending) == 0 && !follow) {
			stack = append(stack, next)
			continue
		}
		if links++; links > maxLinks {
			return nil, errLoop
		}
		target, err := t.target(next)
		if err != nil {
			return nil, err
		}
		if path.IsAbs(target) {
			return nil, errEscape
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return stack, nil
}

func (t *Tree) child(dir entry, name string) (entry, error) {
	if !dir.isDir() {
		return entry{}, fs.ErrNotExist
	}
	entries, err := t.entries(dir)
	if err != nil {
		return entry{}, err
	}
	i, ok := slices.BinarySearchFunc(entries, name, compareNames)
	if !ok {
		return entry{}, fs.ErrNotExist
	}
	return entries[i], nil
}

// entries are the names in a directory, sorted.
func (t *Tree) entries(dir entry) ([]entry, error) {
	if dir.mode == filemode.Submodule {
		return nil, nil
	}
	id := dir.hash()
	if known, ok := t.known.get(id); ok {
		return known.entries, nil
	}
	o, err := t.source.object(plumbing.TreeObject, id, maxTree)
	if err != nil {
		return nil, err
	}
	entries, err := decodeDirectory(o)
	if err != nil {
		return nil, err
	}
	t.known.put(id, decoded{entries: entries})
	return entries, nil
}

// target is where a symbolic link leads.
func (t *Tree) target(link entry) (string, error) {
	id := link.hash()
	if known, ok := t.known.get(id); ok {
		return known.target, nil
	}
	content, err := t.content(link)
	if err != nil {
		return "", err
	}
	if len(content) > maxTarget {
		return "", errTarget
	}
	t.known.put(id, decoded{target: string(content)})
	return string(content), nil
}
