package envrepo

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Pair is one app in one environment.
type Pair struct {
	App, Env      string
	Path          string            // the overlay's directory
	Overlays      map[string]string // by cluster, where the app's pattern has {cluster}
	File          string            // what carries the version: the kustomization, unless tagboat.yaml names another file
	Kustomization string            // the kustomization file in Path; "" when there is none
	Images        []string          // images that File sets: newName where given, else name
	Charts        []string          // the charts that move, where tagboat.yaml names them; Images is empty then
	Helm          *Helm             // what is rendered instead of Path, with nothing left to fill in
	Err           error             // why this pair cannot be promoted; Images may be empty then
}

// Moves are the names of what moves: the charts where tagboat.yaml names charts,
// else the images.
func (p Pair) Moves() []string {
	if len(p.Charts) > 0 {
		return p.Charts
	}
	return p.Images
}

// kustomizations are the names that Kustomize knows, in its order.
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// Load reads an env repo: its tagboat.yaml and every (app, environment) pair that
// it has, by app and environment. A pair that cannot be read carries Err; an
// error of Load itself means that nothing is known.
func Load(tree fs.FS) (*Config, []Pair, error) { return load(tree, &Memory{}) }

func load(tree fs.FS, m *Memory) (*Config, []Pair, error) {
	data, err := fs.ReadFile(tree, File)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, invalid([]*Problem{{File, 1, File + " is missing at the root of the repository; add one (docs/configuration.md shows what it says, tagboat init proposes one)"}})
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%s:1: read: %w", File, err)
	}
	c, err := Parse(File, data)
	if err != nil {
		return nil, nil, err
	}
	pairs, err := discover(tree, c, m)
	return c, pairs, err
}

// Discover lists the (app, environment) pairs that a tree has under a
// configuration, by app and environment. The two may be of different branches: an
// environment can name its own. Where a pattern has no {env}, because every
// environment has a branch of its own, each of them gets what the tree has; the
// caller knows whose branch the tree is of.
func Discover(tree fs.FS, c *Config) ([]Pair, error) { return discover(tree, c, &Memory{}) }

func discover(tree fs.FS, c *Config, m *Memory) ([]Pair, error) {
	d := newDiscovery(tree, c, m)
	for _, a := range slices.SortedStableFunc(slices.Values(c.Apps), namedFirst) {
		if err := d.look(a); err != nil {
			return nil, fmt.Errorf("%s:%d: look for what %s matches: %w", File, max(a.line, 1), a.pattern(), err)
		}
	}
	slices.SortFunc(d.pairs, func(a, b Pair) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Env, b.Env), cmp.Compare(a.Path, b.Path), cmp.Compare(a.File, b.File))
	})
	d.refuseUncovered()
	refuseDoubles(d.pairs)
	return d.pairs, nil
}

// namedFirst lets a named app win over a pattern that finds the same.
func namedFirst(a, b App) int {
	switch {
	case a.Name != "" && b.Name == "":
		return -1
	case a.Name == "" && b.Name != "":
		return 1
	}
	return 0
}

// discovery is one run of Discover.
type discovery struct {
	tree     fs.FS
	memory   *Memory
	config   *Config
	envs     map[string]Environment
	names    []string // of environments
	clusters []string
	named    map[[2]string]bool // app and environment that a named app has
	at       map[[2]string]int  // file and environment: position in pairs
	known    map[string]error   // what looking for a chart or values file came to
	pairs    []Pair
}

func newDiscovery(tree fs.FS, c *Config, m *Memory) *discovery {
	d := &discovery{tree: tree, memory: m, config: c, envs: map[string]Environment{},
		named: map[[2]string]bool{}, at: map[[2]string]int{}, known: map[string]error{}}
	for _, e := range c.Environments {
		d.envs[e.Name] = e
		d.names = append(d.names, e.Name)
		d.clusters = append(d.clusters, e.Clusters...)
	}
	slices.Sort(d.clusters)
	d.clusters = slices.Compact(d.clusters)
	return d
}

// look adds the pairs of one entry of apps:.
func (d *discovery) look(a App) error {
	p := compile(a.pattern(), d.names, d.clusters)
	places, err := p.find(d.tree)
	if err != nil {
		return err
	}
	found := 0
	for _, at := range places {
		at.app = cmp.Or(a.Name, at.app)
		envs := []string{at.env}
		if at.env == "" {
			envs = d.names
		}
		for _, env := range envs {
			at.env = env
			if at.cluster != "" && !slices.Contains(d.envs[env].Clusters, at.cluster) {
				continue
			}
			pair := a.pair(at, p.files)
			if !d.read(&pair, a) {
				continue
			}
			found++
			d.add(pair, a.Name != "")
		}
	}
	if a.Name != "" && found == 0 {
		d.pairs = append(d.pairs, a.missing(d.config)...)
	}
	return nil
}

