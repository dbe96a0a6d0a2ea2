package worker

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/render"
)

// pairs are what a tree has under the configuration, but for named apps without an
// overlay. Which of several images Tagboat moves is not asked here.
func (c *comparison) pairs(tree *gitmirror.Tree, on []envrepo.Environment) ([]envrepo.Pair, error) {
	all, err := c.w.bases.memory(c.repo).Discover(tree, c.config)
	return slices.DeleteFunc(all, func(p envrepo.Pair) bool {
		lives := slices.ContainsFunc(on, func(e envrepo.Environment) bool { return e.Name == p.Env })
		return !lives || fault.Is(p.Err, fault.NotFound)
	}), err
}

// twin is one app in one environment, without and with the pull request; nil where it
// is no pair there.
type twin struct{ was, is *envrepo.Pair }

// called is the pair's app and environment.
func (t twin) called() (app, env string) {
	if t.was != nil {
		return t.was.App, t.was.Env
	}
	return t.is.App, t.is.Env
}

// paired finds each pair's twin: the one of the same file, if there are several.
func paired(before, after []envrepo.Pair) (twins []twin) {
	of := map[[2]string][]*envrepo.Pair{}
	for i := range after {
		key := [2]string{after[i].App, after[i].Env}
		of[key] = append(of[key], &after[i])
	}
	for i := range before {
		p := &before[i]
		key := [2]string{p.App, p.Env}
		t := twin{was: p}
		if candidates := of[key]; len(candidates) > 0 {
			at := max(0, slices.IndexFunc(candidates, func(q *envrepo.Pair) bool { return q.Path == p.Path && q.File == p.File }))
			t.is = candidates[at]
			of[key] = slices.Delete(candidates, at, at+1)
		}
		twins = append(twins, t)
	}
	for i := range after {
		if key := [2]string{after[i].App, after[i].Env}; slices.Contains(of[key], &after[i]) {
			twins = append(twins, twin{is: &after[i]})
		}
	}
	return twins
}

// place is what is rendered once for an environment: for one pair, or for several
// whose versions stand in the same overlay, in one cluster or in all.
type place struct {
	env       string
	cluster   string // the first, where it is the same in several
	twins     []twin
	was, is   *render.Source // nil where there is nothing to render
	uncertain bool           // a side could not be rendered, so only files tell
}

// places are what the pairs render to, in every cluster.
func (c *comparison) places(twins []twin, on []envrepo.Environment) (places []place) {
	at := map[string]int{}
	for _, t := range twins {
		_, env := t.called()
		e := on[slices.IndexFunc(on, func(e envrepo.Environment) bool { return e.Name == env })]
		clusters := e.Clusters
		if len(clusters) == 0 { // somebody else brings it there, and what it renders to is the same
			clusters = []string{""}
		}
		for _, cluster := range clusters {
			p := place{env: env, cluster: cluster, was: c.source(t.was, cluster), is: c.source(t.is, cluster)}
			// What sets no version any more may still be rendered, by others or later.
			if t.is == nil && c.stands(p.was, t.was.File) {
				p.is = p.was
			}
			key := env + " " + sourceKey(p.was) + " " + sourceKey(p.is)
			if _, known := at[key]; !known {
				at[key] = len(places)
				places = append(places, p)
			}
			places[at[key]].twins = append(places[at[key]].twins, t)
		}
	}
	return places
}

func (c *comparison) source(p *envrepo.Pair, cluster string) *render.Source {
	if p == nil {
		return nil
	}
	s := sourceFor(c.config, *p, cluster)
	return &s
}

// sourceKey tells sources apart.
func sourceKey(s *render.Source) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%q %q %v", s.Dir, s.Manifest, s.Helm)
}

// stands reports whether the pull request leaves anything to render: the file that a
// source is made from, or a kustomization. What cannot be read stands.
func (c *comparison) stands(s *render.Source, file string) bool {
	files := []string{file}
	if s.Manifest == "" && s.Helm == nil {
		files = []string{path.Join(s.Dir, "kustomization.yaml"), path.Join(s.Dir, "kustomization.yml"), path.Join(s.Dir, "Kustomization")}
	}
	return slices.ContainsFunc(files, func(name string) bool {
		_, _, err := c.is.ID(name)
		return !errors.Is(err, fs.ErrNotExist)
	})
}

// affected leaves out what is known to render the same.
func (c *comparison) affected(places []place) (may []place) {
	var sources []render.Source
	var known []place // of which both sides are made from the same source
	for _, p := range places {
		if p.was == nil || p.is == nil || sourceKey(p.was) != sourceKey(p.is) || p.broken() != nil {
			may = append(may, p)
			continue
		}
		sources, known = append(sources, *p.is), append(known, p)
	}
	for i, affected := range c.w.Render.Affected(renderScope(c.repo), c.was, c.is, sources) {
		if affected {
			may = append(may, known[i])
		}
	}
	slices.SortStableFunc(may, func(a, b place) int {
		appA, envA := a.twins[0].called()
		appB, envB := b.twins[0].called()
		return cmp.Or(cmp.Compare(appA, appB), cmp.Compare(envA, envB))
	})
	return may
}

// broken is why one of the pairs cannot be deployed with the pull request, where it
// could be without.
func (p *place) broken() error {
	for _, t := range p.twins {
		if t.is != nil && t.is.Err != nil && (t.was == nil || t.was.Err == nil) {
			return t.is.Err
		}
	}
	return nil
}
