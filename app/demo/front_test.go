package demo

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// front stands before the API server of dev and staging, so that a story can do something
// at any request of Tagboat's about objects.
type front struct {
	t      testing.TB
	server *httptest.Server
	pass   *httputil.ReverseProxy
	closed atomic.Bool

	mu    sync.Mutex
	asked int
	at    func(n int, w http.ResponseWriter, r *http.Request) (done bool) // nil: nothing
}

// newFront is one that nobody goes through yet.
func (s *scene) newFront() *front {
	s.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.w.planes[0].Kubeconfig)
	s.must(err)
	transport, err := rest.TransportFor(config)
	s.must(err)
	server, err := url.Parse(config.Host)
	s.must(err)
	f := &front{t: s.T, pass: httputil.NewSingleHostReverseProxy(server)}
	f.pass.Transport = transport
	f.pass.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) } // the client has gone
	f.server = httptest.NewServer(f)
	s.Cleanup(f.close)
	return f
}

// close ends it, whoever watches through it: they come again as soon as their connection
// is closed, and would hold it up.
func (f *front) close() {
	f.closed.Store(true)
	f.server.CloseClientConnections()
	f.server.Close()
}

func TestAFrontClosesWhileItIsWatched(t *testing.T) {
	watched := make(chan struct{}, 1)
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		select {
		case watched <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer api.Close()
	server, err := url.Parse(api.URL)
	if err != nil {
		t.Fatal(err)
	}
	f := &front{t: t, pass: httputil.NewSingleHostReverseProxy(server)}
	f.server = httptest.NewServer(f)
	var watching sync.WaitGroup
	defer watching.Wait()
	over, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 8 {
		watching.Go(func() {
			for over.Err() == nil {
				req, err := http.NewRequestWithContext(over, http.MethodGet, f.server.URL+"/api/v1/configmaps?watch=true", nil)
				if err != nil {
					t.Error(err)
					return
				}
				if resp, err := http.DefaultClient.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			}
		})
	}
	<-watched
	f.close()
}

// frontBefore has Tagboat reach the clusters of environments, which are one, through a
// front.
func (s *scene) frontBefore(environments ...string) *front {
	s.Helper()
	f := s.newFront()
	s.w.Tagboat.Kill()
	for _, env := range environments {
		s.must(os.WriteFile(filepath.Join(s.w.dir, env+".kubeconfig"), kubeconfig(f.server.URL), 0o600))
	}
	s.must(s.w.Tagboat.Start(s.ctx))
	return f
}

// kubeconfig is one for a server that wants no credentials.
func kubeconfig(server string) []byte {
	return fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: nobody-asks}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, server)
}

// ServeHTTP passes requests on. Only those about objects are counted: when the kinds are
// asked for, and how often a watch is begun, is another matter.
func (f *front) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	about := strings.Contains(r.URL.Path, "/namespaces/") || query.Has("labelSelector")
	r.Header.Del("Authorization")
	if f.closed.Load() {
		panic(http.ErrAbortHandler)
	}
	if about && !query.Has("watch") {
		f.mu.Lock()
		f.asked++
		n, at := f.asked, f.at
		f.mu.Unlock()
		if at != nil && at(n, w, r) {
			return
		}
	}
	f.pass.ServeHTTP(w, r)
}

// each has something done at each request, counted from 1; it reports whether the request
// is answered by that.
func (f *front) each(at func(n int, w http.ResponseWriter, r *http.Request) (done bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked, f.at = 0, at
}

// lose does what a request asks for, and breaks the connection instead of the answer.
func (f *front) lose(r *http.Request) {
	f.pass.ServeHTTP(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

// writes reports whether a request changes something.
func writes(r *http.Request) bool {
	return r.Method != http.MethodGet && !r.URL.Query().Has("dryRun")
}

var configMaps = schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}

// byHand is kubectl for the cluster of dev and staging.
func (s *scene) byHand(resource schema.GroupVersionResource, namespace string) dynamic.ResourceInterface {
	s.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", s.w.planes[0].Kubeconfig)
	s.must(err)
	door, err := dynamic.NewForConfig(config)
	s.must(err)
	if namespace == "" {
		return door.Resource(resource)
	}
	return door.Resource(resource).Namespace(namespace)
}

func object(text string) *unstructured.Unstructured {
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON([]byte(text)); err != nil {
		panic(err) // it stands in a test
	}
	return o
}

// settings are ConfigMaps by their names, and the value that each has.
type settings map[string]string

// yaml is what stands in Git.
func (c settings) yaml() string {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(c)) {
		fmt.Fprintf(&b, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {is: %q}\n", name, c[name])
	}
	return b.String()
}

// inGit gives payments in dev some settings beside what it has.
func (s *scene) inGit(message string, c settings, more ...string) {
	s.Helper()
	const overlay = "apps/payments/overlays/dev/"
	files := map[string]string{overlay + "settings.yaml": c.yaml() + strings.Join(more, "\n")}
	text := s.on("main", overlay+"kustomization.yaml")
	if !strings.Contains(text, "settings.yaml") {
		files[overlay+"kustomization.yaml"] = strings.Replace(text, "  - ../../base\n", "  - ../../base\n  - settings.yaml\n", 1)
	}
	s.pushMain(message, files)
}

// has wants dev to be healthy with what is in Git, and the cluster and the inventory to
// have exactly these settings of payments.
func (s *scene) has(c settings) error {
	head, err := s.w.GitHub.Head(envRepo, "main")
	if err != nil {
		return err
	}
	if err := s.w.none(s.ctx, `SELECT count(*) FROM target WHERE app = 'payments' AND env = 'dev' AND NOT gone
		AND NOT (state = 'healthy' AND got = want AND commit_sha = $1)`, head); err != nil {
		return fmt.Errorf("dev is not there yet: %w", err)
	}
	if err := s.shows(c); err != nil {
		return err
	}
	known, err := s.w.count(s.ctx, `SELECT count(*) FROM inventory i JOIN target t ON t.id = i.target_id
		WHERE t.app = 'payments' AND t.env = 'dev' AND t.cluster = 'dev' AND i.kind = 'ConfigMap' AND i.state = 'written' AND i.name = ANY ($1)`, slices.Collect(maps.Keys(c)))
	if err != nil {
		return err
	}
	all, err := s.w.count(s.ctx, `SELECT count(*) FROM inventory i JOIN target t ON t.id = i.target_id
		WHERE t.app = 'payments' AND t.env = 'dev' AND t.cluster = 'dev' AND i.kind = 'ConfigMap'`)
	if err == nil && (known != len(c) || all != len(c)) {
		err = fmt.Errorf("the inventory has %d ConfigMaps, of which %d of these %d are written", all, known, len(c))
	}
	return err
}

// shows wants the cluster to have exactly these settings of payments.
func (s *scene) shows(c settings) error {
	list, err := s.byHand(configMaps, s.w.Namespaces["dev"]).List(s.ctx, metav1.ListOptions{LabelSelector: "tagboat.dev/target"})
	if err != nil {
		return err
	}
	live := settings{}
	for _, o := range list.Items {
		if strings.HasPrefix(o.GetName(), "foreign") {
			continue
		}
		live[o.GetName()], _, _ = unstructured.NestedString(o.Object, "data", "is")
	}
	if live.yaml() != c.yaml() {
		return fmt.Errorf("the cluster has %v, not %v", live, c)
	}
	return nil
}
