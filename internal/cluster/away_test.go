package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// extension is an API group beside the API server's own, which can be away and be back.
// What there is of its kind, Boat, stays meanwhile.
type extension struct {
	*site
	group string
	boats schema.GroupVersionResource
}

func (s *site) extension() *extension {
	s.t.Helper()
	e := &extension{site: s, group: "fleet-" + s.namespace + ".example.com"}
	e.boats = schema.GroupVersionResource{Group: e.group, Version: "v1", Resource: "boats"}
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if _, err := s.others.Resource(definitions).Create(s.t.Context(), decode(s.t, boats(e.group))[0], metav1.CreateOptions{}); err != nil {
		s.t.Fatal(err)
	}
	e.answers(true)
	return e
}

// answers waits until the API server says that the group is there, or is not.
func (e *extension) answers(is bool) {
	e.t.Helper()
	eventually(e.t, fmt.Sprintf("the API group to answer: %t", is), func(ctx context.Context) bool {
		found, err := e.cluster.Rebuild(ctx, e.target(), nil)
		if err != nil || strings.Contains(strings.Join(found.Unseen, " "), e.group) == is {
			return false
		}
		_, err = e.others.Resource(e.boats).List(ctx, metav1.ListOptions{})
		return err == nil == is
	})
}

// goes has the API server ask a service for the group that is not there.
func (e *extension) goes() {
	e.t.Helper()
	e.t.Cleanup(e.serve)
	patch := fmt.Sprintf(`{"metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": null}}, "spec": {"insecureSkipTLSVerify": true, "service": {"name": "nobody", "namespace": %q}}}`, e.namespace)
	if _, err := e.others.Resource(apiServices).Patch(e.t.Context(), "v1."+e.group, types.MergePatchType, []byte(patch), metav1.PatchOptions{}); err != nil {
		e.t.Fatal(err)
	}
	e.answers(false)
}

func (e *extension) comesBack() {
	e.t.Helper()
	e.serve()
	e.answers(true)
}

// serve has the API server make the group's APIService anew, by which it serves it itself.
func (e *extension) serve() {
	e.t.Helper()
	if err := e.others.Resource(apiServices).Delete(context.WithoutCancel(e.t.Context()), "v1."+e.group, metav1.DeleteOptions{}); err != nil {
		e.t.Fatal(err)
	}
}

var apiServices = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}

func (e *extension) boat(name, colour string) string {
	return fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: %s}\nspec: {colour: %s}\n", e.group, name, colour)
}

// colour is what a boat has, "" where there is none.
func (e *extension) colour(name string) string {
	e.t.Helper()
	o := e.get(e.boats, name)
	if o == nil {
		return ""
	}
	colour, _, _ := unstructured.NestedString(o.Object, "spec", "colour")
	return colour
}

// mode is what a ConfigMap says, "" where there is none.
func (s *site) mode(name string) string {
	s.t.Helper()
	o := s.get(configMaps, name)
	if o == nil {
		return ""
	}
	mode, _, _ := unstructured.NestedString(o.Object, "data", "mode")
	return mode
}

// anew is a door that remembers nothing of the cluster, as after a start.
func (s *site) anew() *cluster.Cluster {
	s.t.Helper()
	c, err := cluster.Open(cluster.Config{Name: "test", Kubeconfig: s.kube})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}

// heldUp fails the test unless err is that of what was done in part, and says all the
// words.
func heldUp(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !errors.Is(err, cluster.ErrHeldUp) || errors.Is(err, cluster.ErrNoAnswer) {
		t.Errorf("it is not held up: %v", err)
	}
	expect(t, err, kind, words...)
}

// Nearly every cluster has an API group that is served by something else, and that is away
// now and then: metrics.k8s.io. Who has nothing of it does not notice.
func TestAnAPIThatIsAwayIsOthersBusiness(t *testing.T) {
	s := newSite(t)
	e := s.extension()
	a, web := configMap("a", "mode", "fast"), deployment("web", payments+":1.6.0")
	s.mustApply(a, web, configMap("old", "mode", "fast"))
	e.goes()
	for what, door := range map[string]*cluster.Cluster{"who remembers it": s.cluster, "who does not": s.anew()} {
		s.cluster = door
		next := configMap("a", "mode", what)
		if trial := s.try(decode(t, a), next, web); trial.Count(cluster.Refused)+trial.Count(cluster.Unclear) != 0 {
			t.Errorf("%s tries, and hears %v", what, came(trial))
		}
		result := s.mustApply(next, web, configMap("made-for-"+what[4:8], "mode", "fast"))
		s.mustBeHealthy(result)
		if s.mode("a") != what {
			t.Errorf("%s has applied %q", what, s.mode("a"))
		}
		if found := s.drift(s.cluster, s.book, nil, next, web); found.Partly || len(found.Objects) > 0 {
			t.Errorf("%s sees %v", what, s.tells(found))
		}
		if err := door.Answers(s.book.inventory(), decode(t, next, web)); err != nil {
			t.Errorf("%s may delete nothing: %v", what, err)
		}
	}
	s.mustPrune(s.cluster, s.book, []string{"ConfigMap made-for-does deleted", "ConfigMap made-for-reme deleted", "ConfigMap old deleted"}, a, web)
}

