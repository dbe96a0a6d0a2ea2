package envrepo

import (
	"bytes"
	"cmp"
	"errors"
	"io"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Bounds of one file that discovery reads.
const (
	maxFile  = 2 << 20 // bytes
	maxNodes = 200_000 // aliases followed
	maxDepth = 100
)

// version is one name and what pins it.
type version struct {
	name string // image, or chart with its repository where the file says it
	tag  string // tag, digest or chart version; may be ""
}

// versions are the names that a file carries a version for. What exactly they
// pin, and whether the file can be edited, is for whoever edits it.
type versions struct {
	images  []version
	beside  []version // images of patches and chart values, beside what a kustomization declares
	guessed []string  // last parts of the names of images that are pinned, and named by their chart only
	charts  []version
	refs    []version // remote bases with a revision
}

func (v versions) imageNames() []string {
	var names []string
	for _, i := range v.images {
		if !slices.Contains(names, i.name) {
			names = append(names, i.name)
		}
	}
	return names
}

// image reports whether the file pins an image that somebody named.
func (v versions) image(name string) bool {
	called := func(i version) bool { return i.name == name }
	return slices.ContainsFunc(v.images, called) || slices.ContainsFunc(v.beside, called) || slices.Contains(v.guessed, path.Base(name))
}

// chart reports whether the file has a chart, named with its repository or
// without.
func (v versions) chart(name string) bool {
	return slices.ContainsFunc(v.charts, func(c version) bool {
		return c.name == name || path.Base(c.name) == name || c.name == path.Base(name)
	})
}

// versionsIn reads a kustomization, Helm values, a Chart.yaml, or manifests.
func versionsIn(file string, data []byte) (versions, error) {
	if len(data) > maxFile {
		return versions{}, fault.Errorf(fault.Invalid, "%s:1: the file is larger than %d MiB; split it", file, maxFile>>20)
	}
	w := &walk{file: file, overridden: map[string]bool{}}
	r := &reader{file: file}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for first := true; ; first = false {
		var doc yaml.Node
		err := dec.Decode(&doc)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			if bytes.Contains(data, []byte("{{")) {
				return versions{}, fault.Errorf(fault.Invalid, "%s:%d: this is a template ({{ }}), which only its renderer can read; let a file without {{ }} carry the version", file, templateLine(data))
			}
			r.syntax(err)
			return versions{}, invalid(r.problems)
		}
		if len(doc.Content) == 0 {
			continue
		}
		root := doc.Content[0]
		switch {
		case slices.Contains(kustomizations, path.Base(file)):
			// Kustomize reads the first document only.
			if first {
				w.kustomization(r, root)
			}
		case path.Base(file) == "Chart.yaml":
			w.dependencies(root)
		default:
			w.node(root, "", 0)
			w.argoSources(root)
		}
	}
	if w.nodes > maxNodes {
		return versions{}, fault.Errorf(fault.Invalid, "%s:1: the file says more than %d values, aliases followed; write them out", file, maxNodes)
	}
	if len(r.problems) > 0 {
		return versions{}, invalid(r.problems)
	}
	return w.found, nil
}

func templateLine(data []byte) int {
	return 1 + bytes.Count(data[:bytes.Index(data, []byte("{{"))], []byte("\n"))
}

// walk looks for versions in one file.
type walk struct {
	file       string
	nodes      int
	found      versions
	overridden map[string]bool // what images: of a kustomization replaces, by name
}

// child is the value of a key, aliases followed; nil when the mapping has none.
func (w *walk) child(n *yaml.Node, key string) *yaml.Node {
	n = follow(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return follow(n.Content[i+1])
		}
	}
	return nil
}

// text is the scalar under a key; "" when there is none.
func (w *walk) text(n *yaml.Node, key string) string {
	c := w.child(n, key)
	if c == nil || c.Kind != yaml.ScalarNode || c.Tag == "!!null" {
		return ""
	}
	return c.Value
}

// list visits the elements of the sequence under a key.
func (w *walk) list(n *yaml.Node, key string, visit func(*yaml.Node)) {
	c := w.child(n, key)
	if c == nil || c.Kind != yaml.SequenceNode {
		return
	}
	for _, e := range c.Content {
		e = follow(e)
		if w.nodes += 1 + len(e.Content); w.nodes > maxNodes {
			return
		}
		visit(e)
	}
}

