package envrepo

import (
	"fmt"
	"regexp"
)

var (
	loginGrammar = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9_-]{0,38})(?:\[bot\])?$`)
	slugGrammar  = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)
)

// maxApprovalRules is more than people can satisfy.
const maxApprovalRules = 10

// approvals reports what is wrong with an environment's rules for reviews. A rule
// without a count needs one.
func (r *reader) approvals(e *Environment, at string) {
	at += ".approvals"
	switch {
	case e.Approvals == nil:
		return
	case len(e.Approvals) == 0:
		r.at(at, "approvals of environment %s lists no rule; write one such as {count: 1}, or remove approvals", e.Name)
	case len(e.Approvals) > maxApprovalRules:
		r.at(fmt.Sprintf("%s[%d]", at, maxApprovalRules), "environment %s has more than %d rules for approvals; join some", e.Name, maxApprovalRules)
	}
	_, several := r.lines[at+"[0]"]
	names := map[string]bool{}
	for i := range e.Approvals {
		rule, at := &e.Approvals[i], at
		if several {
			at = fmt.Sprintf("%s[%d]", at, i)
		}
		r.approvalRule(e.Name, rule, at, several)
		if rule.Name != "" {
			r.name(at+".name", rule.Name, names)
		}
	}
}

func (r *reader) approvalRule(env string, rule *ApprovalRule, at string, several bool) {
	_, counted := r.lines[at+".count"]
	people := len(rule.Teams)+len(rule.Users) > 0
	switch {
	case !counted:
		rule.Count = 1
	case rule.Count < 0:
		r.at(at+".count", "count is %d; write how many approvals environment %s needs", rule.Count, env)
	case rule.Count == 0 && several:
		r.at(at+".count", "a rule for approvals of environment %s has count 0, which asks for nothing; write count: 1 or more, or remove the rule", env)
	case rule.Count == 0 && (people || rule.CodeOwners):
		r.at(at+".count", "approvals of environment %s name teams, users or code owners, but count is 0; write count: 1 or more, or remove approvals", env)
	}
	if rule.CodeOwners && people {
		r.at(at+".codeowners", "a rule with codeowners takes its people from CODEOWNERS; give teams and users a rule of their own: approvals: [{codeowners: true}, {teams: [NAME]}]")
	}
	r.people(at, rule.Teams, rule.Users)
	r.strings(at+".allow", rule.Allow, func(string) string { return "" })
	for i, part := range rule.Allow {
		r.oneOf(fmt.Sprintf("%s.allow[%d]", at, i), part, AllowRequester, AllowBuilder)
	}
}

func (r *reader) people(at string, teams, users []string) {
	r.strings(at+".teams", teams, func(s string) string {
		if !slugGrammar.MatchString(s) {
			return fmt.Sprintf("%q is not a team slug; write it as in the team's URL, without organisation and @", s)
		}
		return ""
	})
	r.strings(at+".users", users, func(s string) string {
		if !loginGrammar.MatchString(s) {
			return fmt.Sprintf("%q is not a GitHub login; write it without @", s)
		}
		return ""
	})
}
