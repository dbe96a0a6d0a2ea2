package envrepo

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// Problem is one thing that is wrong in one file.
type Problem struct {
	File    string
	Line    int    // from 1
	Message string // what is wrong; what would be right
}

func (p *Problem) Error() string { return fmt.Sprintf("%s:%d: %s", p.File, p.Line, p.Message) }

// Problems lists what an error of Parse or Load is made of.
func Problems(err error) []*Problem {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var all []*Problem
		for _, e := range joined.Unwrap() {
			all = append(all, Problems(e)...)
		}
		return all
	}
	if p, ok := errors.AsType[*Problem](err); ok {
		return []*Problem{p}
	}
	return nil
}

// reader decodes a document into tagged structs, strictly, and remembers where
// each value stands so that later checks can name its line.
type reader struct {
	file     string
	lines    map[string]int // "environments[2].needs[0].env" -> line
	values   int            // read so far
	full     bool           // there are more than maxValues
	shared   string         // which environments live on one branch
	problems []*Problem
	omitted  int // problems beyond maxProblems
}

// A large tagboat.yaml has a few KiB, a few hundred values and a handful of
// environments. The bounds keep a hostile one, such as an alias bomb, from
// costing more than a moment.
const (
	maxConfig       = 1 << 20 // bytes
	maxValues       = 100_000
	maxEnvironments = 500
	maxProblems     = 100
)

// Parse reads tagboat.yaml. Its error is Invalid and joins one *Problem per
// thing that is wrong, in line order.
func Parse(file string, data []byte) (*Config, error) {
	c, r := decode(file, data)
	if len(r.problems) == 0 {
		r.validate(c)
	}
	if len(r.problems) == 0 {
		return c, nil
	}
	return nil, invalid(r.told())
}

func invalid(problems []*Problem) error {
	slices.SortStableFunc(problems, func(a, b *Problem) int { return a.Line - b.Line })
	errs := make([]error, 0, len(problems))
	for _, p := range problems {
		errs = append(errs, p)
	}
	err := errors.Join(errs...)
	return fault.E(fault.Invalid, err.Error(), err)
}

func decode(file string, data []byte) (*Config, *reader) {
	r := newReader(file)
	c := &Config{}
	if root := r.document(data); root != nil {
		r.into(root, c)
	}
	return c, r
}

func newReader(file string) *reader { return &reader{file: file, lines: map[string]int{"": 1}} }

// into decodes a document into what v points to.
func (r *reader) into(root *yaml.Node, v any) { r.value(root, "", reflect.ValueOf(v).Elem()) }

func (r *reader) report(line int, format string, args ...any) {
	if len(r.problems) >= maxProblems {
		r.omitted++
		return
	}
	r.problems = append(r.problems, &Problem{File: r.file, Line: max(line, 1), Message: fmt.Sprintf(format, args...)})
}

// told are the problems as they are shown: a broken generator can make thousands.
func (r *reader) told() []*Problem {
	if r.omitted == 0 {
		return r.problems
	}
	last := r.problems[len(r.problems)-1].Line
	for _, p := range r.problems {
		last = max(last, p.Line)
	}
	return append(r.problems, &Problem{File: r.file, Line: last, Message: fmt.Sprintf("%d more problems are not shown; mend these first", r.omitted)})
}

// at reports a problem with the value at a path; a value that is absent is
// blamed on what should hold it.
func (r *reader) at(path, format string, args ...any) {
	line, ok := r.lines[path]
	for !ok {
		path = path[:max(strings.LastIndexAny(path, ".["), 0)]
		line, ok = r.lines[path]
	}
	r.report(line, format, args...)
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (r *reader) document(data []byte) *yaml.Node {
	if len(data) > maxConfig {
		r.report(1, "the file is larger than %d MiB; it should hold a list of environments", maxConfig>>20)
		return nil
	}
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); err != nil && !errors.Is(err, io.EOF) {
		r.syntax(err)
		return nil
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		r.report(1, "the file is empty; it needs apiVersion: %s and environments:", APIVersion)
		return nil
	}
	switch err := dec.Decode(&second); {
	case err == nil:
		r.report(second.Line, "a second YAML document starts here; keep one")
	case !errors.Is(err, io.EOF):
		r.syntax(err)
	}
	return doc.Content[0]
}

func (r *reader) syntax(err error) {
	text, line := err.Error(), 1
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	r.report(line, "not valid YAML (%s); check indentation, colons and quotes near this line", text)
}

var (
	durationType  = reflect.TypeFor[time.Duration]()
	dateType      = reflect.TypeFor[Date]()
	approvalsType = reflect.TypeFor[Approvals]()
	waveType      = reflect.TypeFor[Wave]()
)

