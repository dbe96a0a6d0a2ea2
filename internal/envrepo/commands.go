package envrepo

import (
	"maps"
	"slices"
	"strings"
)

// Narrowed are the comment commands that an environment can keep to some people.
var Narrowed = []string{"promote", "rollback", "allow", "hold", "unhold", "freeze", "thaw", "retry", "prune-ok", "adopt"}

// forGood are those whose effect no revert takes back.
var forGood = []string{"prune-ok", "adopt"}

// CommandRoles are the roles to which a command can be kept. Below the first, nobody
// may use one anyway.
var CommandRoles = []string{"write", "maintain", "admin"}

// Commands are the permissions of an environment, by command.
type Commands map[string]Permission

// Permission is who may use a command in an environment: whoever has the role, is in a
// team, or is named. One of them at least is set.
type Permission struct {
	Role  string   `yaml:"role"`  // the least one on the env repo; "" is that no role is enough
	Teams []string `yaml:"teams"` // slugs, without the organisation
	Users []string `yaml:"users"` // logins
}

// Keeps is to whom the environment keeps a command; false where it keeps it to nobody in
// particular.
//
// What a yes to a deletion deletes, or one to taking over changes, no revert brings back. So
// where commands does not say who may say it, they may who break the glass there, by override, or else they who stop
// the environment: freeze of commands.
func (e Environment) Keeps(verb string) (Permission, bool) {
	p, kept := e.Commands[verb]
	switch {
	case kept || !slices.Contains(forGood, verb):
		return p, kept
	case e.Override != nil:
		return Permission{Teams: e.Override.Teams, Users: e.Override.Users}, true
	}
	p, kept = e.Commands["freeze"]
	return p, kept
}

// commands checks who may use which command.
func (r *reader) commands(e *Environment, at string) {
	at += ".commands"
	if e.Commands != nil && len(e.Commands) == 0 {
		r.at(at, "commands of environment %s names no command; write one such as promote: {role: maintain}, or remove commands", e.Name)
	}
	for _, verb := range slices.Sorted(maps.Keys(e.Commands)) {
		p, at := e.Commands[verb], at+"."+verb
		switch {
		case verb == "override":
			r.at(at, "who may override gates stands in override of environment %s; write it there", e.Name)
			continue
		case !slices.Contains(Narrowed, verb):
			r.at(at, "%q is no command that can be kept to some people; those that can are %s%s", verb, strings.Join(Narrowed, ", "), meant(verb, Narrowed))
			continue
		case p.Role == "" && len(p.Teams) == 0 && len(p.Users) == 0:
			r.at(at, "command %s of environment %s is kept to nobody; write role: maintain, teams: [SLUG] or users: [LOGIN]", verb, e.Name)
		}
		if p.Role != "" && !slices.Contains(CommandRoles, p.Role) {
			r.at(at+".role", "role is %q; write one of %s%s", p.Role, strings.Join(CommandRoles, ", "), meant(p.Role, CommandRoles))
		}
		r.people(at, p.Teams, p.Users)
	}
}
