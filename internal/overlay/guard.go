package overlay

import (
	"bytes"
	"slices"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
)

// managed are the keys of an entry that Tagboat writes.
var managed = []string{"newTag", "digest"}

// OnlyDeclared is the diff guard: it is nil when after differs from before in
// nothing but the newTag and digest scalars of one image's entry, comments and
// white space included. A key may have been added on a line of its own; none may
// be gone. Anything else is Invalid and says where.
func OnlyDeclared(file string, before, after []byte, imageName string) error {
	was, err := skeletonOf(file, before, imageName)
	if err != nil {
		return err
	}
	is, err := skeletonOf(file, after, imageName)
	if err != nil {
		return err
	}
	var added []string
	for _, key := range managed {
		had, has := was.entry.fields[key] != nil, is.entry.fields[key] != nil
		if had && !has {
			return refuse(file, is.entry.Line, "%s of image %s was removed; only its value may change", key, imageName)
		}
		if !had && has {
			added = append(added, key)
		}
	}
	a, err := was.bytes(nil)
	if err != nil {
		return err
	}
	b, err := is.bytes(added)
	if err != nil {
		return err
	}
	if !bytes.Equal(a, b) {
		return refuse(file, firstDifference(a, b), "something else than newTag and digest of image %s differs", imageName)
	}
	if !sameDocuments(was.trees(), is.trees()) {
		return refuse(file, is.entry.Line, "the edit of image %s changes how the rest of the file is read", imageName)
	}
	return nil
}

// prove checks an edit of ours before anybody sees it and returns what the file
// pins after it.
func prove(e Edit, imageName string, want []change) (image.Ref, error) {
	if err := OnlyDeclared(e.Path, e.Before, e.After, imageName); err != nil {
		return image.Ref{}, err
	}
	d, err := parse(e.Path, e.After)
	if err != nil {
		return image.Ref{}, err
	}
	entry, err := d.find(imageName)
	if err != nil {
		return image.Ref{}, err
	}
	for _, c := range want {
		n := entry.fields[c.key]
		if n == nil || n.Value != c.value || n.Tag != "!!str" {
			return image.Ref{}, refuse(e.Path, entry.Line, "%s of image %s would not be read as the string %q; write it as a plain or quoted string", c.key, imageName, c.value)
		}
	}
	return entry.Ref(), nil
}

// skeleton is a file seen without what Tagboat manages in it.
type skeleton struct {
	*document
	entry located
}

func skeletonOf(file string, data []byte, imageName string) (skeleton, error) {
	d, err := parse(file, data)
	if err != nil {
		return skeleton{}, err
	}
	entry, err := d.find(imageName)
	if err != nil {
		return skeleton{}, err
	}
	return skeleton{d, entry}, d.editable(entry)
}

// bytes is the file with the managed scalars emptied and the added keys cut out.
func (s skeleton) bytes(added []string) ([]byte, error) {
	var cuts []splice
	for _, key := range managed {
		value := s.entry.fields[key]
		if value == nil {
			continue
		}
		at, err := s.scalar(value)
		if err != nil {
			return nil, err
		}
		if slices.Contains(added, key) {
			if at, err = s.keyWithValue(key, at); err != nil {
				return nil, err
			}
		}
		cuts = append(cuts, splice{span: at})
	}
	return apply(s.data, cuts), nil
}

// keyWithValue widens a value's span to what an insertion writes: its whole line
// with the break before it, or ", key: value" between braces.
func (s skeleton) keyWithValue(key string, value span) (span, error) {
	start := s.offset(s.entry.keys[key])
	if start < 0 {
		return span{}, refuse(s.file, s.entry.Line, "cannot find key %s", key)
	}
	before := bytes.TrimRight(s.data[:start], " ")
	if s.entry.node.Style&yaml.FlowStyle != 0 {
		if !bytes.HasSuffix(before, []byte(",")) {
			return span{}, refuse(s.file, s.entry.Line, "key %s was added in front of another key", key)
		}
		return span{len(before) - 1, value.end}, nil
	}
	if !bytes.HasSuffix(before, []byte("\n")) || value.end != s.lineEnd(value.end) {
		return span{}, refuse(s.file, s.entry.keys[key].Line, "key %s was added, but does not stand alone on its line", key)
	}
	return span{len(bytes.TrimSuffix(before[:len(before)-1], []byte("\r"))), value.end}, nil
}

// trees are the documents with the managed pairs taken out. The nodes were
// parsed for this check alone and are changed in place.
func (s skeleton) trees() []*yaml.Node {
	m := s.entry.node
	var rest []*yaml.Node
	for i := 0; i+1 < len(m.Content); i += 2 {
		if !slices.Contains(managed, m.Content[i].Value) {
			rest = append(rest, m.Content[i], m.Content[i+1])
		}
	}
	m.Content = rest
	return s.docs
}

func sameDocuments(a, b []*yaml.Node) bool { return slices.EqualFunc(a, b, sameNode) }

func sameNode(a, b *yaml.Node) bool {
	return a.Kind == b.Kind && a.Tag == b.Tag && a.Value == b.Value && a.Style == b.Style && a.Anchor == b.Anchor &&
		slices.EqualFunc(a.Content, b.Content, sameNode)
}

// firstDifference is the line, from 1, where two byte slices part.
func firstDifference(a, b []byte) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return 1 + bytes.Count(a[:n], []byte("\n"))
}
