package worker

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"path"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/render"
)

// side is what is carried without a pull request, or with it; or why nobody can tell.
type side struct {
	carried []manifest.Carried
	err     error
}

// renderedSide is what the objects of a source carry. An error is one that passes.
func (c *comparison) renderedSide(ctx context.Context, tree *gitmirror.Tree, s render.Source) (side, error) {
	manifests, err := c.w.Render.Build(ctx, renderScope(c.repo), tree, s)
	if err != nil && !ofCommit(err) {
		return side{}, err
	}
	if err != nil {
		return side{err: err}, nil
	}
	objects, err := manifest.Parse(manifests)
	if err != nil {
		return side{err: fault.Errorf(fault.Invalid, "what %s renders to cannot be read: %w", s.Dir, err)}, nil
	}
	// A Flux or Argo CD object carries a version outside of any container.
	elsewhere, err := carriedIn(path.Join(s.Dir, "what it renders to"), manifests)
	return side{append(manifest.Containers(objects), elsewhere...), err}, nil
}

// carriedIn are the versions that a file pins, of images and of charts.
func carriedIn(file string, data []byte) ([]manifest.Carried, error) {
	sites, err := overlay.Sites(file, data)
	var found []manifest.Carried
	for _, s := range sites {
		if s.Kind == overlay.KindRevision || s.Version == "" && s.Digest == "" {
			continue
		}
		c := manifest.Carried{Ref: s.Ref()}
		if s.Where == "images" {
			c.At = "the images: entry of " + cmp.Or(s.Alias, s.Name)
		}
		found = append(found, c)
	}
	return found, err
}

// fileSide is what a file carries. An error is one that passes.
func fileSide(tree *gitmirror.Tree, file string) (side, error) {
	data, err := tree.ReadFile(file)
	if err != nil && !ofCommit(err) {
		return side{}, err
	}
	if err != nil {
		return side{err: fault.E(fault.Invalid, file+" cannot be read: "+reason(err), err)}, nil
	}
	carried, err := carriedIn(file, data)
	return side{carried, err}, nil
}

// reason is an error of a tree without the path, which stands in front of it.
func reason(err error) string {
	if at, ok := errors.AsType[*fs.PathError](err); ok {
		return at.Err.Error()
	}
	return explain(err)
}

// mover is an app whose pair moves what is called so.
type mover struct {
	app   string
	names []string
	chart bool // they are charts
}

// keeps is what has to stay: what Tagboat moves. Of several names nobody could say
// which one that is.
func (m mover) keeps() []string {
	if len(m.names) == 1 {
		return m.names
	}
	return nil
}

// movers are who moves what in a place, by the names that are rendered.
func (c *comparison) movers(twins []twin) (movers []mover) {
	for _, t := range twins {
		app, _ := t.called()
		m := mover{app: app}
		for _, s := range []struct {
			tree *gitmirror.Tree
			pair *envrepo.Pair
		}{{c.was, t.was}, {c.is, t.is}} {
			if s.pair == nil || len(m.names) > 0 { // what moves is what moves without the pull request
				continue
			}
			m.chart = len(s.pair.Charts) > 0
			data, err := s.tree.ReadFile(s.pair.File)
			for _, name := range s.pair.Moves() {
				if pin, wrong := overlay.Current(s.pair.File, data, name); err == nil && wrong == nil {
					name = pin.Name
				}
				m.names = append(m.names, name)
			}
		}
		movers = append(movers, m)
	}
	return movers
}
