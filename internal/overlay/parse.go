package overlay

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// maxFile bounds what is parsed. People's kustomizations are a few KiB.
const maxFile = 2 << 20

var bom = []byte("\xef\xbb\xbf")

// document is a kustomization file as bytes and as trees that point into them.
type document struct {
	file  string
	data  []byte
	docs  []*yaml.Node
	lines []int // offset of the first byte of each line
}

// refuse is an Invalid error that names file, line and reason.
func refuse(file string, line int, format string, args ...any) error {
	return fault.Errorf(fault.Invalid, "%s:%d: %s", file, line, fmt.Sprintf(format, args...))
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
	d := &document{file: file, data: data, lines: []int{0}}
	for i, b := range data {
		if b == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	docs, err := decode(data)
	if err != nil {
		return nil, d.unparsable(err)
	}
	d.docs = docs
	for _, n := range docs {
		if t := template(n); t != nil {
			return nil, refuse(file, t.Line, "the file is a template ({{ }}), not plain YAML; Tagboat edits only files that Kustomize can read as they are")
		}
	}
	return d, nil
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

// offset turns a node's mark into a byte offset, or -1.
func (d *document) offset(n *yaml.Node) int {
	if n.Line < 1 || n.Line > len(d.lines) {
		return -1
	}
	at := d.lines[n.Line-1]
	if n.Line == 1 && bytes.HasPrefix(d.data, bom) {
		at += len(bom)
	}
	for range n.Column - 1 {
		if at >= len(d.data) || d.data[at] == '\n' {
			return -1
		}
		_, size := utf8.DecodeRune(d.data[at:])
		at += size
	}
	if at >= len(d.data) {
		return -1
	}
	return at
}

// span is a half-open range of bytes.
type span struct{ start, end int }

// scalar finds the bytes of a scalar, quotes included, tag excluded.
func (d *document) scalar(n *yaml.Node) (span, error) {
	at := d.offset(n)
	if at < 0 {
		return span{}, refuse(d.file, n.Line, "cannot find this value in the file; write it as a plain or quoted string on one line")
	}
	if d.data[at] == '!' {
		at = afterTag(d.data, at)
	}
	end := -1
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return span{}, refuse(d.file, n.Line, "the value is a block scalar (| or >); write it on one line")
	case n.Style&yaml.DoubleQuotedStyle != 0:
		end = closing(d.data, at, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		end = closing(d.data, at, '\'')
	case n.Value == "" || n.Tag == "!!null":
		return span{}, refuse(d.file, n.Line, "the value is empty; write a version there first, or remove the key")
	case bytes.HasPrefix(d.data[at:], []byte(n.Value)) && endsPlain(d.data[at+len(n.Value):]):
		end = at + len(n.Value)
	}
	if end < 0 {
		return span{}, refuse(d.file, n.Line, "the value goes over several lines; write it on one line")
	}
	return span{at, end}, nil
}

// afterTag is the offset of the value behind a tag such as "!!str".
func afterTag(data []byte, at int) int {
	for at < len(data) && !bytes.ContainsRune([]byte(" \t\r\n"), rune(data[at])) {
		at++
	}
	for at < len(data) && (data[at] == ' ' || data[at] == '\t') {
		at++
	}
	return at
}

// closing is the offset after the quote that closes the one at at, on the same
// line, or -1.
func closing(data []byte, at int, quote byte) int {
	if at >= len(data) || data[at] != quote {
		return -1
	}
	for i := at + 1; i < len(data); i++ {
		switch {
		case data[i] == '\n':
			return -1
		case quote == '"' && data[i] == '\\':
			i++
		case data[i] != quote:
		case quote == '\'' && i+1 < len(data) && data[i+1] == quote:
			i++
		default:
			return i + 1
		}
	}
	return -1
}

// endsPlain reports whether a plain scalar can end before rest.
func endsPlain(rest []byte) bool {
	return len(rest) == 0 || strings.IndexByte(" \t\r\n,]}", rest[0]) >= 0
}

// eol is the line break that the file uses.
func (d *document) eol() string {
	if i := bytes.IndexByte(d.data, '\n'); i > 0 && d.data[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}
