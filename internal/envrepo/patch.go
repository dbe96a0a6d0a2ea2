package envrepo

import (
	"bytes"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// patches reads the images of patches that a kustomization carries as strings, and
// of the values of its charts. Where images: or helmCharts: pin something, that is
// what moves: a patch beside them most often adds a sidecar, and its image moves
// where tagboat.yaml names it.
func (w *walk) patches(root *yaml.Node) {
	declared := w.found.images
	w.found.images = nil
	patch := func(n *yaml.Node) { w.inlaid(n, w.patch) }
	for _, key := range []string{"patches", "patchesJson6902"} {
		w.list(root, key, func(n *yaml.Node) { patch(w.own(n, "patch")) })
	}
	if list := w.child(root, "patchesStrategicMerge"); list != nil && list.Kind == yaml.SequenceNode {
		for _, n := range list.Content {
			patch(n)
		}
	}
	w.list(root, "helmCharts", func(n *yaml.Node) {
		if values := w.child(n, "valuesInline"); values != nil {
			w.node(values, "", 1)
		}
	})
	patched := slices.DeleteFunc(w.found.images, func(i version) bool { return w.overridden[i.name] })
	if len(declared)+len(w.found.charts) == 0 {
		w.found.images = patched
		return
	}
	w.found.images, w.found.beside = declared, patched
}

// own is the value of a key where it stands, rather than behind an alias: a text
// that several share is not one overlay's to change.
func (w *walk) own(n *yaml.Node, key string) *yaml.Node {
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return n.Content[i+1]
		}
	}
	return nil
}

// inlaid visits the documents of a string that holds YAML. What holds none, such as
// the name of a file, has no versions.
func (w *walk) inlaid(n *yaml.Node, visit func(*yaml.Node)) {
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag != "!!str" {
		return
	}
	var roots []*yaml.Node
	for dec := yaml.NewDecoder(bytes.NewReader([]byte(n.Value))); ; {
		var doc yaml.Node
		if err := dec.Decode(&doc); err != nil {
			break
		}
		if len(doc.Content) > 0 {
			roots = append(roots, doc.Content[0])
		}
	}
	for _, root := range roots {
		visit(root)
	}
}

// patch reads a strategic merge patch, or what a JSON6902 patch adds or puts in
// place (https://www.rfc-editor.org/rfc/rfc6902).
func (w *walk) patch(root *yaml.Node) {
	if root.Kind != yaml.SequenceNode {
		w.imageStrings(root, 0)
		return
	}
	for _, operation := range root.Content {
		operation = follow(operation)
		if op := w.text(operation, "op"); op != "add" && op != "replace" {
			continue
		}
		if strings.HasSuffix(w.text(operation, "path"), "/image") {
			w.imageString(w.text(operation, "value"))
		} else {
			w.imageStrings(w.child(operation, "value"), 0)
		}
	}
}

// imageStrings reads image: at any depth.
func (w *walk) imageStrings(n *yaml.Node, depth int) {
	n = follow(n)
	if w.nodes++; w.nodes > maxNodes || depth > maxDepth || n == nil {
		return
	}
	if n.Kind == yaml.MappingNode {
		w.imageString(w.text(n, "image"))
	}
	for _, c := range n.Content {
		w.imageStrings(c, depth+1)
	}
}
