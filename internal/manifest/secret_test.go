package manifest_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/manifest"
)

// everywhere is all that is ever written of a diff.
func everywhere(t *testing.T, d manifest.Diff) string {
	t.Helper()
	all := []manifest.OverlayDiff{{Path: "apps/payments/overlays/prod", App: "payments", Env: "prod", Diff: d}}
	raw, err := manifest.JSON(all)
	if err != nil {
		t.Fatal(err)
	}
	if !json.Valid(raw) {
		t.Errorf("no JSON: %s", raw)
	}
	return manifest.Text(all) + manifest.Markdown(all, 60_000) + string(raw)
}

const thing = "apiVersion: v1\nkind: Thing\nmetadata:\n  name: x\n"

func TestNobodyReadsASecretInADiff(t *testing.T) {
	for name, c := range map[string]struct{ stream, secret string }{
		"data of a Secret":              {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata:\n  a: HUNTER\n", "HUNTER"},
		"stringData":                    {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  a: |\n    line\n    HUNTER\n", "HUNTER"},
		"data that is no mapping":       {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: [{HUNTER: HUNTER}]\n", "HUNTER"},
		"a list under data":             {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {env: [{name: HUNTER, value: 1}]}\n", "HUNTER"},
		"a field that Secrets have not": {"apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nspec: {HUNTER: HUNTER}\n", "HUNTER"},
		"a Secret in a list":            {"apiVersion: v1\nkind: SecretList\nitems:\n- metadata: {name: x}\n  data: {a: HUNTER}\n", "HUNTER"},
		"what kubectl applied last":     {"apiVersion: v1\nkind: Secret\nmetadata:\n  name: x\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: '{\"data\":{\"a\":\"HUNTER\"}}'\n", "HUNTER"},
		"an environment variable":       {thing + "env:\n- name: DB_PASSWORD\n  value: HUNTER\n", "HUNTER"},
		"a deploy key":                  {thing + "env:\n- name: DEPLOY_KEY\n  value: HUNTER\n", "HUNTER"},
		"a Helm parameter":              {thing + "parameters:\n- name: db.password\n  value: HUNTER\n", "HUNTER"},
		"a numeric password":            {thing + "password: 73412\n", "73412"},
		"a field with a value below":    {thing + "apiKey:\n  value: HUNTER\n", "HUNTER"},
		"a list of tokens":              {thing + "tokens: [HUNTER, HUNTER2]\n", "HUNTER"},
		"an argument":                   {thing + "args: [--token=HUNTER]\n", "HUNTER"},
		"the argument after a flag":     {thing + "args: [--log, --db-password, HUNTER, --x]\n", "HUNTER"},
		"a shell command":               {thing + "command: [sh, -c, 'login --password HUNTER now']\n", "HUNTER"},
		"a header":                      {thing + "args: ['-H', 'Authorization: Bearer HUNTERHUNTER']\n", "HUNTER"},
		"a mapping of passwords":        {thing + "passwords: {alice: HUNTER, bob: x}\n", "HUNTER"},
		"a Helm value":                  {thing + "values: {auth: {admin: HUNTER}}\n", "HUNTER"},
		"an Application's value":        {thing + "valuesObject: {db: {credentials: [{is: HUNTER}]}}\n", "HUNTER"},
		"a value's variable":            {thing + "values: {extra: {DEPLOY_KEY: HUNTER}}\n", "HUNTER"},
		"variables as a mapping":        {thing + "env: {tls.key: HUNTER}\n", "HUNTER"},
		"a pair that is no element":     {thing + "one: {name: DB_PASSWORD, value: HUNTER}\n", "HUNTER"},
		"a pair of a longer value":      {thing + "one: {name: DB_PASSWORD, value: {a: [HUNTER]}}\n", "HUNTER"},
		"a default":                     {thing + "parameters: [{name: db-password, default: HUNTER}]\n", "HUNTER"},
		"a pair with capitals":          {thing + "env: [{Name: DB_PASSWORD, Value: HUNTER}]\n", "HUNTER"},
		"a short name":                  {thing + "smtp: {smtpPass: HUNTER}\n", "HUNTER"},
		"a key that is one":             {thing + "users: {ghp_abcdefghijklmnopqrstuvwxyz0123456789: admin, b: [a]}\n", "abcdefghij"},
		"an element known by one":       {thing + "env: [{name: ghp_abcdefghijklmnopqrstuvwxyz0123456789, value: a, of: {several: [fields]}}]\n", "abcdefghij"},
		"a URL":                         {thing + "env: [{name: DB, value: 'postgres://app:HUNTER@db/app'}]\n", "HUNTER"},
		"a GitHub token":                {thing + "note: ghp_abcdefghijklmnopqrstuvwxyz0123456789\n", "abcdefghij"},
		"an installation token":         {thing + "note: ghs_abcdefghijklmnopqrstuvwxyz0123456789\n", "abcdefghij"},
		"an AWS key":                    {thing + "note: AKIAIOSFODNN7EXAMPLE\n", "IOSFODNN"},
		"a JSON Web Token":              {thing + "note: eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl\n", "eyJzdWI"},
		"a private key":                 {thing + "note: |\n  -----BEGIN RSA PRIVATE KEY-----\n  HUNTER\n  -----END RSA PRIVATE KEY-----\n", "HUNTER"},
		"a file of settings":            {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  app.properties: |\n    user=app\n    db.password=HUNTER\n", "HUNTER"},
		"YAML in a file":                {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  app.yaml: |\n    db:\n      password: >-\n        HUN\n\n        HUNTER\n      user: app\n", "HUNTER"},
		"JSON in a file":                {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  app.json: |\n    {\"tokenUrl\": \"x\",\n    \"token\":\"HUNTER\", \"a\": 1}\n", "HUNTER"},
		"XML in a file":                 {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  app.xml: |\n    <a>\n    <password>HUNTER</password>\n", "HUNTER"},
		"a file that is a key":          {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  tls.key: HUNTER\n", "HUNTER"},
		"binary data":                   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\nbinaryData:\n  a: HUNTER\n", "HUNTER"},
	} {
		t.Run(name, func(t *testing.T) { keptQuiet(t, c.stream, c.secret) })
	}
}

// keptQuiet holds that nobody reads the secret, whether it is what was before or
// what is after, comes or goes; and that something says that it is there.
func keptQuiet(t *testing.T, stream, secret string) {
	t.Helper()
	if !strings.Contains(stream, secret) {
		t.Fatal("the secret is not in the stream")
	}
	next := strings.ToLower(secret[:len(secret)-1]) + "9z"
	other := strings.ReplaceAll(stream, secret, next)
	bare := "" // the object itself comes and goes
	if strings.HasPrefix(stream, thing) {
		bare = thing
	}
	for what, pair := range map[string][2]string{
		"before": {stream, other}, "after": {other, stream}, "added": {bare, stream}, "removed": {stream, bare},
	} {
		d, err := manifest.Compare([]byte(pair[0]), []byte(pair[1]))
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if d.Empty() {
			t.Errorf("%s: no difference", what)
		}
		all := everywhere(t, d)
		for _, s := range []string{secret, next} {
			if strings.Contains(strings.ToUpper(all), strings.ToUpper(s)) {
				t.Errorf("%s: the secret %s can be read:\n%s", what, s, told(d))
			}
		}
		if masks := strings.Count(all, "(secret") + strings.Count(all, "(binary") + strings.Count(all, "(encrypted"); masks == 0 {
			t.Errorf("%s: nothing says that something is masked:\n%s", what, told(d))
		}
	}
}

func TestAMaskTellsNothingOfTheValue(t *testing.T) {
	secret := func(value string) string { return object("Secret", "data: {a: "+value+"}") }
	long := told(compare(t, secret("eA=="), secret(strings.Repeat("eHh4", 500))))
	short := told(compare(t, secret("eDE="), secret("eQ==")))
	if long != short || !strings.Contains(long, "changed data.a: (secret) => (secret, changed) secret") {
		t.Errorf("told:\n%s%s", long, short)
	}
}

func TestWhatOnlySpeaksOfSecretsCanBeRead(t *testing.T) {
	for _, fields := range []string{
		"volumes: [{name: tls, secret: {secretName: VALUE}}]",
		"env: [{name: A, valueFrom: {secretKeyRef: {name: VALUE, key: password}}}]",
		"env: [{name: A, valueFrom: {secretKeyRef: {name: db, key: VALUE}}}]",
		"env: [{name: PASSWORD_FILE, value: VALUE}]",
		"imagePullSecrets: [{name: VALUE}]",
		"tokenPath: VALUE",
		"image: registry.example.com/token-service:VALUE",
		"args: [--token-file, VALUE]",
		"tolerations: [{key: VALUE}]",
		"secretStoreRef: {name: VALUE}",
		"args: ['https://login.example.com/VALUE?a=b']",
		"parameters: [{name: token-service.image.tag, value: VALUE}]",
		"values: {token-service: {image: {tag: VALUE}, log: info}}",
		"values: {token-service: {image: {tag: a}, log: VALUE}}",
		"values: {auth: {existingSecret: VALUE, username: app}}",
		"values: {auth: {existingSecret: x, username: VALUE}}",
		"values: {auth: {password: {name: VALUE, key: password}}}",
		"env: [{name: PASSWORD, value: $(VALUE)}]",
		"env: {DB_PASSWORD: {secretKeyRef: {name: db, key: VALUE}}}",
		"imagePullSecrets: [VALUE]",
		"args: [--proxy-client-key=/etc/tls/VALUE.key]",
		"env: [{name: GOOGLE_APPLICATION_CREDENTIALS, value: /etc/gcp/VALUE.json}]",
		"env: [{name: TOKEN, value: /var/run/secrets/VALUE/token}]",
		"passwordSecretRef: {name: db, key: VALUE}",
		"secrets: [{name: VALUE}]",
		"maxTokens: VALUE",
		"properties: {password: {type: string, description: VALUE}}",
		"properties: {secrets: {type: array, description: VALUE}}",
		"properties: {env: {type: array, x-kubernetes-list-map-keys: [VALUE]}}",
	} {
		before, after := strings.ReplaceAll(fields, "VALUE", "first"), strings.ReplaceAll(fields, "VALUE", "second")
		got := told(compare(t, object("Thing", before), object("Thing", after)))
		if !strings.Contains(got, "first") || !strings.Contains(got, "second") {
			t.Errorf("%s is told as:\n%s", fields, got)
		}
	}
}

func TestOnlyTheSecretLinesOfAFileAreMasked(t *testing.T) {
	file := func(user, password, level string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a.yaml: |\n    db:\n      user: %s\n      password: %s\n    log: %s\n", user, password, level)
	}
	expect(t, file("a", "p1", "info"), file("b", "p2", "debug"), `
changed ConfigMap x
  changed data["a.yaml"]:  =>  secret
    |@@ line 1
    | db:
    |-  user: a
    |-  password: (secret)
    |-log: info
    |+  user: b
    |+  password: (secret, changed)
    |+log: debug
`)
}

func TestAnArgumentStaysSecretWhenItsFlagGoes(t *testing.T) {
	expect(t, object("Thing", "args: [--token, hunter2]"), object("Thing", "args: [--level, info]"), `
changed Thing x
  changed args[0]: --token => --level
  changed args[1]: (secret) => (secret, changed) secret
`)
}
