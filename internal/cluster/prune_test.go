package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// pruner is whoever deletes: a cluster, or one behind a relay.
type pruner interface {
	Prune(ctx context.Context, r cluster.Removal) (cluster.Pruned, error)
}

// prune removes what the book has and the objects have not.
func (s *site) prune(c pruner, b *book, keep ...string) (cluster.Pruned, error) {
	s.t.Helper()
	objects := decode(s.t, keep...)
	for _, o := range objects {
		o.SetNamespace(s.namespace)
	}
	surplus := cluster.Prunable(b.inventory(), objects, nil)
	if len(surplus.NeedsYes) > 0 {
		s.t.Fatalf("a person has to say yes: %v", surplus.Why)
	}
	return c.Prune(s.t.Context(), cluster.Removal{Target: s.target(), Remove: surplus.Remove, Ledger: b})
}

// endings are lines such as "ConfigMap a deleted".
func endings(p cluster.Pruned) (lines []string) {
	for _, o := range p.Objects {
		lines = append(lines, o.ID.Kind+" "+o.ID.Name+" "+string(o.Outcome))
	}
	slices.Sort(lines)
	return lines
}

func (s *site) mustPrune(c pruner, b *book, want []string, keep ...string) cluster.Pruned {
	s.t.Helper()
	pruned, err := s.prune(c, b, keep...)
	if err != nil {
		s.t.Fatal(err)
	}
	if diff := cmp.Diff(want, endings(pruned)); diff != "" {
		s.t.Fatalf("(-want +got):\n%s%+v", diff, pruned)
	}
	return pruned
}

func (s *site) create(resource schema.GroupVersionResource, yaml string) cluster.Object {
	s.t.Helper()
	o, err := s.others.Resource(resource).Namespace(s.namespace).Create(s.t.Context(), decode(s.t, yaml)[0], metav1.CreateOptions{FieldManager: "somebody"})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

func (s *site) remove(resource schema.GroupVersionResource, name string) {
	s.t.Helper()
	if err := s.others.Resource(resource).Namespace(s.namespace).Delete(s.t.Context(), name, metav1.DeleteOptions{}); err != nil {
		s.t.Fatal(err)
	}
}

func TestWhatLeftGitLeavesTheCluster(t *testing.T) {
	s := newSite(t)
	stays := configMap("stays", "a", "b")
	// (No controller writes into the Deployment any more, or its deletion is tried again.)
	s.mustBeHealthy(s.mustApply(stays, configMap("goes", "a", "b"), deployment("web", payments+":1.6.0")))
	b := s.inventory()
	r := s.relay()

	s.mustPrune(r, b, []string{"ConfigMap goes deleted", "Deployment web deleted"}, stays)
	if s.get(configMaps, "goes") != nil || s.get(deployments, "web") != nil || s.get(configMaps, "stays") == nil {
		t.Error("the cluster has something else")
	}
	if diff := cmp.Diff([]string{"ConfigMap stays written"}, b.lines()); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
	ns := "/namespaces/" + s.namespace
	want := []string{"DELETE /api/v1" + ns + "/configmaps/goes", "DELETE /apis/apps/v1" + ns + "/deployments/web",
		"GET /api/v1" + ns + "/configmaps", "GET /api/v1" + ns + "/configmaps", "GET /apis/apps/v1" + ns + "/deployments", "GET /apis/apps/v1" + ns + "/deployments"}
	asked := r.asked()
	if slices.Index(asked, want[0]) < slices.Index(asked, want[1]) {
		t.Errorf("the settings go before their workload: %v", asked)
	}
	slices.Sort(asked)
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("it asked (-want +got):\n%s", diff)
	}
}

func TestTheIntentComesFirst(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	b.refuse = errors.New("another worker has the target")
	if _, err := s.prune(s.cluster, b, configMap("other", "a", "b")); !errors.Is(err, b.refuse) {
		t.Errorf("got %v", err)
	}
	if s.get(configMaps, "a") == nil {
		t.Error("it is deleted, and no ledger knows of it")
	}
}

