package app

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

// batch is files that are planned together: a remote base follows the old tags of
// its own batch.
type batch struct {
	files   map[string][]byte
	changes []overlay.Change // those that the files carry
	options overlay.BumpOptions
}

func (b *batch) add(file string, data []byte, changes ...overlay.Change) {
	b.files[file] = data
	for _, c := range changes {
		if !slices.Contains(b.changes, c) {
			b.changes = append(b.changes, c)
		}
	}
}

// search finds the files that a bump is about.
type search struct {
	tree     fs.FS
	options  BumpOptions
	found    map[overlay.Change]bool
	nobody   string // carries what is missing: the sentence's beginning, for a person
	advice   string // and its end
	warnings []string
}

func newSearch(tree fs.FS, o BumpOptions) *search {
	return &search{tree: tree, options: o, found: map[overlay.Change]bool{}}
}

func (s *search) batch(pin overlay.Pin, refs bool) *batch {
	return &batch{files: map[string][]byte{}, options: overlay.BumpOptions{Pin: cmp.Or(s.options.Pin, pin), Refs: s.options.Refs || refs}}
}

func (s *search) batches() ([]*batch, error) {
	if len(s.options.Paths) > 0 {
		return s.named()
	}
	switch _, err := fs.Stat(s.tree, envrepo.File); {
	case err == nil:
		return s.configured()
	case !errors.Is(err, fs.ErrNotExist):
		return nil, fault.E(fault.Invalid, envrepo.File+" cannot be read.", err)
	}
	return s.everywhere()
}

// missing is an error when something to move stands nowhere.
func (s *search) missing() error {
	var names []string
	for _, c := range s.options.Changes {
		if !s.found[c] {
			names = append(names, c.Name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return fault.Errorf(fault.NotFound, "%s a version of %s%s", s.nobody, strings.Join(names, ", "), s.advice)
}

// some lists the first few names of a set.
func some(set map[string]bool) string {
	const few = 5
	names := slices.Sorted(maps.Keys(set))
	if len(names) > few {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:few], ", "), len(names)-few)
	}
	return strings.Join(names, ", ")
}

// named looks where a person said. All of it is one batch.
func (s *search) named() ([]*batch, error) {
	b := s.batch("", false)
	s.nobody = "nothing in " + strings.Join(s.options.Paths, ", ") + " carries"
	for _, typed := range s.options.Paths {
		name, err := below(typed)
		if err != nil {
			return nil, err
		}
		info, err := fs.Stat(s.tree, name)
		switch {
		case absent(err):
			return nil, fault.Errorf(fault.NotFound, "there is no %s in the checkout; correct --path, which is relative to --dir", typed)
		case err != nil:
			return nil, fault.E(fault.Invalid, typed+" cannot be read.", err)
		case info.IsDir():
			err = s.directory(b, name)
		default:
			err = s.file(b, name)
		}
		if err != nil {
			return nil, err
		}
	}
	return []*batch{b}, nil
}

// file adds a file that a person named.
func (s *search) file(b *batch, file string) error {
	data, err := readFile(s.tree, file)
	if err != nil {
		return err
	}
	changes := s.carries(file, data, s.options.Changes)
	if len(changes) == 0 && !s.options.Refs {
		return s.nothingIn(file, []string{file})
	}
	b.add(file, data, changes...)
	return nil
}

// directory adds what a directory that a person named has: its kustomization,
// and for what that does not carry the other YAML files directly in it.
func (s *search) directory(b *batch, dir string) error {
	kustomization, err := kustomizationIn(s.tree, dir)
	if err != nil {
		return err
	}
	rest, looked := s.options.Changes, []string{}
	if kustomization != "" {
		data, err := readFile(s.tree, kustomization)
		if err != nil {
			return err
		}
		changes := s.carries(kustomization, data, rest)
		if len(changes) > 0 || s.options.Refs {
			b.add(kustomization, data, changes...)
		}
		looked = append(looked, kustomization)
		rest = slices.DeleteFunc(slices.Clone(rest), func(c overlay.Change) bool { return slices.Contains(changes, c) })
	}
	others, err := s.others(b, dir, kustomization, rest)
	if err != nil {
		return err
	}
	if looked = append(looked, others...); len(looked) == 0 {
		return fault.Errorf(fault.NotFound, "%s has no kustomization.yaml and no other YAML file; correct --path", dir)
	}
	for _, file := range looked {
		if _, ok := b.files[file]; ok {
			return nil
		}
	}
	return s.nothingIn(dir, looked)
}

// others adds the YAML files directly in a directory that carry one of the
// changes, and lists those that it looked at.
func (s *search) others(b *batch, dir, kustomization string, changes []overlay.Change) (looked []string, err error) {
	if len(changes) == 0 {
		return nil, nil
	}
	entries, err := fs.ReadDir(s.tree, dir)
	if err != nil {
		return nil, fault.E(fault.Invalid, dir+" cannot be read.", err)
	}
	for _, e := range entries {
		file := path.Join(dir, e.Name())
		if file == kustomization || !e.Type().IsRegular() || !isYAML(e.Name()) {
			continue
		}
		data, err := readFile(s.tree, file)
		if err != nil {
			return nil, err
		}
		looked = append(looked, file)
		if carried := s.carries(file, data, changes); len(carried) > 0 {
			b.add(file, data, carried...)
		}
	}
	return looked, s.chart(b, dir)
}

