package command

import (
	"fmt"
	"strings"
)

// Allowed is a verb that somebody may use.
type Allowed struct {
	Verb Verb
	Envs []string // only in these environments; nil is in all
}

// Table is the table of all commands in Markdown, as the documentation shows it.
func Table() string {
	var b strings.Builder
	b.WriteString("| Command | What it does | Who can use it | Example |\n| --- | --- | --- | --- |\n")
	for _, v := range Verbs {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", v.Usage(), v.Description, v.WhoCanUse(), v.Example)
	}
	return b.String()
}

// HelpText answers /help: what somebody may use, in Markdown.
func HelpText(may []Allowed) string {
	var b strings.Builder
	b.WriteString("| Command | What it does | Example |\n| --- | --- | --- |\n")
	for _, a := range may {
		description := a.Verb.Description
		if a.Envs != nil {
			description += " For you only in " + strings.Join(a.Envs, ", ") + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | `%s` |\n", a.Verb.Usage(), description, a.Verb.Example)
	}
	if left := len(Verbs) - len(may); left > 0 {
		fmt.Fprintf(&b, "\nThere are %d more, for people who may do more here.\n", left)
	}
	fmt.Fprintf(&b, "\nA command stands on a line of its own, at most %d in one comment. Quotes, code, lists, edited comments and reviews are not read.\n", MaxPerComment)
	return b.String()
}