func TestAPruneStopsWhenToldTo(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"), configMap("b", "a", "b"), configMap("c", "a", "b"))
	b := s.inventory()
	newer := errors.New("a newer commit is there")
	var asked atomic.Int32
	pruned, err := s.cluster.Prune(t.Context(), cluster.Removal{Target: s.target(), Remove: b.inventory(), Ledger: b, Go: func(context.Context) error {
		if asked.Add(1) > 1 {
			return newer
		}
		return nil
	}})
	if !errors.Is(err, newer) || pruned.Count(cluster.Deleted) != 1 || pruned.Count(cluster.Blocked) != 2 {
		t.Errorf("%v: %+v", err, pruned)
	}
	if states := b.lines(); len(states) != 2 || !strings.HasSuffix(states[0], "pruning") || !strings.HasSuffix(states[1], "pruning") {
		t.Errorf("the inventory has %v", states)
	}
	// The next one goes on.
	if _, err := s.prune(s.cluster, b, configMap("other", "a", "b")); err != nil || len(b.inventory()) > 0 {
		t.Errorf("%v: %v", err, b.lines())
	}
}

func TestWhatStaysSaysWhy(t *testing.T) {
	other := cluster.Target{Key: "acme/env catalog prod"}
	for name, c := range map[string]struct {
		change func(s *site)
		why    string
		state  string // of the entry afterwards; "" where it is forgotten
	}{
		"a person keeps it": {func(s *site) {
			s.patchAs("kubectl", configMaps, "a", `{"metadata":{"annotations":{"tagboat.dev/prune":"keep"}}}`)
		}, "its annotation tagboat.dev/prune: keep", "kept"},
		"Argo CD has it, too": {func(s *site) {
			o := decode(s.t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {argocd.argoproj.io/tracking-id: x}}")[0]
			s.applyAs("argocd-controller", configMaps, o)
		}, "owned by Argo CD", "kept"},
		"another target has it now": {func(s *site) {
			s.patchAs("kubectl", configMaps, "a", fmt.Sprintf(`{"metadata":{"annotations":{"tagboat.dev/target":%q}}}`, other.Key))
		}, `another target, "acme/env catalog prod"`, ""},
		"its label was taken away": {func(s *site) {
			s.patchAs("kubectl", configMaps, "a", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)
		}, "the label tagboat.dev/target", "kept"},
		"its managers were wiped": {func(s *site) {
			s.patchAs("kubectl", configMaps, "a", `{"metadata":{"managedFields":[{}]}}`)
		}, "manages none of its fields", "kept"},
		"a controller has adopted it": {func(s *site) {
			owner := s.create(configMaps, configMap("owner", "a", "b"))
			s.patchAs("somebody", configMaps, "a", fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q,"controller":true}]}}`, owner.GetUID()))
		}, "owned by ConfigMap owner", "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(configMap("a", "a", "b"))
			b := s.inventory()
			c.change(s)
			pruned := s.mustPrune(s.cluster, b, []string{"ConfigMap a kept"}, configMap("other", "a", "b"))
			if why := pruned.Objects[0].Why; !strings.Contains(why, c.why) {
				t.Errorf("it stays because %s", why)
			}
			if s.get(configMaps, "a") == nil {
				t.Error("it is deleted")
			}
			entries := b.inventory()
			if parted := pruned.Objects[0].Parted; parted != (c.state == "") {
				t.Errorf("it is said to be another's: %v", parted)
			}
			if c.state == "" && len(entries) == 0 {
				return
			}
			if len(entries) != 1 || string(entries[0].State) != c.state || entries[0].Reason != pruned.Objects[0].Why {
				t.Errorf("the inventory has %+v", entries)
			}
		})
	}
}

func TestAGuardThatEndedLetsItGo(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"), configMap("b", "a", "b"))
	b := s.inventory()
	for _, name := range []string{"a", "b"} {
		s.patchAs("kubectl", configMaps, name, `{"metadata":{"annotations":{"tagboat.dev/prune":"keep"}}}`)
	}
	s.mustPrune(s.cluster, b, []string{"ConfigMap a kept", "ConfigMap b kept"}, configMap("other", "a", "b"))

	s.patchAs("kubectl", configMaps, "a", `{"metadata":{"annotations":{"tagboat.dev/prune":null}}}`)
	again, err := s.cluster.Reconsider(t.Context(), s.target(), b.inventory())
	if err != nil {
		t.Fatal(err)
	}
	if again[0].State != cluster.Written || again[1].State != cluster.Kept || !strings.Contains(again[1].Reason, "keep") {
		t.Errorf("reconsidered: %+v", again)
	}
	if err := b.Keep(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	s.mustPrune(s.cluster, b, []string{"ConfigMap a deleted"}, configMap("other", "a", "b"))

	r := s.relay()
	if _, err := r.Reconsider(t.Context(), s.target(), s.inventory().inventory()); err != nil || len(r.asked()) > 0 {
		t.Errorf("nothing is kept, and it asked: %v", err)
	}
}

// Whoever hands an object over has it kept first. When the other one has it, nothing of it
// is this target's any more, and it is not told of for ever.
func TestWhatWasKeptAndIsAnothersByNowIsForgotten(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	s.patchAs("kubectl", configMaps, "a", `{"metadata":{"annotations":{"tagboat.dev/prune":"keep"}}}`)
	s.mustPrune(s.cluster, b, []string{"ConfigMap a kept"}, configMap("other", "a", "b"))
	s.patchAs("kubectl", configMaps, "a", `{"metadata":{"annotations":{"tagboat.dev/target":"acme/env catalog prod"}}}`)
	again, err := s.cluster.Reconsider(t.Context(), s.target(), b.inventory())
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Keep(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	pruned := s.mustPrune(s.cluster, b, []string{"ConfigMap a kept"}, configMap("other", "a", "b"))
	if !pruned.Objects[0].Parted || len(b.inventory()) > 0 || s.get(configMaps, "a") == nil {
		t.Errorf("it came to %+v, and the inventory has %v", pruned, b.lines())
	}
}

func TestAnotherObjectOfTheNameIsLeftAlone(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	s.remove(configMaps, "a")
	s.create(configMaps, configMap("a", "somebody", "else"))
	s.mustPrune(s.cluster, b, []string{"ConfigMap a absent"}, configMap("other", "a", "b"))
	if s.get(configMaps, "a") == nil || len(b.inventory()) > 0 {
		t.Errorf("the inventory has %v", b.lines())
	}
}

// Operators copy the labels, and some the annotations, of what they are given to what
// they make of it.
func TestCopiedMarksMakeNothingOurs(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("parent", "a", "b"))
	parent := s.get(configMaps, "parent")
	child := decode(t, configMap("child", "a", "b"))[0]
	child.SetLabels(parent.GetLabels())
	child.SetAnnotations(parent.GetAnnotations())
	if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Create(t.Context(), child, metav1.CreateOptions{FieldManager: "operator"}); err != nil {
		t.Fatal(err)
	}
	b := s.inventory()
	if diff := cmp.Diff([]string{"ConfigMap parent written"}, b.lines()); diff != "" {
		t.Fatalf("the inventory (-want +got):\n%s", diff)
	}
	s.mustPrune(s.cluster, b, []string{"ConfigMap parent deleted"}, configMap("other", "a", "b"))
	if s.get(configMaps, "child") == nil {
		t.Error("the child is gone")
	}
}

func TestAnObjectThatWasOnlyIntended(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("was-written", "a", "b"))
	b := s.inventory()
	var intended []cluster.Entry
	for _, name := range []string{"was-written", "was-not"} {
		e := entry("", "ConfigMap", s.namespace, name)
		e.UID, e.State = "", cluster.Intended
		intended = append(intended, e)
	}
	if err := b.Keep(t.Context(), intended); err != nil {
		t.Fatal(err)
	}
	s.mustPrune(s.cluster, b, []string{"ConfigMap was-not absent", "ConfigMap was-written deleted"}, configMap("other", "a", "b"))
}

func TestAFinalizerHoldsAnObject(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	s.patchAs("somebody", configMaps, "a", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	for range 2 {
		pruned := s.mustPrune(s.cluster, b, []string{"ConfigMap a being deleted"}, configMap("other", "a", "b"))
		if why := pruned.Objects[0].Why; !strings.Contains(why, "example.com/slow") {
			t.Errorf("it waits because %s", why)
		}
		if diff := cmp.Diff([]string{"ConfigMap a pruning"}, b.lines()); diff != "" {
			t.Errorf("the inventory (-want +got):\n%s", diff)
		}
	}
	s.patchAs("somebody", configMaps, "a", `{"metadata":{"finalizers":null}}`)
	s.mustPrune(s.cluster, b, []string{"ConfigMap a absent"}, configMap("other", "a", "b"))
	if len(b.inventory()) > 0 {
		t.Errorf("the inventory has %v", b.lines())
	}
}

// Every status update moves the resource version, so a refusal is a reason to look
// again and no more. But what has changed meanwhile counts.
func TestAnObjectThatChangesWhileItIsDeleted(t *testing.T) {
	for name, c := range map[string]struct {
		patch   string
		times   int
		outcome string
	}{
		"a status update":               {`{"metadata":{"annotations":{"n":"%d"}}}`, 1, "deleted"},
		"two":                           {`{"metadata":{"annotations":{"n":"%d"}}}`, 2, "deleted"},
		"it never holds still":          {`{"metadata":{"annotations":{"n":"%d"}}}`, 1000, "not deleted"},
		"a person keeps it after all":   {`{"metadata":{"annotations":{"tagboat.dev/prune":"keep","n":"%d"}}}`, 1, "kept"},
		"a newer commit brings it back": {`{"metadata":{"annotations":{"tagboat.dev/target":"another","n":"%d"}}}`, 1, "kept"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(configMap("a", "a", "b"))
			b := s.inventory()
			r := s.relay()
			n := 0
			r.from(func(_ int, req *http.Request) deed {
				if req.Method != http.MethodDelete || n == c.times {
					return nil
				}
				n++
				s.patchAs("somebody", configMaps, "a", fmt.Sprintf(c.patch, n))
				return nil
			})
			pruned, err := s.prune(r, b, configMap("other", "a", "b"))
			if diff := cmp.Diff([]string{"ConfigMap a " + c.outcome}, endings(pruned)); diff != "" {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
			if c.outcome == string(cluster.Blocked) {
				expect(t, err, fault.Conflict, "changed meanwhile", "ConfigMap "+s.namespace+"/a")
			} else if err != nil {
				t.Error(err)
			}
			if there := s.get(configMaps, "a") != nil; there != (c.outcome != "deleted") {
				t.Errorf("it is there: %v", there)
			}
		})
	}
}

// A worker that lost its lease, and does not know it, prunes by what it saw before a
// newer commit brought the object back.
func TestAZombieDoesNotDeleteWhatCameBack(t *testing.T) {
	for name, value := range map[string]string{"with other content": "newer", "as it was": "b"} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(configMap("a", "a", "b"))
			// What the newer worker reads: the zombie's intent.
			intent := s.book.inventory()
			intent[0].State = cluster.Pruning
			if err := s.book.Keep(t.Context(), intent); err != nil {
				t.Fatal(err)
			}
			var fence atomic.Bool // the target is another worker's
			gone := errors.New("another worker has the target")
			r := s.relay()
			r.from(func(_ int, req *http.Request) deed {
				if req.Method == http.MethodDelete && !fence.Swap(true) {
					s.mustApply(configMap("a", "a", value))
				}
				return nil
			})
			asked := 0
			_, err := r.Prune(t.Context(), cluster.Removal{Target: s.target(), Remove: intent, Ledger: newBook(), Go: func(context.Context) error {
				asked++
				if fence.Load() {
					return gone
				}
				return nil
			}})
			if !errors.Is(err, gone) || asked != 2 {
				t.Errorf("asked %d times: %v", asked, err)
			}
			if s.get(configMaps, "a") == nil {
				t.Error("it is deleted")
			}
		})
	}
}

func TestAMissingPermissionToDelete(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"), deployment("web", payments+":1.6.0"))
	b := s.inventory()
	s.grant("prune-reader", `{apiGroups: ["", apps], resources: [configmaps, deployments], verbs: [get, list]}`)
	pruned, err := s.prune(s.as("prune-reader"), b, configMap("other", "a", "b"))
	expect(t, err, fault.Denied, "prune-reader", "delete deployments.apps", "Deployment "+s.namespace+"/web", "administrator")
	if diff := cmp.Diff([]string{"ConfigMap a not deleted", "Deployment web not deleted"}, endings(pruned)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, o := range pruned.Objects {
		if o.ID.Kind == "ConfigMap" && !strings.Contains(o.Why, "has to go first") {
			t.Errorf("the settings of what stays: %s", o.Why)
		}
	}
	if diff := cmp.Diff([]string{"ConfigMap a pruning", "Deployment web pruning"}, b.lines()); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
}

// grant gives a user a role in the site's namespace.
func (s *site) grant(user, rule string) {
	s.t.Helper()
	roles := schema.GroupVersionResource{Group: "rbac.authorization.k8s.io", Version: "v1", Resource: "roles"}
	bindings := roles.GroupVersion().WithResource("rolebindings")
	s.create(roles, fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: Role\nmetadata: {name: %s}\nrules: [%s]", user, rule))
	s.create(bindings, fmt.Sprintf("apiVersion: rbac.authorization.k8s.io/v1\nkind: RoleBinding\nmetadata: {name: %[1]s}\nroleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[1]s}\nsubjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: %[1]s}]", user))
}

// Whatever request is lost, on its way there or back, or answered by somebody who is
// unwell: a moment later the prune goes on, and nobody hears of it. When it lasts, the
// prune says so, nothing else is touched, and the next one finishes.
func TestAPruneSurvivesEveryLostRequest(t *testing.T) {
	for name, loss := range map[string]deed{"request": refuse, "answer": loseAnswer, "unwell": ailing, "unwell for long": ailing} {
		lasts := name == "unwell for long"
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for n := 1; ; n++ {
				s := newSite(t)
				stays := configMap("stays", "a", "b")
				s.mustApply(stays, configMap("a", "a", "b"), configMap("b", "a", "b"), deployment("web", payments+":1.6.0"))
				b := s.inventory()
				r := s.relay()
				hit := false
				r.from(func(i int, _ *http.Request) deed {
					if i == n || lasts && i > n {
						hit = true
						return loss
					}
					return nil
				})
				if _, err := s.prune(r, b, stays); err != nil {
					if !lasts {
						t.Errorf("request %d lost, once: %v", n, err)
					}
					if !fault.KindOf(err).Retryable() {
						t.Errorf("request %d lost: %v", n, err)
					}
					for _, e := range b.inventory() {
						if e.Name != "stays" && e.State != cluster.Pruning {
							t.Errorf("request %d lost: %s is %s", n, e.ID, e.State)
						}
					}
				}
				if !hit {
					if n < 7 {
						t.Errorf("only %d requests", n-1)
					}
					return
				}
				r.from(nil)
				if _, err := s.prune(r, b, stays); err != nil {
					t.Errorf("request %d was lost, and the next prune: %v", n, err)
				}
				if diff := cmp.Diff([]string{"ConfigMap stays written"}, b.lines()); diff != "" {
					t.Errorf("request %d was lost; the inventory (-want +got):\n%s", n, diff)
				}
				if s.get(configMaps, "a") != nil || s.get(configMaps, "b") != nil || s.get(deployments, "web") != nil || s.get(configMaps, "stays") == nil {
					t.Errorf("request %d was lost; the cluster has something else", n)
				}
			}
		})
	}
}

// A crash between a deletion and its record leaves an entry that says what was meant.
func TestACrashBeforeTheRecord(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	entries := b.inventory()
	entries[0].State = cluster.Pruning
	if err := b.Keep(t.Context(), entries); err != nil {
		t.Fatal(err)
	}
	s.remove(configMaps, "a")
	s.mustPrune(s.cluster, b, []string{"ConfigMap a absent"}, configMap("other", "a", "b"))
	if len(b.inventory()) > 0 {
		t.Errorf("the inventory has %v", b.lines())
	}
}

// A 404 of somebody on the way to the API server is no word about the object.
func TestNotFoundByAStranger(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	s.patchAs("kubectl", configMaps, "a", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)
	r := s.relay()
	r.from(func(n int, _ *http.Request) deed {
		if n != 2 {
			return nil
		}
		return func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
			http.NotFound(w, nil)
		}
	})
	if _, err := s.prune(r, b, configMap("other", "a", "b")); err == nil {
		t.Error("no error")
	}
	if diff := cmp.Diff([]string{"ConfigMap a pruning"}, b.lines()); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
}

func TestANamespaceGoesWithAYes(t *testing.T) {
	s := newSite(t)
	made := "made-" + s.namespace
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	stays := configMap("stays", "a", "b")
	s.mustApply(stays, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+made+"}", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: inside, namespace: "+made+"}")
	b := s.inventory()
	keep := decode(t, stays)
	keep[0].SetNamespace(s.namespace)

	surplus := cluster.Prunable(b.inventory(), keep, nil)
	if !slices.Equal(namesOf(surplus.Remove), []string{"inside"}) || !slices.Equal(namesOf(surplus.NeedsYes), []string{made}) {
		t.Fatalf("got %+v", surplus)
	}
	theirs := decode(t, configMap("somebody-elses", "a", "b"))[0]
	if _, err := s.others.Resource(configMaps).Namespace(made).Create(t.Context(), theirs, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	inside, err := s.cluster.Consequences(t.Context(), s.target(), surplus.NeedsYes)
	if err != nil || len(inside) != 1 || !strings.Contains(inside[0], "With Namespace "+made+" goes 1 object that this target has not brought: 1 of the kind ConfigMap") {
		t.Errorf("what goes with it: %v %v", err, inside)
	}
	surplus = cluster.Prunable(b.inventory(), keep, map[cluster.ID]bool{surplus.NeedsYes[0].ID: true})
	pruned, err := s.cluster.Prune(t.Context(), cluster.Removal{Target: s.target(), Remove: surplus.Remove, Ledger: b})
	if err != nil || pruned.Count(cluster.Deleted) != 1 || pruned.Count(cluster.Leaving) != 1 {
		t.Fatalf("%v: %+v", err, pruned)
	}
	eventually(t, "the namespace to be gone", func(ctx context.Context) bool {
		_, err := s.others.Resource(namespaces).Get(ctx, made, metav1.GetOptions{})
		return err != nil
	})
	s.mustPrune(s.cluster, b, []string{"Namespace " + made + " absent"}, stays)
}

func boats(group string) string {
	return fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
`, group)
}

