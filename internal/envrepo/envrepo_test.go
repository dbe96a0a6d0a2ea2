package envrepo_test

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// story is the configuration of the demo: dev by itself, staging after dev, prod
// by people.
const story = `apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
  - name: catalog
    images: [registry.example.com/catalog]
    path: services/catalog/overlays/{env}
environments:
  - name: dev
    follow: {semver: ">=1.0.0-0"}
    clusters: [dev]
  - name: staging
    needs: [{env: dev, healthy: 15m}]
    follow: {env: dev}
    clusters: [staging]
  - name: prod
    needs: [{env: staging, healthy: 1h}]
    merge: manual
    approvals: {count: 2, teams: [platform]}
    checks: [lint, security-scan]
    clusters: [prod-eu, prod-us]
    pin: tag
clusters:
  - {name: prod-eu, path: "apps/{app}/overlays/{env}/eu"}
`

func TestAWholeConfigurationIsRead(t *testing.T) {
	got := parse(t, story)
	want := &envrepo.Config{
		APIVersion: "tagboat.dev/v1",
		Apps: []envrepo.App{
			{Discover: "apps/{app}/overlays/{env}"},
			{Name: "catalog", Path: "services/catalog/overlays/{env}", Images: []string{"registry.example.com/catalog"}},
		},
		Environments: []envrepo.Environment{
			{Name: "dev", Follow: &envrepo.Follow{Semver: ">=1.0.0-0"}, Merge: "auto", Clusters: []string{"dev"}},
			{Name: "staging", Follow: &envrepo.Follow{Env: "dev"}, Needs: []envrepo.Need{{Env: "dev", Healthy: 15 * time.Minute}}, Merge: "auto", Clusters: []string{"staging"}},
			{Name: "prod", Needs: []envrepo.Need{{Env: "staging", Healthy: time.Hour}}, Merge: "manual", Pin: "tag",
				Approvals: envrepo.Approvals{{Count: 2, Teams: []string{"platform"}}}, Checks: []string{"lint", "security-scan"}, Clusters: []string{"prod-eu", "prod-us"}},
		},
		Clusters: []envrepo.Cluster{{Name: "prod-eu", Path: "apps/{app}/overlays/{env}/eu"}},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(envrepo.App{})); diff != "" {
		t.Errorf("config (-want +got):\n%s", diff)
	}
}

func TestAShortConfigurationIsEnough(t *testing.T) {
	c := parse(t, "apiVersion: tagboat.dev/v1\nenvironments: [{name: prod, clusters: [prod], approvals: {teams: [ops]}}]\n")
	if c.Apps[0].Discover != envrepo.DefaultDiscover || c.Environments[0].Merge != envrepo.MergeAuto || c.Environments[0].Approvals[0].Count != 1 {
		t.Errorf("defaults: %+v", c)
	}
}

func TestSeveralRulesForApprovals(t *testing.T) {
	c := parse(t, `apiVersion: tagboat.dev/v1
environments:
  - name: prod
    clusters: [prod]
    approvals:
      - {name: ops, count: 2, teams: [platform], users: [erin, "renovate[bot]"], allow: [builder, requester]}
      - codeowners: true
  - {name: dev, clusters: [prod], approvals: {count: 0}}
`)
	want := envrepo.Approvals{
		{Name: "ops", Count: 2, Teams: []string{"platform"}, Users: []string{"erin", "renovate[bot]"}, Allow: []string{envrepo.AllowBuilder, envrepo.AllowRequester}},
		{Count: 1, CodeOwners: true},
	}
	if diff := cmp.Diff(want, c.Environments[0].Approvals); diff != "" {
		t.Error(diff)
	}
	if !c.Environments[0].Approvals.Asked() || c.Environments[1].Approvals.Asked() {
		t.Errorf("asked: %+v", c.Environments)
	}
}

func TestWavesInBothForms(t *testing.T) {
	c := parse(t, `apiVersion: tagboat.dev/v1
environments:
  - name: prod
    clusters: [canary, eu, us, ap]
    waves:
      - {clusters: [canary], healthy: 10m}
      - [eu, us]
      - clusters: [ap]
  - {name: dev, clusters: [dev]}
`)
	want := []envrepo.Wave{
		{Clusters: []string{"canary"}, Healthy: 10 * time.Minute}, {Clusters: []string{"eu", "us"}}, {Clusters: []string{"ap"}},
	}
	if diff := cmp.Diff(want, c.Environments[0].Waves); diff != "" {
		t.Error(diff)
	}
	for cluster, wave := range map[string]int{"canary": 1, "eu": 2, "us": 2, "ap": 3, "dev": 0} {
		if got := c.Environments[0].Wave(cluster); got != wave {
			t.Errorf("%s is in wave %d, not %d", cluster, got, wave)
		}
	}
	if got := c.Environments[1].Wave("dev"); got != 0 {
		t.Errorf("an environment without waves has wave %d", got)
	}
}

// Environments are a graph: what splits may join again.
func TestNeedsFanOutAndIn(t *testing.T) {
	c := parse(t, `apiVersion: tagboat.dev/v1
environments:
  - {name: dev, clusters: [dev]}
  - {name: staging-eu, clusters: [eu], needs: [{env: dev}], follow: {env: dev}}
  - {name: staging-us, clusters: [us], needs: [{env: dev, healthy: 5m}]}
  - {name: prod, clusters: [prod], needs: [{env: staging-eu, healthy: 30m}, {env: staging-us, healthy: 1h}]}
`)
	var names []string
	for _, e := range c.Downstream("dev") {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"staging-eu", "staging-us"}, names); diff != "" {
		t.Errorf("after dev come:\n%s", diff)
	}
	if diff := cmp.Diff([]envrepo.Need{{Env: "staging-eu", Healthy: 30 * time.Minute}, {Env: "staging-us", Healthy: time.Hour}}, c.Environments[3].Needs); diff != "" {
		t.Error(diff)
	}
}

