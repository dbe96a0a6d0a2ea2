package worker

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

func keeps(reasons ...string) keeping {
	var entries []cluster.Entry
	for i, reason := range reasons {
		entries = append(entries, cluster.Entry{ID: cluster.ID{Kind: "ConfigMap", Namespace: "shop", Name: string(rune('a' + i))}, State: cluster.Kept, Reason: reason})
	}
	return keptIn(append(entries, cluster.Entry{ID: cluster.ID{Kind: "ConfigMap", Namespace: "shop", Name: "ours"}, State: cluster.Written}))
}

// Who reads of an object that stays learns why, and what to do if it should not.
func TestTheWordsForWhatStays(t *testing.T) {
	if got := keptNote(keeps(), "prod"); got != "" {
		t.Errorf("nothing is kept, and it is told: %s", got)
	}
	want := "kept, though not in Git any more: ConfigMap shop/a (Flux has it). Tagboat does not touch it, and if that is right, there is nothing to do. " +
		"If not, whoever may write to cluster prod ends what keeps it, and the next look deletes it; or deletes it there by hand."
	if got := keptNote(keeps("Flux has it"), "prod"); got != want {
		t.Errorf("it says\n%s, not\n%s", got, want)
	}
	if got := keptNote(keeps("Flux has it", "somebody keeps it", "Flux has it"), "prod"); !strings.Contains(got, "more: ConfigMap shop/a, ConfigMap shop/c (Flux has it); ConfigMap shop/b (somebody keeps it). Tagboat does not touch them") {
		t.Errorf("of several it says %s", got)
	}
}

// A mark may say anything, and a tool may have taken over hundreds of objects.
func TestTheWordsForWhatStaysAreBounded(t *testing.T) {
	var reasons []string
	for i := range 20 {
		reasons = append(reasons, fmt.Sprint(i, strings.Repeat("x", 100_000)))
	}
	got := keptNote(keeps(reasons...), "prod")
	if len(got) > 2500 || !strings.Contains(got, "and others, for 15 more reasons") || !strings.HasSuffix(got, "by hand.") {
		t.Errorf("in %d bytes it says %s", len(got), got)
	}
}

// It asks for nothing: who keeps an object has decided that.
func TestWhatStaysIsNoTrouble(t *testing.T) {
	for note, kept := range map[string]bool{
		keptNote(keeps("Flux has it"), "prod"):   true,
		partedNote(keeps("it belongs to Lara")):  true,
		"changed past Git: ConfigMap shop/a.":    false,
		postponed + "GitHub is away.":            false,
		waiting("a", "b", []byte("{}"), "01234"): false,
	} {
		if store.TellsOfKept(note) != kept {
			t.Errorf("told of what is kept: %v, of %q", !kept, note)
		}
	}
}
