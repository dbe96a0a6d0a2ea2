package worker

import (
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/store"
)

// stays is what a target has that was brought nothing: what it had before.
func stays(t store.Target) store.Reached {
	return store.Reached{
		Commit: t.CommitSHA, Image: t.Image, Tag: t.Tag, Digest: t.Digest, RenderedHash: t.RenderedHash,
		Surplus: t.Surplus, SurplusCode: t.SurplusCode, Adoption: t.Adoption, AdoptionCode: t.AdoptionCode, Drift: t.Drift, DriftCode: t.DriftCode, Heals: t.Heals, Notes: standing(t.Notes), Violations: t.Violations,
	}
}

// postponed begins the note of a target that could not be looked at for a reason that is
// not its cluster's.
const postponed = "It is looked at again by itself: "

// standing are the notes that hold until somebody has looked.
func standing(notes []string) []string {
	return slices.DeleteFunc(slices.Clone(notes), func(note string) bool {
		return strings.HasPrefix(note, postponed) || strings.HasPrefix(note, store.NobodyServes)
	})
}

// known keeps what was found in the target's cluster before an attempt that did not come
// to its end: nobody has looked whether that is still so.
func (s *syncing) known(t store.Target) {
	s.reached.Drift, s.reached.DriftCode, s.reached.Heals = t.Drift, t.DriftCode, t.Heals
	s.reached.Surplus, s.reached.SurplusCode, s.reached.Notes = t.Surplus, t.SurplusCode, standing(t.Notes)
	s.reached.Adoption, s.reached.AdoptionCode = t.Adoption, t.AdoptionCode
}