func TestEveryMistakeIsNamedWithItsLineAndARemedy(t *testing.T) {
	const head = "apiVersion: tagboat.dev/v1\nenvironments:\n  - {name: dev, clusters: [dev]}\n"
	tests := []struct{ name, data, want string }{
		{"empty", "# nothing\n", `tagboat.yaml:1: the file is empty; it needs apiVersion`},
		{"not YAML", "environments: [\n", `not valid YAML (`},
		{"a list", "- a\n", `tagboat.yaml:1: the file must be a mapping (key: value), not a list`},
		{"second document", head + "---\nb: 1\n", `a second YAML document starts here; keep one`},
		{"no version", "environments: [{name: dev, clusters: [dev]}]\n", `tagboat.yaml:1: apiVersion is ""; write apiVersion: tagboat.dev/v1`},
		{"other version", "apiVersion: v2\nenvironments: [{name: dev, clusters: [dev]}]\n", `tagboat.yaml:1: apiVersion is "v2"`},
		{"no environments", "apiVersion: tagboat.dev/v1\n", `tagboat.yaml:1: no environments; list at least one`},
		{"misspelt gate", head + "    \n  - {name: prod, clusters: [prod], approval: {count: 2}}\n", `tagboat.yaml:5: environments[1]: unknown field "approval"; write "approvals"`},
		{"unknown field", head + "colour: blue\n", `tagboat.yaml:4: the file: unknown field "colour"; known here are apiVersion, apps, environments, clusters, ignore, policies`},
		{"wrong type", "apiVersion: tagboat.dev/v1\nenvironments: {name: dev}\n", `tagboat.yaml:2: environments must be a list, not a mapping`},
		{"number as name", "apiVersion: tagboat.dev/v1\nenvironments: [{name: 1, clusters: [dev]}]\n", `environments[0].name must be a string; write it in quotes: "1"`},
		{"text as count", "apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [dev], approvals: {count: two}}]\n", `environments[0].approvals.count must be a whole number, such as 2`},
		{"no value", "apiVersion: tagboat.dev/v1\nenvironments:\n- name: dev\n  clusters: [dev]\n  checks:\n", `tagboat.yaml:5: environments[0].checks has no value; give one or remove the key`},
		{"key twice", head + "environments: []\n", `tagboat.yaml:4: environments stands here a second time (first on line 2); remove one`},
		{"unknown env in needs", head + "  - name: prod\n    clusters: [p]\n    needs: [{env: stagin}]\n", `tagboat.yaml:6: environment "stagin" is not declared; declared are dev, prod`},
		{"unknown env in follow", head + "  - {name: prod, clusters: [p], follow: {env: x}}\n", `tagboat.yaml:4: environment "x" is not declared`},
		{"follow nothing", head + "  - {name: prod, clusters: [p], follow: {}}\n", `needs exactly one of semver`},
		{"follow both", head + "  - {name: prod, clusters: [p], follow: {env: dev, semver: '1'}}\n", `needs exactly one of semver`},
		{"bad constraint", head + "  - {name: prod, clusters: [p], follow: {semver: newest}}\n", `"newest" is not a version constraint; write one such as ">=1.0.0"`},
		{"bad duration", head + "  - {name: prod, clusters: [p], needs: [{env: dev, healthy: soon}]}\n", `environments[1].needs[0].healthy must be a duration such as 15m or 1h30m`},
		{"negative duration", head + "  - {name: prod, clusters: [p], needs: [{env: dev, healthy: -1h}]}\n", `must be a duration`},
		{"cycle", head + "  - {name: a, clusters: [p], needs: [{env: b}]}\n  - {name: b, clusters: [p], follow: {env: a}}\n", `environments wait for each other: a -> b -> a`},
		{"needs itself", head + "  - {name: a, clusters: [p], needs: [{env: a}]}\n", `environments wait for each other: a -> a`},
		{"cycle through a diamond", head + "  - {name: a, clusters: [p], needs: [{env: d}]}\n  - {name: b, clusters: [p], needs: [{env: a}]}\n  - {name: c, clusters: [p], needs: [{env: a}]}\n  - {name: d, clusters: [p], needs: [{env: b}, {env: c}]}\n", `environments wait for each other: a -> d -> b -> a`},
		{"follows itself", head + "  - {name: a, clusters: [p], follow: {env: a}}\n", `environments wait for each other: a -> a`},
		{"needs twice", head + "  - {name: a, clusters: [p], needs: [{env: dev}, {env: dev}]}\n", `environment a needs dev twice; keep one`},
		{"duplicate name", head + "  - {name: dev, clusters: [p]}\n", `tagboat.yaml:4: environments[1].name dev is a duplicate`},
		{"bad name", head + "  - {name: Prod, clusters: [p]}\n", `"Prod" is not a name; write 1 to 63 of a-z`},
		{"no clusters", head + "  - {name: prod}\n", `tagboat.yaml:4: environment prod has no clusters; write clusters: [NAME]`},
		{"cluster twice", head + "  - {name: prod, clusters: [p, p]}\n", `environments[1].clusters[1] repeats p; remove it`},
		{"unused cluster", head + "clusters: [{name: deev}]\n", `tagboat.yaml:4: no environment deploys to cluster deev`},
		{"merge", head + "  - {name: prod, clusters: [p], merge: maybe}\n", `environments[1].merge is "maybe"; write one of auto, manual`},
		{"pin", head + "  - {name: prod, clusters: [p], pin: sha}\n", `environments[1].pin is "sha"; write one of tag, digest, tag+digest`},
		{"negative count", head + "  - {name: prod, clusters: [p], approvals: {count: -1}}\n", `count is -1; write how many approvals environment prod needs`},
		{"teams without count", head + "  - {name: prod, clusters: [p], approvals: {count: 0, teams: [x]}}\n", `but count is 0; write count: 1 or more`},
		{"team with org", head + "  - {name: prod, clusters: [p], approvals: {count: 1, teams: ['acme/x']}}\n", `"acme/x" is not a team slug`},
		{"command of another", head + "  - {name: prod, clusters: [p], commands: {promot: {role: write}}}\n", `"promot" is no command that can be kept to some people; those that can are promote, rollback, allow, hold, unhold, freeze, thaw, retry`},
		{"command that asks", head + "  - {name: prod, clusters: [p], commands: {status: {role: write}}}\n", `"status" is no command that can be kept to some people`},
		{"command with a rule of its own", head + "  - {name: prod, clusters: [p], commands: {override: {role: write}}}\n", `who may override gates stands in override of environment prod; write it there`},
		{"command for nobody", head + "  - {name: prod, clusters: [p], commands: {promote: {}}}\n", `command promote of environment prod is kept to nobody; write role: maintain, teams: [SLUG] or users: [LOGIN]`},
		{"command for readers", head + "  - {name: prod, clusters: [p], commands: {promote: {role: read}}}\n", `role is "read"; write one of write, maintain, admin`},
		{"command for a team with org", head + "  - {name: prod, clusters: [p], commands: {promote: {teams: [acme/sre]}}}\n", `"acme/sre" is not a team slug`},
		{"no command", head + "  - {name: prod, clusters: [p], commands: {}}\n", `commands of environment prod names no command`},
		{"override by nobody", head + "  - {name: prod, clusters: [p], override: {gates: [checks]}}\n", `override of environment prod names nobody; write teams: [SLUG] or users: [LOGIN, LOGIN]`},
		{"override by one", head + "  - {name: prod, clusters: [p], override: {users: [erin]}}\n", `it takes two people to override a gate, and only erin may; name another, or a team`},
		{"override of the digest", head + "  - {name: prod, clusters: [p], override: {teams: [sre], gates: [digest]}}\n", `gate "digest" cannot be overridden; those that can are checks, upstream, stop, window`},
		{"override of nothing", head + "  - {name: prod, clusters: [p], override: {teams: [sre], gates: []}}\n", `no gate may be overridden; name some of checks, upstream, stop, window, or remove override`},
		{"override for ever", head + "  - {name: prod, clusters: [p], override: {teams: [sre], expires: 48h}}\n", `expires is 48h0m0s; an override lasts from 1m to 24h`},
		{"rollback without approvals", head + "  - {name: prod, clusters: [p], rollback: {approvals: []}}\n", `approvals of environment prod lists no rule; write one such as {count: 1}, or remove approvals`},
		{"rollback by itself, always", head + "  - {name: prod, clusters: [p], rollback: {automatic: always}}\n", `environments[1].rollback.automatic is "always"; write one of off, propose, merge`},
		{"rollback with checks", head + "  - {name: prod, clusters: [p], rollback: {checks: some}}\n", `environments[1].rollback.checks is "some"; write one of require, skip`},
		{"override by a team with org", head + "  - {name: prod, clusters: [p], override: {teams: [acme/sre]}}\n", `"acme/sre" is not a team slug`},
		{"team with at", head + "  - {name: prod, clusters: [p], checklist: {teams: ['@x']}}\n", `"@x" is not a team slug`},
		{"ticker with at", head + "  - {name: prod, clusters: [p], checklist: {users: ['@bob']}}\n", `"@bob" is not a GitHub login; write it without @`},
		{"a count of ticks", head + "  - {name: prod, clusters: [p], checklist: {count: 2}}\n", `unknown field "count"`},
		{"user with at", head + "  - {name: prod, clusters: [p], approvals: {count: 1, users: ['@bob']}}\n", `"@bob" is not a GitHub login; write it without @`},
		{"approvals of no kind", head + "  - {name: prod, clusters: [p], approvals: two}\n", `environments[1].approvals must be a mapping (key: value), not a single value`},
		{"no rule", head + "  - {name: prod, clusters: [p], approvals: []}\n", `approvals of environment prod lists no rule; write one such as {count: 1}`},
		{"a rule without a say", head + "  - name: prod\n    clusters: [p]\n    approvals:\n      - {count: 1}\n      - {count: 0}\n", `tagboat.yaml:8: a rule for approvals of environment prod has count 0, which asks for nothing`},
		{"a rule's unknown field", head + "  - name: prod\n    clusters: [p]\n    approvals:\n      - {codeowner: true}\n", `tagboat.yaml:7: environments[1].approvals[0]: unknown field "codeowner"; write "codeowners"`},
		{"two rules of one name", head + "  - {name: prod, clusters: [p], approvals: [{name: a}, {name: a}]}\n", `environments[1].approvals[1].name a is a duplicate`},
		{"code owners and teams", head + "  - {name: prod, clusters: [p], approvals: {codeowners: true, teams: [x]}}\n", `a rule with codeowners takes its people from CODEOWNERS; give teams and users a rule of their own`},
		{"code owners without count", head + "  - {name: prod, clusters: [p], approvals: {codeowners: true, count: 0}}\n", `but count is 0`},
		{"the pusher is allowed", head + "  - {name: prod, clusters: [p], approvals: {allow: [pusher]}}\n", `environments[1].approvals.allow[0] is "pusher"; write one of requester, builder`},
		{"too many rules", head + "  - {name: prod, clusters: [p], approvals: [{}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}]}\n", `environment prod has more than 10 rules for approvals; join some`},
		{"own check", head + "  - {name: prod, clusters: [p], checks: [tagboat]}\n", `tagboat is Tagboat's own check`},
		{"empty check", head + "  - {name: prod, clusters: [p], checks: ['']}\n", `environments[1].checks[0] is empty; remove it`},
		{"branch", head + "  - {name: prod, clusters: [p], branch: 'a..b'}\n", `"a..b" is not a branch name`},
		{"pattern without env", head + "  - {name: prod, clusters: [p]}\napps: [{discover: 'apps/{app}'}]\n", `tagboat.yaml:5: "apps/{app}" must have {env} exactly once (it can be left out only where every environment has a branch of its own; dev and prod share the default branch)`},
		{"pattern with other placeholder", head + "apps: [{discover: 'apps/{app}/{env}/{region}'}]\n", `has {region}; only {app}, {env} and {cluster} can stand here`},
		{"pattern outside", head + "apps: [{discover: '../{app}/{env}'}]\n", `must be a clean path inside the repository`},
		{"app without path", head + "apps: [{name: a}]\n", `apps[0].path is missing; write a directory such as`},
		{"app without anything", head + "apps: [{images: [a]}]\n", `apps[0] needs discover (a pattern), or name and path`},
		{"app both", head + "apps: [{discover: 'a/{app}/{env}', name: x}]\n", `an app is either discovered or named`},
		{"image with tag", head + "apps: [{name: a, path: 'a/{env}', images: ['x:1']}]\n", `"x:1" is not a repository; write it without tag or digest`},
		{"window", head + "  - name: prod\n    clusters: [p]\n    windows:\n      - {allow: 'Mon-Thu 9-16'}\n", `tagboat.yaml:7: "Mon-Thu 9-16" is not a time; write it as in "Mon-Thu 09:00-16:00", "Sat,Sun" or "2026-12-24..2027-01-02"`},
		{"window of neither kind", head + "  - name: prod\n    clusters: [p]\n    windows:\n      - {timezone: UTC}\n", `tagboat.yaml:7: a window needs exactly one of allow and deny`},
		{"window's zone", head + "  - name: prod\n    clusters: [p]\n    windows:\n      - {deny: Fri, timezone: Mars}\n", `tagboat.yaml:7: "Mars" is not a time zone; write one such as Europe/Berlin or UTC`},
		{"window's exception", head + "  - name: prod\n    clusters: [p]\n    windows:\n      - allow: Mon\n        except: [2026-02-30]\n", `tagboat.yaml:8: "2026-02-30" is not a date or a range of dates; write it as in 2026-12-24 or 2026-12-24..2027-01-02`},
		{"empty signatures", head + "  - {name: prod, clusters: [p], signatures: []}\n", `signatures of environment prod is an empty list`},
		{"a signature of nobody", head + "  - {name: prod, clusters: [p], signatures: [{}]}\n", `signatures[0] names nobody`},
		{"a signature by no means", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {}}]}\n", `needs exactly one of key (a public key's file), identity and identityRegexp`},
		{"a signature by two means", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {key: a.pub, identity: a, issuer: \"https://b\"}}]}\n", `needs exactly one of key`},
		{"two keys in one", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {key: a.pub}}, {cosign: {key: a.pub}}]}\n", `the same signature twice`},
		{"too many signatures", head + "  - {name: prod, clusters: [p], signatures: [" + strings.Repeat("{cosign: {key: a.pub}}, ", 11) + "]}\n", `more than 10 signatures`},
		{"a key elsewhere", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {key: ../a.pub}}]}\n", `"../a.pub" is not a file of this repository`},
		{"a key at the root of all", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {key: /etc/a.pub}}]}\n", `is not a file of this repository`},
		{"a key with an issuer", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {key: a.pub, issuer: \"https://b\"}}]}\n", `a key has no issuer`},
		{"an identity of anybody's", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {identity: a}}]}\n", `has no issuer, so that anybody's word would do`},
		{"an issuer that is none", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {identity: a, issuer: github}}]}\n", `"github" is not an issuer`},
		{"an identity's pattern", head + "  - {name: prod, clusters: [p], signatures: [{cosign: {identityRegexp: \"a)|(b\", issuer: \"https://b\"}}]}\n", `identityRegexp is not a regular expression`},
		{"no metrics", head + "  - {name: prod, clusters: [p], metrics: []}\n", `metrics of environment prod lists nothing`},
		{"a metric without bounds", head + "  - name: prod\n    clusters: [p]\n    metrics:\n      - {name: a, query: up}\n", `tagboat.yaml:7: environments[1].metrics[0] has no bound; write max: or min:, or both`},
		{"a metric without a query", head + "  - {name: prod, clusters: [p], metrics: [{name: a, max: 1}]}\n", `has no query; write PromQL`},
		{"a metric without a name", head + "  - {name: prod, clusters: [p], metrics: [{query: up, max: 1}]}\n", `metrics[0].name is missing`},
		{"two metrics of a name", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: up, max: 1}, {name: a, query: up, min: 1}]}\n", `a is a duplicate`},
		{"a metric that cannot hold", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: up, max: 1, min: 2}]}\n", `min is more than max, so that nothing could hold; write min: 1 and max: 2`},
		{"a metric of an address", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: up, max: 1, prometheus: \"http://169.254.169.254\"}]}\n", `is not the name of a Prometheus server; write the NAME of a --prometheus`},
		{"a blank that is not known", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: \"up{a=\\\"{{ app }}\\\"}\", max: 1}]}\n", `the query has {{ app }}, which is not known`},
		{"a bound that is no number", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: up, max: \"1\"}]}\n", `max must be a number, such as 0.01`},
		{"a bound without end", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: up, max: .inf}]}\n", `max must be a number`},
		{"too many metrics", head + "  - {name: prod, clusters: [p], metrics: [" + strings.Repeat("{name: a, query: up, max: 1}, ", 21) + "]}\n", `more than 20 metrics`},
		{"a query without end", head + "  - {name: prod, clusters: [p], metrics: [{name: a, query: \"" + strings.Repeat("up + ", 1000) + "up\", max: 1}]}\n", `the query is longer than 4096 bytes`},
		{"no rules of health", head + "health: []\n", `health lists no rule`},
		{"a rule of health that does not compile", head + "health:\n  - group: a.b\n    kind: Queue\n    current: status.\n", `tagboat.yaml:7: the expression does not compile: Syntax error`},
		{"a rule of health that does not say when", head + "health: [{kind: Queue, failed: 'true'}]\n", `the rule for Queue does not say when it is current`},
		{"a rule of health with a version", head + "health: [{group: a.b/v1, kind: Queue, current: 'true'}]\n", `"a.b/v1" is not an API group; write it without the version`},
		{"a rule of health for no kind", head + "health: [{kind: queues, current: 'true'}]\n", `"queues" is not a kind; write it as in the objects`},
		{"a rule of health that could tell secrets", head + "health: [{kind: Secret, current: 'true', message: data.password}]\n", `a rule for Secrets could show on a pull request what they hold`},
		{"too many rules of health", head + "health: [" + strings.Repeat("{kind: Queue, current: 'true'}, ", 51) + "]\n", `more than 50 rules of health`},
		{"no waves", head + "  - {name: prod, clusters: [p], waves: []}\n", `tagboat.yaml:4: waves of environment prod lists no wave; write waves: [[CLUSTER], [CLUSTER]], or remove it`},
		{"an empty wave", head + "  - name: prod\n    clusters: [p]\n    waves:\n      - [p]\n      - []\n", `tagboat.yaml:8: wave 2 of environment prod has no clusters; write [CLUSTER], or remove it`},
		{"a wave without clusters", head + "  - {name: prod, clusters: [p], waves: [{healthy: 1m}, [p]]}\n", `wave 1 of environment prod has no clusters`},
		{"a cluster in no wave", head + "  - name: prod\n    clusters: [eu, us]\n    waves: [[eu]]\n", `tagboat.yaml:6: cluster us of environment prod is in no wave; add it to one, or write it as a wave of its own`},
		{"a cluster in two waves", head + "  - name: prod\n    clusters: [eu, us]\n    waves:\n      - [eu]\n      - {clusters: [us, eu]}\n", `tagboat.yaml:8: cluster eu is in wave 1 already; remove it from wave 2`},
		{"a cluster twice in a wave", head + "  - {name: prod, clusters: [eu], waves: [[eu, eu]]}\n", `cluster eu is in wave 1 already; remove it from wave 1`},
		{"a wave of another's cluster", head + "  - name: prod\n    clusters: [prod-eu]\n    waves:\n      - [prod-ue]\n", `tagboat.yaml:7: cluster "prod-ue" of wave 1 is no cluster of environment prod, which has prod-eu; prod-eu was meant?`},
		{"a soak that nothing waits for", head + "  - {name: prod, clusters: [eu, us], waves: [[eu], {clusters: [us], healthy: 1h}]}\n", `no wave comes after wave 2 of environment prod that could wait for it`},
		{"a wave of no kind", head + "  - {name: prod, clusters: [eu], waves: [eu]}\n", `environments[1].waves[0] must be a mapping (key: value), not a single value`},
		{"a wave's unknown field", head + "  - {name: prod, clusters: [eu], waves: [{cluster: [eu]}]}\n", `environments[1].waves[0]: unknown field "cluster"; write "clusters"`},
		{"policy directory", head + "policies: {dir: ../policies}\n", `tagboat.yaml:4: "../policies" is not a directory below this one`},
		{"policy of its own", head + "policies: {builtin: {resource-limit: warn}}\n", `tagboat.yaml:4: there is no built-in rule "resource-limit"; write "resource-limits"`},
		{"policy version", head + "policies: {kubernetes: '31'}\n", `kubernetes is "31"; write the oldest API server's version in quotes, such as "1.31"`},
		{"policy of an environment", head + "  - {name: prod, clusters: [p], policies: {builtin: {probes: true}}}\n", `environments[1].policies.builtin.probes must be a string`},
		{"mode of an environment", head + "  - {name: prod, clusters: [p], policies: {builtin: {probes: enforced}}}\n", `environments[1].policies.builtin.probes is "enforced"; write one of enforce, warn, off; enforce was meant?`},
		{"waiver without owner", head + "policies:\n  waivers:\n    - {rule: probes, reason: x, expires: 2026-12-31}\n", `tagboat.yaml:6: policies.waivers[0] has no owner; write one, as in owner: team-payments`},
		{"waiver without reason", head + "policies: {waivers: [{rule: probes, owner: a, reason: ' ', expires: 2026-12-31}]}\n", `policies.waivers[0] has no reason`},
		{"waiver without end", head + "policies: {waivers: [{rule: probes, owner: a, reason: x}]}\n", `policies.waivers[0] has no expires; write one, as in expires: 2026-12-31`},
		{"waiver that ends some day", head + "policies: {waivers: [{rule: probes, owner: a, reason: x, expires: 2026-13-01}]}\n", `policies.waivers[0].expires must be a day such as 2026-12-31`},
		{"waiver of nothing", head + "policies: {waivers: [{owner: a, reason: x, expires: 2026-12-31}]}\n", `policies.waivers[0] has no rule`},
		{"waiver for no object", head + "policies: {waivers: [{rule: probes, object: web, owner: a, reason: x, expires: 2026-12-31}]}\n", `"web" is not an object; write Kind/name or Kind/namespace/name`},
		{"waiver elsewhere", head + "policies: {waivers: [{rule: probes, env: prod, owner: a, reason: x, expires: 2026-12-31}]}\n", `environment "prod" is not declared; declared are dev`},
		{"misspelt field", head + "  - {name: prod, clusters: [p], folow: {env: dev}}\n", `tagboat.yaml:4: environments[1]: unknown field "folow"; write "follow"`},
		{"letters swapped", head + "  - {name: prod, clutsers: [p]}\n", `unknown field "clutsers"; write "clusters"`},
		{"plural", head + "app: []\n", `unknown field "app"; write "apps"`},
		{"environment nearly right", head + "  - {name: prod, clusters: [p], needs: [{env: deev}]}\n", `environment "deev" is not declared; write "dev"`},
		{"drift", head + "  - {name: prod, clusters: [p], drift: repair}\n", `environments[1].drift is "repair"; write one of report, heal, off`},
		{"adopt", head + "  - {name: prod, clusters: [p], adopt: never}\n", `environments[1].adopt is "never"; write one of ask, always`},
		{"force", head + "  - {name: prod, clusters: [p], force: all}\n", `environments[1].force is "all"; write one of people`},
		{"ignore everything", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {app: payments}\n", `it ignores everything; name a kind, fields or managers, or write drift: off for an environment`},
		{"ignore a field that is none", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {fields: [spec..replicas]}\n", `"spec..replicas" is no path to a field; write spec.replicas`},
		{"ignore a field whose quotes are not closed", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {fields: ['data[\"a]']}\n", `is no path to a field; write spec.replicas`},
		{"ignore an element whose value is quoted", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {fields: ['containers[name=\"web\"].image']}\n", `is no path to a field; write spec.replicas`},
		{"ignore an element that is none", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {fields: ['containers[]']}\n", `is no path to a field; write spec.replicas`},
		{"ignore in no environment", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {env: prd, kind: Deployment}\n", `environment "prd" is not declared; write "prod"`},
		{"ignore a pattern that is none", head + "  - {name: prod, clusters: [p]}\nignore:\n  - {kind: \"[\"}\n", `"[" is no pattern`},
		{"dryRun", head + "  - {name: prod, clusters: [p], dryRun: warning}\n", `environments[1].dryRun is "warning"; write one of enforce, warn, off`},
		{"merge nearly right", head + "  - {name: prod, clusters: [p], merge: manul}\n", `environments[1].merge is "manul"; write one of auto, manual; manual was meant?`},
		{"cluster nearly right", head + "clusters: [{name: deev}]\n", `or remove it; dev was meant?`},
		{"placeholder nearly right", head + "apps: [{discover: 'apps/{ap}/{env}'}]\n", `"apps/{ap}/{env}" has {ap}; only {app}, {env} and {cluster} can stand here; {app} was meant?`},
		{"placeholders without a border", head + "apps: [{discover: 'apps/{app}{env}'}]\n", `nothing says where one placeholder of "{app}{env}" ends and the next begins`},
		{"cluster twice in a pattern", head + "apps: [{discover: '{cluster}/{app}/{env}/{cluster}'}]\n", `must have {cluster} at most once`},
		{"refs as text", head + "  - {name: prod, clusters: [p], refs: maybe}\n", `tagboat.yaml:4: environments[1].refs must be true or false`},
		{"one file for all environments", head + "  - {name: prod, clusters: [p]}\napps: [{name: a, file: a.yaml}]\n", `tagboat.yaml:5: "a.yaml" is one file for all environments, which would move together; put {env} into it`},
		{"file that is none", head + "apps: [{name: a, file: 'a/{env}'}]\n", `"a/{env}" must be a file that ends in .yaml or .yml`},
		{"path that is a file", head + "apps: [{name: a, path: 'a/{env}.yaml'}]\n", `"a/{env}.yaml" is a file; write it as file:`},
		{"two files", head + "apps: [{discover: '{app}/{env}.yaml', file: 'x-{env}.yaml'}]\n", `apps[0].discover finds files already; remove file, or discover directories`},
		{"file outside", head + "apps: [{name: a, path: 'a/{env}', file: '../{env}.yaml'}]\n", `"../{env}.yaml" must be a clean path inside the repository`},
		{"cluster that the pattern lacks", head + "apps: [{discover: '{app}/{env}', file: 'a/{cluster}/{env}.yaml'}]\n", `has {cluster}; only {app} and {env} can stand here`},
		{"images and charts", head + "apps: [{name: a, path: 'a/{env}', images: [x], charts: [y]}]\n", `apps[0] has images and charts; only one of them can move`},
		{"chart with scheme", head + "apps: [{name: a, path: 'a/{env}', charts: ['oci://r/y']}]\n", `"oci://r/y" is not a chart; write it without oci:// and version`},
		{"image twice", head + "apps: [{name: a, path: 'a/{env}', images: [x, x]}]\n", `apps[0].images[1] repeats x; remove it`},
		{"app in a named image", head + "apps: [{name: a, path: 'a/{env}', images: ['r/{app}']}]\n", `"r/{app}" is not a repository`},
		{"helm without chart", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {values: ['a/{env}.yaml']}}]\n", `apps[0].helm.chart is missing; write the chart's directory`},
		{"chart that is not pinned", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: 'oci://registry.example.com/charts/a:1.0.0'}}]\n", `"oci://registry.example.com/charts/a:1.0.0" is not pinned; write oci://host/repository@sha256:`},
		{"chart from the web", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: 'https://charts.example.com/a'}}]\n", `is neither a directory of this repository nor oci://`},
		{"chart outside", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: '../charts/a'}}]\n", `"../charts/a" must be a clean path inside the repository`},
		{"values that are none", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: c, values: [a.json]}}]\n", `"a.json" must be a file that ends in .yaml or .yml`},
		{"values for all", head + "  - {name: prod, clusters: [p]}\napps: [{name: a, path: 'a/{env}', helm: {chart: c, values: [a.yaml]}}]\n", `the last of values carries the version, and "a.yaml" is one file for all environments`},
		{"no values", head + "apps: [{name: a, path: 'a/{env}', helm: {chart: c}}]\n", `apps[0].helm names no values, so nothing says where the version stands`},
		{"release", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: c, release: A_b}}]\n", `"A_b" is not a name of a Helm release; write 1 to 53 of a-z`},
		{"namespace", head + "apps: [{name: a, file: 'a/{env}.yaml', helm: {chart: c, namespace: a.b}}]\n", `"a.b" is not a namespace; write 1 to 63 of a-z`},
		{"policy mode", head + "policies: {dir: policies, builtin: {resource-limits: maybe}}\n", `policies.builtin.resource-limits is "maybe"; write one of enforce, warn, off`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := envrepo.Parse("tagboat.yaml", []byte(tt.data))
			if c != nil || !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, %v %v\nwant Invalid %q", c, fault.KindOf(err), err, tt.want)
			}
			for _, line := range strings.Split(err.Error(), "\n") {
				if !strings.HasPrefix(line, "tagboat.yaml:") {
					t.Errorf("no file and line: %q", line)
				}
			}
		})
	}
}

