package openapi

import (
	"fmt"
	"slices"
	"strings"
)

// mends are the places where GitHub's description contradicts GitHub, with what
// to do about each. One that is no longer found stops the trimming: whoever
// moves to another version looks at it again.
var mends = []struct {
	at   string // a path through the JSON, its elements separated by spaces
	mend func(map[string]any)
}{
	// An account is a user or an enterprise, not both at once; the same thing
	// elsewhere says anyOf.
	{"paths /app/installations get responses 200 content application/json schema items properties account", func(m map[string]any) {
		m["anyOf"] = m["allOf"]
		delete(m, "allOf")
	}},
	// A label without a description has null there, as the schemas "label" and
	// "pull-request" say.
	{"components schemas pull-request-simple properties labels items properties description", func(m map[string]any) {
		m["nullable"] = true
	}},
}

func mend(description map[string]any) error {
	for _, m := range mends {
		place := description
		for _, key := range strings.Fields(m.at) {
			next, ok := place[key].(map[string]any)
			if !ok {
				return fmt.Errorf("GitHub's description has no %q on the way to %q", key, m.at)
			}
			place = next
		}
		m.mend(place)
	}
	forgetEvents(description)
	return nil
}

// forgetEvents takes away the lists of events that an App may subscribe to.
// There are many, no two alike, and all lack newer events: an App that has
// subscribed to repository_ruleset or merge_group would fit none of them.
func forgetEvents(v any) {
	switch v := v.(type) {
	case map[string]any:
		if names, ok := v["enum"].([]any); ok && slices.Contains(names, any("branch_protection_rule")) {
			delete(v, "enum")
		}
		for _, inner := range v {
			forgetEvents(inner)
		}
	case []any:
		for _, inner := range v {
			forgetEvents(inner)
		}
	}
}
