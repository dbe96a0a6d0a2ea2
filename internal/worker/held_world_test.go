package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	namespaces  = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	definitions = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// pushes has somebody push payments' objects beside its Deployment.
func (h *harbour) pushes(title string, objects ...string) {
	h.Helper()
	_, err := h.sim.As("alice").Push(h.repo, "main", title, map[string]string{
		paymentsProd: "resources: [payments.yaml, more.yaml]\nimages:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n",
		"apps/payments/overlays/prod/payments.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments, namespace: " + h.namespace + "}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: payments}}\n  template:\n    metadata: {labels: {app: payments}}\n    spec: {containers: [{name: web, image: payments}]}\n",
		"apps/payments/overlays/prod/more.yaml":     strings.Join(objects, "\n---\n"),
		// What cannot be rendered may have what is not in payments any more.
		"apps/shop/overlays/prod/kustomization.yaml": "resources: [shop.yaml]\nimages:\n  - {name: shop, newName: registry.example.com/shop, newTag: 1.0.0}\n",
		"apps/shop/overlays/prod/shop.yaml":          setting(h.namespace, "shop", "open"),
	})
	must(h.T, err)
}

func setting(namespace, name, mode string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {mode: %s}\n", name, namespace, mode)
}

// mode is what a ConfigMap in the cluster says, "" where there is none.
func (h *harbour) mode(namespace, name string) string {
	h.Helper()
	o, err := h.live.Resource(configMaps).Namespace(namespace).Get(h.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return ""
	}
	must(h.T, err)
	mode, _, _ := unstructured.NestedString(o.Object, "data", "mode")
	return mode
}

// by makes an object as a person with kubectl.
func (h *harbour) by(resource schema.GroupVersionResource, text string) {
	h.Helper()
	o := &unstructured.Unstructured{}
	must(h.T, yaml.Unmarshal([]byte(text), &o.Object))
	_, err := h.live.Resource(resource).Create(h.Context(), o, metav1.CreateOptions{})
	must(h.T, err)
}

// fleet is an API group beside the API server's own, of payments' boats.
type fleet struct {
	*harbour
	group string
	boats schema.GroupVersionResource
}

