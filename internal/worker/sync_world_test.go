package worker

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/store"
)

var (
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
	pods        = schema.GroupVersionResource{Version: "v1", Resource: "pods"}
)

// harbour is an env repo whose prod is a namespace of a real control plane, and a worker
// that brings payments there.
type harbour struct {
	*talk
	namespace string
	live      dynamic.Interface // as a person with kubectl
	ahead     atomic.Int64      // how far the worker's clock and the cluster's are ahead
}

func newHarbour(t *testing.T, clusters ...string) *harbour {
	t.Helper()
	plane, namespace := planes.For(t)
	h := &harbour{talk: newTalk(t, false), namespace: namespace}
	access, err := clientcmd.BuildConfigFromFlags("", plane.Kubeconfig)
	must(t, err)
	h.live, err = dynamic.NewForConfig(access)
	must(t, err)
	pool := render.NewPool(render.Options{Workers: 1})
	t.Cleanup(func() { must(t, pool.Close()) })
	c := h.worker.Config
	c.Render, c.Now, c.HealthTimeout, c.Installation, c.InventoryKey = render.NewCache(pool, renderingsKept), h.now, 5*time.Minute, namespace, []byte("key")
	c.Clusters = map[string]*cluster.Cluster{}
	for _, name := range append(clusters, "prod") {
		config := plane.Config(name)
		config.Now = h.now
		c.Clusters[name], err = cluster.Open(config)
		must(t, err)
	}
	h.worker = New(c)
	var named []store.NewTarget
	for i, name := range append(clusters, "prod") {
		named = append(named, store.NewTarget{App: "payments", Env: "prod", Cluster: name, Branch: "main", Wave: i + 1})
	}
	must(t, c.Store.KeepTargets(t.Context(), h.envRepo().ID, h.releases("1.0.0"), named, syncJob))
	return h
}

func (h *harbour) now() time.Time       { return time.Now().Add(time.Duration(h.ahead.Load())) }
func (h *harbour) pass(d time.Duration) { h.ahead.Add(int64(d)) }

// releases has somebody push an overlay that runs a tag.
func (h *harbour) releases(tag string) (commit string) {
	h.Helper()
	commit, err := h.sim.As("alice").Push(h.repo, "main", "payments "+tag, map[string]string{
		paymentsProd: "namespace: " + h.namespace + "\nresources: [payments.yaml]\nimages:\n  - {name: payments, newName: registry.example.com/payments, newTag: " + tag + "}\n",
		"apps/payments/overlays/prod/payments.yaml": "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: payments}\nspec:\n  replicas: 1\n  selector: {matchLabels: {app: payments}}\n  template:\n    metadata: {labels: {app: payments}}\n    spec: {containers: [{name: web, image: payments}]}\n",
	})
	must(h.T, err)
	return commit
}

// target is what is known of payments in a cluster of prod.
func (h *harbour) target(name string) store.Target {
	h.Helper()
	all, err := h.worker.Store.TargetsOfPair(h.Context(), h.envRepo().ID, "payments", "prod")
	must(h.T, err)
	for _, t := range all {
		if t.Cluster == name {
			return t
		}
	}
	h.Fatalf("payments has no target in %s", name)
	return store.Target{}
}

// attempt is one attempt on payments in prod, and what is known afterwards.
func (h *harbour) attempt() (store.Target, error) {
	h.Helper()
	_, err := h.worker.attempt(h.Context(), h.target("prod").ID, 1)
	return h.target("prod"), err
}

// brings wants an attempt to bring a version that gets healthy.
func (h *harbour) brings() store.Target {
	h.Helper()
	t, err := h.attempt()
	must(h.T, err)
	if t.State != store.TargetHealthy {
		h.Fatalf("payments is %s in prod: %s", t.State, t.Message)
	}
	return t
}

// ready has the kubelet say of payments' pods whether they are ready.
func (h *harbour) ready(is bool) {
	h.Helper()
	ctx := h.Context()
	status := map[bool]string{true: "True", false: "False"}[is]
	list, err := h.live.Resource(pods).Namespace(h.namespace).List(ctx, metav1.ListOptions{LabelSelector: "app=payments"})
	must(h.T, err)
	patch := fmt.Sprintf(`{"status": {"conditions": [{"type": "Ready", "status": %[1]q}, {"type": "ContainersReady", "status": %[1]q}]}}`, status)
	for _, pod := range list.Items {
		_, err := h.live.Resource(pods).Namespace(h.namespace).Patch(ctx, pod.GetName(), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{}, "status")
		must(h.T, err)
	}
	h.until("its pods are ready: "+status, func() bool {
		d, err := h.live.Resource(deployments).Namespace(h.namespace).Get(ctx, "payments", metav1.GetOptions{})
		must(h.T, err)
		n, _, _ := unstructured.NestedInt64(d.Object, "status", "readyReplicas")
		return n > 0 == is
	})
}

