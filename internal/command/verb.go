package command

import (
	"fmt"
	"strings"
)

// Verb describes one command for people and for the parser.
type Verb struct {
	Verb        string
	Args        string // "<env> [app] [tag]"
	Description string
	WhoCanUse   string
	Example     string

	min, max int // number of arguments
	build    func(line string, args []string) Command
}

// Usage is how the command is written: "/promote <env> [app] [tag]".
func (v Verb) Usage() string { return strings.TrimSpace("/" + v.Verb + " " + v.Args) }

const writers = "people with write permission on the repository"

// Verbs is the table of all commands, in the order of the help text.
var Verbs = []Verb{
	{
		Verb: "promote", Args: "<env> [app] [tag]", min: 1, max: 3,
		Description: "Open or refresh the pull request that moves an app to an environment. Without a tag, the newest version that the environment may take.",
		WhoCanUse:   writers,
		Example:     "/promote prod payments 1.7.0",
		build: func(line string, args []string) Command {
			p := Promote{Line: line, Env: args[0]}
			if len(args) > 1 {
				p.First = args[1]
			}
			if len(args) > 2 {
				p.Second = args[2]
			}
			return p
		},
	},
	{
		Verb: "explain", Description: "Say what this pull request waits for, and who can act.",
		WhoCanUse: writers, Example: "/explain",
		build: func(line string, _ []string) Command { return Explain{Line: line} },
	},
	{
		Verb: "help", Description: "Show this table.",
		WhoCanUse: writers, Example: "/help",
		build: func(line string, _ []string) Command { return Help{Line: line} },
	},
}

// HelpText is the table of commands in Markdown.
func HelpText() string {
	var b strings.Builder
	b.WriteString("| Command | What it does | Who can use it | Example |\n| --- | --- | --- | --- |\n")
	for _, v := range Verbs {
		fmt.Fprintf(&b, "| `%s` | %s | %s | `%s` |\n", v.Usage(), v.Description, v.WhoCanUse, v.Example)
	}
	fmt.Fprintf(&b, "\nA command stands on a line of its own, at most %d in one comment. Quotes, code and lists are not read.\n", MaxPerComment)
	return b.String()
}
