package command

import "strings"

// Kind is what a verb does to promotions.
type Kind int

const (
	// Tells changes nothing.
	Tells Kind = iota
	// Stops keeps promotions from moving, and does nothing else.
	Stops
	// Moves has them go on. Who may is not known while tagboat.yaml cannot be used.
	Moves
)

// Verb describes one command for people and for the parser.
type Verb struct {
	Verb        string
	Args        string // "<env> [app] [tag]"
	Description string
	Example     string

	Kind  Kind
	Least Role   // on the env repo: whoever has less cannot use it, whatever tagboat.yaml says
	Who   string // where the role is not all; "" where it is
	Fixed bool   // `commands` of tagboat.yaml cannot narrow who may use it

	min, max int    // number of arguments; max anyWords: the last ones are a reason in plain words
	last     string // what the last argument is; "" is a tag
	first    string // what the first argument names; "" is an environment
	build    func(line string, args []string) Command
	from     func(line, env, from string) Command // of "<env> --from <env>"; nil: it is not understood
}

// VerbOf is the row of a word.
func VerbOf(word string) (Verb, bool) {
	for _, v := range Verbs {
		if v.Verb == word {
			return v, true
		}
	}
	return Verb{}, false
}

// Usage is how the command is written: "/promote <env> [app] [tag]".
func (v Verb) Usage() string { return strings.TrimSpace("/" + v.Verb + " " + v.Args) }

// WhoCanUse says it where tagboat.yaml says nothing.
func (v Verb) WhoCanUse() string {
	if v.Who != "" {
		return v.Who
	}
	return v.Least.String()
}

// Narrowed are the verbs that tagboat.yaml can narrow: they change something about one
// environment.
func Narrowed() (verbs []string) {
	for _, v := range Verbs {
		if v.Kind != Tells && !v.Fixed {
			verbs = append(verbs, v.Verb)
		}
	}
	return verbs
}