// pair is what a place stands for, before anybody looked into it.
func (a App) pair(at place, file bool) Pair {
	p := Pair{App: at.app, Env: at.env, Path: at.path}
	in := func(text string) string { return fill(text, at.app, at.env, at.cluster) }
	if file {
		p.Path, p.File = path.Dir(at.path), at.path
	}
	if a.File != "" {
		p.File = in(a.File)
	}
	if at.cluster != "" {
		p.Overlays = map[string]string{at.cluster: p.Path}
	}
	if a.Helm == nil {
		return p
	}
	p.Helm = &Helm{Chart: in(a.Helm.Chart), Release: cmp.Or(in(a.Helm.Release), at.app), Namespace: in(a.Helm.Namespace)}
	for _, v := range a.Helm.Values {
		p.Helm.Values = append(p.Helm.Values, in(v))
	}
	if p.File == "" && len(p.Helm.Values) > 0 {
		p.File = p.Helm.Values[len(p.Helm.Values)-1]
	}
	return p
}

// add takes a pair in. One file is one pair in an environment, however many
// patterns find it; a named app comes first and may share its file with another
// named app, which moves another image.
func (d *discovery) add(p Pair, named bool) {
	here := [2]string{p.File, p.Env}
	i, known := d.at[here]
	switch {
	case known && p.Overlays != nil && d.pairs[i].App == p.App && d.pairs[i].Overlays != nil:
		for cluster, dir := range p.Overlays {
			d.pairs[i].Overlays[cluster] = dir
		}
		return
	case named:
		d.named[[2]string{p.App, p.Env}] = true
	case known || d.named[[2]string{p.App, p.Env}]:
		return
	}
	d.at[here] = len(d.pairs)
	d.pairs = append(d.pairs, p)
}

// refuseUncovered marks pairs that the pattern found for some of the clusters of
// their environment only: another cluster's overlay must never stand in.
func (d *discovery) refuseUncovered() {
	for i, p := range d.pairs {
		if p.Overlays == nil || p.Err != nil {
			continue
		}
		for _, cluster := range d.envs[p.Env].Clusters {
			own := slices.ContainsFunc(d.config.Clusters, func(c Cluster) bool { return c.Name == cluster && c.Path != "" })
			if p.Overlays[cluster] == "" && !own {
				d.pairs[i].Err = fault.Errorf(fault.Invalid, "%s:1: %s in %s has no overlay for cluster %s; add one, or take the cluster out of the environment in %s",
					p.File, p.App, p.Env, cluster, File)
				break
			}
		}
	}
}

// refuseDoubles marks pairs that have more than one overlay: nobody could say
// which one a promotion means. Pairs are sorted.
func refuseDoubles(pairs []Pair) {
	same := func(i, j int) bool { return pairs[i].App == pairs[j].App && pairs[i].Env == pairs[j].Env }
	for first := 0; first < len(pairs); {
		end := first + 1
		for end < len(pairs) && same(first, end) {
			end++
		}
		for i := first; i < end && end-first > 1; i++ {
			other := first
			if i == first {
				other = first + 1
			}
			pairs[i].Err = double(pairs[i], pairs[other])
		}
		first = end
	}
}

func double(p, q Pair) error {
	if p.Overlays != nil && q.Overlays != nil {
		return fault.Errorf(fault.Invalid, "%s:1: %s in %s has a version for each cluster, here and in %s; let one file carry it (file:), or make each cluster an environment of its own in %s",
			p.File, p.App, p.Env, q.File, File)
	}
	here, there := p.Path, q.Path
	if here == there {
		here, there = p.File, q.File
	}
	return fault.Errorf(fault.Invalid, "%s:1: %s in %s has two overlays, %s and %s; keep one, or name the app under apps: in %s",
		cmp.Or(p.File, p.Path), p.App, p.Env, here, there, File)
}

