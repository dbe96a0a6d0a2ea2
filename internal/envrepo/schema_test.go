package envrepo

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"sigs.k8s.io/yaml"
)

// example is the documentation's whole example, with what later versions enforce.
const example = `
apiVersion: tagboat.dev/v1
apps:
  - discover: apps/{app}/overlays/{env}
  - name: catalog
    images: [registry.example.com/catalog]
    path: services/catalog/overlays/{env}
  - discover: helm/{app}/values-{env}.yaml
    images: ["registry.example.com/{app}"]
    helm: {chart: "charts/{app}", values: [helm/common.yaml, "helm/{app}/values-{env}.yaml"], release: "{app}", namespace: "{app}-{env}"}
  - name: ledger
    file: argo/{env}/ledger.yaml
    charts: [registry.example.com/charts/ledger]
environments:
  - name: dev
    follow: {semver: ">=1.0.0-0"}
    merge: auto
    clusters: [dev]
  - name: staging
    needs: [{env: dev, healthy: 15m}]
    follow: {env: dev}
    clusters: [staging]
  - name: prod
    needs: [{env: staging, healthy: 1h}]
    approvals: {count: 2, teams: [platform]}
    checklist: {teams: [oncall], users: [erin]}
    checks: [lint, security-scan]
    windows: [{allow: "Mon-Thu 09:00-16:00", timezone: Europe/Berlin, except: [2026-12-24..2027-01-02]}, {deny: "Thu 15:00-24:00"}]
    override: {teams: [sre], users: [erin], gates: [checks, window], expires: 30m}
    rollback: {approvals: {count: 1, teams: [sre]}, checks: skip, merge: auto, automatic: propose}
    signatures: [{cosign: {key: keys/release.pub}}, {cosign: {identityRegexp: "https://github.com/acme/.*", issuer: "https://token.actions.githubusercontent.com"}}]
    commands: {promote: {role: maintain}, freeze: {teams: [sre], users: [alice]}}
    refs: true
    clusters: [prod-eu, prod-us]
    waves: [{clusters: [prod-eu], healthy: 10m}, [prod-us]]
    policies: {builtin: {digest-required: enforce}}
    metrics: [{name: errors, prometheus: main, query: 'sum(rate(errors_total{app="{{app}}"}[5m]))', max: 0.01, min: 0, for: 10m}]
clusters:
  - {name: prod-eu, path: "apps/{app}/overlays/{env}/eu"}
policies:
  dir: policies
  kubernetes: "1.31"
  builtin: {resource-limits: enforce, plaintext-secret: enforce}
  waivers:
    - {rule: probes, app: ledger, env: prod, object: Deployment/ledger, owner: payments, reason: no endpoint, expires: "2026-12-31"}
health:
  - {group: acme.example.com, kind: Queue, current: status.state == 'Running', failed: status.state == 'Broken', inProgress: "!has(status.state)", message: status.state}
`

