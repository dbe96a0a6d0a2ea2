package policy

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// Object is one rendered object of any kind.
type Object = *unstructured.Unstructured

// ID names one object.
type ID struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace,omitempty"`
	Name       string `json:"name"`
}

// String is how people read it: "Deployment payments/api".
func (id ID) String() string {
	if id.Namespace == "" {
		return id.Kind + " " + id.Name
	}
	return id.Kind + " " + id.Namespace + "/" + id.Name
}

func identify(o Object) ID {
	return ID{text(o.Object, "apiVersion"), text(o.Object, "kind"), text(o.Object, "metadata", "namespace"), text(o.Object, "metadata", "name")}
}

// key is what makes two objects the same one: another version of an API serves the
// same object.
type key struct{ group, kind, namespace, name string }

func (id ID) key() key { return key{groupOf(id.APIVersion), id.Kind, id.Namespace, id.Name} }

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

// Parse reads the objects of a rendered YAML stream as Kubernetes does. Lists are
// taken apart.
func Parse(manifests []byte) ([]Object, error) {
	var objects []Object
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(manifests)))
	for n := 1; ; n++ {
		document, err := reader.Read()
		if errors.Is(err, io.EOF) {
			return objects, nil
		}
		if err == nil {
			objects, err = parse(objects, document)
		}
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "document %d of what was rendered cannot be judged: %w", n, err)
		}
	}
}

func parse(objects []Object, document []byte) ([]Object, error) {
	data, err := yaml.YAMLToJSON(document)
	if err != nil {
		return nil, err
	}
	if s := string(data); s == "null" || s == "{}" {
		return objects, nil
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(data); err != nil {
		return nil, err
	}
	if !o.IsList() {
		return append(objects, o), nil
	}
	list, err := o.ToList()
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		objects = append(objects, &list.Items[i])
	}
	return objects, nil
}

// Path is where in an object something stands.
type Path []Step

// Step is one key of a mapping, or one element of a list.
type Step struct {
	Key   string // "" for an element
	Index int
	Name  string // of the element, where it has one: what finds it in other files too
}

// fields is a path of keys.
func fields(keys ...string) Path {
	var p Path
	for _, k := range keys {
		p = append(p, Step{Key: k})
	}
	return p
}

// with is p and more keys.
func (p Path) with(keys ...string) Path { return append(p[:len(p):len(p)], fields(keys...)...) }

// element is p and an element of the list there.
func (p Path) element(i int, name string) Path {
	return append(p[:len(p):len(p)], Step{Index: i, Name: name})
}

// String is the path as people read it: spec.containers[name=web].image.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		switch {
		case s.Key == "" && s.Name != "":
			b.WriteString("[name=" + s.Name + "]")
		case s.Key == "":
			b.WriteString("[" + strconv.Itoa(s.Index) + "]")
		case strings.ContainsAny(s.Key, "./[]\"= "):
			b.WriteString("[" + strconv.Quote(s.Key) + "]")
		default:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(s.Key)
		}
	}
	return b.String()
}

// of is what stands at the path; nil where there is nothing.
func (p Path) of(v any) any {
	for _, s := range p {
		if s.Key != "" {
			v = at(v, s.Key)
			continue
		}
		l, ok := v.([]any)
		if !ok || s.Index >= len(l) {
			return nil
		}
		v = l[s.Index]
	}
	return v
}

// MarshalJSON writes the path as people read it.
func (p Path) MarshalJSON() ([]byte, error) { return json.Marshal(p.String()) }

// The rest reads values of objects that anybody may have written: what has another
// type than it should is as good as absent.

// at is the value below keys; nil where there is none.
func at(v any, keys ...string) any {
	for _, k := range keys {
		m, ok := v.(map[string]any)
		if !ok {
			return nil
		}
		v = m[k]
	}
	return v
}

func text(v any, keys ...string) string {
	s, _ := at(v, keys...).(string)
	return s
}

func list(v any, keys ...string) []any {
	l, _ := at(v, keys...).([]any)
	return l
}

func mapping(v any, keys ...string) map[string]any {
	m, _ := at(v, keys...).(map[string]any)
	return m
}

func isTrue(v any, keys ...string) bool {
	b, _ := at(v, keys...).(bool)
	return b
}

// scalar is a text or a number as text.
func scalar(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case int64, float64:
		return fmt.Sprint(v)
	}
	return ""
}
