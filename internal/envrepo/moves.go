package envrepo

import (
	"cmp"
	"path"
	"slices"
	"strings"
)

// charted names the charts of entries whose files pin no image: with a pattern
// where the app's name is the chart's, or where all have the same; else app by app.
func (p *proposal) charted() {
	for i := range len(p.entries) { // apps that are split off come later and are done
		e := &p.entries[i]
		if len(p.carriers[e.members[0].carrier].images) > 0 || len(p.carriers[e.members[0].carrier].charts) == 0 {
			continue
		}
		names := func(m member) []string {
			var names []string
			for _, c := range p.carriers[m.carrier].charts {
				names = append(names, c.name)
			}
			return names
		}
		if common := shares(e.members, names, e.Discover != ""); common != "" {
			e.Charts = []string{common}
			continue
		}
		p.choose(i, names, func(a *App, name string) { a.Charts = []string{name} })
	}
}

// settle says which image moves where a file sets several, and reports whether it
// changed anything.
func (p *proposal) settle() bool {
	several := map[int]bool{}
	images := map[string][]string{} // by file
	for _, pair := range p.pairs {
		home, ok := p.homes[pair.File]
		images[pair.File] = pair.Images
		if ok && len(pair.Images) > 1 {
			several[home.entry] = true
		}
	}
	if len(several) == 0 {
		return false
	}
	names := func(m member) []string { return images[p.carriers[m.carrier].file] }
	for i := range len(p.entries) {
		e := &p.entries[i]
		if !several[i] || len(e.Images) > 0 {
			continue
		}
		if common := shares(e.members, names, e.Discover != ""); common != "" {
			e.Images = []string{common}
			continue
		}
		p.choose(i, names, func(a *App, name string) { a.Images = []string{name} })
	}
	return true
}

// shares is the one name that all members have, written with {app} where it ends
// in the app's name; "" when there is none.
func shares(members []member, names func(member) []string, discovered bool) string {
	var common []string
	for i, m := range members {
		var mine []string
		for _, name := range names(m) {
			if dir, base := path.Split(name); discovered && base == m.app {
				mine = append(mine, dir+"{app}")
			}
			if !discovered && path.Base(name) == m.app {
				mine = append(mine, name)
			}
		}
		if i == 0 {
			common = mine
		}
		common = slices.DeleteFunc(common, func(n string) bool { return !slices.Contains(mine, n) })
	}
	if len(common) > 0 {
		return common[0]
	}
	return ""
}

// choose names the apps of an entry that need a choice, and makes it: what is
// called like the app, else the first.
func (p *proposal) choose(i int, names func(member) []string, set func(*App, string)) {
	e := p.entries[i]
	apps, byApp := grouped(e.members)
	split := 0
	for _, app := range apps {
		first := byApp[app][0]
		candidates := names(first)
		if len(candidates) == 0 || len(candidates) == 1 && len(e.Charts) == 0 && len(p.carriers[first.carrier].images) == 1 {
			continue
		}
		best := candidates[slices.IndexFunc(candidates, func(n string) bool { return likeness(n, app) == bestLikeness(candidates, app) })]
		if own := e.Name == app || !p.hasNamed(app) && len(p.named) < maxNamed; own && len(candidates) > 1 {
			p.note("several", "%s sets several (%s); %s is proposed as what moves", p.carriers[first.carrier].file, strings.Join(candidates, ", "), best)
		}
		switch {
		case e.Name == app:
			set(&p.entries[i].App, best)
		case p.hasNamed(app) || len(p.named) >= maxNamed:
			p.note("unnamed", "%s sets several (%s), and no entry of its own says which one moves", p.carriers[first.carrier].file, strings.Join(candidates, ", "))
		default:
			p.addNamed(app, fill(e.pattern(), app, "{env}", "{cluster}"), byApp[app])
			a := &p.entries[len(p.entries)-1].App
			a.Helm = e.Helm
			set(a, best)
			split++
		}
	}
	p.entries[i].split = split == len(apps)
}

