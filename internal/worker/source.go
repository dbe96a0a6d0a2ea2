package worker

import (
	"fmt"
	"path"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// sourceFor is what is rendered for a pair in one of its clusters.
func sourceFor(c *envrepo.Config, p envrepo.Pair, cluster string) render.Source {
	if h := p.Helm; h != nil {
		return render.Source{Dir: p.Path, Helm: &render.Helm{Chart: h.Chart, Release: h.Release, Namespace: h.Namespace, Values: h.Values}}
	}
	dir := c.OverlayFor(p, cluster)
	if p.Kustomization == "" && dir == p.Path { // plain objects, or an Argo CD Application
		return render.Source{Dir: path.Dir(p.File), Manifest: p.File}
	}
	return render.Source{Dir: dir}
}

// renderScope tells one env repo's renderings from another's.
func renderScope(r store.Repo) string { return fmt.Sprint(r.ID) }
