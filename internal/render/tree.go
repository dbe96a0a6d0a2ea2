package render

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// readOnly shows an fs.FS to krusty as a file system with the tree at its root.
type readOnly struct {
	tree    fs.FS
	failure *error // the first read that failed or was refused, absence apart
}

var errReadOnly = errors.New("the tree is read-only")

func (readOnly) Create(string) (filesys.File, error) { return nil, errReadOnly }
func (readOnly) Mkdir(string) error                  { return errReadOnly }
func (readOnly) MkdirAll(string) error               { return errReadOnly }
func (readOnly) RemoveAll(string) error              { return errReadOnly }
func (readOnly) WriteFile(string, []byte) error      { return errReadOnly }

// inTree is a path of krusty as the tree names it.
func inTree(p string) string {
	if p = strings.TrimPrefix(path.Clean("/"+p), "/"); p == "" {
		return "."
	}
	return p
}

// note keeps an error that is not an absence: krusty would try another reading of
// the reference, and hide it.
func (r readOnly) note(err error) error {
	if err != nil && *r.failure == nil && !errors.Is(err, fs.ErrNotExist) {
		*r.failure = err
	}
	return err
}

func (r readOnly) stat(p string) (fs.FileInfo, error) {
	info, err := fs.Stat(r.tree, inTree(p))
	return info, r.note(err)
}

func (r readOnly) IsDir(p string) bool {
	info, err := r.stat(p)
	return err == nil && info.IsDir()
}

func (r readOnly) Exists(p string) bool {
	_, err := r.stat(p)
	return err == nil
}

func (r readOnly) isFile(p string) bool {
	info, err := r.stat(p)
	return err == nil && !info.IsDir()
}

func (r readOnly) ReadDir(p string) ([]string, error) {
	entries, err := fs.ReadDir(r.tree, inTree(p))
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, r.note(err)
}

// CleanedAbs splits a path into the directory that exists and the file in it. The
// tree has no links to follow.
func (r readOnly) CleanedAbs(p string) (filesys.ConfirmedDir, string, error) {
	info, err := r.stat(p)
	if err != nil {
		return "", "", fmt.Errorf("'%s' doesn't exist", inTree(p))
	}
	p = path.Clean("/" + p)
	if info.IsDir() {
		return filesys.ConfirmedDir(p), "", nil
	}
	return filesys.ConfirmedDir(path.Dir(p)), path.Base(p), nil
}

func (r readOnly) Glob(pattern string) ([]string, error) {
	found, err := fs.Glob(r.tree, strings.TrimPrefix(pattern, "/"))
	for i := range found {
		found[i] = "/" + found[i]
	}
	return found, r.note(err)
}

// ReadFile reads one file and refuses what could overwhelm a YAML parser.
func (r readOnly) ReadFile(p string) ([]byte, error) {
	name := inTree(p)
	info, err := r.stat(p)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", name)
	}
	if info.Size() > maxFile {
		return nil, r.note(tooLarge(name))
	}
	data, err := fs.ReadFile(r.tree, name)
	if err != nil {
		return nil, r.note(err)
	}
	return data, r.note(bounded(name, data))
}

func (r readOnly) Walk(root string, walk filepath.WalkFunc) error {
	return fs.WalkDir(r.tree, inTree(root), func(p string, entry fs.DirEntry, err error) error {
		if r.note(err) != nil {
			return walk("/"+p, nil, err)
		}
		info, err := entry.Info()
		return walk("/"+p, info, r.note(err))
	})
}

func (r readOnly) Open(p string) (filesys.File, error) {
	f, err := r.tree.Open(inTree(p))
	if err != nil {
		return nil, r.note(err)
	}
	return readOnlyFile{f}, nil
}

type readOnlyFile struct{ fs.File }

func (readOnlyFile) Write([]byte) (int, error) { return 0, errReadOnly }
