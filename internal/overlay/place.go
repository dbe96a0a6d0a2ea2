package overlay

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// place is a node together with the way to it. A nil place is one that is not
// there; asking it for more gives nil again.
type place struct {
	doc    *document
	node   *yaml.Node // as written, perhaps an alias
	key    *yaml.Node // its key, in a mapping
	up     *place
	twice  error // why nothing under it is certain: a key that stands twice
	merged bool  // it came in through a merge key (<<)
}

// root is the top of a document of a stream, or nil for an empty one.
func (d *document) root(doc *yaml.Node) *place {
	if len(doc.Content) == 0 {
		return nil
	}
	return &place{doc: d, node: doc.Content[0]}
}

// at follows keys down through mappings.
func (p *place) at(keys ...string) *place {
	for _, key := range keys {
		p = p.child(key)
	}
	return p
}

func (p *place) child(key string) *place {
	if p == nil {
		return nil
	}
	m := resolve(p.node)
	if m.Kind != yaml.MappingNode || !p.doc.step(len(m.Content)) {
		return nil
	}
	var found *place
	for i := 0; i+1 < len(m.Content); i += 2 {
		k := m.Content[i]
		if k.Kind != yaml.ScalarNode || k.Value != key {
			continue
		}
		if found != nil {
			found.twice = p.doc.refuse(k, "key %q stands here a second time (first on line %d); remove one", key, p.doc.line(found.key))
			return found
		}
		found = &place{doc: p.doc, node: m.Content[i+1], key: k, up: p}
	}
	if found == nil && key != "<<" {
		return p.mergedIn(key)
	}
	return found
}

// mergedIn looks in the mapping that a merge key names. It is followed one step:
// what is found may be read, never written.
func (p *place) mergedIn(key string) *place {
	merge := p.child("<<")
	if merge == nil || p.merged || resolve(merge.node).Kind != yaml.MappingNode {
		return nil
	}
	merge.merged = true
	return merge.child(key)
}

// step counts work; false when a file asks for too much of it.
func (d *document) step(n int) bool {
	d.steps += n
	return d.steps <= maxSteps
}

// elements are the members of a list.
func (p *place) elements() []*place {
	if p == nil {
		return nil
	}
	list := resolve(p.node)
	if list.Kind != yaml.SequenceNode || !p.doc.step(len(list.Content)) {
		return nil
	}
	elements := make([]*place, len(list.Content))
	for i, n := range list.Content {
		elements[i] = &place{doc: p.doc, node: n, up: p}
	}
	return elements
}

// each visits p and the mappings below it, in file order. Aliases are not
// followed: what they stand for is visited where it is written.
func (p *place) each(visit func(*place)) {
	if p == nil {
		return
	}
	switch p.node.Kind {
	case yaml.MappingNode:
		visit(p)
		seen := map[string]bool{}
		for i := 0; i+1 < len(p.node.Content); i += 2 {
			k, v := p.node.Content[i], p.node.Content[i+1]
			if v.Kind != yaml.MappingNode && v.Kind != yaml.SequenceNode {
				continue
			}
			below := &place{doc: p.doc, node: v, key: k, up: p}
			if seen[k.Value] {
				below.twice = p.doc.refuse(k, "key %q stands here a second time; remove one", k.Value)
			}
			seen[k.Value] = true
			below.each(visit)
		}
	case yaml.SequenceNode:
		for _, n := range p.node.Content {
			(&place{doc: p.doc, node: n, up: p}).each(visit)
		}
	}
}

// isScalar reports whether there is a string, a number or the like.
func (p *place) isScalar() bool {
	return p != nil && resolve(p.node).Kind == yaml.ScalarNode && resolve(p.node).Tag != "!!null"
}

// text is a scalar as it is written, without quotes; "" where there is none.
func (p *place) text() string {
	if !p.isScalar() {
		return ""
	}
	return resolve(p.node).Value
}

// editable refuses a place whose bytes are shared with another, or of which it
// is not certain that it counts. what names it for people.
func (p *place) editable(what string) error {
	for q := p; q != nil; q = q.up {
		switch {
		case q.twice != nil:
			return q.twice
		case q.node.Kind == yaml.AliasNode:
			return q.doc.refuse(q.node, "%s is written as an alias (*%s), so an edit would reach %s; write it out", what, q.node.Value, q.doc.reach(q.node.Alias, q.node))
		case q.merged:
			return q.doc.refuse(q.node, "%s comes in through a merge key (<<), so an edit would reach other places; write it out", what)
		case q.node.Anchor != "":
			return q.doc.refuse(q.node, "%s is under an anchor (&%s), so an edit could reach %s; write it out", what, q.node.Anchor, q.doc.reach(q.node, nil))
		}
	}
	if p != nil && p.doc.inside != nil {
		return p.doc.inside.err
	}
	return nil
}

// reach says in which other places an anchored node stands.
func (d *document) reach(anchored, besides *yaml.Node) string {
	const most = 5
	var lines []string
	if besides != nil && anchored != nil {
		lines = append(lines, fmt.Sprint(d.line(anchored)))
	}
	var walk func(*yaml.Node)
	walk = func(n *yaml.Node) {
		if n.Kind == yaml.AliasNode && n.Alias == anchored && n != besides {
			lines = append(lines, fmt.Sprint(d.line(n)))
		}
		for _, c := range n.Content {
			walk(c)
		}
	}
	for _, doc := range d.docs {
		walk(doc)
	}
	lines = slices.Compact(lines)
	switch {
	case len(lines) == 0:
		return "other places"
	case len(lines) == 1:
		return "line " + lines[0] + " too"
	case len(lines) > most:
		return fmt.Sprintf("%d other lines too (%s, ...)", len(lines), strings.Join(lines[:most], ", "))
	}
	return "lines " + strings.Join(lines, ", ") + " too"
}
