package render

import (
	"cmp"
	"fmt"
	"slices"
)

// Read is one thing that a build asked of the tree. The same answers to all
// reads of a build give the same output.
type Read struct {
	Path string // slash-separated, never ends in a slash; "." is the root
	Kind ReadKind
}

// ReadKind is what was asked about a path.
type ReadKind byte

const (
	// Stat asks whether the path is absent, a file or a directory.
	Stat ReadKind = iota
	// Content asks for all bytes of the file.
	Content
	// List asks for the names in the directory, and which are directories.
	List
	// Link asks where the symbolic link at the path itself points. What stands at
	// the end of it is asked under that path.
	Link
)

// String names the kind.
func (k ReadKind) String() string {
	switch k {
	case Stat:
		return "stat"
	case Content:
		return "content"
	case List:
		return "list"
	case Link:
		return "link"
	}
	return fmt.Sprintf("read(%d)", byte(k))
}

func sortedReads(set map[Read]struct{}) []Read {
	reads := make([]Read, 0, len(set))
	for r := range set {
		if r.Kind == Stat { // Content and List tell what Stat tells
			if _, ok := set[Read{r.Path, Content}]; ok {
				continue
			}
			if _, ok := set[Read{r.Path, List}]; ok {
				continue
			}
		}
		reads = append(reads, r)
	}
	slices.SortFunc(reads, func(a, b Read) int { return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Kind, b.Kind)) })
	return reads
}
