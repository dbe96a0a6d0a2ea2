package manifest_test

import (
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/manifest"
)

// hush is a secret: whatever is in it, a test finds every part of it.
func hush() *rapid.Generator[string] {
	return rapid.Map(rapid.StringMatching(`[A-Za-z0-9+_!%.]{4,30}`), func(s string) string { return "HUSH" + s + "HUSH" })
}

// traces are what betrays a secret in an output: itself, and what of it stands in
// a text in base64.
func traces(secret string) []string {
	found := []string{secret, "HUSH"}
	for shift := range 3 {
		text := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("x", shift) + secret))
		found = append(found, text[4:len(text)-4])
	}
	return found
}

// silent holds that nothing written of a diff has a trace of a secret, and that
// the same is written whatever the secrets are, so that it tells nothing of them:
// neither how long they are, nor anything that was computed from them. The secrets
// stand for HUNTER in the streams.
func silent(t *rapid.T, before, after string) {
	var told [2]string
	for i := range told {
		one := hush().Draw(t, "secret")
		other := hush().Filter(func(s string) bool { return s != one }).Draw(t, "other")
		before, after := strings.ReplaceAll(before, "HUNTER", one), strings.ReplaceAll(after, "HUNTER", other)
		d, err := manifest.Compare([]byte(before), []byte(after))
		if err != nil {
			t.Fatalf("%v\n%s", err, after)
		}
		if d.Empty() {
			t.Fatalf("no difference between:\n%s\n%s", before, after)
		}
		told[i] = written(t, d)
		for _, trace := range append(traces(one), traces(other)...) {
			if strings.Contains(told[i], trace) {
				t.Fatalf("%s can be read in:\n%s\nbefore:\n%s\nafter:\n%s", trace, told[i], before, after)
			}
		}
	}
	if diff := cmp.Diff(told[0], told[1]); diff != "" {
		t.Fatalf("other secrets are told in another way:\n%s", diff)
	}
}

// written is all that is ever written of a diff.
func written(t *rapid.T, d manifest.Diff) string {
	all := []manifest.OverlayDiff{{Path: "apps/payments", Diff: d}}
	raw, err := manifest.JSON(all)
	if err != nil {
		t.Fatal(err)
	}
	return manifest.Text(all) + manifest.Markdown(all, 60_000) + string(raw)
}

// secretText draws a text that has HUNTER for a secret, perhaps within another text
// of whatever format.
func secretText() *rapid.Generator[string] {
	return rapid.Custom(func(t *rapid.T) string {
		var text string
		switch rapid.IntRange(0, 3).Draw(t, "text") {
		case 0:
			text = secretTexts[rapid.SampledFrom(slices.Sorted(maps.Keys(secretTexts))).Draw(t, "lines")]
		case 1:
			text = treeAsText(t, secretTree("HUNTER").Draw(t, "tree"))
		default:
			text = rapid.SampledFrom(credentials).Draw(t, "credential")
		}
		for range rapid.IntRange(0, 3).Draw(t, "wrappers") {
			text = wrapped(t, text)
		}
		return text
	})
}

func treeAsText(t *rapid.T, tree any) string {
	var raw []byte
	switch rapid.IntRange(0, 4).Draw(t, "format") {
	case 0:
		raw, _ = json.MarshalIndent(tree, "", "  ")
	case 1:
		raw, _ = json.Marshal(tree)
	case 2:
		raw, _ = json.MarshalIndent(tree, "", "")
	case 3:
		return write(tree, rand.New(rand.NewPCG(9, 10)))
	default:
		return indentedYAML(tree, "")
	}
	return string(raw)
}

// wrapped puts a text into another one.
func wrapped(t *rapid.T, text string) string {
	indented := func(by string) string { return by + strings.ReplaceAll(text, "\n", "\n"+by) }
	switch rapid.IntRange(0, 9).Draw(t, "wrapper") {
	case 0:
		return "# a file\n" + text + "\nlog: info\n"
	case 1:
		return "a: 1\nfiles:\n  app.conf: |\n" + indented("    ") + "\n  b: x\n"
	case 2:
		return "list:\n- |\n" + indented("  ") + "\n- b\n"
	case 3:
		raw, _ := json.Marshal(map[string]string{"note": text, "z": "x"})
		return string(raw)
	case 4:
		raw, _ := json.MarshalIndent([]any{"a", map[string]any{"b": text}}, "", "  ")
		return string(raw)
	case 5:
		return "{{- if .Values.x }}\n" + indented("  ") + "\n{{- end }}"
	case 6:
		return "#!/bin/sh\nset -e\n" + text + "\necho done\n"
	case 7:
		return strings.ReplaceAll(text, "\n", "\r\n") + "\r\nlog: info\r\n"
	case 8:
		return "a: " + quote(text) + "\nb: 1\n"
	}
	return "[section]\nlog = info\n" + indented("\t") + "\n\nend = 1"
}

