package policy_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/policy"
)

type modes = map[string]policy.Mode

func TestMerge(t *testing.T) {
	rule, _ := policy.Builtin("probes") // warns by default
	env := func(m policy.Mode) map[string]map[string]policy.Mode {
		return map[string]map[string]policy.Mode{"prod": {"probes": m}}
	}
	for _, tt := range []struct {
		name               string
		team, organisation policy.Settings
		mode, floor        policy.Mode
	}{
		{"nobody says anything", policy.Settings{}, policy.Settings{}, policy.Warn, policy.Off},
		{"the team says it", policy.Settings{Builtin: modes{"probes": policy.Off}}, policy.Settings{}, policy.Off, policy.Off},
		{"the environment is stricter", policy.Settings{Builtin: modes{"probes": policy.Off}, Environments: env(policy.Enforce)}, policy.Settings{}, policy.Enforce, policy.Off},
		{"the environment is laxer", policy.Settings{Builtin: modes{"probes": policy.Enforce}, Environments: env(policy.Warn)}, policy.Settings{}, policy.Warn, policy.Off},
		{"the organisation is stricter", policy.Settings{Builtin: modes{"probes": policy.Off}}, policy.Settings{Builtin: modes{"probes": policy.Enforce}}, policy.Enforce, policy.Enforce},
		{"the organisation is laxer", policy.Settings{Builtin: modes{"probes": policy.Enforce}}, policy.Settings{Builtin: modes{"probes": policy.Off}}, policy.Enforce, policy.Off},
		{"no environment gets below it", policy.Settings{Environments: env(policy.Off)}, policy.Settings{Builtin: modes{"probes": policy.Warn}}, policy.Warn, policy.Warn},
		{"it is strict there alone", policy.Settings{Builtin: modes{"probes": policy.Off}}, policy.Settings{Environments: env(policy.Enforce)}, policy.Enforce, policy.Enforce},
	} {
		if mode, floor := policy.Merge(rule, "prod", tt.team, tt.organisation); mode != tt.mode || floor != tt.floor {
			t.Errorf("%s: %v, floor %v, want %v, floor %v", tt.name, mode, floor, tt.mode, tt.floor)
		}
	}
}

func TestATeamNeverGetsBelowItsOrganisation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := rapid.MapOf(rapid.SampledFrom([]string{"probes", "privileged"}), rapid.SampledFrom([]policy.Mode{policy.Off, policy.Warn, policy.Enforce}))
		settings := func(name string) policy.Settings {
			return policy.Settings{Builtin: draw.Draw(t, name), Environments: map[string]map[string]policy.Mode{"prod": draw.Draw(t, name+" prod")}}
		}
		team, organisation := settings("team"), settings("organisation")
		for _, rule := range policy.Pack {
			mode, floor := policy.Merge(rule, "prod", team, organisation)
			alone, _ := policy.Merge(rule, "prod", policy.Settings{Builtin: modes{rule.Name: policy.Off}}, organisation)
			if mode < floor || mode < alone {
				t.Fatalf("%s is %v, and the organisation wants %v", rule.Name, mode, floor)
			}
		}
	})
}

