package web_test

import (
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// element is a parsed element that tests can ask.
type element struct{ *html.Node }

func parse(t *testing.T, page string) element {
	t.Helper()
	n, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return element{n}
}

// all are the elements of a tag name ("" for any) with a class ("" for any).
func (e element) all(tag, class string) []element {
	var found []element
	for n := range e.Descendants() {
		d := element{n}
		if n.Type == html.ElementNode && (tag == "" || n.Data == tag) && (class == "" || slices.Contains(strings.Fields(d.attr("class")), class)) {
			found = append(found, d)
		}
	}
	return found
}

// text is what a person reads, on one line.
func (e element) text() string {
	var b strings.Builder
	for n := range e.Descendants() {
		switch {
		case n.Type == html.TextNode:
			b.WriteString(n.Data)
		case n.Data == "dt" || n.Data == "dd":
			b.WriteString(" ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func (e element) attr(name string) string {
	for _, a := range e.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

// cell is the board's cell of an app in an environment.
func (e element) cell(t *testing.T, app, env string) element {
	t.Helper()
	for _, row := range e.all("tr", "") {
		if head := row.all("th", ""); len(head) != 1 || head[0].text() != app {
			continue
		}
		for _, cell := range row.all("td", "") {
			if cell.attr("data-env") == env {
				return cell
			}
		}
	}
	t.Fatalf("the board has no cell for %s in %s:\n%s", app, env, e.text())
	return element{}
}

// reads fails the test unless text is there.
func (e element) reads(t *testing.T, texts ...string) {
	t.Helper()
	all := e.text()
	for _, text := range texts {
		if !strings.Contains(all, text) {
			t.Errorf("%q is not in:\n%s", text, all)
		}
	}
}

// links are the targets of all links by their text.
func (e element) links() map[string]string {
	links := map[string]string{}
	for _, a := range e.all("a", "") {
		links[a.text()] = a.attr("href")
	}
	return links
}