// missing are the pairs of a named app that has no overlay anywhere.
func (a App) missing(c *Config) []Pair {
	var pairs []Pair
	for _, e := range c.Environments {
		at := place{app: a.Name, env: e.Name, cluster: "{cluster}", path: fill(a.pattern(), a.Name, e.Name, "{cluster}")}
		p := a.pair(at, isFile(a.pattern()))
		p.Overlays, p.Images, p.Charts = nil, a.Images, a.Charts
		where := p.Path
		if p.File != "" {
			where = p.File
		}
		p.Err = fault.Errorf(fault.NotFound, "%s:%d: app %s has no overlay in %s; add one, or correct its path", File, max(a.line, 1), a.Name, where)
		pairs = append(pairs, p)
	}
	return pairs
}

// read looks into an overlay and reports whether it is one: a directory without
// a kustomization or without the file that should carry the version, or a
// discovered one that sets nothing that could move, is not.
func (d *discovery) read(p *Pair, a App) bool {
	if p.Kustomization, p.Err = kustomizationIn(d.tree, p.Path); p.Err != nil {
		p.File = cmp.Or(p.File, p.Kustomization)
		return true
	}
	p.File = cmp.Or(p.File, p.Kustomization)
	if p.File == "" {
		return false
	}
	has, wrong, err := d.memory.versions(d.tree, p.File)
	if errors.Is(err, fs.ErrNotExist) {
		return false
	}
	if err != nil {
		p.Err = fmt.Errorf("%s:1: read: %w", p.File, err)
		return true
	}
	if !p.names(a, has, wrong) {
		return false
	}
	if p.Err == nil && wrongName(p.App) != "" {
		p.Err = fault.Errorf(fault.Invalid, "%s:1: app %s", p.File, wrongName(p.App))
	}
	if p.Err == nil && p.Helm != nil {
		p.Err = d.chart(*p, a)
	}
	return true
}

// names fills in what moves, and reports whether anything can.
func (p *Pair) names(a App, has versions, wrong error) bool {
	if wrong != nil {
		p.Err, p.Images, p.Charts = wrong, a.Images, a.Charts
		return true
	}
	declared := len(a.Images)+len(a.Charts) > 0
	if !declared {
		p.Images = has.imageNames()
		return a.Name != "" || len(p.Images) > 0
	}
	if a.Name != "" {
		p.Images, p.Charts = a.Images, a.Charts
		return true
	}
	for _, name := range a.Images {
		if name = fill(name, p.App, "", ""); has.image(name) {
			p.Images = append(p.Images, name)
		}
	}
	for _, name := range a.Charts {
		if name = fill(name, p.App, "", ""); has.chart(name) {
			p.Charts = append(p.Charts, name)
		}
	}
	return len(p.Images)+len(p.Charts) > 0
}

// chart checks that what would be rendered is there.
func (d *discovery) chart(p Pair, a App) error {
	line := max(a.line, 1)
	if wrong := wrongRelease(p.Helm.Release); wrong != "" {
		return fault.Errorf(fault.Invalid, "%s:%d: %s in %s: %s; set helm.release", File, line, p.App, p.Env, wrong)
	}
	wanted := slices.Clone(p.Helm.Values)
	if !strings.HasPrefix(p.Helm.Chart, "oci://") {
		wanted = append(wanted, path.Join(p.Helm.Chart, "Chart.yaml"))
	}
	for _, file := range wanted {
		err, known := d.known[file]
		if !known {
			_, err = fs.Stat(d.tree, file)
			d.known[file] = err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return fault.Errorf(fault.Invalid, "%s:%d: %s in %s is rendered with %s, which is missing; add it, or correct helm:", File, line, p.App, p.Env, file)
		}
		if err != nil {
			return fmt.Errorf("%s:1: read: %w", file, err)
		}
	}
	return nil
}

// kustomizationIn is a directory's kustomization file; "" when it has none.
func kustomizationIn(tree fs.FS, dir string) (file string, err error) {
	for _, name := range kustomizations {
		candidate := path.Join(dir, name)
		switch err := stands(tree, candidate); {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return candidate, fmt.Errorf("%s:1: read: %w", candidate, err)
		case file != "":
			return file, fault.Errorf(fault.Invalid, "%s:1: %s has both %s and %s; Kustomize accepts one", file, dir, path.Base(file), name)
		default:
			file = candidate
		}
	}
	return file, nil
}

// stands is nil when there is something at a path.
func stands(tree fs.FS, name string) error {
	if named, ok := tree.(identified); ok {
		_, _, err := named.ID(name)
		return err
	}
	_, err := fs.Stat(tree, name)
	return err
}
