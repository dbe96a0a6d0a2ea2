package manifest

import (
	"bytes"
	"regexp"
	"strings"
)

// document is the text of one document of a stream.
type document struct {
	text   []byte
	number int  // from 1, empty documents not counted
	same   bool // the other side has the same text
}

// split cuts a stream at its document markers, which YAML allows at the start of
// a line only and forbids there to everything else
// (https://yaml.org/spec/1.2.2/#912-document-markers). A stream with directives
// stays in one piece: they belong to the document that follows.
func split(stream []byte) []document {
	stream = bytes.TrimPrefix(stream, []byte("\ufeff"))
	if bytes.HasPrefix(stream, []byte("%")) || bytes.Contains(stream, []byte("\n%")) {
		return []document{{text: stream, number: 1}}
	}
	var docs []document
	add := func(text []byte) {
		if !blank(text) {
			docs = append(docs, document{text: text, number: len(docs) + 1})
		}
	}
	start, at := 0, 0
	for at < len(stream) {
		end, next := len(stream), len(stream)
		if i := bytes.IndexByte(stream[at:], '\n'); i >= 0 {
			end, next = at+i, at+i+1
		}
		line := stream[at:end]
		if marker(line, "---") || marker(line, "...") {
			add(stream[start:at])
			if start = at; line[0] == '.' || len(bytes.TrimRight(line, " \t\r")) == 3 {
				start = next
			}
		}
		at = next
	}
	add(stream[start:])
	return docs
}

func marker(line []byte, what string) bool {
	return len(line) >= 3 && string(line[:3]) == what && (len(line) == 3 || strings.IndexByte(" \t\r", line[3]) >= 0)
}

// blank reports whether there is nothing but white space and comments.
func blank(text []byte) bool {
	for len(text) > 0 {
		line, rest, _ := bytes.Cut(text, []byte("\n"))
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
		text = rest
	}
	return true
}

// matchEqual marks the documents that stand on both sides byte for byte, each
// with one partner.
func matchEqual(before, after []document) {
	waiting := make(map[string][]int, len(before))
	for i, d := range before {
		waiting[string(d.text)] = append(waiting[string(d.text)], i)
	}
	for i, d := range after {
		if partners := waiting[string(d.text)]; len(partners) > 0 {
			before[partners[0]].same, after[i].same = true, true
			waiting[string(d.text)] = partners[1:]
		}
	}
}

// load is the objects of a stream. A document that the other side has too is not
// parsed where a glance tells whose it is.
func load(docs []document) ([]Object, error) {
	var objects []Object
	for _, d := range docs {
		if d.same {
			if id, ok := glance(d.text); ok {
				objects = append(objects, Object{ID: id, Document: d.number, same: true})
				continue
			}
		}
		found, err := d.objects()
		if err != nil {
			return nil, err
		}
		for i := range found {
			found[i].same = d.same
		}
		objects = append(objects, found...)
	}
	return objects, nil
}

var (
	// A plain scalar that no YAML version reads as anything but text.
	identifier = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*[./-]?[A-Za-z0-9./-]*$`)
	topKey     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*:( |$)`)
)

// glance reads the identity of a document in the style that kustomize and helm
// print, at a hundredth of the price of parsing it. It answers only where it is
// sure; whatever is unusual is left to the parser. A key that seems to stand twice
// is unusual: one of the two may be a line within a quoted text.
func glance(text []byte) (ID, bool) {
	var id ID
	seen, inMetadata, indent := false, false, 0
	for len(text) > 0 {
		var line []byte
		line, text, _ = bytes.Cut(text, []byte("\n"))
		trimmed := bytes.TrimLeft(line, " ")
		switch depth := len(line) - len(trimmed); {
		case len(trimmed) == 0 || trimmed[0] == '#':
		case depth == 0 && trimmed[0] == '-':
			inMetadata = false
		case depth == 0:
			name, value, ok := strings.Cut(string(trimmed), ":")
			if !ok || !topKey.Match(trimmed) {
				return ID{}, false
			}
			inMetadata, indent = name == "metadata", 0
			switch name {
			case "metadata":
				ok = !seen && strings.TrimSpace(value) == ""
				seen = true
			case "apiVersion":
				ok = take(&id.APIVersion, value)
			case "kind":
				ok = take(&id.Kind, value)
			}
			if !ok {
				return ID{}, false
			}
		case inMetadata:
			if indent == 0 {
				indent = depth
			}
			if depth > indent {
				continue
			}
			name, value, ok := strings.Cut(string(trimmed), ":")
			switch {
			case trimmed[0] == '-': // a list that is not indented, as kustomize prints it
				ok = true
			case depth < indent || !ok:
				return ID{}, false
			case name == "name":
				ok = take(&id.Name, value)
			case name == "namespace":
				ok = take(&id.Namespace, value)
			}
			if !ok {
				return ID{}, false
			}
		}
	}
	return id, id.APIVersion != "" && id.Kind != "" && id.Name != "" && !strings.HasSuffix(id.Kind, "List")
}

// take sets *field to value unless it is set already or value is not plainly text.
func take(field *string, value string) bool {
	value = strings.TrimPrefix(value, " ")
	if *field != "" || !identifier.MatchString(value) || resolve(value).kind != textKind {
		return false
	}
	*field = value
	return true
}
