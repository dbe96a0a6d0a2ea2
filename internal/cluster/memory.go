package cluster

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"
)

// memory is what a watch remembers of the objects of one kind. It is the store of one
// reflector, which calls it from one goroutine.
type memory struct {
	kind  schema.GroupKind
	tell  func(target string, id ID)
	marks map[objectName]mark
}

var _ cache.ReflectorStore = (*memory)(nil)

type objectName = types.NamespacedName

// mark is what tells whether an object was changed.
type mark struct {
	target      string // the value of TargetLabel
	uid         types.UID
	fingerprint string    // "" of one that its target has not applied: its label was copied
	at          time.Time // when its target last applied it
	going       bool      // it is being deleted
	generation  int64     // of what it is told to do; 0 of a kind that does not count it
	strayed     bool      // somebody has changed it since its target last applied it
}

func markOf(o Metadata) mark {
	m := mark{target: o.Labels[TargetLabel], uid: o.UID, going: o.DeletionTimestamp != nil, generation: o.Generation}
	m.fingerprint = fingerprint(o, m.manager())
	for _, entry := range o.ManagedFields {
		if m.owns(entry) && entry.Time != nil {
			m.at = entry.Time.Time
		}
	}
	return m
}

// manager is the field manager of the target, which both come from one hash.
func (m mark) manager() string { return managerPrefix + m.target[:min(len(m.target), managerDigits)] }

func (m mark) owns(entry metav1.ManagedFieldsEntry) bool {
	return entry.Manager == m.manager() && entry.Operation == metav1.ManagedFieldsOperationApply && entry.Subresource == ""
}

// see compares an object with what is remembered of it.
func (m *memory) see(o Metadata) {
	key, next := types.NamespacedName{Namespace: o.Namespace, Name: o.Name}, markOf(o)
	last, known := m.marks[key]
	// One that was not there before was applied just now, or bears a copied label.
	if !known || last.fingerprint == "" || next.isWrittenBy(o, last) {
		m.marks[key] = next
		return
	}
	same := last.fingerprint == next.fingerprint && last.going == next.going && last.target == next.target
	next.strayed = last.strayed || !same
	m.marks[key] = next
	// Who undoes a change has the field already, and leaves what the target owns as it is.
	undone := last.strayed && last.generation != next.generation
	if !same || undone {
		m.tell(last.target, m.id(key))
	}
}

// isWrittenBy reports whether the newest change of an object is its target's own apply.
// Times are told to the second, so whoever has the same may have come later. Who only
// removes a field leaves no time at all; but then the target's own is not a new one.
func (m mark) isWrittenBy(o Metadata, last mark) bool {
	if m.target != last.target || m.going || !m.at.After(last.at) {
		return false
	}
	for _, entry := range o.ManagedFields {
		if !m.owns(entry) && entry.Subresource != "status" && (entry.Time == nil || !entry.Time.Time.Before(m.at)) {
			return false
		}
	}
	return true
}

func (m *memory) lose(key objectName) {
	last, known := m.marks[key]
	delete(m.marks, key)
	if known && last.fingerprint != "" {
		m.tell(last.target, m.id(key))
	}
}

func (m *memory) id(key objectName) ID {
	return ID{m.kind.Group, m.kind.Kind, key.Namespace, key.Name}
}

func metadataIn(v any) (Metadata, error) {
	o, ok := v.(Metadata)
	if !ok {
		return nil, fmt.Errorf("a watch of metadata brings a %T", v)
	}
	return o, nil
}

// Add is for an object that is new to the watch.
func (m *memory) Add(v any) error {
	o, err := metadataIn(v)
	if err == nil {
		m.see(o)
	}
	return err
}

// Update is for an object that has changed.
func (m *memory) Update(v any) error { return m.Add(v) }

// Delete is for an object that is gone, or has lost its label.
func (m *memory) Delete(v any) error {
	o, err := metadataIn(v)
	if err == nil {
		m.lose(types.NamespacedName{Namespace: o.Namespace, Name: o.Name})
	}
	return err
}

// Replace is for a list of all objects: the first, and one after a gap.
func (m *memory) Replace(list []any, _ string) error {
	there := make(map[objectName]bool, len(list))
	for _, v := range list {
		o, err := metadataIn(v)
		if err != nil {
			return err
		}
		there[types.NamespacedName{Namespace: o.Namespace, Name: o.Name}] = true
		m.see(o)
	}
	for key := range m.marks {
		if !there[key] {
			m.lose(key)
		}
	}
	return nil
}

// Resync has nothing to do: the list is compared as it comes.
func (m *memory) Resync() error { return nil }
