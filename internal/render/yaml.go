package render

import (
	"bytes"
	"errors"
	"io"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// documents parses a stream. A panic of the parser is an error like any other.
func documents(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the YAML parser gave up")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		doc := &yaml.Node{}
		switch err := dec.Decode(doc); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return docs, err
		}
		docs = append(docs, doc)
	}
}

// podLists are the keys under which containers stand in every workload.
var podLists = []string{"containers", "initContainers", "ephemeralContainers"}

// Images lists the image references in rendered objects, sorted, each once.
func Images(manifests []byte) ([]string, error) {
	docs, err := documents(manifests)
	if err != nil {
		return nil, fault.E(fault.Invalid, "the rendered objects are not valid YAML", err)
	}
	var images []string
	for _, doc := range docs {
		pairs(doc, func(key string, value *yaml.Node) {
			if !slices.Contains(podLists, key) || value.Kind != yaml.SequenceNode {
				return
			}
			for _, container := range value.Content {
				if image := field(container, "image"); image != nil && image.Value != "" {
					images = append(images, image.Value)
				}
			}
		})
	}
	slices.Sort(images)
	return slices.Compact(images), nil
}

// pairs visits every key with its value below n, aliases followed. Callers have
// bounded the expansion, or read what krusty printed, which has no aliases.
func pairs(n *yaml.Node, visit func(key string, value *yaml.Node)) {
	n = resolve(n)
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 1 {
			visit(n.Content[i-1].Value, resolve(child))
		}
		pairs(child, visit)
	}
}

func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// field is the value of one key of a mapping, or nil.
func field(n *yaml.Node, key string) *yaml.Node {
	n = resolve(n)
	for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return resolve(n.Content[i+1])
		}
	}
	return nil
}
