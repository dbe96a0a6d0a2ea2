package manifest

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// ID names one object. Name is metadata.name, or metadata.generateName where
// the object has no name.
type ID struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// builtin are the API groups whose kinds everybody knows without the group.
var builtin = []string{"", "apps", "batch", "autoscaling", "policy", "networking.k8s.io", "rbac.authorization.k8s.io", "apiextensions.k8s.io"}

// String is how people read it: "Deployment payments/api", namespace first, and
// "Certificate.cert-manager.io payments/tls" for a kind that is not Kubernetes' own.
func (id ID) String() string {
	kind, name := id.Kind, id.Name
	if group := id.group(); !slices.Contains(builtin, group) {
		kind += "." + group
	}
	if id.Namespace != "" {
		name = id.Namespace + "/" + name
	}
	return visible(kind + " " + name)
}

func (id ID) group() string {
	group, _, ok := strings.Cut(id.APIVersion, "/")
	if !ok {
		return ""
	}
	return group
}

// key is what makes two objects the same one: an API's other version serves the
// same object.
type key struct{ group, kind, namespace, name string }

func (id ID) key() key { return key{id.group(), id.Kind, id.Namespace, id.Name} }

// Object is one rendered object.
type Object struct {
	ID
	Document int // where it stands in the stream, from 1; a List's objects share one

	root *node // nil where Compare had no need to look
	same bool  // the other side has it byte for byte
}

// Images lists the image references of the object's containers, sorted, each once.
func (o Object) Images() []string {
	var images []string
	o.containers(func(_, image string) { images = append(images, image) })
	slices.Sort(images)
	return slices.Compact(images)
}

var podLists = []string{"containers", "initContainers", "ephemeralContainers"}

// containers visits every container that runs an image, at any depth.
func (o Object) containers(visit func(name, image string)) { eachContainer(o.root, visit) }

func eachContainer(n *node, visit func(name, image string)) {
	if n == nil {
		return
	}
	for i, child := range n.items {
		if n.kind == mapKind && child.kind == listKind && slices.Contains(podLists, n.keys[i]) {
			for _, container := range child.items {
				if image := container.field("image"); image != nil && image.text != "" {
					visit(container.str("name"), image.text)
				}
			}
		}
		eachContainer(child, visit)
	}
}

// Images lists the image references of all objects, sorted, each once.
func Images(objects []Object) []string {
	var images []string
	for _, o := range objects {
		images = append(images, o.Images()...)
	}
	slices.Sort(images)
	return slices.Compact(images)
}

// Parse reads a rendered YAML stream. Lists are unpacked, empty documents left
// out. A document that is no object, a key that stands twice, and an object that
// stands twice are refused as fault.Invalid, naming the document, counted from 1.
func Parse(manifests []byte) ([]Object, error) {
	var objects []Object
	for _, d := range split(manifests) {
		found, err := d.objects()
		if err != nil {
			return nil, err
		}
		objects = append(objects, found...)
	}
	if _, err := index(objects); err != nil {
		return nil, err
	}
	return objects, nil
}

// index finds objects by their key.
func index(objects []Object) (map[key]int, error) {
	at := make(map[key]int, len(objects))
	for i, o := range objects {
		if first, twice := at[o.key()]; twice {
			return nil, fault.Errorf(fault.Invalid, "%s is rendered twice, in document %d and in document %d; give one of them another name or namespace",
				o.ID, objects[first].Document, o.Document)
		}
		at[o.key()] = i
	}
	return at, nil
}

// objects parses the document. A panic of the parser is an error like any other.
func (d document) objects() (objects []Object, err error) {
	number := d.number
	defer func() {
		if r := recover(); r != nil {
			objects, err = nil, fault.Errorf(fault.Invalid, "document %d: the YAML parser gave up", number)
		}
	}()
	for dec := yaml.NewDecoder(bytes.NewReader(d.text)); ; number++ {
		var parsed yaml.Node
		switch err := dec.Decode(&parsed); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fault.Errorf(fault.Invalid, "document %d is not valid YAML: %w", number, err)
		}
		root, err := convert(&parsed)
		if err == nil {
			objects, err = unpack(objects, root, number, 0)
		}
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "document %d: %w", number, err)
		}
	}
}

// unpack appends what root holds: one object, or those of a List.
func unpack(objects []Object, root *node, number, depth int) ([]Object, error) {
	switch {
	case root.kind == nullKind:
		return objects, nil
	case root.kind != mapKind:
		return nil, errors.New("it is no object but a " + root.kind.String())
	}
	items := root.field("items")
	if kind := root.str("kind"); strings.HasSuffix(kind, "List") && items != nil && items.kind == listKind && root.field("metadata").str("name") == "" {
		if depth > 4 {
			return nil, errors.New("lists are nested more than four deep")
		}
		for _, item := range items.items {
			var err error
			if objects, err = unpack(objects, item.typed(root.str("apiVersion"), strings.TrimSuffix(kind, "List")), number, depth+1); err != nil {
				return nil, err
			}
		}
		return objects, nil
	}
	meta := root.field("metadata")
	id := ID{APIVersion: root.str("apiVersion"), Kind: root.str("kind"), Namespace: meta.str("namespace"), Name: meta.str("name")}
	if id.Name == "" {
		id.Name = meta.str("generateName")
	}
	for _, must := range []struct{ field, value string }{{"apiVersion", id.APIVersion}, {"kind", id.Kind}, {"metadata.name", id.Name}} {
		if must.value == "" {
			return nil, errors.New("it is no Kubernetes object: " + must.field + " is missing or is no text")
		}
	}
	return append(objects, Object{ID: id, Document: number, root: root}), nil
}

// typed gives an element of a typed list (a ConfigMapList, say) the type that the
// list says for it. What names its own type keeps it.
func (n *node) typed(apiVersion, kind string) *node {
	if n.kind != mapKind || kind == "" || n.field("kind") != nil || n.field("apiVersion") != nil {
		return n
	}
	t := &node{kind: mapKind, keys: slices.Clone(n.keys), items: slices.Clone(n.items)}
	t.set("apiVersion", &node{kind: textKind, text: apiVersion})
	t.set("kind", &node{kind: textKind, text: kind})
	return t
}