// Of a kind whose API is away nothing is known, and nothing is tried: all else is applied.
func TestWhatIsOfAnAPIThatIsAwayWaits(t *testing.T) {
	for what, start := range map[string]func(s *site){"known from before": func(*site) {}, "after a start": func(s *site) { s.cluster = s.anew() }} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			e := s.extension()
			first := []string{e.boat("dinghy", "red"), configMap("a", "mode", "slow"), configMap("same", "mode", "slow")}
			s.mustBeHealthy(s.mustApply(first...))
			was := s.book.lines()
			e.goes()
			start(s)

			// A look at what is there: nothing has drifted, and nobody says that it is healthy.
			if found := s.drift(s.cluster, s.book, nil, first...); !found.Partly || len(s.tells(found)) > 0 {
				t.Errorf("partly %t, it sees %v", found.Partly, s.tells(found))
			}
			health, err := s.cluster.Wait(t.Context(), decode(t, first...)[:1], cluster.WaitOptions{Timeout: time.Minute, Target: s.target()})
			heldUp(t, err, fault.Transient, "Not healthy: Boat dinghy.", "Everything else is healthy.")
			if health.Healthy {
				t.Error("it is healthy")
			}

			next := []string{e.boat("dinghy", "blue"), e.boat("canoe", "green"), configMap("a", "mode", "fast"), configMap("b", "mode", "fast"), configMap("same", "mode", "slow")}
			trial := s.try(decode(t, first...), next...)
			if trial.Count(cluster.Unclear) != 2 || trial.Count(cluster.Refused) != 0 || trial.Tried[0].Who != "an administrator of cluster test" || !strings.Contains(trial.Tried[0].Why, "v1."+e.group) {
				t.Errorf("a dry run comes to %+v", trial.Tried)
			}
			for range 2 { // and it stays so
				result, err := s.apply(next...)
				heldUp(t, err, fault.Transient, "Not applied: Boat dinghy, Boat canoe.", "API group "+e.group+"/v1", "its APIService v1."+e.group+" is not available",
					"ServiceNotFound", "administrator of the cluster", "tried again by itself", "Everything else is applied.")
				if s.mode("a") != "fast" || s.mode("b") != "fast" || !slices.Equal(result.NotApplied, []string{"Boat dinghy", "Boat canoe"}) {
					t.Errorf("a is %q and b is %q; not applied: %v", s.mode("a"), s.mode("b"), result.NotApplied)
				}
			}
			if diff := cmp.Diff(append([]string{"Boat dinghy written", "ConfigMap a written", "ConfigMap b written"}, was[2:]...), s.book.lines()); diff != "" {
				t.Errorf("the inventory (-want +got):\n%s", diff)
			}

			e.comesBack()
			if e.colour("dinghy") != "red" || e.colour("canoe") != "" {
				t.Errorf("meanwhile the dinghy got %q and the canoe %q", e.colour("dinghy"), e.colour("canoe"))
			}
			s.mustBeHealthy(s.mustApply(next...))
			if e.colour("dinghy") != "blue" || e.colour("canoe") != "green" {
				t.Errorf("the dinghy is %q and the canoe %q", e.colour("dinghy"), e.colour("canoe"))
			}
			if found := s.drift(s.cluster, s.book, nil, next...); found.Partly || len(s.tells(found)) > 0 {
				t.Errorf("partly %t, it sees %v", found.Partly, s.tells(found))
			}
		})
	}
}

// What is wrong with a commit still stops all of it before the first write, and is not
// taken for a part of the cluster that is away.
func TestAFaultOfTheCommitIsNotAnAPIThatIsAway(t *testing.T) {
	s := newSite(t)
	e := s.extension()
	s.mustApply(configMap("a", "mode", "slow"))
	e.goes()
	unknown := fmt.Sprintf("apiVersion: other-%s/v1\nkind: Raft\nmetadata: {name: r}\n", e.group)
	for words, wrong := range map[string]string{"knows no kind Raft": unknown, "web": strings.Replace(deployment("web", payments), "replicas: 2", "replicas: -2", 1)} {
		_, err := s.apply(e.boat("dinghy", "red"), configMap("a", "mode", "fast"), wrong)
		expect(t, err, fault.Invalid, words)
		if s.mode("a") != "slow" {
			t.Errorf("%s: a is %q", words, s.mode("a"))
		}
	}
	// A definition still may come with what it defines.
	other := s.namespace + ".example.com"
	_, err := s.apply(e.boat("dinghy", "red"), boats(other), strings.ReplaceAll(e.boat("raft", "brown"), e.group, other))
	heldUp(t, err, fault.Transient, "Not applied: Boat dinghy.", "Everything else is applied.")
	if s.get(schema.GroupVersionResource{Group: other, Version: "v1", Resource: "boats"}, "raft") == nil {
		t.Error("what the definition defines is not there")
	}
}

