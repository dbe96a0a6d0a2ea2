package policy

import (
	"encoding/base64"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// Detector tells what is secret. It is handed in, so that what is refused here is
// what a diff masks.
type Detector struct {
	Name func(name string) bool // a variable or file of this name holds a secret
	Text func(line string) bool // a line is, or gives a name, a secret
	Form func(text string) bool // it has the form of a token, key or URL with a password, wherever it stands
}

func plaintextSecret(j *judging) {
	for _, o := range j.Head {
		switch kind := text(o.Object, "kind"); {
		case kind == "Secret" && groupOf(text(o.Object, "apiVersion")) == "":
			j.secret(o)
		case kind == "CustomResourceDefinition": // it describes fields, and holds no values
		default:
			j.leaks(o)
		}
	}
}

// secret finds values of a Secret. Nothing of a value is ever in a message.
func (j *judging) secret(o Object) {
	sops := mapping(o.Object, "sops") != nil
	environment := strings.HasPrefix(decoded(o, "sops_mac"), "ENC[")
	for _, field := range []string{"data", "stringData"} {
		var raw []string
		values := mapping(o.Object, field)
		for _, name := range slices.Sorted(maps.Keys(values)) {
			value := scalar(values[name])
			if field == "data" && generatedEncrypted(name, decoded(o, name), environment) {
				continue
			}
			if value != "" && !(sops && strings.HasPrefix(value, "ENC[")) && !placeholder(value) {
				raw = append(raw, name)
			}
		}
		if len(raw) > 0 {
			j.report(o, fields(field, raw[0]), "the Secret carries %s as it is (base64 hides nothing): everybody who can read the repository, now or later, can read it. Take it out, replace the value where it is used, and keep it in a SealedSecret, an ExternalSecret, or encrypted by SOPS",
				strings.Join(raw, ", "))
		}
	}
}

// decoded is a value of a Secret's data; "" where it is not base64.
func decoded(o Object, name string) string {
	value, err := base64.StdEncoding.DecodeString(text(o.Object, "data", name))
	if err != nil {
		return ""
	}
	return string(value)
}

// generatedEncrypted reports whether a secretGenerator took a value from a file that
// SOPS encrypted: the whole of it, or one of its lines, some of which SOPS added.
func generatedEncrypted(name, value string, environment bool) bool {
	if environment && (strings.HasPrefix(name, "sops_") || strings.HasPrefix(value, "ENC[AES256_GCM,")) {
		return true
	}
	return sopsDocument.MatchString(value)
}

// sopsDocument matches the MAC that SOPS writes into a document: YAML, JSON, dotenv, INI.
var sopsDocument = regexp.MustCompile(`(?m)^\s*("mac":\s?"|mac: |mac\s*= |sops_mac=)ENC\[AES256_GCM,`)

// leaks finds secrets in places that are none for them.
func (j *judging) leaks(o Object) {
	if j.Secrets == nil {
		return
	}
	for _, c := range containers(o) {
		for i, e := range list(c.fields, "env") {
			name, value := text(e, "name"), scalar(at(e, "value"))
			if j.named(name, value) || j.Secrets.Form(value) {
				j.about(c, c.path.with("env").element(i, name).with("value"), "%s: the variable %s holds what looks like a secret: everybody who can read the repository, or the pod, can read it. Take it from a Secret (valueFrom: {secretKeyRef: …})", c.called(), name)
			}
		}
		for _, field := range []string{"command", "args"} {
			for i, a := range list(c.fields, field) {
				value, _ := a.(string)
				previous := ""
				if i > 0 {
					previous, _ = list(c.fields, field)[i-1].(string)
				}
				flagged := strings.HasPrefix(previous, "-") && !strings.Contains(previous, "=") && j.named(strings.TrimLeft(previous, "-"), value)
				if flagged || j.line(value) {
					j.about(c, c.path.with(field).element(i, ""), "%s: %s holds what looks like a secret: everybody who can read the repository, or the process list, can read it. Take it from a Secret by way of a variable: $(NAME)", c.called(), field)
				}
			}
		}
	}
	if text(o.Object, "kind") == "ConfigMap" {
		j.configMap(o)
		return
	}
	j.forms(o, o.Object, nil, 0)
}

func (j *judging) configMap(o Object) {
	values := mapping(o.Object, "data")
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := scalar(values[name])
		if strings.HasPrefix(value, "ENC[AES256_GCM,") { // SOPS encrypts any kind
			continue
		}
		lines := strings.Split(value, "\n")
		if len(lines) == 1 && j.named(name, value) || j.Secrets.Form(value) || slices.ContainsFunc(lines, j.line) {
			j.report(o, fields("data", name), "%s holds what looks like a secret: everybody who can read the repository, or this ConfigMap, can read it. Move it to a Secret that is not in plain text in Git", name)
		}
	}
}

// forms finds what is secret by its form alone, in every other text of an object:
// an annotation, a field of a kind that nobody knows. Variables and arguments have
// been looked at.
func (j *judging) forms(o Object, v any, p Path, depth int) {
	const deepest = 100
	if depth > deepest {
		return
	}
	switch v := v.(type) {
	case string:
		if j.Secrets.Form(v) && !placeholder(v) {
			j.report(o, p, "%s holds what looks like a secret: everybody who can read the repository can read it. Take it from a Secret", p)
		}
	case []any:
		for i, item := range v {
			j.forms(o, item, p.element(i, text(item, "name")), depth+1)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch name {
			case "env", "command", "args":
			default:
				j.forms(o, v[name], p.with(name), depth+1)
			}
		}
	}
}

// named reports whether a value is secret by the name that it is given.
func (j *judging) named(name, value string) bool {
	return j.Secrets.Name(name) && !placeholder(value) && !refers.MatchString(value)
}

func (j *judging) line(s string) bool { return j.Secrets.Text(s) && !placeholder(s) }

// refers matches what says where or whether, and so is none itself: a path, a URL
// without a password, a truth value, a number, a name of one letter or none.
var refers = regexp.MustCompile(`^(.?|/\S*|\./\S*|[a-z]+://[^@]*|(?i:true|false|yes|no|on|off|none|null|disabled|enabled|optional|required)|[0-9.]{1,5}[a-z]{0,2})$`)

// placeholder reports whether a text is filled in elsewhere: $(VAR), ${VAR}, {{ }},
// <secret>, ENC[…] of SOPS, ref+vault://….
func placeholder(s string) bool {
	for _, mark := range []string{"$(", "${", "{{", "<%", "ENC[", "ref+", "vault:", "$__"} {
		if strings.Contains(s, mark) {
			return true
		}
	}
	return strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">")
}
