package envrepo

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// stage is how far from production an environment is, by its name.
type stage int

const (
	stageUnknown stage = iota
	stageDevelopment
	stageTest
	stageStaging
	stagePreproduction
	stageProduction
)

// stageNames are what teams call their environments.
var stageNames = map[string]stage{
	"local": stageDevelopment, "sandbox": stageDevelopment, "dev": stageDevelopment, "devel": stageDevelopment, "develop": stageDevelopment, "development": stageDevelopment,
	"ci": stageTest, "test": stageTest, "testing": stageTest, "tst": stageTest, "qa": stageTest, "int": stageTest, "integration": stageTest, "uat": stageTest, "acceptance": stageTest,
	"stage": stageStaging, "staging": stageStaging, "stg": stageStaging,
	"pre": stagePreproduction, "preprod": stagePreproduction, "pre-prod": stagePreproduction, "preproduction": stagePreproduction, "pre-production": stagePreproduction, "demo": stagePreproduction,
	"prod": stageProduction, "prd": stageProduction, "production": stageProduction, "live": stageProduction,
}

// stageIn finds the longest environment name among the words of s: the "prod" of
// "payments-prod" and of "prod-eu". An unknown stage finds nothing.
func stageIn(s string) (from, to int, found stage) {
	starts, ends := []int{0}, []int{}
	for i := range len(s) {
		if strings.IndexByte("-_.", s[i]) >= 0 {
			starts, ends = append(starts, i+1), append(ends, i)
		}
	}
	ends = append(ends, len(s))
	if len(ends) > 12 { // no name has so many words
		return 0, 0, stageUnknown
	}
	for _, a := range starts {
		for _, b := range ends {
			if b-a > to-from {
				if st := stageNames[strings.ToLower(s[a:b])]; st != stageUnknown {
					from, to, found = a, b, st
				}
			}
		}
	}
	return from, to, found
}

// stageOf is the stage of an environment's name.
func stageOf(env string) stage {
	_, _, st := stageIn(env)
	return st
}

// inOrder sorts environments as versions move through them, those of which
// nothing says where they stand last.
func inOrder(stages map[string]stage) []string {
	last := func(e string) int {
		if st := stages[e]; st != stageUnknown {
			return int(st)
		}
		return int(stageProduction) + 1
	}
	return slices.SortedFunc(maps.Keys(stages), func(a, b string) int { return cmp.Or(last(a)-last(b), cmp.Compare(a, b)) })
}

// cautious reports whether an environment should not change without a person:
// production, and whatever might be.
func (s stage) cautious() bool { return s == stageProduction || s == stageUnknown }
