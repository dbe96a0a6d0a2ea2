package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
)

// crowd is twenty ConfigMaps, ten Services and five Deployments.
func crowd() (set []string) {
	for i := range 20 {
		set = append(set, configMap(fmt.Sprintf("settings-%d", i), "mode", "fast"))
	}
	for i := range 10 {
		set = append(set, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: web-%d}\nspec: {ports: [{port: 80}]}\n", i))
	}
	for i := range 5 {
		set = append(set, deployment(fmt.Sprintf("web-%d", i), payments+":1.6.0"))
	}
	return set
}

// lookAt is one look at objects, as a sync takes it of what it has not applied just now.
func (p *proxy) lookAt(objects []cluster.Object) cluster.Health {
	p.s.t.Helper()
	p.count()
	health, err := p.door.Wait(p.s.t.Context(), objects, cluster.WaitOptions{Target: p.s.target(), Timeout: 3 * time.Minute, Poll: 50 * time.Millisecond})
	if err != nil {
		p.s.t.Fatal(err)
	}
	return health
}

func (p *proxy) expect(when string, want map[string]int) {
	p.s.t.Helper()
	if diff := cmp.Diff(want, p.count()); diff != "" {
		p.s.t.Errorf("%s, requests (-want +got):\n%s", when, diff)
	}
}

// Looking whether many objects are healthy costs one LIST for each kind, however many
// there are. What somebody has deleted is noticed all the same.
func TestALookAtManyObjects(t *testing.T) {
	s := newSite(t)
	s.mustBeHealthy(s.mustApply(crowd()...))
	p := s.proxied()
	rendered := decode(t, crowd()...)
	for _, o := range rendered {
		o.SetNamespace(s.namespace)
	}
	lists := map[string]int{"LIST configmaps": 1, "LIST services": 1, "LIST deployments": 1}
	if health := p.lookAt(rendered); !health.Healthy || len(health.Objects) != 35 {
		t.Errorf("it is not healthy: %s", health.Reason)
	}
	p.expect("all is well", lists)

	// A label that somebody has removed does not make an object one that is gone.
	s.patchAs("kubectl-edit", services, "web-0", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)
	s.remove(configMaps, "settings-3")
	s.remove(services, "web-4")
	health := p.lookAt(rendered)
	if health.Healthy || !strings.Contains(health.Reason, "settings-3: it is gone") || !strings.Contains(health.Reason, "web-4: it is gone") || strings.Contains(health.Reason, "web-0") {
		t.Errorf("got %q", health.Reason)
	}
	p.expect("two are gone, and one has no label", map[string]int{"LIST configmaps": 1, "LIST services": 1, "LIST deployments": 1, "GET configmaps": 1, "GET services": 2,
		"GET namespaces": 1}) // whether it takes what is gone with it
}

// A sync that changes one object of many makes three requests beside the LIST of each kind:
// it tries the change, makes it, and looks at what controllers work on.
func TestRequestsOfASyncThatChangesOneObject(t *testing.T) {
	s := newSite(t)
	set := crowd()[:30]
	s.mustBeHealthy(s.mustApply(set...))
	p := s.proxied()
	set[0] = configMap("settings-0", "mode", "slow")
	r, err := p.door.Apply(t.Context(), s.run(set...))
	if err != nil {
		t.Fatal(err)
	}
	health, err := p.door.Wait(t.Context(), r.Objects(), cluster.WaitOptions{Target: s.target()})
	if err != nil || !health.Healthy || len(health.Objects) != 30 {
		t.Fatalf("%v: %s", err, health.Reason)
	}
	p.expect("one has changed", map[string]int{"LIST configmaps": 1, "LIST services": 2, "DRYRUN configmaps": 1, "WRITE configmaps": 1})
}

// What is being deleted is not healthy, of whatever kind it is.
func TestALookAtWhatIsOnItsWayOut(t *testing.T) {
	s := newSite(t)
	s.mustApply(crowd()[:20]...)
	s.patchAs("somebody", configMaps, "settings-7", `{"metadata":{"finalizers":["example.com/hold"]}}`)
	defer s.patchAs("somebody", configMaps, "settings-7", `{"metadata":{"finalizers":null}}`)
	if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings-7", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	rendered := decode(t, crowd()[:20]...)
	for _, o := range rendered {
		o.SetNamespace(s.namespace)
	}
	if health := s.proxied().lookAt(rendered); health.Healthy || !strings.Contains(health.Reason, "settings-7: it is being deleted") {
		t.Errorf("got %q", health.Reason)
	}
}

var services = schema.GroupVersionResource{Version: "v1", Resource: "services"}

// cutShort is a wait whose time is up in the middle of the look that comes after some. Those
// are given as long as the machine takes for them.
func (s *site) cutShort(after int32, result cluster.Result) (cluster.Health, error) {
	s.t.Helper()
	for timeout := 2 * time.Second; ; timeout *= 2 {
		p := s.proxied()
		over := make(chan struct{})
		var looks atomic.Int32
		p.spoil = func(_ int, what string) spoiling {
			if what == "LIST pods" && looks.Add(1) > after {
				<-over
			}
			return passed
		}
		health, err := p.door.Wait(s.t.Context(), result.Objects(), cluster.WaitOptions{Target: s.target(), Timeout: timeout,
			SameImage: func(context.Context, string, string, string) (bool, error) {
				return false, errors.New("the registry is away")
			}})
		close(over)
		if looks.Load() > after {
			return health, err
		}
		if timeout > time.Minute {
			s.t.Fatalf("no more than %d looks within %s: %+v", looks.Load(), timeout, health)
		}
	}
}

// A look that is not finished when the time is up proves nothing: a workload whose pods
// nobody has looked at is not healthy. What an earlier look knew of them is told.
func TestALookThatIsNotFinishedInTime(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":1.6.0@"+digest("a")))
	s.mustBeHealthy(result)
	s.reportOnPods(2, "app=web", "Running", runningAs(payments+"@"+digest("b")))
	for _, tt := range []struct {
		name  string
		looks int32 // that are finished
		want  string
	}{
		{"the first one", 0, "what its pods run could not be looked at in time"},
		{"a later one", 1, "container web runs sha256:bbbbbbbbbbbb; whether that belongs to sha256:aaaaaaaaaaaa, which was applied, could not be found out"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			health, err := s.cutShort(tt.looks, result)
			if err != nil || health.Healthy || !strings.Contains(health.Reason, tt.want) {
				t.Errorf("got %+v, %v, want ... %q", health, err, tt.want)
			}
		})
	}
}
