package envrepo

import (
	"path"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Source is what is rendered for a pair in one of its clusters: exactly one of a
// kustomization's directory (Dir alone), a file of objects (Manifest, in Dir), and
// a chart (Helm, for the overlay in Dir).
type Source struct {
	Dir, Manifest string
	Helm          *Helm // with nothing left to fill in
}

// Source is what is rendered for a pair in a cluster. Where a cluster has an overlay
// of its own, that is a kustomization, whatever the pair's version stands in.
func (c *Config) Source(p Pair, cluster string) Source {
	if p.Helm != nil {
		return Source{Dir: p.Path, Helm: p.Helm}
	}
	dir := c.OverlayFor(p, cluster)
	if p.Kustomization == "" && dir == p.Path { // plain objects, or an Argo CD Application
		return Source{Dir: path.Dir(p.File), Manifest: p.File}
	}
	return Source{Dir: dir}
}

// RefuseSeveral marks pairs of which nobody could say what a promotion moves: a
// pair has one pull request, and so one version. Discover leaves them be, so that
// a proposal can choose among what it finds.
func RefuseSeveral(pairs []Pair) {
	for i, p := range pairs {
		moves := p.Moves()
		if p.Err != nil || len(moves) < 2 {
			continue
		}
		what := "images"
		if len(p.Charts) > 0 {
			what = "charts"
		}
		pairs[i].Err = fault.Errorf(fault.Invalid, "%s:1: %s in %s sets several %s (%s). Say in %s which one Tagboat moves: apps: [{name: %s, path: …, %s: [%s]}].",
			p.File, p.App, p.Env, what, strings.Join(moves, ", "), File, p.App, what, moves[0])
	}
}
