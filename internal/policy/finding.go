package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Overlay names what was judged.
type Overlay struct {
	Path    string `json:"path"`
	App     string `json:"app,omitempty"`
	Env     string `json:"env,omitempty"`
	Cluster string `json:"cluster,omitempty"`
}

// String is the pair where there is one: "payments prod".
func (o Overlay) String() string {
	if o.App == "" {
		return o.Path
	}
	return strings.TrimSpace(o.App + " " + o.Env + " " + o.Cluster)
}

// Finding is a violation, in all the overlays that it is in: what stands in a base is
// told once.
type Finding struct {
	Violation
	Overlays []Overlay `json:"overlays"`
}

// Findings collects the violations of many overlays.
type Findings struct {
	all []*Finding
	by  map[string]*Finding
}

// Add takes up what an overlay violates, with the places where it stands.
func (f *Findings) Add(o Overlay, located []Violation) {
	if f.by == nil {
		f.by = map[string]*Finding{}
	}
	for _, v := range located {
		id := fmt.Sprintln(v.Rule, v.Mode, v.Object, v.Path, v.Place, v.Message, v.Waived, v.Expired, v.Refused)
		known := f.by[id]
		if known == nil {
			known = &Finding{Violation: v}
			f.by[id] = known
			f.all = append(f.all, known)
		}
		known.Overlays = append(known.Overlays, o)
	}
}

// List is everything, by file and line.
func (f *Findings) List() []Finding {
	all := make([]Finding, len(f.all))
	for i, one := range f.all {
		all[i] = *one
	}
	slices.SortStableFunc(all, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Place.File, b.Place.File), cmp.Compare(a.Place.Line, b.Place.Line), cmp.Compare(rank(a.Violation), rank(b.Violation)))
	})
	return all
}

// Count says how many block, how many only warn, and how many are waived.
func Count(findings []Finding) (enforced, warnings, waived int) {
	for _, f := range findings {
		switch rank(f.Violation) {
		case 0:
			enforced++
		case 1:
			warnings++
		default:
			waived++
		}
	}
	return enforced, warnings, waived
}

// level is what the formats for machines call a finding.
func (f Finding) level() string { return [...]string{"error", "warning", "note"}[rank(f.Violation)] }

// told is the whole message: the object, what the rule says, and what a waiver has to
// do with it.
func (f Finding) told() string {
	var b strings.Builder
	if f.Object.Kind != "" {
		b.WriteString(f.Object.String() + ": ")
	}
	b.WriteString(f.Message + ".")
	if f.Organisation() {
		b.WriteString(" The organisation asks for this.")
	}
	switch {
	case f.Waived != nil:
		fmt.Fprintf(&b, " Waived until %s by %s: %s.", f.Waived.Expires.Format(time.DateOnly), f.Waived.Owner, strings.TrimSuffix(f.Waived.Reason, "."))
	case f.Refused != nil:
		fmt.Fprintf(&b, " The waiver of %s does not reach it: ask those who keep the organisation's policies.", f.Refused.Owner)
	case f.Expired != nil:
		fmt.Fprintf(&b, " The waiver of %s ended on %s.", f.Expired.Owner, f.Expired.Expires.Format(time.DateOnly))
	}
	return b.String()
}

// String is the file and, where it is known, the line.
func (p Place) String() string {
	switch {
	case p.File == "":
		return "-"
	case p.Line == 0:
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Text is the findings for a terminal, a line each.
func Text(findings []Finding) string {
	var b strings.Builder
	for _, f := range findings {
		word := [...]string{"enforced", "warning", "waived"}[rank(f.Violation)]
		fmt.Fprintf(&b, "%s: %s: %s: %s (%s)\n", f.Place, word, f.Rule, oneLine(f.told()), f.in())
	}
	return b.String()
}

func (f Finding) in() string {
	var names []string
	for _, o := range f.Overlays {
		names = append(names, o.String())
	}
	const most = 5
	if len(names) > most {
		names = append(names[:most-1], fmt.Sprintf("and %d more", len(names)-most+1))
	}
	return strings.Join(names, ", ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// Workflow is the findings as commands of GitHub Actions, which shows them beside the
// lines (https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands).
// Base is the path of the checkout in the repository; "" is its root.
func Workflow(findings []Finding, base string) string {
	data := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	property := strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
	var b strings.Builder
	for _, f := range findings {
		command := map[string]string{"note": "notice"}[f.level()]
		b.WriteString("::" + cmp.Or(command, f.level()))
		separator := " "
		if f.Place.File != "" {
			b.WriteString(" file=" + property.Replace(below(base, f.Place.File)))
			separator = ","
			if f.Place.Line > 0 {
				fmt.Fprintf(&b, ",line=%d", f.Place.Line)
			}
		}
		b.WriteString(separator + "title=" + property.Replace("tagboat: "+f.Rule) + "::" + data.Replace(f.told()+" ("+f.in()+")") + "\n")
	}
	return b.String()
}

// below is a file of the checkout as a path of the repository.
func below(base, file string) string {
	if base == "" || base == "." {
		return file
	}
	return strings.TrimSuffix(base, "/") + "/" + file
}
