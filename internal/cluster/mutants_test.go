package cluster_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/mutant"
)

// TestEveryGuardOfPruneIsNeeded takes the guards away that keep an object from being
// deleted, one at a time: each time a test notices. Who changes a guard changes this
// list; who adds one adds its mutant.
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

	const verdict = "verdict.go"
	in(verdict, "another object of the name stays", `case e.UID != "" && e.UID != string(live.UID):`, "case false:")
	in(verdict, "another target's object stays", "case key != t.Key || installation != t.Installation:", "case false:")
	in(verdict, "another installation's object stays", "key != t.Key || installation != t.Installation", "key != t.Key")
	in(verdict, "an object without our annotations stays", `case key == "" && installation == "":`, "case false:")
	in(verdict, "an object without our label stays", "case live.Labels[TargetLabel] != t.Label():", "case false:")
	in(verdict, "an object that only bears our marks stays", `case fingerprint(live, t.FieldManager()) == "":`, "case false:")
	in(verdict, "what is being deleted is not deleted again", "if live.DeletionTimestamp != nil {", "if false {")
	in(verdict, "an annotation keeps an object", `if why := keeper(live); why != "" {`, `if why := keeper(live); false && why != "" {`)
	in(verdict, "another owner keeps an object", `if why := t.otherOwner(live); why != "" {`, `if why := t.otherOwner(live); false && why != "" {`)
	in(verdict, "a controller keeps what it made", "c != nil {", "false && c != nil {")
	in(verdict, "a deployer's mark keeps an object", `live.Annotations[mark]); says != "" {`, `live.Annotations[mark]); false && says != "" {`)
	in(verdict, "a deployer's fields keep an object", "if tool, ok := isDeployer(entry.Manager); ok {", "if tool, ok := isDeployer(entry.Manager); false && ok {")
	in(verdict, "another target's fields keep an object", `entry.Manager == t.FieldManager() {`, `strings.HasPrefix(entry.Manager, managerPrefix) {`)

	mutant.Caught(t, guards, "^(TestPruneGuards|TestTheVerdictOnAnObject|TestAnObjectUnderTwoNamesIsOne|TestWhatIs.*|TestMoreThanAFew.*|TestNothingIsRemoved.*)$")
}
