package worker

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/cluster"
)

// Where Tagboat may look into some namespaces alone, what a target has is looked for
// where it is rendered to, and where it was.
func TestWhereATargetMayHaveObjects(t *testing.T) {
	objects, err := cluster.Decode([]byte(`
{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: shop}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: b, namespace: shop}}
---
{apiVersion: v1, kind: Namespace, metadata: {name: shop}}
`))
	if err != nil {
		t.Fatal(err)
	}
	known := []cluster.Entry{{ID: cluster.ID{Kind: "ConfigMap", Namespace: "former", Name: "a"}}, {ID: cluster.ID{Kind: "Namespace", Name: "former"}}}
	if diff := cmp.Diff([]string{"former", "shop"}, namespacesOf(objects, known)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := namespacesOf(objects[2:], nil); len(got) != 0 {
		t.Errorf("without objects in a namespace: %v", got)
	}
}
