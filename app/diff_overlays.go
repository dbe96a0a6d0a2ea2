package app

import (
	"cmp"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/render"
)

// diffOverlay is an overlay as it is rendered before and after a change.
type diffOverlay struct {
	path, app, env, cluster string
	before, after           *render.Source // nil where it is not there
}

// diff is a diff of the overlay in which nothing differs.
func (o diffOverlay) diff() manifest.OverlayDiff {
	return manifest.OverlayDiff{Path: o.path, App: o.app, Env: o.env, Cluster: o.cluster}
}

// sameSource reports whether the change leaves alone how the overlay is rendered.
func (o diffOverlay) sameSource() bool {
	return o.before != nil && o.after != nil && sameSource(*o.before, *o.after)
}

// overlaysOf lists the overlays of both sides of a change, by path: the pairs of
// tagboat.yaml, or, where neither side has one, every kustomization that no other
// one refers to. A kustomization that a person names counts always.
func overlaysOf(before, after fs.FS, paths []string) ([]diffOverlay, error) {
	all := map[string]*diffOverlay{}
	configured, err := pairsOf(all, before, after)
	if err != nil {
		return nil, err
	}
	if !configured {
		for _, side := range []fs.FS{before, after} {
			leaves, err := leavesOf(side)
			if err != nil {
				return nil, err
			}
			for _, dir := range leaves {
				all[dir] = &diffOverlay{path: dir}
			}
		}
	}
	names, err := named(all, before, after, paths)
	if err != nil {
		return nil, err
	}
	var overlays []diffOverlay
	for _, o := range all {
		if !within(o.path, names) {
			continue
		}
		for _, s := range []struct {
			tree   fs.FS
			source **render.Source
		}{{before, &o.before}, {after, &o.after}} {
			file, err := kustomizationIn(s.tree, o.path)
			if err != nil {
				return nil, err
			}
			if *s.source == nil && file != "" {
				*s.source = &render.Source{Dir: o.path}
			}
		}
		if o.before != nil || o.after != nil {
			overlays = append(overlays, *o)
		}
	}
	if len(overlays) == 0 {
		return nil, fault.Errorf(fault.NotFound, "there is nothing to compare: neither side has an overlay that could be rendered")
	}
	slices.SortFunc(overlays, func(a, b diffOverlay) int { return cmp.Compare(a.path, b.path) })
	return overlays, nil
}

// named adds the kustomizations that a person names, and returns their paths.
func named(all map[string]*diffOverlay, before, after fs.FS, paths []string) (names []string, err error) {
	for _, typed := range paths {
		name, err := below(typed)
		if err != nil {
			return nil, err
		}
		names = append(names, name)
		for _, side := range []fs.FS{before, after} {
			file, err := kustomizationIn(side, name)
			if err != nil {
				return nil, err
			}
			if file != "" && all[name] == nil {
				all[name] = &diffOverlay{path: name}
			}
		}
		if !slices.ContainsFunc(slices.Collect(maps.Keys(all)), func(p string) bool { return within(p, []string{name}) }) {
			return nil, fault.Errorf(fault.NotFound, "%s has no overlay at or below it; correct --path, which is relative to --dir", typed)
		}
	}
	return names, nil
}

// within reports whether a path is at or below one of the names; without names all
// are.
func within(p string, names []string) bool {
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
		return name == "." || p == name || strings.HasPrefix(p, name+"/")
	})
}

// pairsOf adds the pairs of tagboat.yaml, if a side has one. The configuration
// after the change has to be valid; where the one before is not, the newer one
// says what its tree holds.
func pairsOf(all map[string]*diffOverlay, before, after fs.FS) (configured bool, err error) {
	old, oldErr := configOf(before)
	config, err := configOf(after)
	switch {
	case err != nil:
		return false, err
	case config == nil && oldErr != nil:
		return false, oldErr
	case config == nil && old == nil:
		return false, nil
	}
	config, old = cmp.Or(config, old), cmp.Or(old, config)
	if err := addPairs(all, after, config, func(o *diffOverlay) **render.Source { return &o.after }); err != nil {
		return false, err
	}
	return true, addPairs(all, before, old, func(o *diffOverlay) **render.Source { return &o.before })
}

// configOf is a tree's tagboat.yaml; nil where it has none.
func configOf(tree fs.FS) (*envrepo.Config, error) {
	data, err := readFile(tree, envrepo.File)
	if fault.Is(err, fault.NotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return envrepo.Parse(envrepo.File, data)
}

// addPairs adds what is rendered for each pair of a tree, once per kustomization.
func addPairs(all map[string]*diffOverlay, tree fs.FS, config *envrepo.Config, side func(*diffOverlay) **render.Source) error {
	pairs, err := envrepo.Discover(tree, config)
	if err != nil {
		return err
	}
	for _, p := range pairs {
		if fault.Is(p.Err, fault.NotFound) { // an app that tagboat.yaml names and that this side has not
			continue
		}
		env, _ := config.Environment(p.Env) // every pair is of one, which has clusters
		own := placeOf(sourceOf(config, p, ""), p)
		for _, cluster := range env.Clusters {
			source := sourceOf(config, p, cluster)
			name := placeOf(source, p)
			o := all[name]
			if o == nil {
				o = &diffOverlay{path: name, app: p.App, env: p.Env}
				if name != own {
					o.cluster = cluster
				}
				all[name] = o
			}
			if name == p.File { // kustomizations are looked for in both trees
				*side(o) = &source
			}
		}
	}
	return nil
}

// leavesOf lists the directories with a kustomization that no other one refers
// to, components aside: what somebody would hand to kubectl.
func leavesOf(tree fs.FS) ([]string, error) {
	used := map[string]bool{}
	var dirs []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return fault.E(fault.Invalid, name+" cannot be read.", err)
		}
		if !entry.IsDir() {
			return nil
		}
		if skipped(name) {
			return fs.SkipDir
		}
		file, err := kustomizationIn(tree, name)
		if file == "" || err != nil {
			return err
		}
		var k struct {
			Kind                         string
			Resources, Bases, Components []string
		}
		data, err := readFile(tree, file)
		if err != nil {
			return err
		}
		if yaml.Unmarshal(data, &k) != nil { // rendering it says what is wrong
			dirs = append(dirs, name)
			return nil
		}
		for _, ref := range slices.Concat(k.Resources, k.Bases, k.Components) {
			used[path.Join(name, ref)] = true
		}
		if k.Kind != "Component" {
			dirs = append(dirs, name)
		}
		return nil
	})
	return slices.DeleteFunc(dirs, func(dir string) bool { return used[dir] }), err
}
