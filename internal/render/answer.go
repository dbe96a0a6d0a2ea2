package render

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"
	"sync/atomic"
	"syscall"

	"sigs.k8s.io/kustomize/api/konfig"

	"github.com/tagboat/tagboat/internal/fault"
)

// identified is a tree that knows an id of what stands at a path, links followed:
// the same id, the same bytes. It spares reading and sending what a child has.
type identified interface {
	ID(name string) (id string, dir bool, err error)
}

// answering answers one build's questions from the tree and from what its remote
// references lead to.
type answering struct {
	ctx     context.Context // of the build: its fetches end with it
	tree    fs.FS
	fetch   Fetcher
	mounts  map[string]fs.FS  // remote references, by directory
	kept    *kept             // what the child has
	links   map[string]linkAt // of the paths looked at so far
	errs    []error           // why answers are refused
	total   int               // bytes of the files read
	asks    int               // how often the child has asked
	told    int               // answers that it was given
	reading *atomic.Bool      // whether a question is being answered just now
}

func newAnswering(ctx context.Context, tree fs.FS, fetch Fetcher, k *kept, reading *atomic.Bool) *answering {
	return &answering{reading: reading, ctx: ctx, tree: tree, fetch: fetch, mounts: map[string]fs.FS{}, kept: k, links: map[string]linkAt{}}
}

// kept mirrors which contents a child has.
type kept struct {
	ids   map[string]struct{}
	bytes int
}

// maxKept is the size at which a child is told to forget its contents.
const maxKept = 16 << 20

func newKept() *kept { return &kept{ids: map[string]struct{}{}} }

// add reports whether the child has the content already.
func (k *kept) add(id string, size int) bool {
	if _, ok := k.ids[id]; ok {
		return true
	}
	k.ids[id] = struct{}{}
	k.bytes += size
	return false
}

// all answers questions, and what will be asked next as far as that is clear.
func (a *answering) all(questions []question) ([]answer, error) {
	if a.asks++; a.asks > maxAsks {
		return nil, broken("it asks more than %d times", maxAsks)
	}
	answers := make([]answer, 0, len(questions)*2)
	for _, q := range questions {
		found := a.about(q)
		if a.told += len(found); a.told > maxAnswers {
			return nil, broken("it asks about more than %d files", maxAnswers)
		}
		if err := a.ctx.Err(); err != nil {
			return nil, err
		}
		answers = append(answers, found...)
	}
	return answers, nil
}

// about answers one question.
func (a *answering) about(q question) []answer {
	a.reading.Store(true)
	defer a.reading.Store(false)
	if q.want == wantRemote {
		return []answer{a.remote(q)}
	}
	found := a.one(q.path, q.want)
	answers := []answer{found}
	if found.state != directory {
		return answers
	}
	below := q.path
	if found.real != "" {
		below = found.real
	}
	switch q.want {
	case wantContent:
		for _, name := range konfig.RecognizedKustomizationFileNames() {
			answers = append(answers, a.one(path.Join(below, name), wantContent))
		}
	case wantBelow:
		answers = append(answers, a.below(below)...)
	}
	return answers
}

func (a *answering) refuse(p string, err error) answer {
	a.errs = append(a.errs, err)
	return answer{path: p, state: refused, problem: len(a.errs) - 1}
}

// locate is the tree that a path belongs to, where that is mounted, and the path
// in it.
func (a *answering) locate(p string) (tree fs.FS, mount, inside string) {
	for mount, files := range a.mounts {
		if p == mount {
			return files, mount, "."
		}
		if inside, ok := strings.CutPrefix(p, mount+"/"); ok {
			return files, mount, inside
		}
	}
	return a.tree, "", p
}

// one answers about one path.
func (a *answering) one(p string, w want) answer {
	tree, prefix, inside := a.locate(p)
	if !fs.ValidPath(inside) {
		return answer{path: p}
	}
	real, links, err := a.follow(tree, prefix, inside)
	found := answer{path: p, links: links}
	if real != inside {
		found.real = path.Join(prefix, real)
	}
	if err == nil && prefix == "" {
		err = ours(p, real)
	}
	if err == nil {
		err = a.look(tree, real, w, &found)
	}
	if err != nil {
		return a.failed(found, err)
	}
	return found
}

