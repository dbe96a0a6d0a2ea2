package checklist

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/tagboat/tagboat/internal/fault"
)

// Item is one checkbox of a body.
type Item struct {
	ID      string // of a human item
	Gate    string // of a machine item
	Text    string // Markdown, without box and marker
	Human   bool
	Checked bool
}

// markdown reads bodies as GitHub does.
var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM))

var itemMarker = regexp.MustCompile(`^<!-- tagboat:item (gate|id)=([a-z0-9][a-z0-9-]*) -->$`)

// Items reads the checkboxes of a pull request's body that Tagboat put there. A
// box without a marker is somebody's own and left out. A marker that stands there
// twice is Invalid: one could not say which box counts; rendering the body anew
// mends it.
func Items(body string) ([]Item, error) {
	var items []Item
	seen := map[string]bool{}
	for _, b := range boxes(normal(body)) {
		m := itemMarker.FindStringSubmatch(b.marker)
		if m == nil {
			continue
		}
		if seen[b.marker] {
			return nil, fault.Errorf(fault.Invalid, "the checklist has the item %q twice; Tagboat writes the description again, then tick it once more", m[2])
		}
		seen[b.marker] = true
		item := Item{Text: b.text, Checked: b.checked}
		if m[1] == "gate" {
			item.Gate = m[2]
		} else {
			item.ID, item.Human = m[2], true
		}
		items = append(items, item)
	}
	return items, nil
}

// box is a checkbox and where it stands in the source.
type box struct {
	state   int // offset of the character between the brackets
	end     int // offset where the item's text ends
	text    string
	marker  string
	checked bool
}

// boxes finds every task list item of a body, in order.
func boxes(body string) []box {
	source := []byte(body)
	var found []box
	walk := func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		check, ok := n.(*extast.TaskCheckBox)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		lines := check.Parent().Lines()
		first, last := lines.At(0), lines.At(lines.Len()-1)
		state := first.Start + 1
		if state+1 >= first.Stop || source[first.Start] != '[' || source[state+1] != ']' {
			return ast.WalkContinue, nil
		}
		b := box{state: state, checked: check.IsChecked, marker: marker(check, source)}
		raw := strings.TrimRight(string(source[state+2:last.Stop]), " \t\r\n")
		b.end = state + 2 + len(raw)
		b.text = strings.TrimSpace(strings.TrimSuffix(raw, b.marker))
		found = append(found, b)
		return ast.WalkContinue, nil
	}
	if err := ast.Walk(markdown.Parser().Parse(text.NewReader(source)), walk); err != nil {
		return nil // our walk returns no errors
	}
	return found
}

// marker is the marker that ends an item's text, or "".
func marker(check *extast.TaskCheckBox, source []byte) string {
	raw, ok := check.Parent().LastChild().(*ast.RawHTML)
	if !ok {
		return ""
	}
	if m := string(raw.Segments.Value(source)); itemMarker.MatchString(m) {
		return m
	}
	return ""
}

// normal has LF line ends; GitHub's editor writes CRLF.
func normal(s string) string { return strings.ReplaceAll(s, "\r\n", "\n") }

var notSlug = regexp.MustCompile(`[^a-z0-9]+`)

// itemID names a human item by its text, so that a tick survives rendering and
// does not survive a change of what was ticked.
func itemID(text string, seen map[string]int) string {
	text = strings.Join(strings.Fields(text), " ")
	sum := sha256.Sum256([]byte(text))
	slug := strings.Trim(notSlug.ReplaceAllString(strings.ToLower(text), "-"), "-")
	id := strings.TrimLeft(strings.TrimRight(slug[:min(len(slug), 24)], "-")+"-"+hex.EncodeToString(sum[:4]), "-")
	seen[id]++
	if n := seen[id]; n > 1 {
		id = fmt.Sprintf("%s-%d", id, n)
	}
	return id
}
