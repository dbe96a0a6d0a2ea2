package cluster_test

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// countedBy waits until a quota has counted what it bounds.
func (s *site) countedBy(quota, what, bound string) {
	s.t.Helper()
	quotas := schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	eventually(s.t, "the quota to be counted", func(context.Context) bool {
		hard, _, _ := unstructured.NestedString(s.get(quotas, quota).Object, "status", "hard", what)
		_, counted, _ := unstructured.NestedString(s.get(quotas, quota).Object, "status", "used", what)
		return counted && hard == bound
	})
}

// admits waits until one more Service may come: what a quota has counted the API server's
// admission hears of a moment later, and refuses everything until then.
func (s *site) admits() {
	s.t.Helper()
	probe := decode(s.t, "apiVersion: v1\nkind: Service\nmetadata: {name: probe}\nspec: {ports: [{port: 80}]}\n")[0]
	eventually(s.t, "the API server to know the quota's count", func(ctx context.Context) bool {
		_, err := s.others.Resource(services).Namespace(s.namespace).Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil
	})
}
