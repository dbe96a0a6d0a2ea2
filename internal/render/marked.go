package render

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io/fs"
)

// withFile is a tree in which one file has another content.
type withFile struct {
	Tree
	file string
	data []byte
}

// ID is another one for the file. It names no directories that differ: a build asks
// for the ids of files only.
func (w withFile) ID(name string) (string, bool, error) {
	id, dir, err := w.Tree.ID(name)
	if err == nil && name == w.file {
		id = fmt.Sprintf("%s %x", id, sha256.Sum256(w.data))
	}
	return id, dir, err
}

// ReadLink and Lstat let a build see the links of the tree.
func (w withFile) ReadLink(name string) (string, error) { return fs.ReadLink(w.Tree, name) }

// Lstat is Stat without following a link.
func (w withFile) Lstat(name string) (fs.FileInfo, error) {
	info, err := fs.Lstat(w.Tree, name)
	if err != nil || name != w.file {
		return info, err
	}
	return otherSize{info, int64(len(w.data))}, nil
}

// Open opens a file or directory.
func (w withFile) Open(name string) (fs.File, error) {
	f, err := w.Tree.Open(name)
	if err != nil || name != w.file {
		return f, err
	}
	return otherContent{f, bytes.NewReader(w.data), w}, nil
}

// ReadFile reads a whole file.
func (w withFile) ReadFile(name string) ([]byte, error) {
	if name == w.file {
		return w.data, nil
	}
	return fs.ReadFile(w.Tree, name)
}

// ReadDir lists a directory.
func (w withFile) ReadDir(name string) ([]fs.DirEntry, error) { return fs.ReadDir(w.Tree, name) }

// Stat tells a file from a directory, and its size.
func (w withFile) Stat(name string) (fs.FileInfo, error) {
	info, err := fs.Stat(w.Tree, name)
	if err != nil || name != w.file {
		return info, err
	}
	return otherSize{info, int64(len(w.data))}, nil
}

// otherContent is the one file.
type otherContent struct {
	fs.File
	content *bytes.Reader
	tree    withFile
}

// Read reads the other content.
func (f otherContent) Read(p []byte) (int, error) { return f.content.Read(p) }

// Stat has the other content's size.
func (f otherContent) Stat() (fs.FileInfo, error) { return f.tree.Stat(f.tree.file) }

type otherSize struct {
	fs.FileInfo
	size int64
}

// Size is the other content's, in bytes.
func (i otherSize) Size() int64 { return i.size }
