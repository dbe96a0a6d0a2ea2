package pages

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"html"

	"github.com/yuin/goldmark/ast"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/util"
)

// box is a checkbox of a body.
type box struct {
	node *extast.TaskCheckBox
	at   int    // offset of the character between the brackets
	key  string // names the box by its text, whatever else in the body changes
}

// boxesOf are the checkboxes of a document in order.
func boxesOf(doc ast.Node, source []byte) []box {
	var found []box
	seen := map[string]int{}
	walk := func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		check, ok := n.(*extast.TaskCheckBox)
		if !ok || !entering {
			return ast.WalkContinue, nil
		}
		lines := check.Parent().Lines()
		start, end := lines.At(0).Start, lines.At(lines.Len()-1).Stop
		if start+2 >= end || source[start] != '[' || source[start+2] != ']' {
			return ast.WalkContinue, nil
		}
		sum := sha256.Sum256(source[start+3 : end])
		key := fmt.Sprintf("%x", sum[:6])
		seen[key]++
		found = append(found, box{check, start + 1, fmt.Sprintf("%s-%d", key, seen[key])})
		return ast.WalkContinue, nil
	}
	if err := ast.Walk(doc, walk); err != nil {
		return nil // our walk returns no errors
	}
	return found
}

var errBoxGone = errors.New("that checkbox is not in the description any more: it was rewritten in the meantime. Look at it again")

// setBox ticks or unticks the box of a body that key names.
func setBox(body, key string, on bool) (string, error) {
	source := []byte(body)
	for _, b := range boxesOf(parse(source), source) {
		if b.key == key {
			source[b.at] = map[bool]byte{true: 'x', false: ' '}[on]
			return string(source), nil
		}
	}
	return body, errBoxGone
}

// renderBox writes a checkbox: a button where it can be pressed, so that ticking
// needs no script.
func renderBox(w util.BufWriter, _ []byte, node ast.Node, entering bool) (ast.WalkStatus, error) {
	if !entering {
		return ast.WalkContinue, nil
	}
	checked := node.(*extast.TaskCheckBox).IsChecked
	form, pressable := node.AttributeString("form")
	if !pressable {
		_, _ = fmt.Fprintf(w, `<span class="box" role="checkbox" aria-checked="%t" aria-disabled="true"></span> `, checked)
		return ast.WalkContinue, nil
	}
	key, _ := node.AttributeString("key")
	action := map[bool]string{true: "untick", false: "tick"}[checked]
	_, _ = fmt.Fprintf(w, `<button class="box" role="checkbox" aria-checked="%t" aria-label="%s this item" title="%s" id="box-%s" form="%s" name="%s" value="%s"></button> `,
		checked, action, action, key, html.EscapeString(form.(string)), action, key)
	return ast.WalkContinue, nil
}
