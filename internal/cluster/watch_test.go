package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// hearing is what a lookout has told.
type hearing struct {
	cluster.Lookout
	t        *testing.T
	label    string
	mu       sync.Mutex
	told     []string // "ConfigMap a", of the site's target alone
	rung     bool     // the alarm was told
	troubles []error
}

// listen watches until the test ends. It returns when what is there is known.
func (s *site) listen(c *cluster.Cluster, entries ...cluster.Entry) *hearing {
	s.t.Helper()
	h := &hearing{t: s.t, label: s.target().Label()}
	h.Tell = func(target string, id cluster.ID) {
		h.mu.Lock()
		defer h.mu.Unlock()
		switch {
		case target != h.label:
		case id.Name == "alarm":
			h.rung = true
		default:
			h.told = append(h.told, id.Kind+" "+id.Name)
		}
	}
	h.Trouble = func(_ schema.GroupKind, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.troubles = append(h.troubles, err)
	}
	h.Add(entries...)
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error)
	go func() { ended <- c.Watch(ctx, &h.Lookout) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; err != context.Canceled {
			s.t.Errorf("it ended with %v", err)
		}
	})
	return h
}

// hears waits until exactly the lines were told since the last time, in any number, the
// last of them at least once: whatever came before it would have been told by then.
func (h *hearing) hears(last string, others ...string) {
	h.t.Helper()
	want := map[string]bool{last: true}
	for _, o := range others {
		want[o] = true
	}
	eventually(h.t, last+" to be told", func(context.Context) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		heard := map[string]bool{}
		for _, line := range h.told {
			heard[line] = true
			if !want[line] {
				h.t.Fatalf("it told of %s", line)
			}
		}
		return len(heard) == len(want)
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	h.told = nil
}

// awake has an object of its own deleted until that is heard: then the watch runs.
func (s *site) awake(h *hearing) {
	s.t.Helper()
	eventually(s.t, "the watch to run", func(context.Context) bool {
		s.mustApply(configMap("alarm", "k", "v"))
		s.remove(configMaps, "alarm")
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.rung
	})
}

func TestAnEditIsHeard(t *testing.T) {
	s := newSite(t)
	a, web := configMap("a", "mode", "fast"), deployment("web", payments+":1.6.0")
	s.mustApply(a, web, configMap("sentinel", "k", "v"))
	h := s.listen(s.cluster, s.inventory().inventory()...)
	s.awake(h)

	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
	h.hears("ConfigMap a")
	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":null}}`) // nobody manages it now
	s.scaleAs("kubectl", "web")
	h.hears("Deployment web")
	s.remove(configMaps, "a")
	h.hears("ConfigMap a")
	s.mustApply(a)
	s.patchAs("kubectl", configMaps, "a", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)
	h.hears("ConfigMap a")
	s.patchAs("kubectl", configMaps, "sentinel", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	s.remove(configMaps, "sentinel")
	h.hears("ConfigMap sentinel")
	s.patchAs("kubectl", configMaps, "sentinel", `{"metadata":{"finalizers":null}}`)
}

// Whoever undoes a change owns the field already, so what the target owns stays as the
// change has left it.
func TestAnUndoIsHeard(t *testing.T) {
	s := newSite(t)
	s.mustApply(deployment("web", payments+":1.6.0"), configMap("a", "mode", "fast"))
	h := s.listen(s.cluster, s.inventory().inventory()...)
	s.awake(h)

	s.patchAs("kubectl-edit", deployments, "web", `{"spec":{"replicas":5}}`)
	h.hears("Deployment web")
	s.patchAs("kubectl-edit", deployments, "web", `{"spec":{"replicas":2}}`)
	h.hears("Deployment web")
	s.patchAs("kubectl-edit", deployments, "web", `{"metadata":{"labels":{"x":"y"}}}`) // changes nothing that it is told to do
	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
	h.hears("ConfigMap a")
}

func TestWhatIsNoneOfOurBusinessIsNotHeard(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "mode", "fast"), configMap("sentinel", "k", "v"))
	h := s.listen(s.cluster, s.inventory().inventory()...)
	s.awake(h)

	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"more":"x"},"metadata":{"labels":{"x":"y"}}}`)
	s.applyAs("somebody", configMaps, decode(t, configMap("a", "mode", "fast"))[0])
	s.mustApply(configMap("b", "new", "one"))
	child := decode(t, configMap("child", "a", "b"))[0]
	child.SetLabels(s.get(configMaps, "a").GetLabels())
	if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Create(t.Context(), child, metav1.CreateOptions{FieldManager: "operator"}); err != nil {
		t.Fatal(err)
	}
	s.patchAs("operator", configMaps, "child", `{"data":{"a":"c"}}`)
	s.remove(configMaps, "child")
	other := cluster.Target{Key: "acme/env catalog " + s.namespace, Namespace: s.namespace}
	s.applyFor(other, configMap("theirs", "a", "b"))
	s.patchAs("kubectl-edit", configMaps, "theirs", `{"data":{"a":"c"}}`) // it is told as theirs
	s.patchAs("kubectl-edit", configMaps, "sentinel", `{"data":{"k":"w"}}`)
	h.hears("ConfigMap sentinel")
}

// Kubernetes tells times to the second, so an apply within the same one may be told.
func TestOurOwnApplyIsNotHeard(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "mode", "v0"), configMap("sentinel", "k", "v"))
	h := s.listen(s.cluster, s.inventory().inventory()...)
	s.awake(h)
	was := fmt.Sprint(s.get(configMaps, "a").GetManagedFields()[0].Time)
	eventually(t, "the next second", func(context.Context) bool {
		s.mustApply(configMap("alarm", "k", "v"))
		defer s.remove(configMaps, "alarm")
		return fmt.Sprint(s.get(configMaps, "alarm").GetManagedFields()[0].Time) != was
	})
	s.mustApply(configMap("a", "mode", "v1"))
	s.patchAs("kubectl-edit", configMaps, "sentinel", `{"data":{"k":"w"}}`)
	h.hears("ConfigMap sentinel")
}

func TestMoreCanBeWatched(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	s.mustApply(configMap("sentinel", "k", "v"), deployment("web", payments+":1.6.0"))
	b := s.inventory()
	h := s.listen(s.cluster, b.inventory()[0])
	s.awake(h)
	// A kind that is not there yet is waited for.
	boat := entry(group, "Boat", s.namespace, "dinghy")
	h.Add(b.inventory()[1], boat)
	h.Add(b.inventory()...)
	eventually(t, "the trouble to be told", func(context.Context) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.troubles) == 1 && strings.Contains(fault.HintOf(h.troubles[0]), "knows no kind")
	})
	dinghy := fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\nspec: {oars: 2}\n", group)
	s.mustApply(boats(group), dinghy)
	resource := schema.GroupVersionResource{Group: group, Version: "v1", Resource: "boats"}
	eventually(t, "both to be told", func(context.Context) bool {
		s.remove(resource, "dinghy")
		s.remove(deployments, "web")
		s.mustApply(dinghy, deployment("web", payments+":1.6.0"))
		h.mu.Lock()
		defer h.mu.Unlock()
		told := strings.Join(h.told, ",")
		return strings.Contains(told, "Boat dinghy") && strings.Contains(told, "Deployment web")
	})
}

func TestAWatchOfNamespacesAlone(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("sentinel", "k", "v"), deployment("web", payments+":1.6.0"))
	user := "watcher-" + s.namespace
	s.grant(user, `{apiGroups: [""], resources: [configmaps], verbs: [list, watch]}`)
	h := s.listen(s.as(user), s.inventory().inventory()...)
	s.awake(h)
	s.patchAs("kubectl-edit", configMaps, "sentinel", `{"data":{"k":"w"}}`)
	h.hears("ConfigMap sentinel")
	eventually(t, "the trouble to be told", func(context.Context) bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.troubles) == 1 && strings.Contains(fault.HintOf(h.troubles[0]), "lacks the permission to list deployments.apps in namespace "+s.namespace)
	})
}

func TestAWatchSurvivesItsConnection(t *testing.T) {
	gone := func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusGone)
		fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"too old resource version","reason":"Expired","code":410}`)
	}
	for name, away := range map[string]deed{"the API server is away": refuse, "it is unwell": ailing, "the version has expired": gone} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(configMap("a", "mode", "fast"), configMap("b", "mode", "fast"), configMap("sentinel", "k", "v"))
			r := s.relay()
			h := s.listen(r.Cluster, s.inventory().inventory()...)
			s.awake(h)
			begun := make(chan bool, 1000)
			n := 0
			r.from(func(_ int, req *http.Request) deed {
				if n++; n > 3 {
					return nil
				}
				begun <- true
				return away
			})
			r.server.CloseClientConnections()
			<-begun // it has noticed, and does not hear of what comes now
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
			s.remove(configMaps, "b")
			h.hears("ConfigMap b", "ConfigMap a")
		})
	}
}

// A watch is a request that does not end: it must not take the place of one that does.
func TestWatchesLeaveRoomForRequests(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("sentinel", "k", "v"), deployment("web", payments+":1.6.0"))
	c, err := cluster.Open(cluster.Config{Name: "test", Kubeconfig: s.kube, InFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	h := s.listen(c, s.inventory().inventory()...)
	s.awake(h)
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

// applyFor applies as another target.
func (s *site) applyFor(target cluster.Target, yaml ...string) {
	s.t.Helper()
	if _, err := s.cluster.Apply(s.t.Context(), cluster.Run{Target: target, Objects: decode(s.t, yaml...), Ledger: newBook()}); err != nil {
		s.t.Fatal(err)
	}
}
