package overlay

import (
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Entry is one element of a kustomization's images:
// (https://kubectl.docs.kubernetes.io/references/kustomize/kustomization/images/).
type Entry struct {
	Name    string // the image that the base names
	NewName string // what it is replaced by; "" keeps Name
	NewTag  string
	Digest  string
	Line    int // where the element starts, from 1
}

// Image is the name of the image that runs: NewName where it is set, else Name.
func (e Entry) Image() string {
	if e.NewName != "" {
		return e.NewName
	}
	return e.Name
}

// Ref is the image with what pins it. A "tag@digest" in newTag, which Kustomize
// passes through, is read as both.
func (e Entry) Ref() image.Ref {
	r := image.Ref{Name: e.Image(), Tag: e.NewTag, Digest: e.Digest}
	if tag, digest, ok := strings.Cut(e.NewTag, "@"); ok {
		r.Tag = tag
		if r.Digest == "" {
			r.Digest = digest
		}
	}
	return r
}

// Entries lists the images: of a kustomization in file order; none is no error.
// A file that cannot be read for certain is Invalid, with file, line and reason.
func Entries(file string, data []byte) ([]Entry, error) {
	d, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	found, err := d.entries()
	if err != nil {
		return nil, err
	}
	entries := make([]Entry, 0, len(found))
	for _, f := range found {
		entries = append(entries, f.Entry)
	}
	return entries, nil
}

// Current is what this overlay pins now for an image, named by what runs
// (newName) or by what the base names (name). NotFound when the overlay does not
// mention the image, Invalid when it mentions it twice.
func Current(file string, data []byte, imageName string) (image.Ref, error) {
	d, err := parse(file, data)
	if err != nil {
		return image.Ref{}, err
	}
	found, err := d.find(imageName)
	if err != nil {
		return image.Ref{}, err
	}
	return found.Ref(), nil
}

// located is an entry together with its nodes.
type located struct {
	Entry
	node   *yaml.Node            // the element of images:, perhaps an alias
	fields map[string]*yaml.Node // value nodes by key
	keys   map[string]*yaml.Node // key nodes by key
}

// images is the sequence under the first document's images: key, or nil.
func (d *document) images() (*yaml.Node, error) {
	if len(d.docs) == 0 || len(d.docs[0].Content) == 0 {
		return nil, nil
	}
	root := d.docs[0].Content[0]
	if root.Kind == yaml.ScalarNode && root.Tag == "!!null" {
		return nil, nil
	}
	if root.Kind != yaml.MappingNode {
		return nil, refuse(d.file, root.Line, "a kustomization is a mapping (resources:, images:, ...); this is not one")
	}
	_, values, err := d.mapping(root, "images")
	if err != nil {
		return nil, err
	}
	images := values["images"]
	if images == nil || images.Tag == "!!null" {
		return nil, nil
	}
	if list := resolve(images); list.Kind != yaml.SequenceNode {
		return nil, refuse(d.file, images.Line, "images: must be a list of {name, newName, newTag, digest}")
	}
	return images, nil
}

// mapping indexes a mapping's keys and values. A key that stands there twice is
// refused (only those named, or every key when none is): parsers disagree on
// which one counts.
func (d *document) mapping(n *yaml.Node, only ...string) (keys, values map[string]*yaml.Node, err error) {
	keys, values = map[string]*yaml.Node{}, map[string]*yaml.Node{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := n.Content[i]
		if len(only) > 0 && key.Value != only[0] {
			continue
		}
		if first := keys[key.Value]; first != nil {
			return nil, nil, refuse(d.file, key.Line, "key %q stands here a second time (first on line %d); remove one", key.Value, first.Line)
		}
		keys[key.Value], values[key.Value] = key, n.Content[i+1]
	}
	return keys, values, nil
}

func (d *document) entries() ([]located, error) {
	images, err := d.images()
	if images == nil || err != nil {
		return nil, err
	}
	var found []located
	for _, n := range resolve(images).Content {
		e, err := d.entry(n)
		if err != nil {
			return nil, err
		}
		found = append(found, e)
	}
	return found, nil
}

func (d *document) entry(n *yaml.Node) (located, error) {
	e := located{Entry: Entry{Line: n.Line}, node: n}
	m := resolve(n)
	if m.Kind != yaml.MappingNode {
		return e, refuse(d.file, n.Line, "an element of images: must be a mapping with name, newName, newTag or digest")
	}
	var err error
	if e.keys, e.fields, err = d.mapping(m); err != nil {
		return e, err
	}
	if merge := e.keys["<<"]; merge != nil {
		return e, refuse(d.file, merge.Line, "this element of images: merges another mapping (<<); write its keys out")
	}
	for key, into := range map[string]*string{"name": &e.Name, "newName": &e.NewName, "newTag": &e.NewTag, "digest": &e.Digest} {
		value := e.fields[key]
		if value == nil {
			continue
		}
		scalar := resolve(value)
		if scalar.Kind != yaml.ScalarNode {
			return e, refuse(d.file, value.Line, "%s of an image must be a string", key)
		}
		if scalar.Tag != "!!null" {
			*into = scalar.Value
		}
	}
	return e, nil
}

// find is the one entry for an image. What runs (newName, else name) is looked
// at first, then what the base names.
func (d *document) find(imageName string) (located, error) {
	entries, err := d.entries()
	if err != nil {
		return located{}, err
	}
	for _, matches := range []func(located) bool{
		func(e located) bool { return e.Image() == imageName },
		func(e located) bool { return e.Name == imageName },
	} {
		var found []located
		for _, e := range entries {
			if matches(e) {
				found = append(found, e)
			}
		}
		if len(found) > 1 {
			return located{}, refuse(d.file, found[1].Line, "image %s is listed twice (first on line %d); keep one entry", imageName, found[0].Line)
		}
		if len(found) == 1 {
			return found[0], nil
		}
	}
	return located{}, fault.Errorf(fault.NotFound,
		"%s: images: has no entry for %s; add one with name and newTag, then try again", d.file, imageName)
}

// resolve follows an alias to what it stands for.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode && n.Alias != nil {
		return n.Alias
	}
	return n
}
