package cluster_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
)

// relay stands between Tagboat and the API server. It counts the requests, and may
// answer in its place, or lose an answer.
type relay struct {
	*cluster.Cluster
	server *httptest.Server

	mu       sync.Mutex
	requests []string // "GET /api/v1/namespaces/x/configmaps/y", without those for the kinds
	meddle   func(n int, r *http.Request) deed
}

// deed is what becomes of a request.
type deed func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter, *http.Request))

func refuse(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
	panic(http.ErrAbortHandler) // the API server never hears of it
}

func loseAnswer(_ http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter, *http.Request)) {
	pass(httptest.NewRecorder(), r)
	panic(http.ErrAbortHandler)
}

func ailing(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
	http.Error(w, "no leader", http.StatusInternalServerError)
}

func (s *site) relay() *relay {
	s.t.Helper()
	r := &relay{}
	r.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if do := r.note(req); do != nil {
			do(w, req, s.passOn)
			return
		}
		s.passOn(w, req)
	}))
	s.t.Cleanup(func() {
		r.server.CloseClientConnections() // a watch would hold it up
		r.server.Close()
	})
	r.Cluster = open(s.t, r.server.URL)
	return r
}

func (r *relay) note(req *http.Request) deed {
	r.mu.Lock()
	defer r.mu.Unlock()
	parts := strings.Split(strings.Trim(req.URL.Path, "/"), "/")
	if parts[0] == "version" || parts[0] == "api" && len(parts) < 3 || parts[0] == "apis" && len(parts) < 4 {
		return nil
	}
	r.requests = append(r.requests, req.Method+" "+req.URL.Path)
	if r.meddle == nil {
		return nil
	}
	return r.meddle(len(r.requests), req)
}

// asked are the requests so far, which it forgets.
func (r *relay) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.requests = nil }()
	return r.requests
}

func (r *relay) from(meddle func(n int, req *http.Request) deed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.meddle = nil, meddle
}

// inventory reads what the site's target has off the cluster.
func (s *site) inventory() *book {
	s.t.Helper()
	return s.inventoryOf(s.target())
}

func (s *site) inventoryOf(target cluster.Target) *book {
	s.t.Helper()
	found, err := s.cluster.Rebuild(s.t.Context(), target, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	b := newBook()
	if err := b.Keep(s.t.Context(), found.Entries); err != nil {
		s.t.Fatal(err)
	}
	return b
}

// as opens the cluster as a user who may do nothing but what roles say.
func (s *site) as(user string) *cluster.Cluster {
	s.t.Helper()
	raw, err := clientcmd.LoadFromFile(s.kube)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, u := range raw.AuthInfos {
		u.Impersonate = user
	}
	data, err := clientcmd.Write(*raw)
	if err != nil {
		s.t.Fatal(err)
	}
	c, err := cluster.Open(cluster.Config{Name: "test", KubeconfigData: data})
	if err != nil {
		s.t.Fatal(err)
	}
	return c
}
