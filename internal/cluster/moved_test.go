package cluster_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

var (
	claims = schema.GroupVersionResource{Version: "v1", Resource: "persistentvolumeclaims"}
)

const database = `
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: data}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 1
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: db, image: "registry.example.com/acme/db:1.0.0"}]}
`

// move is a site's objects on their way from one target to another.
type move struct {
	*site
	from, to cluster.Target
	old, new *book
	asked    []string // whom it was asked of, whether it has let go of what
}

// moving is a site on which a first target has applied objects. The second one knows of
// the first that it has let go of those that gone says yes to.
func (s *site) moving(gone func(id cluster.ID) (bool, error), yaml ...string) *move {
	s.t.Helper()
	m := &move{site: s, from: s.target(), old: s.book, new: newBook()}
	m.from.Installation, m.to = "one", s.target()
	m.to.Installation, m.to.Key = "one", "acme/env renamed "+s.namespace
	m.to.LetGo = func(_ context.Context, key string, id cluster.ID) (bool, error) {
		m.asked = append(m.asked, key)
		if key != m.from.Key {
			return false, nil
		}
		return gone(id)
	}
	s.book = m.old
	if _, err := s.cluster.Apply(s.t.Context(), m.run(m.from, m.old, yaml...)); err != nil {
		s.t.Fatal(err)
	}
	return m
}

func (m *move) run(target cluster.Target, b *book, yaml ...string) cluster.Run {
	m.t.Helper()
	return cluster.Run{Target: target, Objects: decode(m.t, yaml...), Inventory: b.inventory(), Ledger: b, HashKey: []byte("a key"), Epoch: 1}
}

func (m *move) apply(yaml ...string) (cluster.Result, error) {
	m.t.Helper()
	return m.cluster.Apply(m.t.Context(), m.run(m.to, m.new, yaml...))
}

func yes(cluster.ID) (bool, error) { return true, nil }
func no(cluster.ID) (bool, error)  { return false, nil }

// managers are the field managers of Tagboat's targets on an object.
func managers(o cluster.Object) (names []string) {
	for _, e := range o.GetManagedFields() {
		if strings.HasPrefix(e.Manager, "tagboat-") {
			names = append(names, e.Manager)
		}
	}
	return names
}

