package cluster

import (
	"context"
	"fmt"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/fault"
)

// Consequences says what would go together with objects that a person is asked about: a
// sentence for each that takes others with it, beside what the target itself has there.
// A definition takes every object of its kind, in every namespace and whoever's it is; a
// namespace takes all that lies in it. It makes a request for each kind that it counts.
func (c *Cluster) Consequences(ctx context.Context, t Target, asked []Entry) (sentences []string, err error) {
	defer fault.Wrap(&err, "look at what goes with objects of cluster %s", c.name)
	for _, e := range asked {
		var said string
		switch e.Kind {
		case "CustomResourceDefinition":
			said, err = c.ofDefinition(ctx, e)
		case "Namespace":
			said, err = c.inNamespace(ctx, t, e)
		}
		if err != nil {
			return nil, err
		}
		if said != "" {
			sentences = append(sentences, said)
		}
	}
	return sentences, nil
}

var definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func (c *Cluster) ofDefinition(ctx context.Context, e Entry) (string, error) {
	definition, err := c.dynamic.Resource(definitions).Get(ctx, e.Name, metav1.GetOptions{})
	if notThere(err) {
		return "", nil
	}
	if err != nil {
		return "", c.classify(err, action{verb: "read the definition " + e.Name})
	}
	spec, _ := definition.Object["spec"].(map[string]any)
	names, _ := spec["names"].(map[string]any)
	gk := schema.GroupKind{Group: fmt.Sprint(spec["group"]), Kind: fmt.Sprint(names["kind"])}
	mapping, err := c.mappingOf(gk, "")
	if meta.IsNoMatchError(err) {
		return "", nil
	}
	if err != nil {
		return "", c.classify(err, action{"list the kinds", nil})
	}
	list, err := c.metadata.Resource(mapping.Resource).List(ctx, metav1.ListOptions{Limit: 1})
	if err != nil {
		return "", c.classify(err, action{verb: "count the objects of kind " + gk.Kind})
	}
	n := len(list.Items)
	if more := list.GetRemainingItemCount(); more != nil {
		n += int(*more)
	}
	if n == 0 {
		return "", nil
	}
	return fmt.Sprintf("With %s %s %s of the kind %s, in all namespaces.", e.ID, goes(n), count(n), gk.Kind), nil
}

// inNamespace names what else lies in a namespace. What it may not list it cannot tell.
func (c *Cluster) inNamespace(ctx context.Context, t Target, e Entry) (string, error) {
	mappings, _, err := c.listable()
	if err != nil {
		return "", err
	}
	total := 0
	var kinds []string
	for _, m := range mappings {
		if m.Scope.Name() != meta.RESTScopeNameNamespace {
			continue
		}
		list, err := c.metadata.Resource(m.Resource).Namespace(e.Name).List(ctx, metav1.ListOptions{LabelSelector: TargetLabel + "!=" + t.Label()})
		if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
			continue
		}
		if err != nil {
			return "", c.classify(err, action{verb: "list " + m.Resource.Resource})
		}
		n := 0
		for i := range list.Items {
			if !comesByItself(m.GroupVersionKind.Kind, &list.Items[i]) {
				n++
			}
		}
		if n > 0 {
			total += n
			kinds = append(kinds, fmt.Sprintf("%d of the kind %s", n, m.GroupVersionKind.Kind))
		}
	}
	if total == 0 {
		return "", nil
	}
	return fmt.Sprintf("With %s %s %s that this target has not brought: %s.", e.ID, goes(total), count(total), strings.Join(kinds, ", ")), nil
}

func goes(n int) string {
	if n == 1 {
		return "goes"
	}
	return "go"
}

// comesByItself reports whether the cluster makes an object of others, or puts it into
// every namespace.
func comesByItself(kind string, o Metadata) bool {
	switch {
	case metav1.GetControllerOf(o) != nil, kind == "Endpoints", kind == "Lease":
		return true
	case kind == "ServiceAccount":
		return o.Name == "default"
	}
	return kind == "ConfigMap" && o.Name == "kube-root-ca.crt"
}
