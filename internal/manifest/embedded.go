package manifest

import (
	"cmp"
	"errors"
	"io"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// maxParsed bounds the work of parsing what may be no YAML at all; it is as much
// as a cluster stores of one object, and more.
const maxParsed = 2 << 20

// embedded is YAML or JSON in a text, and what of its lines is hidden.
type embedded struct {
	lines  []string
	out    []hidden
	starts []at // of all nodes, sorted
	keys   []at // of the keys that hold a secret themselves
	depth  int
	all    bool // one secret hides all lines, for the parser sees more of them than there are

	columns map[int][]int // where the characters of a line begin; a line may be a megabyte with a thousand secrets
}

// at is a place in a text, both from 1; columns count characters.
type at struct{ line, column int }

func (p at) compare(q at) int {
	return cmp.Or(cmp.Compare(p.line, q.line), cmp.Compare(p.column, q.column))
}

// hideParsed hides the secrets of a text that is YAML or JSON, and reports whether
// it is.
func hideParsed(text string, lines []string, out []hidden, depth int) bool {
	e := embedded{lines: lines, out: out, depth: depth}
	documents, ok := e.parse(text)
	if blank := withoutTemplates(text); !ok && blank != text {
		e.starts, e.keys = nil, nil
		documents, ok = e.parse(blank)
	}
	if !ok {
		return false
	}
	e.all = otherBreaks(text)
	for _, d := range documents {
		e.walk(d, scope{config: true})
	}
	for _, k := range e.keys {
		e.hideLines(k, k.line)
	}
	for i, line := range e.lines {
		e.remarks(i, line)
	}
	return true
}

var (
	templateLine = regexp.MustCompile(`(?m)^[ \t]*(?:\{\{[^{}]*\}\}[ \t]*|\{%[^{}]*%\}[ \t]*)+\r?$`)
	templatePart = regexp.MustCompile(`\{\{[^{}]*\}\}|\{%[^{}]*%\}`)
	visibleRune  = regexp.MustCompile(`[^ \t\r\n]`)
	anyRune      = regexp.MustCompile(`[^\r\n]`)
)

// withoutTemplates is a text in which something harmless stands for what a
// template engine would put there, character by character: lines of nothing else
// are blank.
func withoutTemplates(text string) string {
	if !strings.Contains(text, "{{") && !strings.Contains(text, "{%") {
		return text
	}
	text = templateLine.ReplaceAllStringFunc(text, func(s string) string { return visibleRune.ReplaceAllString(s, " ") })
	return templatePart.ReplaceAllStringFunc(text, func(s string) string { return anyRune.ReplaceAllString(s, "x") })
}

// remarks hides what a parser does not look at: comments, and secrets in keys.
func (e *embedded) remarks(i int, line string) {
	if from := credentialIn(line, e.depth); from >= 0 {
		cover(e.out, i, from, i)
	}
	for j := range len(line) {
		if line[j] != '#' || j > 0 && line[j-1] != ' ' && line[j-1] != '\t' {
			continue
		}
		if p := secretIn(line[j:], e.depth); p.from >= 0 && j+p.from < len(line) {
			cover(e.out, i, j+p.from, i)
		}
		return
	}
}

// otherBreaks reports whether a text has breaks of lines that only YAML knows.
func otherBreaks(text string) bool {
	return strings.ContainsAny(text, "\u0085\u2028\u2029") || strings.Count(text, "\r") != strings.Count(text, "\r\n")
}

// parse reads the documents of a text; a text without a mapping or a list is
// none that the parser understood.
func (e *embedded) parse(text string) (documents []*node, ok bool) {
	if first := strings.TrimLeft(text, " \t\r\n\ufeff"); len(text) > maxParsed || first == "" || len(e.lines) == 1 && !strings.ContainsAny(first, "{[") {
		return nil, false
	}
	defer func() {
		if recover() != nil {
			documents, ok = nil, false
		}
	}()
	for dec := yaml.NewDecoder(strings.NewReader(text)); ; {
		var parsed yaml.Node
		if err := dec.Decode(&parsed); err != nil {
			slices.SortFunc(e.starts, at.compare)
			return documents, errors.Is(err, io.EOF) && len(documents) > 0
		}
		e.collect(&parsed)
		c := converter{lenient: true}
		root, err := c.convert(&parsed, 0)
		switch {
		case err != nil || root.scalar() && root.kind != nullKind:
			return nil, false
		case !root.scalar():
			documents = append(documents, root)
		}
	}
}

func (e *embedded) collect(n *yaml.Node) {
	e.starts = append(e.starts, at{n.Line, n.Column})
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 && secretKeyText(child.Value) {
			e.keys = append(e.keys, at{child.Line, child.Column})
		}
		e.collect(child)
	}
}

// walk hides what is secret in n.
func (e *embedded) walk(n *node, s scope) {
	switch {
	case s.masks(n) != "":
		e.hideNode(n)
		return
	case n.scalar():
		e.text(n)
		return
	}
	s = s.around(n)
	for i, item := range n.items {
		if n.kind == listKind {
			e.walk(item, s.element("", n, i))
			continue
		}
		e.walk(item, s.key(n.keys[i]))
	}
}

