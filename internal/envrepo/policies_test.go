package envrepo_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/policy"
)

// TestTheBuiltinRulesAreThoseOfThePack: rooms on one floor do not know each other,
// so the names stand in both.
func TestTheBuiltinRulesAreThoseOfThePack(t *testing.T) {
	var names []string
	for _, r := range policy.Pack {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, envrepo.BuiltinRules) {
		t.Errorf("the pack has %v, envrepo %v", names, envrepo.BuiltinRules)
	}
}

func TestAWaiversDayMayBeQuotedOrNot(t *testing.T) {
	for _, day := range []string{"2026-12-31", `"2026-12-31"`} {
		c, err := envrepo.Parse("tagboat.yaml", []byte("apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [dev]}]\npolicies: {waivers: [{rule: probes, env: dev, object: Deployment/shop/web, owner: a, reason: x, expires: "+day+"}]}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Policies.Waivers[0].Expires.Time(); !got.Equal(time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s is %v", day, got)
		}
	}
}

func TestTheOrganisationsFile(t *testing.T) {
	o, err := envrepo.ParseOrganisation("org.yaml", []byte(`apiVersion: tagboat.dev/v1
dir: admission
kubernetes: "1.31"
builtin: {privileged: enforce}
environments: {prod: {builtin: {digest-required: enforce}}}
waivable: [privileged]
waivers: [{rule: privileged, app: agent, owner: platform, reason: it is an agent of the node, expires: 2026-12-31}]
`))
	if err != nil {
		t.Fatal(err)
	}
	if o.Dir != "admission" || o.Environments["prod"].Builtin["digest-required"] != "enforce" || o.Waivers[0].App != "agent" {
		t.Errorf("read %+v", o)
	}
	for text, want := range map[string]string{
		"dir: x\n": `org.yaml:1: apiVersion is ""`,
		"apiVersion: tagboat.dev/v1\nenvironments: {prod: {builtin: {digests: warn}}}\n": `org.yaml:2: there is no built-in rule "digests"`,
		"apiVersion: tagboat.dev/v1\nbuiltin: {privileged: true}\n":                      `builtin.privileged must be a string`,
		"apiVersion: tagboat.dev/v1\nwaivable: [a, a]\n":                                 `waivable[1] repeats a`,
		"apiVersion: tagboat.dev/v1\nwaivers: [{rule: a}]\n":                             `waivers[0] has no owner`,
		"apiVersion: tagboat.dev/v1\napps: []\n":                                         `unknown field "apps"`,
	} {
		if _, err := envrepo.ParseOrganisation("org.yaml", []byte(text)); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", text, err, want)
		}
	}
}
