package manifest

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
)

// Compare says how the objects of two rendered streams differ. The streams are
// read as Parse does, and refused as Parse does, except that equal streams, and
// documents that stand in both byte for byte, are not looked into.
func Compare(before, after []byte) (Diff, error) {
	if bytes.Equal(before, after) {
		return Diff{}, nil
	}
	olds, news := split(before), split(after)
	matchEqual(olds, news)
	left, at, err := side(olds)
	if err != nil {
		return Diff{}, fmt.Errorf("before the change: %w", err)
	}
	right, there, err := side(news)
	if err != nil {
		return Diff{}, fmt.Errorf("after the change: %w", err)
	}
	renames := generated(left, right, at, there)

	var d Diff
	gone := make([]bool, len(left))
	for i := range gone {
		gone[i] = true
	}
	for i, o := range right {
		partner, ok := at[o.key()]
		if !ok {
			partner, ok = renames.partner[i]
		}
		if ok {
			gone[partner] = false
		}
		switch {
		case o.same:
		case !ok:
			d.Objects = append(d.Objects, ObjectDiff{ID: o.ID, Change: Added, Fields: onlyFields(o, Added)})
		default:
			d.compare(left[partner], o, renames)
		}
	}
	for i, o := range left {
		if gone[i] {
			d.Objects = append(d.Objects, ObjectDiff{ID: o.ID, Change: Removed, Fields: onlyFields(o, Removed)})
		}
	}
	return d, nil
}

func side(docs []document) ([]Object, map[key]int, error) {
	objects, err := load(docs)
	if err != nil {
		return nil, nil, err
	}
	at, err := index(objects)
	return objects, at, err
}

// compare adds the fields in which two versions of an object differ.
func (d *Diff) compare(before, after Object, r renames) {
	if before.root == nil || after.root == nil {
		return
	}
	c := comparison{renamed: r.names}
	c.object(before.root, after.root, after.Kind)
	o := ObjectDiff{ID: after.ID, Change: Changed, Fields: c.fields}
	if before.Name != after.Name {
		o.Was = before.Name
		o.Fields = slices.DeleteFunc(o.Fields, func(f FieldDiff) bool { return f.Path == "metadata.name" })
	}
	if len(o.Fields) > 0 || o.Was != "" {
		d.Objects = append(d.Objects, o)
	}
}

// onlyFields is what an object that stands on one side only has in it, besides
// its identity.
func onlyFields(o Object, change Change) []FieldDiff {
	if o.root == nil {
		return nil
	}
	var c comparison
	rest := o.root.without("apiVersion", "kind")
	if meta := rest.field("metadata"); meta != nil && meta.kind == mapKind {
		rest = rest.without("metadata")
		if meta = meta.without("name", "namespace"); len(meta.keys) > 0 {
			rest.set("metadata", meta)
		}
	}
	empty := &node{kind: mapKind}
	if change == Added {
		c.object(empty, rest, o.Kind)
	} else {
		c.object(rest, empty, o.Kind)
	}
	return c.fields
}

// without is the mapping less some keys.
func (n *node) without(names ...string) *node {
	out := &node{kind: mapKind}
	for i, k := range n.keys {
		drop := false
		for _, name := range names {
			drop = drop || k == name
		}
		if !drop {
			out.keys, out.items = append(out.keys, k), append(out.items, n.items[i])
		}
	}
	return out
}

// renames are the generated objects whose names' hash suffix changed.
type renames struct {
	partner map[int]int       // object after -> object before
	names   map[string]string // name before -> name after
}

// A name that kustomize generated ends in ten characters of this alphabet
// (sigs.k8s.io/kustomize/api/hasher: hexadecimal with 0, 1, 3, a and e spelt g,
// h, k, m and t, so that no word comes out).
var hashSuffix = regexp.MustCompile(`^(.+)-([2456789bcdfghkmt]{10})$`)

// generated pairs the ConfigMaps and Secrets that only changed their suffix.
// Where a name has several candidates on one side, who became whom is anybody's
// guess, and none of them is paired.
func generated(left, right []Object, at, there map[key]int) renames {
	type family struct{ group, kind, namespace, prefix string }
	candidates := func(objects []Object) map[family][]int {
		found := map[family][]int{}
		for i, o := range objects {
			if o.Kind != "ConfigMap" && o.Kind != "Secret" {
				continue
			}
			if m := hashSuffix.FindStringSubmatch(o.Name); m != nil {
				f := family{o.group(), o.Kind, o.Namespace, m[1]}
				found[f] = append(found[f], i)
			}
		}
		return found
	}
	r := renames{map[int]int{}, map[string]string{}}
	before := candidates(left)
	for f, news := range candidates(right) {
		olds := before[f]
		if len(olds) != 1 || len(news) != 1 || left[olds[0]].Name == right[news[0]].Name {
			continue
		}
		// A namesake that was or is written by hand would be taken for the other.
		if _, taken := there[left[olds[0]].key()]; taken {
			continue
		}
		if _, taken := at[right[news[0]].key()]; taken {
			continue
		}
		r.partner[news[0]] = olds[0]
		r.names[left[olds[0]].Name] = right[news[0]].Name
	}
	return r
}
