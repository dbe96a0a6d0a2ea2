package command

import (
	"slices"
	"strings"
)

// Rollback asks for an app to be brought back to what its environment had before.
type Rollback struct {
	Line, Env string
	Words     []string // [app] [reason...] as written; see Resolve
}

// Allow takes a version off the denylist of an environment.
type Allow struct {
	Line, Env     string
	First, Second string // [app] <tag> as written; see Resolve
}

func (c Rollback) Source() string { return c.Line }
func (c Allow) Source() string    { return c.Line }

func (Rollback) Verb() string { return "rollback" }
func (Allow) Verb() string    { return "allow" }

func (c Rollback) Environment() string { return c.Env }
func (c Allow) Environment() string    { return c.Env }

// Resolve says what the words after the environment mean, given the names of the apps
// that exist: the first is an app if there is one of that name; the rest is the reason.
func (c Rollback) Resolve(apps []string) (app, reason string) {
	words := c.Words
	if len(words) > 0 && slices.Contains(apps, words[0]) {
		app, words = words[0], words[1:]
	}
	return app, strings.Join(words, " ")
}

// Resolve says what the arguments after the environment mean: of two, the first is the
// app. app is "" where it was not given.
func (c Allow) Resolve() (app, tag string) {
	if c.Second != "" {
		return c.First, c.Second
	}
	return "", c.First
}
