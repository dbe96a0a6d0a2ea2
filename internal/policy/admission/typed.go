package admission

import (
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/scheme"
)

// typed is an object as an API server hands it to policies: of its type, where it is
// Kubernetes' own, which drops what the type does not know, writes amounts in one way,
// and leaves out what is false or empty; with the defaults of its fields. What does not
// fit its type, which an API server would refuse, stays as it is.
func typed(o *unstructured.Unstructured) (as runtime.Object) {
	if o == nil {
		return nil
	}
	defer func() {
		if recover() != nil { // the converter knows its types, not what anybody may write
			as = o
		}
	}()
	object, err := scheme.Scheme.New(o.GroupVersionKind())
	if err != nil {
		return o
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(o.Object, object); err != nil {
		return o
	}
	setDefaults(object)
	object.GetObjectKind().SetGroupVersionKind(o.GroupVersionKind())
	return object
}
