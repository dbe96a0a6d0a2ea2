package cluster

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

const (
	// TargetAnnotation names, on every object that Tagboat applied, the target it
	// belongs to.
	TargetAnnotation = "tagboat.dev/target"
	// InstallationAnnotation names the Tagboat that applied it. Two that want the same
	// object each set another value under another field manager, so the API server
	// itself refuses the second one.
	InstallationAnnotation = "tagboat.dev/installation"
	// TargetLabel repeats the two as a short hash, because only labels can be asked
	// for: one request lists what a target has of a kind. It is an index, and proves
	// nothing: other controllers copy labels to what they make.
	TargetLabel = "tagboat.dev/target"
)

// Target is what a set of objects is deployed as.
type Target struct {
	Key          string // stable and unique in an installation: "acme/env payments prod prod-eu"
	Installation string // stable and unique: which Tagboat, that is which database
	Namespace    string // for namespaced objects that name none; may be empty if all do
	// Secret are those of the objects whose values nobody may read, though they need not
	// be Secrets: they were encrypted in Git. What the API server says of them is not
	// passed on.
	Secret []Object
	// LetGo reports whether another target of the same installation, named by its key, has
	// let go of an object that it has applied: it is gone, or Git has the object there no
	// more. Then this one takes the object over. It may be asked by several goroutines at
	// once. nil: no other target lets go of anything.
	LetGo func(ctx context.Context, from string, id ID) (bool, error)
}

// Label is the target's value of TargetLabel.
func (t Target) Label() string { return t.hash()[:16] }

// FieldManager is the name under which the API server remembers which fields are
// the target's. It is another one for each target, so that two that want the same
// field meet in a conflict, and not in turns.
func (t Target) FieldManager() string { return managerPrefix + t.hash()[:managerDigits] }

const (
	managerPrefix = "tagboat-"
	managerDigits = 12 // fewer than the label has, so that the label tells the manager, too
)

func (t Target) hash() string {
	sum := sha256.Sum256([]byte(t.Installation + "\x00" + t.Key))
	return hex.EncodeToString(sum[:])
}

// mark writes onto an object whose it is.
func (t Target) mark(o Object) {
	annotations, labels := o.GetAnnotations(), o.GetLabels()
	if annotations == nil {
		annotations = map[string]string{}
	}
	if labels == nil {
		labels = map[string]string{}
	}
	annotations[TargetAnnotation], annotations[InstallationAnnotation] = t.Key, t.Installation
	labels[TargetLabel] = t.Label()
	o.SetAnnotations(annotations)
	o.SetLabels(labels)
}

// other is how messages call a target that this one meets.
func (t Target) other(key, installation string) string {
	if installation != t.Installation {
		return fmt.Sprintf("another installation of Tagboat, %s, as its target %q", cmp.Or(installation, "of an unknown name"), key)
	}
	return fmt.Sprintf("another target, %q", key)
}

// ID is what makes two objects the same one, whatever version of their kind they
// are written in.
type ID struct {
	Group, Kind     string
	Namespace, Name string // Namespace "" for a cluster-wide object
}

func idOf(o Object) ID {
	gk := o.GroupVersionKind().GroupKind()
	return ID{gk.Group, gk.Kind, o.GetNamespace(), o.GetName()}
}

// GroupKind is its kind, as discovery knows it.
func (id ID) GroupKind() schema.GroupKind { return schema.GroupKind{Group: id.Group, Kind: id.Kind} }

// String is how messages call an object: "Deployment payments/api".
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

// EntryState is how far an object of an inventory is.
type EntryState string

const (
	Intended EntryState = "intended" // is about to be written, or was: nobody has said so yet
	Written  EntryState = "written"  // the cluster has it as it was applied
	Pruning  EntryState = "pruning"  // is about to be deleted, or was: nobody has said so yet
	Kept     EntryState = "kept"     // is not in Git any more, and stays: Reason says why
)

// Entry is one object of a target's inventory: all that Tagboat has ever written
// for the target and not deleted again.
type Entry struct {
	ID
	Version     string // of its API when it was written last: "v1"
	UID         string // as the API server gave it; "" as long as it is only intended
	Hash        string // keyed hash of what was applied; "" where that is not known
	Fingerprint string // of our ownership after that (see fingerprint); "" where that is not known
	State       EntryState
	Reason      string // of Kept, for a person
}

// Ledger keeps the inventory of one target where a crash does not reach it. Every
// method is one transaction. Their error is an error of the caller's where another worker has taken
// the target over meanwhile: then nothing may be written to the cluster any more.
type Ledger interface {
	// Keep inserts or replaces entries by their ID.
	Keep(ctx context.Context, entries []Entry) error
	// Forget removes entries of what is certainly not in the cluster any more.
	Forget(ctx context.Context, ids []ID) error
}