func follow(n *yaml.Node) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// kustomization reads images:, helmCharts:, inline patches and remote bases
// (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/).
func (w *walk) kustomization(r *reader, root *yaml.Node) {
	images := w.child(root, "images")
	if images != nil && images.Kind != yaml.SequenceNode && images.Tag != "!!null" {
		r.report(images.Line, "images: must be a list of {name, newName, newTag, digest}")
	}
	w.list(root, "images", func(n *yaml.Node) {
		if n.Kind != yaml.MappingNode {
			r.report(n.Line, "images: must be a list of {name, newName, newTag, digest}")
		}
		tag := cmp.Or(w.text(n, "newTag"), w.text(n, "digest"))
		if name := cmp.Or(w.text(n, "newName"), w.text(n, "name")); name != "" {
			w.found.images = append(w.found.images, version{name, tag})
		}
		if tag != "" {
			w.overridden[w.text(n, "name")] = true
		}
	})
	w.list(root, "helmCharts", func(n *yaml.Node) {
		w.addChart(w.text(n, "repo"), w.text(n, "name"), w.text(n, "version"))
	})
	w.patches(root)
	for _, key := range []string{"resources", "bases", "components"} {
		w.list(root, key, func(n *yaml.Node) {
			if base, ref := remote(n.Value); ref != "" {
				w.found.refs = append(w.found.refs, version{base, ref})
			}
		})
	}
}

// remote splits a remote base into its address and revision; the revision is ""
// where the resource is none or names none
// (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md).
func remote(resource string) (base, ref string) {
	base, query, ok := strings.Cut(resource, "?")
	if !ok {
		return "", ""
	}
	for part := range strings.SplitSeq(query, "&") {
		for _, key := range []string{"ref=", "version="} {
			if value, ok := strings.CutPrefix(part, key); ok {
				return base, value
			}
		}
	}
	return "", ""
}

// dependencies reads a Chart.yaml (https://helm.sh/docs/topics/charts/).
func (w *walk) dependencies(root *yaml.Node) {
	w.list(root, "dependencies", func(n *yaml.Node) {
		w.addChart(w.text(n, "repository"), w.text(n, "name"), w.text(n, "version"))
	})
}

func (w *walk) addChart(repository, name, tag string) {
	if name == "" {
		return
	}
	if host, oci := strings.CutPrefix(repository, "oci://"); oci {
		name = strings.TrimSuffix(host, "/") + "/" + name
	}
	w.found.charts = append(w.found.charts, version{name, tag})
}

// node reads Helm values and manifests at any depth: image blocks, image strings,
// and the charts of Flux and Argo CD objects.
func (w *walk) node(n *yaml.Node, key string, depth int) {
	n = follow(n)
	if w.nodes++; w.nodes > maxNodes || depth > maxDepth || n == nil {
		return
	}
	switch n.Kind {
	case yaml.SequenceNode:
		for _, c := range n.Content {
			w.node(c, key, depth+1)
		}
	case yaml.MappingNode:
		if depth == 0 && w.text(n, "kind") == "CustomResourceDefinition" {
			return
		}
		w.block(n, key)
		for i := 0; i+1 < len(n.Content); i += 2 {
			w.node(n.Content[i+1], n.Content[i].Value, depth+1)
		}
	}
}

// block reads what one mapping says about an image or a chart.
func (w *walk) block(n *yaml.Node, key string) {
	w.imageString(w.text(n, "image"))
	tag := cmp.Or(w.text(n, "tag"), w.text(n, "digest"))
	if repository := w.text(n, "repository"); repository != "" && tag != "" {
		w.pinned(w.text(n, "registry"), repository, tag)
	}
	if url, oci := strings.CutPrefix(w.text(n, "url"), "oci://"); oci && key == "spec" {
		ref := w.child(n, "ref")
		w.found.charts = append(w.found.charts, version{url, cmp.Or(w.text(ref, "tag"), w.text(ref, "semver"), w.text(ref, "digest"))})
	}
	switch {
	case key == "spec" && w.text(n, "chart") != "": // HelmRelease: spec.chart.spec
		w.addChart("", w.text(n, "chart"), w.text(n, "version"))
	case w.text(n, "chart") != "" && w.text(n, "targetRevision") != "": // Argo CD source
		repo := strings.TrimPrefix(w.text(n, "repoURL"), "oci://")
		if repo != "" && !strings.Contains(repo, "://") {
			repo = "oci://" + repo // Argo CD writes registries without a scheme
		}
		w.addChart(repo, w.text(n, "chart"), w.text(n, "targetRevision"))
	}
	if key == "kustomize" { // Argo CD: spec.source.kustomize.images, "name=newName:tag"
		w.list(n, "images", func(i *yaml.Node) {
			_, renamed, ok := strings.Cut(i.Value, "=")
			if !ok {
				renamed = i.Value
			}
			w.imageString(renamed)
		})
	}
}

// imageString adds an image that is pinned; one that is not has nothing to move.
func (w *walk) imageString(s string) {
	ref, err := image.Parse(s)
	if err == nil && cmp.Or(ref.Tag, ref.Digest) != "" {
		w.found.images = append(w.found.images, version{ref.Name, cmp.Or(ref.Tag, ref.Digest)})
	}
}

// pinned adds an image whose name stands in two keys and whose version in a third.
func (w *walk) pinned(registry, repository, tag string) {
	name := repository
	if registry != "" {
		name = registry + "/" + name
	}
	if ref, err := image.Parse(name); err == nil && ref.Name == name {
		w.found.images = append(w.found.images, version{name, tag})
	}
}
