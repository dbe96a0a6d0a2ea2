package overlay_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/mutant"
)

// TestEveryPartOfTheGuardIsNeeded takes the diff guard apart (I4). What compares the
// same once more in another way, as sameSites and sameReading do with the bytes, is not
// on the list: without it the other still refuses, in other words.
func TestEveryPartOfTheGuardIsNeeded(t *testing.T) {
	const guard = "guard.go"
	mutant.Caught(t, []mutant.Guard{
		{Name: "only the image that is named", File: guard, Old: "picked[i] = slices.Contains(declared, s);", New: "picked[i] = true;"},
		{Name: "nothing follows without leave", File: guard, Old: "if set.follow && is.sites[i].Version", New: "if is.sites[i].Version"},
		{Name: "what follows goes where the version went", File: guard, Old: "s.next(from, to) == is.sites[i].Version {", New: "s.next(from, to) != s.Version {"},
		{Name: "an ambiguous place is not edited", File: guard, Old: "if err := a.editable(); err != nil {\n\t\t\treturn err\n\t\t}\n\t\tif err := b.editable(); err != nil {\n\t\t\treturn err\n\t\t}\n", New: ""},
		{Name: "nothing is removed", File: guard, Old: "sl.at != nil && (now == nil || now.at == nil) {", New: "false && now == nil {"},
		{Name: "the rest is the same to the byte", File: guard, Old: "if !bytes.Equal(restWas, restIs) {", New: "if false {"},
	}, "^TestTheGuard")
}
