package cluster

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/tagboat/tagboat/internal/manifest"
)

// secretsOf are the texts in the objects that nobody may read: what Secrets hold, and
// what stands under a name such as PASSWORD. The longest come first, as one may be a
// part of another.
func secretsOf(objects []Object) []string {
	var found []string
	add := func(value any) {
		// A short text is in every sentence, and worth little.
		if s, ok := value.(string); ok && len(s) > 3 && !slices.Contains(found, s) {
			found = append(found, s)
		}
	}
	for _, o := range objects {
		if o.GetKind() == "Secret" {
			for _, field := range []string{"data", "stringData"} {
				values, _ := o.Object[field].(map[string]any)
				for _, v := range values {
					add(v)
					if plain, err := base64.StdEncoding.DecodeString(fmt.Sprint(v)); err == nil && field == "data" {
						add(strings.TrimSpace(string(plain)))
					}
				}
			}
		}
		namedSecrets(o.Object, add)
	}
	return longestFirst(found)
}

// hushOf are the texts that nobody may read: those of objects, and all that secret
// holds, which are those of the objects that were decrypted.
func hushOf(objects, secret []Object) []string {
	return longestFirst(append(secretsOf(objects), heldBy(secret)...))
}

func longestFirst(texts []string) []string {
	slices.SortFunc(texts, func(a, b string) int { return len(b) - len(a) })
	return texts
}

// isSecret reports whether an object is Kubernetes' own Secret.
func isSecret(o Object) bool {
	return o.GetKind() == "Secret" && o.GroupVersionKind().Group == ""
}

// minPart is from how many bytes on a part of a value is hushed by itself: a shorter one
// is a word as others are.
const minPart = 8

// heldBy are all the texts that objects hold, names and kinds aside, which nobody may
// read. Of a whole file, whose lines are quoted one by one, they are these, too, and what
// stands behind the first = or : of each.
func heldBy(objects []Object) (found []string) {
	add := func(text string) {
		found = append(found, text)
		for line := range strings.Lines(text) {
			line = strings.TrimSpace(line)
			_, behind, _ := strings.Cut(line, "=")
			_, after, _ := strings.Cut(line, ":")
			for _, part := range []string{line, behind, after} {
				if part = strings.Trim(part, " \t\"'"); len(part) >= minPart {
					found = append(found, part)
				}
			}
		}
	}
	var leaves func(v any)
	leaves = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, inner := range v {
				leaves(inner)
			}
		case []any:
			for _, inner := range v {
				leaves(inner)
			}
		case string:
			if len(v) <= 3 { // it is in every sentence, and worth little
				return
			}
			add(v)
			if plain, err := base64.StdEncoding.DecodeString(v); err == nil && len(plain) > 3 && utf8.Valid(plain) {
				add(strings.TrimSpace(string(plain)))
			}
		}
	}
	for _, o := range objects {
		for field, v := range o.Object {
			if field != "apiVersion" && field != "kind" && field != "metadata" && field != "type" {
				leaves(v)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func namedSecrets(v any, add func(any)) {
	switch v := v.(type) {
	case map[string]any:
		if key, ok := v["name"].(string); ok && manifest.SecretName(key) {
			add(v["value"])
		}
		for key, inner := range v {
			if manifest.SecretName(key) {
				add(inner)
			}
			namedSecrets(inner, add)
		}
	case []any:
		for _, inner := range v {
			namedSecrets(inner, add)
		}
	}
}