func TestADefinitionStaysWithoutAYesAndItsObjectsGo(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	stays := configMap("stays", "a", "b")
	boat := func(name string) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: %s}\n", group, name)
	}
	s.mustApply(stays, boats(group), boat("dinghy"))
	s.create(schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}, boat("somebody-elses"))
	b := s.inventory()
	keep := decode(t, stays)
	keep[0].SetNamespace(s.namespace)
	surplus := cluster.Prunable(b.inventory(), keep, nil)
	if !slices.Equal(namesOf(surplus.Remove), []string{"dinghy"}) || !slices.Equal(namesOf(surplus.NeedsYes), []string{"boats." + group}) {
		t.Fatalf("got %+v", surplus)
	}
	inside, err := s.cluster.Consequences(t.Context(), s.target(), surplus.NeedsYes)
	if err != nil || len(inside) != 1 || !strings.Contains(inside[0], "2 objects") {
		t.Errorf("what goes with it: %v %v", err, inside)
	}
	surplus = cluster.Prunable(b.inventory(), keep, map[cluster.ID]bool{surplus.NeedsYes[0].ID: true})
	if _, err := s.cluster.Prune(t.Context(), cluster.Removal{Target: s.target(), Remove: surplus.Remove, Ledger: b}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the inventory to be without the definition", func(context.Context) bool {
		if _, err := s.prune(s.cluster, b, stays); err != nil {
			t.Fatal(err)
		}
		return slices.Equal(b.lines(), []string{"ConfigMap stays written"})
	})
}

