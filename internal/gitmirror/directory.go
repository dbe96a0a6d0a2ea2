package gitmirror

import (
	"io"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/tagboat/tagboat/internal/fault"
)

// maxNames is how many names of directories a repository keeps in memory, about
// 80 bytes each. The tree of 1,000 apps in three environments has 25,000.
const maxNames = 1 << 19

// emptyTree is the id of a directory with nothing in it, as git computes it.
var emptyTree = idOf(plumbing.ComputeHash(plumbing.TreeObject, nil))

// entry is one name in a directory.
type entry struct {
	name string
	id   string // the 20 bytes of the object's id; "" for what is absent
	mode filemode.FileMode
}

func idOf(h plumbing.Hash) string { return string(h[:]) }

func (e entry) hash() (h plumbing.Hash) {
	copy(h[:], e.id)
	return h
}

func (e entry) isDir() bool { return e.mode == filemode.Dir || e.mode == filemode.Submodule }

func compareNames(e entry, name string) int { return strings.Compare(e.name, name) }

// decodeDirectory gives the names in a directory, sorted. The format is a mode in
// octal digits, a space, a name, a zero byte and an id, over and over
// (https://git-scm.com/book/en/v2/Git-Internals-Git-Objects). go-git's decoder makes
// several allocations of each name, which for the directory of all apps takes longer
// than reading it; here names and ids are parts of one text.
func decodeDirectory(o plumbing.EncodedObject) ([]entry, error) {
	malformed := func() ([]entry, error) {
		return nil, fault.Errorf(fault.Invalid, "git tree %s is malformed", o.Hash())
	}
	r, err := o.Reader()
	if err != nil {
		return malformed()
	}
	var content strings.Builder
	if _, err := io.Copy(&content, r); err != nil {
		return malformed()
	}
	rest := content.String()
	entries := make([]entry, 0, strings.Count(rest, "\x00"))
	for rest != "" {
		digits, after, spaced := strings.Cut(rest, " ")
		name, after, ended := strings.Cut(after, "\x00")
		mode, err := filemode.New(digits)
		if !spaced || !ended || err != nil || len(after) < len(plumbing.ZeroHash) {
			return malformed()
		}
		if name == "." || strings.Contains(name, "/") || !fs.ValidPath(name) {
			return nil, fault.Errorf(fault.Invalid, "git tree %s has an entry with the name %q, which is not a file name", o.Hash(), name)
		}
		entries = append(entries, entry{name: name, id: after[:len(plumbing.ZeroHash)], mode: mode})
		rest = after[len(plumbing.ZeroHash):]
	}
	// Git sorts a directory as if its name ended in "/".
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return entries, nil
}

// decoded is what a tree object or a symbolic link's blob says.
type decoded struct {
	entries []entry // of a directory, sorted by name
	target  string  // of a link
}

// directories keeps decoded directories, and the targets of links, by their ids,
// for all trees of one repository: what an id stands for never changes, so the next
// commit's tree only has to decode the directories that it changes. When the recent
// half is full it becomes the older one, of which what is used comes back.
type directories struct {
	mu            sync.RWMutex
	recent, older map[plumbing.Hash]decoded
	names         int // in recent
	half          int // names that recent may hold
}

func newDirectories(names int) *directories {
	return &directories{half: names / 2, recent: map[plumbing.Hash]decoded{}}
}

func (d *directories) get(id plumbing.Hash) (decoded, bool) {
	d.mu.RLock()
	known, ok := d.recent[id]
	if ok {
		d.mu.RUnlock()
		return known, true
	}
	known, ok = d.older[id]
	d.mu.RUnlock()
	if ok {
		d.put(id, known)
	}
	return known, ok
}

func (d *directories) put(id plumbing.Hash, what decoded) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, known := d.recent[id]; known {
		return
	}
	size := len(what.entries) + len(what.target)/64 + 1 // an empty directory takes room too
	if d.names+size > d.half {
		d.recent, d.older, d.names = map[plumbing.Hash]decoded{}, d.recent, 0
	}
	d.recent[id] = what
	d.names += size
}
