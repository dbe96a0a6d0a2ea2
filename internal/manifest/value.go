package manifest

import (
	"errors"
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

type kind uint8

const (
	nullKind kind = iota
	boolKind
	numberKind
	textKind
	listKind
	mapKind
)

func (k kind) String() string {
	return [...]string{"null", "truth value", "number", "text", "list", "mapping"}[k]
}

// node is a value as Kubernetes reads it: aliases and merge keys resolved, keys
// sorted, numbers in one way of writing.
type node struct {
	kind  kind
	text  string   // a scalar's canonical text
	keys  []string // a mapping's keys, sorted; items[i] belongs to keys[i]
	items []*node  // a list's elements, or a mapping's values

	start at // where it stands, for those who know the text
	style yaml.Style
}

// field is the value of one key, or nil.
func (n *node) field(name string) *node {
	if n == nil || n.kind != mapKind {
		return nil
	}
	if i, ok := slices.BinarySearch(n.keys, name); ok {
		return n.items[i]
	}
	return nil
}

// str is the text of one key, or "".
func (n *node) str(name string) string {
	if v := n.field(name); v != nil && v.kind == textKind {
		return v.text
	}
	return ""
}

// set puts a key's value in its place, and reports whether the key is new.
func (n *node) set(name string, value *node) bool {
	i, there := slices.BinarySearch(n.keys, name)
	if !there {
		n.keys, n.items = slices.Insert(n.keys, i, name), slices.Insert(n.items, i, value)
	}
	return !there
}

func (n *node) scalar() bool { return n.kind < listKind }

func equal(a, b *node) bool {
	return a == b || a.kind == b.kind && a.text == b.text && slices.Equal(a.keys, b.keys) && slices.EqualFunc(a.items, b.items, equal)
}

const (
	maxDepth   = 200     // of nesting; a CRD's schema, the deepest thing there is, has about 50
	maxAliased = 100_000 // nodes that stand there by way of aliases: an alias bomb has millions
)

type converter struct {
	within  []*yaml.Node // the aliases that are being followed
	aliased int
	lenient bool // a key may stand twice, as the two ways of a template's condition do
}

// convert reads a parsed document as Kubernetes does.
func convert(n *yaml.Node) (*node, error) {
	var c converter
	return c.convert(n, 0)
}

func (c *converter) convert(n *yaml.Node, depth int) (*node, error) {
	if depth > maxDepth {
		return nil, fmt.Errorf("line %d is nested more than %d deep", n.Line, maxDepth)
	}
	if len(c.within) > 0 {
		if c.aliased++; c.aliased > maxAliased {
			return nil, fmt.Errorf("its aliases stand for more than %d values", maxAliased)
		}
	}
	switch n.Kind {
	case yaml.AliasNode:
		if slices.Contains(c.within, n.Alias) {
			return nil, fmt.Errorf("line %d: the alias *%s contains itself", n.Line, n.Value)
		}
		c.within = append(c.within, n.Alias)
		defer func() { c.within = c.within[:len(c.within)-1] }()
		return c.convert(n.Alias, depth+1)
	case yaml.ScalarNode:
		out := *scalar(n) // words are shared
		out.start, out.style = at{n.Line, n.Column}, n.Style
		return &out, nil
	case yaml.SequenceNode:
		out := &node{kind: listKind, items: make([]*node, 0, len(n.Content)), start: at{n.Line, n.Column}}
		for _, item := range n.Content {
			v, err := c.convert(item, depth+1)
			if err != nil {
				return nil, err
			}
			out.items = append(out.items, v)
		}
		return out, nil
	case yaml.MappingNode:
		return c.mapping(n, depth)
	case yaml.DocumentNode:
		if len(n.Content) == 1 {
			return c.convert(n.Content[0], depth)
		}
	}
	return &node{kind: nullKind, text: "null"}, nil
}

func (c *converter) mapping(n *yaml.Node, depth int) (*node, error) {
	type pair struct {
		key   string
		value *node
	}
	pairs := make([]pair, 0, len(n.Content)/2)
	var merged []*node
	for i := 0; i+1 < len(n.Content); i += 2 {
		value, err := c.convert(n.Content[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		if n.Content[i].Tag == "!!merge" {
			merged = append(merged, value)
			continue
		}
		k, err := c.convert(n.Content[i], depth+1)
		if err != nil {
			return nil, err
		}
		if !k.scalar() {
			return nil, fmt.Errorf("line %d: a key is a %s; Kubernetes knows only text", n.Content[i].Line, k.kind)
		}
		if k.text == "creationTimestamp" && value.kind == nullKind {
			continue // how Go prints metadata without one
		}
		pairs = append(pairs, pair{k.text, value})
	}
	slices.SortFunc(pairs, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	out := &node{kind: mapKind, keys: make([]string, 0, len(pairs)), items: make([]*node, 0, len(pairs)), start: at{n.Line, n.Column}}
	for i, p := range pairs {
		if i > 0 && pairs[i-1].key == p.key && !c.lenient {
			return nil, fmt.Errorf("line %d: the key %s stands twice in the mapping that begins here", n.Line, quoted(p.key))
		}
		out.keys, out.items = append(out.keys, p.key), append(out.items, p.value)
	}
	for _, m := range merged {
		if err := out.merge(m); err != nil {
			return nil, fmt.Errorf("line %d: %w", n.Line, err)
		}
	}
	return out, nil
}

// merge adds what << names; the mapping's own keys win, and of several mappings
// the first (https://yaml.org/type/merge.html).
func (n *node) merge(from *node) error {
	sources := []*node{from}
	if from.kind == listKind {
		sources = from.items
	}
	for _, s := range sources {
		if s.kind != mapKind {
			return errors.New("<< takes a mapping or a list of mappings")
		}
		for i, k := range s.keys {
			n.set(k, s.items[i])
		}
	}
	return nil
}

func scalar(n *yaml.Node) *node {
	switch {
	case n.Style&yaml.TaggedStyle != 0:
		switch n.ShortTag() {
		case "!!str":
			return &node{kind: textKind, text: n.Value}
		case "!!int", "!!float", "!!bool", "!!null":
			return resolve(n.Value)
		}
		return &node{kind: textKind, text: n.Tag + " " + n.Value}
	case n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return &node{kind: textKind, text: n.Value}
	}
	return resolve(n.Value)
}

// words are the plain scalars that are not text for Kubernetes, which reads YAML
// 1.1: sigs.k8s.io/yaml, by go.yaml.in/yaml/v2 (its resolve.go).
var words = func() map[string]*node {
	m := map[string]*node{}
	for to, spellings := range map[string]string{
		"true":  "y Y yes Yes YES true True TRUE on On ON",
		"false": "n N no No NO false False FALSE off Off OFF",
	} {
		for _, s := range strings.Fields(spellings) {
			m[s] = &node{kind: boolKind, text: to}
		}
	}
	for _, s := range []string{"", "~", "null", "Null", "NULL"} {
		m[s] = &node{kind: nullKind, text: "null"}
	}
	for to, spellings := range map[string]string{
		".nan": ".nan .NaN .NAN", ".inf": ".inf .Inf .INF +.inf +.Inf +.INF", "-.inf": "-.inf -.Inf -.INF",
	} {
		for _, s := range strings.Fields(spellings) {
			m[s] = &node{kind: numberKind, text: to}
		}
	}
	return m
}()

var decimal = regexp.MustCompile(`^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`)

// resolve reads a plain scalar.
func resolve(s string) *node {
	if n, ok := words[s]; ok {
		return n
	}
	if s[0] != '+' && s[0] != '-' && s[0] != '.' && (s[0] < '0' || s[0] > '9') {
		return &node{kind: textKind, text: s}
	}
	plain := strings.ReplaceAll(s, "_", "")
	if i, err := strconv.ParseInt(plain, 0, 64); err == nil {
		return &node{kind: numberKind, text: strconv.FormatInt(i, 10)}
	}
	if u, err := strconv.ParseUint(plain, 0, 64); err == nil {
		return &node{kind: numberKind, text: strconv.FormatUint(u, 10)}
	}
	if decimal.MatchString(plain) {
		if f, err := strconv.ParseFloat(plain, 64); err == nil {
			return &node{kind: numberKind, text: formatFloat(f)}
		}
	}
	return &node{kind: textKind, text: s}
}

// formatFloat writes 1.0 as 1, like the JSON that Kubernetes is sent.
func formatFloat(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1<<53 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

// flow is the value as one line of YAML.
func (n *node) flow() string {
	var b strings.Builder
	n.write(&b, math.MaxInt)
	return b.String()
}

// write appends the value as flow YAML, and stops soon after b is longer than limit.
func (n *node) write(b *strings.Builder, limit int) {
	switch n.kind {
	case mapKind, listKind:
		brackets := "[]"
		if n.kind == mapKind {
			brackets = "{}"
		}
		b.WriteByte(brackets[0])
		for i, item := range n.items {
			if b.Len() > limit {
				return
			}
			if i > 0 {
				b.WriteString(", ")
			}
			if n.kind == mapKind {
				b.WriteString(quoted(n.keys[i]) + ": ")
			}
			item.write(b, limit)
		}
		b.WriteByte(brackets[1])
	case textKind:
		b.WriteString(quoted(n.text))
	default:
		b.WriteString(n.text)
	}
}

var plain = regexp.MustCompile(`^-{0,2}[A-Za-z0-9_./+][A-Za-z0-9_./+@:-]*$`)

// quoted writes s as a YAML scalar on one line, with quotes where something in
// it, or the whole, would be read as anything but this text. Go's escapes are
// all YAML's as well.
func quoted(s string) string {
	if plain.MatchString(s) && !strings.HasSuffix(s, ":") && resolve(s).kind == textKind && !timestamp.MatchString(s) && s != "<<" {
		return s
	}
	return strconv.Quote(s)
}

// Readers of YAML other than Kubernetes take a date for a date.
var timestamp = regexp.MustCompile(`^[0-9]{4}-[0-9]`)
