package manifest

import (
	"regexp"
	"strconv"
	"strings"
)

// What stands for a value that nobody shall read. It says nothing about the
// value, not even how long it is.
const (
	maskSecret    = "(secret)"
	maskBinary    = "(binary)"
	maskEncrypted = "(encrypted)"
)

// changedMask is the mask of a value that another one took the place of.
func changedMask(mask string) string { return strings.TrimSuffix(mask, ")") + ", changed)" }

// scope is a place in an object, and what about it decides whether the values
// there are masked.
type scope struct {
	kind, path string
	base       int    // where in path the object of this kind begins
	name       string // the mapping key of this place, "" for a list's element
	mask       string // stands for whatever is here
	inner      string // stands for whatever is under each key here
	strict     bool   // the object is a Secret itself
	top        bool   // the keys here are an object's
	hot        bool   // the key here names a secret: text and numbers are masked
	deep       bool   // and so are those below, whatever their keys are
	config     bool   // within the settings of a program, where nobody knows the keys
	variables  bool   // the keys here are names of variables or files
	value      bool   // the key "value" here holds a secret
	schema     bool   // here is a part of a schema
	named      bool   // there is a key "name" here, so that "key" is a part of a reference
	command    string // what the container runs whose arguments are here
	refers     bool   // a list here, and what is in it, only says where secrets are
}

// topScope is the place of an object's top-level key. In a Secret everything is
// masked that is not known to be harmless.
func topScope(kind, name string) scope {
	s := scope{strict: kind == "Secret"}.object(kind)
	return s.key(name)
}

var simpleKey = regexp.MustCompile(`^[A-Za-z0-9_-]+$`)

// key is the place under one key of a mapping.
func (s scope) key(name string) scope {
	t := scope{kind: s.kind, base: s.base, name: name, mask: s.inner, config: s.config || name == "values" || name == "valuesObject"}
	switch {
	case secretKeyText(name):
		t.path = s.path + "[" + maskSecret + "]"
	case !simpleKey.MatchString(name):
		t.path = s.path + "[" + strconv.Quote(name) + "]"
	case s.path == "":
		t.path = name
	default:
		t.path = s.path + "." + name
	}
	if s.refers {
		t.refers = true
		return t
	}
	t.hot = secretKey(name) || s.hot && holdsValue(name) || s.variables && secretVariable(name) || t.config && secretVariable(name) && !keyOnly(name)
	t.deep = t.hot && (plural(name) || t.config && holdsAll(name))
	switch {
	case s.value && holdsValue(name), s.deep && !s.schema && !describes(name) && (name != "key" || !s.named):
		t.hot, t.deep = true, true
	}
	t.variables = holdsVariables(name) && !s.schema && s.name != "properties"
	if name == "args" {
		t.command = s.command
	}
	return s.data(t)
}

// element is the place of one element of a list.
func (s scope) element(name string, n *node, i int) scope {
	t := scope{kind: s.kind, base: s.base, path: s.path + "[" + name + "]", hot: s.hot, deep: s.deep, config: s.config, refers: s.refers}
	t.hot = t.hot || secretArgument(s.command, n, i)
	return t
}

// or is s, masked where t is masked too.
func (s scope) or(t scope) scope {
	s.hot, s.deep = s.hot || t.hot, s.deep || t.deep
	return s
}

// masks is what stands for n at this place, or "".
func (s scope) masks(n *node) string {
	switch {
	case n == nil:
		return ""
	case s.mask != "":
		return s.mask
	case s.refers && n.kind == listKind:
		return ""
	case s.inner != "" && n.kind != mapKind:
		return s.inner
	case s.hot && (n.kind == textKind || n.kind == numberKind) && !saysNothing(n.text):
		return maskSecret
	}
	return ""
}

// What stands where a secret might, and is none: the name of the variable that
// holds it, and of the file.
var (
	variable = regexp.MustCompile(`^\$(\([A-Za-z_][A-Za-z0-9_.-]*\)|\{[A-Za-z_][A-Za-z0-9_.-]*\})$`)
	filePath = regexp.MustCompile(`^(/var)?/run/secrets(/[\w.-]+)+$|^(/[\w.-]+)+\.(json|ya?ml|toml|conf|env|txt|key|pem|crt|cert|pub|jks|p12|kubeconfig|token)$`)
)

// saysNothing reports whether a text is no secret though it stands where one
// might.
func saysNothing(text string) bool {
	return text == "true" || text == "false" || variable.MatchString(text) || filePath.MatchString(text)
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
	s = s.around(n)
	for i, item := range n.items {
		var within scope
		if n.kind == mapKind {
			if secretKeyText(n.keys[i]) {
				return false
			}
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
