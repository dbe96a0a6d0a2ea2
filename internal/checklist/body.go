package checklist

import (
	"cmp"
	_ "embed"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"text/template"
	"text/template/parse"
	"time"
	"unicode/utf8"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// DefaultTemplate is the body of an environment that has no template of its own.
// It has no human items.
//
//go:embed default.md
var DefaultTemplate string

// TemplateFile is where an env repo keeps an environment's template, on its base
// branch.
func TemplateFile(env string) string { return ".tagboat/pull_request_template." + env + ".md" }

// maxBody is GitHub's limit for a body, in characters
// (https://github.com/orgs/community/discussions/27190).
const maxBody = 65536

// Text is a value from outside as a template sees it: printed, it is escaped;
// {{.Tag.Code}} shows it as code.
type Text string

func (t Text) String() string { return Escape(string(t)) }

// Code is the value as a code span.
func (t Text) Code() string { return Code(string(t)) }

// page is what a template can print.
type page struct {
	App, Env, Image                      Text
	Old, New                             Text // versions: the tag, else the short digest
	OldTag, NewTag, OldDigest, NewDigest Text
	SourceRepo, SourceCommit, RunURL     Text
	RequestedBy, Reason, MediaType       Text
	Platforms                            []Text
	// Finished Markdown: a table, the machine items, the diff, what the clusters get.
	Facts, Gates, Changes, Rendered string
	// And what is around it: the commits between the images, what the needed
	// environments run, what else the merge brings, and the way back.
	Commits, Upstream, Carries, Rollback string
	DryRun                               string // what the clusters would say to it, as Markdown
}

func newPage(p Pull, diff string) page {
	g := page{
		App: Text(p.App), Env: Text(p.Env), Image: Text(p.Image), Old: Text(version(p.Old)), New: Text(version(p.New)),
		OldTag: Text(p.Old.Tag), NewTag: Text(p.New.Tag), OldDigest: Text(p.Old.Digest), NewDigest: Text(p.New.Digest),
		SourceRepo: Text(p.SourceRepo), SourceCommit: Text(p.SourceCommit), RunURL: Text(p.RunURL),
		RequestedBy: Text(p.RequestedBy), Reason: Text(p.Reason), MediaType: Text(p.MediaType),
		Facts: facts(p), Gates: machineItems(p), Changes: changes(diff), Rendered: p.Rendered, DryRun: dryRuns(p.DryRuns),
		Commits: between(p), Upstream: upstream(p), Carries: carries(p), Rollback: goingBack(p),
	}
	if p.Set != nil {
		g.App, g.Image, g.Old, g.OldTag, g.OldDigest, g.NewDigest = Text(and(p.Set.apps())), "", "", "", "", ""
		g.New = Text(p.Set.versions(func(m Pull) image.Ref { return m.New }))
		g.NewTag, g.SourceRepo, g.SourceCommit, g.RunURL, g.MediaType, p.Platforms = g.New, "", "", "", "", nil
	}
	for _, s := range p.Platforms {
		g.Platforms = append(g.Platforms, Text(s))
	}
	return g
}

// RenderBody renders a pull request's body from its environment's template ("" is
// DefaultTemplate). Every "- [ ] text" of the template is an item for a person,
// ticked where p.Ticks says so; {{.Gates}} are the machine items, appended where
// the template does not print them. What is too long for GitHub is cut: the diff,
// then what the clusters get, then what they would say to it.
//
// Invalid when the template cannot be executed, hides the checklist (an open code
// fence or HTML comment) or is too long.
func RenderBody(tmpl string, p Pull) (string, error) {
	p = p.whole()
	diff := p.Diff
	for {
		body, err := renderBody(tmpl, p, diff)
		if err != nil {
			return "", err
		}
		over := utf8.RuneCountInString(body) - maxBody
		if over <= 0 {
			return body, nil
		}
		if diff == "" && p.Rendered != "" {
			p.Rendered = "" // the check run shows it
			continue
		}
		if diff == "" && p.DryRuns != nil {
			p.DryRuns = nil // as above
			continue
		}
		if diff == "" && p.Between != nil && len(p.Between.Newest) > 0 {
			short := *p.Between
			short.Newest = nil
			p.Between = &short
			continue
		}
		if short, ok := p.shorter(); diff == "" && ok {
			p = short
			continue
		}
		if diff == "" && len(p.Carries) > 1 {
			p.Carries = p.Carries[:1]
			continue
		}
		if diff == "" {
			return "", templateError(fmt.Errorf("the description is %d characters too long for GitHub; shorten the template", over))
		}
		diff = shorten(diff, over)
	}
}

// shorten drops over bytes and a little more from the end of a diff.
func shorten(diff string, over int) string {
	const slack = 64
	if keep := len(diff) - over - slack; keep > slack {
		return cutLines(diff, keep)
	}
	return ""
}

func renderBody(tmpl string, p Pull, diff string) (string, error) {
	text, err := execute(tmpl, p, diff)
	if err != nil {
		return "", err
	}
	body, want, err := mark(text, p)
	if err != nil {
		return "", err
	}
	header, err := header(p)
	if err != nil {
		return "", err
	}
	body = header + "\n" + body
	got, err := Items(body)
	if err != nil {
		return "", templateError(err)
	}
	if !slices.Equal(want, got) {
		return "", templateError(errors.New("it hides checklist items; close every code fence and HTML comment, and print {{.Gates}} at the start of a line"))
	}
	return body, nil
}

func templateError(err error) error {
	return fault.E(fault.Invalid, "the pull request template cannot be used: "+err.Error(), fmt.Errorf("pull request template: %w", err))
}

// execute fills the template in and makes sure that the machine items are there.
func execute(tmpl string, p Pull, diff string) (string, error) {
	if strings.TrimSpace(tmpl) == "" {
		tmpl = DefaultTemplate
	}
	if strings.Contains(tmpl, "tagboat:") {
		return "", templateError(errors.New("it contains a marker of Tagboat (tagboat:); remove it"))
	}
	t, err := template.New("template").Parse(normal(tmpl))
	if err != nil {
		return "", templateError(err)
	}
	if len(t.Templates()) > 1 {
		return "", templateError(errors.New("it defines templates of its own; write the text out"))
	}
	if t.Tree != nil {
		if err := terminates(t.Root, false); err != nil {
			return "", templateError(err)
		}
	}
	var out bounded
	g := newPage(p, diff)
	if err := t.Execute(&out, g); err != nil {
		return "", templateError(err)
	}
	text := blankLines.ReplaceAllString(strings.TrimSpace(out.String()), "\n\n")
	if !strings.Contains(text, g.Gates) {
		text += "\n\n### Gates\n\n" + g.Gates
	}
	return text + "\n", nil
}

// terminates refuses what can make a short template run for long: loops in loops
// or over anything but the one list that a page has, and calls.
func terminates(n parse.Node, looping bool) error {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil { // the else that is not there
			return nil
		}
		for _, child := range n.Nodes {
			if err := terminates(child, looping); err != nil {
				return err
			}
		}
	case *parse.TemplateNode:
		return errors.New("it calls a template; write the text out")
	case *parse.RangeNode:
		if looping || !strings.HasSuffix(n.Pipe.String(), ".Platforms") {
			return errors.New("range works on .Platforms only, and not inside another range")
		}
		return cmp.Or(terminates(n.List, true), terminates(n.ElseList, looping))
	case *parse.IfNode:
		return cmp.Or(terminates(n.List, looping), terminates(n.ElseList, looping))
	case *parse.WithNode:
		return cmp.Or(terminates(n.List, looping), terminates(n.ElseList, looping))
	}
	return nil
}

