package render

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// Tree is a tree whose content has names, as git's has: where the id of a path is
// the same in two trees, so is everything at and below it.
type Tree interface {
	fs.FS
	// ID names what stands at a path, symbolic links followed. Absence is
	// fs.ErrNotExist.
	ID(name string) (id string, dir bool, err error)
	// Entry names what stands at a path itself, no link followed, and says whether it
	// is a directory, a link or a file. Below a link there is nothing.
	Entry(name string) (id string, kind fs.FileMode, err error)
}

// Cache keeps renderings until what they were made from changes. Its key is the
// exact set of questions that the build asked of its tree, absences included, and
// the answers' ids: a tree that answers the same renders the same, whatever else
// changed in it. It is safe for concurrent use.
//
// Where all that changed are the tags and digests of the overlay's own images:,
// the new ones are put into the kept rendering (see substitute.go).
type Cache struct {
	pool *Pool
	max  int

	mu    sync.Mutex
	kept  *simplelru.LRU[sourceKey, []*rendering]
	size  int
	stats Stats
}

// Stats counts what Build did.
type Stats struct {
	Same        int64 // answered with a kept rendering
	Substituted int64 // answered with a kept rendering and other image pins
	Built       int64 // rendered by a child
	Bytes       int   // of what is kept
}

// sourceKey names a source; scope tells apart sources of the same directory.
type sourceKey struct {
	scope, dir, manifest, chart, release, namespace, values string
}

func keyOf(scope string, s Source) sourceKey {
	k := sourceKey{scope: scope, dir: s.Dir, manifest: s.Manifest}
	if h := s.Helm; h != nil {
		k.chart, k.release, k.namespace, k.values = h.Chart, h.Release, h.Namespace, strings.Join(h.Values, "\x00")
	}
	return k
}

// keptPerSource is how many renderings of one source are kept: branches, and the
// commits of open pull requests, beside the newest base.
const keptPerSource = 4

// NewCache keeps at most max bytes of what pool renders.
func NewCache(pool *Pool, max int) *Cache {
	c := &Cache{pool: pool, max: max}
	// The bound is on bytes (see keep); simplelru fails only for a size below one.
	c.kept, _ = simplelru.NewLRU(1<<20, func(_ sourceKey, all []*rendering) {
		for _, r := range all {
			c.size -= r.size
		}
	})
	return c
}

// Stats is what happened so far.
func (c *Cache) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.stats
	s.Bytes = c.size
	return s
}

// Build renders a source of a tree, as Pool.Build does, from what is kept if it
// can. Callers must not change the result.
func (c *Cache) Build(ctx context.Context, scope string, tree Tree, src Source) ([]byte, error) {
	r, err := c.rendering(ctx, scope, tree, src)
	if err != nil {
		return nil, err
	}
	return r.manifests, nil
}

// Output is Build that also tells what the rendering was made from.
func (c *Cache) Output(ctx context.Context, scope string, tree Tree, src Source) (Output, error) {
	r, err := c.rendering(ctx, scope, tree, src)
	if err != nil {
		return Output{}, err
	}
	out := Output{Manifests: r.manifests}
	for _, p := range r.places {
		for _, q := range p.reads {
			out.Reads = append(out.Reads, q.Read)
		}
	}
	return out, nil
}

func (c *Cache) rendering(ctx context.Context, scope string, tree Tree, src Source) (*rendering, error) {
	key := keyOf(scope, src)
	if r, err := c.find(tree, key); r != nil && err == nil {
		return r, nil
	}
	r, err := c.render(ctx, tree, src)
	if err != nil {
		return nil, err
	}
	c.keep(key, r, func(s *Stats) { s.Built++ })
	return r, nil
}

// Affected tells of each source whether it may render differently in tree to than
// in tree from: whether it asks a question of which the answers differ. Of one that
// was not rendered in from nothing is known, so it may.
func (c *Cache) Affected(scope string, from, to Tree, sources []Source) (affected []bool) {
	before, after := remembered(from), remembered(to)
	affected = make([]bool, len(sources))
	for i, s := range sources {
		same, err := c.same(keyOf(scope, s), before, after)
		affected[i] = !same || err != nil // what cannot be read is not known
	}
	return affected
}

