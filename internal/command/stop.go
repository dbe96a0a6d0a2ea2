package command

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Hold asks for an app to be kept from changing in an environment. What it is about
// is known after Resolve.
type Hold struct {
	Line     string
	Words    []string // as written: [env] [app] [reason]
	Env, App string
	Reason   string
}

// Unhold takes that back. What it is about is known after Resolve.
type Unhold struct {
	Line     string
	Words    []string // as written: [env] [app]
	Env, App string
}

// Resolve says which app is meant, in which environment.
func (c Hold) Resolve(here Pair, names Names) (Command, string) {
	pair, rest, wrong := split("hold", c.Words, here, names)
	c.Env, c.App, c.Reason = pair.Env, pair.App, strings.Join(rest, " ")
	return c, wrong
}

// Resolve says which app is meant, in which environment. There is no reason, so a word
// that names nothing is a slip of the pen.
func (c Unhold) Resolve(here Pair, names Names) (Command, string) {
	pair, rest, wrong := split("unhold", c.Words, here, names)
	if wrong == "" && len(rest) > 0 {
		pair, rest, wrong = split("unhold", c.Words, Pair{}, names)
	}
	if wrong == "" && len(rest) > 0 {
		wrong = fmt.Sprintf("%q names nothing that is held.", strings.Join(rest, " "))
	}
	c.Env, c.App = pair.Env, pair.App
	return c, wrong
}

// Freeze asks for all apps of an environment to be kept from changing.
type Freeze struct {
	Line, Env string // Env may be All or Organisation
	Until     Until
	Reason    string
}

// Thaw takes that back.
type Thaw struct{ Line, Env string }

// What stands in the place of an environment when more than one is meant.
const (
	All          = "all" // every environment of the env repo
	Organisation = "org" // every env repo of the organisation
)

// Until is when something ends by itself. The zero Until is never.
type Until struct {
	For time.Duration // from when it is said
	At  time.Time     // or at this instant
}

// From is the end of what is said at now; nil is never.
func (u Until) From(now time.Time) *time.Time {
	switch {
	case u.For > 0:
		at := now.Add(u.For)
		return &at
	case !u.At.IsZero():
		return &u.At
	}
	return nil
}

var duration = regexp.MustCompile(`^(\d{1,4})(m|h|d|w)$`)

// parseUntil reads "90m", "4h", "3d", "2w", a date (its beginning in UTC) or an
// instant as RFC 3339 writes it, to the minute or the second.
func parseUntil(text string) (Until, bool) {
	if m := duration.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // up to four digits
		unit := map[string]time.Duration{"m": time.Minute, "h": time.Hour, "d": 24 * time.Hour, "w": 7 * 24 * time.Hour}[m[2]]
		return Until{For: time.Duration(n) * unit}, n > 0
	}
	for _, layout := range []string{time.DateOnly, time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return Until{At: at}, true
		}
	}
	return Until{}, false
}

// anyWords is the number of arguments of a verb that ends in a reason.
const anyWords = 1000

// named is what the first argument of a verb names.
func (v Verb) named() string {
	if v.first != "" {
		return v.first
	}
	return "environment"
}

func article(noun string) string {
	if strings.ContainsRune("aeiou", rune(noun[0])) {
		return "an " + noun
	}
	return "a " + noun
}

// maxReason bounds a reason, in bytes.
const maxReason = 500

// wrongWords says what is wrong with the arguments of a verb that ends in a reason.
// The reason is for people, and is shown to them as text and nothing else.
func (v Verb) wrongWords(args []string) string {
	switch {
	case len(args) == 0 && v.min > 0:
		return "the " + v.named() + " is missing"
	case v.min > 0 && !nameGrammar.MatchString(args[0]):
		return "the first argument is not the name of " + article(v.named()) + lowerCase(args[0])
	case len(args) < v.min:
		return "the reason is missing"
	case len(strings.Join(args, " ")) > maxReason:
		return fmt.Sprintf("the reason is longer than %d characters", maxReason)
	}
	return ""
}