var blankLines = regexp.MustCompile(`\n{3,}`)

// bounded is a buffer that a template cannot fill without end.
type bounded struct{ strings.Builder }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > 64*maxBody {
		return 0, errors.New("it prints without end")
	}
	return b.Builder.Write(p)
}

// mark gives every human item its marker and its tick, and returns the items that
// the body must be read back as.
func mark(text string, p Pull) (string, []Item, error) {
	var items []Item
	var out strings.Builder
	seen, at := map[string]int{}, 0
	for _, b := range boxes(text) {
		if m := itemMarker.FindStringSubmatch(b.marker); m != nil {
			items = append(items, Item{Gate: m[2], Text: b.text, Checked: b.checked})
			continue
		}
		if b.text == "" {
			return "", nil, templateError(errors.New("it has a checklist item without text"))
		}
		item := Item{ID: itemID(b.text, seen), Text: b.text, Human: true}
		_, item.Checked = p.Ticks[item.ID]
		state := " "
		if item.Checked {
			state = "x"
		}
		out.WriteString(text[at:b.state] + state + text[b.state+1:b.end] + " <!-- tagboat:item id=" + item.ID + " -->")
		at = b.end
		items = append(items, item)
	}
	gates := 0
	for _, i := range items {
		if !i.Human {
			gates++
		}
	}
	if want := len(machineGates(p)); gates != want {
		return "", nil, templateError(fmt.Errorf("it shows %d of %d machine items; close every code fence and HTML comment, and print {{.Gates}} once, at the start of a line", gates, want))
	}
	out.WriteString(text[at:])
	return out.String(), items, nil
}

// HumanItems lists the items that a template demands from people for p, with
// their ticks.
func HumanItems(tmpl string, p Pull) ([]Item, error) {
	body, err := RenderBody(tmpl, p)
	if err != nil {
		return nil, err
	}
	items, err := Items(body)
	return slices.DeleteFunc(items, func(i Item) bool { return !i.Human }), err
}

var keyGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// header is the invisible first line of a body, which names its promotion.
func header(p Pull) (string, error) {
	if !keyGrammar.MatchString(p.App) || !keyGrammar.MatchString(p.Env) {
		return "", fault.Errorf(fault.Invalid, "app %q and environment %q must be names (a-z, 0-9, '.', '_', '-')", p.App, p.Env)
	}
	digest := p.New.Digest
	if !image.ValidDigest(digest) {
		digest = ""
	}
	return fmt.Sprintf("<!-- tagboat:promotion env=%s app=%s digest=%s -->", p.Env, p.App, digest), nil
}

var headerGrammar = regexp.MustCompile(`^<!-- tagboat:promotion env=[^ ]+ app=[^ ]+ digest=([a-z0-9:]*) -->(?:\r?\n|$)`)

// Digest is what a body was rendered for; "" where it does not say.
func Digest(body string) string {
	if m := headerGrammar.FindStringSubmatch(body); m != nil {
		return m[1]
	}
	return ""
}

func machineGates(p Pull) []Gate {
	return slices.DeleteFunc(slices.Clone(p.Gates), func(g Gate) bool { return g.Name == HumanGate })
}

// machineItems are the items that Tagboat ticks, one per gate.
func machineItems(p Pull) string {
	var lines []string
	for _, g := range machineGates(p) {
		state := " "
		if g.Verdict == Pass || g.Verdict == Overridden {
			state = "x"
		}
		line := fmt.Sprintf("- [%s] **%s**", state, Escape(g.title()))
		if g.Reason != "" {
			line += ": " + link(Escape(cutRunes(clean(g.Reason), maxReason)), g.URL)
		}
		lines = append(lines, line+" <!-- tagboat:item gate="+slug(g.Name)+" -->")
	}
	return strings.Join(lines, "\n")
}

// slug is a gate's name as a marker can carry it.
func slug(s string) string {
	s = strings.Trim(notSlug.ReplaceAllString(strings.ToLower(s), "-"), "-")
	if s == "" {
		return "unnamed"
	}
	return s
}

// facts is the table of what is known about the artifact; unknown rows are left
// out.
func facts(p Pull) string {
	by := "Tagboat"
	if p.RequestedBy != "" {
		by = Escape(p.RequestedBy) + where(p.RequestURL)
	}
	if p.Set != nil {
		return p.Set.table() + "\n\nRequested by " + by + "."
	}
	source := cell(p.SourceRepo)
	if p.SourceCommit != "" {
		source = strings.TrimSpace(source + " at " + cell(p.SourceCommit))
	}
	if p.RunURL != "" {
		source = strings.TrimSpace(source + " " + link("(CI run)", p.RunURL))
	}
	rows := [][2]string{
		{"Image", cell(p.Image)},
		{"Digest", cell(p.New.Digest)},
		{"Before", cell(strings.TrimLeft(image.Ref{Tag: p.Old.Tag, Digest: p.Old.Digest}.String(), ":@"))},
		{"Platforms", cell(cutRunes(strings.Join(p.Platforms, ", "), maxReason))},
		{"Media type", cell(p.MediaType)},
		{"Signer", cell(cutRunes(strings.Join(p.SignedBy, ", "), maxReason))},
		{"Built from", source},
		{"Requested by", by},
		{"Replaces", replaces(p.Supersedes)},
	}
	out := "| | |\n| --- | --- |"
	for _, r := range rows {
		if r[1] != "" {
			out += "\n| " + r[0] + " | " + r[1] + " |"
		}
	}
	return out
}

// replaces lists the versions whose place this one took, one a line.
func replaces(all []Superseded) string {
	var lines []string
	for i, s := range all {
		if i == maxSuperseded {
			lines = append(lines, fmt.Sprintf("and %d more", len(all)-i))
			break
		}
		line := link(cell(s.Tag), s.CommitURL)
		if s.Digest != "" {
			line += " (" + cell(image.ShortDigest(s.Digest)) + ")"
		}
		switch {
		case s.RequestedBy != "":
			line += ", which " + Escape(s.RequestedBy) + " asked for" + where(s.RequestURL)
		case s.RequestURL != "":
			line += ", of " + link("this CI run", s.RequestURL)
		}
		if !s.At.IsZero() {
			line += ", until " + instant(s.At)
		}
		lines = append(lines, line)
	}
	return strings.Join(lines, "<br>")
}

// where is a link to the place in which somebody asked for something.
func where(address string) string {
	if to := link("here", address); to != "here" {
		return " " + to
	}
	return ""
}

const (
	maxReason     = 500
	maxSuperseded = 10
)

func changes(diff string) string {
	if diff == "" {
		return ""
	}
	return "\n<details><summary>Diff</summary>\n\n" + fenced("diff", strings.ToValidUTF8(diff, "\ufffd")) + "\n\n</details>"
}

// instant is a time as people compare it.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }
