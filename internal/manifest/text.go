package manifest

import (
	"fmt"
	"strings"
)

// Text is the diffs for a terminal: a summary, then overlay by overlay, object
// by object, nothing left out. Overlays that differ in the same way are told
// once. Nothing in a value can move the cursor.
func Text(diffs []OverlayDiff) string {
	var b strings.Builder
	s := Summarize(diffs)
	b.WriteString(s.headline() + "\n")
	if len(s.Images) > 0 {
		fmt.Fprintf(&b, "%s: %s\n", onlyImages(s.Images), joinImages(s.Images))
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(&b, "Warning: %s %s (%s)\n", w.Object, w.Text, strings.Join(w.Overlays, ", "))
	}
	for _, g := range groups(diffs) {
		b.WriteString("\n" + strings.Join(g.places(), ", ") + "\n")
		if g.err != "" {
			b.WriteString("  could not be compared: " + visible(g.err) + "\n")
		}
		for _, o := range g.diff.Objects {
			b.WriteString("\n  " + o.mark() + " " + o.title() + "\n")
			for _, line := range o.lines() {
				b.WriteString("      " + line + "\n")
			}
		}
	}
	return b.String()
}

// headline is the summary in one sentence.
func (s Summary) headline() string {
	if s.Differ+s.Failed == 0 {
		return "No rendered object differs."
	}
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{s.Changed, "changed"}, {s.Added, "added"}, {s.Removed, "removed"}} {
		if p.n > 0 {
			parts = append(parts, count(p.n, "object")+" "+p.what)
		}
	}
	line := count(s.Differ, "overlay") + " differ"
	if s.Differ == 1 {
		line = "1 overlay differs"
	}
	if len(parts) > 0 {
		line += ": " + strings.Join(parts, ", ")
	}
	line += "."
	if s.Failed > 0 {
		line += " " + count(s.Failed, "overlay") + " could not be compared."
	}
	if s.Same > 0 {
		line += " " + count(s.Same, "overlay") + " without a difference."
	}
	return line
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func onlyImages(images []ImageChange) string {
	if len(images) == 1 {
		return "Only the image changes"
	}
	return "Only images change"
}

func joinImages(images []ImageChange) string {
	texts := make([]string, len(images))
	for i, c := range images {
		texts[i] = c.String()
	}
	return strings.Join(texts, ", ")
}

func (o ObjectDiff) mark() string {
	switch o.Change {
	case Added:
		return "+"
	case Removed:
		return "-"
	}
	return "~"
}

// title names the object, and both suffixes of a generated name.
func (o ObjectDiff) title() string {
	switch {
	case o.Change == Removed:
		return o.ID.String() + " (removed)"
	case o.Change == Added:
		return o.ID.String() + " (added)"
	case o.Was == "":
		return o.ID.String()
	}
	was, is := hashSuffix.FindStringSubmatch(o.Was), hashSuffix.FindStringSubmatch(o.ID.Name)
	if was == nil || is == nil {
		return o.ID.String() + visible(" (was "+o.Was+")")
	}
	id := o.ID
	id.Name = is[1]
	return fmt.Sprintf("%s (generated name changed: %s -> %s)", id, was[2], is[2])
}

// lines is what is told of the object's fields, each line beginning with "+ ",
// "- " or two spaces. Of a removed object its name says all.
func (o ObjectDiff) lines() []string {
	if o.Change == Removed {
		return nil
	}
	var lines []string
	references := map[string]int{}
	var names []string
	for _, f := range o.Fields {
		switch {
		case f.Reference:
			if references[f.New]++; references[f.New] == 1 {
				names = append(names, f.New)
			}
		default:
			lines = append(lines, f.lines()...)
		}
	}
	for _, name := range names {
		lines = append(lines, "  "+count(references[name], "reference")+" to the new name "+visible(name))
	}
	return lines
}

func (f FieldDiff) lines() []string {
	path := visible(f.Path)
	switch {
	case len(f.Lines) > 0:
		mark := map[Change]string{Added: "+ ", Removed: "- ", Changed: "  "}[f.Change]
		lines := []string{mark + path + ": |"}
		for _, l := range f.Lines {
			if strings.HasPrefix(l, "@@") {
				l = " " + l
			}
			lines = append(lines, l[:1]+"   "+visible(l[1:]))
		}
		return lines
	case f.Change == Added:
		return []string{"+ " + path + ": " + visible(f.New)}
	case f.Change == Removed:
		return []string{"- " + path + ": " + visible(f.Old)}
	}
	return []string{"  " + path, "- " + visible(f.Old), "+ " + visible(f.New)}
}