// The kinds of an API that is down are not known to be gone.
func TestPartOfTheClusterIsDown(t *testing.T) {
	s := newSite(t)
	group := "down-" + s.namespace + ".example.com"
	services := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	down := decode(t, fmt.Sprintf("apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nmetadata: {name: v1.%[1]s}\nspec: {group: %[1]s, version: v1, groupPriorityMinimum: 100, versionPriority: 10, insecureSkipTLSVerify: true, service: {name: nobody, namespace: %[2]s}}", group, s.namespace))[0]
	if _, err := s.others.Resource(services).Create(t.Context(), down, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.others.Resource(services).Delete(context.WithoutCancel(t.Context()), down.GetName(), metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	}()
	s.mustApply(configMap("a", "a", "b"))
	b := s.inventory()
	boat := entry(group, "Boat", s.namespace, "dinghy")
	boat.Version = "v1alpha1" // older than what is down
	if err := b.Keep(t.Context(), []cluster.Entry{boat}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the API to be known as down", func(ctx context.Context) bool {
		found, err := s.cluster.Rebuild(ctx, s.target(), nil)
		return err == nil && len(found.Unseen) == 1 && strings.Contains(found.Unseen[0], group)
	})
	if _, err := s.prune(s.cluster, b, configMap("other", "a", "b")); err == nil || !strings.Contains(err.Error(), group) {
		t.Errorf("got %v", err)
	}
	if s.get(configMaps, "a") == nil {
		t.Error("something was deleted")
	}
	if diff := cmp.Diff([]string{"Boat dinghy pruning", "ConfigMap a pruning"}, b.lines()); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
}

