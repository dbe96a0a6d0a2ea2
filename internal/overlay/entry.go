package overlay

import (
	"cmp"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
)

// Entry is one element of a kustomization's images:
// (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/).
type Entry struct {
	Name    string // the image that the base names
	NewName string // what it is replaced by; "" keeps Name
	NewTag  string
	Digest  string
	Line    int // where the element starts, from 1
}

// Image is the name of the image that runs: NewName where it is set, else Name.
func (e Entry) Image() string { return cmp.Or(e.NewName, e.Name) }

// Ref is the image with what pins it. A "tag@digest" in newTag, which Kustomize
// passes through, is read as both.
func (e Entry) Ref() image.Ref {
	r := image.Ref{Name: e.Image(), Tag: e.NewTag, Digest: e.Digest}
	if tag, digest, ok := strings.Cut(e.NewTag, "@"); ok {
		r.Tag, r.Digest = tag, cmp.Or(r.Digest, digest)
	}
	return r
}

// Entries lists the images: of a kustomization in file order; none is no error.
// A file that cannot be read for certain is Invalid, with file, line and reason.
func Entries(file string, data []byte) ([]Entry, error) {
	d, err := parse(file, data)
	if err != nil || len(d.docs) == 0 {
		return nil, err
	}
	root, err := d.kustomizationRoot(d.root(d.docs[0]))
	if err != nil {
		return nil, err
	}
	elements, err := d.entryElements(root.at("images"))
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, len(elements))
	for i, p := range elements {
		if entries[i], err = entry(p); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

// kustomizationRoot is the root mapping; nil for an empty document.
func (d *document) kustomizationRoot(root *place) (*place, error) {
	if root == nil || root.node.Kind == yaml.ScalarNode && root.node.Tag == "!!null" {
		return nil, nil
	}
	if root.node.Kind != yaml.MappingNode {
		return nil, d.refuse(root.node, "a kustomization is a mapping (resources:, images:, ...); this is not one")
	}
	return root, nil
}

// entryElements are the elements of images:.
func (d *document) entryElements(images *place) ([]*place, error) {
	switch {
	case images == nil:
		return nil, nil
	case images.twice != nil:
		return nil, images.twice
	case resolve(images.node).Tag == "!!null":
		return nil, nil
	case resolve(images.node).Kind != yaml.SequenceNode:
		return nil, d.refuse(images.node, "images: must be a list of {name, newName, newTag, digest}")
	}
	return images.elements(), nil
}

// entry reads one element. Keys that stand twice are refused: parsers disagree on
// which one counts.
func entry(p *place) (Entry, error) {
	e := Entry{Line: p.doc.line(p.node)}
	m := resolve(p.node)
	if m.Kind != yaml.MappingNode {
		return e, p.doc.refuse(p.node, "an element of images: must be a mapping with name, newName, newTag or digest")
	}
	if err := p.keysOnce(); err != nil {
		return e, err
	}
	if merge := p.at("<<"); merge != nil {
		return e, p.doc.refuse(merge.key, "this element of images: merges another mapping (<<); write its keys out")
	}
	for _, f := range []struct {
		key  string
		into *string
	}{{"name", &e.Name}, {"newName", &e.NewName}, {"newTag", &e.NewTag}, {"digest", &e.Digest}} {
		value := p.at(f.key)
		if value == nil {
			continue
		}
		if resolve(value.node).Kind != yaml.ScalarNode {
			return e, p.doc.refuse(value.node, "%s of an image must be a string", f.key)
		}
		*f.into = value.text()
	}
	return e, nil
}

// keysOnce refuses a mapping in which any key stands twice.
func (p *place) keysOnce() error {
	first := map[string]*yaml.Node{}
	m := resolve(p.node)
	if !p.doc.step(len(m.Content)) {
		return nil // too much work is refused as a whole
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k := m.Content[i]
		if f := first[k.Value]; f != nil {
			return p.doc.refuse(k, "key %q stands here a second time (first on line %d); remove one", k.Value, p.doc.line(f))
		}
		first[k.Value] = k
	}
	return nil
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}
