package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// maxFile bounds what is parsed. What people write by hand is a few KiB.
const maxFile = 2 << 20

var bom = []byte("\xef\xbb\xbf")

// maxSteps bounds the looking up of keys. Aliases let a small file name a big
// mapping many times over; a file that people wrote stays far below.
const maxSteps = 16 << 20

// document is a file, or a YAML text inside one, as bytes and as trees that
// point into them.
type document struct {
	file   string
	data   []byte
	docs   []*yaml.Node
	lines  []int    // offset of the first byte of each line
	steps  int      // keys looked at so far
	inside *inlay   // where the text stands in its file; nil for the file itself
	inlaid []*inlay // the texts inside this one that were read as YAML
}

// refuse is an Invalid error that names file, line and reason.
func refuse(file string, line int, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, "%s:%d: %s", file, line, fmt.Sprintf(format, args...))
}

// refuse names the line of a node as people count it, also for a text inside
// another.
func (d *document) refuse(n *yaml.Node, format string, args ...any) error {
	return refuse(d.file, d.line(n), format, args...)
}

// line is where a node starts in the file, from 1.
func (d *document) line(n *yaml.Node) int {
	if d.inside == nil {
		return n.Line
	}
	return d.inside.line(n.Line)
}

func parse(file string, data []byte) (*document, error) {
	if len(data) > maxFile {
		return nil, refuse(file, 1, "the file is larger than %d MiB; split it", maxFile>>20)
	}
	if !utf8.Valid(data) {
		return nil, refuse(file, 1, "the file is not UTF-8; save it as UTF-8")
	}
	if line := oddBreak(data); line > 0 {
		return nil, refuse(file, line, "a line break here is neither LF nor CRLF; save the file with one of these")
	}
	if chartTemplate(file) {
		return nil, refuse(file, 1, "the file is a template of a chart, which Tagboat does not edit; set the version in the chart's values")
	}
	d := &document{file: file, data: data, lines: lineStarts(data)}
	docs, err := decode(data)
	if err != nil {
		return nil, d.unparsable(err)
	}
	d.docs = docs
	for _, n := range docs {
		if t := template(n); t != nil {
			return nil, refuse(file, t.Line, "the file is a template ({{ }}), not plain YAML; Tagboat edits only files that can be read as they are")
		}
	}
	return d, nil
}

// chartTemplate reports whether Helm may read a file as a template: it does so
// with everything under a chart's templates/, braces or not
// (https://helm.sh/docs/topics/charts/#the-chart-file-structure). A kustomization
// there is none: people keep skeletons in directories of that name.
func chartTemplate(file string) bool {
	return (strings.HasPrefix(file, "templates/") || strings.Contains(file, "/templates/")) && !isKustomizationFile(path.Base(file))
}

func lineStarts(data []byte) []int {
	starts := make([]int, 1, 1+bytes.Count(data, []byte("\n")))
	for i, b := range data {
		if b == '\n' {
			starts = append(starts, i+1)
		}
	}
	return starts
}

// decode reads every document of a stream. A panic of the parser on a hostile
// file is an error like any other.
func decode(data []byte) (docs []*yaml.Node, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = errors.New("the YAML parser gave up")
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for {
		n := &yaml.Node{}
		switch err := dec.Decode(n); {
		case errors.Is(err, io.EOF):
			return docs, nil
		case err != nil:
			return nil, err
		}
		docs = append(docs, n)
	}
}

var yamlErrorLine = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (d *document) unparsable(err error) error {
	text, line := err.Error(), 1
	if m := yamlErrorLine.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if n, err := strconv.Atoi(m[1]); err == nil {
			line = n
		}
	}
	if bytes.Contains(d.data, []byte("{{")) {
		return refuse(d.file, line, "not valid YAML (%s); it looks like a template ({{ }}), which Tagboat does not edit", text)
	}
	return refuse(d.file, line, "not valid YAML: %s", text)
}

// oddBreak is the line of the first break that YAML 1.1 counts and editors do
// not (lone CR, NEL, U+2028, U+2029), or 0. It would shift every position.
func oddBreak(data []byte) int {
	line := 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		switch {
		case r == '\n':
			line++
		case r == '\r' && !bytes.HasPrefix(data[i:], []byte("\r\n")):
			return line
		case r == '\u0085', r == '\u2028', r == '\u2029':
			return line
		}
		i += size
	}
	return 0
}

// template is the first node that YAML reads from an unquoted "{{ x }}": a
// mapping whose key is itself a flow mapping.
func template(n *yaml.Node) *yaml.Node {
	for i, c := range n.Content {
		isKey := n.Kind == yaml.MappingNode && i%2 == 0
		if isKey && c.Kind == yaml.MappingNode && c.Style&yaml.FlowStyle != 0 {
			return c
		}
		if t := template(c); t != nil {
			return t
		}
	}
	return nil
}