func (c *Cache) same(key sourceKey, before, after *answers) (bool, error) {
	for _, r := range c.renderings(key) {
		held, err := r.holds(before)
		if err != nil {
			return false, err
		}
		if held {
			return r.holds(after)
		}
	}
	return false, nil
}

func (c *Cache) renderings(key sourceKey) []*rendering {
	c.mu.Lock()
	defer c.mu.Unlock()
	all, _ := c.kept.Get(key)
	return all
}

// find answers from what is kept, or with nil.
func (c *Cache) find(tree Tree, key sourceKey) (*rendering, error) {
	now := &answers{tree: tree}
	for _, r := range c.renderings(key) {
		places, changed, err := r.against(now)
		switch {
		case err != nil:
			return nil, err
		case len(changed) == 0:
			c.count(func(s *Stats) { s.Same++ })
			return r, nil
		case places != nil && r.template != nil && changed[0] == r.template.file && now.file(changed[0]):
			data, err := fs.ReadFile(tree, r.template.file)
			if err != nil {
				return nil, err
			}
			if manifests := r.template.fill(data); manifests != nil {
				filled := &rendering{places, manifests, r.template, r.size}
				c.keep(key, filled, func(s *Stats) { s.Substituted++ })
				return filled, nil
			}
		}
	}
	return nil, nil
}

func (c *Cache) count(add func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.stats)
}

// keep puts a rendering in front of the source's others.
func (c *Cache) keep(key sourceKey, r *rendering, add func(*Stats)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.stats)
	all, _ := c.kept.Peek(key)
	all = slices.DeleteFunc(slices.Clone(all), func(old *rendering) bool { // of a build beside this one
		same := old.equal(r)
		if same {
			c.size -= old.size
		}
		return same
	})
	all = append([]*rendering{r}, all...)
	for _, old := range all[min(len(all), keptPerSource):] {
		c.size -= old.size
	}
	c.kept.Add(key, slices.Clip(all[:min(len(all), keptPerSource)]))
	c.size += r.size
	for c.size > c.max && c.kept.Len() > 1 {
		c.kept.RemoveOldest()
	}
}

// render has a child render the source. Where a template may be possible, it is
// rendered once more, with marks in the place of its pins; the template is kept only
// if filling it gives the very same bytes.
func (c *Cache) render(ctx context.Context, tree Tree, src Source) (*rendering, error) {
	out, err := c.pool.Build(ctx, tree, src)
	if err != nil {
		return nil, err
	}
	t, marked := newTemplate(tree, src)
	if t == nil || !plainlyRead(tree, t.file, out.Reads) {
		return newRendering(tree, out.Reads, out.Manifests, nil)
	}
	again, err := c.pool.Build(ctx, marked, src)
	if err != nil || !bytes.Equal(t.cut(again.Manifests), out.Manifests) || !slices.Equal(again.Reads, out.Reads) {
		t = nil
	}
	return newRendering(tree, out.Reads, out.Manifests, t)
}

// rendering is what a source rendered to, and all that it was made from.
type rendering struct {
	places    []place
	manifests []byte
	template  *template // nil when only the same answers give a rendering
	size      int
}

// place is a directory and the questions that were asked about what is directly
// in it. While the directory has the same id, none of the answers has changed:
// the paths of reads have no links on the way.
type place struct {
	dir   string
	at    standing
	reads []read
}

type read struct {
	Read
	was standing
}

func newRendering(tree Tree, reads []Read, manifests []byte, t *template) (*rendering, error) {
	r := &rendering{manifests: manifests, template: t, size: len(manifests) + t.size()}
	asked := remembered(tree)
	inhabited := map[string]bool{} // directories in which something was found
	for _, q := range reads {
		was, err := asked.entry(q.Path)
		if err != nil {
			return nil, err
		}
		if was.present {
			inhabited[path.Dir(q.Path)] = true
		}
	}
	for _, q := range reads {
		here, err := asked.entry(q.Path)
		if err != nil {
			return nil, err
		}
		if q.Kind == Stat && here.kind.IsDir() && inhabited[q.Path] {
			continue // what was found in it tells as much
		}
		p, err := r.place(asked, path.Dir(q.Path))
		if err != nil {
			return nil, err
		}
		was, err := asked.to(q, p.at)
		if err != nil {
			return nil, err
		}
		p.reads = append(p.reads, read{q, was})
		r.size += len(q.Path) + 64
	}
	return r, nil
}

