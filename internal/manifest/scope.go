package manifest

import (
	"regexp"
	"strconv"
	"strings"
)

// What stands for a value that nobody shall read. It says nothing about the
// value, not even how long it is.
const (
	maskSecret        = "(secret)"
	maskSecretChanged = "(secret, changed)"
	maskBinary        = "(binary)"
	maskBinaryChanged = "(binary, changed)"
)

// scope is a place in an object, and what about it decides whether the values
// there are masked.
type scope struct {
	kind, path string
	name       string // the mapping key of this place, "" for a list's element
	mask       string // stands for whatever is here
	inner      string // stands for whatever is under each key here
	hot        bool   // the key here names a secret: text and numbers are masked
	variables  bool   // the keys here are names of variables or files
	value      bool   // the key "value" here holds a secret
}

// topScope is the place of an object's top-level key. In a Secret everything is
// masked that is not known to be harmless.
func topScope(kind, name string) scope {
	s := scope{kind: kind}.key(name)
	switch {
	case kind == "Secret" && (name == "data" || name == "stringData"):
		s.inner = maskSecret
	case kind == "Secret":
		switch name {
		case "apiVersion", "kind", "metadata", "type", "immutable":
		default:
			s.mask = maskSecret
		}
	case kind == "ConfigMap" && name == "binaryData":
		s.inner = maskBinary
	case kind == "ConfigMap" && name == "data":
		s.variables = true
	}
	return s
}

// lastApplied holds a whole object as JSON, a Secret's values included.
const lastApplied = "kubectl.kubernetes.io/last-applied-configuration"

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// key is the place under one key of a mapping.
func (s scope) key(name string) scope {
	t := scope{kind: s.kind, name: name, mask: s.inner}
	switch {
	case !simpleKey.MatchString(name):
		t.path = s.path + "[" + strconv.Quote(name) + "]"
	case s.path == "":
		t.path = name
	default:
		t.path = s.path + "." + name
	}
	if t.mask == "" && (name == lastApplied || s.variables && secretVariable(name) || s.value && name == "value") {
		t.mask = maskSecret
	}
	t.hot = secretField(name) || s.hot && holdsValue(name)
	return t
}

// element is the place of one element of a list. An element that names a
// variable holds its value; an argument like --token is followed by one.
func (s scope) element(name string, n *node, i int) scope {
	t := scope{kind: s.kind, path: s.path + "[" + name + "]", hot: s.hot}
	t.value = secretVariable(n.items[i].str("name")) || secretVariable(n.items[i].str("key"))
	if i > 0 && n.items[i-1].kind == textKind && secretFlag(n.items[i-1].text) {
		t.hot = true
	}
	return t
}

// or is s, masked where t is masked too.
func (s scope) or(t scope) scope {
	s.hot, s.value = s.hot || t.hot, s.value || t.value
	return s
}

// masks is what stands for n at this place, or "".
func (s scope) masks(n *node) string {
	switch {
	case n == nil:
		return ""
	case s.mask != "":
		return s.mask
	case s.inner != "" && n.kind != mapKind:
		return s.inner
	case s.hot && (n.kind == textKind || n.kind == numberKind):
		return maskSecret
	}
	return ""
}

// flat is a mapping or list as one line, where that is short and everything in
// it may be read.
func (s scope) flat(n *node) (string, bool) {
	var b strings.Builder
	n.write(&b, maxFlat)
	return b.String(), b.Len() <= maxFlat && s.open(n)
}

// open reports whether everything in n may be read, and stands on one line.
func (s scope) open(n *node) bool {
	if s.masks(n) != "" || n.scalar() && (strings.Contains(n.text, "\n") || looksSecret(n.text)) {
		return false
	}
	for i, item := range n.items {
		var within scope
		if n.kind == mapKind {
			within = s.key(n.keys[i])
		} else {
			within = s.element("", n, i)
		}
		if !within.open(item) {
			return false
		}
	}
	return true
}