// Verbs is the table of all commands, in the order of the help text.
var Verbs = []Verb{
	{
		Verb: "promote", Args: "<env> [app] [tag]", min: 1, max: 3,
		Description: "Open or refresh the pull request that moves an app to an environment. Without a tag, the newest version that the environment may take. With `--from staging` in their place, one pull request for every app that is healthy in staging with another version: merged as one, and rolled back as one; on a merged pull request of an application's repository, only those that were built from it.",
		Example:     "/promote prod payments 1.7.0", Kind: Moves, Least: Write,
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
		from: func(line, env, from string) Command { return Promote{Line: line, Env: env, From: from} },
	},
	{
		Verb: "rollback", Args: "<env> [app] [reason]", min: 1, max: anyWords,
		Description: "Bring an app back to what its environment had before: one commit that reverts the last change, on the fast lane (no soak, no windows). What is taken back is denied there, and the app is on hold, until people say otherwise.",
		Example:     "/rollback prod payments 1.7.0 returns errors", Kind: Moves, Least: Write,
		build: func(line string, args []string) Command { return Rollback{Line: line, Env: args[0], Words: args[1:]} },
	},
	{
		Verb: "allow", Args: "<env> [app] <tag>", min: 2, max: 3,
		Description: "Take a version off the denylist of an environment, where it was taken back (what has no tag, by its digest or the first 12 digits of it); /unhold lifts the hold.",
		Example:     "/allow prod payments 1.7.0", Kind: Moves, Least: Write,
		build: func(line string, args []string) Command {
			args = append(args, "")
			return Allow{Line: line, Env: args[0], First: args[1], Second: args[2]}
		},
	},
	{
		Verb: "hold", Args: "[env] [app] [reason]", max: anyWords,
		Description: "Keep an app from changing in an environment, whatever its gates say, until somebody says /unhold. On a pull request of Tagboat's its app is meant.",
		Example:     "/hold prod payments the migration is not done", Kind: Stops, Least: Write,
		build: func(line string, args []string) Command { return Hold{Line: line, Words: args} },
	},
	{
		Verb: "unhold", Args: "[env] [app]", max: 2,
		Description: "Lift the hold.",
		Example:     "/unhold prod payments", Kind: Moves, Least: Write,
		build: func(line string, args []string) Command { return Unhold{Line: line, Words: args} },
	},
	{
		Verb: "freeze", Args: "<env> [until] [reason]", min: 1, max: anyWords,
		Description: "Keep every app from changing in an environment; `all` means every environment of the env repo, `org` every env repo of the organisation (for administrators). Until a time (`4h`, `3d`, `2026-12-27`, `2026-12-27T08:00Z`), or until somebody says /thaw.",
		Example:     "/freeze prod 2026-12-27 nobody is here over the holidays", Kind: Stops, Least: Write,
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
		Example:     "/thaw prod", Kind: Moves, Least: Write,
		build: func(line string, args []string) Command { return Thaw{Line: line, Env: args[0]} },
	},
	{
		Verb: "retry", Args: "[env] [app]", max: 2,
		Description: "Look again now: ask the registry, the clusters and GitHub anew about this pull request, and try again what could not be brought to a cluster. With names, the same for an app in an environment, or for all of its apps.",
		Example:     "/retry prod payments", Kind: Moves, Least: Write,
		build: named(func(line, env, app string) Command { return Retry{Line: line, Env: env, App: app} }),
	},
	{
		Verb: "override", Args: "<gate> <reason>", min: 2, max: anyWords, first: "gate",
		Description: "Break the glass: let this pull request merge although a gate (`checks`, `upstream`, `stop`, `window`) does not pass. It takes two people who both write this, each with a reason; it holds for this commit and this digest alone, for an hour, and opens an issue.",
		Example:     "/override checks the runners are down, and so is the shop", Kind: Moves, Least: Write, Fixed: true,
		Who: "write, and only those whom `override` of the environment names",
		build: func(line string, args []string) Command {
			return Override{Line: line, Gate: args[0], Reason: strings.Join(args[1:], " ")}
		},
	},
	{
		Verb: "prune-ok", Args: "<env> [app] <code>", min: 2, max: 3, last: "code",
		Description: "Say yes to the deletion of what is in the clusters and not in Git any more, where Tagboat asks before it deletes. The code names exactly the list that was shown; another list has another one.",
		Example:     "/prune-ok prod payments 3f9a2c", Kind: Moves, Least: Write,
		Who: "write; where the environment names who may `override` or else `freeze`, only they",
		build: func(line string, args []string) Command {
			args = append(args, "")
			return PruneOK{Line: line, Env: args[0], First: args[1], Second: args[2]}
		},
	},
	{
		Verb: "adopt", Args: "<env> [app] <code>", min: 2, max: 3, last: "code",
		Description: "Say yes to taking over what is in the clusters already and was not made by Tagboat, where what is in Git would change it. The code names exactly the objects that were shown; others have another one.",
		Example:     "/adopt prod payments 3f9a2c", Kind: Moves, Least: Write,
		Who: "write; where the environment names who may `override` or else `freeze`, only they",
		build: func(line string, args []string) Command {
			args = append(args, "")
			return Adopt{Line: line, Env: args[0], First: args[1], Second: args[2]}
		},
	},
	{
		Verb: "explain", Args: "[env] [app]", max: 2,
		Description: "Say what blocks this pull request, since when, who can unblock it and when it is looked at next; with names, what blocks an app in an environment, or what a change there would need.",
		Example:     "/explain prod payments", Least: Read,
		build: named(func(line, env, app string) Command { return Explain{Line: line, Env: env, App: app} }),
	},
	{
		Verb: "status", Args: "[env] [app]", max: 2,
		Description: "Say what runs where: version, digest, since when it is healthy, and what is on its way. On a pull request of Tagboat's its app is meant; with an environment, all of its apps.",
		Example:     "/status prod", Least: Read,
		build: named(func(line, env, app string) Command { return Status{Line: line, Env: env, App: app} }),
	},
	{
		Verb: "diff", Args: "[env] [app]", max: 2,
		Description: "Show what this pull request changes in the clusters, field by field; with names, what is on its way to an app in an environment, or else what its next proven version would change.",
		Example:     "/diff prod payments", Least: Read,
		build: named(func(line, env, app string) Command { return Diff{Line: line, Env: env, App: app} }),
	},
	{
		Verb: "help", Description: "Show what you may use here.",
		Example: "/help", Least: Read,
		build: func(line string, _ []string) Command { return Help{Line: line} },
	},
}

// named builds a command of an environment and an app that may both be left out.
func named(build func(line, env, app string) Command) func(line string, args []string) Command {
	return func(line string, args []string) Command {
		args = append(args, "", "")
		return build(line, args[0], args[1])
	}
}
