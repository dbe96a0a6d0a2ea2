package worker

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

// keeping is what of a target is not in Git any more and stays in its cluster, because
// somebody keeps it or it is another's, too. It is named wherever people read of the target:
// who looks for it in Git finds nothing.
type keeping struct {
	reasons []string            // in the order in which they were found
	objects map[string][]string // by reason
}

func (k *keeping) add(object, reason string) {
	if k.objects == nil {
		k.objects = map[string][]string{}
	}
	if len(k.objects[reason]) == 0 {
		k.reasons = append(k.reasons, reason)
	}
	k.objects[reason] = append(k.objects[reason], object)
}

// keptIn is what an inventory keeps.
func keptIn(inventory []cluster.Entry) (k keeping) {
	for _, e := range inventory {
		if e.State == cluster.Kept {
			k.add(e.ID.String(), e.Reason)
		}
	}
	return k
}

// words name the objects, each with why it stays; "" where there are none. many is whether
// it is more than one.
func (k *keeping) words() (words string, many bool) {
	const enough, length = 5, 300
	var parts []string
	n := 0
	for _, reason := range k.reasons {
		objects := slices.Sorted(slices.Values(k.objects[reason]))
		n += len(objects)
		if runes := []rune(reason); len(runes) > length { // what a mark says may be anybody's
			reason = string(runes[:length-1]) + "…"
		}
		parts = append(parts, fmt.Sprintf("%s (%s)", cut(objects, enough), reason))
	}
	slices.Sort(parts)
	if more := len(parts) - enough; more > 0 {
		parts = append(parts[:enough], fmt.Sprintf("and others, for %d more reasons", more))
	}
	return strings.Join(parts, "; "), n > 1
}

// keptNote tells of what a target keeps, and what people can do; "" where that is nothing.
func keptNote(k keeping, name string) string {
	words, many := k.words()
	if words == "" {
		return ""
	}
	it, keeps := "it", "keeps it"
	if many {
		it, keeps = "them", "keeps them"
	}
	return fmt.Sprintf("%s%s. Tagboat does not touch %s, and if that is right, there is nothing to do. If not, whoever may write to cluster %s ends what %s, and the next look deletes %s; or deletes %s there by hand.",
		store.KeptNote, words, it, name, keeps, it, it)
}

// partedNote tells of what has turned out to be another target's, or another
// installation's; "" where nothing has.
func partedNote(k keeping) string {
	words, many := k.words()
	switch {
	case words == "":
		return ""
	case many:
		return store.PartedNote + words + ". Tagboat does not touch them, and looks after them no more here; what becomes of them is decided there."
	}
	return store.PartedNote + words + ". Tagboat does not touch it, and looks after it no more here; what becomes of it is decided there."
}

// keptNotes are those of a target's notes that tell of what is kept.
func keptNotes(notes []string) []string {
	return slices.DeleteFunc(slices.Clone(notes), func(note string) bool { return !store.TellsOfKept(note) })
}

// tellKept replaces what the notes say of what is kept. What is another's is not in the
// inventory any more, so nobody finds it again: it is told until something else is brought.
func (s *syncing) tellKept(keeps, parted keeping) {
	told := []string{keptNote(keeps, s.was.Cluster), partedNote(parted)}
	if s.was.RenderedHash == s.reached.RenderedHash {
		for _, note := range s.was.Notes {
			if strings.HasPrefix(note, store.PartedNote) && note != told[1] {
				told = append(told, note)
			}
		}
	}
	s.reached.Notes = slices.DeleteFunc(slices.Clone(s.reached.Notes), store.TellsOfKept)
	for _, note := range told {
		if note != "" {
			s.reached.Notes = append(s.reached.Notes, note)
		}
	}
}
