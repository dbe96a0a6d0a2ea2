package envrepo

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// Pair is one app in one environment.
type Pair struct {
	App, Env string
	Path     string   // the overlay's directory
	File     string   // its kustomization file
	Images   []string // images that it sets: newName where given, else name
	Err      error    // why this pair cannot be promoted; Images may be empty then
}

// kustomizations are the names that Kustomize knows, in its order.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// maxKustomization bounds one file that discovery reads.
const maxKustomization = 2 << 20

// Load reads an env repo: its tagboat.yaml and every (app, environment) pair that
// it has, by app and environment. A pair that cannot be read carries Err; an
// error of Load itself means that nothing is known.
func Load(tree fs.FS) (_ *Config, _ []Pair, err error) {
	data, err := fs.ReadFile(tree, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fault.Errorf(fault.Invalid, "%s is missing at the root of the repository; add one (docs/configuration.md shows what it says)", File)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read %s: %w", File, err)
	}
	c, err := Parse(File, data)
	if err != nil {
		return nil, nil, err
	}
	pairs, err := Discover(tree, c)
	return c, pairs, err
}

// Discover lists the (app, environment) pairs that a tree has under a
// configuration, by app and environment. The two may be of different branches: an
// environment can name its own.
func Discover(tree fs.FS, c *Config) ([]Pair, error) {
	var pairs []Pair
	for _, a := range slices.SortedStableFunc(slices.Values(c.Apps), namedFirst) {
		found, err := a.overlays(tree)
		if err != nil {
			return nil, fmt.Errorf("look for overlays: %w", err)
		}
		for _, p := range found {
			_, declared := c.Environment(p.Env)
			known := slices.ContainsFunc(pairs, func(q Pair) bool { return q.Path == p.Path })
			if declared && !known && p.read(tree, a) {
				pairs = append(pairs, p)
			}
		}
		if a.Name != "" && !slices.ContainsFunc(pairs, func(p Pair) bool { return p.App == a.Name }) {
			pairs = append(pairs, a.missing(c)...)
		}
	}
	slices.SortFunc(pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Env, b.Env), cmp.Compare(a.Path, b.Path))
	})
	refuseDoubles(pairs)
	return pairs, nil
}

// namedFirst lets a named app win over a pattern that finds the same directory.
func namedFirst(a, b App) int {
	switch {
	case a.Name != "" && b.Name == "":
		return -1
	case a.Name == "" && b.Name != "":
		return 1
	}
	return 0
}

// refuseDoubles marks pairs that have more than one overlay: nobody could say
// which one a promotion means.
func refuseDoubles(pairs []Pair) {
	for i := range pairs {
		for j := range pairs {
			if i != j && pairs[i].App == pairs[j].App && pairs[i].Env == pairs[j].Env {
				pairs[i].Err = fault.Errorf(fault.Invalid, "%s in %s has two overlays, %s and %s; keep one, or name the app under apps: in %s",
					pairs[i].App, pairs[i].Env, pairs[i].Path, pairs[j].Path, File)
			}
		}
	}
}

// missing are the pairs of a named app that has no overlay anywhere.
func (a App) missing(c *Config) []Pair {
	var pairs []Pair
	for _, e := range c.Environments {
		dir := strings.ReplaceAll(a.Path, "{env}", e.Name)
		pairs = append(pairs, Pair{App: a.Name, Env: e.Name, Path: dir, Images: a.Images,
			Err: fault.Errorf(fault.NotFound, "app %s has no overlay in %s; add one, or correct its path in %s", a.Name, dir, File)})
	}
	return pairs
}

