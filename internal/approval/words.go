package approval

import (
	"fmt"
	"slices"
	"strings"
)

// maxNames is how many people and teams a sentence names. CODEOWNERS may list
// hundreds.
const maxNames = 8

// few joins names, and says how many more there are.
func few(names []string, separator string) string {
	if more := len(names) - maxNames; more > 0 {
		return fmt.Sprintf("%s%s%d more", strings.Join(names[:maxNames], separator), separator, more)
	}
	return strings.Join(names, separator)
}

// Label is what people call the rule.
func (r Rule) Label() string {
	switch {
	case r.Name != "":
		return r.Name
	case r.CodeOwners:
		return "code owners"
	case len(r.Teams)+len(r.Users) > 0:
		return few(slices.Concat(r.Teams, r.Users), ", ")
	}
	return "people with write permission"
}

// who are the people whom a rule asks, each with prefix before a team.
func (r Rule) who(prefix string) (names []string) {
	for _, t := range r.Teams {
		names = append(names, prefix+t)
	}
	return append(names, r.Users...)
}

// asks is what somebody has to be to count for the rule.
func (r Rule) asks() string {
	switch names := few(r.who("in team "), " or "); {
	case r.Problem != "":
		return "known to be a code owner"
	case r.CodeOwners:
		return "a code owner who may write (" + names + ")"
	case names == "":
		return "allowed to write to the env repo"
	default:
		return names
	}
}

// oneOf is what somebody has to be to count for any of the rules.
func oneOf(rules []RuleResult) string {
	var asks []string
	for _, r := range rules {
		if a := r.Rule.asks(); !slices.Contains(asks, a) {
			asks = append(asks, a)
		}
	}
	return strings.Join(asks, " or ")
}

// owner is who can give what the rule lacks.
func (r Rule) owner() string {
	who := few(r.who("team "), ", ")
	switch {
	case r.Problem != "":
		return "whoever maintains CODEOWNERS"
	case who == "":
		who = "anyone with write permission"
		if !r.allows(AsRequester) {
			who += ", except who asked"
		}
	case r.CodeOwners:
		who = "the owners of the file: " + who
	}
	return who
}

// owners are who can give what is missing, or could have given what is there.
func owners(r Result) string {
	var all, missing []string
	for _, rule := range r.Rules {
		who := rule.Rule.owner()
		if len(r.Rules) > 1 && rule.Rule.Name != "" && rule.Rule.Problem == "" {
			who = fmt.Sprintf("%s (for %s)", who, rule.Rule.Name)
		}
		all = append(all, who)
		if rule.Missing > 0 {
			missing = append(missing, who)
		}
	}
	if len(missing) > 0 {
		all = missing
	}
	if len(r.Rules) == 0 {
		return "nobody: no approval is asked for"
	}
	slices.Sort(all)
	return strings.Join(slices.Compact(all), "; ")
}

func reason(r Result, blockers []string) string {
	var parts []string
	if len(blockers) > 0 {
		parts = append(parts, fmt.Sprintf("%s asked for changes.", few(blockers, ", ")))
	}
	var counts []string
	for _, rule := range r.Rules {
		counts = append(counts, rule.words(len(r.Rules) == 1))
	}
	if len(counts) == 0 {
		counts = []string{"No approval is asked for"}
	}
	parts = append(parts, strings.Join(counts, "; ")+".")
	for _, e := range r.Excluded[:min(len(r.Excluded), maxNames)] {
		parts = append(parts, e.words())
	}
	if more := len(r.Excluded) - maxNames; more > 0 {
		parts = append(parts, fmt.Sprintf("%d more do not count.", more))
	}
	return strings.Join(parts, " ")
}

// words are how many count for a rule, and who: "1 of 2 from platform (bob)". Of a
// rule that stands alone nobody has to be told which it is.
func (r RuleResult) words(alone bool) string {
	text := fmt.Sprintf("%d of %d from %s", len(r.Counted), r.Rule.Count, r.Rule.Label())
	if alone && r.Rule.Name == "" && !r.Rule.CodeOwners {
		text = fmt.Sprintf("%d of %d approvals", len(r.Counted), r.Rule.Count)
	}
	if len(r.Counted) > 0 {
		var logins []string
		for _, c := range r.Counted {
			logins = append(logins, c.Review.Login)
		}
		text += " (" + few(logins, ", ") + ")"
	}
	if r.Rule.Problem != "" {
		text += ", because " + r.Rule.Problem
	}
	return text
}

func (e Excluded) words() string {
	what := "review"
	if e.State == Approved {
		what = "approval"
	}
	count := "count"
	if e.Rule != "" {
		count += " for " + e.Rule
	}
	return fmt.Sprintf("%s's %s does not %s: %s %s.%s", e.Login, what, count, e.Login, e.Why, e.Dismissal.words())
}

// words say what became of an approval on GitHub.
func (d Dismissal) words() string {
	switch d {
	case DismissalDone:
		return " It is dismissed on GitHub, too."
	case DismissalRefused:
		return " GitHub still shows it: it did not let Tagboat dismiss it."
	}
	return ""
}
