package manifest

import (
	"slices"
	"strconv"
	"strings"
)

const contextLines = 3

// unified compares two texts line by line, as FieldDiff.Lines says, and reports
// whether it masked something.
func unified(before, after string) (lines []string, secret bool) {
	a, b := linesOf(before), linesOf(after)
	found := gaps(a, b, func(l textLine) string { return l.raw })
	markChanged(a, b, found)
	show := func(mark string, shown []textLine) {
		for _, l := range shown {
			lines = append(lines, mark+l.shown)
			secret = secret || l.secret
		}
	}
	told := 0 // the lines of b that are told already
	for i, g := range found {
		from := max(told, g.b-contextLines)
		if len(a) > 0 && len(b) > 0 && (i == 0 || from > told) {
			lines = append(lines, "@@ line "+strconv.Itoa(from+1))
		}
		show(" ", b[from:g.b])
		show("-", a[g.a:g.aEnd])
		show("+", b[g.b:g.bEnd])
		told = g.bEnd
		next := len(b)
		if i+1 < len(found) {
			next = found[i+1].b
		}
		to := min(told+contextLines, next)
		show(" ", b[told:to])
		told = to
	}
	return lines, secret
}

// markChanged has the masks of new secrets say so, where an old one that is gone
// would look the same.
func markChanged(a, b []textLine, found []gap) {
	gone := map[string][]string{} // what masked lines looked like -> what they were
	for _, g := range found {
		for _, l := range a[g.a:g.aEnd] {
			if l.secret {
				gone[l.shown] = append(gone[l.shown], l.raw)
			}
		}
	}
	for _, g := range found {
		for i := g.b; i < g.bEnd; i++ {
			if were := gone[b[i].shown]; b[i].secret && len(were) > 0 && !slices.Contains(were, b[i].raw) {
				b[i].shown = strings.TrimSuffix(b[i].shown, maskSecret) + changedMask(maskSecret)
			}
		}
	}
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