func TestAllMistakesAreToldAtOnceInLineOrder(t *testing.T) {
	_, err := envrepo.Parse("tagboat.yaml", []byte("apiVersion: tagboat.dev/v1\nenvironments:\n- name: Prod\n  merge: maybe\n- name: dev\n  clusters: [dev]\n  needs: [{env: x}]\n"))
	var lines []int
	for _, p := range envrepo.Problems(err) {
		lines = append(lines, p.Line)
	}
	if diff := cmp.Diff([]int{3, 3, 4, 7}, lines); diff != "" {
		t.Errorf("lines (-want +got):\n%s\n%v", diff, err)
	}
}

func TestWhichTagsAnEnvironmentFollows(t *testing.T) {
	tests := []struct {
		constraint, tag string
		want            bool
	}{
		{">=1.0.0-0", "1.7.0", true},
		{">=1.0.0-0", "v1.7.0", true},
		{">=1.0.0-0", "1.7.0-rc.1", true},
		{">=1.0.0", "1.7.0-rc.1", false},
		{">=1.0.0", "0.9.0", false},
		{"~1.7", "1.7.4", true},
		{"~1.7", "1.8.0", false},
		{">=1.0.0-0", "1.7", false},
		{">=1.0.0-0", "20261001", false},
		{">=1.0.0-0", "latest", false},
		{">=1.0.0-0", "sha-3300e6c", false},
	}
	for _, tt := range tests {
		c := parse(t, fmt.Sprintf("apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [dev], follow: {semver: %q}}, {name: s, clusters: [s], follow: {env: dev}}, {name: p, clusters: [p]}]\n", tt.constraint))
		if got := c.Follows(c.Environments[0], tt.tag); got != tt.want {
			t.Errorf("%s follows %s: %v", tt.constraint, tt.tag, got)
		}
		if c.Follows(c.Environments[1], tt.tag) || c.Follows(c.Environments[2], tt.tag) {
			t.Errorf("an environment without a constraint takes %s by itself", tt.tag)
		}
	}
}

