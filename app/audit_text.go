package app

import (
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// Text is the answer as a page for people.
func (a AuditAnswer) Text() string {
	var p page
	for _, c := range a.Changes {
		p.change(c)
	}
	if len(a.Changes) == 0 {
		p.line("No merged change was found.\n")
	}
	p.entry("Chain", a.Chain.Text())
	return p.String()
}

// Text says whether the log holds.
func (c AuditChain) Text() string {
	if b := c.Break; b != nil {
		return fmt.Sprintf("BROKEN (%s): %s: %s. %s\n%d rows before that hold.", b.Kind, b.Where(), b.Found, b.Means, c.Rows)
	}
	return fmt.Sprintf("holds: %d rows, each follows from the one before\nthe end is %s", c.Rows, c.Mark())
}

// page is text in two columns: what it is about, and what there is to say.
type page struct{ strings.Builder }

const margin = 14

func (p *page) line(format string, args ...any) { fmt.Fprintf(p, format+"\n", args...) }

// entry says lines about something; one that has none is left out.
func (p *page) entry(about string, lines ...string) {
	for line := range strings.Lines(strings.Join(lines, "\n")) {
		p.line("%-*s%s", margin, about, printable(line))
		about = ""
	}
}

// printable is a line without what a terminal would obey: part of it was written
// by anybody.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

func (p *page) change(c AuditChange) {
	was := c.Saw.OldTag
	if was != "" {
		was += " → "
	}
	p.line("%s", printable(fmt.Sprintf("%s in %s: %s%s", c.App, c.Env, was, c.Saw.Tag)))
	p.line("%s", printable(fmt.Sprintf("%s #%d, promotion %d  %s", c.Repo, c.Pull, c.Promotion, c.PullURL)))
	p.line("")
	p.entry("Merged", c.Merged.lines()...)
	p.entry("Rolled back", c.back()...)
	p.entry("Together", c.together()...)
	p.entry("Asked for", c.asked()...)
	p.entry("Approvals", c.approvals()...)
	p.entry("They saw", c.Saw.lines()...)
	p.entry("Overridden", c.overridden()...)
	p.entry("Gates", c.gates()...)
	p.entry("Checklist", c.checklist()...)
	p.entry("Clusters", c.clusters()...)
	p.line("")
}

func when(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func who(a store.Actor) string { return fmt.Sprintf("%s (%d)", a.Login, a.ID) }

func (m AuditMerged) lines() []string {
	by := "by Tagboat, every gate passing"
	switch {
	case m.By != nil:
		by = "by " + who(*m.By) + " on GitHub"
	case m.Found:
		by = "on GitHub, not by Tagboat"
	}
	return []string{
		fmt.Sprintf("%s, %s", when(m.At), by),
		fmt.Sprintf("commit %s  (row %d)", m.SHA, m.Row),
	}
}

func (c AuditChange) asked() (lines []string) {
	for _, a := range c.Asked {
		lines = append(lines, fmt.Sprintf("by %s, %s  (row %d)", who(a.Actor), when(a.At), a.Row))
	}
	if len(lines) == 0 {
		lines = []string{"by nobody: Tagboat proposed it"}
	}
	return append(lines, c.Reason)
}

// together says what a change was merged with as one.
func (c AuditChange) together() []string {
	if c.Set == nil {
		return nil
	}
	return []string{fmt.Sprintf("%s were merged as one, from %s  (set %d)", strings.Join(c.Set.Apps, ", "), c.Set.Origin, c.Set.ID)}
}

// back says what a rollback took back.
func (c AuditChange) back() (lines []string) {
	if c.Back == nil {
		return nil
	}
	lines = []string{strings.TrimSpace(c.Back.Tag+" "+c.Back.Digest) + " was taken back: " + c.Back.Reason}
	for _, sha := range c.Back.Reverts {
		lines = append(lines, "reverts commit "+sha)
	}
	return lines
}

func (c AuditChange) approvals() (lines []string) {
	for _, a := range c.Approvals {
		verdict := "counted" + countedFor(a.For)
		switch {
		case !a.Counted && a.Why != "":
			verdict = "did not count: " + a.Why
		case !a.Counted:
			verdict = "did not count"
		}
		head := "head " + a.Head
		if a.Head == c.Saw.Head {
			head = "the merged head"
		}
		lines = append(lines,
			fmt.Sprintf("%s %s, %s: %s", who(a.Actor), strings.ToLower(strings.ReplaceAll(a.State, "_", " ")), when(a.At), verdict),
			fmt.Sprintf("  saw %s, %s  (review %d)", image.ShortDigest(a.Digest), head, a.Review))
	}
	if len(lines) == 0 {
		return []string{"none"}
	}
	return lines
}

// countedFor says for which rules, and as what at that time.
func countedFor(rules []store.For) string {
	var parts []string
	for _, f := range rules {
		part := "for " + f.Rule
		if f.Team != "" {
			part += " as a member of team " + f.Team
		}
		parts = append(parts, part)
	}
	if len(parts) == 0 {
		return ""
	}
	return " " + strings.Join(parts, ", ")
}

func (s AuditSaw) lines() (lines []string) {
	for _, l := range []struct{ name, value string }{
		{"image", image.Ref{Name: s.Image, Tag: s.Tag}.String()}, {"digest", s.Digest}, {"instead of", strings.TrimSpace(s.OldTag + " " + s.OldDigest)},
		{"head", s.Head}, {"base", s.Base}, {"edit", s.Edit}, {"diff", s.Diff}, {"text", s.Body}, {"check", s.Check},
	} {
		if l.value != "" {
			lines = append(lines, fmt.Sprintf("%-12s%s", l.name, l.value))
		}
	}
	return lines
}

func (c AuditChange) gates() (lines []string) {
	if c.Merged.Found && len(c.Gates) > 0 {
		lines = append(lines, "as last observed; Tagboat did not merge it")
	}
	for _, g := range c.Gates {
		lines = append(lines,
			fmt.Sprintf("%-5s%-11s%s", verdictMark(g.Verdict), g.Gate, g.Reason),
			fmt.Sprintf("     by %s, %s%s  (evidence %d)", g.Source, when(g.ObservedAt), held(g.ExpiresAt), g.Evidence))
	}
	if len(lines) == 0 {
		return []string{"not written down"}
	}
	return lines
}

// held is until when a verdict held, where it did not hold for ever.
func held(until time.Time) string {
	if until.IsZero() {
		return ""
	}
	return ", until " + when(until)
}

// verdictMark is a verdict in its column; one that people overrode is told at length
// above.
func verdictMark(verdict string) string {
	if verdict == "overridden" {
		return "over"
	}
	return verdict
}

// overridden says who answers for gates that did not pass.
func (c AuditChange) overridden() (lines []string) {
	for _, o := range c.Overridden {
		for _, by := range o.By {
			lines = append(lines, fmt.Sprintf("%s by %s, %s: %s", o.Gate, who(by.Actor), when(by.At), by.Reason))
		}
		if o.FollowUp != "" {
			lines = append(lines, "  followed up in "+o.FollowUp)
		}
	}
	return lines
}

func (c AuditChange) checklist() (lines []string) {
	for _, t := range c.Checklist {
		box := "[x]"
		if !t.Checked {
			box = "[ ]"
		}
		lines = append(lines, fmt.Sprintf("%s %s, by %s, %s", box, t.Item, who(t.Actor), when(t.At)))
	}
	return lines
}

func (c AuditChange) clusters() (lines []string) {
	for _, s := range c.Clusters {
		line := fmt.Sprintf("%s is %s, %s", s.Cluster, s.State, when(s.At))
		if s.Message != "" {
			line += ": " + s.Message
		}
		lines = append(lines, line, fmt.Sprintf("  commit %.12s, manifests %.12s, %d objects written  (row %d)", s.Commit, s.Rendered, s.Changed, s.Row))
	}
	if len(lines) == 0 {
		return []string{"no sync is written down yet"}
	}
	return lines
}

// WriteText writes a row for people.
func (r AuditRecord) WriteText(w io.Writer) error {
	by := "Tagboat"
	if r.ActorID != 0 {
		by = who(store.Actor{ID: r.ActorID, Login: r.Actor})
	}
	about := ""
	if r.Promotion != nil {
		about = fmt.Sprintf("promotion %d ", *r.Promotion)
	}
	_, err := fmt.Fprintln(w, printable(fmt.Sprintf("%6d  %s  %-20s %s: %s%s %s", r.Row, when(r.At), by, r.Action, about, short(r.SHA), r.Inputs)))
	return err
}

// short is a commit or digest as people name it.
func short(sha string) string {
	if strings.HasPrefix(sha, "sha256:") {
		return image.ShortDigest(sha)
	}
	return sha[:min(len(sha), 12)]
}
