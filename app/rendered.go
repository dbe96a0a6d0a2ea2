package app

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/authn"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/render"
)

// The offline commands work on a checkout: a directory that somebody has on disk,
// mostly an env repo. Nothing outside of it is read or written, wherever its
// symbolic links lead.

// openCheckout opens a checkout. The caller closes it.
func openCheckout(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fault.E(fault.NotFound, "There is no directory "+dir+" that could be read.", err)
	}
	return root, nil
}

// below is a path that a person typed, as a path of the checkout.
func below(typed string) (string, error) {
	name := path.Clean(filepath.ToSlash(typed))
	if !fs.ValidPath(name) {
		return "", fault.Errorf(fault.Invalid, "%s is not below the checkout; write a path relative to --dir, without ..", typed)
	}
	return name, nil
}

// kustomizations are the names that Kustomize knows
// (https://pkg.go.dev/sigs.k8s.io/kustomize/api/konfig#RecognizedKustomizationFileNames).
var kustomizations = []string{"kustomization.yaml", "kustomization.yml", "Kustomization"}

// kustomizationIn is the kustomization file of a directory; "" where it has none.
func kustomizationIn(tree fs.FS, dir string) (string, error) {
	for _, name := range kustomizations {
		file := path.Join(dir, name)
		switch _, err := fs.Stat(tree, file); {
		case err == nil:
			return file, nil
		case !absent(err):
			return "", fault.E(fault.Invalid, file+" cannot be read.", err)
		}
	}
	return "", nil
}

// absent tells an absence from what keeps a path from being read. That a directory
// on the way is a file is an absence too, of which operating systems have their own
// error.
func absent(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) }

// maxFile bounds what is read of a checkout at once, in bytes.
const maxFile = 4 << 20

// readFile reads a file of a checkout that is worth reading: neither huge nor a
// pipe.
func readFile(tree fs.FS, file string) ([]byte, error) {
	info, err := fs.Stat(tree, file)
	switch {
	case absent(err):
		return nil, fault.E(fault.NotFound, "There is no file "+file+" in the checkout; correct the path.", err)
	case err != nil:
	case !info.Mode().IsRegular():
		return nil, fault.Errorf(fault.Invalid, "%s is not a file", file)
	case info.Size() > maxFile:
		return nil, fault.Errorf(fault.Invalid, "%s:1: the file is larger than %d MiB; split it", file, maxFile>>20)
	}
	data, err := fs.ReadFile(tree, file)
	if err != nil {
		return nil, fault.E(fault.Invalid, file+" cannot be read.", err)
	}
	return data, nil
}

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
	pairs, err := pairsAt(tree, name)
	switch {
	case err != nil:
		return render.Source{}, err
	case len(pairs) == 1:
		return sourceOf(pairs[0], pairs[0].Path), nil
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
func pairsAt(tree fs.FS, name string) (found []envrepo.Pair, err error) {
	if _, err := fs.Stat(tree, envrepo.File); absent(err) {
		return nil, nil
	}
	_, pairs, err := envrepo.Load(tree)
	for _, p := range pairs {
		if fromFile(p) && (p.Path == name || p.File == name) {
			found = append(found, p)
		}
	}
	return found, err
}

// sourceOf is what is rendered for a pair, in the overlay of one of its clusters.
func sourceOf(p envrepo.Pair, dir string) render.Source {
	switch h := p.Helm; {
	case h != nil:
		return render.Source{Dir: dir, Helm: &render.Helm{Chart: h.Chart, Release: h.Release, Namespace: h.Namespace, Values: h.Values}}
	case p.Kustomization == "" && dir == p.Path:
		return render.Source{Dir: path.Dir(p.File), Manifest: p.File}
	}
	return render.Source{Dir: dir}
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
	return openRenderer(allowed, registry.New(registry.Config{Keychain: authn.DefaultKeychain}))
}

// openRenderer makes a renderer that fetches what is allowed, and nothing else. The
// caller closes it.
func openRenderer(allowed []string, charts *registry.Client) (*renderer, error) {
	remotes, err := newRemotes(allowed, charts)
	if err != nil {
		return nil, err
	}
	return &renderer{render.NewPool(render.Options{Fetch: remotes.fetch}), remotes}, nil
}

// Close ends the children and removes what was fetched.
func (r *renderer) Close() error {
	return errors.Join(r.pool.Close(), r.remotes.Close())
}
