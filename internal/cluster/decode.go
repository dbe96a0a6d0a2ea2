package cluster

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// Object is one Kubernetes object of any kind.
type Object = *unstructured.Unstructured

// name is how messages call an object: "Deployment payments/api".
func name(o Object) string { return idOf(o).String() }

// Decode reads the objects of rendered YAML in their order; lists are taken
// apart, and what only the API server sets is left out. It refuses an empty result, because a render that lost everything looks
// just like that, and an object without kind or name, or there twice.
func Decode(rendered []byte) (objects []Object, err error) {
	defer fault.Wrap(&err, "read rendered objects")
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(rendered)))
	for n := 1; ; n++ {
		doc, err := reader.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.E(fault.Invalid, fmt.Sprintf("Document %d of the rendered YAML cannot be read: %v.", n, err), err)
		}
		more, err := decodeDocument(doc)
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "document %d of the rendered YAML: %w", n, err)
		}
		objects = append(objects, more...)
	}
	if len(objects) == 0 {
		return nil, fault.E(fault.Invalid, "The overlay renders to no objects at all. Nothing was applied; check its kustomization.", errors.New("the rendered YAML has no objects"))
	}
	return objects, refuseDuplicates(objects)
}

func decodeDocument(doc []byte) ([]Object, error) {
	json, err := yaml.YAMLToJSONStrict(doc)
	if err != nil {
		return nil, err
	}
	if string(json) == "null" || string(json) == "{}" {
		return nil, nil // nothing but comments
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(json); err != nil {
		if runtime.IsMissingKind(err) {
			return nil, errors.New("not a Kubernetes object: it has no kind") // err would quote all of it
		}
		return nil, fmt.Errorf("not a Kubernetes object: %w", err)
	}
	if !o.IsList() {
		return []Object{o}, named(o)
	}
	list, err := o.ToList()
	if err != nil {
		return nil, err
	}
	var items []Object
	for i := range list.Items {
		item := &list.Items[i]
		if err := named(item); err != nil {
			return nil, fmt.Errorf("item %d: %w", i+1, err)
		}
		items = append(items, item)
	}
	return items, nil
}

func named(o Object) error {
	if o.GetAPIVersion() == "" || o.GetKind() == "" {
		return fmt.Errorf("object %q has no apiVersion or no kind", o.GetName())
	}
	for _, field := range []string{"name", "namespace"} {
		if _, _, err := unstructured.NestedString(o.Object, "metadata", field); err != nil {
			return fmt.Errorf("the metadata.%s of a %s is not text (YAML reads n, y, on, off and numbers as something else): quote it", field, o.GetKind())
		}
	}
	if o.GetName() == "" {
		return fmt.Errorf("%s has no metadata.name", o.GetKind())
	}
	for _, field := range []string{"labels", "annotations"} {
		if err := texts(o, field); err != nil {
			return err
		}
	}
	ungiven(o)
	return decodable(o)
}

// given are the metadata that only the API server sets. Who exports an object and commits
// it has them in Git, where they are never meant: they are refused there, or read as
// conditions of a write, in the place of ours.
var given = []string{"uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "managedFields"}

// ungiven takes what only the API server sets out of a rendered object.
func ungiven(o Object) {
	m, _ := o.Object["metadata"].(map[string]any)
	for _, field := range given {
		// Many generators print creationTimestamp: null, which means nothing; so the hash
		// of what they print stays what it was.
		if value, there := m[field]; there && (value != nil || field != "creationTimestamp") {
			delete(m, field)
		}
	}
}

// texts checks that the labels, or the annotations, of an object are texts. Of others
// unstructured.Unstructured says that there are none at all, and our marks would take
// the place of all of them: of the one that keeps an object, too.
func texts(o Object, field string) error {
	if _, _, err := unstructured.NestedNullCoercingStringMap(o.Object, "metadata", field); err == nil {
		return nil
	}
	all, _, _ := unstructured.NestedMap(o.Object, "metadata", field)
	for _, key := range slices.Sorted(maps.Keys(all)) {
		if _, text := all[key].(string); !text && all[key] != nil {
			return fmt.Errorf("the metadata.%s.%s of %s is not text (YAML reads n, y, on, off and numbers as something else): quote it", field, key, name(o))
		}
	}
	return fmt.Errorf("the metadata.%s of %s are not a map of texts", field, name(o))
}

// decodable checks what the API server answers with an internal error, which
// would be tried again for ever: data of a Secret that is not base64. What SOPS has
// encrypted is base64 when it is decrypted, and checked then.
func decodable(o Object) error {
	if o.GetKind() != "Secret" || o.GroupVersionKind().Group != "" || o.Object["sops"] != nil {
		return nil
	}
	data, _, err := unstructured.NestedStringMap(o.Object, "data")
	if err != nil {
		return fmt.Errorf("the data of %s is not a map of text", name(o)) // err would quote it
	}
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if _, err := base64.StdEncoding.DecodeString(data[key]); err != nil {
			return fmt.Errorf("data.%s of %s is not base64; plain text belongs into stringData", key, name(o))
		}
	}
	return encode(o, data)
}

// CheckDecrypted does for objects that were decrypted what Decode could not while they
// were not.
func CheckDecrypted(objects []Object) error {
	for _, o := range objects {
		if err := decodable(o); err != nil {
			return fault.Errorf(fault.Invalid, "what was decrypted: %w", err)
		}
	}
	return nil
}

// encode writes a Secret's stringData as data, as the API server does when it stores
// it. Left to the API server, an apply would own stringData, where nobody else ever
// writes: a change of the stored data, or a key that has left Git, would not be noticed.
func encode(o Object, data map[string]string) error {
	if o.Object["stringData"] == nil {
		delete(o.Object, "stringData")
		return nil
	}
	plain, _, err := unstructured.NestedStringMap(o.Object, "stringData")
	if err != nil {
		return fmt.Errorf("the stringData of %s is not a map of text (YAML reads n, y, on, off and numbers as something else): quote its values", name(o))
	}
	all := map[string]any{}
	for key, value := range data {
		all[key] = value
	}
	for key, value := range plain {
		all[key] = base64.StdEncoding.EncodeToString([]byte(value))
	}
	o.Object["data"] = all
	delete(o.Object, "stringData")
	return nil
}

func refuseDuplicates(objects []Object) error {
	seen := map[ID]bool{}
	for _, o := range objects {
		id := idOf(o)
		if seen[id] {
			return fault.Errorf(fault.Invalid, "%s is there twice in what the overlay renders to", name(o))
		}
		seen[id] = true
	}
	return nil
}