func TestWaivers(t *testing.T) {
	day := func(s string) time.Time {
		d, err := time.Parse(time.DateOnly, s)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	now := day("2026-06-15").Add(13 * time.Hour)
	waiver := func(change func(*policy.Waiver)) policy.Waiver {
		w := policy.Waiver{Rule: "mutable-tag", Owner: "o", Reason: "r", Expires: day("2026-12-31")}
		change(&w)
		return w
	}
	strict := policy.Settings{Builtin: modes{"mutable-tag": policy.Enforce}}
	for _, tt := range []struct {
		name         string
		waiver       policy.Waiver
		organisation *policy.Settings
		mode         policy.Mode
		blocks       bool
		state        string
	}{
		{"it is about everything", waiver(func(*policy.Waiver) {}), nil, policy.Enforce, false, "waived"},
		{"another rule", waiver(func(w *policy.Waiver) { w.Rule = "probes" }), nil, policy.Enforce, true, ""},
		{"this app", waiver(func(w *policy.Waiver) { w.App = "shop" }), nil, policy.Enforce, false, "waived"},
		{"another app", waiver(func(w *policy.Waiver) { w.App = "x" }), nil, policy.Enforce, true, ""},
		{"another environment", waiver(func(w *policy.Waiver) { w.Env = "dev" }), nil, policy.Enforce, true, ""},
		{"this object", waiver(func(w *policy.Waiver) { w.Object = "Deployment/web" }), nil, policy.Enforce, false, "waived"},
		{"this object there", waiver(func(w *policy.Waiver) { w.Object = "Deployment/shop/web" }), nil, policy.Enforce, false, "waived"},
		{"this object elsewhere", waiver(func(w *policy.Waiver) { w.Object = "Deployment/x/web" }), nil, policy.Enforce, true, ""},
		{"another object", waiver(func(w *policy.Waiver) { w.Object = "Deployment/wob" }), nil, policy.Enforce, true, ""},
		{"its last day", waiver(func(w *policy.Waiver) { w.Expires = day("2026-06-15") }), nil, policy.Enforce, false, "waived"},
		{"the day after", waiver(func(w *policy.Waiver) { w.Expires = day("2026-06-14") }), nil, policy.Enforce, true, "expired"},
		{"the organisation enforces it", waiver(func(*policy.Waiver) {}), &strict, policy.Enforce, true, "refused"},
		{"the organisation only warns", waiver(func(*policy.Waiver) {}), &policy.Settings{Builtin: modes{"mutable-tag": policy.Warn}}, policy.Warn, false, "refused"},
		{"the organisation lets teams", waiver(func(*policy.Waiver) {}), &policy.Settings{Builtin: strict.Builtin, Waivable: []string{"mutable-tag"}}, policy.Enforce, false, "waived"},
		{"the organisation waives it", waiver(func(w *policy.Waiver) { w.App = "x" }), &policy.Settings{Builtin: strict.Builtin, Waivers: []policy.Waiver{waiver(func(*policy.Waiver) {})}}, policy.Enforce, false, "waived"},
	} {
		team := strict
		team.Waivers = []policy.Waiver{tt.waiver}
		rules := policy.Rules{Team: &policy.Source{Settings: team}}
		if tt.organisation != nil {
			rules.Organisation = &policy.Source{Settings: *tt.organisation}
		}
		in := policy.Input{App: "shop", Env: "prod", Head: objects(t, workload("Deployment", "image: shop:latest"))}
		all := slices.DeleteFunc(policy.Evaluate(rules, in, now), func(v policy.Violation) bool { return v.Rule != "mutable-tag" })
		if len(all) != 1 {
			t.Errorf("%s: %+v", tt.name, all)
			continue
		}
		v, state := all[0], ""
		switch {
		case v.Waived != nil:
			state = "waived"
		case v.Refused != nil:
			state = "refused"
		case v.Expired != nil:
			state = "expired"
		}
		if v.Mode != tt.mode || v.Blocks() != tt.blocks || state != tt.state {
			t.Errorf("%s: %v, blocks %v, %q; want %v, %v, %q", tt.name, v.Mode, v.Blocks(), state, tt.mode, tt.blocks, tt.state)
		}
	}
	rules := policy.Rules{Team: &policy.Source{Settings: policy.Settings{Waivers: []policy.Waiver{
		waiver(func(*policy.Waiver) {}), waiver(func(w *policy.Waiver) { w.Rule = "mutabletag" }), waiver(func(w *policy.Waiver) { w.Expires = day("2026-01-01") }),
	}}}}
	if notes := rules.Idle(now); len(notes) != 2 || !strings.Contains(notes[0], "mutabletag, which is neither") || !strings.Contains(notes[1], "ended on 2026-01-01") {
		t.Errorf("idle: %q", notes)
	}
}

// TestAMountedConfigMapIsADirectoryOfPolicies: its files are links to those of a hidden
// directory. What is behind a link to a directory would be left out, so it is refused.
func TestAMountedConfigMapIsADirectoryOfPolicies(t *testing.T) {
	dir := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(dir, "admission", "..2026_01_01"), 0o700),
		os.WriteFile(filepath.Join(dir, "admission", "..2026_01_01", "team.yaml"), []byte(labelled), 0o600),
		os.Symlink("..2026_01_01", filepath.Join(dir, "admission", "..data")),
		os.Symlink("..data/team.yaml", filepath.Join(dir, "admission", "team.yaml")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	in := policy.Input{Head: objects(t, workload("Deployment", "image: shop:1.0.0"))}
	rules := func() []string {
		var names []string
		for _, v := range policy.Evaluate(policy.Rules{Organisation: policy.Read(os.DirFS(dir), policy.Settings{Dir: "admission"})}, in, time.Time{}) {
			if v.Blocks() {
				names = append(names, v.Rule)
			}
		}
		return names
	}
	if got := rules(); !slices.Equal(got, []string{"team-label"}) {
		t.Errorf("found %q", got)
	}
	if err := os.Symlink("..data", filepath.Join(dir, "admission", "more")); err != nil {
		t.Fatal(err)
	}
	if got := rules(); !slices.Equal(got, []string{"policies"}) {
		t.Errorf("with a link to a directory: found %q", got)
	}
}

const labelled = `apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: team-label}
spec:
  matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]}
  validations:
    - expression: "'team' in object.metadata.?labels.orValue({})"
      message: every Deployment needs the label team
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: team-label}
spec: {policyName: team-label, validationActions: [Deny]}
`

func TestPoliciesOfADirectory(t *testing.T) {
	quiet := modes{}
	for _, r := range policy.Pack {
		quiet[r.Name] = policy.Off
	}
	waivers := []policy.Waiver{{Rule: "team-label", Owner: "o", Reason: "r", Expires: time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)}}
	in := policy.Input{Head: objects(t, workload("Deployment", "image: shop"))}
	tree := fstest.MapFS{
		"policies/labels/team.yaml":        {Data: []byte(labelled)},
		"policies/kustomization.yaml":      {Data: []byte("resources: [labels/team.yaml]")},
		"policies/README.md":               {Data: []byte("# no policy")},
		"broken/policy.yaml":               {Data: []byte(strings.Replace(labelled, "expression:", "expresion:", 1))},
		"taken/policy.yaml":                {Data: []byte(strings.ReplaceAll(labelled, "team-label", "probes"))},
		"policies/labels/nested/notes.txt": {Data: []byte("{")},
	}
	for _, tt := range []struct {
		name  string
		rules policy.Rules
		want  string
	}{
		{"the team's", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Dir: "policies"})}, "team-label enforce blocks"},
		{"waived", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Dir: "policies", Waivers: waivers})}, "team-label enforce"},
		{"the organisation's", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Waivers: waivers}), Organisation: policy.Read(tree, policy.Settings{Dir: "policies"})}, "team-label enforce blocks organisation"},
		{"broken", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Dir: "broken"})}, "team-label enforce blocks broken/policy.yaml:7"},
		{"broken, of the organisation", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet}), Organisation: policy.Read(tree, policy.Settings{Dir: "broken"})}, "team-label enforce blocks organisation"},
		{"a name that is taken", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Dir: "taken"})}, "probes enforce blocks taken; probes enforce blocks"},
		{"no directory", policy.Rules{Team: policy.Read(tree, policy.Settings{Builtin: quiet, Dir: "nope"})}, "policies enforce blocks nope"},
	} {
		var got []string
		for _, v := range policy.Evaluate(tt.rules, in, time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)) {
			word := v.Rule + " " + v.Mode.String()
			if v.Blocks() {
				word += " blocks"
			}
			if v.Organisation() {
				word += " organisation"
			}
			if v.Place.File != "" {
				word += " " + v.Place.String()
			}
			got = append(got, word)
		}
		if text := strings.Join(got, "; "); text != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, text, tt.want)
		}
	}
}

