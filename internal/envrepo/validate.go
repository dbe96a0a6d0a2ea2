package envrepo

import (
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/Masterminds/semver/v3"
)

var (
	nameGrammar = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	branchChars = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._/-]*$`)
)

// validate reports everything that is well formed and yet wrong.
func (r *reader) validate(c *Config) {
	if c.APIVersion != APIVersion {
		r.at("apiVersion", "apiVersion is %q; write apiVersion: %s", c.APIVersion, APIVersion)
	}
	if len(c.Environments) == 0 {
		r.at("environments", "no environments; list at least one with name and clusters")
	}
	r.shared = shared(c)
	r.apps(c)
	if len(c.Environments) > maxEnvironments {
		r.at(fmt.Sprintf("environments[%d]", maxEnvironments), "more than %d environments; split the repository", maxEnvironments)
		return
	}
	seen := map[string]bool{}
	for i := range c.Environments {
		r.environment(c, i, seen)
	}
	r.cycles(c)
	r.clusters(c)
	r.ignored(c)
	if c.Policies != nil {
		r.policies("policies", *c.Policies, c)
	}
	r.health(c)
	if len(c.Apps) == 0 {
		c.Apps = []App{{Discover: DefaultDiscover}}
	}
}

func (r *reader) environment(c *Config, i int, seen map[string]bool) {
	e, at := &c.Environments[i], fmt.Sprintf("environments[%d]", i)
	r.name(at+".name", e.Name, seen)
	if e.Branch != "" && (!branchChars.MatchString(e.Branch) || strings.Contains(e.Branch, "..") || strings.HasSuffix(e.Branch, "/")) {
		r.at(at+".branch", "%q is not a branch name; write it as in main or env/prod", e.Branch)
	}
	if e.Merge == "" {
		e.Merge = MergeAuto
	}
	r.oneOf(at+".merge", e.Merge, MergeAuto, MergeManual)
	if e.Pin != "" {
		r.oneOf(at+".pin", e.Pin, "tag", "digest", "tag+digest")
	}
	if e.DryRun != "" {
		r.oneOf(at+".dryRun", e.DryRun, DryRunEnforce, DryRunWarn, DryRunOff)
	}
	if e.Drift != "" {
		r.oneOf(at+".drift", e.Drift, DriftReport, DriftHeal, DriftOff)
	}
	if e.Force != "" {
		r.oneOf(at+".force", e.Force, ForcePeople)
	}
	if e.Adopt != "" {
		r.oneOf(at+".adopt", e.Adopt, AdoptAsk, AdoptAlways)
	}
	r.follow(c, e, at)
	r.needs(c, e, at)
	r.approvals(e, at)
	r.people(at+".checklist", e.Checklist.Teams, e.Checklist.Users)
	r.strings(at+".checks", e.Checks, func(s string) string {
		if strings.EqualFold(s, "tagboat") {
			return "tagboat is Tagboat's own check, which waits for this list; name the others"
		}
		return ""
	})
	if len(e.Clusters) == 0 {
		r.at(at+".clusters", "environment %s has no clusters; write clusters: [NAME]", e.Name)
	}
	r.strings(at+".clusters", e.Clusters, wrongName)
	r.windows(e, at)
	r.override(e, at)
	r.commands(e, at)
	r.rollback(e, at)
	if e.Policies != nil {
		r.builtin(at+".policies.builtin", e.Policies.Builtin)
	}
	r.signatures(e, at)
	r.waves(e, at)
	r.metrics(e, at)
}

func (r *reader) follow(c *Config, e *Environment, at string) {
	if e.Follow == nil {
		return
	}
	at += ".follow"
	if (e.Follow.Semver == "") == (e.Follow.Env == "") {
		r.at(at, "follow of environment %s needs exactly one of semver (new tags) and env (another environment)", e.Name)
	}
	if e.Follow.Semver != "" {
		if _, err := semver.NewConstraint(e.Follow.Semver); err != nil {
			r.at(at+".semver", "%q is not a version constraint; write one such as \">=1.0.0\" or \"~1.7\"", e.Follow.Semver)
		}
	}
	if e.Follow.Env != "" {
		r.known(c, at+".env", e.Follow.Env)
	}
}

func (r *reader) needs(c *Config, e *Environment, at string) {
	seen := map[string]bool{}
	for j, n := range e.Needs {
		at := fmt.Sprintf("%s.needs[%d]", at, j)
		r.known(c, at+".env", n.Env)
		if seen[n.Env] {
			r.at(at, "environment %s needs %s twice; keep one", e.Name, n.Env)
		}
		seen[n.Env] = true
	}
}

func (r *reader) known(c *Config, at, env string) {
	if _, ok := c.Environment(env); ok {
		return
	}
	names := make([]string, 0, len(c.Environments))
	for _, e := range c.Environments {
		names = append(names, e.Name)
	}
	if near := nearest(env, names); near != "" {
		r.at(at, "environment %q is not declared; write %q", env, near)
		return
	}
	r.at(at, "environment %q is not declared; declared are %s", env, strings.Join(names, ", "))
}

// override checks who may override what, and fills in what is not said.
func (r *reader) override(e *Environment, at string) {
	if e.Override == nil {
		return
	}
	o := e.Override
	at += ".override"
	r.people(at, o.Teams, o.Users)
	if len(o.Teams) == 0 && len(o.Users) == 0 {
		r.at(at, "override of environment %s names nobody; write teams: [SLUG] or users: [LOGIN, LOGIN]", e.Name)
	}
	if len(o.Teams) == 0 && len(o.Users) == 1 {
		r.at(at+".users", "it takes two people to override a gate, and only %s may; name another, or a team", o.Users[0])
	}
	if _, named := r.lines[at+".gates"]; !named {
		o.Gates = slices.Clone(Overridable)
	} else if len(o.Gates) == 0 {
		r.at(at+".gates", "no gate may be overridden; name some of %s, or remove override", strings.Join(Overridable, ", "))
	}
	r.strings(at+".gates", o.Gates, func(s string) string {
		if !slices.Contains(Overridable, s) {
			return fmt.Sprintf("gate %q cannot be overridden; those that can are %s", s, strings.Join(Overridable, ", "))
		}
		return ""
	})
	switch {
	case o.Expires == 0:
		o.Expires = overrideExpires
	case o.Expires < time.Minute || o.Expires > maxOverride:
		r.at(at+".expires", "expires is %s; an override lasts from 1m to 24h", o.Expires)
	}
}

func (r *reader) clusters(c *Config) {
	used := map[string]bool{}
	for _, e := range c.Environments {
		for _, name := range e.Clusters {
			used[name] = true
		}
	}
	seen := map[string]bool{}
	for i, cl := range c.Clusters {
		at := fmt.Sprintf("clusters[%d]", i)
		r.name(at+".name", cl.Name, seen)
		if cl.Name != "" && !used[cl.Name] {
			r.at(at+".name", "no environment deploys to cluster %s; name it under an environment's clusters, or remove it%s", cl.Name, meant(cl.Name, slices.Sorted(maps.Keys(used))))
		}
		if cl.Path != "" {
			r.pattern(at+".path", cl.Path, "{app}", "{env}")
		}
	}
}

// ignored checks what may differ. A rule that names nothing would make all drift vanish.
func (r *reader) ignored(c *Config) {
	for i, rule := range c.Ignore {
		at := fmt.Sprintf("ignore[%d]", i)
		if rule.Kind == "" && len(rule.Fields) == 0 && len(rule.Managers) == 0 {
			r.at(at, "it ignores everything; name a kind, fields or managers, or write drift: off for an environment")
		}
		if rule.Env != "" {
			r.known(c, at+".env", rule.Env)
		}
		for field, pattern := range map[string]string{"kind": rule.Kind, "namespace": rule.Namespace, "name": rule.Name} {
			if _, err := path.Match(pattern, ""); err != nil {
				r.at(at+"."+field, "%q is no pattern: a bracket is not closed, or a backslash ends it", pattern)
			}
		}
		r.strings(at+".managers", rule.Managers, func(s string) string {
			if _, err := path.Match(s, ""); err != nil {
				return fmt.Sprintf("%q is no pattern: a bracket is not closed, or a backslash ends it", s)
			}
			return ""
		})
		r.strings(at+".fields", rule.Fields, func(s string) string {
			if !fieldGrammar.MatchString(s) {
				return fmt.Sprintf("%q is no path to a field; write spec.replicas, spec.containers[name=web].image or /spec/replicas", s)
			}
			return ""
		})
	}
}

// fieldGrammar is how a field is named: names and brackets, or a JSON pointer.
var fieldGrammar = regexp.MustCompile(`^(?:/[^/]+)+$|^[A-Za-z_*][^.\[\]]*(?:\.[^.\[\]]+|\[(?:"[^"]*"|[^\]"]+)\])*$`)

// cycles reports environments that wait for themselves.
func (r *reader) cycles(c *Config) {
	done := map[string]bool{}
	var walk func(name string, trail []string)
	walk = func(name string, trail []string) {
		if i := slices.Index(trail, name); i >= 0 {
			for j, e := range c.Environments {
				if e.Name == name {
					r.at(fmt.Sprintf("environments[%d]", j), "environments wait for each other: %s; take one out of needs or follow",
						strings.Join(append(trail[i:], name), " -> "))
				}
			}
			return
		}
		e, ok := c.Environment(name)
		if !ok || done[name] {
			return
		}
		for _, up := range e.upstream() {
			walk(up, append(slices.Clip(trail), name))
		}
		done[name] = true
	}
	for _, e := range c.Environments {
		walk(e.Name, nil)
	}
}

func wrongName(s string) string {
	if nameGrammar.MatchString(s) {
		return ""
	}
	return fmt.Sprintf("%q is not a name; write 1 to 63 of a-z, 0-9, '.', '_', '-', starting with a letter or digit", s)
}

// name checks the grammar of a name and that it is new.
func (r *reader) name(at, name string, seen map[string]bool) {
	switch {
	case name == "":
		r.at(at, "%s is missing; every element needs a name", at)
	case wrongName(name) != "":
		r.at(at, "%s", wrongName(name))
	case seen[name]:
		r.at(at, "%s %s is a duplicate; names must differ", at, name)
	}
	seen[name] = true
}

// strings checks each element of a list, and that none is empty or repeated.
func (r *reader) strings(at string, list []string, wrong func(string) string) {
	seen := map[string]bool{}
	for i, s := range list {
		at := fmt.Sprintf("%s[%d]", at, i)
		switch {
		case s == "":
			r.at(at, "%s is empty; remove it", at)
		case seen[s]:
			r.at(at, "%s repeats %s; remove it", at, s)
		case wrong(s) != "":
			r.at(at, "%s", wrong(s))
		}
		seen[s] = true
	}
}

func (r *reader) oneOf(at, value string, allowed ...string) {
	if !slices.Contains(allowed, value) {
		r.at(at, "%s is %q; write one of %s%s", at, value, strings.Join(allowed, ", "), meant(value, allowed))
	}
}
