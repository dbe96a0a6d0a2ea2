package envrepo

import (
	"fmt"
	"strings"
	"unicode"
)

// note is one thing that a proposal is unsure about.
type note struct {
	kind string // notes of a kind are shown together, and only some of many
	text string
}

// maxAlike is how many notes of a kind are shown.
const maxAlike = 12

func (p *proposal) note(kind, format string, args ...any) {
	n := note{kind, fmt.Sprintf(format, args...)}
	if !p.said[n] {
		p.said[n] = true
		p.notes = append(p.notes, n)
	}
}

// sentences are the notes as people read them, some of each kind.
func (p *proposal) sentences() []string {
	var order []string
	byKind := map[string][]string{}
	said := map[string]bool{}
	for _, n := range p.notes {
		if said[n.text] {
			continue
		}
		said[n.text] = true
		if byKind[n.kind] == nil {
			order = append(order, n.kind)
		}
		byKind[n.kind] = append(byKind[n.kind], oneLine(n.text))
	}
	var all []string
	for _, kind := range order {
		alike := byKind[kind]
		all = append(all, alike[:min(len(alike), maxAlike)]...)
		if more := len(alike) - maxAlike; more > 0 {
			all = append(all, fmt.Sprintf("and %d more like this", more))
		}
	}
	return all
}

// oneLine keeps file names with line breaks from ending a comment.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == '\u2028' || r == '\u2029' || r == unicode.ReplacementChar || r == '\ufeff' {
			return ' '
		}
		return r
	}, s)
}
