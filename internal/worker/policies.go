package worker

import (
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/policy"
)

// Secrets tells policies what is secret, as a diff masks it.
var Secrets = &policy.Detector{Name: manifest.SecretName, Text: manifest.SecretText, Form: manifest.SecretForm}

// PolicySettings are the policies of a tagboat.yaml, which is valid.
func PolicySettings(c *envrepo.Config) policy.Settings {
	s := policy.Settings{Environments: map[string]map[string]policy.Mode{}}
	if p := c.Policies; p != nil {
		s.Dir, s.Kubernetes, s.Builtin, s.Waivers = p.Dir, p.Kubernetes, modes(p.Builtin), waivers(p.Waivers)
	}
	for _, e := range c.Environments {
		if e.Policies != nil {
			s.Environments[e.Name] = modes(e.Policies.Builtin)
		}
	}
	return s
}

// OrganisationSettings are the organisation's policies.
func OrganisationSettings(o *envrepo.Organisation) policy.Settings {
	s := policy.Settings{
		Dir: o.Dir, Kubernetes: o.Kubernetes, Builtin: modes(o.Builtin), Waivers: waivers(o.Waivers), Waivable: o.Waivable,
		Environments: map[string]map[string]policy.Mode{},
	}
	for name, e := range o.Environments {
		s.Environments[name] = modes(e.Builtin)
	}
	return s
}

func modes(texts map[string]string) map[string]policy.Mode {
	out := map[string]policy.Mode{}
	for rule, text := range texts {
		mode, err := policy.ParseMode(text)
		if err != nil { // envrepo refuses what is none; should it ever not, the rule is kept
			mode = policy.Enforce
		}
		out[rule] = mode
	}
	return out
}

func waivers(all []envrepo.Waiver) []policy.Waiver {
	var out []policy.Waiver
	for _, w := range all {
		out = append(out, policy.Waiver{Rule: w.Rule, App: w.App, Env: w.Env, Object: w.Object, Owner: w.Owner, Reason: w.Reason, Expires: w.Expires.Time()})
	}
	return out
}