// failed tells an absence from what keeps a file from being read (I6).
func (a *answering) failed(found answer, err error) answer {
	if missing(err) {
		return answer{path: found.path, real: found.real, links: found.links}
	}
	if fault.KindOf(err) == fault.Broken {
		err = fault.E(fault.Broken, oneLine(found.path)+" cannot be read.", err)
	}
	refused := a.refuse(found.path, err)
	refused.links = found.links
	return refused
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

func (a *answering) look(tree fs.FS, name string, w want, found *answer) error {
	if t, ok := tree.(identified); ok {
		id, dir, err := t.ID(name)
		switch {
		case err != nil:
			return err
		case dir:
			found.state = directory
		default:
			found.state = file
			if w != wantStat {
				return a.identifiedContent(tree, name, "i"+id, found)
			}
		}
		return nil
	}
	info, err := fs.Stat(tree, name)
	switch {
	case err != nil:
		return err
	case info.IsDir():
		found.state = directory
		return nil
	case !info.Mode().IsRegular():
		return refuse(name, "it is neither a file nor a directory")
	}
	found.state = file
	if w == wantStat {
		return nil
	}
	data, err := readAtMost(tree, name, info.Size())
	if err != nil {
		return err
	}
	if err := a.count(name, data); err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	id := "h" + string(sum[:])
	found.content = &content{id: id, data: data, sent: !a.kept.add(id, len(data))}
	return nil
}

// count refuses the file with which a build has read too much.
func (a *answering) count(name string, data []byte) error {
	if a.total += len(data); a.total > maxInput {
		return refuse(name, "with it the build reads more than %d MiB; split it", maxInput>>20)
	}
	return nil
}

func (a *answering) identifiedContent(tree fs.FS, name, id string, found *answer) error {
	found.content = &content{id: id}
	if _, ok := a.kept.ids[id]; ok {
		return nil
	}
	data, err := readAtMost(tree, name, 0)
	if err == nil {
		err = a.count(name, data)
	}
	if err != nil {
		found.content = nil
		return err
	}
	found.content.data, found.content.sent = data, !a.kept.add(id, len(data))
	return nil
}

// readAtMost reads a file that is not too large, whatever its size is said to be.
func readAtMost(tree fs.FS, name string, size int64) ([]byte, error) {
	if size > maxFile {
		return nil, tooLarge(name)
	}
	if t, ok := tree.(identified); ok { // a git tree bounds and holds the blob itself
		data, err := fs.ReadFile(t.(fs.FS), name)
		if err == nil && len(data) > maxFile {
			return nil, tooLarge(name)
		}
		return data, err
	}
	f, err := tree.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(data) > maxFile {
		return nil, tooLarge(name)
	}
	return data, err
}

// maxBelow is how many files and directories one chart may have.
const maxBelow = 4096

// below answers about everything below a directory.
func (a *answering) below(dir string) []answer {
	var answers []answer
	pending := []string{dir}
	for len(pending) > 0 && a.ctx.Err() == nil { // nobody waits for the rest
		here := pending[0]
		pending = pending[1:]
		listed := a.listing(here)
		answers = append(answers, listed)
		for _, name := range listed.names {
			p := path.Join(here, strings.TrimSuffix(name, "/"))
			if strings.HasSuffix(name, "/") {
				pending = append(pending, p)
			} else {
				answers = append(answers, a.one(p, wantContent))
			}
		}
		if len(answers)+len(pending) > maxBelow {
			return append(answers, a.refuse(dir, refuse(dir, "there are more than %d files below it; a chart should not have so many", maxBelow)))
		}
	}
	return answers
}

func (a *answering) listing(dir string) answer {
	tree, _, inside := a.locate(dir)
	entries, err := fs.ReadDir(tree, inside)
	if err != nil {
		return a.failed(answer{path: dir}, err)
	}
	found := answer{path: dir, state: directory, names: make([]string, 0, len(entries))}
	for _, e := range entries {
		name := e.Name()
		switch {
		case e.IsDir():
			name += "/"
		case e.Type()&fs.ModeSymlink != 0:
			if a.one(path.Join(dir, name), wantStat).state == directory {
				return a.refuse(dir, refuse(path.Join(dir, name), "it is a symbolic link to a directory, which a chart may not have"))
			}
		}
		found.names = append(found.names, name)
	}
	return found
}
