package manifest

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"
)

// How much of one thing a pull request shows. The whole is `tagboat diff`'s.
const (
	maxRows     = 25  // of the table
	maxWarnings = 10  // of the summary
	maxPlaces   = 5   // of a group's heading
	maxShown    = 150 // lines of one object
	maxRunes    = 300 // of a line
)

// Markdown is the diffs for a comment or a body on GitHub, at most limit bytes
// long (GitHub takes 65,536 characters): a summary, what to beware of, a table,
// then the objects, folded. What does not fit is left out object by object, and
// the last sentence says so. Nothing in a value is read as Markdown: values stand
// in code only, where GitHub mentions nobody and links nothing.
func Markdown(diffs []OverlayDiff, limit int) string {
	s := Summarize(diffs)
	found := groups(diffs)
	objects := 0
	for _, g := range found {
		objects += len(g.diff.Objects)
	}
	headline := "**" + s.headline() + "**\n"
	p := page{limit: limit - max(len(leftOut(objects, objects, 0)), len(leftOut(0, objects, len(found))))}
	if p.limit < len(headline) {
		return shorten(s.headline(), limit)
	}
	p.add(headline)
	p.summary(s)
	p.table(found)
	shown, rest := p.groups(found)
	if rest > 0 || shown < objects {
		p.out.WriteString(leftOut(objects-shown, objects, rest))
	}
	return p.out.String()
}

// leftOut is the sentence at the end of what is not the whole.
func leftOut(missing, objects, groups int) string {
	what := fmt.Sprintf("%d of %s", missing, count(objects, "object"))
	if missing == 0 {
		what = count(groups, "overlay") + " that could not be compared"
	}
	return "\nLeft out here, for this is too long for GitHub: " + what + ". `tagboat diff --from BASE --to HEAD` shows all.\n"
}

// shorten cuts a plain sentence to limit bytes.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	limit = max(limit, 0)
	for limit > 0 && !utf8.RuneStart(s[limit]) {
		limit--
	}
	return s[:limit]
}

// page is Markdown that never grows beyond its limit.
type page struct {
	out   strings.Builder
	limit int
}

// add appends s whole, or reports that there is no room for it.
func (p *page) add(s string) bool {
	if p.out.Len()+len(s) > p.limit {
		return false
	}
	p.out.WriteString(s)
	return true
}

func (p *page) summary(s Summary) {
	if len(s.Images) > 0 {
		line := "\n" + onlyImages(s.Images) + ": "
		for i, c := range s.Images {
			if i == maxPlaces {
				line += fmt.Sprintf(", and %d more", len(s.Images)-i)
				break
			}
			if i > 0 {
				line += ", "
			}
			if c.Name != "" {
				line += code(c.Name) + " "
			}
			line += code(c.Old) + " → " + code(c.New)
		}
		p.add(line + ".\n")
	}
	if len(s.Warnings) == 0 {
		return
	}
	lines := "\n> [!WARNING]\n"
	for i, w := range s.Warnings {
		if i == maxWarnings {
			lines += fmt.Sprintf("> - and %s\n", count(len(s.Warnings)-i, "more warning"))
			break
		}
		lines += "> - " + code(w.Object) + " " + w.Text + " (in " + some(w.Overlays) + ")\n"
	}
	if !p.add(lines) {
		p.add("\n> [!WARNING]\n> " + count(len(s.Warnings), "warning") + ", too long to show here.\n")
	}
}

// some is the first of several names as code.
func some(names []string) string {
	var shown []string
	for i, n := range names {
		if i == maxPlaces {
			return strings.Join(shown, ", ") + fmt.Sprintf(" and %d more", len(names)-i)
		}
		shown = append(shown, code(n))
	}
	return strings.Join(shown, ", ")
}

// table has one row per group of overlays that differ in the same way.
func (p *page) table(found []group) {
	if len(found) == 0 {
		return
	}
	head := "\n| overlay | changed | added | removed |\n|---|--:|--:|--:|\n"
	for i, g := range found {
		more := fmt.Sprintf("\nand %s that differ in other ways.\n", count(len(found)-i, "more group"))
		row := head + "| " + cell(some(g.places())) + " | "
		if g.err != "" {
			row += "could not be compared | | |\n"
		} else {
			var n [3]int
			for _, o := range g.diff.Objects {
				switch o.Change {
				case Changed:
					n[0]++
				case Added:
					n[1]++
				case Removed:
					n[2]++
				}
			}
			row += fmt.Sprintf("%d | %d | %d |\n", n[0], n[1], n[2])
		}
		// The details need room too.
		if i == maxRows || p.out.Len()+len(row)+len(more) > p.limit*2/3 {
			p.add(more)
			return
		}
		p.add(row)
		head = ""
	}
}

// cell keeps a pipe from ending a table's cell, even one after a backslash.
func cell(s string) string { return strings.ReplaceAll(s, "|", "¦") }

// groups adds the objects for which there is room. It returns how many it added
// and how many errors found no room.
func (p *page) groups(found []group) (objects, errors int) {
	for _, g := range found {
		heading := "\n#### " + some(g.places()) + "\n"
		if g.err != "" {
			if !p.add(heading + "\nCould not be compared: " + code(g.err) + "\n") {
				errors++
			}
			continue
		}
		for _, o := range g.diff.Objects {
			if p.add(heading + o.details()) {
				heading = ""
				objects++
			}
		}
	}
	return objects, errors
}

// details is the object, folded; a removed one is one line.
func (o ObjectDiff) details() string {
	title := "<code>" + html.EscapeString(o.mark()+" "+clip(o.title())) + "</code>"
	lines := o.lines()
	if len(lines) == 0 {
		return "\n- " + code(o.mark()+" "+o.title()) + "\n"
	}
	if len(lines) > maxShown {
		lines = append(lines[:maxShown:maxShown], fmt.Sprintf("  … %d more lines; tagboat diff shows all", len(lines)-maxShown))
	}
	var body strings.Builder
	for _, l := range lines {
		body.WriteString(clip(l) + "\n")
	}
	fence := strings.Repeat("`", max(3, longestRun(body.String())+1))
	return "\n<details><summary>" + title + "</summary>\n\n" + fence + "diff\n" + body.String() + fence + "\n\n</details>\n"
}

// code is s as inline code, whatever is in it.
func code(s string) string {
	s = clip(visible(s))
	if strings.TrimSpace(s) == "" {
		return "(nothing)"
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	if s[0] == '`' || s[len(s)-1] == '`' || s[0] == ' ' && s[len(s)-1] == ' ' {
		s = " " + s + " "
	}
	return fence + s + fence
}

// clip cuts what is too long for a line.
func clip(s string) string {
	if len(s) <= maxRunes {
		return s
	}
	n := 0
	for i := range s {
		if n == maxRunes {
			return s[:i] + fmt.Sprintf("… (%d more)", utf8.RuneCountInString(s[i:]))
		}
		n++
	}
	return s
}

// longestRun is the length of the longest run of backticks.
func longestRun(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if run++; r != '`' {
			run = 0
		}
		longest = max(longest, run)
	}
	return longest
}