// secretObject puts a text where an object has room for it.
func secretObject(t *rapid.T, text string) string {
	var v any = text
	for range rapid.IntRange(0, 3).Draw(t, "depth") {
		switch rapid.IntRange(0, 3).Draw(t, "place") {
		case 0:
			v = []any{"a", v}
		case 1:
			v = map[string]any{rapid.SampledFrom([]string{"note", "values", "patch", "app.yaml", "example.com/x", "args"}).Draw(t, "key"): v, "b": 1}
		case 2:
			v = []any{map[string]any{"name": "LOG", "value": v}}
		case 3:
			v = map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "x"}, "data": map[string]any{"x": v}}
		}
	}
	o := map[string]any{"apiVersion": "v1", "kind": rapid.SampledFrom([]string{"ConfigMap", "Thing", "HelmRelease", "Application"}).Draw(t, "kind"),
		"metadata": map[string]any{"name": "x"}, "spec": map[string]any{"a": 1}}
	o[rapid.SampledFrom([]string{"data", "spec", "note"}).Draw(t, "field")] = map[string]any{"x": v}
	return write(o, rand.New(rand.NewPCG(7, 8)))
}

func TestNoCredentialIsEverWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		stream := secretObject(t, secretText().Draw(t, "text"))
		before := stream
		if rapid.Bool().Draw(t, "added") {
			before = object("Service", "a: 1")
		}
		silent(t, before, stream)
	})
}

// secretTree draws a value that is secret because of where it stands: under a
// name, beside a name, after a flag, in a Secret.
func secretTree(secret string) *rapid.Generator[any] {
	return rapid.Custom(func(t *rapid.T) any {
		name := rapid.SampledFrom([]string{"password", "db.password", "apiKey", "API_TOKEN", "client-secret", "DB_PASS", "smtpPass", "auth", "credentials", "DEPLOY_KEY"}).Draw(t, "name")
		other := map[string]any{"a": 1, "log": "info", "name": "x"}
		switch rapid.IntRange(0, 9).Draw(t, "shape") {
		case 0:
			return map[string]any{name: secret, "log": "info"}
		case 1:
			return map[string]any{name: []any{secret, "x"}}
		case 2:
			return map[string]any{"passwords": map[string]any{"alice": secret, "bob": map[string]any{"x": []any{secret}}}}
		case 3:
			return []any{other, map[string]any{"name": name, "value": secret}}
		case 4:
			return map[string]any{"value": secret, "name": name}
		case 5:
			return map[string]any{"args": []any{"--log", "info", "--db-password", secret, "x"}}
		case 6:
			return map[string]any{"command": []any{"mysql"}, "args": []any{"-u", "root", "-p" + secret}}
		case 7:
			return map[string]any{"apiVersion": "v1", "kind": rapid.SampledFrom([]string{"Secret", "SopsSecret", "VaultSecret"}).Draw(t, "kind"), "metadata": other,
				rapid.SampledFrom([]string{"data", "stringData"}).Draw(t, "data"): map[string]any{"a": secret, "b": "line\n" + secret + "\n"}}
		case 8:
			return map[string]any{name: map[string]any{"value": secret}}
		}
		return []any{map[string]any{"op": "add", "path": "/stringData/x", "value": secret}}
	})
}

func TestNoSecretIsEverWrittenForItsPlace(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tree := secretTree("HUNTER").Draw(t, "tree")
		o := map[string]any{"apiVersion": "v1", "kind": "Application", "metadata": map[string]any{"name": "x"}}
		o["spec"] = map[string]any{rapid.SampledFrom([]string{"valuesObject", "template", "list"}).Draw(t, "field"): []any{"x", tree}}
		stream := write(o, rand.New(rand.NewPCG(11, 12)))
		before := stream
		if rapid.Bool().Draw(t, "added") {
			before = object("Service", "a: 1")
		}
		silent(t, before, stream)
	})
}

// indentedYAML writes a value as kustomize does: lists are indented no deeper than
// their name.
func indentedYAML(v any, indent string) string {
	switch v := v.(type) {
	case []any:
		var b strings.Builder
		for _, item := range v {
			text := strings.TrimPrefix(indentedYAML(item, indent+"  "), indent+"  ")
			b.WriteString(indent + "- " + text)
		}
		return b.String()
	case map[string]any:
		var b strings.Builder
		for _, k := range slices.Sorted(maps.Keys(v)) {
			b.WriteString(indent + k + ":")
			item := v[k]
			switch item.(type) {
			case []any:
				b.WriteString("\n" + indentedYAML(item, indent))
			case map[string]any:
				b.WriteString("\n" + indentedYAML(item, indent+"  "))
			default:
				b.WriteString(" " + indentedYAML(item, ""))
			}
		}
		return b.String()
	case string:
		if !strings.Contains(v, "\n") {
			return indent + v + "\n"
		}
		return indent + quote(v) + "\n"
	}
	raw, _ := json.Marshal(v)
	return indent + string(raw) + "\n"
}