// likeness is how much an image's name says that it is the app's.
func likeness(name, app string) int {
	base := path.Base(name)
	switch {
	case base == app:
		return 3
	case strings.Contains(base, app) || strings.Contains(app, base):
		return 2
	case strings.Contains(name, app):
		return 1
	}
	return 0
}

func bestLikeness(names []string, app string) int {
	best := 0
	for _, n := range names {
		best = max(best, likeness(n, app))
	}
	return best
}

// rendered says what an entry's pairs are rendered from, where its files are
// neither a kustomization nor beside one.
func (p *proposal) rendered(e *entry) {
	pattern := e.pattern()
	if !isFile(pattern) || e.split {
		return
	}
	values, built := 0, 0
	for _, m := range e.members {
		c := p.carriers[m.carrier]
		if p.kustomizations[c.dir] != "" {
			built++
		} else if !c.manifest {
			values++
		}
	}
	switch {
	case built == len(e.members):
		return
	case values < len(e.members):
		p.note("plain", "no kustomization lists the manifests that %s finds; each file is rendered as it stands, that file alone, and other files beside it are not applied. Add a kustomization.yaml that lists them if they belong together", pattern)
		return
	}
	chart, certain := p.chartFor(e.members, path.Dir(pattern))
	if chart == "" {
		p.note("chart", "no chart was found for the values that %s finds; say which one renders them: helm: {chart: …, values: […]}", pattern)
		return
	}
	if !certain {
		p.note("chart", "%s is the only chart here; it is proposed for all that %s finds", chart, pattern)
	}
	e.Helm = &Helm{Chart: chart}
	if path.Base(pattern) == "Chart.yaml" {
		p.note("umbrella", "%s renders only if what it depends on stands in its charts/ directory (helm dependency build)", pattern)
		return
	}
	for _, name := range []string{"values.yaml", "common.yaml", "values-common.yaml", "values-base.yaml"} {
		beside := path.Join(path.Dir(pattern), name)
		if beside == pattern || path.Dir(beside) == chart && name == "values.yaml" { // a chart's own values need no mention
			continue
		}
		if !slices.ContainsFunc(e.members, func(m member) bool { return !p.known[m.fill(beside)] }) {
			e.Helm.Values = append(e.Helm.Values, beside)
			p.note("values", "%s is read before the values of the environment; correct the order, or add files that are missing", beside)
		}
	}
	e.Helm.Values = append(e.Helm.Values, pattern)
	for _, m := range e.members {
		if wrongRelease(m.app) != "" {
			p.note("release", "%s is not a name of a Helm release; give it a helm.release", m.app)
		}
	}
}

// fill puts the names of a member into a path.
func (m member) fill(text string) string { return fill(text, m.app, m.env, m.cluster) }

// chartFor is the directory of the chart that all members are rendered with: that
// of their values or above it, one named like the app, or the only one.
func (p *proposal) chartFor(members []member, dir string) (chart string, certain bool) {
	all := func(pattern string) bool {
		return !slices.ContainsFunc(members, func(m member) bool { return !p.charts[m.fill(pattern)] })
	}
	for at := dir; ; at = path.Dir(at) {
		for _, below := range []string{".", "chart"} {
			if all(path.Join(at, below)) {
				return path.Join(at, below), true
			}
		}
		if at == "." {
			break
		}
	}
	var dirs []string
	for d := range p.charts {
		dirs = append(dirs, d)
	}
	slices.SortFunc(dirs, func(a, b string) int { return cmp.Or(len(a)-len(b), cmp.Compare(a, b)) })
	for _, d := range dirs {
		if path.Base(d) == members[0].app {
			if pattern := path.Join(path.Dir(d), "{app}"); all(pattern) {
				return pattern, true
			}
		}
	}
	if len(dirs) == 1 && !strings.ContainsAny(dirs[0], "{}") {
		return dirs[0], false
	}
	return "", false
}
