package checklist

import "fmt"

// Replacement is the end of a promotion whose place another took.
type Replacement struct {
	App, Env string
	Was, Is  string // tags
	By       string // login of who asked for the other; "" is automatic
	ByURL    string // where
	Pull     int    // that carries the other; 0 while none does
	PullURL  string
}

// RenderReplacement is what whoever asked for it reads.
func RenderReplacement(r Replacement) string {
	text := fmt.Sprintf("%s of **%s** does not go to **%s** now: ", Code(r.Was), Escape(r.App), Escape(r.Env))
	if r.By != "" {
		text += fmt.Sprintf("%s asked for %s%s, which took its place", Escape(r.By), Code(r.Is), where(r.ByURL))
	} else {
		text += fmt.Sprintf("%s is newer and took its place", Code(r.Is))
	}
	if r.Pull > 0 {
		text += " in " + link(fmt.Sprintf("pull request %d", r.Pull), r.PullURL)
	}
	return text + fmt.Sprintf(". If %s is meant all the same, ask for it again: %s.", Code(r.Was), Code("/promote "+r.Env+" "+r.App+" "+r.Was))
}
