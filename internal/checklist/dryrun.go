package checklist

import (
	"fmt"
	"strings"
)

// DryRun is what one cluster would say to a merge.
type DryRun struct {
	Cluster string
	Message string         // why nothing is known; "" where it answered
	Counts  map[string]int // of objects: created, changed, unchanged, refused, not tried, unclear
	Told    []DryRunObject // those of which there is something to tell
	Left    []string       // objects that are there, and are rendered no more
}

// DryRunObject is an object that is not simply taken.
type DryRunObject struct {
	Object  string // "Deployment payments/api"
	Outcome string // one of the words of Counts
	Why     string
	Who     string // can mend it
}

// The words for what becomes of an object, in the order of the table.
const (
	TriedCreated   = "created"
	TriedChanged   = "changed"
	TriedUnchanged = "unchanged"
	TriedRefused   = "refused"
	TriedUnclear   = "unclear"
	TriedNot       = "not tried"
)

var triedWords = []string{TriedCreated, TriedChanged, TriedUnchanged, TriedRefused, TriedUnclear, TriedNot}

// maxTold bounds the objects that a pull request tells of, in all clusters.
const maxTold = 20

// dryRuns is a table of the clusters, and what there is to tell of single objects;
// "" where no cluster was asked. It says no times: it would change with each.
func dryRuns(runs []DryRun) string {
	if len(runs) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| Cluster | " + strings.Join(triedWords, " | ") + " |\n|" + strings.Repeat(" --- |", len(triedWords)+1))
	var lines []string
	more := 0 // lines that are left out
	for i, r := range runs {
		if i == maxRows {
			fmt.Fprintf(&b, "\n| and %d more |%s", len(runs)-i, strings.Repeat(" |", len(triedWords)))
			break
		}
		fmt.Fprintf(&b, "\n| %s |", cell(r.Cluster))
		for _, word := range triedWords {
			count := fmt.Sprint(r.Counts[word])
			if r.Message != "" {
				count = "?"
			}
			b.WriteString(" " + count + " |")
		}
		some, of := r.lines(maxTold - len(lines))
		lines, more = append(lines, some...), more+of-len(some)
	}
	if more > 0 {
		lines = append(lines, fmt.Sprintf("- and %d more", more))
	}
	if len(lines) > 0 {
		b.WriteString("\n\n" + strings.Join(lines, "\n"))
	}
	return b.String()
}

// lines tell of the objects, the refused ones first: as many as there is room for, of
// how many there are.
func (r DryRun) lines(room int) (lines []string, of int) {
	add := func(line func() string) {
		if of++; len(lines) < room {
			lines = append(lines, line())
		}
	}
	if r.Message != "" {
		add(func() string { return "- ⏳ " + Code(r.Cluster) + ": " + sentence(r.Message) })
		return lines, of
	}
	for _, outcome := range []string{TriedRefused, TriedUnclear, TriedNot, TriedChanged} {
		for _, o := range r.Told {
			if o.Outcome == outcome {
				add(func() string { return o.line(r.Cluster) })
			}
		}
	}
	for _, object := range r.Left {
		add(func() string {
			return fmt.Sprintf("- 🗑️ %s is rendered no more: the sync deletes it in %s when all else is healthy, unless a guard keeps it.", Code(cutRunes(object, maxReason)), Code(r.Cluster))
		})
	}
	return lines, of
}

var triedIcons = map[string]string{TriedRefused: "❌", TriedUnclear: "⏳", TriedNot: "ℹ️", TriedChanged: "ℹ️"}

func (o DryRunObject) line(cluster string) string {
	line := fmt.Sprintf("- %s %s in %s, %s: %s", triedIcons[o.Outcome], Code(cutRunes(o.Object, maxReason)), Code(cluster), o.Outcome, sentence(o.Why))
	if o.Who != "" {
		line += " Who can act: " + sentence(o.Who)
	}
	return line
}

func sentence(s string) string {
	return strings.TrimSuffix(Escape(cutRunes(clean(s), maxReason)), ".") + "."
}
