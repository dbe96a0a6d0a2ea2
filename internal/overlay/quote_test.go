package overlay

import (
	"testing"

	"pgregory.net/rapid"
)

// What is decided at a glance is what the parser and the tables say.
func TestAUsualTagIsAStringToEveryParser(t *testing.T) {
	seen := 0
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.OneOf(
			rapid.StringMatching(`[a-zA-Z0-9_][a-zA-Z0-9._-]{0,12}`), rapid.StringMatching(`[0-9]{1,3}(\.[0-9]{1,3}){0,3}`),
			rapid.StringMatching(`[eExXoO0-9_+.-]{1,9}`), rapid.SampledFrom([]string{"false", "FALSE", "null", "-.inf", ".nan", "2026-11-24", "0x1f", "1_000", "e12345"}),
		).Draw(t, "tag")
		if usualTag(tag) {
			seen++
			if !parsedAsString(tag) {
				t.Errorf("%q is something else", tag)
			}
		}
	})
	if seen == 0 {
		t.Error("none of the tags was a usual one")
	}
	for _, tag := range []string{"1.7.0", "v1.7.0", "sha-0123abc", "main-20261124"} {
		if !usualTag(tag) {
			t.Errorf("%s is not decided at a glance", tag)
		}
	}
}