// until waits for something.
func (h *harbour) until(what string, is func() bool) {
	h.Helper()
	for deadline := time.Now().Add(3 * time.Minute); !is(); {
		if time.Now().After(deadline) {
			h.Fatalf("it does not happen that %s", what)
		}
		select {
		case <-h.Context().Done():
			h.Fatal("the test is over")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// taken is an attempt on payments in prod that is under way, with what it would bring.
func (h *harbour) taken() (context.Context, *attempt, syncing) {
	h.Helper()
	ctx, a, err := h.worker.take(h.Context(), h.target("prod").ID)
	must(h.T, err)
	h.Cleanup(func() { a.end(context.Background()) })
	s, err := h.worker.rendered(ctx, a.target)
	must(h.T, err)
	is := s.reached
	s.reached = stays(a.target)
	s.reached.Commit, s.reached.State, s.reached.Message = is.Commit, a.target.State, a.target.Message
	return ctx, a, s
}

// From the moment that pods are seen not to be ready, nobody builds on their health. A
// moment without them does not break the time for which a version is healthy.
func TestWhatIsNotReadyIsNotBuiltOn(t *testing.T) {
	h := newHarbour(t)
	was := h.brings()
	h.pass(lookAgain)
	h.ready(false)
	looked := make(chan error)
	go func() {
		_, err := h.worker.attempt(h.Context(), was.ID, 1)
		looked <- err
	}()
	h.pass(unready)
	h.until("prod is seen not to be ready", func() bool {
		is := h.target("prod")
		return !store.Seen(is, h.now()) && strings.HasPrefix(is.Message, notReady) && strings.Contains(is.Message, "Deployment")
	})
	h.ready(true)
	must(t, <-looked)
	if is := h.target("prod"); is.State != store.TargetHealthy || is.Message != "" || !is.HealthySince.Equal(*was.HealthySince) {
		t.Errorf("it is %s (%s), healthy since %s, not %s", is.State, is.Message, is.HealthySince, was.HealthySince)
	}
}

// What does not get ready again for as long as a rollout may take has failed. Until then
// it is looked at in turns.
func TestWhatDoesNotGetReadyAgainFails(t *testing.T) {
	h := newHarbour(t)
	h.brings()
	h.ready(false)
	look := func() store.Reached {
		t.Helper()
		ctx, a, s := h.taken()
		must(t, h.worker.tend(ctx, a, &s, time.Second))
		must(t, h.worker.Store.FinishSync(ctx, a.target, 0, s.reached, afterSync()))
		a.end(ctx)
		return s.reached
	}
	if r := look(); r.State != store.TargetWaiting || r.Ill || !strings.HasPrefix(r.Message, notReady) {
		t.Errorf("at first it is %s: %s", r.State, r.Message)
	}
	h.pass(h.worker.HealthTimeout)
	if r := look(); r.State != store.TargetFailed || !r.Ill || !strings.HasPrefix(r.Message, "It was healthy until 20") {
		t.Errorf("at last it is %s: %s", r.State, r.Message)
	}
}

// Pods may take minutes to follow a change that somebody makes past Git. It is told at
// once.
func TestAChangeIsToldBeforeItsPodsAreReady(t *testing.T) {
	h := newHarbour(t)
	h.brings()
	_, err := h.live.Resource(deployments).Namespace(h.namespace).Patch(t.Context(), "payments", types.MergePatchType, []byte(`{"spec": {"replicas": 2, "minReadySeconds": 300}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"})
	must(t, err)
	ctx, a, s := h.taken()
	must(t, h.worker.tend(ctx, a, &s, time.Second))
	is := h.target("prod") // and the look has not come to its end
	if s.reached.State == store.TargetHealthy || is.DriftCode == "" || len(is.Notes) != 1 || !strings.Contains(is.Notes[0], "spec.replicas is 2 and should be 1, by kubectl-edit") {
		t.Errorf("while it is %s, the board says %q", s.reached.State, is.Notes)
	}
	drifts := func() (open int) {
		must(t, h.worker.Store.Pool().QueryRow(ctx, "SELECT count(*) FROM drift").Scan(&open))
		return open
	}
	must(t, h.worker.Store.FinishSync(ctx, a.target, 0, s.reached, afterSync()))
	if n := drifts(); n != 1 {
		t.Errorf("it is told as %d changes", n)
	}
}

// An env repo that cannot be read for a while says nothing about what runs.
func TestGitHubIsAwayAndTheClusterIsNot(t *testing.T) {
	h := newHarbour(t)
	was := h.brings()
	h.releases("1.1.0")
	var away atomic.Bool
	away.Store(true)
	h.sim.Inject(githubsim.Fault{Match: func(githubsim.Request) bool { return away.Load() }, Status: http.StatusBadGateway})
	for range 2 {
		is, err := h.attempt()
		if err == nil || is.State != store.TargetHealthy || !is.HealthySince.Equal(*was.HealthySince) || len(is.Notes) != 1 || !strings.HasPrefix(is.Notes[0], postponed) {
			t.Fatalf("it is %s (%s), with notes %q: %v", is.State, is.Message, is.Notes, err)
		}
	}
	away.Store(false)
	if is := h.brings(); is.Tag != "1.1.0" || len(is.Notes) != 0 {
		t.Errorf("when GitHub is back, %s runs, with notes %q", is.Tag, is.Notes)
	}
}

// A rollout that ends ill has looked at nothing else: what waited for a yes waits on.
func TestAnIllRolloutForgetsNothing(t *testing.T) {
	h := newHarbour(t)
	is := h.brings()
	reached := stays(is)
	reached.State, reached.Surplus, reached.SurplusCode = is.State, []byte(`{"why": ["many"]}`), "0123456789ab"
	must(t, h.worker.Store.FinishSync(t.Context(), is, 0, reached, afterSync()))
	h.worker.HealthTimeout = time.Second
	h.releases("stuck1")
	if is, err := h.attempt(); err != nil || is.State != store.TargetFailed || is.SurplusCode != "0123456789ab" {
		t.Errorf("it is %s (%s), and %q waits: %v", is.State, is.Message, is.SurplusCode, err)
	}
}

// What has failed is tried again and again, and never for so long that others wait.
func TestWhatHasFailedIsTriedShortly(t *testing.T) {
	for _, c := range []struct {
		story string
		t     store.Target
		want  time.Duration
	}{
		{"the same has failed before", store.Target{Ill: true, RenderedHash: "a"}, lookIn},
		{"something else has failed before", store.Target{Ill: true, RenderedHash: "b"}, time.Hour},
		{"an attempt was broken off", store.Target{RenderedHash: "a"}, time.Hour},
	} {
		if got := patienceFor(c.t, "a", time.Hour); got != c.want {
			t.Errorf("%s: it is waited for %s", c.story, got)
		}
	}
}

// A cluster that is in the middle of a version must not be left with a half of it because
// a newer one has come whose turn it is not yet.
func TestAHalfIsFinishedBeforeWaitingForATurn(t *testing.T) {
	h := newHarbour(t, "first")
	_, err := h.sim.As("carol").Push(h.repo, "main", "Waves", map[string]string{"tagboat.yaml": strings.Replace(talkedAbout, "{name: prod, clusters: [prod],", "{name: prod, clusters: [first, prod], waves: [{clusters: [first]}, {clusters: [prod]}],", 1)})
	must(t, err)
	first := h.target("first")
	s, err := h.worker.rendered(t.Context(), first)
	must(t, err)
	s.reached.State = store.TargetHealthy
	must(t, h.worker.Store.FinishSync(t.Context(), first, 0, s.reached, afterSync()))

	ctx, a, s := h.taken()
	s, err = h.worker.rendered(ctx, a.target)
	must(t, err)
	a.brings(s)
	old := func() bool {
		t.Helper()
		old, err := (*a.newer.Load())(ctx)
		must(t, err)
		return old
	}
	h.releases("1.1.0")
	if old() {
		t.Error("the attempt is broken off for a version that the first wave has not")
	}
	first = h.target("first")
	s, err = h.worker.rendered(ctx, first)
	must(t, err)
	s.reached.State = store.TargetHealthy
	must(t, h.worker.Store.FinishSync(ctx, first, 0, s.reached, afterSync()))
	if !old() {
		t.Error("the first wave has the newer version, and the attempt goes on")
	}
}
