package approval

import (
	"fmt"
	"slices"
	"strings"
)

// Tickers says whose ticks of a checklist count. Where neither teams nor users are
// named, everyone with write permission may tick; whoever asked for the promotion, too:
// a tick says that something was done, not that it may be merged.
type Tickers struct {
	Teams []string // slugs of the organisation's teams
	Users []string // logins
}

// Refuses says why a person's tick does not count, "" where it does.
func (t Tickers) Refuses(p Person) string {
	switch {
	case !p.Known:
		return "GitHub could not be asked who they are"
	case p.Bot:
		return "they are a bot"
	case len(t.Teams)+len(t.Users) == 0 && p.Write,
		slices.ContainsFunc(t.Users, func(u string) bool { return strings.EqualFold(u, p.Login) }),
		slices.ContainsFunc(t.Teams, func(team string) bool { return slices.Contains(p.Teams, team) }):
		return ""
	}
	if len(t.Teams)+len(t.Users) == 0 {
		return "they may not write to the env repo"
	}
	return fmt.Sprintf("only %s may", t)
}

// String names those who may tick: "team platform, erin".
func (t Tickers) String() string {
	var names []string
	for _, team := range t.Teams {
		names = append(names, "team "+team)
	}
	if names = append(names, t.Users...); len(names) == 0 {
		return "anyone with write permission"
	}
	return strings.Join(names, ", ")
}
