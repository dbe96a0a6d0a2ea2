package overlay

import (
	"bytes"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// OnlyDeclared is the diff guard: it is nil when after differs from before in
// nothing but the versions of one image (or chart, or git repository), comments
// and white space included. A missing tag or digest may have been added where
// SetImage adds one; none may be gone. Anything else is Invalid and says where.
//
// WithFollowed allows what moved along with a version, too.
func OnlyDeclared(file string, before, after []byte, name string, opts ...Option) error {
	var set options
	for _, opt := range opts {
		opt(&set)
	}
	was, err := open(file, before)
	if err != nil {
		return err
	}
	is, err := open(file, after)
	if err != nil {
		return err
	}
	if err := sameSites(was, is, name); err != nil {
		return err
	}
	declared, err := was.named(name)
	if err != nil && !(set.follow && len(declared) == 0 && len(set.moved) > 0) {
		return err
	}
	moved := map[string]string{}
	for old, version := range set.moved {
		moved[old] = version
	}
	picked := make([]bool, len(was.sites))
	for i, s := range was.sites {
		if picked[i] = slices.Contains(declared, s); picked[i] && s.Kind == KindImage && s.Version != "" {
			moved[s.Version] = is.sites[i].Version
		}
	}
	for i, s := range was.sites {
		for from, to := range moved {
			if set.follow && is.sites[i].Version != "" && s.next(from, to) == is.sites[i].Version {
				picked[i] = true
			}
		}
	}
	return onlyPicked(was, is, picked, name)
}

// sameSites refuses two versions of a file that carry versions of different
// things: what is compared below has to be the same.
func sameSites(was, is *opened, name string) error {
	for i := 0; i < min(len(was.sites), len(is.sites)); i++ {
		a, b := was.sites[i], is.sites[i]
		if a.Where != b.Where || a.Kind != b.Kind || a.Name != b.Name || a.Alias != b.Alias {
			return b.refuse("something else than the version of %s differs: this was %s (%s)", name, a.what(), a.Where)
		}
	}
	if len(was.sites) != len(is.sites) {
		return refuse(was.file, firstDifference(was.data, is.data), "something else than the version of %s differs: there were %d places with a version, now there are %d", name, len(was.sites), len(is.sites))
	}
	return nil
}

// onlyPicked compares all but the slots of the picked sites.
func onlyPicked(was, is *opened, picked []bool, name string) error {
	var cutWas, cutIs []splice
	for i := range was.sites {
		if !picked[i] {
			continue
		}
		a, b := was.sites[i], is.sites[i]
		if err := a.editable(); err != nil {
			return err
		}
		if err := b.editable(); err != nil {
			return err
		}
		for _, sl := range b.slots {
			old := a.slotOf(sl)
			cut, err := b.cut(sl, old == nil || old.at == nil)
			if err != nil {
				return err
			}
			cutIs = append(cutIs, cut...)
		}
		for _, sl := range a.slots {
			if now := b.slotOf(sl); sl.at != nil && (now == nil || now.at == nil) {
				return b.refuse("%s of %s was removed; only its value may change", sl.key, b.what())
			}
			cut, err := a.cut(sl, false)
			if err != nil {
				return err
			}
			cutWas = append(cutWas, cut...)
		}
	}
	restWas, restIs := apply(was.data, cutWas), apply(is.data, cutIs)
	if !bytes.Equal(restWas, restIs) {
		return refuse(is.file, firstDifference(restWas, restIs), "something else than the version of %s differs", name)
	}
	for i := range was.sites {
		if picked[i] {
			was.sites[i].blank(is.sites[i])
			is.sites[i].blank(was.sites[i])
		}
	}
	return sameReading(was.document, is.document, name)
}

// slotOf is the slot that carries the same as another site's, or nil.
func (s *site) slotOf(t slot) *slot {
	for i := range s.slots {
		if s.slots[i].key == t.key {
			return &s.slots[i]
		}
	}
	return nil
}

// cut empties a slot but for what of it stays. An added one is cut out with its
// key.
func (s *site) cut(sl slot, added bool) ([]splice, error) {
	if sl.at == nil {
		return nil, nil
	}
	d := sl.at.doc
	if sl.holds == holdsComment {
		at, ok := d.digestComment(sl.at.node)
		if !ok {
			return nil, s.refuse("the digest in the comment is gone")
		}
		return []splice{{span: d.outward(at)}}, nil
	}
	at, err := d.scalar(sl.at.node)
	if err != nil {
		return nil, err
	}
	if !added {
		return []splice{{d.outward(at), sl.head + sl.tail}}, nil
	}
	if at, err = s.withKey(sl, at); err != nil {
		return nil, err
	}
	return []splice{{span: d.outward(at)}}, nil
}

// withKey widens a value's span to what an insertion writes: its whole line with
// the break before it, or ", key: value" between braces.
func (s *site) withKey(sl slot, value span) (span, error) {
	d := sl.at.doc
	start := d.offset(sl.at.key)
	if start < 0 || d.inside != nil {
		return span{}, s.refuse("key %s of %s was added in a place where Tagboat adds none", sl.key, s.what())
	}
	before := bytes.TrimRight(d.data[:start], " ")
	if s.in.node.Style&yaml.FlowStyle != 0 {
		if !bytes.HasSuffix(before, []byte(",")) {
			return span{}, s.refuse("key %s was added in front of another key", sl.key)
		}
		return span{len(before) - 1, value.end}, nil
	}
	if !bytes.HasSuffix(before, []byte("\n")) || value.end != d.lineEnd(value.end) {
		return span{}, d.refuse(sl.at.key, "key %s was added, but does not stand alone on its line", sl.key)
	}
	return span{len(bytes.TrimSuffix(before[:len(before)-1], []byte("\r"))), value.end}, nil
}

// blank makes the nodes of a site's slots look the same in both trees, and takes
// out what the other one has not. The nodes were parsed for this check alone and
// are changed in place.
func (s *site) blank(other *site) {
	for _, sl := range s.slots {
		if sl.at == nil {
			continue
		}
		if twin := other.slotOf(sl); twin == nil || twin.at == nil {
			s.in.remove(sl.at.key)
			continue
		}
		sl.at.node.Value, sl.at.node.Style, sl.at.node.Tag = sl.head+sl.tail, 0, "!!str"
		if in := sl.at.doc.inside; in != nil {
			in.node.Value = ""
		}
	}
}

func (p *place) remove(key *yaml.Node) {
	for i := 0; i+1 < len(p.node.Content); i += 2 {
		if p.node.Content[i] == key {
			p.node.Content = slices.Delete(p.node.Content, i, i+2)
			return
		}
	}
}

// sameReading compares the trees of two files, and of the texts inside them.
func sameReading(a, b *document, name string) error {
	if len(a.docs) != len(b.docs) || len(a.inlaid) != len(b.inlaid) {
		return refuse(a.file, firstDifference(a.data, b.data), "the edit of %s changes how the rest of the file is read", name)
	}
	for i := range a.docs {
		if n := differs(a.docs[i], b.docs[i]); n != nil {
			return b.refuse(n, "the edit of %s changes how the rest of the file is read", name)
		}
	}
	for i := range a.inlaid {
		if err := sameReading(a.inlaid[i].text, b.inlaid[i].text, name); err != nil {
			return err
		}
	}
	return nil
}

// differs is the first node of b that reads differently than its twin in a, or
// nil.
func differs(a, b *yaml.Node) *yaml.Node {
	if a.Kind != b.Kind || a.Tag != b.Tag || a.Value != b.Value || a.Style != b.Style || a.Anchor != b.Anchor || len(a.Content) != len(b.Content) {
		return b
	}
	for i := range a.Content {
		if n := differs(a.Content[i], b.Content[i]); n != nil {
			return n
		}
	}
	return nil
}

// firstDifference is the line, from 1, where two byte slices part.
func firstDifference(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n"))
}
