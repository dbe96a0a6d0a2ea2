package checklist

import (
	"fmt"
	"strings"
	"time"
)

// Drift is what somebody has changed in a cluster, past Git.
type Drift struct {
	App, Env, Cluster string
	Since             time.Time // when it was seen
	Ended             time.Time // zero while it lasts
	Healed            bool      // Tagboat has taken it back
	Gone              bool      // it is not in tagboat.yaml any more, and nobody looks
	Fought            bool      // it came again whenever Tagboat had taken it back
	Kept              string    // why Tagboat could not take it back, although it should; plain text
	Objects           []DriftedObject
	More              int // objects that are left out
}

// DriftedObject is one object that is not as it was applied.
type DriftedObject struct {
	Object  string // "Deployment payments/api"
	State   string // "missing", "changed" or "unsure"
	Why     string // of what is not changed; plain text
	Changes []FieldChange
	More    int // changes that are left out
}

// FieldChange is one field. Want and Is are "" where it is not there.
type FieldChange struct {
	Path     string
	Want, Is string
	By       string // the field manager; "" where Kubernetes does not know
	At       time.Time
}

// RenderDrift is the comment that tells of it: what, who and when, and what to do.
func RenderDrift(d Drift) string {
	var b strings.Builder
	fmt.Fprintf(&b, "⚠️ What runs of **%s** in **%s** (cluster %s) is not what is in Git: somebody has changed it in the cluster.\n\n", Escape(d.App), Escape(d.Env), Escape(d.Cluster))
	for _, o := range d.Objects {
		b.WriteString(o.lines())
	}
	if d.More > 0 {
		fmt.Fprintf(&b, "- and %s\n", more(d.More, "object"))
	}
	b.WriteString("\n")
	switch {
	case d.Healed:
		fmt.Fprintf(&b, "✅ Tagboat has taken it back, at %s. If the change was right, bring it to Git.", instant(d.Ended))
	case d.Gone:
		fmt.Fprintf(&b, "It is not in tagboat.yaml any more since %s, so there is nothing in Git to compare it with. Tagboat leaves it as it is.", instant(d.Ended))
	case !d.Ended.IsZero():
		fmt.Fprintf(&b, "✅ Since %s everything is as it is in Git again.", instant(d.Ended))
	case d.Fought:
		fmt.Fprintf(&b, "Seen at %s. Tagboat has taken this back twice within ten minutes, and it came again: something else wants it otherwise. Tagboat leaves it for now, and takes it back again later. Find out what changes it, and stop that; or bring it to Git, or take the field out there. What may differ for good goes into %s in tagboat.yaml.",
			instant(d.Since), Code("ignore"))
	case d.Kept != "":
		fmt.Fprintf(&b, "Seen at %s. Tagboat could not take it back: %s When that is mended, it is tried again. If the change is right, bring it to Git; what may differ for good goes into %s in tagboat.yaml.",
			instant(d.Since), strings.TrimSuffix(Escape(cutRunes(clean(d.Kept), maxNote)), ".")+".", Code("ignore"))
	default:
		fmt.Fprintf(&b, "Seen at %s. Tagboat leaves it as it is. If the change is right, bring it to Git; if not, whoever may change the cluster can undo it, or %s in tagboat.yaml has Tagboat take such changes back in %s. What may differ for good goes into %s there.",
			instant(d.Since), Code("drift: heal"), Escape(d.Env), Code("ignore"))
	}
	return cutLines(b.String(), maxOutput)
}

func (o DriftedObject) lines() string {
	var b strings.Builder
	if len(o.Changes) == 0 {
		is := " is " + Escape(o.State)
		if o.State == "unsure" {
			is = "" // its reason says what is known
		}
		fmt.Fprintf(&b, "- **%s**%s: %s\n", Escape(o.Object), is, Escape(cutRunes(clean(o.Why), maxReason)))
		return b.String()
	}
	fmt.Fprintf(&b, "- **%s**\n", Escape(o.Object))
	for _, c := range o.Changes {
		fmt.Fprintf(&b, "  - %s\n", c.words())
	}
	if o.More > 0 {
		fmt.Fprintf(&b, "  - and %s\n", more(o.More, "field"))
	}
	return b.String()
}

// more says how many are left out.
func more(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d more %s", n, what)
}

func (c FieldChange) words() string {
	const hidden = "***"
	var words string
	switch {
	case c.Want == hidden && c.Is == hidden:
		words = "has another value (which is not shown)"
	case c.Is == "":
		words = "was removed; in Git it is " + Code(c.Want)
	case c.Want == "":
		words = "is " + Code(c.Is) + "; in Git it is not there"
	default:
		words = "is " + Code(c.Is) + "; in Git it is " + Code(c.Want)
	}
	words = Code(c.Path) + " " + words
	if c.By != "" {
		words += ", by " + Code(c.By)
		if !c.At.IsZero() {
			words += " at " + instant(c.At)
		}
	}
	return words
}

// DriftIssue opens the issue that a drift is told in where there is no pull request.
func DriftIssue(app, env string) string {
	return fmt.Sprintf("Tagboat has brought no version of **%s** to **%s** yet, so there is no pull request to tell it on: what runs there was changed past Git. The comments tell what, and by whom.", Escape(app), Escape(env))
}
