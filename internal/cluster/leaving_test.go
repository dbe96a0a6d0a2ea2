package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

var namespaces = schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}

// annex is a second namespace of a site's target. A finalizer holds it when it is deleted.
type annex struct {
	*site
	name string
}

func (s *site) annex() *annex {
	s.t.Helper()
	a := &annex{s, "annex-" + s.namespace}
	a.make()
	return a
}

func (a *annex) yaml() string {
	return "apiVersion: v1\nkind: Namespace\nmetadata: {name: " + a.name + "}\n"
}

func (a *annex) make() {
	a.t.Helper()
	made := decode(a.t, a.yaml())[0]
	made.SetFinalizers([]string{"example.com/hold"})
	_, err := a.others.Resource(namespaces).Create(a.t.Context(), made, metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() { _ = a.letGo(context.Background()) })
}

func (a *annex) letGo(ctx context.Context) error {
	_, err := a.others.Resource(namespaces).Patch(ctx, a.name, types.MergePatchType, []byte(`{"metadata": {"finalizers": null}}`), metav1.PatchOptions{})
	return err
}

func (a *annex) inside(name, mode string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\ndata: {mode: %s}\n", name, a.name, mode)
}

// holds are the names and modes of the ConfigMaps in it.
func (a *annex) holds() (lines []string) {
	a.t.Helper()
	list, err := a.others.Resource(configMaps).Namespace(a.name).List(a.t.Context(), metav1.ListOptions{LabelSelector: cluster.TargetLabel})
	if err != nil {
		a.t.Fatal(err)
	}
	for _, o := range list.Items {
		data, _ := o.Object["data"].(map[string]any)
		lines = append(lines, fmt.Sprint(o.GetName(), " ", data["mode"]))
	}
	slices.Sort(lines)
	return lines
}

// isDeleted has somebody delete it, and waits until it is empty.
func (a *annex) isDeleted() {
	a.t.Helper()
	if err := a.others.Resource(namespaces).Delete(a.t.Context(), a.name, metav1.DeleteOptions{}); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, "the namespace to be empty", func(context.Context) bool { return len(a.holds()) == 0 })
}

// isGone lets go of it, and waits until it is not there any more.
func (a *annex) isGone() {
	a.t.Helper()
	if err := a.letGo(a.t.Context()); err != nil {
		a.t.Fatal(err)
	}
	eventually(a.t, "the namespace to be gone", func(ctx context.Context) bool {
		list, err := a.others.Resource(namespaces).List(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + a.name})
		return err == nil && len(list.Items) == 0
	})
}

// A namespace that somebody deletes holds up what is in it, and nothing else.
func TestANamespaceThatIsBeingDeletedHoldsUpItsOwnAlone(t *testing.T) {
	for what, inGit := range map[string]bool{"it is in Git": true, "somebody else has made it": false} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			a := s.annex()
			set := func(mode string, more ...string) []string {
				if inGit {
					more = append(more, a.yaml())
				}
				return append([]string{a.inside("in", mode), configMap("out", "mode", mode)}, more...)
			}
			s.mustBeHealthy(s.mustApply(set("slow")...))
			was := s.book.lines()
			a.isDeleted()
			there := decode(t, set("slow")...)
			there[1].SetNamespace(s.namespace)
			health, err := s.cluster.Wait(t.Context(), there, cluster.WaitOptions{Target: s.target()})
			heldUp(t, err, fault.Conflict, "Not healthy: ", "ConfigMap "+a.name+"/in", "is deleting the namespace "+a.name, "Everything else is healthy.")
			if health.Healthy {
				t.Error("it is healthy")
			}

			_, err = s.apply(set("fast", strings.Replace(deployment("web", payments), "replicas: 2", "replicas: -2", 1))...)
			expect(t, err, fault.Invalid, "Deployment "+s.namespace+"/web")
			if s.mode("out") != "slow" {
				t.Errorf("a commit with a fault in it is applied in part: %q", s.mode("out"))
			}

			for range 2 {
				_, err = s.apply(set("fast", a.inside("new", "fast"))...)
				heldUp(t, err, fault.Conflict, "Not applied: ", "ConfigMap "+a.name+"/in", "ConfigMap "+a.name+"/new", "is deleting the namespace "+a.name+" since 20",
					"its finalizers example.com/hold", "Whoever deletes it", "Everything else is applied.")
				if s.mode("out") != "fast" || len(a.holds()) != 0 {
					t.Errorf("outside is %q, inside are %v", s.mode("out"), a.holds())
				}
			}
			if diff := cmp.Diff(was, s.book.lines()); diff != "" {
				t.Errorf("the inventory (-want +got):\n%s", diff)
			}

			a.isGone()
			if !inGit {
				a.make()
			}
			s.mustBeHealthy(s.mustApply(set("fast", a.inside("new", "fast"))...))
			if diff := cmp.Diff([]string{"in fast", "new fast"}, a.holds()); diff != "" {
				t.Errorf("in the new one (-want +got):\n%s", diff)
			}
			if found := s.drift(s.cluster, s.book, nil, set("fast", a.inside("new", "fast"))...); len(s.tells(found)) > 0 {
				t.Errorf("it sees %v", s.tells(found))
			}
		})
	}
}

// An object that waits for its own finalizer, in a namespace that stays, is not the
// namespace's fault: it is told as it was, and nothing is written.
func TestAnObjectThatIsBeingDeletedIsNotItsNamespace(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "mode", "slow"), configMap("b", "mode", "slow"))
	s.patchAs("somebody", configMaps, "a", `{"metadata": {"finalizers": ["example.com/hold"]}}`)
	s.remove(configMaps, "a")
	_, err := s.apply(configMap("a", "mode", "fast"), configMap("b", "mode", "fast"))
	expect(t, err, fault.Conflict, "ConfigMap "+s.namespace+"/a", "still being deleted")
	if s.mode("b") != "slow" {
		t.Errorf("b is %q", s.mode("b"))
	}
	s.patchAs("somebody", configMaps, "a", `{"metadata": {"finalizers": null}}`)
}
