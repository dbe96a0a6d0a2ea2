package worker

import (
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/store"
)

// settle has somebody push which settings payments has beside its Deployment.
func (h *harbour) settle(names ...string) {
	h.Helper()
	var docs []string
	for _, name := range append(names, "always") {
		docs = append(docs, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+"}\n")
	}
	_, err := h.sim.As("alice").Push(h.repo, "main", "Settings", map[string]string{
		paymentsProd: "namespace: " + h.namespace + "\nresources: [payments.yaml, settings.yaml]\nimages:\n  - {name: payments, newName: registry.example.com/payments, newTag: 1.0.0}\n",
		"apps/payments/overlays/prod/settings.yaml":  strings.Join(docs, "---\n"),
		"apps/shop/overlays/prod/kustomization.yaml": "resources: [shop.yaml]\nimages:\n  - {name: shop, newTag: 1.0.0}\n", // nothing can have moved there
		"apps/shop/overlays/prod/shop.yaml":          "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: shop, namespace: shop}\n",
	})
	must(h.T, err)
}

// bears has somebody put a mark on a setting in the cluster, or take it off.
func (h *harbour) bears(name, patch string) {
	h.Helper()
	_, err := h.live.Resource(configMaps).Namespace(h.namespace).Patch(h.Context(), name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl-annotate"})
	must(h.T, err)
}

// looks is another look, and what is known of prod afterwards.
func (h *harbour) looks() store.Target {
	h.Helper()
	h.pass(lookAgain)
	return h.brings()
}

// expectNote wants exactly one note of a target to have a part, and to have all of the others.
func expectNote(t *testing.T, is store.Target, part string, others ...string) {
	t.Helper()
	var found []string
	for _, note := range is.Notes {
		if strings.Contains(note, part) {
			found = append(found, note)
		}
	}
	if len(found) != 1 {
		t.Fatalf("%d notes tell of %q: %q", len(found), part, is.Notes)
	}
	for _, other := range others {
		if !strings.Contains(found[0], other) {
			t.Errorf("the note lacks %q: %s", other, found[0])
		}
	}
}

// What is not in Git any more and stays, because it is another's, too, or somebody keeps it,
// is named where people look: what, whose, and what they can do. It is for as long as that
// is so.
func TestWhatStaysIsNamedWherePeopleLook(t *testing.T) {
	h := newHarbour(t)
	h.settle("fluxed", "chosen")
	h.brings()
	h.bears("fluxed", `{"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": "apps"}}}`)
	h.bears("chosen", `{"metadata": {"annotations": {"tagboat.dev/prune": "keep"}}}`)
	h.settle()
	h.brings()
	for range 2 {
		expectNote(t, h.looks(), "ConfigMap "+h.namespace+"/fluxed (owned by Flux, too", `kustomize.toolkit.fluxcd.io/name says "apps"`,
			"ConfigMap "+h.namespace+"/chosen (its annotation tagboat.dev/prune: keep keeps it)", "Tagboat does not touch them", "whoever may write to cluster prod")
	}
	is := h.target("prod")
	comment := checklist.RenderSticky(checklist.Status{App: "payments", Env: "prod", Clusters: clusterStatuses([]store.Target{is})})
	answer, err := h.worker.status(t.Context(), request{repo: h.envRepo()}, command.Status{Env: "prod", App: "payments"})
	must(t, err)
	for where, text := range map[string]string{"the comment": comment, "/status": answer} {
		if !strings.Contains(text, h.namespace+"/fluxed") || !strings.Contains(text, "owned by Flux, too") {
			t.Errorf("%s does not name it:\n%s", where, text)
		}
	}

	// A look that ends before anything is pruned, as where pods are ill, knows it still.
	ctx, a, s := h.taken()
	run, err := h.worker.run(ctx, a, &s)
	must(t, err)
	must(t, h.worker.findDrift(ctx, a, &s, run))
	a.end(ctx)
	if notes := strings.Join(s.reached.Notes, " "); !strings.Contains(notes, "/fluxed") {
		t.Errorf("a look at what is ill knows nothing of it: %q", s.reached.Notes)
	}

	// Who lets go of it has it deleted, and hears no more of it.
	h.bears("fluxed", `{"metadata": {"labels": {"kustomize.toolkit.fluxcd.io/name": null}}}`)
	h.bears("chosen", `{"metadata": {"annotations": {"tagboat.dev/prune": null}}}`)
	if is := h.looks(); len(is.Notes) != 0 {
		t.Errorf("nothing keeps them, and it is told: %q", is.Notes)
	}
}

// What another one has by now is not looked after any more. It is named until something
// else is brought, so that nobody wonders where it has gone.
func TestWhatIsAnothersIsNamedUntilTheNextChange(t *testing.T) {
	h := newHarbour(t)
	h.settle("taken", "handed", "remade")
	h.brings()
	settings := h.live.Resource(configMaps).Namespace(h.namespace)
	must(t, settings.Delete(t.Context(), "remade", metav1.DeleteOptions{}))
	_, err := settings.Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{"apiVersion": "v1", "kind": "ConfigMap", "metadata": map[string]any{"name": "remade"}}}, metav1.CreateOptions{})
	must(t, err)
	theirs := fmt.Sprintf(`{"metadata": {"annotations": {"tagboat.dev/target": "acme/other payments prod prod", "tagboat.dev/installation": %q}}}`, "another")
	h.bears("taken", theirs)
	h.bears("handed", `{"metadata": {"annotations": {"tagboat.dev/prune": "keep"}}}`)
	h.settle()
	h.brings()
	for range 2 {
		is := h.looks()
		expectNote(t, is, h.namespace+"/taken", "another installation of Tagboat, another", "/remade (another object of that name is there", "what becomes of them is decided there")
		expectNote(t, is, h.namespace+"/handed", "keeps it")
	}
	h.bears("handed", theirs)
	is := h.looks()
	expectNote(t, is, h.namespace+"/handed", "it belongs to another installation")
	var left int
	must(t, h.worker.Store.Pool().QueryRow(t.Context(), "SELECT count(*) FROM inventory WHERE name IN ('taken', 'handed')").Scan(&left))
	if left != 0 {
		t.Errorf("the inventory has %d objects that are another's", left)
	}
	h.settle("new")
	if is := h.brings(); len(is.Notes) != 0 {
		t.Errorf("after the next change it is told still: %q", is.Notes)
	}
}