// value decodes n into v, which has one of the few kinds that Config is made of.
func (r *reader) value(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if r.values++; r.values > maxValues {
		r.tooMany(n.Line)
		return
	}
	r.lines[path] = n.Line
	switch {
	case n.Tag == "!!null":
		r.report(n.Line, "%s has no value; give one or remove the key", label(path))
	case v.Type() == durationType:
		r.duration(n, path, v)
	case v.Type() == dateType:
		r.date(n, path, v)
	case v.Type() == approvalsType && n.Kind != yaml.SequenceNode: // one rule need not stand in a list
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		r.object(n, path, v.Index(0))
	case v.Type() == waveType && n.Kind == yaml.SequenceNode: // a wave may be its clusters alone
		r.list(n, path, v.FieldByName("Clusters"))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		r.value(n, path, v.Elem())
	case v.Kind() == reflect.Struct:
		r.object(n, path, v)
	case v.Kind() == reflect.Map:
		r.table(n, path, v)
	case v.Kind() == reflect.Slice:
		r.list(n, path, v)
	case v.Kind() == reflect.Bool:
		if n.Kind != yaml.ScalarNode || n.Tag != "!!bool" {
			r.report(n.Line, "%s must be true or false", label(path))
			return
		}
		v.SetBool(strings.EqualFold(n.Value, "true"))
	case v.Kind() == reflect.Int:
		i, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || n.Tag != "!!int" || err != nil {
			r.report(n.Line, "%s must be a whole number, such as 2", label(path))
			return
		}
		v.SetInt(int64(i))
	case v.Kind() == reflect.Float64:
		f, err := strconv.ParseFloat(n.Value, 64)
		if n.Kind != yaml.ScalarNode || (n.Tag != "!!int" && n.Tag != "!!float") || err != nil || math.IsInf(f, 0) || math.IsNaN(f) {
			r.report(n.Line, "%s must be a number, such as 0.01", label(path))
			return
		}
		v.SetFloat(f)
	default:
		r.text(n, path, v)
	}
}

// tooMany ends the reading. Aliases multiply: a file of a few lines can stand for
// billions of values.
func (r *reader) tooMany(line int) {
	if !r.full {
		r.report(line, "the file says more than %d values, aliases followed; write a pattern (discover:) instead of a list", maxValues)
	}
	r.full, r.values = true, maxValues
}

func (r *reader) text(n *yaml.Node, path string, v reflect.Value) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.report(n.Line, "%s must be a string, not a %s", label(path), kind(n))
	case n.Tag != "!!str":
		r.report(n.Line, "%s must be a string; write it in quotes: %q", label(path), n.Value)
	default:
		v.SetString(n.Value)
	}
}

func (r *reader) duration(n *yaml.Node, path string, v reflect.Value) {
	d, err := time.ParseDuration(n.Value)
	if n.Kind != yaml.ScalarNode || err != nil || d < 0 {
		r.report(n.Line, "%s must be a duration such as 15m or 1h30m", label(path))
		return
	}
	v.SetInt(int64(d))
}

// date reads a day, which YAML takes for a timestamp unless it is quoted.
func (r *reader) date(n *yaml.Node, path string, v reflect.Value) {
	if _, err := time.Parse(time.DateOnly, n.Value); n.Kind != yaml.ScalarNode || err != nil {
		r.report(n.Line, "%s must be a day such as 2026-12-31", label(path))
		return
	}
	v.SetString(n.Value)
}

func (r *reader) list(n *yaml.Node, path string, v reflect.Value) {
	if n.Kind != yaml.SequenceNode {
		r.report(n.Line, "%s must be a list, not a %s", label(path), kind(n))
		return
	}
	if r.values+len(n.Content) > maxValues {
		r.tooMany(n.Line)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content)))
	for i, c := range n.Content {
		r.value(c, fmt.Sprintf("%s[%d]", path, i), v.Index(i))
	}
}

// pairs visits the keys of a mapping, refusing those that stand there twice.
func (r *reader) pairs(n *yaml.Node, path string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		r.report(n.Line, "%s must be a mapping (key: value), not a %s", label(path), kind(n))
		return
	}
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if first, twice := seen[key.Value]; twice {
			r.report(key.Line, "%s stands here a second time (first on line %d); remove one", label(join(path, key.Value)), first)
			continue
		}
		seen[key.Value] = key.Line
		visit(key, n.Content[i+1])
	}
}

func (r *reader) table(n *yaml.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	r.pairs(n, path, func(key, value *yaml.Node) {
		element := reflect.New(v.Type().Elem()).Elem()
		r.value(value, join(path, key.Value), element)
		v.SetMapIndex(reflect.ValueOf(key.Value), element)
	})
}

func (r *reader) object(n *yaml.Node, path string, v reflect.Value) {
	known := fields(v.Type())
	r.pairs(n, path, func(key, value *yaml.Node) {
		i := slices.Index(known, key.Value)
		if i < 0 {
			r.report(key.Line, "%s: unknown field %q; %s", label(path), key.Value, suggest(key.Value, known))
			return
		}
		r.value(value, join(path, key.Value), v.Field(i))
	})
	if a, ok := v.Addr().Interface().(*App); ok {
		a.line = n.Line
	}
}

// fields are the keys of a struct, in order. What carries no key stands last.
func fields(t reflect.Type) []string {
	var keys []string
	for f := range t.Fields() {
		if key := f.Tag.Get("yaml"); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// label is a path as people read it.
func label(path string) string {
	if path == "" {
		return "the file"
	}
	return path
}

func kind(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "mapping"
	case yaml.SequenceNode:
		return "list"
	}
	return "single value"
}
