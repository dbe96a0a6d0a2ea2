package cluster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/cluster"
)

func entry(group, kind, namespace, name string) cluster.Entry {
	return cluster.Entry{ID: cluster.ID{Group: group, Kind: kind, Namespace: namespace, Name: name}, Version: "v1",
		UID: strings.Join([]string{"uid", group, kind, namespace, name}, " "), State: cluster.Written}
}

func settings(names ...string) (entries []cluster.Entry) {
	for _, n := range names {
		entries = append(entries, entry("", "ConfigMap", "shop", n))
	}
	return entries
}

func numbered(n int) (names []string) {
	for i := range n {
		names = append(names, fmt.Sprintf("s%02d", i))
	}
	return names
}

func rendered(entries ...cluster.Entry) (objects []cluster.Object) {
	for _, e := range entries {
		o := &unstructured.Unstructured{}
		o.SetGroupVersionKind(e.GroupKind().WithVersion(e.Version))
		o.SetNamespace(e.Namespace)
		o.SetName(e.Name)
		objects = append(objects, o)
	}
	return objects
}

func namesOf(entries []cluster.Entry) (names []string) {
	for _, e := range entries {
		names = append(names, e.Name)
	}
	return names
}

func TestWhatIsNotInGitAnyMoreMayGo(t *testing.T) {
	inventory := settings("a", "b", "c")
	s := cluster.Prunable(inventory, rendered(inventory[0], inventory[2]), nil)
	if diff := cmp.Diff([]string{"b"}, namesOf(s.Remove)); diff != "" || len(s.NeedsYes) > 0 || len(s.Why) > 0 {
		t.Errorf("got %+v", s)
	}
	if s := cluster.Prunable(inventory, rendered(inventory...), nil); len(s.Remove)+len(s.NeedsYes)+len(s.Why) > 0 {
		t.Errorf("nothing is surplus, and it says %+v", s)
	}
}

func TestNothingIsRemovedByAnEmptyRendering(t *testing.T) {
	inventory := settings("a")
	inventory[0].State = cluster.Pruning
	s := cluster.Prunable(inventory, nil, map[cluster.ID]bool{inventory[0].ID: true})
	if len(s.Remove)+len(s.NeedsYes) > 0 || len(s.Why) != 1 || !strings.Contains(s.Why[0], "no objects at all") {
		t.Errorf("got %+v", s)
	}
}

func TestMoreThanAFewNeedAYes(t *testing.T) {
	for _, c := range []struct {
		has, without int
		yes          bool
	}{{6, 5, false}, {7, 6, true}, {30, 6, false}, {30, 7, true}, {29, 6, true}} {
		inventory := settings(numbered(c.has)...)
		s := cluster.Prunable(inventory, rendered(inventory[c.without:]...), nil)
		if needs := len(s.NeedsYes) > 0; needs != c.yes || len(s.NeedsYes)+len(s.Remove) != c.without {
			t.Errorf("%d of %d: %d go and %d need a yes", c.without, c.has, len(s.Remove), len(s.NeedsYes))
		}
		if c.yes && (len(s.Remove) > 0 || len(s.Why) != 1 || !strings.Contains(s.Why[0], fmt.Sprintf("%d objects of %d", c.without, c.has)) || !strings.Contains(s.Why[0], "/prune-ok")) {
			t.Errorf("%d of %d: %+v", c.without, c.has, s)
		}
	}
}

func TestWhatIsPreciousCountsAmongTheMany(t *testing.T) {
	inventory := append(settings(numbered(20)...), entry("apps", "StatefulSet", "shop", "db"))
	s := cluster.Prunable(inventory, rendered(inventory[5:20]...), nil)
	if len(s.Remove) > 0 || len(s.NeedsYes) != 6 || len(s.Why) != 2 {
		t.Errorf("got %+v", s)
	}
}

// A yes is for what the person saw, and for nothing that came later.
func TestAYesIsForExactlyWhatWasSeen(t *testing.T) {
	inventory := settings(numbered(20)...)
	yes := map[cluster.ID]bool{}
	for _, e := range inventory[:7] {
		yes[e.ID] = true
	}
	s := cluster.Prunable(inventory, rendered(inventory[7:]...), yes)
	if len(s.Remove) != 7 || len(s.NeedsYes) > 0 {
		t.Errorf("the seven that were seen: %+v", s)
	}
	if s = cluster.Prunable(inventory, rendered(inventory[13:]...), yes); len(s.Remove) != 7 || len(s.NeedsYes) != 6 {
		t.Errorf("six more than were seen: %d go, %d need a yes", len(s.Remove), len(s.NeedsYes))
	}
}

func TestWhatIsPreciousNeedsAYesEach(t *testing.T) {
	stays := entry("apps", "Deployment", "shop", "web")
	for _, e := range []cluster.Entry{
		entry("", "Namespace", "", "shop"), entry("", "PersistentVolume", "", "disk"), entry("", "PersistentVolumeClaim", "shop", "data"),
		entry("apps", "StatefulSet", "shop", "db"), entry("apiextensions.k8s.io", "CustomResourceDefinition", "", "boats.example.com"),
	} {
		s := cluster.Prunable([]cluster.Entry{stays, e}, rendered(stays), nil)
		if len(s.Remove) > 0 || len(s.NeedsYes) != 1 || len(s.Why) != 1 || !strings.Contains(s.Why[0], e.String()) {
			t.Errorf("%s: %+v", e.ID, s)
		}
		if s = cluster.Prunable([]cluster.Entry{stays, e}, rendered(stays), map[cluster.ID]bool{e.ID: true}); len(s.Remove) != 1 || len(s.Why) > 0 {
			t.Errorf("%s, with a yes: %+v", e.ID, s)
		}
	}
}

