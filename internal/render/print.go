package render

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	yamlv2 "go.yaml.in/yaml/v2"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/resource"
	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// printed is what resmap.ResMap.AsYaml prints, in half the time.
//
// Kustomize prints an object as YAML, reads that, prints it as JSON, reads that with
// another YAML parser, and has its printer print it. Where an object holds nothing
// but what every step of the way leaves alone, its values can be given to the last
// printer at once. Any other object takes the long way.
func printed(objects resmap.ResMap) ([]byte, error) {
	var out bytes.Buffer
	for i, r := range objects.Resources() {
		document, err := document(r)
		if err != nil {
			return nil, fmt.Errorf("print %s: %w", r.CurId(), err)
		}
		if i > 0 {
			out.WriteString("---\n")
		}
		out.Write(document)
	}
	return out.Bytes(), nil
}

func document(r *resource.Resource) ([]byte, error) {
	if n := r.YNode(); n != nil && n.Kind == yaml.MappingNode {
		if value, ok := plainValue(n); ok {
			return yamlv2.Marshal(value)
		}
	}
	return r.AsYAML()
}

// plainValue is the value of a node that holds only mappings, lists, strings of
// printable ASCII, decimal integers, booleans and nulls, and comments only
// before keys and behind scalars: some of the others are printed such that they
// cannot be read again.
func plainValue(n *yaml.Node) (value any, ok bool) {
	if n.Anchor != "" || n.HeadComment != "" || n.FootComment != "" || n.LineComment != "" && n.Kind != yaml.ScalarNode {
		return nil, false
	}
	switch n.Kind {
	case yaml.MappingNode:
		return plainMapping(n)
	case yaml.SequenceNode:
		if n.Tag != "" && n.Tag != yaml.NodeTagSeq {
			return nil, false
		}
		list := make([]any, len(n.Content))
		for i, element := range n.Content {
			if list[i], ok = plainValue(element); !ok {
				return nil, false
			}
		}
		return list, true
	case yaml.ScalarNode:
		return plainScalar(n)
	}
	return nil, false
}

func plainMapping(n *yaml.Node) (any, bool) {
	if n.Tag != "" && n.Tag != yaml.NodeTagMap || len(n.Content)%2 != 0 {
		return nil, false
	}
	mapping := make(map[string]any, len(n.Content)/2)
	for i := 0; i < len(n.Content); i += 2 {
		key := n.Content[i]
		if key.Kind != yaml.ScalarNode || key.Anchor != "" || key.LineComment != "" || key.FootComment != "" || key.ShortTag() != yaml.NodeTagString ||
			key.Value == "<<" || !onePlainLine(key.Value) || len(key.Value) > maxPlainKey {
			return nil, false
		}
		if _, twice := mapping[key.Value]; twice {
			return nil, false
		}
		value, ok := plainValue(n.Content[i+1])
		if !ok {
			return nil, false
		}
		mapping[key.Value] = value
	}
	return mapping, true
}

// maxPlainKey is well below the 1,024 characters beyond which YAML has no simple
// keys.
const maxPlainKey = 512

var plainInteger = regexp.MustCompile(`^(0|-?[1-9][0-9]{0,17})$`)

func plainScalar(n *yaml.Node) (any, bool) {
	tag := n.ShortTag()
	if tag == yaml.NodeTagString {
		return n.Value, onePlainLine(n.Value) || n.Style&(yaml.FoldedStyle|yaml.SingleQuotedStyle) == 0 && plainLines(n.Value)
	}
	if n.Style != 0 { // quoted, and tagged as something else than a string
		return nil, false
	}
	switch tag {
	case yaml.NodeTagInt:
		if !plainInteger.MatchString(n.Value) {
			return nil, false
		}
		number, err := strconv.ParseInt(n.Value, 10, 64)
		return number, err == nil
	case yaml.NodeTagBool:
		return n.Value == "true", n.Value == "true" || n.Value == "false"
	case yaml.NodeTagNull:
		return nil, n.Value == "null" || n.Value == "~" // an empty one is sometimes printed as an empty string
	}
	return nil, false
}

func onePlainLine(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}

// plainLines reports whether a text of several lines is the same when it was
// written as a block and read again: it neither begins nor ends with white space but
// for one line feed, which would be signs of their own in the block's head.
func plainLines(s string) bool {
	lines := strings.Split(strings.TrimSuffix(s, "\n"), "\n")
	for _, line := range lines {
		if !onePlainLine(line) {
			return false
		}
	}
	first, last := lines[0], lines[len(lines)-1]
	return first != "" && first[0] != ' ' && strings.TrimSpace(last) != ""
}
