package overlay

import (
	"bytes"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// inlay is a YAML text that a file carries as a string, such as a patch in a
// literal block (|), and the way from its bytes to those of the file.
type inlay struct {
	outer  *document
	node   *yaml.Node // the string
	text   *document
	first  int // line of the outer text on which the inner text starts, from 1
	indent int // what precedes each line of the inner text
	start  int // offset of the first line's text, for a string on one line; else -1
	err    error
}

// inlay reads a string as YAML. nil when it is none, or not even a string.
//
// Only strings whose bytes stand in the file as they are read can be edited:
// literal blocks, and strings on one line without escapes. Others are read, but
// the inlay says why they cannot be written.
func (d *document) inlay(n *yaml.Node) *inlay {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" || d.inside != nil {
		return nil
	}
	docs, err := decode([]byte(n.Value))
	if err != nil || !anyContent(docs) {
		return nil
	}
	in := &inlay{outer: d, node: n, start: -1}
	in.text = &document{file: d.file, data: []byte(n.Value), docs: docs, lines: lineStarts([]byte(n.Value)), inside: in}
	in.err = in.locate()
	for _, doc := range docs {
		if t := template(doc); t != nil && in.err == nil {
			in.err = in.text.refuse(t, "the text is a template ({{ }}), not plain YAML")
		}
	}
	d.inlaid = append(d.inlaid, in)
	return in
}

func anyContent(docs []*yaml.Node) bool {
	for _, doc := range docs {
		if len(doc.Content) > 0 && doc.Content[0].Kind != yaml.ScalarNode {
			return true
		}
	}
	return false
}

// locate finds the inner text in the outer one and compares the two, byte for
// byte.
func (in *inlay) locate() error {
	d, n := in.outer, in.node
	in.first = n.Line
	switch {
	case n.Style&yaml.FoldedStyle != 0:
		return d.refuse(n, "the text is a folded block (>), whose lines are joined when it is read; write it as a literal block (|)")
	case n.Style&yaml.LiteralStyle != 0:
		in.first++
		return in.literal()
	}
	at, err := d.scalar(n)
	if err != nil {
		return err
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		at = span{at.start + 1, at.end - 1}
	}
	if string(d.data[at.start:at.end]) != n.Value {
		return d.refuse(n, "the text is written with escapes; write it as a literal block (|)")
	}
	in.start = at.start
	return nil
}

func (in *inlay) literal() error {
	d, lost := in.outer, in.outer.refuse(in.node, "cannot find the lines of this block; write it as a plain literal block (|)")
	lines := strings.Split(in.node.Value, "\n")
	in.indent = -1
	for i, line := range lines {
		if in.first+i > len(d.lines) {
			if strings.Join(lines[i:], "") == "" {
				return nil
			}
			return lost
		}
		if line == "" {
			continue
		}
		written := d.lineText(in.first + i)
		if in.indent < 0 {
			in.indent = len(written) - len(line)
		}
		if in.indent < 0 || len(written) < in.indent || string(written[in.indent:]) != line || len(bytes.Trim(written[:in.indent], " ")) > 0 {
			return lost
		}
	}
	return nil
}

// lineText is a line without its break.
func (d *document) lineText(line int) []byte {
	text := d.data[d.lines[line-1]:]
	if line < len(d.lines) {
		text = d.data[d.lines[line-1] : d.lines[line]-1]
	}
	return bytes.TrimSuffix(text, []byte("\r"))
}

// line turns a line of the inner text into one of the file.
func (in *inlay) line(inner int) int { return in.first + inner - 1 }

// outward turns a span of a text, which stands on one line, into one of the file.
func (d *document) outward(s span) span {
	in := d.inside
	if in == nil {
		return s
	}
	start := in.start + s.start
	if in.start < 0 {
		line := 1 + bytes.Count(d.data[:s.start], []byte("\n"))
		start = in.outer.lines[in.line(line)-1] + in.indent + s.start - d.lines[line-1]
	}
	return span{start, start + s.end - s.start}
}
