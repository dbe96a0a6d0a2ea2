package manifest

import (
	"regexp"
	"slices"
	"strings"
)

// maxWithin is how deep texts are looked for within texts: a file in a chart's
// values in an annotation. What is deeper is taken for a secret.
const maxWithin = 4

// hidden says of one line of a text what of it nobody shall read.
type hidden struct {
	from int  // where in the line a secret begins, -1 where none does
	more bool // the line goes on with the secret of the line before
}

// looksSecret reports whether a text on one line is, or contains, a secret.
func looksSecret(s string) bool { return holdsSecret(s, 0) }

// secretKeyText reports whether a mapping's key is itself a secret, or holds one.
func secretKeyText(key string) bool {
	return secretValue(key) || strings.ContainsAny(key, " =:@") && looksSecret(key)
}

// looksPrivate reports whether a text of several lines is a private key; no line
// of it may be shown then.
func looksPrivate(s string) bool {
	return strings.Contains(s, "PRIVATE KEY") || strings.Contains(s, "PuTTY-User-Key-File") || strings.Contains(s, "OpenVPN Static key")
}

func holdsSecret(text string, depth int) bool {
	if depth > maxWithin || looksPrivate(text) {
		return true
	}
	for _, h := range hide(text, depth) {
		if h.from >= 0 {
			return true
		}
	}
	return false
}

// hide finds the secrets in the lines of a text. Where the text is YAML or JSON,
// the parser says what stands where; where it is not, the lines themselves have to.
func hide(text string, depth int) []hidden {
	lines := strings.Split(text, "\n")
	out := make([]hidden, len(lines))
	for i := range out {
		out[i].from = -1
	}
	if depth > maxWithin {
		cover(out, 0, 0, len(lines)-1)
		return out
	}
	if !hideParsed(text, lines, out, depth) {
		hideGuessed(lines, out, depth)
	}
	hideContinued(lines, out)
	hideComments(lines, out, depth)
	hideWrapped(lines, out, depth)
	return out
}

// hideContinued hides the passwords in commands that stand on several lines.
func hideContinued(lines []string, out []hidden) {
	for i := 0; i < len(lines); i++ {
		var whole strings.Builder
		var begins []int // where in the whole the lines begin
		for last := i; last < len(lines); last++ {
			begins = append(begins, whole.Len())
			part, more := strings.CutSuffix(strings.TrimRight(lines[last], "\r"), `\`)
			whole.WriteString(part + " ")
			if !more {
				break
			}
		}
		if len(begins) == 1 {
			continue
		}
		for at := range credentials(whole.String()) {
			j, there := slices.BinarySearch(begins, at)
			if !there {
				j--
			}
			cover(out, i+j, min(at-begins[j], len(lines[i+j])), i+j)
		}
		i += len(begins) - 1
	}
}

var comment = regexp.MustCompile(`^[ \t]*((#+|//+|;+)[ \t]?)+`)

// hideComments hides the secrets in comments of several lines, which are texts by
// themselves: settings that somebody took out.
func hideComments(lines []string, out []hidden, depth int) {
	for i := 0; i < len(lines); i++ {
		var text []string
		last := i
		for ; last < len(lines) && comment.MatchString(lines[last]); last++ {
			text = append(text, comment.ReplaceAllString(lines[last], ""))
		}
		if len(text) == 0 {
			continue
		}
		for j, h := range hide(strings.Join(text, "\n"), depth+1) {
			if h.from >= 0 {
				out[i+j] = out[i+j].and(hidden{h.from + len(lines[i+j]) - len(text[j]), h.more})
			}
		}
		i = last - 1
	}
}

// and is what both hide.
func (h hidden) and(also hidden) hidden {
	if h.from >= 0 && h.from < also.from {
		also.from = h.from
	}
	return hidden{also.from, h.more || also.more}
}

// hideWrapped hides texts in base64 that were cut into lines, with a secret in them.
func hideWrapped(lines []string, out []hidden, depth int) {
	for i := 0; i < len(lines); i++ {
		var whole strings.Builder
		last := i
		for ; last < len(lines); last++ {
			part := strings.TrimRight(strings.TrimSpace(lines[last]), "=")
			if part == "" || strings.IndexFunc(part, func(r rune) bool { return r > 'z' || !inBase64(byte(r)) }) >= 0 {
				break
			}
			whole.WriteString(part)
		}
		if last > i+1 {
			if text, ok := decoded(whole.String()); ok && holdsSecret(text, depth+1) {
				cover(out, i, indentation(lines[i]), last-1)
			}
		}
		i = max(i, last-1)
	}
}

// cover hides the lines from first to last, of the first only what follows a column.
func cover(out []hidden, first, from, last int) {
	for i := first; i <= last && i < len(out); i++ {
		if i > first {
			from = 0
			out[i].more = true
		}
		out[i] = out[i].and(hidden{from: from})
	}
}

// textLine is a line of a text as it is compared and as it is shown. A secret of
// several lines is one, for their number says something about it.
type textLine struct {
	raw, shown string
	secret     bool
}

// linesOf cuts a text into lines. A last line without its line break says so,
// else two texts that differ in nothing else would look the same.
func linesOf(text string) []textLine {
	if text == "" {
		return nil
	}
	raw := strings.Split(text, "\n")
	found := hide(text, 0)
	if last := len(raw) - 1; raw[last] == "" {
		raw = raw[:last]
	} else {
		raw[last] += noBreak
	}
	var lines []textLine
	for i := 0; i < len(raw); {
		first := i
		for i++; i < len(raw) && found[i].more && found[first].from >= 0; i++ {
		}
		l := textLine{raw: strings.Join(raw[first:i], "\n")}
		if l.shown = l.raw; found[first].from >= 0 {
			l.shown, l.secret = raw[first][:found[first].from]+maskSecret, true
		}
		lines = append(lines, l)
	}
	return lines
}

const noBreak = " (no line break at the end)"
