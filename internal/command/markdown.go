package command

import (
	"bytes"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
)

// markdown reads comments as GitHub does.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))

// plainLines are the lines of plain paragraph text at the top level of a comment.
func plainLines(body []byte) []string {
	body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
	doc := markdown.Parser().Parse(text.NewReader(body))
	var lines []string
	depth := 0 // of HTML elements that an HTML block opened and did not close
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.HTMLBlock:
			depth = max(0, depth+openElements(rawText(n, body)))
		case *ast.Paragraph:
			if depth == 0 {
				lines = append(lines, textLines(n, body)...)
			}
		}
	}
	return lines
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

// textLines are those lines of a paragraph that hold nothing but text. A
// paragraph with HTML in it has none.
func textLines(p *ast.Paragraph, body []byte) []string {
	plain := map[int]bool{} // offsets of bytes that are text
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
	for i := range p.Lines().Len() {
		segment := p.Lines().At(i)
		line := strings.TrimSpace(string(segment.Value(body)))
		start := segment.Start + bytes.Index(body[segment.Start:segment.Stop], []byte(line))
		whole := strings.HasPrefix(line, "/")
		for at := start; whole && at < start+len(line); at++ {
			whole = plain[at]
		}
		if whole {
			lines = append(lines, line)
		}
	}
	return lines
}
