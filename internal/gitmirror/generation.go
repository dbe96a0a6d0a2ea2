package gitmirror

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-billy/v5/osfs"
	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/cache"
	"github.com/go-git/go-git/v5/plumbing/format/packfile"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/storage/filesystem"
	"github.com/tagboat/tagboat/internal/fault"
)

// heldRefs is where the references to fetched commits are. They tell what a
// later request may name as held.
const heldRefs = "refs/held/"

const cacheBytes = 16 * cache.MiByte // objects that a generation keeps in memory

// damage is an error of the local copy, not of the remote: mended by fetching
// again into a fresh generation.
type damage struct{ err error }

func (d *damage) Error() string { return "the local copy is damaged: " + d.err.Error() }
func (d *damage) Unwrap() error { return d.err }

// generation is one bare repository on disk.
type generation struct {
	dir    string
	number int

	mu      sync.Mutex // guards all below; go-git's storage is not safe for concurrent use
	store   *filesystem.Storage
	commits map[plumbing.Hash]held
	shallow []plumbing.Hash
	broken  bool
}

// held is what is known of a commit that is here.
type held struct {
	root plumbing.Hash
	when time.Time
	have bool // fetched by name, so a request may name it as held
}

// openNewest gives the newest usable generation in dir and removes all others.
func openNewest(dir string) (*generation, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "gen-*"))
	if err != nil {
		return nil, err
	}
	slices.Sort(paths)
	slices.Reverse(paths)
	var newest *generation
	last := 0
	for _, path := range paths {
		var number int
		fmt.Sscanf(filepath.Base(path), "gen-%d", &number) // 0 for a name that is not ours
		last = max(last, number)
		if newest == nil {
			if g, err := openGeneration(path, number); err == nil && len(g.commits) > 0 {
				newest = g
				continue
			}
		}
		if err := os.RemoveAll(path); err != nil {
			return nil, err
		}
	}
	if newest != nil {
		return newest, nil
	}
	return newGeneration(dir, last+1)
}

// newGeneration makes an empty repository.
func newGeneration(dir string, number int) (*generation, error) {
	path := filepath.Join(dir, fmt.Sprintf("gen-%08d", number))
	if err := os.RemoveAll(path); err != nil {
		return nil, &damage{err}
	}
	if _, err := git.Init(openStore(path), nil); err != nil {
		return nil, &damage{err}
	}
	return openGeneration(path, number)
}

func openStore(dir string) *filesystem.Storage {
	return filesystem.NewStorageWithOptions(osfs.New(dir), cache.NewObjectLRU(cacheBytes),
		filesystem.Options{MaxOpenDescriptors: 16})
}

// openGeneration reads what a repository holds; an error means that it cannot be
// trusted.
func openGeneration(dir string, number int) (_ *generation, err error) {
	defer recoverDamage(&err)
	leftovers, _ := filepath.Glob(filepath.Join(dir, "incoming-*"))
	for _, path := range leftovers {
		os.Remove(path)
	}
	g := &generation{dir: dir, number: number, store: openStore(dir), commits: map[plumbing.Hash]held{}}
	if g.shallow, err = g.store.Shallow(); err != nil {
		return nil, &damage{err}
	}
	refs, err := g.store.IterReferences()
	if err != nil {
		return nil, &damage{err}
	}
	err = refs.ForEach(func(ref *plumbing.Reference) error {
		if !strings.HasPrefix(ref.Name().String(), heldRefs) {
			return nil
		}
		h, err := g.readCommit(ref.Hash())
		if err != nil {
			return err
		}
		if _, err := g.read(plumbing.TreeObject, h.root, maxTree); err != nil {
			return err
		}
		h.have = true
		g.commits[ref.Hash()] = h
		return nil
	})
	return g, err
}

// remove deletes the repository. Open trees of it keep the files that they have
// open; their next read of anything else fails as damage.
func (g *generation) remove() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.broken = true
	g.store.Close()
	os.RemoveAll(g.dir) // what stays is removed by the next Open
}

// usable reports whether another pack may be added.
func (g *generation) usable(maxPacks int) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !g.broken && len(g.packs()) < maxPacks
}

// packs are the sizes of the packs on disk, in bytes.
func (g *generation) packs() (sizes []int64) {
	paths, _ := filepath.Glob(filepath.Join(g.dir, "objects", "pack", "pack-*.pack"))
	for _, path := range paths {
		if info, err := os.Stat(path); err == nil {
			sizes = append(sizes, info.Size())
		}
	}
	return sizes
}

// largestPack is, about, the size of a snapshot in bytes.
func (g *generation) largestPack() int64 {
	return slices.Max(append(g.packs(), 0))
}

