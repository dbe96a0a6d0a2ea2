package worker

import (
	"fmt"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

// sourceFor is what is rendered for a pair in one of its clusters.
func sourceFor(c *envrepo.Config, p envrepo.Pair, cluster string) render.Source {
	s := c.Source(p, cluster)
	source := render.Source{Dir: s.Dir, Manifest: s.Manifest}
	if h := s.Helm; h != nil {
		source.Helm = &render.Helm{Chart: h.Chart, Release: h.Release, Namespace: h.Namespace, Values: h.Values}
	}
	return source
}

// renderScope tells one env repo's renderings from another's.
func renderScope(r store.Repo) string { return fmt.Sprint(r.ID) }
