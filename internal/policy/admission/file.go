package admission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	v1 "k8s.io/api/admissionregistration/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	node "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/yaml"
)

// File is a file of policies, bindings and what they have as parameters.
type File struct {
	Name string
	Data []byte
}

// Problem is what keeps a policy from being asked, or something about it that is
// hardly meant.
type Problem struct {
	Policy  string // "" where none is known
	File    string
	Line    int // from 1; 0 where it is about no line
	Message string
	Warning bool // everything is asked all the same
}

// document is one YAML document of a file.
type document struct {
	file string
	root *node.Node
	json []byte
}

// line is where a path of keys and indices stands, or the closest thing around it.
func (d document) line(path ...any) int {
	n := d.root
	line := n.Line
	for _, step := range path {
		var next *node.Node
		switch step := step.(type) {
		case string:
			for i := 0; n.Kind == node.MappingNode && i+1 < len(n.Content); i += 2 {
				if n.Content[i].Value == step {
					next, line = n.Content[i+1], n.Content[i].Line
				}
			}
		case int:
			if n.Kind == node.SequenceNode && step < len(n.Content) {
				next = n.Content[step]
				line = next.Line
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return line
}

// loading reads files into what they hold.
type loading struct {
	policies []*policy
	bindings []*binding
	params   []*unstructured.Unstructured
	problems []Problem
	broken   map[string]bool // policies that are there and cannot be read
}

// policy is a ValidatingAdmissionPolicy and where it stands.
type policy struct {
	document
	v1.ValidatingAdmissionPolicy
	bindings []*binding
	program
}

// binding is a ValidatingAdmissionPolicyBinding and where it stands.
type binding struct {
	document
	v1.ValidatingAdmissionPolicyBinding
}

func (l *loading) problem(name string, d document, line int, format string, args ...any) {
	l.problems = append(l.problems, Problem{Policy: name, File: d.file, Line: line, Message: fmt.Sprintf(format, args...)})
}

const maxDocuments = 1000

// read takes a file apart.
func (l *loading) read(f File) {
	defer func() {
		if r := recover(); r != nil {
			l.problem("", document{file: f.Name}, 0, "the YAML parser gave up on it")
		}
	}()
	dec := node.NewDecoder(bytes.NewReader(f.Data))
	for n := 0; ; n++ {
		var parsed node.Node
		err := dec.Decode(&parsed)
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			text, line := syntax(err)
			l.problem("", document{file: f.Name}, line, "it is not valid YAML (%s)", text)
			return
		}
		if n == maxDocuments {
			l.problem("", document{file: f.Name}, parsed.Line, "it has more than %d documents; split it", maxDocuments)
			return
		}
		if len(parsed.Content) == 1 && parsed.Content[0].Tag != "!!null" {
			l.document(document{file: f.Name, root: parsed.Content[0]})
		}
	}
}

var syntaxLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func syntax(err error) (text string, line int) {
	text = err.Error()
	if m := syntaxLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		line, _ = strconv.Atoi(m[1]) // digits, or nothing
	}
	return text, line
}

// versions are those of the API that have the fields of v1.
var versions = []string{"admissionregistration.k8s.io/v1", "admissionregistration.k8s.io/v1beta1"}

func (l *loading) document(d document) {
	text, err := node.String(d.root)
	if err == nil {
		d.json, err = yaml.YAMLToJSON([]byte(text))
	}
	object := &unstructured.Unstructured{}
	if err == nil {
		err = object.UnmarshalJSON(d.json)
	}
	if err != nil {
		l.problem("", d, d.root.Line, "the document is no Kubernetes object: %v", err)
		return
	}
	group, _, _ := strings.Cut(object.GetAPIVersion(), "/")
	switch {
	case strings.HasPrefix(object.GetAPIVersion(), "kustomize.config.k8s.io/"):
	case group == "admissionregistration.k8s.io" && !slices.Contains(versions, object.GetAPIVersion()):
		l.problem(object.GetName(), d, d.line("apiVersion"), "the version %s is not known; write apiVersion: %s", object.GetAPIVersion(), versions[0])
	case group == "admissionregistration.k8s.io" && object.GetKind() == "ValidatingAdmissionPolicy":
		p := &policy{document: d}
		if l.strictly(d, object.GetName(), &p.ValidatingAdmissionPolicy) && l.sound(p) {
			l.policies = append(l.policies, p)
		} else {
			l.broken[object.GetName()] = true
		}
	case group == "admissionregistration.k8s.io" && object.GetKind() == "ValidatingAdmissionPolicyBinding":
		b := &binding{document: d}
		if l.strictly(d, object.GetName(), &b.ValidatingAdmissionPolicyBinding) && l.bound(b) {
			l.bindings = append(l.bindings, b)
		}
	default: // a parameter, perhaps
		l.params = append(l.params, object)
	}
}

// strictly reads a document; an unknown field is a misspelt condition, and so none.
func (l *loading) strictly(d document, name string, into any) bool {
	if err := yaml.UnmarshalStrict(d.json, into); err != nil {
		text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "error unmarshaling JSON: "), "while decoding JSON: json: ")
		line := d.root.Line
		if m := unknownField.FindStringSubmatch(text); m != nil {
			line = d.keyed(m[1])
		}
		l.problem(name, d, line, "%s", text)
		return false
	}
	if name == "" {
		l.problem("", d, d.line("metadata"), "it has no metadata.name; write one")
		return false
	}
	return true
}

