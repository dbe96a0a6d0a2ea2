package render

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"strings"
)

// Edited is a tree in which one file has another content: what a commit would be,
// before it is made. The file has to be there, and none of its directories may be a
// link.
func Edited(tree Tree, file string, data []byte) Tree {
	return edited{withFile{tree, file, data}, fmt.Sprintf(" with %x", sha256.Sum256(data))}
}

// edited tells apart what withFile need not: the directories that the file is in.
type edited struct {
	withFile
	mark string
}

// holds reports whether the file is what stands at a path, or below it.
func (e edited) holds(name string) bool {
	return name == e.file || name == "." || strings.HasPrefix(e.file, name+"/")
}

// ID is another one for the file and the directories that it is in.
func (e edited) ID(name string) (string, bool, error) {
	id, dir, err := e.Tree.ID(name)
	if err == nil && e.holds(name) {
		id += e.mark
	}
	return id, dir, err
}

// Entry is another one, too.
func (e edited) Entry(name string) (string, fs.FileMode, error) {
	id, kind, err := e.Tree.Entry(name)
	if err == nil && e.holds(name) {
		id += e.mark
	}
	return id, kind, err
}