// Nobody knows what there is of a kind whose API is away: nothing is deleted, nothing is
// forgotten, and nothing else waits for it.
func TestWhatIsNotInGitAnyMoreWaitsForAnAPIThatIsAway(t *testing.T) {
	for what, start := range map[string]func(s *site){"known from before": func(*site) {}, "after a start": func(s *site) { s.cluster = s.anew() }} {
		t.Run(what, func(t *testing.T) {
			s := newSite(t)
			e := s.extension()
			s.mustApply(e.boat("dinghy", "red"), e.boat("kept", "red"), configMap("a", "mode", "slow"), configMap("old", "mode", "slow"))
			kept := s.book.entry(t, "Boat", "kept")
			kept.State, kept.Reason = cluster.Kept, "somebody wants it"
			if err := s.book.Keep(t.Context(), []cluster.Entry{kept}); err != nil {
				t.Fatal(err)
			}
			was := s.book.lines()
			e.goes()
			start(s)
			a := configMap("a", "mode", "fast")
			s.mustBeHealthy(s.mustApply(a))
			if found := s.drift(s.cluster, s.book, nil, a); found.Partly || len(s.tells(found)) > 0 {
				t.Errorf("partly %t, it sees %v", found.Partly, s.tells(found))
			}
			heldUp(t, s.cluster.Answers(s.book.inventory(), decode(t, a)), fault.Transient, e.group)
			if again, err := s.cluster.Reconsider(t.Context(), s.target(), s.book.inventory()); err != nil || !slices.Contains(again, kept) {
				t.Errorf("what is kept: %v, %v", again, err)
			}
			if _, err := s.cluster.Released(t.Context(), s.target(), s.book.inventory()); !errors.Is(err, cluster.ErrHeldUp) {
				t.Errorf("got %v", err)
			}
			if diff := cmp.Diff(was, s.book.lines()); diff != "" {
				t.Errorf("the inventory (-want +got):\n%s", diff)
			}
			pruned, err := s.prune(s.cluster, s.book, a)
			heldUp(t, err, fault.Transient, e.group)
			if pruned.Count(cluster.Deleted) != 0 || s.mode("old") != "slow" || len(s.book.lines()) != len(was) {
				t.Errorf("pruned %v, and the inventory is %v", endings(pruned), s.book.lines())
			}
			e.comesBack()
			if e.colour("dinghy") != "red" {
				t.Errorf("the dinghy is %q", e.colour("dinghy"))
			}
			s.mustPrune(s.cluster, s.book, []string{"Boat dinghy deleted", "ConfigMap old deleted"}, a)
		})
	}
}

// A wave begins when all before it is there, and hooks run for a whole set. What only
// stands beside what waits does not wait.
func TestWhatComesAfterAnAPIThatIsAwayWaits(t *testing.T) {
	s := newSite(t)
	e := s.extension()
	e.goes()
	later := strings.Replace(configMap("later", "mode", "fast"), "metadata: {", "metadata: {annotations: {tagboat.dev/wave: '1'}, ", 1)
	set := []string{e.boat("dinghy", "red"), configMap("beside", "mode", "fast"), later, job("migrate", "migrate:1", "argocd.argoproj.io/hook: Sync")}
	_, err := s.apply(set...)
	heldUp(t, err, fault.Transient, "Not applied: Boat dinghy.", "What comes after that waits, too: ConfigMap "+s.namespace+"/later, Job "+s.namespace+"/migrate.")
	if s.mode("beside") != "fast" || s.get(configMaps, "later") != nil || s.get(jobs, "migrate") != nil {
		t.Errorf("beside is %q, later %v, the hook %v", s.mode("beside"), s.get(configMaps, "later"), s.get(jobs, "migrate"))
	}
	e.comesBack()
	s.mustApply(e.boat("dinghy", "red"), configMap("beside", "mode", "fast"), later)
	if s.mode("later") != "fast" || e.colour("dinghy") != "red" {
		t.Errorf("later is %q, the dinghy %q", s.mode("later"), e.colour("dinghy"))
	}
}