var unknownField = regexp.MustCompile(`unknown field "(?:[^"]*\.)?([^".]+)"`)

// keyed is the line of the first key of that name.
func (d document) keyed(key string) int {
	line := d.root.Line
	var look func(n *node.Node) bool
	look = func(n *node.Node) bool {
		for i, c := range n.Content {
			if n.Kind == node.MappingNode && i%2 == 0 && c.Value == key {
				line = c.Line
				return true
			}
			if look(c) {
				return true
			}
		}
		return false
	}
	look(d.root)
	return line
}

// sound checks what an API server refuses.
func (l *loading) sound(p *policy) bool {
	before := len(l.problems)
	at := func(line int, format string, args ...any) { l.problem(p.Name, p.document, line, format, args...) }
	if len(p.Spec.Validations) == 0 {
		at(p.line("spec", "validations"), "it has no validations; write at least one")
	}
	if f := p.Spec.FailurePolicy; f != nil && *f != v1.Fail && *f != v1.Ignore {
		at(p.line("spec", "failurePolicy"), "failurePolicy is %q; write Fail or Ignore", *f)
	}
	for i, v := range p.Spec.Validations {
		if strings.TrimSpace(v.Expression) == "" {
			at(p.line("spec", "validations", i), "the validation has no expression")
		}
	}
	if p.Spec.MatchConstraints == nil || len(p.Spec.MatchConstraints.ResourceRules) == 0 {
		at(p.line("spec", "matchConstraints"), "it has no matchConstraints.resourceRules, so nothing says what it is about")
	} else {
		l.rules(p.Name, p.document, p.Spec.MatchConstraints, "spec", "matchConstraints")
	}
	return len(l.problems) == before
}

// rules checks the rules of what matches.
func (l *loading) rules(name string, d document, m *v1.MatchResources, path ...any) {
	if m == nil {
		return
	}
	for _, list := range []struct {
		key   string
		rules []v1.NamedRuleWithOperations
	}{{"resourceRules", m.ResourceRules}, {"excludeResourceRules", m.ExcludeResourceRules}} {
		for i, r := range list.rules {
			if len(r.APIGroups) == 0 || len(r.APIVersions) == 0 || len(r.Resources) == 0 || len(r.Operations) == 0 {
				l.problem(name, d, d.line(append(slices.Clone(path), list.key, i)...), "a rule of %s needs apiGroups, apiVersions, operations and resources", list.key)
			}
		}
	}
	for key, s := range map[string]selector{"namespaceSelector": m.NamespaceSelector, "objectSelector": m.ObjectSelector} {
		if _, err := selecting(s); err != nil {
			l.problem(name, d, d.line(append(slices.Clone(path), key)...), "%s: %v", key, err)
		}
	}
}

func (l *loading) bound(b *binding) bool {
	before := len(l.problems)
	at := func(line int, format string, args ...any) {
		l.problem(b.Spec.PolicyName, b.document, line, format, args...)
	}
	if b.Spec.PolicyName == "" {
		at(b.line("spec", "policyName"), "the binding %s has no policyName", b.Name)
	}
	if len(b.Spec.ValidationActions) == 0 {
		at(b.line("spec", "validationActions"), "the binding %s has no validationActions; write [Deny] or [Warn]", b.Name)
	}
	for _, a := range b.Spec.ValidationActions {
		if a != v1.Deny && a != v1.Warn && a != v1.Audit {
			at(b.line("spec", "validationActions"), "validationActions has %q; write Deny, Warn or Audit", a)
		}
	}
	if ref := b.Spec.ParamRef; ref != nil && (ref.Name == "") == (ref.Selector == nil) {
		at(b.line("spec", "paramRef"), "paramRef needs exactly one of name and selector")
	}
	l.rules(b.Spec.PolicyName, b.document, b.Spec.MatchResources, "spec", "matchResources")
	return len(l.problems) == before
}
