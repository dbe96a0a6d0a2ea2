package manifest

import (
	"strconv"
	"strings"
)

const contextLines = 3

// unified compares two texts line by line, as FieldDiff.Lines says, and reports
// whether it masked something.
func unified(before, after string) (lines []string, secret bool) {
	a, b := splitLines(before), splitLines(after)
	shownA, secretA := maskLines(a)
	shownB, secretB := maskLines(b)
	show := func(mark string, shown []string, secrets []bool, from, to int) {
		for i := from; i < to; i++ {
			lines = append(lines, mark+shown[i])
			secret = secret || secrets[i]
		}
	}
	found := gaps(a, b, func(line string) string { return line })
	told := 0 // the lines of b that are told already
	for i, g := range found {
		from := max(told, g.b-contextLines)
		if len(a) > 0 && len(b) > 0 && (i == 0 || from > told) {
			lines = append(lines, "@@ line "+strconv.Itoa(from+1))
		}
		show(" ", shownB, secretB, from, g.b)
		show("-", shownA, secretA, g.a, g.aEnd)
		show("+", shownB, secretB, g.b, g.bEnd)
		told = g.bEnd
		next := len(b)
		if i+1 < len(found) {
			next = found[i+1].b
		}
		to := min(told+contextLines, next)
		show(" ", shownB, secretB, told, to)
		told = to
	}
	return lines, secret
}

// splitLines cuts a text into lines. A last line without its line break says so,
// else two texts that differ in nothing else would look the same.
func splitLines(s string) []string {
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	if last := len(lines) - 1; lines[last] == "" {
		lines = lines[:last]
	} else {
		lines[last] += " (no line break at the end)"
	}
	return lines
}

// visible writes what cannot be seen, or would move the cursor or the reading
// direction, as an escape. Tabs stay.
func visible(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && (r == '\t' || strconv.IsPrint(r))
	}
	if clean {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if r == '\t' || strconv.IsPrint(r) {
			b.WriteRune(r)
			continue
		}
		b.WriteString(strings.Trim(strconv.QuoteRune(r), "'"))
	}
	return b.String()
}
