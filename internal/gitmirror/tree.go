package gitmirror

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
)

const (
	maxBlob = 4 << 20  // bytes of one file
	maxTree = 16 << 20 // bytes of one tree or commit object
)

// Tree is the files of one commit: an fs.FS that also reads files, directories
// and symbolic links directly. It is safe for concurrent use.
//
// Symbolic links are followed inside the repository and never out of it. A
// submodule is an empty directory. A file above 4 MiB cannot be opened or read.
// Where a mirror's copy turns out to be damaged, the error is Transient and the
// next At fetches again.
type Tree struct {
	source source
	known  *directories
	commit plumbing.Hash
	base   []entry // the directories from the repository's root down to "."
	when   time.Time
	last   atomic.Pointer[listed]
}

// listed is the directory that Entry went to last: it is asked about all that a
// build read in one directory, then in the next.
type listed struct {
	name    string
	entries []entry
}

// source is where a tree's objects are read: a generation of a mirror, or a
// repository on this machine. Errors are fit for people.
type source interface {
	object(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (*plumbing.MemoryObject, error)
	size(id plumbing.Hash) (int64, error)
}

// newTree is the whole tree of a commit.
func newTree(s source, known *directories, commit, root plumbing.Hash, when time.Time) *Tree {
	return &Tree{source: s, known: known, commit: commit, when: when,
		base: []entry{{name: ".", mode: filemode.Dir, id: idOf(root)}}}
}

var _ interface {
	fs.ReadFileFS
	fs.ReadDirFS
	fs.StatFS
	fs.ReadLinkFS
} = (*Tree)(nil)

// top is the directory ".".
func (t *Tree) top() entry { return t.base[len(t.base)-1] }

// Commit is the commit's id, 40 hex digits.
func (t *Tree) Commit() string { return t.commit.String() }

// TreeID is the id of the tree at ".", which GitHub's API calls base_tree.
func (t *Tree) TreeID() string { return t.top().hash().String() }

// ID is an opaque id of what stands at a path, symbolic links followed: where two
// ids are equal, so is what is read there. A directory's stands for everything
// below it, and a submodule is an empty directory. A file's mode does not count.
//
// Absence is fs.ErrNotExist itself, not wrapped: like presence it is asked for
// thousands of paths of every commit, and must cost nothing.
func (t *Tree) ID(name string) (id string, dir bool, err error) {
	if !fs.ValidPath(name) {
		return "", false, &fs.PathError{Op: "id", Path: name, Err: fs.ErrInvalid}
	}
	e, err := t.walk(name, true)
	switch {
	case err == fs.ErrNotExist:
		return "", false, err
	case err != nil:
		return "", false, &fs.PathError{Op: "id", Path: name, Err: err}
	case e.mode == filemode.Submodule:
		return emptyTree, true, nil
	}
	return e.id, e.isDir(), nil
}

// Entry is what git has at a path, no symbolic link followed: its id, and whether it
// is a directory (fs.ModeDir), a link (fs.ModeSymlink) or a file (0). Below a link
// there is nothing. Absence is fs.ErrNotExist itself, as with ID.
func (t *Tree) Entry(name string) (id string, kind fs.FileMode, err error) {
	if !fs.ValidPath(name) {
		return "", 0, &fs.PathError{Op: "entry", Path: name, Err: fs.ErrInvalid}
	}
	here := t.top()
	if name != "." {
		slash := strings.LastIndexByte(name, '/')
		entries, err := t.listed(name[:max(slash, 0)])
		if err != nil {
			return "", 0, err
		}
		i, ok := slices.BinarySearchFunc(entries, name[slash+1:], compareNames)
		if !ok {
			return "", 0, fs.ErrNotExist
		}
		here = entries[i]
	}
	switch {
	case here.mode == filemode.Submodule:
		return emptyTree, fs.ModeDir, nil
	case here.isDir():
		return here.id, fs.ModeDir, nil
	case here.mode == filemode.Symlink:
		return here.id, fs.ModeSymlink, nil
	}
	return here.id, 0, nil
}

// listed are the names in a directory, no symbolic link followed; "" is the top.
func (t *Tree) listed(dir string) ([]entry, error) {
	if last := t.last.Load(); last != nil && last.name == dir {
		return last.entries, nil
	}
	here := t.top()
	for rest, more := dir, dir != ""; more; {
		var part string
		part, rest, more = strings.Cut(rest, "/")
		next, err := t.child(here, part)
		if err != nil {
			return nil, err
		}
		here = next
	}
	if !here.isDir() {
		return nil, fs.ErrNotExist
	}
	entries, err := t.entries(here)
	if err == nil {
		t.last.Store(&listed{dir, entries})
	}
	return entries, err
}

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
	return e.hash().String(), nil
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
	size, err := t.source.size(e.hash())
	if err != nil {
		return nil, &fs.PathError{Op: op, Path: name, Err: err}
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
	o, err := t.source.object(plumbing.BlobObject, e.hash(), maxBlob)
	if err != nil {
		return nil, err
	}
	r, err := o.Reader()
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r) // a copy: the caller may change it
}
