package overlay

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

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
		return span{}, d.refuse(n, "cannot find this value in the file; write it as a plain or quoted string on one line")
	}
	if d.data[at] == '!' {
		at = afterTag(d.data, at)
	}
	end := -1
	switch {
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return span{}, d.refuse(n, "the value is a block scalar (| or >); write it on one line")
	case n.Style&yaml.DoubleQuotedStyle != 0:
		end = closing(d.data, at, '"')
	case n.Style&yaml.SingleQuotedStyle != 0:
		end = closing(d.data, at, '\'')
	case n.Value == "" || n.Tag == "!!null":
		return span{}, d.refuse(n, "the value is empty; write a version there first, or remove the key")
	case bytes.HasPrefix(d.data[at:], []byte(n.Value)) && endsPlain(d.data[at+len(n.Value):]):
		end = at + len(n.Value)
	}
	if end < 0 {
		return span{}, d.refuse(n, "the value goes over several lines; write it on one line")
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
