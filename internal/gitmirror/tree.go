package gitmirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/tagboat/tagboat/internal/fault"
)

const (
	maxBlob  = 4 << 20  // bytes of one file
	maxTree  = 16 << 20 // bytes of one tree or commit object
	maxLinks = 40       // symbolic links followed for one path, as Linux does
)

// Tree is the files of one commit: an fs.FS that also reads files, directories
// and symbolic links directly. It is safe for concurrent use.
//
// Symbolic links are followed inside the tree and never out of it. A submodule
// is an empty directory. A file above 4 MiB cannot be opened or read. Where the
// local copy turns out to be damaged, the error is Transient and the next At
// fetches again.
type Tree struct {
	gen    *generation
	commit plumbing.Hash
	root   plumbing.Hash
	when   time.Time

	mu   sync.Mutex
	dirs map[plumbing.Hash][]entry // directories read so far, sorted by name
}

var _ interface {
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
} = (*Tree)(nil)

// entry is one name in a directory.
type entry struct {
	name string
	mode filemode.FileMode
	id   plumbing.Hash
}

func (e entry) isDir() bool { return e.mode == filemode.Dir || e.mode == filemode.Submodule }

// Commit is the commit's id, 40 hex digits.
func (t *Tree) Commit() string { return t.commit.String() }

// TreeID is the id of the root tree, which GitHub's API calls base_tree.
func (t *Tree) TreeID() string { return t.root.String() }

// Mode is the git mode of a path, as GitHub's API writes it: "100644", "100755",
// "120000" (symbolic link, not followed), "040000", "160000" (submodule).
func (t *Tree) Mode(name string) (string, error) {
	e, err := t.find("mode", name, false)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%06o", uint32(e.mode)), nil
}

// BlobID is the id of a file's content, 40 hex digits; of a symbolic link's own
// content where the path is one.
func (t *Tree) BlobID(name string) (string, error) {
	e, err := t.find("blob", name, false)
	if err != nil {
		return "", err
	}
	if e.isDir() {
		return "", &fs.PathError{Op: "blob", Path: name, Err: errIsDir}
	}
	return e.id.String(), nil
}

// Open implements fs.FS.
func (t *Tree) Open(name string) (fs.File, error) {
	e, err := t.find("open", name, true)
	if err != nil {
		return nil, err
	}
	if e.isDir() {
		return &openDir{tree: t, entry: e, name: name}, nil
	}
	content, err := t.blob("open", name, e)
	if err != nil {
		return nil, err
	}
	return &openFile{Reader: bytes.NewReader(content), info: t.fileInfo(name, e, int64(len(content)))}, nil
}

// ReadFile implements fs.ReadFileFS.
func (t *Tree) ReadFile(name string) ([]byte, error) {
	e, err := t.find("read", name, true)
	if err != nil {
		return nil, err
	}
	return t.blob("read", name, e)
}

// ReadDir implements fs.ReadDirFS.
func (t *Tree) ReadDir(name string) ([]fs.DirEntry, error) {
	e, err := t.find("readdir", name, true)
	if err != nil {
		return nil, err
	}
	return t.list(name, e)
}

// Stat implements fs.StatFS.
func (t *Tree) Stat(name string) (fs.FileInfo, error) {
	e, err := t.find("stat", name, true)
	if err != nil {
		return nil, err
	}
	return t.stat("stat", name, e)
}

// Lstat implements fs.ReadLinkFS: Stat without following a final link.
func (t *Tree) Lstat(name string) (fs.FileInfo, error) {
	e, err := t.find("lstat", name, false)
	if err != nil {
		return nil, err
	}
	return t.stat("lstat", name, e)
}

// ReadLink implements fs.ReadLinkFS.
func (t *Tree) ReadLink(name string) (string, error) {
	e, err := t.find("readlink", name, false)
	if err != nil {
		return "", err
	}
	if e.mode != filemode.Symlink {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: fs.ErrInvalid}
	}
	target, err := t.blob("readlink", name, e)
	return string(target), err
}

var (
	errIsDir  = errors.New("is a directory")
	errNotDir = errors.New("not a directory")
	errEscape = fmt.Errorf("a symbolic link leads out of the repository: %w", fs.ErrPermission)
	errLoop   = errors.New("too many symbolic links")
)

