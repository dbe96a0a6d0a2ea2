package cluster

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Surplus is what an inventory has and a rendering has not.
type Surplus struct {
	Remove   []Entry  // may be deleted now, in the inventory's order
	NeedsYes []Entry  // stay until a person has seen them and says yes
	Why      []string // sentences for people: which guard keeps what
}

const (
	// aFew objects may always be removed together, and of a bigger inventory a fifth.
	// More at once is less often a wish than a mistake: a wrong path, a lost base.
	aFew  = 5
	fifth = 5
)

// precious are the kinds whose deletion takes what no later sync brings back: data,
// or all that lies in them.
var precious = map[schema.GroupKind]string{
	{Kind: "Namespace"}: "everything in it goes with it",
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}: "all objects of its kind go with it, in every namespace",
	{Kind: "PersistentVolume"}:                                        "it holds data",
	{Kind: "PersistentVolumeClaim"}:                                   "it holds data",
	{Group: "apps", Kind: "StatefulSet"}:                              "its pods hold data",
}

// Prunable says which objects of an inventory may be deleted, because what was
// rendered has them no more. It looks at nothing but what it is given. The objects
// should name their namespaces; one that names none keeps its namesakes in all.
//
// approved are the objects that a person has seen on the list of those that would go,
// and has said yes to. Without that stays what is precious, and all, where it is more
// than a few at once. An empty rendering removes nothing, whatever anybody says.
//
// What is about to be deleted already has passed the guards when that was decided, and
// is not counted again. What is kept is not judged: see Reconsider.
func Prunable(inventory []Entry, objects []Object, approved map[ID]bool) Surplus {
	surplus := surplusOf(inventory, objects)
	if len(surplus) == 0 {
		return Surplus{}
	}
	if len(objects) == 0 {
		return Surplus{Why: []string{fmt.Sprintf("The overlay renders to no objects at all, so nothing is removed: all %s stay. To remove them, leave one object in Git.", count(len(surplus)))}}
	}
	var s Surplus
	var fresh []Entry // that nobody has decided about
	var treasures []Entry
	for _, e := range surplus {
		_, guarded := precious[e.GroupKind()]
		switch {
		case e.State == Pruning || approved[e.ID]:
			s.Remove = append(s.Remove, e)
		case guarded:
			treasures = append(treasures, e)
		default:
			fresh = append(fresh, e)
		}
	}
	bound := max(aFew, len(inventory)/fifth)
	if undecided := len(fresh) + len(treasures); undecided > bound {
		s.NeedsYes = slices.Concat(fresh, treasures)
		s.Why = append(s.Why, fmt.Sprintf("%s of %d are not in Git any more, and Tagboat removes at most %d at once by itself. They stay until somebody says /prune-ok.",
			count(undecided), len(inventory), bound))
	} else {
		s.Remove, s.NeedsYes = append(s.Remove, fresh...), treasures
	}
	for _, e := range treasures {
		s.Why = append(s.Why, fmt.Sprintf("%s is not in Git any more, and stays until somebody says /prune-ok: %s.", e.ID, precious[e.GroupKind()]))
	}
	return s
}

// surplusOf are the entries that none of the objects is.
func surplusOf(inventory []Entry, objects []Object) []Entry {
	wanted := map[ID]bool{}
	everywhere := map[ID]bool{} // without their namespace
	for _, o := range objects {
		id := idOf(o)
		wanted[id] = true
		everywhere[ID{Group: id.Group, Kind: id.Kind, Name: id.Name}] = everywhere[ID{Group: id.Group, Kind: id.Kind, Name: id.Name}] || id.Namespace == ""
	}
	isWanted := func(id ID) bool {
		// Some renderers put a namespace on everything; then it may be a cluster-wide one.
		atLarge, named := everywhere[ID{Group: id.Group, Kind: id.Kind, Name: id.Name}]
		return wanted[id] || atLarge || named && id.Namespace == ""
	}
	// An API group may hand a kind on to another: one object under two names.
	uids := map[string]bool{}
	for _, e := range inventory {
		if isWanted(e.ID) && e.UID != "" {
			uids[e.UID] = true
		}
	}
	var surplus []Entry
	for _, e := range inventory {
		if !isWanted(e.ID) && !uids[e.UID] && e.State != Kept {
			surplus = append(surplus, e)
		}
	}
	return surplus
}

func count(n int) string {
	if n == 1 {
		return "1 object"
	}
	return fmt.Sprintf("%d objects", n)
}