func (h *harbour) fleet() *fleet {
	h.Helper()
	f := &fleet{harbour: h, group: "fleet-" + h.namespace + ".example.com"}
	f.boats = schema.GroupVersionResource{Group: f.group, Version: "v1", Resource: "boats"}
	h.by(definitions, fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`, f.group))
	f.answers(true)
	return f
}

func (f *fleet) boat(name string) string {
	return fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: %s, namespace: %s}\n", f.group, name, f.namespace)
}

func (f *fleet) has(name string) bool {
	f.Helper()
	_, err := f.live.Resource(f.boats).Namespace(f.namespace).Get(f.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return false
	}
	must(f.T, err)
	return true
}

// answers waits until the API server says that the group is there, or is not.
func (f *fleet) answers(is bool) {
	f.Helper()
	target := cluster.Target{Key: "anybody"}
	f.until(fmt.Sprintf("the API group answers: %t", is), func() bool {
		found, err := f.worker.Clusters["prod"].Rebuild(f.Context(), target, nil)
		must(f.T, err)
		_, err = f.live.Resource(f.boats).List(f.Context(), metav1.ListOptions{})
		return err == nil == is && strings.Contains(strings.Join(found.Unseen, " "), f.group) != is
	})
}

// goes has the API server ask a service for the group that is not there.
func (f *fleet) goes() {
	f.Helper()
	f.Cleanup(f.serve)
	patch := fmt.Sprintf(`{"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}}, "spec": {"insecureSkipTLSVerify": true, "service": {"name": "nobody", "namespace": %q}}}`, f.namespace)
	_, err := f.live.Resource(apiServices).Patch(f.Context(), "v1."+f.group, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
	must(f.T, err)
	f.answers(false)
}

func (f *fleet) comesBack() {
	f.Helper()
	f.serve()
	f.answers(true)
}

// serve has the API server make the group's APIService anew, by which it serves it itself.
func (f *fleet) serve() {
	f.Helper()
	must(f.T, f.live.Resource(apiServices).Delete(context.WithoutCancel(f.Context()), "v1."+f.group, metav1.DeleteOptions{}))
}

// held wants an attempt to end with a target that is not healthy, that is tried again and
// that no rollback takes for ill, with words for people.
func (h *harbour) held(words ...string) {
	h.Helper()
	is, err := h.attempt()
	if !errors.Is(err, cluster.ErrHeldUp) || is.State != store.TargetFailed || is.Ill {
		h.Errorf("it is %s (ill: %t), and the attempt ended with %v", is.State, is.Ill, err)
	}
	for _, w := range words {
		if !strings.Contains(is.Message, w) {
			h.Errorf("it does not say %q: %s", w, is.Message)
		}
	}
}

// metrics.k8s.io and its like are away now and then. A target is brought what does not
// hang on that, and says what it waits for; when the API is back, it gets it by itself.
func TestATargetWaitsForAnAPIThatIsAway(t *testing.T) {
	h := newHarbour(t)
	f := h.fleet()
	h.pushes("one boat", f.boat("dinghy"), setting(h.namespace, "a", "slow"))
	h.brings()
	f.goes()
	h.pass(2 * lookAgain)
	h.held("Not healthy: Boat "+h.namespace+"/dinghy.", "the API group "+f.group+"/v1", "APIService v1."+f.group, "An administrator of the cluster")
	if notes := h.target("prod").Notes; len(notes) > 0 {
		t.Errorf("it notes %q", notes)
	}

	h.pushes("two boats", f.boat("dinghy"), f.boat("canoe"), setting(h.namespace, "a", "fast"))
	h.held("Not applied: Boat "+h.namespace+"/canoe, Boat "+h.namespace+"/dinghy.", "APIService v1."+f.group, "Everything else is applied.")
	if mode := h.mode(h.namespace, "a"); mode != "fast" {
		t.Errorf("a is %q", mode)
	}
	h.held("Not applied: ")

	f.comesBack()
	h.brings()
	if !f.has("dinghy") || !f.has("canoe") {
		t.Errorf("the dinghy is there: %t, the canoe: %t", f.has("dinghy"), f.has("canoe"))
	}
}

// A target that has nothing of the API in Git is healthy without it. What it has of it in
// the cluster is not forgotten, and nothing is deleted until somebody can look.
func TestNothingIsDeletedWhileAnAPIIsAway(t *testing.T) {
	h := newHarbour(t)
	f := h.fleet()
	h.pushes("a boat", f.boat("dinghy"), setting(h.namespace, "a", "slow"), setting(h.namespace, "old", "slow"))
	h.brings()
	f.goes()
	h.pushes("none", setting(h.namespace, "a", "fast"))
	for range 2 {
		is := h.brings()
		if notes := strings.Join(is.Notes, "\n"); !strings.Contains(notes, "What is not in Git any more stays for now") || !strings.Contains(notes, "APIService v1."+f.group) {
			t.Errorf("it notes %q", is.Notes)
		}
		h.pass(2 * lookAgain)
	}
	if a, old := h.mode(h.namespace, "a"), h.mode(h.namespace, "old"); a != "fast" || old != "slow" {
		t.Errorf("a is %q, and old %q", a, old)
	}
	h.pushes("the old one", setting(h.namespace, "a", "fast"), setting(h.namespace, "old", "fast")) // nothing hangs on a boat

	f.comesBack()
	if !f.has("dinghy") {
		t.Error("the dinghy has gone")
	}
	if is := h.brings(); len(is.Notes) > 0 || f.has("dinghy") || h.mode(h.namespace, "old") != "fast" {
		t.Errorf("at last it notes %q; the dinghy is there: %t; old is %q", is.Notes, f.has("dinghy"), h.mode(h.namespace, "old"))
	}
}

// Who has nothing of the API at all does not notice, and deletes what is not in Git.
func TestAnAPIThatIsAwayIsNothingToOthers(t *testing.T) {
	h := newHarbour(t)
	h.pushes("two settings", setting(h.namespace, "a", "slow"), setting(h.namespace, "old", "slow"))
	h.brings()
	h.fleet().goes()
	h.pass(2 * lookAgain)
	h.brings()
	h.pushes("one setting", setting(h.namespace, "a", "fast"))
	if is := h.brings(); len(is.Notes) > 0 || h.mode(h.namespace, "a") != "fast" || h.mode(h.namespace, "old") != "" {
		t.Errorf("it notes %q; a is %q, and old %q", is.Notes, h.mode(h.namespace, "a"), h.mode(h.namespace, "old"))
	}
}

// Of a target in two namespaces one is being deleted, and hangs. The other one gets what
// is in Git; when the one has gone, it is made anew with all that was in it.
func TestATargetWaitsForANamespaceThatIsBeingDeleted(t *testing.T) {
	h := newHarbour(t)
	annex := "annex-" + h.namespace
	space := "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + annex + "}\n"
	h.by(namespaces, strings.Replace(space, "{name", "{finalizers: [example.com/hold], name", 1))
	letGo := func(ctx context.Context) error {
		_, err := h.live.Resource(namespaces).Patch(ctx, annex, types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
		return err
	}
	t.Cleanup(func() { _ = letGo(context.Background()) })
	h.pushes("two namespaces", space, setting(annex, "in", "slow"), setting(h.namespace, "out", "slow"))
	h.brings()
	must(t, h.live.Resource(namespaces).Delete(t.Context(), annex, metav1.DeleteOptions{}))
	h.until("it is empty", func() bool { return h.mode(annex, "in") == "" })
	h.pass(2 * lookAgain)
	h.held("Not healthy: Namespace "+annex+", ConfigMap "+annex+"/in.", "is deleting the namespace "+annex, "Everything else is healthy.")

	h.pushes("faster", space, setting(annex, "in", "fast"), setting(h.namespace, "out", "fast"))
	for range 2 {
		h.held("Namespace "+annex, "ConfigMap "+annex+"/in", "is deleting the namespace "+annex+" since 20", "its finalizers example.com/hold", "Everything else is applied.")
		if out := h.mode(h.namespace, "out"); out != "fast" {
			t.Errorf("outside it is %q", out)
		}
	}
	must(t, letGo(t.Context()))
	h.until("it is gone", func() bool {
		_, err := h.live.Resource(namespaces).Get(t.Context(), annex, metav1.GetOptions{})
		return apierrors.IsNotFound(err)
	})
	h.brings()
	if in := h.mode(annex, "in"); in != "fast" {
		t.Errorf("in the new one it is %q", in)
	}
}
