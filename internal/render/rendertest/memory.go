package rendertest

import (
	"io/fs"
	"path"
	"testing/fstest"
)

// memory is a file system in memory that stays fast with many files: a MapFS for
// each directory, where one for all would look through all files for each question
// about a directory or about what is not there.
type memory map[string]fstest.MapFS

func newMemory(files map[string][]byte) memory {
	m := memory{".": {}}
	for name, data := range files {
		m.add(name, &fstest.MapFile{Data: data, Mode: 0o644})
	}
	return m
}

func (m memory) add(name string, file *fstest.MapFile) {
	dir, base := path.Split(name)
	dir = path.Clean(dir)
	if m[dir] == nil {
		m[dir] = fstest.MapFS{}
		m.add(dir, &fstest.MapFile{Mode: fs.ModeDir | 0o755})
	}
	m[dir][base] = file
}

// Open implements fs.FS.
func (m memory) Open(name string) (fs.File, error) {
	dir, base := path.Dir(name), path.Base(name)
	switch {
	case !fs.ValidPath(name):
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	case m[name] != nil:
		return m.directory(name)
	case m[dir] == nil || m[dir][base] == nil:
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return m[dir].Open(base)
}

func (m memory) directory(name string) (fs.File, error) {
	list, err := m[name].Open(".")
	if err != nil || name == "." {
		return list, err
	}
	own := fstest.MapFS{path.Base(name): {Mode: fs.ModeDir | 0o755}}
	info, err := own.Stat(path.Base(name))
	return directory{list.(fs.ReadDirFile), info}, err
}

// directory is an open directory with the name that it has in its parent.
type directory struct {
	fs.ReadDirFile
	info fs.FileInfo
}

// Stat implements fs.File.
func (d directory) Stat() (fs.FileInfo, error) { return d.info, nil }
