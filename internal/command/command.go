package command

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tagboat/tagboat/internal/image"
)

// MaxPerComment is how many commands of one comment are obeyed.
const MaxPerComment = 5

// maxBody is GitHub's limit for a comment, in characters; nothing longer comes.
const maxBody = 65536

// Command is one of Promote, Rollback, Allow, Hold, Unhold, Freeze, Thaw, Retry, Override,
// PruneOK, Adopt, Explain, Status, Diff, Help, Unknown and Malformed.
type Command interface {
	// Source is the line that the person wrote, trimmed.
	Source() string

	// Verb is the word of the table; "" of what is no command.
	Verb() string

	// Environment is the one that the command names; "" where it names none.
	Environment() string
}

// Promote asks for an app to be moved to an environment.
type Promote struct {
	Line          string
	Env           string
	First, Second string // [app] [tag] as written; see Resolve
	From          string // the environment whose set is meant; "" where one app is
}

// Retry asks for a promotion, or what an app has in an environment, to be looked at
// again now. Env and App may be "".
type Retry struct{ Line, Env, App string }

// Explain asks what a pull request waits for, or what is with an app in an
// environment. Env and App may be "".
type Explain struct{ Line, Env, App string }

// Status asks what runs where. Env and App may be "".
type Status struct{ Line, Env, App string }

// Diff asks what a pull request, or the next version of an app in an environment,
// changes in the clusters. Env and App may be "".
type Diff struct{ Line, Env, App string }

// Override asks for a gate of a pull request to be overridden, or agrees to that.
type Override struct{ Line, Gate, Reason string }

// Help asks for the table of commands.
type Help struct{ Line string }

// Unknown is a word that is one slip away from a verb.
type Unknown struct{ Line, Word, DidYouMean string }

// Malformed is a known verb with arguments that cannot be.
type Malformed struct{ Line, Usage, Reason string }

func (c Promote) Source() string   { return c.Line }
func (c Hold) Source() string      { return c.Line }
func (c Unhold) Source() string    { return c.Line }
func (c Freeze) Source() string    { return c.Line }
func (c Thaw) Source() string      { return c.Line }
func (c Retry) Source() string     { return c.Line }
func (c Override) Source() string  { return c.Line }
func (c Explain) Source() string   { return c.Line }
func (c Status) Source() string    { return c.Line }
func (c Diff) Source() string      { return c.Line }
func (c Help) Source() string      { return c.Line }
func (c Unknown) Source() string   { return c.Line }
func (c Malformed) Source() string { return c.Line }

func (Promote) Verb() string   { return "promote" }
func (Hold) Verb() string      { return "hold" }
func (Unhold) Verb() string    { return "unhold" }
func (Freeze) Verb() string    { return "freeze" }
func (Thaw) Verb() string      { return "thaw" }
func (Retry) Verb() string     { return "retry" }
func (Override) Verb() string  { return "override" }
func (Explain) Verb() string   { return "explain" }
func (Status) Verb() string    { return "status" }
func (Diff) Verb() string      { return "diff" }
func (Help) Verb() string      { return "help" }
func (Unknown) Verb() string   { return "" }
func (Malformed) Verb() string { return "" }

func (c Promote) Environment() string { return c.Env }
func (c Hold) Environment() string    { return c.Env }
func (c Unhold) Environment() string  { return c.Env }
func (c Freeze) Environment() string  { return c.Env }
func (c Thaw) Environment() string    { return c.Env }
func (c Retry) Environment() string   { return c.Env }
func (Override) Environment() string  { return "" }
func (c Explain) Environment() string { return c.Env }
func (c Status) Environment() string  { return c.Env }
func (c Diff) Environment() string    { return c.Env }
func (Help) Environment() string      { return "" }
func (Unknown) Environment() string   { return "" }
func (Malformed) Environment() string { return "" }

// Resolve says what the arguments after the environment mean, given the names of
// the apps that exist: two are app and tag; a single one is an app when there is
// one of that name, else a tag. "" means not given.
func (c Promote) Resolve(apps []string) (app, tag string) {
	if c.Second != "" || slices.Contains(apps, c.First) {
		return c.First, c.Second
	}
	return "", c.First
}

// Parse reads the commands of one comment, in order. Other words after a slash
// are none of Tagboat's business and are left out. After MaxPerComment commands
// the next one comes back Malformed, and the rest is not read.
func Parse(body string) []Command {
	if utf8.RuneCountInString(body) > maxBody {
		return nil
	}
	var commands []Command
	if !anyCommand.MatchString(body) {
		return nil
	}
	for line := range plainLines([]byte(body), func(line string) bool { return parseLine(line) != nil }) {
		c := parseLine(line)
		if len(commands) == MaxPerComment {
			reason := fmt.Sprintf("a comment may hold at most %d commands; this one and those below it were not read", MaxPerComment)
			return append(commands, Malformed{Line: line, Usage: "write the rest in another comment", Reason: reason})
		}
		commands = append(commands, c)
	}
	return commands
}

