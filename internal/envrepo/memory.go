package envrepo

import (
	"io/fs"
	"slices"
	"sync"
)

// Memory keeps what discovery read in files that carry versions, by the ids of
// their contents, so that the next commit costs only what it changed. It helps with
// trees that have ids, as git's have. The zero Memory is empty and ready; it is
// safe for concurrent use.
type Memory struct {
	mu   sync.Mutex
	read map[string][]remembered // by file, the newest first
}

// remembered is what one content of a file came to.
type remembered struct {
	id  string
	has versions
	err error
}

// rememberedPerFile is how many contents of a file are kept: one a branch, mostly.
const rememberedPerFile = 4

// identified is a tree in which the same id of a path means the same content.
type identified interface {
	ID(name string) (id string, dir bool, err error)
}

// Load is Load with a memory.
func (m *Memory) Load(tree fs.FS) (*Config, []Pair, error) { return load(tree, m) }

// Discover is Discover with a memory.
func (m *Memory) Discover(tree fs.FS, c *Config) ([]Pair, error) { return discover(tree, c, m) }

// versions reads the versions that a file carries. An error of the tree comes
// back as such; what is wrong with the content is wrong.
func (m *Memory) versions(tree fs.FS, file string) (has versions, wrong, err error) {
	var id string
	if named, ok := tree.(identified); ok {
		if id, _, err = named.ID(file); err != nil {
			return versions{}, nil, err
		}
		if known, ok := m.known(file, id); ok {
			return known.has, known.err, nil
		}
	}
	data, err := fs.ReadFile(tree, file)
	if err != nil {
		return versions{}, nil, err
	}
	has, wrong = versionsIn(file, data)
	if id != "" {
		m.keep(file, remembered{id, has, wrong})
	}
	return has, wrong, nil
}

func (m *Memory) known(file, id string) (remembered, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.read[file] {
		if r.id == id {
			return r, true
		}
	}
	return remembered{}, false
}

func (m *Memory) keep(file string, r remembered) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.read == nil {
		m.read = map[string][]remembered{}
	}
	all := m.read[file]
	m.read[file] = slices.Insert(all[:min(len(all), rememberedPerFile-1):len(all)], 0, r)
}
