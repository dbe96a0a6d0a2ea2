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

// maxRows bounds the table of gates; a promotion has about ten.
const maxRows = 60

// RenderCheck renders the check run. It succeeds only when there are gates and
// all of them pass; a verdict that nobody knows waits. A promotion that ended
// without a merge is cancelled, which never satisfies branch protection, where
// "neutral" would.
func RenderCheck(p Pull, state State) Check {
	title, conclusion := outcome(p, state)
	return Check{
		Title:      cutRunes(clean(title), maxTitle),
		Summary:    cutLines(gateTable(p), maxOutput),
		Text:       cutLines(surroundings(p)+p.Rendered+changes(cutLines(p.Diff, maxOutput/4)), maxOutput),
		Conclusion: conclusion, Annotations: p.Annotations[:min(len(p.Annotations), maxAnnotations)],
	}
}

// surroundings are what the description says around the gates, where its template
// has a place for it.
func surroundings(p Pull) string {
	text := ""
	for _, part := range []struct{ title, text string }{
		{"", carries(p)}, {"", facts(p)}, {"Commits", between(p)}, {"Upstream", upstream(p)}, {"Going back", goingBack(p)},
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
	case len(p.Gates) == 1:
		return "The only gate passes", "success"
	}
	return fmt.Sprintf("All %d gates pass", len(p.Gates)), "success"
}

// split sorts out what does not pass.
func split(gates []Gate) (waiting, failed []Gate) {
	for _, g := range gates {
		switch g.Verdict {
		case Pass:
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

var icons = map[Verdict]string{Pass: "✅", Fail: "❌"}

func icon(v Verdict) string {
	if i := icons[v]; i != "" {
		return i
	}
	return "⏳"
}

// gateTable has a row per gate: verdict, gate, reason, who can act, next look.
func gateTable(p Pull) string {
	if len(p.Gates) == 0 {
		return "No gate has been looked at yet."
	}
	var b strings.Builder
	b.WriteString("| | Gate | Reason | Who can act | Next look |\n| --- | --- | --- | --- | --- |\n")
	for i, g := range p.Gates {
		if i == maxRows {
			fmt.Fprintf(&b, "| | and %d more | | | |\n", len(p.Gates)-i)
			break
		}
		next := "on the next event"
		if !g.NextCheck.IsZero() {
			next = instant(g.NextCheck)
		}
		if g.Verdict == Pass {
			next = ""
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", icon(g.Verdict), link(Escape(g.title()), g.URL),
			Escape(cutRunes(clean(g.Reason), maxReason)), Escape(cutRunes(clean(g.Owner), maxReason)), next)
	}
	return b.String()
}

// RenderExplain answers /explain: where this promotion stands, gate by gate, and
// for every gate that waits or fails who can act on it.
func RenderExplain(p Pull) string {
	title, _ := outcome(p, StateOpen)
	var b strings.Builder
	fmt.Fprintf(&b, "**%s** %s in **%s**: %s.\n\n", Escape(p.App), Code(version(p.New)), Escape(p.Env), strings.TrimSuffix(Escape(cutRunes(clean(title), maxTitle)), "."))
	b.WriteString(gateTable(p))
	waiting, failed := split(p.Gates)
	who := ""
	for _, g := range append(failed, waiting...) {
		if g.Owner != "" {
			who += fmt.Sprintf("- %s **%s**: %s\n", icon(g.Verdict), Escape(g.title()), Escape(cutRunes(clean(g.Owner), maxReason)))
		}
	}
	if who != "" {
		b.WriteString("\nWho can act:\n\n" + who)
	}
	return cutLines(b.String(), maxOutput)
}
