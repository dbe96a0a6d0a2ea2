package manifest_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/manifest"
)

// settings is a ConfigMap with one file of these lines.
func settings(text string) string {
	text = strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ")
	return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  app.conf: |\n    " + strings.ReplaceAll(text, "\n    \n", "\n\n") + "\n"
}

// unreadable makes of YAML something that no parser of YAML takes, even if it knows
// templates.
func unreadable(text string) string {
	return "{{- if .Values.x }}\n" + text + "\n{{- end }}\n[section]\nx = }\n"
}

// secretTexts have HUNTER for a secret, which shows by the lines around it.
var secretTexts = map[string]string{
	"a list at the indentation of its name":        "passwords:\n- HUNTER\n- hunter3\nother: x",
	"such a list after a comment":                  "passwords: # of all\n# the first\n\n- HUNTER\nother: x",
	"such a list deep inside":                      "- a:\n    tokens:\n    - x\n    -   HUNTER\n  b: 1",
	"such a list with an anchor":                   "passwords: &all\n- HUNTER\nother: x",
	"such a list of mappings":                      "credentials:\n- user: a\n  is: HUNTER\nother: x",
	"a list that its name's dash shares a line of": "- passwords:\n  - HUNTER\n  user: x",
	"a mapping of passwords":                       "passwords:\n  alice: HUNTER\nother: x",
	"a mapping below one name":                     "auth:\n  clients:\n    alice: HUNTER",
	"a folded text":                                "password: >-\n  hun\n\n  HUNTER\nother: x",
	"a quoted text of two lines":                   "password: \"hun\n  HUNTER\"\nother: x",
	"JSON that is not indented":                    "{\n\"tokens\": [\n\"x\",\n\"HUNTER\"\n],\n\"a\": 1\n}",
	"JSON with comments":                           "{\n\"tokens\": [ // all\n\"x]\",\n\"HUNTER\"\n],\n\"a\": 1\n}",
	"a bracket on its own line":                    "{ // all\n\"tokens\":\n[\n\"HUNTER\"\n],\n\"a\": 1\n}",
	"TOML's text of lines":                         "[db]\npassword = \"\"\"\nHUNTER\n\"\"\"\nuser = 'x'",
	"TOML's list":                                  "[db]\ntokens = [\n'HUNTER',\n]\nuser = 'x'",
	"XML on lines of its own":                      "<a>\n<password>\nHUNTER\n</password>\n</a>",
	"XML with an attribute":                        "<a>\n<password type='plain'>HUNTER</password>\n</a>",
	"an XML property":                              "<a>\n<property name=\"db.password\" value=\"HUNTER\"/>\n</a>",
	"an XML property the other way":                "<a>\n<property value=\"HUNTER\" name=\"db.password\"/>\n</a>",
	"an XML property of elements":                  "<property>\n<name>fs.s3a.secret.key</name>\n<value>HUNTER</value>\n</property>",
	"a variable":                                   "env:\n- name: DB_PASSWORD\n  value: HUNTER",
	"a variable whose value is first":              "env:\n- value: HUNTER\n  name: DB_PASSWORD",
	"a key in capitals":                            "env:\n  DEPLOY_KEY: HUNTER",
	"an argument after its flag":                   "args:\n- --log\n- --password\n- HUNTER",
	"an argument in JSON":                          "a: 1\nb: [\"--password\", \"HUNTER\"]",
	"a flag with its value on the next line":       "#!/bin/sh\nexec app \\\n  --password \\\n  HUNTER \\\n  --log",
	"a line that goes on":                          "password=hun\\\nHUNTER\nuser=x",
	"a shell text of lines":                        "#!/bin/sh\nexport PASSWORD=\"hun\nHUNTER\"\necho x",
	"a Secret":                                     "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\nstringData:\n  a: HUNTER",
	"the second of two documents":                  "a: 1\n---\nkind: Secret\napiVersion: v1\ndata:\n  a: HUNTER",
	"a Secret in a list":                           "extraObjects:\n- apiVersion: v1\n  kind: Secret\n  data: {a: HUNTER}",
	"a text in a text":                             "files:\n  a.yaml: |\n    db:\n      passwords:\n      - HUNTER\n  b: x",
	"a tag":                                        "password: !!str\n  HUNTER\nother: x",
	"other line breaks":                            "a: 1\u2028\nb: 1\nenv:\n- name: DB_KEY\n  value: HUNTER",
	"lines that end as on Windows":                 "passwords:\r\n- HUNTER\r\nother: x",
	"a list in comments":                           "# passwords:\n# - HUNTER\na: x",
	"a setting in comments":                        "a: x\n  # password: >-\n  #   x\n  #   HUNTER\n  # b: 1\nc: y",
	"a comment behind a value":                     "a: x # password: HUNTER\nb: 1",
	"a script's comments":                          "// app: {\n//   tokens: [\n//   HUNTER\n// ]\na",
	"a command of several lines":                   "#!/bin/sh\nmysql \\\n  -u root \\\n  -pHUNTER \\\n  app < x.sql",
	"a password on the line after its flag":        "docker login \\\n  -p \\\n  HUNTER example.com",
	"a Secret's harmless names":                    "apiVersion: v1\nkind: Secret\ndata:\n  db-name: HUNTER\n  x: y",
	"a generator of Secrets":                       "kind: Kustomization\nsecretGenerator:\n- name: a\n  literals:\n  - b=HUNTER",
	"PuTTY's key":                                  "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-Lines: 1\nHUNTER\nPrivate-MAC: x",
	"OpenVPN's key":                                "<tls-auth>\n-----BEGIN OpenVPN Static key V1-----\nHUNTER\n-----END OpenVPN Static key V1-----\n</tls-auth>",
	"a patch":                                      "- op: replace\n  path: /data/a\n  value: HUNTER",
}