// TestNothingThatIsRenderedMakesARulePanic: objects are what anybody wrote.
func TestNothingThatIsRenderedMakesARulePanic(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := policy.Input{Head: anyObjects(t, "head"), Base: anyObjects(t, "base"), Secrets: detector}
		rules := policy.Rules{Organisation: policy.Read(fstest.MapFS{}, policy.Settings{Builtin: modes{"digest-required": policy.Enforce}})}
		var findings policy.Findings
		files := policy.NewFiles(fstest.MapFS{"a/kustomization.yaml": {Data: []byte("images: [1, {name: a}]\nsecretGenerator: {}\n")}, "a/b.yaml": {Data: []byte("kind: Deployment\nspec: &a [*a, 1]\n---\n- a\n")}})
		violations := policy.Evaluate(rules, in, time.Time{})
		for i, v := range violations {
			violations[i].Place = files.Locator("a/kustomization.yaml", []string{"a/kustomization.yaml", "a/b.yaml", "nope"}).Locate(v)
		}
		findings.Add(policy.Overlay{Path: "a"}, violations)
		if _, err := policy.SARIF(findings.List(), nil, ""); err != nil {
			t.Fatal(err)
		}
	})
}

// words that rules look for, and values that they do not expect.
func anyObjects(t *rapid.T, label string) []policy.Object {
	keys := rapid.SampledFrom([]string{"metadata", "labels", "spec", "template", "jobTemplate", "containers", "initContainers", "env", "args", "name", "namespace",
		"value", "image", "resources", "limits", "requests", "memory", "cpu", "securityContext", "capabilities", "add", "runAsUser", "volumes", "hostPath", "ports",
		"hostPort", "data", "selector", "matchLabels", "minAvailable", "names", "kind", "readinessProbe", "annotations", "sops"})
	scalars := rapid.OneOf(rapid.Just[any](nil), rapid.Just[any](int64(0)), rapid.Just[any](true), rapid.Just[any](1.5), rapid.Just[any]("postgres://a:b@c/"), rapid.Map(rapid.String(), func(s string) any { return s }))
	var value *rapid.Generator[any]
	value = rapid.OneOf(scalars,
		rapid.Map(rapid.SliceOfN(rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 3), func(l []any) any { return l }),
		rapid.Map(rapid.MapOfN(keys, rapid.Deferred(func() *rapid.Generator[any] { return value }), 0, 4), func(m map[string]any) any { return m }))
	kind := rapid.SampledFrom([]string{"Pod", "Deployment", "CronJob", "Secret", "ConfigMap", "PodDisruptionBudget", "CustomResourceDefinition", "PersistentVolumeClaim", "X"})
	var all []policy.Object
	for range rapid.IntRange(0, 4).Draw(t, label) {
		m := rapid.MapOfN(keys, value, 1, 6).Draw(t, label)
		m["kind"], m["apiVersion"] = kind.Draw(t, label), rapid.SampledFrom([]string{"v1", "apps/v1", "policy/v1"}).Draw(t, label)
		all = append(all, &unstructured.Unstructured{Object: m})
	}
	return all
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(workload("Deployment", "image: shop")))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems: [null, {}]\n---\n- a\n"))
	f.Fuzz(func(_ *testing.T, data []byte) {
		all, err := policy.Parse(data)
		if err != nil {
			return
		}
		policy.Evaluate(policy.Rules{}, policy.Input{Head: all, Base: all, Secrets: detector}, time.Time{})
	})
}

