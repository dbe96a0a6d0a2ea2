package envrepo

import (
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"
)

// Directories that say what stands below them, and so are neither an app nor an
// environment themselves.
var (
	holdsApps = set("apps app applications services service components charts helm workloads releases projects")
	holdsEnvs = set("overlays overlay envs env environments environment stages stage variants")
	holdsOnes = set("clusters cluster regions region")
	holdsMore = set("base bases common shared default defaults k8s kubernetes kustomize deploy deployment deployments manifest manifests gitops infra infrastructure argo argocd flux config configs values resources templates src lib kustomization")
)

func set(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}

func generic(name string) bool {
	return holdsApps[name] || holdsEnvs[name] || holdsOnes[name] || holdsMore[name]
}

// reading is one way to read a path as a pattern; of several the least forced
// comes first.
type reading struct {
	pattern           string
	app, env, cluster string // "" where the pattern does not say
	stage             stage  // of the environment, by its name or by where it stands
	forced            int
}

// spot is the part of one segment that is read as an environment.
type spot struct {
	segment         int
	pre, name, post string
	forced          int
	stage           stage // by where it stands; unknown where only the name could say it
}

// readings are the ways to read a path: every environment that it may name, with
// every app and cluster that the rest may name.
func readings(p string, file bool) []reading {
	if strings.ContainsAny(p, "{}") {
		return nil
	}
	segments := strings.Split(p, "/")
	if len(segments) > 12 {
		return nil
	}
	var all []reading
	for _, e := range environmentsIn(segments, file) {
		if wrongName(e.name) != "" {
			continue
		}
		all = append(all, e.readings(segments, file)...)
	}
	return all
}

// stem is a segment without the extension of a file.
func stem(segments []string, i int, file bool) (name, ext string) {
	name = segments[i]
	if file && i == len(segments)-1 {
		ext = path.Ext(name)
		name = strings.TrimSuffix(name, ext)
	}
	return name, ext
}

// environmentsIn are the spots that name an environment: by a usual name, by
// standing in overlays/ or envs/, or by having a usual name as one of their words.
func environmentsIn(segments []string, file bool) []spot {
	var spots []spot
	for i := range segments {
		name, ext := stem(segments, i, file)
		below := i > 0 && holdsEnvs[segments[i-1]]
		from, to, st := stageIn(name)
		switch {
		case stageNames[name] != stageUnknown:
			spots = append(spots, spot{segment: i, name: name, post: ext})
		case below && ext == "" && !generic(name):
			spots = append(spots, spot{segment: i, name: name, forced: 1})
		case st != stageUnknown && ext != "": // values-prod-eu.yaml, payments.prod.yaml
			spots = append(spots, spot{segment: i, pre: name[:from], name: name[from:], post: ext, forced: 1})
		case st != stageUnknown: // prod-eu, or payments-prod
			spots = append(spots, spot{segment: i, name: name, forced: 2})
			if from > 0 && to == len(name) {
				spots = append(spots, spot{segment: i, pre: name[:from], name: name[from:], forced: 3})
			}
		case i >= 3 && i == len(segments)-1 && ext == "" && holdsApps[segments[i-3]] && !generic(name):
			// components/ui/production/eu: a cluster of production, which is a stage of its own.
			if st := stageNames[segments[i-1]]; st != stageUnknown {
				spots = append(spots, spot{segment: i, name: name, forced: 4, stage: st})
			}
		}
	}
	if len(spots) > 0 {
		return spots
	}
	for i := 1; i < len(segments); i++ {
		if name, ext := stem(segments, i, file); holdsOnes[segments[i-1]] && ext == "" && !generic(name) {
			spots = append(spots, spot{segment: i, name: name, forced: 3})
		}
	}
	return spots
}