// hideNode hides all of n. An alias' value stands elsewhere.
func (e *embedded) hideNode(n *node) {
	last := n.start.line
	e.leaves(n, func(leaf *node) {
		if leaf.kind == nullKind { // may stand anywhere
			return
		}
		end := e.last(leaf)
		e.hideLines(leaf.start, end)
		last = max(last, end)
	})
	if !n.scalar() {
		e.hideLines(n.start, last)
	}
}

func (e *embedded) leaves(n *node, do func(*node)) {
	if n.scalar() {
		do(n)
	}
	for _, item := range n.items {
		e.leaves(item, do)
	}
}

func (e *embedded) hideLines(from at, last int) {
	if e.all {
		if last := len(e.out) - 1; e.out[0].from != 0 || !e.out[last].more {
			cover(e.out, 0, 0, last)
		}
		return
	}
	if from.line < 1 || from.line > len(e.lines) {
		return
	}
	cover(e.out, from.line-1, e.offset(from), last-1)
}

// offset is where in its line a place is, in bytes.
func (e *embedded) offset(p at) int {
	if p.line > len(e.lines) {
		return 0
	}
	if e.columns[p.line] == nil {
		columns := []int{}
		for i := range e.lines[p.line-1] {
			columns = append(columns, i)
		}
		if e.columns == nil {
			e.columns = map[int][]int{}
		}
		e.columns[p.line] = columns
	}
	if columns := e.columns[p.line]; p.column <= len(columns) {
		return columns[p.column-1]
	}
	return len(e.lines[p.line-1])
}

// last is the last line of a scalar.
func (e *embedded) last(n *node) int {
	quote := ""
	switch {
	case n.style&yaml.DoubleQuotedStyle != 0:
		quote = `"`
	case n.style&yaml.SingleQuotedStyle != 0:
		quote = "'"
	}
	if quote != "" {
		return e.closing(n.start, quote[0])
	}
	last := len(e.lines)
	if i, found := slices.BinarySearchFunc(e.starts, n.start, at.compare); i < len(e.starts) {
		for found && i < len(e.starts) && e.starts[i] == n.start {
			i++
		}
		if i < len(e.starts) {
			next := e.starts[i]
			if last = min(next.line, len(e.lines)); strings.Trim(e.lines[last-1][:e.offset(next)], " \t-?") == "" {
				last--
			}
		}
	}
	return max(n.start.line, e.trimmed(n.start.line, last))
}

// trimmed takes away the lines after a scalar that are no part of it: white space,
// closing brackets, markers of documents, and comments that are not indented deeper.
func (e *embedded) trimmed(first, last int) int {
	for ; last > first && last <= len(e.lines); last-- {
		line := strings.TrimRight(e.lines[last-1], " \t\r")
		rest := strings.TrimLeft(line, " \t")
		comment := strings.HasPrefix(rest, "#") && len(line)-len(rest) <= indentation(e.lines[first-1])
		if !comment && strings.Trim(rest, "]},") != "" && line != "---" && line != "..." {
			break
		}
	}
	return last
}

func indentation(line string) int { return len(line) - len(strings.TrimLeft(line, " \t")) }

// closing is the line of the quote that ends a scalar.
func (e *embedded) closing(start at, quote byte) int {
	open := false
	for i := start.line - 1; i < len(e.lines); i++ {
		line := e.lines[i]
		if i == start.line-1 {
			line = line[e.offset(start):]
		}
		for j := 0; j < len(line); j++ {
			switch {
			case line[j] == '\\' && quote == '"' && open:
				j++
			case line[j] != quote:
			case !open:
				open = true
			case quote == '\'' && j+1 < len(line) && line[j+1] == '\'':
				j++
			default:
				return i + 1
			}
		}
	}
	return len(e.lines)
}

// text hides what is secret within a scalar: some lines of a literal text, else all.
func (e *embedded) text(n *node) {
	if !strings.Contains(n.text, "\n") {
		if holdsSecret(n.text, e.depth+1) {
			e.hideNode(n)
		}
		return
	}
	within := hide(n.text, e.depth+1)
	if !slices.ContainsFunc(within, func(h hidden) bool { return h.from >= 0 }) && !looksPrivate(n.text) {
		return
	}
	first := n.start.line // the index of the line after the one with the bar
	for i, line := range strings.Split(strings.TrimRight(n.text, "\n"), "\n") {
		if e.all || looksPrivate(n.text) || n.style&yaml.LiteralStyle == 0 || first+i >= len(e.lines) || !strings.HasSuffix(strings.TrimSuffix(e.lines[first+i], "\r"), line) {
			e.hideNode(n)
			return
		}
	}
	for i, line := range strings.Split(strings.TrimRight(n.text, "\n"), "\n") {
		if h := within[i]; h.from >= 0 {
			from := h.from + len(strings.TrimSuffix(e.lines[first+i], "\r")) - len(line)
			e.out[first+i] = e.out[first+i].and(hidden{from, h.more})
		}
	}
}