// parsedTexts show their secret only to those who parse them.
var parsedTexts = map[string]string{
	"flow over two lines":                  "{password: \"hun\nHUNTER\",\nother: x}",
	"a Secret as JSON":                     "{\"apiVersion\": \"v1\", \"kind\": \"Secret\",\n\"data\": {\n\"a\": \"HUNTER\"}}",
	"a text in a text in quotes":           "files: {a: \"db:\\n  passwords:\\n  - HUNTER\\n\", b: x}",
	"an anchor that is used as a password": "a: &p HUNTER\npassword: *p",
	"escapes":                              "a: \"db:\\n- name: DB_PASSWORD\\n  value: HUNTER\"\nb: x",
}

func TestNobodyReadsASecretInAText(t *testing.T) {
	for name, text := range secretTexts {
		t.Run(name, func(t *testing.T) {
			inAText(t, text)
			keptQuiet(t, settings(unreadable(text)), "HUNTER")
		})
	}
	for name, text := range parsedTexts {
		t.Run(name, func(t *testing.T) { inAText(t, text) })
	}
}

func inAText(t *testing.T, text string) {
	t.Helper()
	keptQuiet(t, settings(text), "HUNTER")
	keptQuiet(t, thing+"values: |\n  "+strings.ReplaceAll(text, "\n", "\n  ")+"\n", "HUNTER")
}

func TestHarmlessLinesOfATextCanBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"after a list":              "passwords:\n- x\nother: VALUE",
		"beside a password":         "db:\n- password: x\n  user: VALUE",
		"a reference":               "volumes:\n- name: tls\n  secret:\n    secretName: VALUE",
		"a reference in flow":       "volumes:\n- {name: tls, secret: {secretName: VALUE}}",
		"a key of a Secret":         "env:\n- name: PASSWORD\n  valueFrom:\n    secretKeyRef:\n      name: db\n      key: VALUE",
		"a name of a Secret":        "passwordSecretRef:\n  name: VALUE\n  key: password",
		"an image":                  "image: registry.example.com/token-service:VALUE",
		"a component's image":       "token-service:\n  image:\n    tag: VALUE",
		"a comment before the next": "password: x\n\n# about VALUE\nlog: debug",
		"a truth":                   "tokenAuth: true\nlog: VALUE",
		"a variable of another":     "args:\n- --password=$(PASSWORD)\n- --log=VALUE",
		"a list of words":           "scopes: [token, password, VALUE]",
		"what follows a block":      "password: |\n  a\n  b\nother: VALUE",
		"a Secret's name":           "apiVersion: v1\nkind: Secret\nmetadata:\n  name: VALUE\ndata:\n  a: x",
		"an external Secret":        "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}\nspec:\n  data:\n  - secretKey: VALUE\n    remoteRef: {key: a}",
	} {
		t.Run(name, func(t *testing.T) { shown(t, settings(text)) })
		if strings.HasPrefix(name, "an external") {
			continue
		}
		t.Run(name+", in a template", func(t *testing.T) { shown(t, settings(unreadable(text))) })
	}
}

// shown holds that what stands for VALUE can be read.
func shown(t *testing.T, stream string) {
	t.Helper()
	got := told(compare(t, strings.ReplaceAll(stream, "VALUE", "first"), strings.ReplaceAll(stream, "VALUE", "second")))
	if !strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("%s is told as:\n%s", stream, got)
	}
}

func TestASecretOfSeveralLinesIsOneMask(t *testing.T) {
	short := compare(t, settings("key: |\n  a\nlog: info\npassword: |\n  a\nlevel: 1"), settings("key: |\n  a\nlog: debug\npassword: |\n  b\nlevel: 2"))
	long := compare(t, settings("key: |\n  a\nlog: info\npassword: |\n  a\n\n  c\n  d\nlevel: 1"), settings("key: |\n  a\nlog: debug\npassword: |\n  c\n  b\nlevel: 2"))
	if told(short) != told(long) {
		t.Errorf("told:\n%s%s", told(short), told(long))
	}
	expect(t, settings("a: 1\npasswords:\n  a: x\n  b: w\nb: 1"), settings("a: 1\npasswords:\n  a: x\n  b: z\nb: 2"), `
changed ConfigMap x
  changed data["app.conf"]:  =>  secret
    |@@ line 1
    | a: 1
    | passwords:
    |   a: (secret)
    |-  b: (secret)
    |-b: 1
    |+  b: (secret, changed)
    |+b: 2
`)
}

func TestASecretThatMovesDoesNotChange(t *testing.T) {
	d := compare(t, settings("password: x\na: 1\nb: 2\nc: 3"), settings("a: 1\nb: 2\nc: 3\npassword: x"))
	if got := manifest.Text([]manifest.OverlayDiff{{Diff: d}}); strings.Contains(got, "changed)") || strings.Count(got, "password: (secret)") != 2 {
		t.Errorf("told:\n%s", got)
	}
}