func (g *generation) shallows() []plumbing.Hash {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.shallow)
}

// newest are up to n commits that were fetched by name, by commit time.
func (g *generation) newest(n int) []plumbing.Hash {
	g.mu.Lock()
	defer g.mu.Unlock()
	var all []plumbing.Hash
	for id, h := range g.commits {
		if h.have {
			all = append(all, id)
		}
	}
	slices.SortFunc(all, func(a, b plumbing.Hash) int {
		return g.commits[b].when.Compare(g.commits[a].when)
	})
	return all[:min(n, len(all))]
}

// tree is a commit's tree if the commit is here, else nil. A commit that is here
// is whole, whether it was fetched by name or as somebody's ancestor.
func (g *generation) tree(commit plumbing.Hash, known *directories) *Tree {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken {
		return nil
	}
	h, ok := g.commits[commit]
	if !ok {
		var err error
		if h, err = g.readCommit(commit); err != nil {
			return nil
		}
		g.commits[commit] = h
	}
	return newTree(g, known, commit, h.root, h.when)
}

// land takes a downloaded pack in. The order matters when the process dies
// midway: a shallow mark without its commit is harmless, a commit without its
// shallow mark would claim parents that are not here.
func (g *generation) land(want plumbing.Hash, pack string, snapshot bool) (err error) {
	defer recoverDamage(&err)
	f, err := os.Open(pack)
	if err != nil {
		return &damage{err}
	}
	defer f.Close()

	g.mu.Lock()
	shallow := g.shallow
	g.mu.Unlock()
	if snapshot && !slices.Contains(shallow, want) {
		shallow = append(slices.Clone(shallow), want)
	}
	store := openStore(g.dir) // readers go on with the other one meanwhile
	if err := store.SetShallow(shallow); err != nil {
		return &damage{err}
	}
	if err := packfile.UpdateObjectStorage(store, f); err != nil && !errors.Is(err, packfile.ErrEmptyPackfile) {
		return &damage{err}
	}

	g.mu.Lock()
	defer g.mu.Unlock()
	g.store.Close()
	g.store, g.shallow = store, shallow
	h, err := g.readCommit(want)
	if errors.Is(err, errNotACommit) {
		return nil // the caller sees that the commit is still not here
	}
	if err != nil {
		return err
	}
	if _, err := g.read(plumbing.TreeObject, h.root, maxTree); err != nil {
		return err
	}
	ref := plumbing.NewHashReference(plumbing.ReferenceName(heldRefs+want.String()), want)
	if err := store.SetReference(ref); err != nil {
		return &damage{err}
	}
	h.have = true
	g.commits[want] = h
	return nil
}

var errNotACommit = errors.New("the object is not a commit")

// readCommit needs g.mu, or g not to be shared yet; so does read.
func (g *generation) readCommit(id plumbing.Hash) (held, error) {
	o, err := g.read(plumbing.AnyObject, id, maxTree)
	if err != nil {
		return held{}, err
	}
	if o.Type() != plumbing.CommitObject {
		return held{}, errNotACommit
	}
	c, err := object.DecodeCommit(nil, o)
	if err != nil {
		return held{}, &damage{err}
	}
	return held{root: c.TreeHash, when: c.Committer.When}, nil
}

// read gives an object whose bytes hash to its id. Every failure is damage,
// because only what is reachable from a held commit is asked for, except
// errBlobTooLarge.
func (g *generation) read(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (_ *plumbing.MemoryObject, err error) {
	o, err := readObject(g.store, kind, id, limit)
	if err != nil && !errors.Is(err, errBlobTooLarge) {
		return nil, &damage{err}
	}
	return o, err
}

// object implements source. It remembers damage, so that the next At fetches
// again.
func (g *generation) object(kind plumbing.ObjectType, id plumbing.Hash, limit int64) (*plumbing.MemoryObject, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	o, err := g.read(kind, id, limit)
	return o, g.note(err)
}

// size implements source: how many bytes a blob has.
func (g *generation) size(id plumbing.Hash) (int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	n, err := objectSize(g.store, id)
	if err != nil {
		err = &damage{err}
	}
	return n, g.note(err)
}

// note remembers damage and says what it means for a person.
func (g *generation) note(err error) error {
	if _, ok := errors.AsType[*damage](err); ok {
		g.broken = true
		return fault.E(fault.Transient, "The local copy of the repository was damaged; it is fetched again on the next try.", err)
	}
	return err
}

// recoverDamage turns a panic into damage.
func recoverDamage(err *error) {
	if r := recover(); r != nil {
		*err = &damage{fmt.Errorf("reading it panicked: %v", r)}
	}
}
