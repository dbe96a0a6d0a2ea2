package command

import (
	"bytes"
	"iter"
	"regexp"
	"slices"
	"strings"

	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// A comment is read in two passes, because some texts of a few dozen kilobytes take a
// Markdown parser seconds, and anybody can comment. The first finds the paragraphs; the
// second reads what stands within a paragraph, and only where a line of it could be a
// command. Tables are not left to the parser: it would fill in the cells that rows do
// not have, millions of them.
var (
	blocks = parser.NewParser(
		parser.WithBlockParsers(append(parser.DefaultBlockParsers(), util.Prioritized(extension.NewFootnoteBlockParser(), 999))...),
		parser.WithParagraphTransformers(parser.DefaultParagraphTransformers()...),
	)
	inlines = parser.NewParser(
		parser.WithBlockParsers(util.Prioritized(parser.NewParagraphParser(), 100)),
		parser.WithInlineParsers(append(parser.DefaultInlineParsers(), util.Prioritized(extension.NewStrikethroughParser(), 500))...),
	)
)

const (
	// maxNested is how deep quotes and lists may be begun on one line.
	maxNested = 50
	// maxMarkup is how many characters may be markup, in all paragraphs in which a
	// command could stand.
	maxMarkup = 1000
	markup    = "`*_~[]()<>!&\\\"'$|"
)

// plainLines are the lines of plain paragraph text at the top level of a comment that
// could be wanted. What cannot be told for certain is left out.
func plainLines(body []byte, wanted func(line string) bool) iter.Seq[string] {
	return func(yield func(string) bool) {
		body := lineEndings.ReplaceAll(body, []byte("\n"))
		body = bytes.ReplaceAll(body, []byte{0}, []byte("\ufffd"))
		if nested(body) {
			return
		}
		comment := parser.NewContext()
		doc := blocks.Parse(text.NewReader(body), parser.WithContext(comment))
		depth, left := 0, maxMarkup // depth: of HTML elements that were opened and not closed
		inList := false             // what is indented may still belong to a list
		for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
			switch n := n.(type) {
			case *ast.List:
				inList = true // the parser ends some too early
			case *ast.HTMLBlock:
				depth = max(0, depth+openElements(rawText(n, body)))
			case *ast.Paragraph:
				p := n.Lines().Value(body)
				if quotesMail(p) {
					return
				}
				inList = inList && indented(n, body)
				if depth == 0 && !inList && !special(p) && holds(p, wanted) {
					if left -= marks(p); left < 0 {
						return
					}
					for _, line := range textLines(p, comment) {
						if wanted(line) && !yield(line) {
							return
						}
					}
				}
				// One that is opened within a paragraph ends the paragraph, in a browser.
				depth = max(0, depth+openElements(p))
			}
		}
	}
}

// indented reports whether a paragraph does not begin where its first line does.
func indented(p *ast.Paragraph, body []byte) bool {
	start := p.Lines().At(0).Start
	return start > 0 && body[start-1] != '\n'
}

// holds reports whether a line of a paragraph could be wanted.
func holds(paragraph []byte, wanted func(line string) bool) bool {
	for line := range bytes.Lines(paragraph) {
		if wanted(strings.Trim(string(line), " \t\n")) {
			return true
		}
	}
	return false
}

var (
	lineEndings = regexp.MustCompile(`\r\n?`)
	beginning   = regexp.MustCompile(`(?m)^(?:[ \t]*(?:>|[-+*][ \t]|[0-9]{1,9}[.)][ \t]))+`)
	marker      = regexp.MustCompile(`>|[-+*][ \t]|[0-9]+[.)][ \t]`)
)

// nested reports whether a line begins more quotes and lists than people write.
func nested(body []byte) bool {
	return slices.ContainsFunc(beginning.FindAll(body, -1), func(line []byte) bool {
		return len(marker.FindAllIndex(line, maxNested+1)) > maxNested
	})
}

func rawText(n *ast.HTMLBlock, body []byte) []byte {
	raw := n.Lines().Value(body)
	if n.HasClosure() {
		raw = append(bytes.Clone(raw), n.ClosureLine.Value(body)...)
	}
	return raw
}

var (
	htmlComment = regexp.MustCompile(`(?s)<!--.*?(?:-->|$)`)
	htmlTag     = regexp.MustCompile(`<(/?)([A-Za-z][A-Za-z0-9-]*)(?:[^<>"']|"[^"]*"|'[^']*')*?(/?)>`)
	voidTag     = regexp.MustCompile(`(?i)^(area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr)$`)
)

// openElements counts the elements that a piece of HTML opens and does not
// close; negative when it closes more. An element such as <details> holds
// paragraphs that CommonMark takes for plain ones.
func openElements(raw []byte) int {
	open := 0
	for _, m := range htmlTag.FindAllSubmatch(htmlComment.ReplaceAll(raw, nil), -1) {
		switch {
		case len(m[3]) > 0 || voidTag.Match(m[2]):
		case len(m[1]) > 0:
			open--
		default:
			open++
		}
	}
	return open
}

var (
	// quoted are the lines that mail programs put above what somebody answers, which
	// they do not always mark as a quote.
	quoted = regexp.MustCompile(`(?mi)^(?:-{2,} ?(?:original message|forwarded message|original appointment) ?-{2,}|on [^\n]* wrote:|from:[ \t][^\n]*\n(?:[^\n]*\n)?(?:sent|date|to):[ \t])`)

	// specials are the lines by which GitHub takes a paragraph for something else: the
	// second line of a table, a formula.
	specials = regexp.MustCompile(`(?m)^[ \t]*\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$|\$\$`)
)

func quotesMail(paragraph []byte) bool { return quoted.Match(paragraph) }

func special(paragraph []byte) bool { return specials.Match(paragraph) }

// textLines are those lines of a paragraph that hold nothing but text. A paragraph with
// HTML in it has none.
func textLines(paragraph []byte, comment parser.Context) []string {
	p := inlines.Parse(text.NewReader(paragraph), parser.WithContext(within{parser.NewContext(), comment})).FirstChild()
	if p == nil || p.NextSibling() != nil {
		return nil
	}
	plain := make([]bool, len(paragraph)) // the bytes that are text
	for n := p.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.RawHTML:
			return nil
		case *ast.Text:
			for i := n.Segment.Start; i < n.Segment.Stop; i++ {
				plain[i] = true
			}
		}
	}
	var lines []string
	at := 0
	for line := range bytes.Lines(paragraph) {
		trimmed := strings.Trim(string(line), " \t\n")
		start := at + bytes.Index(line, []byte(trimmed))
		if strings.HasPrefix(trimmed, "/") && !slices.Contains(plain[start:start+len(trimmed)], false) {
			lines = append(lines, trimmed)
		}
		at += len(line)
	}
	return lines
}

// within is the reading of one paragraph: links are defined anywhere in the comment.
type within struct {
	parser.Context
	comment parser.Context
}

func (w within) Reference(label string) (parser.Reference, bool) { return w.comment.Reference(label) }

// marks counts the characters that may be markup.
func marks(paragraph []byte) (n int) {
	for _, c := range markup {
		n += bytes.Count(paragraph, []byte(string(c)))
	}
	return n
}