func TestFindingsAreToldOnceAndInEveryFormat(t *testing.T) {
	violation := policy.Violation{Rule: "probes", Mode: policy.Enforce, Object: policy.ID{Kind: "Pod", Name: "a"}, Message: "100% wrong,\nreally: yes", Place: policy.Place{File: "a, b:c%.yaml", Line: 3}}
	waived := violation
	waived.Place = policy.Place{}
	waived.Waived = &policy.Waiver{Owner: "o", Reason: "r.", Expires: time.Date(2026, 12, 31, 0, 0, 0, 0, time.UTC)}
	var f policy.Findings
	f.Add(policy.Overlay{Path: "x", App: "a", Env: "dev"}, []policy.Violation{violation})
	f.Add(policy.Overlay{Path: "y", App: "a", Env: "prod"}, []policy.Violation{violation, waived})
	all := f.List()
	if e, w, x := policy.Count(all); e != 1 || w != 0 || x != 1 || len(all) != 2 {
		t.Fatalf("counted %d, %d, %d of %d", e, w, x, len(all))
	}
	if got, want := policy.Workflow(all, "env"), "::notice title=tagboat%3A probes::Pod a: 100%25 wrong,%0Areally: yes. Waived until 2026-12-31 by o: r. (a prod)\n"+
		"::error file=env/a%2C b%3Ac%25.yaml,line=3,title=tagboat%3A probes::Pod a: 100%25 wrong,%0Areally: yes. (a dev, a prod)\n"; got != want {
		t.Errorf("commands\n%swant\n%s", got, want)
	}
	if got, want := policy.Text(all), "-: waived: probes: Pod a: 100% wrong, really: yes. Waived until 2026-12-31 by o: r. (a prod)\na, b:c%.yaml:3: enforced: probes: Pod a: 100% wrong, really: yes. (a dev, a prod)\n"; got != want {
		t.Errorf("text\n%swant\n%s", got, want)
	}
	text, err := policy.SARIF(all, []string{"x: broken"}, "env")
	if err != nil {
		t.Fatal(err)
	}
	checkSARIF(t, text)
	for _, want := range []string{`"uri": "env/a,%20b:c%25.yaml"`, `"executionSuccessful": false`, `"status": "accepted"`, `"startLine": 3`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("SARIF has no %s:\n%s", want, text)
		}
	}
}