// chart adds the Chart.yaml beside a file that moves: its appVersion may follow.
func (s *search) chart(b *batch, dir string) error {
	file := path.Join(dir, "Chart.yaml")
	if _, err := fs.Stat(s.tree, file); len(b.files) == 0 || err != nil || b.files[file] != nil {
		return nil // where there is a Chart.yaml, it has been looked into
	}
	data, err := readFile(s.tree, file)
	if err == nil {
		b.add(file, data)
	}
	return err
}

// nothingIn says that a path carries nothing of what is to be moved, and what it
// carries.
func (s *search) nothingIn(name string, files []string) error {
	var wanted []string
	for _, c := range s.options.Changes {
		wanted = append(wanted, c.Name)
	}
	text := fmt.Sprintf("%s carries no version of %s", name, strings.Join(wanted, " or "))
	if has := s.carriedBy(files); len(has) > 0 {
		text += "; it carries " + some(has)
	}
	return fault.Errorf(fault.NotFound, "%s", text)
}

// carriedBy is what files carry, as far as they can be read.
func (s *search) carriedBy(files []string) map[string]bool {
	names := map[string]bool{}
	for _, file := range files {
		data, err := readFile(s.tree, file)
		if err != nil {
			continue
		}
		sites, err := overlay.Sites(file, data)
		if err != nil {
			continue
		}
		for _, site := range sites {
			names[site.Name] = true
		}
	}
	return names
}

// configured looks into the pairs of tagboat.yaml, each with the pin of its
// environment. Each pair is a batch of its own: what one environment runs says
// nothing about another one's bases.
func (s *search) configured() ([]*batch, error) {
	s.nobody, s.advice = "no app of "+envrepo.File+" carries", "; correct the name, or say with --path where it stands"
	config, pairs, err := envrepo.Load(s.tree)
	if err != nil {
		return nil, err
	}
	var all []*batch
	planned := map[string]overlay.BumpOptions{}
	for _, p := range pairs {
		if p.File == "" {
			s.warn(p.Err)
			continue
		}
		data, err := readFile(s.tree, p.File)
		if err != nil {
			s.warn(cmp.Or(p.Err, err))
			continue
		}
		changes := s.carries(p.File, data, s.options.Changes)
		if len(changes) == 0 {
			s.warn(p.Err)
			continue
		}
		env, _ := config.Environment(p.Env)
		b := s.batch(overlay.Pin(env.Pin), env.Refs)
		b.add(p.File, data, changes...)
		if b.options.Refs && p.Kustomization != "" && p.Kustomization != p.File {
			data, err := readFile(s.tree, p.Kustomization)
			if err != nil {
				return nil, err
			}
			b.add(p.Kustomization, data)
		}
		if o, ok := planned[p.File]; !ok {
			all = append(all, b)
		} else if o != b.options {
			return nil, fault.Errorf(fault.Invalid, "%s belongs to several environments, which pin differently in %s; say with --pin how", p.File, envrepo.File)
		}
		planned[p.File] = b.options
	}
	return all, nil
}

// warn of a pair that nobody could look into.
func (s *search) warn(err error) {
	if err != nil {
		s.warnings = append(s.warnings, "not looked into: "+cmp.Or(fault.HintOf(err), err.Error()))
	}
}

// everywhere looks into all YAML files of the checkout. What one directory carries
// is one batch: a remote base in another one is about something else, even where
// it has the same revision.
func (s *search) everywhere() ([]*batch, error) {
	s.nobody = "no YAML file of the checkout carries"
	byDir := map[string]*batch{}
	var all []*batch
	err := fs.WalkDir(s.tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return fault.E(fault.Invalid, name+" cannot be read.", err)
		case entry.IsDir() && skipped(name):
			return fs.SkipDir
		case !entry.Type().IsRegular() || !isYAML(name):
			return nil
		}
		if info, err := entry.Info(); err == nil && info.Size() > maxFile {
			s.warnings = append(s.warnings, fmt.Sprintf("not looked into: %s is larger than %d MiB", name, maxFile>>20))
			return nil
		}
		data, err := readFile(s.tree, name)
		if err != nil {
			return err
		}
		changes := s.carries(name, data, s.options.Changes)
		if len(changes) == 0 {
			return nil
		}
		dir := path.Dir(name)
		if byDir[dir] == nil {
			byDir[dir] = s.batch("", false)
			all = append(all, byDir[dir])
		}
		byDir[dir].add(name, data, changes...)
		return nil
	})
	if err != nil {
		return nil, err
	}
	for dir, b := range byDir {
		if err := s.chart(b, dir); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// skipped are directories that hold no configuration of environments: hidden ones,
// other people's code, and the templates of charts.
func skipped(dir string) bool {
	name := path.Base(dir)
	hidden := dir != "." && strings.HasPrefix(name, ".")
	return hidden || name == "vendor" || name == "node_modules" || name == "templates"
}

func isYAML(name string) bool {
	ext := path.Ext(name)
	return ext == ".yaml" || ext == ".yml" || path.Base(name) == "Kustomization"
}

// carries are those of the changes that are about something in a file. A file that
// cannot be edited for certain counts: planning it says why.
func (s *search) carries(file string, data []byte, changes []overlay.Change) (carried []overlay.Change) {
	for _, c := range changes {
		_, err := overlay.Bump(map[string][]byte{file: data}, []overlay.Change{c}, overlay.BumpOptions{Pin: s.options.Pin})
		if !fault.Is(err, fault.NotFound) {
			carried = append(carried, c)
			s.found[c] = true
		}
	}
	return carried
}
