package approval

import (
	"slices"
	"strings"
)

// Rule is one thing that an environment asks for: so many approvals of these people.
// Where neither teams nor users are named, everyone with write permission may
// approve, unless the rule asks the code owners.
type Rule struct {
	Name  string // "" where the people say enough
	Count int
	Teams []string // slugs of the organisation's teams
	Users []string // logins
	Allow []Part   // whose approval counts although they had a part in what is approved

	// CodeOwners: Teams and Users are the owners of the changed file. An owner counts
	// only with write permission, as on GitHub.
	CodeOwners bool
	// Problem is why it is not known whom the rule asks. Then nobody counts for it.
	Problem string
}

// Part is what somebody did for a promotion that keeps their approval from counting.
type Part string

const (
	AsRequester Part = "requester" // asked for it
	AsBuilder   Part = "builder"   // had CI build the image
)

// Asked reports whether the rule asks for anything.
func (r Rule) Asked() bool { return r.Count > 0 }

func (r Rule) allows(p Part) bool { return slices.Contains(r.Allow, p) }

// names reports whether a person is one of the rule's users.
func (r Rule) names(p Person) bool {
	return r.Problem == "" && slices.ContainsFunc(r.Users, func(u string) bool { return strings.EqualFold(u, p.Login) })
}

// team is the first of the rule's teams that a person is in, where the person is not
// named.
func (r Rule) team(p Person) string {
	if !r.names(p) {
		for _, t := range r.Teams {
			if slices.Contains(p.Teams, t) {
				return t
			}
		}
	}
	return ""
}

func (r Rule) member(p Person) bool {
	switch {
	case r.Problem != "":
		return false
	case r.CodeOwners:
		return p.Write && (r.names(p) || r.team(p) != "")
	case len(r.Teams) == 0 && len(r.Users) == 0:
		return p.Write
	}
	return r.names(p) || r.team(p) != ""
}
