package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/render"
)

// Render renders what stands at a path of a checkout, as a sync would: the
// kustomization of a directory, or the chart of a pair of tagboat.yaml, named by
// its path or by the file that carries its version. Remotes are the prefixes of
// the repositories and charts that it may fetch, as newRemotes reads them.
func Render(ctx context.Context, dir, at string, allowed []string) (manifests []byte, err error) {
	root, err := openCheckout(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	tree := root.FS()
	name, err := below(at)
	if err != nil {
		return nil, err
	}
	source, err := sourceAt(tree, name)
	if err != nil {
		return nil, err
	}
	r, err := newRenderer(allowed)
	if err != nil {
		return nil, err
	}
	defer func() {
		if closeErr := r.Close(); err == nil {
			err = closeErr
		}
	}()
	output, err := r.pool.Build(ctx, tree, source)
	return output.Manifests, err
}

// sourceAt is what there is to render at a path.
func sourceAt(tree fs.FS, name string) (render.Source, error) {
	file, err := kustomizationIn(tree, name)
	if err != nil {
		return render.Source{}, err
	}
	if file != "" {
		return render.Source{Dir: name}, nil
	}
	config, pairs, err := pairsAt(tree, name)
	switch {
	case err != nil:
		return render.Source{}, err
	case len(pairs) == 1:
		return sourceOf(config, pairs[0], ""), nil
	case len(pairs) > 1:
		var files []string
		for _, p := range pairs {
			files = append(files, p.File)
		}
		return render.Source{}, fault.Errorf(fault.Invalid, "%s holds the versions of several apps or environments; say which one to render: --path %s", name, strings.Join(files, ", or --path "))
	}
	return render.Source{}, fault.Errorf(fault.NotFound,
		"%s has no kustomization.yaml, and is no app of %s that is rendered from a chart; correct --path, which is relative to --dir", name, envrepo.File)
}

// fromFile reports whether a pair is rendered from its file: the values of a chart,
// or the objects themselves. Many may have theirs in one directory.
func fromFile(p envrepo.Pair) bool { return p.Helm != nil || p.Kustomization == "" }

// pairsAt are the pairs that are rendered from a file and are named by their
// directory or by the file.
func pairsAt(tree fs.FS, name string) (_ *envrepo.Config, found []envrepo.Pair, err error) {
	if _, err := fs.Stat(tree, envrepo.File); absent(err) {
		return nil, nil, nil
	}
	config, pairs, err := envrepo.Load(tree)
	for _, p := range pairs {
		if fromFile(p) && (p.Path == name || p.File == name) {
			found = append(found, p)
		}
	}
	return config, found, err
}

// sourceOf is what is rendered for a pair in one of its clusters; cluster "" is one
// that has nothing of its own.
func sourceOf(c *envrepo.Config, p envrepo.Pair, cluster string) render.Source {
	s := c.Source(p, cluster)
	source := render.Source{Dir: s.Dir, Manifest: s.Manifest}
	if h := s.Helm; h != nil {
		source.Helm = &render.Helm{Chart: h.Chart, Release: h.Release, Namespace: h.Namespace, Values: h.Values}
	}
	return source
}

// placeOf is the path that people know what is rendered for a pair by: the
// kustomization's directory, else the file that carries the version.
func placeOf(s render.Source, p envrepo.Pair) string {
	if s.Helm != nil || s.Manifest != "" {
		return p.File
	}
	return s.Dir
}

// sameSource reports whether two sources say the same, which does not say that they
// render to the same.
func sameSource(a, b render.Source) bool {
	if a.Dir != b.Dir || a.Manifest != b.Manifest || (a.Helm == nil) != (b.Helm == nil) {
		return false
	}
	return a.Helm == nil || a.Helm.Chart == b.Helm.Chart && a.Helm.Release == b.Helm.Release &&
		a.Helm.Namespace == b.Helm.Namespace && slices.Equal(a.Helm.Values, b.Helm.Values)
}

// JSONList is rendered manifests as a Kubernetes List in JSON, which kubectl and jq
// read.
func JSONList(manifests []byte) ([]byte, error) {
	list := struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Items      []any  `json:"items"`
	}{"v1", "List", []any{}}
	for documents := yaml.NewDecoder(bytes.NewReader(manifests)); ; {
		var object any
		switch err := documents.Decode(&object); {
		case errors.Is(err, io.EOF):
			return json.MarshalIndent(list, "", "  ")
		case err != nil:
			return nil, fault.E(fault.Broken, "What was rendered cannot be read as YAML.", err)
		case object != nil:
			list.Items = append(list.Items, object)
		}
	}
}

// renderer renders checkouts in child processes.
type renderer struct {
	pool    *render.Pool
	remotes *remotes
}

// newRenderer makes a renderer for a command, which has the registry logins of who
// calls it. The caller closes it.
func newRenderer(allowed []string) (*renderer, error) {
	return openRenderer(allowed, registry.New(registry.Config{Keychain: authn.DefaultKeychain}), nil)
}

// openRenderer makes a renderer that fetches what is allowed, and nothing else. The log
// may be nil. The caller closes it.
func openRenderer(allowed []string, charts *registry.Client, log *slog.Logger) (*renderer, error) {
	remotes, err := newRemotes(allowed, charts)
	if err != nil {
		return nil, err
	}
	return &renderer{render.NewPool(render.Options{Fetch: remotes.fetch, Log: log}), remotes}, nil
}

// Close ends the children and removes what was fetched.
func (r *renderer) Close() error {
	return errors.Join(r.pool.Close(), r.remotes.Close())
}
