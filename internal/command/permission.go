package command

import (
	"fmt"
	"slices"
	"strings"
)

// Person is who wrote a command, as GitHub tells it now.
type Person struct {
	Login string
	Role  Role     // on the env repo
	Teams []string // of those that the rules name
}

// Rule is who may use a verb in an environment, as tagboat.yaml has it on the base
// branch: whoever has the role, is in one of the teams, or is named. It only narrows:
// the verb's least role is needed besides.
type Rule struct {
	Env          string
	Role         Role // NoRole: no role is enough
	Teams, Users []string
}

// admits reports whether the rule lets a person through.
func (r Rule) admits(p Person) bool {
	return r.Role > NoRole && p.Role >= r.Role ||
		slices.ContainsFunc(r.Users, func(login string) bool { return strings.EqualFold(login, p.Login) }) ||
		slices.ContainsFunc(r.Teams, func(team string) bool { return slices.Contains(p.Teams, team) })
}

// who are those that the rule lets through, in words.
func (r Rule) who() string {
	var who []string
	if r.Role > NoRole {
		who = append(who, fmt.Sprintf("people with %s permission", r.Role))
	}
	for _, t := range r.Teams {
		who = append(who, "team "+t)
	}
	switch who = append(who, r.Users...); len(who) {
	case 0:
		return "nobody"
	case 1:
		return who[0]
	default:
		last := len(who) - 1
		return strings.Join(who[:last], ", ") + " and " + who[last]
	}
}

// Speakers says in words who may use a verb: those with its permission on an env repo, and
// of them those whom all of the rules let through.
func (v Verb) Speakers(repo string, rules ...Rule) string {
	text := fmt.Sprintf("people with %s permission on %s", v.Least, repo)
	for _, r := range rules {
		text += fmt.Sprintf(", and of them only %s", r.who())
	}
	return text
}

// Refuse says why a person may not use a verb on an env repo, in environments with
// these rules, and who may; "" is that they may.
func (v Verb) Refuse(p Person, repo string, rules ...Rule) string {
	if p.Role < v.Least {
		return fmt.Sprintf("Only people with %s permission on %s can use /%s; %s has “%s”. Ask one of them.", v.Least, repo, v.Verb, p.Login, p.Role)
	}
	for _, r := range rules {
		if !r.admits(p) {
			return fmt.Sprintf("In %s only %s can use /%s, says tagboat.yaml; %s cannot. Ask one of them.", r.Env, r.who(), v.Verb, p.Login)
		}
	}
	return ""
}
