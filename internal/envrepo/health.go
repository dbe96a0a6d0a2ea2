package envrepo

import (
	"fmt"
	"regexp"

	"github.com/tagboat/tagboat/internal/health"
)

// maxHealthRules is how many rules of health there may be: each is compiled whenever the
// file is read.
const maxHealthRules = 50

var (
	groupGrammar = regexp.MustCompile(`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$`)
	kindGrammar  = regexp.MustCompile(`^[A-Z][A-Za-z0-9]*$`)
)

// health checks rules of health, and compiles them: one that is broken would be found
// out only when something of its kind is brought to a cluster.
func (r *reader) health(c *Config) {
	if c.Health != nil && len(c.Health) == 0 {
		r.at("health", "health lists no rule; write [{group: GROUP, kind: KIND, current: EXPRESSION}], or remove it")
	}
	if len(c.Health) > maxHealthRules {
		r.at("health", "more than %d rules of health; keep those whose kinds are used", maxHealthRules)
		return
	}
	for i, rule := range c.Health {
		at := fmt.Sprintf("health[%d]", i)
		if rule.Group != "" && !groupGrammar.MatchString(rule.Group) {
			r.at(at+".group", "%q is not an API group; write it without the version, such as cert-manager.io", rule.Group)
		}
		if rule.Group == "" && rule.Kind == "Secret" {
			r.at(at+".kind", "a rule for Secrets could show on a pull request what they hold; they are current when they are there, so remove it")
		}
		if !kindGrammar.MatchString(rule.Kind) {
			r.at(at+".kind", "%q is not a kind; write it as in the objects, such as Certificate", rule.Kind)
		}
	}
	_, problems := health.Compile(c.Health)
	for _, p := range problems {
		r.at(fmt.Sprintf("health[%d].%s", p.Rule, p.Field), "%s", p.Message)
	}
}