var (
	nameGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	anyCommand  = regexp.MustCompile(`(?:^|[\r\n])[ \t]*/[A-Za-z]`)
	wordGrammar = regexp.MustCompile(`^/([A-Za-z][A-Za-z-]{1,20})(?:[ \t]|$)`)
)

// parseLine reads one line, or returns nil where it is not meant for Tagboat.
func parseLine(line string) Command {
	m := wordGrammar.FindStringSubmatch(line)
	if m == nil {
		return nil
	}
	word := strings.ToLower(m[1])
	if v, known := VerbOf(word); known {
		return v.parse(line, fields(line)[1:])
	}
	var verbs []string
	for _, v := range Verbs {
		verbs = append(verbs, v.Verb)
	}
	if meant := Meant(word, verbs); meant != "" {
		return Unknown{Line: line, Word: m[1], DidYouMean: meant}
	}
	return nil
}

// fields are the words of a line. Only what Markdown takes for a space parts them: other
// spaces look like part of a word, or like nothing at all.
func fields(line string) []string {
	return strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
}

// Meant is the first of names that is one slip away from word, or "".
func Meant(word string, names []string) string {
	for _, name := range names {
		if oneSlip(word, name) {
			return name
		}
	}
	return ""
}

func (v Verb) parse(line string, args []string) Command {
	if v.from != nil && slices.ContainsFunc(args, isFrom) {
		return v.parseFrom(line, args)
	}
	if reason := v.wrong(args); reason != "" {
		return Malformed{Line: line, Usage: v.Usage(), Reason: reason}
	}
	return v.build(line, args)
}

// isFrom recognises --from. Phones make one long dash of two.
func isFrom(arg string) bool { return arg == "--from" || arg == "\u2014from" || arg == "\u2013from" }

// parseFrom reads "<env> --from <env>", which stands for all that is proven there.
func (v Verb) parseFrom(line string, args []string) Command {
	reason := ""
	switch {
	case isFrom(args[0]):
		reason = "the environment is missing that --from goes to"
	case len(args) > 3 || !isFrom(args[1]):
		reason = "--from stands for every app that is healthy there; name no app and no tag with it"
	case len(args) < 3 || isFrom(args[2]):
		reason = "the environment is missing after --from"
	case !nameGrammar.MatchString(args[0]):
		reason = "the first argument is not the name of an environment" + lowerCase(args[0])
	case !nameGrammar.MatchString(args[2]):
		reason = "the word after --from is not the name of an environment" + lowerCase(args[2])
	case args[0] == args[2]:
		reason = "both environments are the same"
	default:
		return v.from(line, args[0], args[2])
	}
	return Malformed{Line: line, Usage: "/" + v.Verb + " <env> --from <env>", Reason: reason}
}

// wrong says what is wrong with the arguments, or "". Arguments reach branch
// names, queries and texts, so only these characters pass.
func (v Verb) wrong(args []string) string {
	if v.max == anyWords {
		return v.wrongWords(args)
	}
	switch {
	case len(args) == 1 && v.min == 2:
		return "the " + cmp.Or(v.last, "tag") + " is missing"
	case len(args) < v.min:
		return "the environment is missing"
	case len(args) > v.max && v.max == 0:
		return fmt.Sprintf("/%s takes no arguments", v.Verb)
	case len(args) > v.max:
		return fmt.Sprintf("there are %d arguments, at most %d are understood", len(args), v.max)
	}
	for i, arg := range args {
		switch {
		case i == 0 && !nameGrammar.MatchString(arg):
			return "the first argument is not the name of an environment" + lowerCase(arg)
		case i == 1 && (len(args) == 3 || v.max == 2) && !nameGrammar.MatchString(arg):
			return "the second argument is not the name of an app" + lowerCase(arg)
		case i == 1 && !nameGrammar.MatchString(arg) && !image.ValidTag(arg):
			return "the second argument is neither the name of an app nor a " + cmp.Or(v.last, "tag")
		case i == 2 && !image.ValidTag(arg):
			return "the third argument is not a " + cmp.Or(v.last, "tag")
		}
	}
	return ""
}

// lowerCase says what is wrong with a name that is one but for its case.
func lowerCase(arg string) string {
	if lower := strings.ToLower(arg); nameGrammar.MatchString(lower) {
		return fmt.Sprintf("; names are lower case: %q", lower)
	}
	return ""
}

// oneSlip reports whether one insertion, deletion, replacement or swap of
// neighbours turns a into b.
func oneSlip(a, b string) bool {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	a, b = a[n:], b[n:]
	switch {
	case len(a) == len(b) && len(a) > 1 && a[0] == b[1] && a[1] == b[0] && a[2:] == b[2:]:
		return true
	case len(a) == len(b):
		return len(a) > 0 && a[1:] == b[1:]
	case len(a) == len(b)+1:
		return a[1:] == b
	}
	return len(b) == len(a)+1 && a == b[1:]
}
