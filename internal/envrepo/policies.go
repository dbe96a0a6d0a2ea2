package envrepo

import (
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Policies are rules over rendered objects.
type Policies struct {
	Dir        string            `yaml:"dir"`        // of ValidatingAdmissionPolicies; "" is none
	Kubernetes string            `yaml:"kubernetes"` // "1.31": the oldest API server that they are for
	Builtin    map[string]string `yaml:"builtin"`    // rule -> off, warn or enforce
	Waivers    []Waiver          `yaml:"waivers"`
}

// Strictness is how strict one environment is, where it differs.
type Strictness struct {
	Builtin map[string]string `yaml:"builtin"`
}

// Waiver lets what a rule is against pass, for a while and in somebody's name.
type Waiver struct {
	Rule    string `yaml:"rule"`
	App     string `yaml:"app"`    // "" is every app
	Env     string `yaml:"env"`    // "" is every environment
	Object  string `yaml:"object"` // "Deployment/web" or "Deployment/payments/web"; "" is every object
	Owner   string `yaml:"owner"`
	Reason  string `yaml:"reason"`
	Expires Date   `yaml:"expires"` // the last day on which it counts
}

// Date is a day, as in 2026-12-31.
type Date string

// Time is the beginning of the day, in UTC.
func (d Date) Time() time.Time {
	t, _ := time.Parse(time.DateOnly, string(d)) // decode refuses what is none
	return t
}

// Organisation is the file of policies that a server is started with. What it says is
// a floor: tagboat.yaml can be stricter, not laxer.
type Organisation struct {
	APIVersion   string                `yaml:"apiVersion"`
	Dir          string                `yaml:"dir"` // beside the file
	Kubernetes   string                `yaml:"kubernetes"`
	Builtin      map[string]string     `yaml:"builtin"`
	Environments map[string]Strictness `yaml:"environments"`
	Waivers      []Waiver              `yaml:"waivers"`
	Waivable     []string              `yaml:"waivable"` // rules that tagboat.yaml may waive all the same
}

// BuiltinRules are the rules that every Tagboat knows; policy.Pack has what they do.
var BuiltinRules = []string{
	"mutable-tag", "digest-required", "resource-limits", "plaintext-secret", "probes", "privileged", "namespace",
	"disruption-budget-removed", "destructive-delete",
}

// ParseOrganisation reads the organisation's policies, as strictly as Parse.
func ParseOrganisation(file string, data []byte) (*Organisation, error) {
	r := newReader(file)
	o := &Organisation{}
	if root := r.document(data); root != nil {
		r.into(root, o)
	}
	if len(r.problems) == 0 {
		r.organisation(o)
	}
	if len(r.problems) > 0 {
		return nil, invalid(r.told())
	}
	return o, nil
}

func (r *reader) organisation(o *Organisation) {
	if o.APIVersion != APIVersion {
		r.at("apiVersion", "apiVersion is %q; write apiVersion: %s", o.APIVersion, APIVersion)
	}
	r.policies("", Policies{o.Dir, o.Kubernetes, o.Builtin, o.Waivers}, nil)
	for _, env := range slices.Sorted(maps.Keys(o.Environments)) {
		r.builtin("environments."+env+".builtin", o.Environments[env].Builtin)
	}
	r.strings("waivable", o.Waivable, func(string) string { return "" })
}

var (
	minorGrammar  = regexp.MustCompile(`^1\.[0-9]{1,3}$`)
	objectGrammar = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9]*(/[a-z0-9][a-z0-9.:-]*){1,2}$`)
)

// policies checks what both files have. Without a config, apps and environments are
// anybody's.
func (r *reader) policies(at string, p Policies, c *Config) {
	if p.Dir != "" && (!fs.ValidPath(p.Dir) || p.Dir == ".") {
		r.at(join(at, "dir"), "%q is not a directory below this one; write a path with slashes and without .., such as policies", p.Dir)
	}
	if p.Kubernetes != "" && !minorGrammar.MatchString(p.Kubernetes) {
		r.at(join(at, "kubernetes"), "kubernetes is %q; write the oldest API server's version in quotes, such as \"1.31\"", p.Kubernetes)
	}
	r.builtin(join(at, "builtin"), p.Builtin)
	for i, w := range p.Waivers {
		r.waiver(fmt.Sprintf("%s[%d]", join(at, "waivers"), i), w, c)
	}
}

func (r *reader) builtin(at string, modes map[string]string) {
	for _, rule := range slices.Sorted(maps.Keys(modes)) {
		if !slices.Contains(BuiltinRules, rule) {
			r.at(join(at, rule), "there is no built-in rule %q; %s", rule, suggest(rule, BuiltinRules))
			continue
		}
		r.oneOf(join(at, rule), modes[rule], "enforce", "warn", "off")
	}
}

// waiver wants to know who lets what pass, why and until when: a waiver without an
// owner is never taken back, and one without an end is a rule that is off.
func (r *reader) waiver(at string, w Waiver, c *Config) {
	for _, must := range []struct{ field, value, example string }{
		{"rule", w.Rule, "rule: probes"},
		{"owner", w.Owner, "owner: team-payments"},
		{"reason", w.Reason, "reason: the vendor's image has no health endpoint (PAY-123)"},
		{"expires", string(w.Expires), "expires: 2026-12-31"},
	} {
		if strings.TrimSpace(must.value) == "" {
			r.at(at+"."+must.field, "%s has no %s; write one, as in %s", label(at), must.field, must.example)
		}
	}
	if w.Object != "" && !objectGrammar.MatchString(w.Object) {
		r.at(at+".object", "%q is not an object; write Kind/name or Kind/namespace/name, such as Deployment/web", w.Object)
	}
	if w.App != "" && wrongName(w.App) != "" {
		r.at(at+".app", "%s", wrongName(w.App))
	}
	if w.Env != "" && c != nil {
		r.known(c, at+".env", w.Env)
	}
}