func TestTheSchemaAcceptsTheExampleAndRefusesMistakes(t *testing.T) {
	raw, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", raw); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	valid := func(text string) error {
		data, err := yaml.YAMLToJSON([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		value, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return schema.Validate(value)
	}
	several := strings.Replace(example, "approvals: {count: 2, teams: [platform]}", "approvals: [{name: ops, count: 2, teams: [platform], allow: [builder]}, {codeowners: true}]", 1)
	plain := strings.Replace(example, "{clusters: [prod-eu], healthy: 10m}", "[prod-eu]", 1)
	for _, text := range []string{example, several, plain} {
		if err := valid(text); err != nil {
			t.Errorf("the schema refuses\n%s: %v", text, err)
		}
	}
	for _, mistake := range []string{
		strings.Replace(example, "approvals:", "approval:", 1),
		strings.Replace(example, "approvals: {count: 2, teams: [platform]}", "approvals: [{codeowner: true}]", 1),
		strings.Replace(example, "approvals: {count: 2, teams: [platform]}", "approvals: []", 1),
		strings.Replace(example, "approvals: {count: 2, teams: [platform]}", "approvals: {allow: [pusher]}", 1),
		strings.Replace(example, "healthy: 1h", "healthy: soon", 1),
		strings.Replace(example, "healthy: 10m", "healthy: soon", 1),
		strings.Replace(example, "{clusters: [prod-eu], healthy: 10m}", "{healthy: 10m}", 1),
		strings.Replace(example, "{clusters: [prod-eu], healthy: 10m}", "[]", 1),
		strings.Replace(example, "{clusters: [prod-eu], healthy: 10m}", "prod-eu", 1),
		strings.Replace(example, "max: 0.01, min: 0, ", "", 1),
		strings.Replace(example, "max: 0.01", "max: little", 1),
		strings.Replace(example, "name: errors, ", "", 1),
		strings.Replace(example, "max: 0.01", "maximum: 0.01", 1),
		strings.Replace(example, "current: status.state == 'Running', ", "", 1),
		strings.Replace(example, "kind: Queue, ", "", 1),
		strings.Replace(example, "inProgress: ", "progressing: ", 1),
		strings.Replace(example, "clusters: [dev]", "clusters: []", 1),
		strings.Replace(example, "name: dev", "name: Dev", 1),
		strings.Replace(example, "{env: dev}", "{env: dev, semver: '1'}", 1),
		strings.Replace(example, "gates: [checks, window]", "gates: [digest]", 1),
		strings.Replace(example, "teams: [sre], users: [erin], gates", "gates", 1),
		strings.Replace(example, "{key: keys/release.pub}", "{}", 1),
		strings.Replace(example, "{key: keys/release.pub}", "{identity: carol@example.com}", 1),
		strings.Replace(example, "key: keys/release.pub", "key: keys/release.pub, issuer: 'https://accounts.example.com'", 1),
		strings.Replace(example, "key: keys/release.pub", "key: keys/release.pub, identity: carol, issuer: 'https://accounts.example.com'", 1),
		strings.Replace(example, "{promote: {role", "{override: {role", 1),
		strings.Replace(example, "role: maintain", "role: read", 1),
		strings.Replace(example, "role: maintain", "", 1),
		strings.Replace(example, "checks: skip", "checks: [lint]", 1),
		strings.Replace(example, "automatic: propose", "automatic: always", 1),
		strings.Replace(example, "refs: true", "refs: 'true'", 1),
		strings.Replace(example, "chart: ", "charts: ", 1),
		strings.Replace(example, "resource-limits: enforce", "resource-limits: maybe", 1),
		strings.Replace(example, "resource-limits: enforce", "resources: enforce", 1),
		strings.Replace(example, "digest-required: enforce", "digest: enforce", 1),
		strings.Replace(example, "owner: payments, ", "", 1),
		strings.Replace(example, "2026-12-31", "soon", 1),
		strings.Replace(example, "Deployment/ledger", "ledger", 1),
		strings.Replace(example, "file: argo/{env}/ledger.yaml", "file: argo/{env}/ledger.json", 1),
		strings.Replace(example, "    file: argo/{env}/ledger.yaml\n", "", 1),
		strings.Replace(example, "    charts: [", "    images: [x]\n    charts: [", 1),
		strings.Replace(example, "  - name: ledger", "  - name: ledger\n    discover: a/{app}/{env}", 1),
	} {
		if valid(mistake) == nil {
			t.Errorf("the schema accepts\n%s", mistake)
		}
	}
}

func TestTheExampleIsWellFormed(t *testing.T) {
	c, r := decode(File, []byte(example))
	r.validate(c)
	if len(r.problems) > 0 {
		t.Errorf("problems %v", r.problems)
	}
	prod := c.Environments[2]
	if prod.Windows[0].Timezone != "Europe/Berlin" || prod.Signatures[0].Cosign.Key != "keys/release.pub" ||
		prod.Waves[1].Clusters[0] != "prod-us" || prod.Waves[0].Healthy != 10*time.Minute || c.Policies.Builtin["resource-limits"] != "enforce" ||
		*prod.Metrics[0].Max != 0.01 || *prod.Metrics[0].Min != 0 || prod.Metrics[0].For != 10*time.Minute || c.Health[0].Kind != "Queue" {
		t.Errorf("what it says was not kept: %+v", c)
	}
}

func TestTheSchemaListsTheKeysOfTheStructs(t *testing.T) {
	var root map[string]any
	if err := json.Unmarshal(Schema, &root); err != nil {
		t.Fatal(err)
	}
	var compare func(path string, schema map[string]any, typ reflect.Type)
	compare = func(path string, schema map[string]any, typ reflect.Type) {
		if ref, ok := schema["$ref"].(string); ok {
			schema = root["$defs"].(map[string]any)[strings.TrimPrefix(ref, "#/$defs/")].(map[string]any)
		}
		switch typ.Kind() {
		case reflect.Pointer:
			compare(path, schema, typ.Elem())
		case reflect.Map:
			elements, ok := schema["additionalProperties"].(map[string]any)
			if ok {
				compare(path+"{}", elements, typ.Elem())
			}
		case reflect.Slice:
			if forms, ok := schema["oneOf"].([]any); ok { // one of a list's elements need not stand in a list
				compare(path+"[]", forms[0].(map[string]any), typ.Elem())
				schema = forms[1].(map[string]any)
			}
			items, ok := schema["items"].(map[string]any)
			if !ok {
				t.Errorf("%s: the schema has no items", path)
				return
			}
			compare(path+"[]", items, typ.Elem())
		case reflect.Struct:
			properties, ok := schema["properties"].(map[string]any)
			if forms, _ := schema["oneOf"].([]any); !ok && len(forms) > 0 { // the object, or its list alone
				properties, _ = forms[0].(map[string]any)["properties"].(map[string]any)
			}
			want, got := slices.Sorted(slices.Values(fields(typ))), slices.Sorted(maps.Keys(properties))
			if !slices.Equal(want, got) {
				t.Errorf("%s: the schema has %v, the struct %v", path, got, want)
				return
			}
			for i, key := range fields(typ) {
				compare(path+"."+key, properties[key].(map[string]any), typ.Field(i).Type)
			}
		}
	}
	compare("", root, reflect.TypeFor[Config]())
}
