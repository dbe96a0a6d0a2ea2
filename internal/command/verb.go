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

	min, max int    // number of arguments; max anyWords: the last ones are a reason in plain words
	first    string // what the first argument names; "" is an environment
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
		Verb: "hold", Args: "[reason]", max: anyWords,
		Description: "Keep this pull request's app from changing in its environment, whatever its gates say, until somebody says /unhold.",
		WhoCanUse:   writers, Example: "/hold the migration is not done",
		build: func(line string, args []string) Command { return Hold{Line: line, Reason: strings.Join(args, " ")} },
	},
	{
		Verb: "unhold", Description: "Lift the hold.",
		WhoCanUse: writers, Example: "/unhold",
		build: func(line string, _ []string) Command { return Unhold{Line: line} },
	},
	{
		Verb: "freeze", Args: "<env> [until] [reason]", min: 1, max: anyWords,
		Description: "Keep every app from changing in an environment; `all` means every environment of the env repo, `org` every env repo of the organisation (for administrators). Until a time (`4h`, `3d`, `2026-12-27`, `2026-12-27T08:00Z`), or until somebody says /thaw.",
		WhoCanUse:   writers, Example: "/freeze prod 2026-12-27 nobody is here over the holidays",
		build: func(line string, args []string) Command {
			f := Freeze{Line: line, Env: args[0]}
			args = args[1:]
			if len(args) > 0 {
				if until, ok := parseUntil(args[0]); ok {
					f.Until, args = until, args[1:]
				}
			}
			f.Reason = strings.Join(args, " ")
			return f
		},
	},
	{
		Verb: "thaw", Args: "<env>", min: 1, max: 1,
		Description: "Lift the freeze of an environment, of `all`, or of `org`.",
		WhoCanUse:   writers, Example: "/thaw prod",
		build: func(line string, args []string) Command { return Thaw{Line: line, Env: args[0]} },
	},
	{
		Verb: "override", Args: "<gate> <reason>", min: 2, max: anyWords, first: "gate",
		Description: "Break the glass: let this pull request merge although a gate (`checks`, `upstream`, `stop`, `window`) does not pass. It takes two people who both write this, each with a reason; it holds for this commit and this digest alone, for an hour, and opens an issue.",
		WhoCanUse:   "those whom `override` of the environment in tagboat.yaml names", Example: "/override checks the runners are down, and so is the shop",
		build: func(line string, args []string) Command {
			return Override{Line: line, Gate: args[0], Reason: strings.Join(args[1:], " ")}
		},
	},
	{
		Verb: "explain", Args: "[env] [app]", max: 2,
		Description: "Say what blocks this pull request, since when, who can unblock it and when it is looked at next; with names, what blocks an app in an environment, or what a change there would need.",
		WhoCanUse:   writers, Example: "/explain prod payments",
		build: func(line string, args []string) Command {
			args = append(args, "", "")
			return Explain{Line: line, Env: args[0], App: args[1]}
		},
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
