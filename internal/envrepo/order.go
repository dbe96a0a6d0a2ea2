package envrepo

import (
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// order proposes environments as versions move through them. The first takes new
// versions by itself, the next ones what was healthy before; production waits for
// a person and an approval.
func (p *proposal) order() {
	apps := map[string]map[string]bool{}
	clusters := map[string][]string{}
	stages := map[string]stage{}
	for _, e := range p.entries {
		for _, m := range e.members {
			if apps[m.env] == nil {
				apps[m.env] = map[string]bool{}
			}
			apps[m.env][m.app] = true
			stages[m.env] = max(stages[m.env], m.stage)
			if m.cluster != "" && !slices.Contains(clusters[m.env], m.cluster) {
				clusters[m.env] = append(clusters[m.env], m.cluster)
			}
		}
	}
	for _, name := range inOrder(stages) {
		e := Environment{Name: name, Clusters: clusters[name]}
		if e.Clusters == nil {
			e.Clusters = []string{name}
		}
		before := previous(name, stages, apps)
		if before != "" {
			e.Needs = []Need{{Env: before}}
			for _, app := range slices.Sorted(maps.Keys(apps[name])) {
				if !apps[before][app] {
					p.note("needs", "%s has no overlay in %s, which %s needs; without one it cannot move", app, before, name)
				}
			}
		}
		switch {
		case stages[name] == stageUnknown:
			e.Approvals = Approvals{{Count: 1}}
			p.note("order", "the name %s does not say where it stands between development and production; give it its place, with needs and follow", name)
		case stages[name].cautious():
			e.Approvals = Approvals{{Count: 1}}
			if before == "" && len(stages) > 1 {
				p.note("order", "no environment before %s has an app of it, so it needs none", name)
			}
		case before == "":
			e.Follow = &Follow{Semver: ">=0.0.0-0"}
			p.versioned(name)
		default:
			e.Follow = &Follow{Env: before}
		}
		e.Refs = p.follows(name)
		p.envs = append(p.envs, e)
	}
}

// previous is the environment that one waits for: the last one before it that has
// at least half of its apps, else the one that has most of them.
func previous(name string, stages map[string]stage, apps map[string]map[string]bool) string {
	best, bestCommon := "", 0
	for _, other := range inOrder(stages) {
		if stages[other] == stageUnknown || stages[other] >= stages[name] {
			continue
		}
		common := 0
		for app := range apps[name] {
			if apps[other][app] {
				common++
			}
		}
		half := (len(apps[name]) + 1) / 2
		nearer := best == "" || stages[other] > stages[best]
		if common > 0 && (common > bestCommon || nearer && common >= half) {
			best, bestCommon = other, common
		}
	}
	return best
}

// versioned notes an environment whose tags a semver constraint never takes.
func (p *proposal) versioned(env string) {
	for _, m := range p.membersIn(env) {
		for _, i := range p.carriers[m.carrier].images {
			if _, err := semver.StrictNewVersion(strings.TrimPrefix(i.tag, "v")); err != nil && i.tag != "" {
				p.note("semver", "%s follows semantic versions, and %s is at %q, which is none; such tags move by the comment /promote %s", env, i.name, oneLine(i.tag), env)
				return
			}
		}
	}
}

// follows reports whether remote bases of an environment are at the tag of an
// image beside them, so that both should move.
func (p *proposal) follows(env string) bool {
	together := false
	for _, m := range p.membersIn(env) {
		c := p.carriers[m.carrier]
		for _, r := range c.refs {
			if slices.ContainsFunc(c.images, func(i version) bool { return i.tag == r.tag }) {
				together = true
			} else {
				p.note("remote", "%s builds on %s at %s, which no image beside it shares; Tagboat leaves it there", c.file, r.name, r.tag)
			}
		}
	}
	if together {
		p.note("refs", "remote bases in %s are at the same revision as an image and are proposed to follow it (refs: true)", env)
	}
	return together
}

func (p *proposal) membersIn(env string) []member {
	var in []member
	for _, e := range p.entries {
		for _, m := range e.members {
			if m.env == env {
				in = append(in, m)
			}
		}
	}
	return in
}

// perCluster finds overlays of single clusters below those that carry the
// version: apps/payments/overlays/prod/eu. They count where all apps of the
// environment have them.
func (p *proposal) perCluster() {
	below := map[string][]string{} // directory of an overlay -> names below it
	for _, c := range p.bare {
		if over := path.Dir(c.dir); c.dir != "." && !slices.Contains(below[over], path.Base(c.dir)) {
			below[over] = append(below[over], path.Base(c.dir))
		}
	}
	for i := range p.envs {
		e := &p.envs[i]
		pattern, names := "", []string(nil)
		same := true
		for _, entry := range p.entries {
			for _, m := range entry.members {
				if m.env != e.Name {
					continue
				}
				mine := slices.Sorted(slices.Values(below[p.carriers[m.carrier].dir]))
				switch {
				case pattern == "":
					pattern, names = entry.Discover, mine
				case pattern != entry.Discover || !slices.Equal(names, mine):
					same = false
				}
				if len(mine) > 0 && (entry.Discover == "" || isFile(entry.Discover)) {
					same = false
				}
				for _, name := range mine {
					p.note("cluster "+e.Name, "%s/%s builds on the overlay of %s", p.carriers[m.carrier].dir, name, e.Name)
				}
			}
		}
		if !same || len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return generic(n) || wrongName(e.Name+"-"+n) != "" }) {
			continue
		}
		p.notes = slices.DeleteFunc(p.notes, func(n note) bool { return n.kind == "cluster "+e.Name })
		p.note("clusters of "+e.Name, "the directories below the overlays of %s (%s) are taken for clusters; write the names that the server knows them by", e.Name, strings.Join(names, ", "))
		e.Clusters = nil
		for _, n := range names {
			name := e.Name + "-" + n
			e.Clusters = append(e.Clusters, name)
			p.cluster = append(p.cluster, Cluster{Name: name, Path: path.Join(pattern, n)})
		}
	}
	for _, e := range p.envs {
		if slices.Equal(e.Clusters, []string{e.Name}) {
			p.note("clusters", "clusters are called like their environments; write the names that the server knows them by (--cluster)")
		}
	}
}

// doubt notes what the proposal leaves open, as a server would find it.
func (p *proposal) doubt() {
	for _, pair := range p.pairs {
		if pair.Err != nil {
			p.note("error", "%v", pair.Err)
		} else if len(pair.Images) > 1 {
			p.note("several", "%s sets several images (%s); name the one that moves", pair.File, strings.Join(pair.Images, ", "))
		}
	}
	patterns := map[string]bool{}
	for _, e := range p.entries {
		patterns[e.pattern()] = true
	}
	for _, c := range p.bare {
		for _, r := range readings(c.place(), false) {
			if patterns[r.pattern] {
				p.note("imageless", "%s sets no image of its own, so nothing can be promoted there; add images: to it", c.file)
				break
			}
		}
	}
}
