package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
)

var shared clustertest.Shared

func TestMain(m *testing.M) {
	code := m.Run()
	shared.Stop()
	os.Exit(code)
}

// site is one test's place in the control plane: a namespace, our door to it,
// and another client that plays everybody else.
type site struct {
	t         *testing.T
	kube      string // path of the kubeconfig
	namespace string
	cluster   *cluster.Cluster
	others    dynamic.Interface
	config    *rest.Config
	transport http.RoundTripper // with the config's credentials
	book      *book             // the target's ledger
}

func newSite(t *testing.T) *site {
	t.Helper()
	cp, namespace := shared.For(t)
	c, err := cluster.Open(cp.Config("test"))
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	others, err := dynamic.NewForConfig(cfg)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return &site{t: t, kube: cp.Kubeconfig, namespace: namespace, cluster: c, others: others, config: cfg, transport: transport, book: newBook()}
}

func (s *site) target() cluster.Target {
	return cluster.Target{Key: "acme/env " + s.namespace, Namespace: s.namespace}
}

func decode(t *testing.T, yaml ...string) []cluster.Object {
	t.Helper()
	objects, err := cluster.Decode([]byte(strings.Join(yaml, "\n---\n")))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func (s *site) apply(yaml ...string) (cluster.Result, error) {
	s.t.Helper()
	return s.cluster.Apply(s.t.Context(), s.run(yaml...))
}

func (s *site) mustApply(yaml ...string) cluster.Result {
	s.t.Helper()
	result, err := s.apply(yaml...)
	if err != nil {
		s.t.Fatal(err)
	}
	return result
}

func (s *site) wait(r cluster.Result, o cluster.WaitOptions) cluster.Health {
	s.t.Helper()
	if o.Timeout == 0 {
		o.Timeout = 3 * time.Minute
	}
	o.Poll = 50 * time.Millisecond
	health, err := s.cluster.Wait(s.t.Context(), r.Objects(), o)
	if err != nil {
		s.t.Fatal(err)
	}
	return health
}

// waitInVain waits for what does not get healthy until the time is up: a second, or as long
// as the machine takes for one look.
func (s *site) waitInVain(r cluster.Result, o cluster.WaitOptions) cluster.Health {
	s.t.Helper()
	for o.Timeout = time.Second; ; o.Timeout *= 2 {
		began, looked := time.Now(), false
		o.Progress = func(string) { looked = looked || time.Since(began) < o.Timeout }
		health := s.wait(r, o)
		switch {
		case !health.TimeUp:
			s.t.Fatalf("it ended before the time was up: %+v", health)
		case looked:
			return health
		case o.Timeout > time.Minute:
			s.t.Fatalf("no look came to its end within %s: %+v", o.Timeout, health)
		}
	}
}

func (s *site) mustBeHealthy(r cluster.Result) {
	s.t.Helper()
	if health := s.wait(r, cluster.WaitOptions{}); !health.Healthy {
		s.t.Fatalf("not healthy: %s", health.Reason)
	}
}

// expect fails the test unless err is of the kind and its hint has all the words.
func expect(t *testing.T, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("got %v (%s), want %s", err, fault.KindOf(err), kind)
	}
	for _, word := range words {
		if !strings.Contains(fault.HintOf(err), word) {
			t.Errorf("the hint does not say %q: %s", word, fault.HintOf(err))
		}
	}
}

var (
	configMaps  = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

// get reads an object past our door; nil where there is none.
func (s *site) get(resource schema.GroupVersionResource, name string) cluster.Object {
	s.t.Helper()
	found, err := s.others.Resource(resource).Namespace(s.namespace).List(s.t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=" + name})
	if err != nil {
		s.t.Fatal(err)
	}
	if len(found.Items) == 0 {
		return nil
	}
	return &found.Items[0]
}

// applyAs is somebody else's server-side apply, by force.
func (s *site) applyAs(manager string, resource schema.GroupVersionResource, o cluster.Object) {
	s.t.Helper()
	_, err := s.others.Resource(resource).Namespace(s.namespace).Apply(s.t.Context(), o.GetName(), o,
		metav1.ApplyOptions{FieldManager: manager, Force: true})
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) patchAs(manager string, resource schema.GroupVersionResource, name, mergePatch string) {
	s.t.Helper()
	_, err := s.others.Resource(resource).Namespace(s.namespace).Patch(s.t.Context(), name, types.MergePatchType,
		[]byte(mergePatch), metav1.PatchOptions{FieldManager: manager})
	if err != nil {
		s.t.Fatal(err)
	}
}

// passOn hands a request to the control plane, with the administrator's rights.
func (s *site) passOn(w http.ResponseWriter, r *http.Request) {
	server, err := url.Parse(s.config.Host)
	if err != nil {
		s.t.Error(err)
		return
	}
	proxy := httputil.NewSingleHostReverseProxy(server)
	proxy.Transport = s.transport
	r.Header.Del("Authorization")
	proxy.ServeHTTP(w, r)
}

// eventually polls until done says true.
func eventually(t *testing.T, what string, done func(context.Context) bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	for !done(ctx) {
		select {
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func digest(hex string) string { return "sha256:" + strings.Repeat(hex, 64) }

func configMap(name, key, value string) string {
	return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {%s: %q}\n", name, key, value)
}

func deployment(name, image string) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  replicas: 2
  selector: {matchLabels: {app: %[1]s}}
  template:
    metadata: {labels: {app: %[1]s}}
    spec:
      containers:
      - {name: web, image: %[2]q}
`, name, image)
}