// An overlay is renamed, or an object moves from one to another: what runs goes on
// running, data stays, and it is the new target's in every respect.
func TestWhatMovesIsTakenOver(t *testing.T) {
	s := newSite(t)
	before := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, gone: with-the-move}\n"
	m := s.moving(yes, before, deployment("web", payments+":1.6.0"), database)
	uids := map[string]string{}
	objects := map[string]schema.GroupVersionResource{"settings": configMaps, "web": deployments, "db": statefulSets, "data": claims}
	for name, resource := range objects {
		uids[name] = string(s.get(resource, name).GetUID())
	}

	spec := s.get(deployments, "web").Object["spec"]

	now := []string{configMap("settings", "mode", "slow"), deployment("web", payments+":1.6.0"), database}
	r, err := m.apply(now...)
	if err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	if r.Count(cluster.Configured) != 4 {
		t.Errorf("got %v", outcomes(r))
	}
	for name, resource := range objects {
		live := s.get(resource, name)
		if string(live.GetUID()) != uids[name] || live.GetAnnotations()[cluster.TargetAnnotation] != m.to.Key || live.GetLabels()[cluster.TargetLabel] != m.to.Label() {
			t.Errorf("%s is %v", name, live.Object["metadata"])
		}
		if diff := cmp.Diff([]string{m.to.FieldManager()}, managers(live)); diff != "" {
			t.Errorf("%s is managed by (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(map[string]any{"mode": "slow"}, s.get(configMaps, "settings").Object["data"]); diff != "" {
		t.Errorf("the settings (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(spec, s.get(deployments, "web").Object["spec"]); diff != "" {
		t.Errorf("what the Deployment runs has changed:\n%s", diff)
	}
	if r, err := m.apply(now...); err != nil || r.Count(cluster.Unchanged) != 4 {
		t.Errorf("the same again: %v, %v", outcomes(r), err)
	}

	// The old target finds that none of it is its own, and nobody is asked about data.
	released, err := s.cluster.Released(t.Context(), m.from, m.old.inventory())
	if err != nil || len(released) != 4 {
		t.Errorf("released are %v, %v", released, err)
	}
	pruned, err := s.cluster.Prune(t.Context(), cluster.Removal{Target: m.from, Remove: m.old.inventory(), Ledger: m.old})
	if err != nil || pruned.Count(cluster.Stays) != 4 || len(m.old.inventory()) != 0 {
		t.Errorf("the old target's prune: %+v, %v; left are %v", pruned, err, m.old.lines())
	}
}

// Where two want the same object, nobody takes it.
func TestNobodyTakesWhatAnotherTargetHasStill(t *testing.T) {
	s := newSite(t)
	m := s.moving(no, configMap("settings", "mode", "fast"))
	_, err := m.apply(configMap("settings", "mode", "fast"))
	expect(t, err, fault.Denied, "ConfigMap "+s.namespace+"/settings", m.from.Key, m.to.Key, "one overlay only")
	if live := s.get(configMaps, "settings"); live.GetAnnotations()[cluster.TargetAnnotation] != m.from.Key {
		t.Error("it was taken all the same")
	}
	if released, err := s.cluster.Released(t.Context(), m.from, m.old.inventory()); err != nil || len(released) != 0 {
		t.Errorf("released are %v, %v", released, err)
	}

	// What is gone is nobody's.
	s.remove(configMaps, "settings")
	if released, err := s.cluster.Released(t.Context(), m.from, m.old.inventory()); err != nil || len(released) != 1 {
		t.Errorf("released are %v, %v", released, err)
	}
	if _, err := s.cluster.Apply(t.Context(), m.run(m.from, m.old, configMap("settings", "mode", "fast"))); err != nil {
		t.Fatal(err)
	}

	// What cannot be found out is no yes.
	unknown := fault.Errorf(fault.Transient, "the env repo cannot be read")
	m.to.LetGo = func(context.Context, string, cluster.ID) (bool, error) { return false, unknown }
	if _, err := m.apply(configMap("settings", "mode", "fast")); !errors.Is(err, unknown) {
		t.Errorf("got %v", err)
	}
}

// Another installation is not asked: it has a database of its own, and may be alive.
func TestAnotherInstallationsObjectIsNeverTaken(t *testing.T) {
	s := newSite(t)
	m := s.moving(yes, configMap("settings", "mode", "fast"))
	m.to.Installation = "two"
	_, err := m.apply(configMap("settings", "mode", "fast"))
	expect(t, err, fault.Denied, "another installation", "one")
	if len(m.asked) > 0 {
		t.Errorf("asked about %v", m.asked)
	}
}

// What somebody else holds of an object that moves is as much theirs as before.
func TestAMoveTakesNothingFromOthers(t *testing.T) {
	s := newSite(t)
	m := s.moving(yes, configMap("settings", "mode", "fast"))
	s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":"theirs"}}`)
	_, err := m.apply(configMap("settings", "mode", "fast"))
	expect(t, err, fault.Denied, "some-operator", "data.mode")
	if live := s.get(configMaps, "settings"); mode(live) != "theirs" || live.GetAnnotations()[cluster.TargetAnnotation] != m.from.Key {
		t.Errorf("it is %v", live.Object)
	}
}

// Whatever becomes of any one request, the move comes to its end.
func TestAMoveIsTakenUpAgain(t *testing.T) {
	for _, how := range []spoiling{dropped, lost} {
		for n := 0; ; n++ {
			s := newSite(t)
			m := s.moving(yes, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, gone: with-the-move}\n")
			uid := s.get(configMaps, "settings").GetUID()
			p := s.proxied()
			reached := false
			ctx, cancel := context.WithCancel(t.Context())
			p.spoil = func(i int, _ string) spoiling {
				if i < n {
					return passed
				}
				reached = true
				cancel() // and whoever made it dies
				return how
			}
			_, _ = p.door.Apply(ctx, m.run(m.to, m.new, configMap("settings", "mode", "slow")))
			cancel()
			if _, err := m.apply(configMap("settings", "mode", "slow")); err != nil {
				t.Fatalf("%s at request %d: %v (%s)", how, n, err, fault.HintOf(err))
			}
			live := s.get(configMaps, "settings")
			if live.GetUID() != uid || !cmp.Equal(live.Object["data"], any(map[string]any{"mode": "slow"})) || !slices.Equal(managers(live), []string{m.to.FieldManager()}) {
				t.Errorf("%s at request %d: it is %v", how, n, live.Object)
			}
			if !reached {
				break
			}
		}
	}
}

// A move is taken back while it is under way: both have managed fields by then.
func TestAMoveThereAndBack(t *testing.T) {
	s := newSite(t)
	m := s.moving(yes, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, gone: with-the-move}\n")
	s.applyAs(m.to.FieldManager(), configMaps, decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, half: moved}\n")[0])
	if _, err := m.apply(configMap("settings", "mode", "slow")); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	live := s.get(configMaps, "settings")
	if diff := cmp.Diff(map[string]any{"mode": "slow"}, live.Object["data"]); diff != "" {
		t.Errorf("fields of one of the two are nobody's now (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{m.to.FieldManager()}, managers(live)); diff != "" {
		t.Errorf("it is managed by (-want +got):\n%s", diff)
	}
}

// A dry run says of a move what the sync will do.
func TestADryRunOfAMove(t *testing.T) {
	s := newSite(t)
	m := s.moving(yes, configMap("settings", "mode", "fast"))
	trial, err := s.cluster.DryRun(t.Context(), cluster.Run{Target: m.to, Objects: decode(t, configMap("settings", "mode", "slow"))}, nil)
	if err != nil || trial.Count(cluster.Configured) != 1 {
		t.Errorf("got %+v, %v", trial, err)
	}
}

// The Job that a hook of the old target left makes room for that of the new one.
func TestAHookMoves(t *testing.T) {
	s := newSite(t)
	hook := job("migrate", payments+":1", before)
	m := s.moving(yes, hook, configMap("settings", "mode", "fast"))
	was := s.get(jobs, "migrate").GetUID()
	if _, err := m.apply(hook, configMap("settings", "mode", "slow")); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	if live := s.get(jobs, "migrate"); live == nil || live.GetUID() == was || live.GetAnnotations()[cluster.TargetAnnotation] != m.to.Key {
		t.Errorf("the Job is %v", live)
	}
}