func (r *rendering) place(asked *answers, dir string) (*place, error) {
	for i := range r.places {
		if r.places[i].dir == dir {
			return &r.places[i], nil
		}
	}
	at, err := asked.at(dir)
	if err != nil {
		return nil, err
	}
	r.places = append(r.places, place{dir: dir, at: at})
	return &r.places[len(r.places)-1], nil
}

// equal reports whether the same answers made both.
func (r *rendering) equal(o *rendering) bool {
	return slices.EqualFunc(r.places, o.places, func(a, b place) bool {
		return a.dir == b.dir && a.at == b.at && slices.Equal(a.reads, b.reads)
	})
}

// holds reports whether all answers are the same now.
func (r *rendering) holds(now *answers) (bool, error) {
	_, changed, err := r.against(now)
	return len(changed) == 0, err
}

// against compares with the answers of now. It lists paths of which they differ,
// all or the first two; and, where there is one at most, the places as they are now.
func (r *rendering) against(now *answers) (places []place, changed []string, err error) {
	for i := range r.places {
		p := &r.places[i]
		at, err := now.at(p.dir)
		if err != nil {
			return nil, nil, err
		}
		if at == p.at {
			continue
		}
		if places == nil {
			places = slices.Clone(r.places)
		}
		places[i].at, places[i].reads = at, nil
		for n, q := range p.reads {
			is, err := now.to(q.Read, at)
			if err != nil {
				return nil, nil, err
			}
			if is == q.was {
				continue
			}
			if changed = append(changed, q.Path); len(changed) > 1 {
				return nil, changed, nil
			}
			if places[i].reads == nil {
				places[i].reads = slices.Clone(p.reads)
			}
			places[i].reads[n].was = is
		}
		if places[i].reads == nil {
			places[i].reads = p.reads
		}
	}
	return places, changed, nil
}

// standing is what stands at a path, as far as a read asks. The paths of reads have
// no links on the way. Where one comes in, the path is hidden: it is not what was
// there, and no absence either, because the link may lead to something.
type standing struct {
	id      string
	kind    fs.FileMode // with fs.ModeSymlink also what a link hides
	present bool
}

// answers asks a tree; with a memory, once about every path.
type answers struct {
	tree  Tree
	known map[string]standing
}

func remembered(tree Tree) *answers { return &answers{tree: tree, known: map[string]standing{}} }

// to answers a read about what is directly in a directory, of which all is known.
func (a *answers) to(r Read, dir standing) (standing, error) {
	got, err := a.entry(r.Path)
	if r.Kind == Stat {
		got.id = ""
	}
	return got.under(dir), err
}

// at tells all about a path.
func (a *answers) at(name string) (standing, error) {
	got, err := a.entry(name)
	if err != nil || got.present || name == "." {
		return got, err
	}
	above, err := a.at(path.Dir(name))
	return got.under(above), err
}

// under is what stands at a path, if that stands above it.
func (s standing) under(above standing) standing {
	if !s.present {
		s.kind = above.kind & fs.ModeSymlink
	}
	return s
}

// entry asks the tree.
func (a *answers) entry(name string) (standing, error) {
	if known, ok := a.known[name]; ok {
		return known, nil
	}
	id, kind, err := a.tree.Entry(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return standing{}, err
	}
	got := standing{id: id, kind: kind, present: err == nil}
	if a.known != nil {
		a.known[name] = got
	}
	return got, nil
}

// file reports whether a path is a file itself, and no link to one.
func (a *answers) file(name string) bool {
	got, err := a.entry(name)
	return err == nil && got.present && got.kind == 0
}