func TestAnInventoryIsRebuilt(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	s.mustApply(configMap("a", "a", "b"), deployment("web", payments+":1.6.0"), boats(group), fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\n", group))
	b := s.inventory()
	want := []string{"Boat dinghy written", "ConfigMap a written", "CustomResourceDefinition boats." + group + " written", "Deployment web written"}
	if diff := cmp.Diff(want, b.lines()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, e := range b.inventory() {
		if e.UID == "" || e.Fingerprint == "" || e.Version == "" || e.Hash != "" {
			t.Errorf("got %+v", e)
		}
	}
	if other := s.inventoryOf(cluster.Target{Key: "acme/env catalog prod", Namespace: s.namespace}).lines(); len(other) > 0 {
		t.Errorf("another target has %v", other)
	}
}

// Who may look into some namespaces alone finds there what is rendered, and what was.
// The target says no namespace: the objects do.
func TestAnInventoryIsRebuiltInNamespacesAlone(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "a", "b"), deployment("web", payments+":1.6.0"))
	s.grant("rebuild-reader", `{apiGroups: [""], resources: [configmaps], verbs: [get, list]}`)
	target := s.target()
	target.Namespace = ""
	found, err := s.as("rebuild-reader").Rebuild(t.Context(), target, []string{"default", s.namespace})
	if err != nil {
		t.Fatal(err)
	}
	if len(found.Entries) != 1 || found.Entries[0].Name != "a" || found.Entries[0].UID == "" {
		t.Errorf("it found %+v", found.Entries)
	}
	said := strings.Join(found.Unseen, "\n")
	for _, words := range []string{"deployments.apps could not be listed: ", `its user "rebuild-reader" lacks the permission`,
		"configmaps could be listed in " + s.namespace + " alone", "list configmaps in namespace default"} {
		if !strings.Contains(said, words) {
			t.Errorf("it does not say %q:\n%s", words, said)
		}
	}
	if found, err = s.as("rebuild-reader").Rebuild(t.Context(), target, nil); err != nil || len(found.Entries) != 0 || !strings.Contains(strings.Join(found.Unseen, "\n"), "configmaps could not be listed: ") {
		t.Errorf("nowhere: %+v, %v", found.Entries, err)
	}

	// An API server that answers no list does not say that there is nothing.
	r := s.relay()
	r.from(func(int, *http.Request) deed { return ailing })
	if found, err := r.Rebuild(t.Context(), target, nil); !fault.Is(err, fault.Transient) {
		t.Errorf("no list at all: %+v, %v", found, err)
	}
}
