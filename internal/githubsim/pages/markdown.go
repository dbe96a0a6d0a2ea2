package pages

import (
	"html"
	"html/template"
	"net/url"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"
)

// flavour is GitHub's Markdown, without raw HTML.
var flavour = goldmark.New(
	goldmark.WithExtensions(extension.GFM),
	goldmark.WithParserOptions(parser.WithASTTransformers(util.Prioritized(folds{}, 100))),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(inert{}, 1))),
)

// markdown renders text from outside. With the id of a form the checkboxes are
// buttons of that form.
func markdown(source, form string) template.HTML {
	text := []byte(source)
	doc := parse(text)
	if form != "" {
		for _, b := range boxesOf(doc, text) {
			b.node.SetAttributeString("form", form)
			b.node.SetAttributeString("key", b.key)
		}
	}
	var out strings.Builder
	if err := flavour.Renderer().Render(&out, text, doc); err != nil {
		return template.HTML("<pre>" + html.EscapeString(source) + "</pre>")
	}
	return template.HTML(out.String())
}

func parse(source []byte) ast.Node { return flavour.Parser().Parse(text.NewReader(source)) }

// httpOnly is s if it is an absolute http or https URL or a path of this server,
// else "".
func httpOnly(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || strings.Contains(s, `\`):
		return ""
	case (strings.EqualFold(u.Scheme, "http") || strings.EqualFold(u.Scheme, "https")) && u.Host != "":
		return s
	case u.Scheme == "" && u.Host == "" && (strings.HasPrefix(s, "/") || strings.HasPrefix(s, "#")) && !strings.HasPrefix(s, "//"):
		return s
	}
	return ""
}

// inert renders the nodes that could do something to the reader.
type inert struct{}

func (inert) RegisterFuncs(reg renderer.NodeRendererFuncRegisterer) {
	reg.Register(ast.KindLink, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		return anchor(w, n.(*ast.Link).Destination, entering)
	})
	reg.Register(ast.KindImage, func(w util.BufWriter, _ []byte, n ast.Node, entering bool) (ast.WalkStatus, error) {
		return anchor(w, n.(*ast.Image).Destination, entering)
	})
	reg.Register(ast.KindAutoLink, renderAutoLink)
	reg.Register(ast.KindFencedCodeBlock, renderFence)
	reg.Register(extast.KindTaskCheckBox, renderBox)
	reg.Register(kindFold, renderFold)
}

// anchor opens or closes a link, or a span where the link leads nowhere good.
func anchor(w util.BufWriter, destination []byte, entering bool) (ast.WalkStatus, error) {
	to := httpOnly(html.UnescapeString(string(util.URLEscape(destination, true))))
	switch {
	case to == "" && entering:
		_, _ = w.WriteString("<span>")
	case to == "":
		_, _ = w.WriteString("</span>")
	case entering:
		_, _ = w.WriteString(`<a rel="nofollow noopener noreferrer" href="` + html.EscapeString(to) + `">`)
	default:
		_, _ = w.WriteString("</a>")
	}
	return ast.WalkContinue, nil
}

func renderAutoLink(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	n := node.(*ast.AutoLink)
	_, _ = anchor(w, n.URL(source), true)
	_, _ = w.Write(util.EscapeHTML(n.Label(source)))
	return anchor(w, n.URL(source), false)
}

// renderFence writes a code block; a diff gets its colours.
func renderFence(w util.BufWriter, source []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	n := node.(*ast.FencedCodeBlock)
	if !entering {
		return ast.WalkContinue, nil
	}
	_, _ = w.WriteString("<pre><code>")
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		line := string(segment.Value(source))
		if kind := lineKind(line); kind != "" && string(n.Language(source)) == "diff" {
			_, _ = w.WriteString(`<span class="` + kind + `">` + html.EscapeString(line) + "</span>")
			continue
		}
		_, _ = w.WriteString(html.EscapeString(line))
	}
	_, _ = w.WriteString("</code></pre>\n")
	return ast.WalkSkipChildren, nil
}

func lineKind(line string) string {
	switch {
	case strings.HasPrefix(line, "+") && !strings.HasPrefix(line, "+++ "):
		return "add"
	case strings.HasPrefix(line, "-") && !strings.HasPrefix(line, "--- "):
		return "del"
	case strings.HasPrefix(line, "@@"):
		return "hunk"
	}
	return ""
}

// fold is <details> with a <summary>: the one piece of HTML that GitHub's people
// cannot do without. Only whole pairs count, so a body cannot end what the page
// began.
type fold struct {
	ast.BaseBlock
	summary string
}

var kindFold = ast.NewNodeKind("Fold")

func (*fold) Kind() ast.NodeKind { return kindFold }

func (f *fold) Dump(source []byte, level int) {
	ast.DumpHelper(f, source, level, map[string]string{"summary": f.summary}, nil)
}

func renderFold(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if entering {
		_, _ = w.WriteString("<details><summary>" + html.EscapeString(node.(*fold).summary) + "</summary>\n")
	} else {
		_, _ = w.WriteString("</details>\n")
	}
	return ast.WalkContinue, nil
}

// folds finds the pairs among the blocks of a document.
type folds struct{}

var (
	foldBegins = regexp.MustCompile(`^\s*<details>\s*<summary>([^<>]*)</summary>\s*$`)
	foldEnds   = regexp.MustCompile(`^\s*</details>\s*$`)
)

func (folds) Transform(doc *ast.Document, reader text.Reader, _ parser.Context) {
	source := reader.Source()
	for n := doc.FirstChild(); n != nil; n = n.NextSibling() {
		begin := foldBegins.FindSubmatch(rawHTML(n, source))
		end := n.NextSibling()
		for begin != nil && end != nil && !foldEnds.Match(rawHTML(end, source)) {
			end = end.NextSibling()
		}
		if begin == nil || end == nil {
			continue
		}
		f := &fold{summary: html.UnescapeString(string(begin[1]))}
		for inner := n.NextSibling(); inner != end; inner = n.NextSibling() {
			f.AppendChild(f, inner)
		}
		doc.RemoveChild(doc, end)
		doc.ReplaceChild(doc, n, f)
		n = f
	}
}

func rawHTML(n ast.Node, source []byte) []byte {
	if n.Kind() != ast.KindHTMLBlock {
		return nil
	}
	return n.Lines().Value(source)
}
