package worker

import (
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/store"
)

// makes has a person make an object with kubectl apply, before Tagboat comes to it.
func (h *harbour) makes(resource schema.GroupVersionResource, o map[string]any) *unstructured.Unstructured {
	h.Helper()
	made, err := h.live.Resource(resource).Namespace(h.namespace).Create(h.Context(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"})
	must(h.T, err)
	return made
}

func (h *harbour) version(resource schema.GroupVersionResource, name string) string {
	h.Helper()
	o, err := h.live.Resource(resource).Namespace(h.namespace).Get(h.Context(), name, metav1.GetOptions{})
	must(h.T, err)
	return o.GetResourceVersion()
}

// withSettings has somebody push an overlay that has a ConfigMap besides.
func (h *harbour) withSettings(mode string) {
	h.Helper()
	_, err := h.sim.As("alice").Push(h.repo, "main", "settings "+mode, map[string]string{
		paymentsProd: "namespace: " + h.namespace + "\nresources: [payments.yaml, settings.yaml]\nimages:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n",
		"apps/payments/overlays/prod/settings.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: " + mode + "}\n",
	})
	must(h.T, err)
}

func settingsByHand(mode string) map[string]any {
	return map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "settings"}, "data": map[string]any{"mode": mode}}
}

// A namespace that people have worked in comes to Tagboat. It is told what would become of
// what is there, and nothing is written before somebody who may has said yes to exactly
// these objects; a newer commit does not ask again.
func TestALiveNamespaceIsTakenOverAfterAYes(t *testing.T) {
	h := newHarbour(t)
	labels := map[string]any{"app": "payments"}
	h.makes(deployments, map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": "payments"}, "spec": map[string]any{
		"replicas": int64(0), "selector": map[string]any{"matchLabels": labels},
		"template": map[string]any{"metadata": map[string]any{"labels": labels}, "spec": map[string]any{"containers": []any{map[string]any{"name": "web", "image": "payments:by-hand"}}}},
	}})
	h.until("the Deployment has settled", func() bool {
		d, err := h.live.Resource(deployments).Namespace(h.namespace).Get(h.Context(), "payments", metav1.GetOptions{})
		must(t, err)
		seen, _, _ := unstructured.NestedInt64(d.Object, "status", "observedGeneration")
		return seen == d.GetGeneration()
	})
	before := h.version(deployments, "payments")

	is, err := h.attempt()
	must(t, err)
	code := is.AdoptionCode
	if is.State == store.TargetHealthy || is.State == store.TargetFailed || code == "" || !strings.Contains(is.Held, "waits for /adopt prod payments "+code) || len(is.Notes) != 1 || is.RenderedHash != "" {
		t.Fatalf("it is %s (%s), waits for %q, and says %q", is.State, is.Message, is.Held, is.Notes)
	}
	for _, part := range []string{"/adopt prod payments " + code, "Deployment " + h.namespace + "/payments (", "spec.replicas is 0 and becomes 1", "Who may say it: people with write permission on ", "only bob and carol", `image is "payments:by-hand" and becomes "registry.example.com/payments:1.0.0"`} {
		if !strings.Contains(is.Notes[0], part) {
			t.Errorf("it does not say “%s”: %s", part, is.Notes[0])
		}
	}
	entries, err := ledger{h.worker.Store, is}.entries(t.Context())
	must(t, err)
	if h.version(deployments, "payments") != before || len(entries) > 0 {
		t.Errorf("something was written, or is in the inventory: %v", entries)
	}

	h.says("alice", "/adopt prod payments "+code, "confused", "In prod only bob and carol can use /adopt")
	h.says("bob", "/adopt prod payments 0123456789ab", "confused", "names no objects that wait now", "/adopt prod payments "+code, "spec.replicas is 0")
	h.says("bob", "/adopt prod shop "+code, "confused", "Nothing waits for a yes to be taken over for shop in prod")
	if is, err = h.attempt(); err != nil || is.AdoptionCode != code || h.version(deployments, "payments") != before {
		t.Errorf("before the yes: %+v, %v", is, err)
	}
	h.releases("1.1.0")
	if is, err = h.attempt(); err != nil || is.AdoptionCode != code || len(is.Notes) != 1 || !strings.Contains(is.Notes[0], "payments:1.1.0") {
		t.Errorf("with a newer commit %s waits, and it says %q: %v", is.AdoptionCode, is.Notes, err)
	}
	h.says("bob", "/adopt prod payments "+code, "rocket", "payments in prod")
	if is = h.brings(); is.Tag != "1.1.0" || is.Held != "" || is.AdoptionCode != "" || len(is.Notes) > 0 {
		t.Errorf("after the yes %s runs, it waits for %q, and says %q", is.Tag, is.Held, is.Notes)
	}
	h.says("bob", "/adopt prod payments "+code, "confused", "Nothing waits for a yes")
}

// What runs is looked after as ever while a yes is waited for, and a commit that leaves
// the object alone is brought without one.
func TestWhatRunsIsLookedAfterWhileAYesIsWaitedFor(t *testing.T) {
	h := newHarbour(t)
	was := h.brings()
	h.makes(configMaps, settingsByHand("slow"))
	h.withSettings("fast")
	for range 2 {
		is, err := h.attempt()
		must(t, err)
		if is.State != store.TargetHealthy || !is.HealthySince.Equal(*was.HealthySince) || is.AdoptionCode == "" || is.Held == "" || is.RenderedHash != was.RenderedHash || len(is.Notes) != 1 {
			t.Fatalf("it is %s (%s), waits for %q, and says %q", is.State, is.Message, is.Held, is.Notes)
		}
		h.pass(lookAgain)
	}
	h.withSettings("slow")
	if is := h.brings(); is.AdoptionCode != "" || is.Held != "" || len(is.Notes) > 0 || is.RenderedHash == was.RenderedHash {
		t.Errorf("what is as it is in Git waits for %q, and says %q", is.Held, is.Notes)
	}
	h.withSettings("fast")
	h.brings() // it is Tagboat's by now
}

// An environment can want no questions.
func TestAnEnvironmentThatAlwaysAdopts(t *testing.T) {
	h := newHarbour(t)
	_, err := h.sim.As("carol").Push(h.repo, "main", "No questions", map[string]string{"tagboat.yaml": strings.Replace(talkedAbout, "{name: prod, ", "{name: prod, adopt: always, ", 1)})
	must(t, err)
	h.makes(configMaps, settingsByHand("slow"))
	h.withSettings("fast")
	h.brings()
	o, err := h.live.Resource(configMaps).Namespace(h.namespace).Get(t.Context(), "settings", metav1.GetOptions{})
	must(t, err)
	if mode, _, _ := unstructured.NestedString(o.Object, "data", "mode"); mode != "fast" {
		t.Errorf("it is %s", mode)
	}
}
