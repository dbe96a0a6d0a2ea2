package overlay

import (
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
)

// images finds every "image: name:tag@digest" below p, whatever the object's
// kind: containers of all sorts, at any depth, and custom resources that follow
// the custom.
func (o *opened) images(p *place, where string) {
	p.each(func(m *place) { o.reference(m.at("image"), "image", where) })
}

// reference takes up a string that names an image in one piece.
func (o *opened) reference(p *place, key, where string) {
	s := referenceSite(p, key, where, "")
	if s != nil {
		o.add(s)
	}
}

// referenceSite is the site of "name:tag@digest" behind a prefix that stays; nil
// when it is none.
func referenceSite(p *place, key, where, prefix string) *site {
	if !p.isScalar() || p.merged {
		return nil
	}
	value := strings.TrimPrefix(p.text(), prefix)
	ref, err := image.Parse(value)
	s := &site{Site: Site{Where: where, Kind: KindImage}, in: p.up}
	switch {
	case err == nil:
		s.Name, s.Version, s.Digest = ref.Name, ref.Tag, ref.Digest
	case strings.Contains(value, "{{"): // a template; named so that a refusal finds it
		s.Name, s.Version, _ = strings.Cut(value, ":")
	default:
		return nil
	}
	s.slots = []slot{{key: key, holds: holdsReference, at: p, head: prefix + s.Name}}
	return s
}

// inlinePatch finds the images of a patch that a kustomization carries as a
// string: a strategic merge patch or a JSON6902 patch.
func (o *opened) inlinePatch(p *place) {
	if p == nil || p.node.Kind == yaml.AliasNode {
		return
	}
	in := o.inlay(p.node)
	if in == nil {
		return
	}
	for _, doc := range in.text.docs {
		root := in.text.root(doc)
		if root == nil {
			continue
		}
		root.up = p
		if root.node.Kind == yaml.SequenceNode {
			o.jsonPatch(root)
		} else {
			o.images(root, "patch")
		}
	}
}

// jsonPatch finds the images of a JSON6902 patch: what it adds or puts in place
// at a path that ends in /image, and whole containers
// (https://www.rfc-editor.org/rfc/rfc6902).
func (o *opened) jsonPatch(root *place) {
	for _, p := range root.elements() {
		if op := p.at("op").text(); op != "add" && op != "replace" {
			continue
		}
		if strings.HasSuffix(p.at("path").text(), "/image") {
			o.reference(p.at("value"), "value", "patch")
		} else {
			o.images(p.at("value"), "patch")
		}
	}
}