// overlays lists the directories that match, without looking into them.
func (a App) overlays(tree fs.FS) ([]Pair, error) {
	pattern := cmp.Or(a.Discover, a.Path)
	pairs := []Pair{{App: a.Name, Path: "."}}
	for segment := range strings.SplitSeq(pattern, "/") {
		var next []Pair
		for _, p := range pairs {
			found, err := p.descend(tree, segment)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		pairs = next
	}
	return pairs, nil
}

// descend follows one segment of a pattern. A directory that is not there is no
// match; one that cannot be read is an error, never an absence (I6).
func (p Pair) descend(tree fs.FS, segment string) ([]Pair, error) {
	entries, err := fs.ReadDir(tree, p.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	expr := regexp.QuoteMeta(segment)
	expr = strings.Replace(expr, `\{app\}`, `(?P<app>[^/]+)`, 1)
	expr = strings.Replace(expr, `\{env\}`, `(?P<env>[^/]+)`, 1)
	match := regexp.MustCompile("^" + expr + "$")
	var found []Pair
	for _, e := range entries {
		m := match.FindStringSubmatch(e.Name())
		hidden := strings.HasPrefix(e.Name(), ".") || strings.HasPrefix(e.Name(), "_")
		if m == nil || !e.IsDir() || (hidden && e.Name() != segment) {
			continue
		}
		q := Pair{App: p.App, Env: p.Env, Path: path.Join(p.Path, e.Name())}
		if i := match.SubexpIndex("app"); i >= 0 {
			q.App = m[i]
		}
		if i := match.SubexpIndex("env"); i >= 0 {
			q.Env = m[i]
		}
		found = append(found, q)
	}
	return found, nil
}

// read looks into an overlay and reports whether it is one: a directory without
// a kustomization, or a discovered one that sets no image, is not.
func (p *Pair) read(tree fs.FS, a App) bool {
	var data []byte
	for _, name := range kustomizations {
		file := path.Join(p.Path, name)
		content, err := fs.ReadFile(tree, file)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			p.File, p.Err = file, fmt.Errorf("read %s: %w", file, err)
			return true
		case p.File != "":
			p.Err = fault.Errorf(fault.Invalid, "%s has both %s and %s; Kustomize accepts one", p.Path, path.Base(p.File), name)
			return true
		default:
			p.File, data = file, content
		}
	}
	if p.File == "" {
		return false
	}
	p.Images, p.Err = imagesOf(p.File, data)
	if p.Err == nil && wrongName(p.App) != "" {
		p.Err = fault.Errorf(fault.Invalid, "%s: app %s", p.Path, wrongName(p.App))
	}
	if len(a.Images) > 0 {
		p.Images = a.Images
	}
	return p.Err != nil || a.Name != "" || len(p.Images) > 0
}

// imagesOf reads the names of a kustomization's images. What exactly they pin,
// and whether the file can be edited, is for whoever edits it.
func imagesOf(file string, data []byte) ([]string, error) {
	if len(data) > maxKustomization {
		return nil, fault.Errorf(fault.Invalid, "%s:1: the file is larger than %d MiB; split it", file, maxKustomization>>20)
	}
	var k struct {
		Images []struct {
			Name    string `yaml:"name"`
			NewName string `yaml:"newName"`
		} `yaml:"images"`
	}
	if err := yaml.Unmarshal(data, &k); err != nil {
		return nil, unreadable(file, err)
	}
	var images []string
	for _, i := range k.Images {
		if name := cmp.Or(i.NewName, i.Name); name != "" && !slices.Contains(images, name) {
			images = append(images, name)
		}
	}
	return images, nil
}

// unreadable says what is wrong with a kustomization, without go-yaml's names of
// Go types.
func unreadable(file string, err error) error {
	r := &reader{file: file}
	types, ok := errors.AsType[*yaml.TypeError](err)
	if !ok {
		r.syntax(err)
		return invalid(r.problems)
	}
	line := 1
	for _, text := range types.Errors {
		if _, scanErr := fmt.Sscanf(text, "line %d:", &line); scanErr == nil {
			break
		}
	}
	r.report(line, "images: must be a list of {name, newName, newTag, digest}")
	return invalid(r.problems)
}