// The decision was made, and the deletion is under way: nobody is asked again.
func TestWhatIsBeingPrunedGoesOn(t *testing.T) {
	inventory := settings(numbered(12)...)
	for i := range 9 {
		inventory[i].State = cluster.Pruning
	}
	if s := cluster.Prunable(inventory, rendered(inventory[10:]...), nil); len(s.Remove) != 10 || len(s.NeedsYes) > 0 {
		t.Errorf("got %+v", s)
	}
}

func TestAnObjectUnderTwoNamesIsOne(t *testing.T) {
	// A rendering may say a namespace too many, or none.
	role := entry("rbac.authorization.k8s.io", "ClusterRole", "", "reader")
	named := role
	named.Namespace = "shop"
	if s := cluster.Prunable([]cluster.Entry{role}, rendered(named), nil); len(s.Remove) > 0 {
		t.Errorf("a cluster-wide object that is rendered with a namespace: %+v", s)
	}
	unnamed := settings("a")[0]
	unnamed.Namespace = ""
	if s := cluster.Prunable(settings("a"), rendered(unnamed), nil); len(s.Remove) > 0 {
		t.Errorf("an object that is rendered without a namespace: %+v", s)
	}
	// An Ingress of extensions was the same object as one of networking.k8s.io.
	old, now := entry("extensions", "Ingress", "shop", "web"), entry("networking.k8s.io", "Ingress", "shop", "web")
	old.UID = now.UID
	if s := cluster.Prunable([]cluster.Entry{old, now}, rendered(now), nil); len(s.Remove) > 0 {
		t.Errorf("an object whose kind has moved to another group: %+v", s)
	}
}

func TestWhatIsKeptIsNotJudged(t *testing.T) {
	inventory := settings(numbered(10)...)
	for i := range 8 {
		inventory[i].State = cluster.Kept
	}
	if s := cluster.Prunable(inventory, rendered(inventory[9]), nil); !slices.Equal(namesOf(s.Remove), []string{"s08"}) || len(s.Why) > 0 {
		t.Errorf("got %+v", s)
	}
}

// Whatever the inventory, the rendering and the person's yes are.
func TestPruneGuards(t *testing.T) {
	kinds := []cluster.Entry{entry("", "ConfigMap", "shop", ""), entry("apps", "Deployment", "shop", ""), entry("apps", "StatefulSet", "shop", ""),
		entry("", "Namespace", "", ""), entry("", "PersistentVolumeClaim", "shop", ""), entry("", "PersistentVolume", "", ""),
		entry("apiextensions.k8s.io", "CustomResourceDefinition", "", "")}
	states := []cluster.EntryState{cluster.Intended, cluster.Written, cluster.Pruning, cluster.Kept}
	rapid.Check(t, func(t *rapid.T) {
		inventory := make([]cluster.Entry, rapid.IntRange(0, 40).Draw(t, "size"))
		var wanted []cluster.Entry
		yes := map[cluster.ID]bool{}
		for i := range inventory {
			e := kinds[max(0, rapid.IntRange(-10, len(kinds)-1).Draw(t, "kind"))]
			e.Name = fmt.Sprint("o", i)
			e.UID = rapid.SampledFrom([]string{"", e.Name}).Draw(t, "uid")
			e.State = states[max(1, rapid.IntRange(-6, len(states)-1).Draw(t, "state"))]
			inventory[i] = e
			if rapid.IntRange(0, 3).Draw(t, "fate") > 0 {
				wanted = append(wanted, e)
			}
			if rapid.IntRange(0, 9).Draw(t, "yes") == 0 {
				yes[e.ID] = true
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "lost") == 0 {
			wanted = nil
		}
		s := cluster.Prunable(inventory, rendered(wanted...), yes)

		unasked := 0
		seen := map[cluster.ID]bool{}
		for _, e := range s.Remove {
			if !slices.Contains(inventory, e) || seen[e.ID] {
				t.Fatalf("it removes %s, which is not in the inventory, or twice", e.ID)
			}
			seen[e.ID] = true
			decided := yes[e.ID] || e.State == cluster.Pruning
			if slices.ContainsFunc(wanted, func(w cluster.Entry) bool { return w.ID == e.ID }) {
				t.Fatalf("it removes %s, which is rendered", e.ID)
			}
			if !decided && e.Kind != "ConfigMap" && e.Kind != "Deployment" {
				t.Fatalf("it removes %s without a yes", e.ID)
			}
			if e.State == cluster.Kept {
				t.Fatalf("it removes %s, which is kept", e.ID)
			}
			if !decided {
				unasked++
			}
		}
		if unasked > 5 && unasked*5 > len(inventory) {
			t.Fatalf("it removes %d of %d without a yes", unasked, len(inventory))
		}
		if len(wanted) == 0 && len(s.Remove) > 0 {
			t.Fatalf("an empty rendering removes %v", namesOf(s.Remove))
		}
		for _, e := range s.NeedsYes {
			if seen[e.ID] || yes[e.ID] {
				t.Fatalf("%s needs a yes that it has", e.ID)
			}
		}
		if len(s.NeedsYes) > 0 && len(s.Why) == 0 {
			t.Fatalf("it does not say why %v stay", namesOf(s.NeedsYes))
		}
	})
}
