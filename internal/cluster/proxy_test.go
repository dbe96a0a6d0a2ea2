package cluster_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"

	"github.com/tagboat/tagboat/internal/cluster"
)

// proxy stands between our door and the control plane. It counts, and it spoils
// answers.
type proxy struct {
	s      *site
	server *httptest.Server
	door   *cluster.Cluster

	mu    sync.Mutex
	asked []string // "LIST configmaps", "DRYRUN configmaps", "WRITE configmaps", … in the order of arrival

	// spoil decides what becomes of the n-th request (from 0) that is not discovery:
	// "" to pass it on.
	spoil func(n int, what string) spoiling
}

type spoiling string

const (
	passed  spoiling = ""
	busy    spoiling = "429"            // not done
	unwell  spoiling = "500"            // not done
	dropped spoiling = "dropped"        // not done, no answer
	lost    spoiling = "answer is lost" // done, no answer
)

func (s *site) proxied() *proxy {
	p := &proxy{s: s}
	p.server = httptest.NewServer(p)
	s.t.Cleanup(p.server.Close)
	p.door = open(s.t, p.server.URL)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, counted := requestName(r)
	if !counted {
		p.s.passOn(w, r)
		return
	}
	p.mu.Lock()
	n := len(p.asked)
	p.asked = append(p.asked, what)
	spoil := p.spoil
	p.mu.Unlock()
	if spoil == nil {
		p.s.passOn(w, r)
		return
	}
	switch spoil(n, what) {
	case busy:
		w.Header().Set("Retry-After", "0")
		http.Error(w, "too many", http.StatusTooManyRequests)
	case unwell:
		http.Error(w, "etcd has no leader", http.StatusInternalServerError)
	case dropped:
		panic(http.ErrAbortHandler)
	case lost:
		p.s.passOn(httptest.NewRecorder(), r)
		panic(http.ErrAbortHandler)
	default:
		p.s.passOn(w, r)
	}
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

// count forgets the requests until now and returns how many there were of each.
func (p *proxy) count() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[string]int{}
	for _, what := range p.asked {
		counts[what]++
	}
	p.asked = nil
	return counts
}