// find walks to a path. Links on the way are followed; a final one if follow.
func (t *Tree) find(op, name string, follow bool) (entry, error) {
	if !fs.ValidPath(name) {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	e, err := t.walk(strings.Split(name, "/"), follow)
	if err != nil {
		return entry{}, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return e, nil
}

func (t *Tree) walk(pending []string, follow bool) (entry, error) {
	stack := []entry{{name: ".", mode: filemode.Dir, id: t.root}} // the directories down to here
	links := 0
	for len(pending) > 0 {
		here, part := stack[len(stack)-1], pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..": // only ever from a link's target
			if len(stack) == 1 {
				return entry{}, errEscape
			}
			stack = stack[:len(stack)-1]
			continue
		}
		if !here.isDir() {
			return entry{}, fs.ErrNotExist
		}
		next, err := t.child(here, part)
		if err != nil {
			return entry{}, err
		}
		if next.mode != filemode.Symlink || (len(pending) == 0 && !follow) {
			stack = append(stack, next)
			continue
		}
		if links++; links > maxLinks {
			return entry{}, errLoop
		}
		target, err := t.content(next)
		if err != nil {
			return entry{}, err
		}
		if path.IsAbs(string(target)) {
			return entry{}, errEscape
		}
		pending = append(strings.Split(string(target), "/"), pending...)
	}
	return stack[len(stack)-1], nil
}

func (t *Tree) child(dir entry, name string) (entry, error) {
	entries, err := t.entries(dir)
	if err != nil {
		return entry{}, err
	}
	i, ok := slices.BinarySearchFunc(entries, name, func(e entry, name string) int { return strings.Compare(e.name, name) })
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
	t.mu.Lock()
	defer t.mu.Unlock()
	if known, ok := t.dirs[dir.id]; ok {
		return known, nil
	}
	o, err := t.gen.object(plumbing.TreeObject, dir.id, maxTree)
	if err != nil {
		return nil, readable(err)
	}
	decoded, err := object.DecodeTree(nil, o)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "git tree %s is malformed", dir.id)
	}
	entries := make([]entry, 0, len(decoded.Entries))
	for _, e := range decoded.Entries {
		if e.Name == "." || strings.ContainsAny(e.Name, "/\x00") || !fs.ValidPath(e.Name) {
			return nil, fault.Errorf(fault.Invalid, "git tree %s has an entry with the name %q, which is not a file name", dir.id, e.Name)
		}
		entries = append(entries, entry{name: e.Name, mode: e.Mode, id: e.Hash})
	}
	// Git sorts a directory as if its name ended in "/".
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	t.dirs[dir.id] = entries
	return entries, nil
}

func (t *Tree) list(name string, dir entry) ([]fs.DirEntry, error) {
	if !dir.isDir() {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errNotDir}
	}
	entries, err := t.entries(dir)
	if err != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: err}
	}
	list := make([]fs.DirEntry, len(entries))
	for i, e := range entries {
		list[i] = dirEntry{tree: t, entry: e, path: path.Join(name, e.name)}
	}
	return list, nil
}

func (t *Tree) stat(op, name string, e entry) (fs.FileInfo, error) {
	if e.isDir() {
		return t.fileInfo(name, e, 0), nil
	}
	size, err := t.gen.size(e.id)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: readable(err)}
	}
	return t.fileInfo(name, e, size), nil
}

func (t *Tree) blob(op, name string, e entry) ([]byte, error) {
	content, err := t.content(e)
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
	}
	return content, nil
}

func (t *Tree) content(e entry) ([]byte, error) {
	if e.isDir() {
		return nil, errIsDir
	}
	o, err := t.gen.object(plumbing.BlobObject, e.id, maxBlob)
	if err != nil {
		return nil, readable(err)
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r) // a copy: the caller may change it
}

// readable says what a failed read of the local copy means for a person.
func readable(err error) error {
	if errors.Is(err, errBlobTooLarge) {
		return fault.Errorf(fault.Invalid, "it is larger than %d MiB, which Tagboat does not read", maxBlob>>20)
	}
	return fault.E(fault.Transient, "The local copy of the env repo was damaged; it is fetched again on the next try.", err)
}
