package gitmirror

import (
	"bytes"
	"io"
	"io/fs"
	"path"
	"time"

	"github.com/go-git/go-git/v5/plumbing/filemode"
)

// info is what Stat tells. The time of every file is its commit's.
type info struct {
	name string
	size int64
	mode fs.FileMode
	when time.Time
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.when }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }

func (t *Tree) fileInfo(name string, e entry, size int64) info {
	return info{name: path.Base(name), size: size, mode: e.fileMode(), when: t.when}
}

// fileMode is the read-only file mode of an entry.
func (e entry) fileMode() fs.FileMode {
	switch e.mode {
	case filemode.Dir, filemode.Submodule:
		return fs.ModeDir | 0o555
	case filemode.Symlink:
		return fs.ModeSymlink | 0o777
	case filemode.Executable:
		return 0o555
	}
	return 0o444
}

// dirEntry is one line of a directory listing; its size is looked up when asked.
type dirEntry struct {
	tree  *Tree
	entry entry
	path  string
}

func (d dirEntry) Name() string               { return d.entry.name }
func (d dirEntry) IsDir() bool                { return d.entry.isDir() }
func (d dirEntry) Type() fs.FileMode          { return d.entry.fileMode().Type() }
func (d dirEntry) Info() (fs.FileInfo, error) { return d.tree.stat("stat", d.path, d.entry) }
func (d dirEntry) String() string             { return fs.FormatDirEntry(d) }

// openFile is a file's content; seekable, like a file of an os.DirFS.
type openFile struct {
	*bytes.Reader
	info info
}

func (f *openFile) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *openFile) Close() error               { return nil }

// openDir is a directory that was opened; it lists itself piece by piece.
type openDir struct {
	tree  *Tree
	entry entry
	name  string
	read  bool
	rest  []fs.DirEntry
}

func (d *openDir) Stat() (fs.FileInfo, error) { return d.tree.fileInfo(d.name, d.entry, 0), nil }
func (d *openDir) Close() error               { return nil }

func (d *openDir) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: d.name, Err: errIsDir}
}

// ReadDir implements fs.ReadDirFile.
func (d *openDir) ReadDir(n int) ([]fs.DirEntry, error) {
	if !d.read {
		all, err := d.tree.list(d.name, d.entry)
		if err != nil {
			return nil, err
		}
		d.read, d.rest = true, all
	}
	if n > 0 && len(d.rest) == 0 {
		return nil, io.EOF
	}
	if n <= 0 || n > len(d.rest) {
		n = len(d.rest)
	}
	part := d.rest[:n:n]
	d.rest = d.rest[n:]
	return part, nil
}
