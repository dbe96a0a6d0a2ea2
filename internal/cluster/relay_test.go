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
	requests []request // without those for the kinds
	meddle   func(n int, r request) deed
}

// request is one that is about objects.
type request struct {
	*http.Request
	what string // "LIST configmaps", "DRYRUN configmaps", "WRITE configmaps", …
}

func (r request) String() string { return r.Method + " " + r.URL.Path } // "GET /api/v1/namespaces/x/configmaps/y"

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

func tooMany(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
	w.Header().Set("Retry-After", "0")
	http.Error(w, "too many", http.StatusTooManyRequests)
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
	what, counted := requestName(req)
	if !counted {
		return nil
	}
	r.mu.Lock()
	one := request{req, what}
	r.requests = append(r.requests, one)
	n, meddle := len(r.requests), r.meddle
	r.mu.Unlock()
	if meddle == nil {
		return nil
	}
	return meddle(n, one)
}

// requestName says what a request is, and whether it is one about objects.
func requestName(r *http.Request) (string, bool) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	switch {
	case len(parts) > 2 && parts[0] == "api":
		parts = parts[2:]
	case len(parts) > 3 && parts[0] == "apis":
		parts = parts[3:]
	default:
		return "", false // discovery
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	resource, named := parts[0], len(parts) > 1
	verb := r.Method
	switch {
	case r.URL.Query().Has("dryRun"):
		verb = "DRYRUN"
	case r.Method == http.MethodPatch, r.Method == http.MethodPost:
		verb = "WRITE"
	case r.Method == http.MethodGet && !named:
		verb = "LIST"
	}
	return verb + " " + resource, true
}

// taken are the requests so far, which it forgets.
func (r *relay) taken() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	defer func() { r.requests = nil }()
	return r.requests
}

// asked are the requests so far, which it forgets, as they were made.
func (r *relay) asked() (lines []string) {
	for _, one := range r.taken() {
		lines = append(lines, one.String())
	}
	return lines
}

// from has something done at each request from now on, counted from 1, one at a time.
func (r *relay) from(meddle func(n int, req *http.Request) deed) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests, r.meddle = nil, nil
	if meddle == nil {
		return
	}
	var turn sync.Mutex
	r.meddle = func(n int, req request) deed {
		turn.Lock()
		defer turn.Unlock()
		return meddle(n, req.Request)
	}
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
