package worker

import (
	"fmt"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// sourceFor is what is rendered for a pair in one of its clusters.
func sourceFor(c *envrepo.Config, p envrepo.Pair, cluster string) render.Source {
	if h := p.Helm; h != nil {
		return render.Source{Dir: p.Path, Helm: &render.Helm{Chart: h.Chart, Release: h.Release, Namespace: h.Namespace, Values: h.Values}}
	}
	return render.Source{Dir: c.OverlayFor(p, cluster)}
}

// renderScope tells one env repo's renderings from another's.
func renderScope(r store.Repo) string { return fmt.Sprint(r.ID) }
