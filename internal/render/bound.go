package render

import (
	"bytes"
	"fmt"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

const (
	maxFile     = 2 << 20
	maxInput    = 32 << 20
	maxOutput   = 64 << 20
	maxExpanded = 20_000 // nodes that aliases may add to one file
	maxNested   = 3      // YAML in strings in YAML: a patch in a generator in a kustomization
)

func tooLarge(file string) error {
	return refuse(file, "the file is larger than %d MiB; split it", maxFile>>20)
}

// tooManyAliases refuses content whose aliases multiply it: a few lines can stand
// for gigabytes ("billion laughs"), and krusty expands them.
func tooManyAliases(data []byte) error {
	if expansion(data, maxNested) > maxExpanded {
		return fmt.Errorf("its aliases (*name) stand for more than %d values; write them out", maxExpanded)
	}
	return nil
}

// expansion counts the nodes that aliases add to data, including YAML in its
// strings. What is no YAML adds nothing; krusty will say so.
func expansion(data []byte, nested int) int {
	if nested == 0 || !bytes.ContainsRune(data, '&') || !bytes.ContainsRune(data, '*') {
		return 0
	}
	docs, _ := documents(data)
	added := 0
	for _, doc := range docs {
		c := counter{expanded: map[*yaml.Node]int{}, nested: nested}
		size := c.size(doc)
		if added += size - c.own + c.inStrings; added > maxExpanded {
			break
		}
	}
	return added
}

type counter struct {
	expanded  map[*yaml.Node]int
	own       int // nodes that stand in the file
	inStrings int
	nested    int
}

// size is the number of nodes that n stands for, capped well above the bound.
func (c *counter) size(n *yaml.Node) int {
	if n.Kind == yaml.AliasNode {
		c.own++
		if size, ok := c.expanded[n.Alias]; ok {
			return size
		}
		return maxExpanded * 2 // an alias inside its own anchor
	}
	c.own++
	if n.Kind == yaml.ScalarNode {
		c.inStrings += expansion([]byte(n.Value), c.nested-1)
	}
	size := 1
	for _, child := range n.Content {
		size = min(size+c.size(child), 1<<40)
	}
	if n.Anchor != "" {
		c.expanded[n] = size
	}
	return size
}