// readings are the ways to read the rest of a path once its environment is known.
func (e spot) readings(segments []string, file bool) []reading {
	build := func(app, cluster int) reading {
		r := reading{env: e.name, forced: e.forced, stage: max(e.stage, stageOf(e.name))}
		parts := slices.Clone(segments)
		parts[e.segment] = e.pre + "{env}" + e.post
		if app >= 0 {
			name, ext := stem(segments, app, file)
			r.app, parts[app] = name, "{app}"+ext
			if app == 0 || !holdsApps[segments[app-1]] {
				r.forced++
			}
			if stageOf(name) != stageUnknown { // an app called integration
				r.forced += 3
			}
		}
		if cluster >= 0 {
			r.cluster, parts[cluster] = segments[cluster], "{cluster}"
		}
		r.pattern = strings.Join(parts, "/")
		return r
	}
	var all []reading
	inside := false // an app's directory that holds the environment: apps/payments/overlays/prod
	for app := range segments {
		name, _ := stem(segments, app, file)
		if inside && app > e.segment {
			break
		}
		if app == e.segment || generic(name) || wrongName(name) != "" || app > 0 && holdsOnes[segments[app-1]] {
			continue
		}
		inside = inside || app > 0 && app < e.segment && holdsApps[segments[app-1]]
		all = append(all, build(app, -1))
		for cluster := 1; cluster < len(segments); cluster++ {
			if cluster != app && cluster != e.segment && holdsOnes[segments[cluster-1]] && wrongName(segments[cluster]) == "" {
				all = append(all, build(app, cluster))
			}
		}
	}
	if len(all) > 0 {
		return all
	}
	r := build(-1, -1)
	r.forced += 3
	if app := strings.TrimRight(e.pre, "-_."); app != "" && !generic(app) && wrongName(app) == "" {
		r.app = app
		r.forced -= 3
		r.pattern = strings.Replace(r.pattern, e.pre+"{env}", "{app}"+e.pre[len(app):]+"{env}", 1)
	}
	return []reading{r}
}

// family is the carriers that one pattern explains.
type family struct {
	pattern string
	members []member
}

type member struct {
	carrier int
	reading
}

// families groups carriers by the patterns that could explain them, and then
// takes the pattern that explains most of what is left, until nothing is. What
// stays unexplained is returned too.
func families(carriers []carrier) (chosen []family, left []int) {
	groups := map[string]*family{}
	for i, c := range carriers {
		for _, r := range readings(c.place(), !c.kustomization()) {
			// Directories and files are never of one pattern: a file's ends in .yaml.
			g := groups[r.pattern]
			if g == nil {
				g = &family{pattern: r.pattern}
				groups[r.pattern] = g
			}
			g.members = append(g.members, member{i, r})
		}
	}
	maps.DeleteFunc(groups, func(_ string, g *family) bool { return g.ambiguous() })
	explained := make([]bool, len(carriers))
	for len(chosen) < maxPatterns {
		best := pick(groups, explained)
		if best == nil {
			break
		}
		chosen = append(chosen, *best)
		for _, m := range best.members {
			explained[m.carrier] = true
		}
		delete(groups, best.pattern)
	}
	for i := range carriers {
		if !explained[i] {
			left = append(left, i)
		}
	}
	return chosen, left
}

// maxPatterns is how many patterns a person would read.
const maxPatterns = 40

// pick is the family with the most members that nothing explains yet, reduced to
// those; of equals, the least forced.
func pick(groups map[string]*family, explained []bool) *family {
	var best *family
	for pattern, g := range groups {
		g.members = slices.DeleteFunc(g.members, func(m member) bool { return explained[m.carrier] })
		if len(g.members) == 0 {
			delete(groups, pattern)
		} else if best == nil || g.better(best) {
			best = g
		}
	}
	return best
}

func (f *family) better(g *family) bool {
	return cmp.Or(
		len(g.members)-len(f.members),
		f.members[0].forced-g.members[0].forced,
		len(f.pattern)-len(g.pattern),
		cmp.Compare(f.pattern, g.pattern)) < 0
}

// ambiguous reports whether the pattern would give a pair two versions, or an
// environment apps on different clusters.
func (f *family) ambiguous() bool {
	pairs, clusters := map[[2]string]bool{}, map[string]string{}
	for _, m := range f.members {
		pair := [2]string{m.app, m.env}
		other, known := clusters[m.env]
		if pairs[pair] || known && other != m.cluster {
			return true
		}
		pairs[pair], clusters[m.env] = true, m.cluster
	}
	return false
}