func TestDownstreamAndClusterPaths(t *testing.T) {
	c := parse(t, story)
	var names []string
	for _, e := range c.Downstream("dev") {
		names = append(names, e.Name)
	}
	if diff := cmp.Diff([]string{"staging"}, names); diff != "" {
		t.Error(diff)
	}
	if len(c.Downstream("prod")) != 0 {
		t.Error("something is downstream of prod")
	}
	pair := envrepo.Pair{App: "payments", Env: "prod", Path: "apps/payments/overlays/prod"}
	if got := c.OverlayFor(pair, "prod-eu"); got != "apps/payments/overlays/prod/eu" {
		t.Errorf("prod-eu renders %s", got)
	}
	if got := c.OverlayFor(pair, "prod-us"); got != pair.Path {
		t.Errorf("prod-us renders %s", got)
	}
	if _, ok := c.Environment("qa"); ok {
		t.Error("qa exists")
	}
}

func TestPairsAreDiscoveredAndOneBrokenOverlayStopsOnlyItself(t *testing.T) {
	tree := repo(map[string]string{
		"tagboat.yaml": story,
		"apps/payments/overlays/prod/kustomization.yaml": "images:\n- {name: payments, newName: registry.example.com/payments, newTag: 1.6.0}\n- {name: sidecar, newTag: '1'}\n- {name: sidecar, newTag: '2'}\n",
		"apps/payments/overlays/dev/Kustomization":       "images: [{name: payments}]\n",
		"apps/payments/overlays/qa/kustomization.yaml":   "images: [{name: payments}]\n", // no such environment
		"apps/payments/base/kustomization.yaml":          "images: [{name: payments}]\n", // no overlay
		"apps/shop/overlays/dev/kustomization.yml":       "images: [\n",
		"apps/shop/overlays/staging/kustomization.yaml":  "images: {name: x}\n",
		"apps/shop/overlays/prod/kustomization.yaml":     "resources: [../../base]\n", // sets no image
		"apps/twice/overlays/dev/kustomization.yaml":     "images: [{name: a}]\n",
		"apps/twice/overlays/dev/kustomization.yml":      "images: [{name: a}]\n",
		"apps/Shouty/overlays/dev/kustomization.yaml":    "images: [{name: a}]\n",
		"apps/_template/overlays/dev/kustomization.yaml": "images: [{name: a}]\n",
		"apps/README.md": "x",
		"services/catalog/overlays/prod/kustomization.yml": "resources: [../../base]\n",
	})
	_, pairs, err := envrepo.Load(tree)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pairs {
		line := fmt.Sprintf("%s %s %s %v", p.App, p.Env, p.File, p.Images)
		if p.Err != nil {
			line = fmt.Sprintf("%s %s %v: %v", p.App, p.Env, fault.KindOf(p.Err), p.Err)
		}
		got = append(got, line)
	}
	want := []string{
		`Shouty dev invalid: apps/Shouty/overlays/dev/kustomization.yaml:1: app "Shouty" is not a name; write 1 to 63 of a-z, 0-9, '.', '_', '-', starting with a letter or digit`,
		`catalog prod services/catalog/overlays/prod/kustomization.yml [registry.example.com/catalog]`,
		`payments dev apps/payments/overlays/dev/Kustomization [payments]`,
		`payments prod apps/payments/overlays/prod/kustomization.yaml [registry.example.com/payments sidecar]`,
		`shop dev invalid: apps/shop/overlays/dev/kustomization.yml:1: not valid YAML (did not find expected node content); check indentation, colons and quotes near this line`,
		`shop staging invalid: apps/shop/overlays/staging/kustomization.yaml:1: images: must be a list of {name, newName, newTag, digest}`,
		`twice dev invalid: apps/twice/overlays/dev/kustomization.yaml:1: apps/twice/overlays/dev has both kustomization.yaml and kustomization.yml; Kustomize accepts one`,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}

func TestANamedAppWinsOverAPatternAndDoublesAreRefused(t *testing.T) {
	config := "apiVersion: tagboat.dev/v1\napps:\n- discover: apps/{app}/{env}\n- discover: more/{env}/{app}\n- {name: renamed, path: 'apps/a/{env}', images: [r/a]}\n- {name: gone, path: 'gone/{env}'}\nenvironments: [{name: dev, clusters: [dev]}]\n"
	_, pairs, err := envrepo.Load(repo(map[string]string{
		"tagboat.yaml":                  config,
		"apps/a/dev/kustomization.yaml": "images: [{name: a}]\n",
		"apps/b/dev/kustomization.yaml": "images: [{name: b}]\n",
		"more/dev/b/kustomization.yaml": "images: [{name: b}]\n",
	}))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, p := range pairs {
		got = append(got, fmt.Sprintf("%s %s %v %v", p.App, p.Path, p.Images, fault.HintOf(p.Err)))
	}
	want := []string{
		"b apps/b/dev [b] apps/b/dev/kustomization.yaml:1: b in dev has two overlays, apps/b/dev and more/dev/b; keep one, or name the app under apps: in tagboat.yaml",
		"b more/dev/b [b] more/dev/b/kustomization.yaml:1: b in dev has two overlays, more/dev/b and apps/b/dev; keep one, or name the app under apps: in tagboat.yaml",
		"gone gone/dev [] tagboat.yaml:6: app gone has no overlay in gone/dev; add one, or correct its path",
		"renamed apps/a/dev [r/a] ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}

func TestWithoutConfigurationNothingIsAllowed(t *testing.T) {
	_, _, err := envrepo.Load(repo(nil))
	if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), "tagboat.yaml is missing") {
		t.Errorf("got %v", err)
	}
}

// TestADirectoryThatCannotBeReadIsNotAnAbsence keeps I6.
func TestADirectoryThatCannotBeReadIsNotAnAbsence(t *testing.T) {
	tree := unreadable{repo(map[string]string{"tagboat.yaml": story, "apps/payments/overlays/dev/kustomization.yaml": "images: [{name: a}]\n"}), "apps/payments"}
	if _, pairs, err := envrepo.Load(tree); err == nil {
		t.Errorf("an unreadable directory was taken for an empty one: %v", pairs)
	}
}

type unreadable struct {
	fs.FS
	dir string
}

func (u unreadable) Open(name string) (fs.File, error) {
	if name == u.dir {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrPermission}
	}
	return u.FS.Open(name)
}

func (u unreadable) ReadDir(name string) ([]fs.DirEntry, error) {
	if name == u.dir {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrPermission}
	}
	return fs.ReadDir(u.FS, name)
}

func repo(files map[string]string) fstest.MapFS {
	tree := fstest.MapFS{}
	for name, data := range files {
		tree[name] = &fstest.MapFile{Data: []byte(data)}
	}
	return tree
}

func parse(t *testing.T, data string) *envrepo.Config {
	t.Helper()
	c, err := envrepo.Parse("tagboat.yaml", []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Without override nobody may; what override leaves out is said for it.
func TestOverride(t *testing.T) {
	c := parse(t, "apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [dev]}, {name: prod, clusters: [prod], override: {teams: [sre]}}]\n")
	if c.Environments[0].Override != nil {
		t.Errorf("in dev: %+v", c.Environments[0].Override)
	}
	if o := c.Environments[1].Override; !slices.Equal(o.Gates, []string{"checks", "upstream", "stop", "window"}) || o.Expires != time.Hour {
		t.Errorf("in prod: %+v", o)
	}
}
