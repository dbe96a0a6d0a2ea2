package chart

import (
	"slices"
	"testing"

	"github.com/Masterminds/sprig/v3"
)

// TestNoFunctionBringsTheWorldIn asks Sprig which of its functions do: a new
// version may have new ones.
func TestNoFunctionBringsTheWorldIn(t *testing.T) {
	helmHasNone := []string{"env", "expandenv", "getHostByName"}
	pure := []string{"date_modify", "dateModify"} // they take a time, and only that
	ours, hermetic := functions(&chance{}), sprig.HermeticTxtFuncMap()
	found := 0
	for name := range sprig.TxtFuncMap() {
		if _, ok := hermetic[name]; ok || slices.Contains(helmHasNone, name) || slices.Contains(pure, name) {
			continue
		}
		found++
		if ours[name] == nil {
			t.Errorf("%s depends on more than its arguments, and is not replaced", name)
		}
	}
	if found < 10 {
		t.Errorf("only %d functions were looked at", found)
	}
}
