package manifest

import (
	"slices"
	"strconv"
	"strings"
)

// maxFlat is how long the one line may be that stands for a whole mapping or
// list; what is longer is told field by field.
const maxFlat = 80

// comparison collects the fields in which two versions of one object differ.
type comparison struct {
	renamed map[string]string
	fields  []FieldDiff
}

// object compares two versions of one object of the given kind.
func (c *comparison) object(a, b *node, kind string) {
	for _, k := range union(a.keys, b.keys) {
		c.compare(a.field(k), b.field(k), topScope(kind, k))
	}
}

// compare compares the values at one place; nil is one that is not there.
func (c *comparison) compare(a, b *node, s scope) {
	mask := s.masks(a)
	if mask == "" {
		mask = s.masks(b)
	}
	s = s.around(a).around(b)
	switch {
	case a == nil && b == nil || a != nil && b != nil && equal(a, b):
	case mask != "":
		c.fields = append(c.fields, maskedField(a, b, s, mask))
	case a == nil || b == nil:
		c.only(a, b, s)
	case a.kind == mapKind && b.kind == mapKind:
		for _, k := range union(a.keys, b.keys) {
			c.compare(a.field(k), b.field(k), s.key(k))
		}
	case a.kind == listKind && b.kind == listKind:
		c.lists(a, b, s)
	case a.scalar() && b.scalar():
		c.scalars(a, b, s)
	default: // one became the other
		c.only(a, nil, s)
		c.only(nil, b, s)
	}
}

func change(a, b *node) Change {
	switch {
	case a == nil:
		return Added
	case b == nil:
		return Removed
	}
	return Changed
}

// maskedField tells that a value differs, and nothing about it.
func maskedField(a, b *node, s scope, mask string) FieldDiff {
	f := FieldDiff{Path: s.path, Change: change(a, b), Secret: true}
	if a != nil {
		f.Old = mask
	}
	if b != nil {
		f.New = mask
	}
	if f.Change == Changed {
		f.New = changedMask(mask)
	}
	return f
}

// only tells what stands on one side only.
func (c *comparison) only(a, b *node, s scope) {
	n := a
	if a == nil {
		n = b
	}
	if n.scalar() {
		c.scalars(a, b, s)
		return
	}
	if line, ok := s.flat(n); ok {
		f := FieldDiff{Path: s.path, Change: change(a, b)}
		if a != nil {
			f.Old = line
		} else {
			f.New = line
		}
		c.fields = append(c.fields, f)
		return
	}
	// side puts a part of n on the side where n is.
	side := func(part *node) (*node, *node) {
		if a != nil {
			return part, nil
		}
		return nil, part
	}
	if n.kind == mapKind {
		for i, k := range n.keys {
			x, y := side(n.items[i])
			c.compare(x, y, s.key(k))
		}
		return
	}
	keys, keyed := elementKeys(s.name, n)
	for i, item := range n.items {
		name := strconv.Itoa(i)
		if keyed {
			name = keys[i]
		}
		x, y := side(item)
		c.compare(x, y, s.element(name, n, i))
	}
}

func (c *comparison) scalars(a, b *node, s scope) {
	f := FieldDiff{Path: s.path, Change: change(a, b)}
	old, next := textOf(a), textOf(b)
	switch {
	case strings.Contains(old, "\n") || strings.Contains(next, "\n"):
		switch {
		case looksPrivate(old) || looksPrivate(next):
			f = maskedField(a, b, s, maskSecret)
		case a != nil && a.kind != textKind || b != nil && b.kind != textKind:
			c.scalars(a, nil, s)
			c.scalars(nil, b, s)
			return
		default:
			f.Lines, f.Secret = unified(old, next)
		}
	case looksSecret(old) || looksSecret(next):
		f = maskedField(a, b, s, maskSecret)
	default:
		if a != nil {
			f.Old = a.flow()
		}
		if b != nil {
			f.New = b.flow()
		}
		f.Reference = a != nil && b != nil && a.kind == textKind && b.kind == textKind && old != "" && c.renamed[old] == next
	}
	c.fields = append(c.fields, f)
}

func textOf(n *node) string {
	if n == nil {
		return ""
	}
	return n.text
}

// lists compares two lists: element by element of the same key where Kubernetes
// knows the elements by a key, else along their shortest alignment.
func (c *comparison) lists(a, b *node, s scope) {
	olds, known := elementKeys(s.name, a)
	news, alsoKnown := elementKeys(s.name, b)
	if !known || !alsoKnown {
		c.aligned(a, b, s)
		return
	}
	at := make(map[string]int, len(olds))
	for i, k := range olds {
		at[k] = i
	}
	// An element that is known by a generated name is the same one under the new name.
	for old, next := range c.renamed {
		oldKey, nextKey := selector("name", old), selector("name", next)
		i, was := at[oldKey]
		if _, both := at[nextKey]; was && !both && slices.Contains(news, nextKey) && !slices.Contains(news, oldKey) {
			delete(at, oldKey)
			at[nextKey], olds[i] = i, nextKey
		}
	}
	var order []int // where the elements that stayed were
	for i, k := range news {
		partner, ok := at[k]
		if !ok {
			c.compare(nil, b.items[i], s.element(k, b, i))
			continue
		}
		delete(at, k)
		order = append(order, partner)
		c.compare(a.items[partner], b.items[i], s.element(k, b, i))
	}
	for i, k := range olds {
		if _, gone := at[k]; gone {
			c.compare(a.items[i], nil, s.element(k, a, i))
		}
	}
	// Kubernetes keeps the order, and a pod whose containers or variables stand in
	// another one is another pod: it is restarted.
	if !slices.IsSorted(order) {
		stayed := make([]string, len(order))
		for i, at := range order {
			stayed[i] = olds[at]
		}
		slices.Sort(order)
		were := make([]string, len(order))
		for i, at := range order {
			were[i] = olds[at]
		}
		c.fields = append(c.fields, FieldDiff{Path: s.path + "[order]", Change: Changed, Old: strings.Join(were, " "), New: strings.Join(stayed, " ")})
	}
}

// aligned compares along the shortest alignment. What was removed and what was
// added at the same place is taken for one element that changed.
func (c *comparison) aligned(a, b *node, s scope) {
	for _, gap := range gaps(a.items, b.items, (*node).flow) {
		i, j := gap.a, gap.b
		for ; i < gap.aEnd && j < gap.bEnd; i, j = i+1, j+1 {
			c.compare(a.items[i], b.items[j], s.element(strconv.Itoa(j), b, j).or(s.element("", a, i)))
		}
		for ; i < gap.aEnd; i++ {
			c.compare(a.items[i], nil, s.element(strconv.Itoa(i), a, i))
		}
		for ; j < gap.bEnd; j++ {
			c.compare(nil, b.items[j], s.element(strconv.Itoa(j), b, j))
		}
	}
}

// union is both sorted lists in one, each key once.
func union(a, b []string) []string {
	all := append(slices.Clone(a), b...)
	slices.Sort(all)
	return slices.Compact(all)
}