// checkSARIF checks what the schema of SARIF 2.1.0 demands of the parts that are used
// (https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json).
func checkSARIF(t *testing.T, text []byte) {
	t.Helper()
	var log struct {
		Version string
		Runs    []struct {
			Tool struct {
				Driver struct {
					Name  string
					Rules []struct{ ID string }
				}
			}
			Results []struct {
				RuleID    string
				RuleIndex int
				Level     string
				Message   struct{ Text string }
				Locations []struct {
					PhysicalLocation struct {
						ArtifactLocation struct{ URI string }
						Region           *struct{ StartLine int }
					}
				}
				Suppressions []struct{ Kind, Status string }
			}
		}
	}
	if err := json.Unmarshal(text, &log); err != nil {
		t.Fatal(err)
	}
	if log.Version != "2.1.0" || len(log.Runs) != 1 || log.Runs[0].Tool.Driver.Name == "" {
		t.Fatalf("a strange log: %s", text)
	}
	rules := log.Runs[0].Tool.Driver.Rules
	for _, r := range log.Runs[0].Results {
		if r.RuleIndex < 0 || r.RuleIndex >= len(rules) || rules[r.RuleIndex].ID != r.RuleID || r.Message.Text == "" || !slices.Contains([]string{"error", "warning", "note"}, r.Level) {
			t.Errorf("a strange result: %+v", r)
		}
		for _, l := range r.Locations {
			if l.PhysicalLocation.ArtifactLocation.URI == "" || l.PhysicalLocation.Region != nil && l.PhysicalLocation.Region.StartLine < 1 {
				t.Errorf("a strange place: %+v", l)
			}
		}
	}
}
