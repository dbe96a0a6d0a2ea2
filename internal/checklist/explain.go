package checklist

import (
	"fmt"
	"strings"
	"time"
	"unicode"
)

// maxRows bounds the list of gates; a promotion has about ten.
const maxRows = 60

// Blocker is a gate that does not pass, in the words that people read everywhere:
// in the check run, in answers to /explain, on the command line.
type Blocker struct {
	Verdict Verdict `json:"verdict"`
	Gate    string  `json:"gate"`
	Title   string  `json:"title"`
	Reason  string  `json:"reason"`
	Since   string  `json:"since"`
	Who     string  `json:"who"`  // can unblock it
	Next    string  `json:"next"` // when it is looked at
	URL     string  `json:"url"`
}

// Blockers are what blocks: first what will not pass unless somebody changes
// something, then what may.
func Blockers(gates []Gate) []Blocker {
	blockers := []Blocker{}
	waiting, failed := split(gates)
	for _, g := range append(failed, waiting...) {
		b := Blocker{
			Verdict: g.Verdict, Gate: g.Name, Title: g.title(), URL: g.URL,
			Reason: cutRunes(clean(g.Reason), maxReason), Who: cutRunes(clean(g.Owner), maxReason),
			Since: "not known", Next: "on the next event",
		}
		if !g.Since.IsZero() {
			b.Since = instant(g.Since)
		}
		switch {
		case !g.NextCheck.IsZero():
			b.Next = instant(g.NextCheck)
		case g.Every > 0:
			b.Next = fmt.Sprintf("every %.0f seconds", g.Every.Seconds())
		}
		blockers = append(blockers, b)
	}
	return blockers
}

// passing are the gates that do not block, those first that people override.
func passing(gates []Gate) (pass []Gate) {
	for _, verdict := range []Verdict{Overridden, Pass} {
		for _, g := range gates {
			if g.Verdict == verdict {
				pass = append(pass, g)
			}
		}
	}
	return pass
}

// explanation is the one list: what blocks, why, since when, who can unblock it and
// when it is looked at next; below it, what passes. Its times are instants: what
// told how long ago would have to be published anew all the time.
func explanation(gates []Gate) string {
	if len(gates) == 0 {
		return "No gate has been looked at yet."
	}
	var b strings.Builder
	blockers, pass := Blockers(gates), passing(gates)
	if len(blockers) == 0 {
		b.WriteString("Nothing blocks.\n")
	} else {
		b.WriteString("| | What blocks | Reason | Since | Who can unblock it | Next look |\n| --- | --- | --- | --- | --- | --- |\n")
	}
	for i, g := range blockers {
		if i == maxRows {
			fmt.Fprintf(&b, "| | and %d more | | | | |\n", len(blockers)-i)
			break
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", icon(g.Verdict), link(Escape(g.Title), g.URL), Escape(g.Reason), g.Since, Escape(g.Who), g.Next)
	}
	if len(pass) == 0 {
		return b.String()
	}
	heading := "What passes"
	if len(overridden(gates)) > 0 {
		heading = "What passes, or is overridden"
	}
	fmt.Fprintf(&b, "\n| | %s | Reason |\n| --- | --- | --- |\n", heading)
	for i, g := range pass {
		if i == maxRows {
			fmt.Fprintf(&b, "| | and %d more | |\n", len(pass)-i)
			break
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", icon(g.Verdict), link(Escape(g.title()), g.URL), Escape(cutRunes(clean(g.Reason), maxReason)))
	}
	return b.String()
}

// headline is where a promotion stands, in a sentence without its full stop.
func headline(p Pull) string {
	title, _ := outcome(p, StateOpen)
	return strings.TrimSuffix(cutRunes(clean(title), maxTitle), ".")
}

// RenderExplain answers /explain about an open promotion, with the list that its
// check run shows.
func RenderExplain(p Pull) string {
	text := fmt.Sprintf("**%s** %s in **%s**: %s.\n\n", Escape(p.App), Code(version(p.New)), Escape(p.Env), Escape(headline(p)))
	return cutLines(text+explanation(p.Gates), maxOutput)
}

// ExplainText is RenderExplain for a terminal.
func ExplainText(p Pull) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s in %s: %s.\n", p.App, version(p.New), p.Env, headline(p))
	for _, g := range Blockers(p.Gates) {
		fmt.Fprintf(&b, "\n%s  %s: %s\n", icon(g.Verdict), g.Title, g.Reason)
		for _, l := range []struct{ about, text string }{{"since", g.Since}, {"who can unblock it", g.Who}, {"next look", g.Next}, {"see", g.URL}} {
			if l.text != "" {
				fmt.Fprintf(&b, "    %-20s%s\n", l.about, l.text)
			}
		}
	}
	for i, g := range passing(p.Gates) {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "%s  %s: %s\n", icon(g.Verdict), g.title(), cutRunes(clean(g.Reason), maxReason))
	}
	return printable(b.String())
}

// Place is an (app, environment) into which nothing is on its way.
type Place struct {
	App, Env string
	Clusters []ClusterStatus // what it has
	Last     string          // what became of the last promotion; plain text
	Needs    []string        // what a change would need, and what stands in the way; plain sentences
}

// RenderPlace answers /explain about an (app, environment) without an open promotion.
func RenderPlace(p Place) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nothing is on its way for **%s** in **%s**.", Escape(p.App), Escape(p.Env))
	if p.Last != "" {
		b.WriteString(" " + Escape(p.Last))
	}
	b.WriteString("\n\n")
	if len(p.Clusters) == 0 {
		b.WriteString("No cluster is known to run it.\n")
	} else {
		b.WriteString(clusterTable(p.Clusters))
	}
	for i, s := range p.Needs {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- %s\n", Escape(cutRunes(clean(s), maxReason)))
	}
	return cutLines(b.String(), maxOutput)
}

// PlaceText is RenderPlace for a terminal.
func PlaceText(p Place) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Nothing is on its way for %s in %s.", p.App, p.Env)
	if p.Last != "" {
		b.WriteString(" " + clean(p.Last))
	}
	b.WriteString("\n")
	if len(p.Clusters) == 0 {
		b.WriteString("No cluster is known to run it.\n")
	}
	for _, c := range p.Clusters {
		fmt.Fprintf(&b, "\n%s  %s: %s\n", c.icon(), c.Cluster, c.words())
		for _, l := range []struct{ about, text string }{{"version", c.Tag}, {"digest", c.Digest}, {"commit", shortCommit(c.Commit)}, {"since", since(c.Since)}} {
			if l.text != "" {
				fmt.Fprintf(&b, "    %-20s%s\n", l.about, l.text)
			}
		}
	}
	for i, s := range p.Needs {
		if i == 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "- %s\n", cutRunes(clean(s), maxReason))
	}
	return printable(b.String())
}

func since(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return instant(t)
}

// printable is text without what a terminal would obey: part of it was written by
// anybody.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
			return -1
		}
		return r
	}, s)
}
