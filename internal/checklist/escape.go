package checklist

import (
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// noBreak is an invisible character that keeps GitHub from seeing a mention, a
// reference or a link in rendered text, where a backslash would not
// (https://github.com/renovatebot/renovate/issues/2558).
const noBreak = "&#8203;"

var (
	issueKey = regexp.MustCompile(`(?i)\b(GH)-([0-9])`)
	bareWWW  = regexp.MustCompile(`(?i)\b(www)\.`)
	ordinal  = regexp.MustCompile(`^([0-9]{1,9})([.)])( |$)`)
)

// Escape makes text from outside inert in Markdown: one line, no markup, HTML,
// checkbox, mention, reference, link or command, also in a table cell.
func Escape(s string) string {
	s = clean(s)
	var b strings.Builder
	for i, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r == '@' || r == '#', r == ':' && strings.HasPrefix(s[i:], "://"):
			b.WriteRune(r)
			b.WriteString(noBreak)
		case strings.ContainsRune("\\`*_[]|~$!", r), i == 0 && strings.ContainsRune("/-+=", r):
			b.WriteRune('\\')
			b.WriteRune(r)
		default:
			b.WriteRune(r)
		}
	}
	out := issueKey.ReplaceAllString(b.String(), "${1}"+noBreak+"-${2}")
	out = bareWWW.ReplaceAllString(out, "${1}"+noBreak+".")
	return ordinal.ReplaceAllString(out, `${1}\${2}${3}`)
}

// Code shows text from outside as it is, as a code span on one line; "" stays
// empty. GitHub sees no mentions or references in code.
func Code(s string) string {
	s = clean(s)
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", 1+longestRun(s, '`'))
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// cell is Code inside a table, where a pipe ends the cell even in code.
func cell(s string) string {
	return strings.ReplaceAll(Code(cutRunes(clean(s), maxReason)), "|", `\|`)
}

// fenced is a code block that its content cannot end.
func fenced(language, s string) string {
	fence := strings.Repeat("`", max(3, 1+longestRun(s, '`')))
	return fence + language + "\n" + strings.TrimRight(s, "\n") + "\n" + fence
}

func longestRun(s string, c byte) int {
	longest, run := 0, 0
	for i := range len(s) {
		if s[i] != c {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}

// clean makes one line of s, without characters that hide or reorder others.
func clean(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), r == '\u0085':
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r):
			return -1
		}
		return r
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// link is a Markdown link where address is a plain web address, else text alone.
// The text must be safe already.
func link(text, address string) string {
	u, err := url.Parse(address)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" || u.User != nil || strings.ContainsFunc(address, unsafeInLink) {
		return text
	}
	return "[" + text + "](" + address + ")"
}

func unsafeInLink(r rune) bool {
	return r <= ' ' || r > unicode.MaxASCII || strings.ContainsRune("()<>[]\\`|\"'*_~@&#!$", r) && !strings.ContainsRune("&#_~", r)
}

// cutRunes shortens s to n characters, the last of which says so.
func cutRunes(s string, n int) string {
	if utf8.RuneCountInString(s) <= n {
		return s
	}
	return string([]rune(s)[:n-1]) + "…"
}

// cutLines drops whole lines from the end until s has at most n bytes, with a
// last line that says so.
func cutLines(s string, n int) string {
	const note = "\n… (cut, it was too long)"
	if len(s) <= n {
		return s
	}
	s = s[:max(0, n-len(note))]
	if i := strings.LastIndexByte(s, '\n'); i >= 0 {
		s = s[:i]
	} else {
		s = strings.ToValidUTF8(s, "")
	}
	return s + note
}
