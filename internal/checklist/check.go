package checklist

import (
	"fmt"
	"strings"
)

// State is how far a promotion is.
type State string

const (
	StateOpen       State = "open"
	StateMerged     State = "merged"
	StateSuperseded State = "superseded"
	StateClosed     State = "closed"
)

// Check is the output of the check run "tagboat".
type Check struct {
	Title      string // at most 255 characters
	Summary    string // Markdown, at most 65,535 bytes
	Text       string // Markdown, at most 65,535 bytes
	Conclusion string // "success", "failure", "cancelled"; "" is still in progress

	Annotations []Annotation // at most 50, which is what GitHub takes at once
}

// Annotation is a remark on a line of a file.
type Annotation struct {
	Path           string
	Line           int // from 1
	Blocks         bool
	Title, Message string
}

const maxAnnotations = 50

// maxOutput is GitHub's limit for summary and text, in bytes: it stores them in a
// MySQL TEXT column (https://github.com/rust-lang/highfive/pull/321).
const maxOutput = 65535

// RenderCheck renders the check run. It succeeds only when there are gates and
// all of them pass; a verdict that nobody knows waits. A promotion that ended
// without a merge is cancelled, which never satisfies branch protection, where
// "neutral" would.
func RenderCheck(p Pull, state State) Check {
	p = p.whole()
	title, conclusion := outcome(p, state)
	return Check{
		Title:      cutRunes(clean(title), maxTitle),
		Summary:    cutLines(explanation(p.Gates), maxOutput),
		Text:       cutLines(surroundings(p)+p.Rendered+changes(cutLines(p.Diff, maxOutput/4)), maxOutput),
		Conclusion: conclusion, Annotations: p.Annotations[:min(len(p.Annotations), maxAnnotations)],
	}
}

// surroundings are what the description says around the gates, where its template
// has a place for it.
func surroundings(p Pull) string {
	text := ""
	for _, part := range []struct{ title, text string }{
		{"", carries(p)}, {"", facts(p)}, {"Commits", between(p)}, {"Upstream", upstream(p)}, {"Dry run", dryRuns(p.DryRuns)}, {returning(p), goingBack(p)},
	} {
		if part.text != "" && part.title != "" {
			text += "### " + part.title + "\n\n"
		}
		if part.text != "" {
			text += part.text + "\n\n"
		}
	}
	return text
}

func outcome(p Pull, state State) (title, conclusion string) {
	waiting, failed := split(p.Gates)
	switch {
	case state == StateMerged:
		return "Merged", "success"
	case state == StateSuperseded:
		return "Replaced by a newer version", "cancelled"
	case state == StateClosed:
		return "Closed without merging", "cancelled"
	case len(failed) > 0:
		return "Blocked by " + strings.ToLower(failed[0].title()) + ": " + failed[0].Reason, "failure"
	case len(p.Gates) == 0:
		return "Waiting for the first look at the gates", ""
	case len(waiting) > 0:
		var what []string
		for _, g := range waiting {
			what = append(what, g.missing())
		}
		return "Waiting for " + and(what), ""
	case len(overridden(p.Gates)) > 0:
		return "Nothing blocks, but people override " + and(overridden(p.Gates)), "success"
	case len(p.Gates) == 1:
		return "The only gate passes", "success"
	}
	return fmt.Sprintf("All %d gates pass", len(p.Gates)), "success"
}

// overridden are the titles of the gates that people override.
func overridden(gates []Gate) (titles []string) {
	for _, g := range gates {
		if g.Verdict == Overridden {
			titles = append(titles, strings.ToLower(g.title()))
		}
	}
	return titles
}

// split sorts out what does not pass.
func split(gates []Gate) (waiting, failed []Gate) {
	for _, g := range gates {
		switch g.Verdict {
		case Pass, Overridden:
		case Fail:
			failed = append(failed, g)
		default:
			waiting = append(waiting, g)
		}
	}
	return waiting, failed
}

func (g Gate) title() string {
	if g.Title != "" {
		return g.Title
	}
	return g.Name
}

// nouns name one of what a gate counts.
var nouns = map[string]string{"approvals": "approval", "checks": "check", HumanGate: "checklist item"}

// missing says what a gate waits for: "2 approvals", else its title.
func (g Gate) missing() string {
	noun := nouns[g.Name]
	switch {
	case noun == "" || g.Missing <= 0:
		return strings.ToLower(g.title())
	case g.Missing == 1:
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", g.Missing, noun)
}

// and joins words as people do.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}

var icons = map[Verdict]string{Pass: "✅", Overridden: "⚠️", Fail: "❌"}

func icon(v Verdict) string {
	if i := icons[v]; i != "" {
		return i
	}
	return "⏳"
}
