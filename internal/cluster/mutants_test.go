package cluster_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/mutant"
)

// TestEveryGuardOfPruneIsNeeded takes the guards away that keep an object from being
// deleted without a look at the cluster, one at a time: each time a test notices. Who
// changes a guard changes this list; who adds one adds its mutant. Those that look at the
// object have a case each in TestTheVerdictOnAnObject.
func TestEveryGuardOfPruneIsNeeded(t *testing.T) {
	var guards []mutant.Guard
	in := func(file, name, old, without string) {
		guards = append(guards, mutant.Guard{Name: name, File: file, Old: old, New: without})
	}
	const prunable = "prunable.go"
	in(prunable, "an empty rendering removes nothing", "if len(objects) == 0 {", "if false {")
	in(prunable, "what is precious needs a yes", "case guarded:", "case guarded && false:")
	in(prunable, "more than a few need a yes", "undecided > bound {", "false {")
	in(prunable, "the bound counts what is precious, too", "len(fresh) + len(treasures); undecided", "len(fresh); undecided")
	in(prunable, "what is rendered stays", "if !isWanted(e.ID) && !uids", "if !uids")
	in(prunable, "what is rendered under another group stays", "&& !uids[e.UID]", "")
	in(prunable, "what is rendered without a namespace stays", "|| atLarge", "|| atLarge && false")
	in(prunable, "what is rendered with a namespace too many stays", `|| named && id.Namespace == ""`, "|| named && false")
	in(prunable, "what is kept stays", "&& e.State != Kept", "")

	mutant.Caught(t, guards, "^(TestPruneGuards|TestAnObjectUnderTwoNamesIsOne|TestWhatIs.*|TestMoreThanAFew.*|TestNothingIsRemoved.*)$")
}
