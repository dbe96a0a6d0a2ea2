package envrepo

import (
	"cmp"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Proposal is a tagboat.yaml that somebody should read before it is used.
type Proposal struct {
	YAML   []byte   // with what is unsure as comments
	Config *Config  // what Parse makes of YAML
	Pairs  []Pair   // what Discover finds with it
	Notes  []string // what is unsure, one sentence each, as in the comments
}

// Propose reads any checkout and proposes a tagboat.yaml for it. It reads names
// and guesses as little as it can: what no pattern explains, and every choice that
// a person might make otherwise, is in Notes. NotFound when the tree has nothing
// that Tagboat could move.
func Propose(tree fs.FS) (_ Proposal, err error) {
	s, err := look(tree)
	if err != nil {
		return Proposal{}, err
	}
	p := &proposal{survey: s, notes: s.notes, homes: map[string]home{}, named: map[string]int{}, said: map[note]bool{}}
	p.arrange()
	if len(p.entries) == 0 {
		return Proposal{}, fault.Errorf(fault.NotFound, "%s:1: there is nothing to propose: %d files hold no kustomization with images:, no Helm values with an image and its tag, and no manifest with image: NAME:TAG. "+
			"Run it at the root of the repository that says what runs where, or write %s by hand (docs/configuration.md)", File, s.visited, File)
	}
	p.charted()
	for i := range p.entries {
		p.rendered(&p.entries[i])
	}
	p.order()
	p.perCluster()
	for range 2 { // what the first try finds settles which image each app moves
		config, err := Parse(File, p.yaml())
		if err != nil {
			return Proposal{}, fault.E(fault.Broken, "the proposal is not valid, which is a defect of tagboat init: "+err.Error(), err)
		}
		if p.pairs, err = Discover(tree, config); err != nil {
			return Proposal{}, err
		}
		p.config = config
		if !p.settle() {
			break
		}
	}
	p.doubt()
	text := p.yaml()
	if p.config, err = Parse(File, text); err != nil {
		return Proposal{}, fault.E(fault.Broken, "the proposal is not valid, which is a defect of tagboat init: "+err.Error(), err)
	}
	if p.pairs, err = Discover(tree, p.config); err != nil {
		return Proposal{}, err
	}
	return Proposal{YAML: text, Config: p.config, Pairs: p.pairs, Notes: p.sentences()}, nil
}

// proposal is one run of Propose.
type proposal struct {
	*survey
	entries []entry         // of apps:
	named   map[string]int  // named apps, by position in entries
	homes   map[string]home // what explains a carrier, by file
	envs    []Environment
	cluster []Cluster
	notes   []note
	said    map[note]bool
	pairs   []Pair
	config  *Config
}

// entry is an element of apps: with the carriers that it explains.
type entry struct {
	App
	members []member
	split   bool // every app of it became an entry of its own
}

// home is where a carrier found its explanation.
type home struct {
	entry int
	member
}

// arrange turns carriers into entries of apps:, images first. Charts count where
// no image does.
func (p *proposal) arrange() {
	slices.SortStableFunc(p.carriers, func(a, b carrier) int { return cmp.Compare(min(1, len(b.images)), min(1, len(a.images))) })
	images := slices.IndexFunc(p.carriers, func(c carrier) bool { return len(c.images) == 0 })
	if images < 0 {
		images = len(p.carriers)
	}
	taken := map[[2]string]string{} // app and environment -> file
	for _, part := range []struct{ from, to int }{{0, images}, {images, len(p.carriers)}} {
		found, left := families(p.carriers[part.from:part.to])
		for _, f := range found {
			for i := range f.members {
				f.members[i].carrier += part.from
			}
			p.take(f, taken)
		}
		for _, i := range left {
			p.unexplained(p.carriers[part.from+i])
		}
	}
	if len(p.entries) == 0 {
		p.withoutStages()
	}
	if len(p.entries) == 0 {
		p.withoutVersions()
	}
}

// take makes entries of a family: its pattern if it can, else its apps by name.
func (p *proposal) take(f family, taken map[[2]string]string) {
	var free []member
	first := map[string]string{} // app with two versions in an environment -> file of the first
	for _, m := range f.members {
		pair, file := [2]string{m.app, m.env}, p.carriers[m.carrier].file
		if other := taken[pair]; other != "" && m.app != "" {
			p.note("double", "%s in %s has a version in %s and another in %s; only the first is moved", m.app, m.env, other, file)
			first[m.app] = other
			continue
		}
		free = append(free, m)
		if m.app != "" {
			taken[pair] = file
		}
	}
	switch {
	case len(free) == 0:
	case free[0].app == "":
		p.takeNameless(f, free, taken)
	case (len(free) > 1 || len(p.carriers) == 1) && p.keepFirst(first):
		p.add(entry{App: App{Discover: f.pattern}, members: free})
	default:
		apps, byApp := grouped(free)
		for _, app := range apps {
			// The name would find its other version too.
			if _, twice := first[app]; twice || p.hasNamed(app) || len(p.named) >= maxNamed {
				p.unexplainedAll(byApp[app])
				continue
			}
			p.addNamed(app, fill(f.pattern, app, "{env}", "{cluster}"), byApp[app])
		}
	}
}

// keepFirst names the apps that have two versions in an environment by the
// pattern of the first, because a named app wins over what a pattern finds. It
// does nothing and reports false when that cannot be said.
func (p *proposal) keepFirst(first map[string]string) bool {
	for app, file := range first {
		at := p.homes[file]
		if e := p.entries[at.entry]; e.Discover == "" && e.Name != app || e.Discover != "" && p.hasNamed(app) {
			return false
		}
	}
	if len(p.named)+len(first) > maxNamed {
		return false
	}
	for _, app := range slices.Sorted(maps.Keys(first)) {
		e := p.entries[p.homes[first[app]].entry]
		if e.Discover != "" {
			_, byApp := grouped(e.members)
			p.addNamed(app, fill(e.Discover, app, "{env}", "{cluster}"), byApp[app])
		}
	}
	return true
}

// takeNameless takes a family in which no directory names the app.
func (p *proposal) takeNameless(f family, members []member, taken map[[2]string]string) {
	name := p.nameless(f, members)
	lone := len(members) == 1 && len(p.carriers) > 1
	if name == "" || lone || p.hasNamed(name) {
		p.unexplainedAll(members)
		return
	}
	for i := range members {
		members[i].app = name
		taken[[2]string{name, members[i].env}] = p.carriers[members[i].carrier].file
	}
	p.addNamed(name, f.pattern, members)
}

// grouped are members by app, and the apps in order.
func grouped(members []member) (apps []string, byApp map[string][]member) {
	byApp = map[string][]member{}
	for _, m := range members {
		if byApp[m.app] == nil {
			apps = append(apps, m.app)
		}
		byApp[m.app] = append(byApp[m.app], m)
	}
	return apps, byApp
}

// maxNamed is how many apps a person would read one by one.
const maxNamed = 60

func (p *proposal) hasNamed(app string) bool { _, ok := p.named[app]; return ok }

func (p *proposal) add(e entry) {
	for _, m := range e.members {
		p.homes[p.carriers[m.carrier].file] = home{len(p.entries), m}
	}
	p.entries = append(p.entries, e)
}

// addNamed adds an app by name. A pattern that ends in .yaml is of files.
func (p *proposal) addNamed(app, pattern string, members []member) {
	a := App{Name: app, Path: pattern}
	if isFile(pattern) {
		a = App{Name: app, File: pattern}
	}
	p.named[app] = len(p.entries)
	p.add(entry{App: a, members: members})
}

// nameless is a name for an app that no directory names: the directory that holds
// its environments, else the image that all of them run.
func (p *proposal) nameless(f family, members []member) string {
	prefix, _, _ := strings.Cut(f.pattern, "{env}")
	for dir := path.Clean(path.Dir(prefix + "x")); dir != "."; dir = path.Dir(dir) {
		if base := path.Base(dir); !generic(base) && wrongName(base) == "" {
			return base
		}
	}
	names := p.carriers[members[0].carrier].imageNames()
	if len(names) == 0 {
		for _, c := range p.carriers[members[0].carrier].charts {
			names = append(names, c.name)
		}
	}
	for _, name := range names {
		if base := path.Base(name); wrongName(base) == "" {
			return base
		}
	}
	return ""
}

func (p *proposal) unexplainedAll(members []member) {
	for _, m := range members {
		p.unexplained(p.carriers[m.carrier])
	}
}

// unexplained notes a carrier that no entry finds. A base is meant to be none, and
// its manifests often say a version that no environment keeps.
func (p *proposal) unexplained(c carrier) {
	for segment := range strings.SplitSeq(c.place(), "/") {
		if segment != "base" && segment != "bases" && segment != "common" {
			continue
		}
		if c.kustomization() {
			p.note("base", "%s sets a version for every environment that builds on it; an overlay that sets its own can be promoted", c.file)
		}
		return
	}
	p.note("left", "no pattern explains %s, so Tagboat will not move what it sets", c.file)
}

// withoutStages proposes for a tree in which no path names an environment: it may
// hold one environment, or one on each branch.
func (p *proposal) withoutStages() {
	p.notes = slices.DeleteFunc(p.notes, func(n note) bool { return n.kind == "left" || n.kind == "base" })
	holders := map[string][]member{}
	for i, c := range p.carriers {
		segments := strings.Split(c.place(), "/")
		last := len(segments) - 1
		if !c.kustomization() && last > 0 {
			last--
		}
		app := segments[last]
		if strings.ContainsAny(c.place(), "{}") || generic(app) || wrongName(app) != "" || c.place() == "." {
			p.unexplained(c)
			continue
		}
		segments[last] = "{app}"
		pattern := strings.Join(segments, "/")
		holders[pattern] = append(holders[pattern], member{i, reading{pattern: pattern, app: app, env: "production", stage: stageProduction}})
	}
	for _, pattern := range slices.Sorted(maps.Keys(holders)) {
		p.take(family{pattern, holders[pattern]}, map[[2]string]string{})
	}
	if len(p.entries) > 0 {
		p.note("stages", "no path names an environment. If each environment has a branch of its own, list them under environments:, each with its branch:; if this is the only one, give it its name")
	}
}

// withoutVersions proposes for a tree whose overlays set no image yet.
func (p *proposal) withoutVersions() {
	bare := slices.DeleteFunc(slices.Clone(p.bare), func(c carrier) bool { return len(readings(c.place(), false)) == 0 })
	found, _ := families(bare)
	p.notes = slices.DeleteFunc(p.notes, func(n note) bool { return n.kind == "left" })
	p.carriers = bare
	for _, f := range found {
		if f.members[0].app != "" {
			p.add(entry{App: App{Discover: f.pattern}, members: f.members})
		}
	}
	if len(p.entries) > 0 {
		p.note("bare", "no overlay sets an image yet; add images: [{name, newTag}] to the kustomization of each, and Tagboat finds them")
	}
}
