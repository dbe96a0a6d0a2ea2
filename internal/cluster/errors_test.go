package cluster_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// open is a door to whatever answers at the URL.
func open(t *testing.T, url string, change ...func(*cluster.Config)) *cluster.Cluster {
	t.Helper()
	cfg := cluster.Config{Name: "prod-eu", KubeconfigData: fmt.Appendf(nil, `
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: %q}}]
users: [{name: u, user: {token: a-token-that-nobody-may-see}}]
contexts: [{name: c, context: {cluster: c, user: u}}]
current-context: c
`, url)}
	for _, f := range change {
		f(&cfg)
	}
	c, err := cluster.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAnUnreachableClusterIsTransient(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "https://" + l.Addr().String()
	if err := l.Close(); err != nil { // now nobody listens there
		t.Fatal(err)
	}
	c := open(t, url)
	expect(t, c.Ping(t.Context()), fault.Transient, "prod-eu", "cannot be reached", url)
	_, err = c.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v")), Ledger: cluster.Unrecorded{}})
	expect(t, err, fault.Transient, "cannot be reached")
}

// A cluster behind something that takes connections and breaks them is told as away after
// one round of asking: client-go asks ten times a request by itself, a second apart.
func TestAClusterThatBreaksConnectionsIsSoonAway(t *testing.T) {
	t.Parallel()
	var broken atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch { // the kinds are known from before
		case r.URL.Path == "/api":
			fmt.Fprint(w, `{"kind":"APIVersions","versions":["v1"]}`)
		case r.URL.Path == "/apis":
			fmt.Fprint(w, `{"kind":"APIGroupList","apiVersion":"v1","groups":[]}`)
		case r.URL.Path == "/api/v1":
			fmt.Fprint(w, `{"kind":"APIResourceList","groupVersion":"v1","resources":[{"name":"configmaps","namespaced":true,"kind":"ConfigMap","verbs":["get","list","patch"]}]}`)
		default:
			broken.Add(1)
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	_, err := open(t, server.URL).Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v")), Ledger: cluster.Unrecorded{}})
	expect(t, err, fault.Transient, "cannot be reached", server.URL)
	if n := broken.Load(); n > 24 {
		t.Errorf("it was asked %d times before anybody was told", n)
	}
}

func TestASilentClusterIsTransient(t *testing.T) {
	quiet := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-quiet }))
	defer server.Close()
	defer close(quiet)
	c := open(t, server.URL, func(cfg *cluster.Config) { cfg.Timeout = 50 * time.Millisecond })
	expect(t, c.Ping(t.Context()), fault.Transient, "cannot be reached")
}

func TestAStrangeCertificateIsAPersonsJob(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our refusal
	server.StartTLS()
	defer server.Close()
	expect(t, open(t, server.URL).Ping(t.Context()), fault.Invalid, "certificate")
}

func TestAnswersThatAreRefusals(t *testing.T) {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for code, want := range map[int]fault.Kind{
		401: fault.Denied, 403: fault.Denied, 404: fault.NotFound, 429: fault.RateLimited,
		500: fault.Transient, 503: fault.Transient, 504: fault.Transient,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(code)
			fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"it says no","code":%d,"details":{"retryAfterSeconds":7},"reason":%q}`,
				code, map[bool]string{true: "TooManyRequests"}[code == 429])
		}))
		err := open(t, server.URL, func(c *cluster.Config) { c.Now = func() time.Time { return now } }).Ping(t.Context())
		server.Close()
		expect(t, err, want, "prod-eu")
		if until := fault.UntilOf(err); code == 429 && !until.Equal(now.Add(7*time.Second)) {
			t.Errorf("come back at %s", until)
		}
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	const bound, callers = 3, 12
	var now, most atomic.Int32
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := now.Add(1)
		defer now.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		<-release
		fmt.Fprint(w, `{}`)
	}))
	defer server.Close()
	c := open(t, server.URL, func(cfg *cluster.Config) { cfg.InFlight = bound })
	var begun, ended sync.WaitGroup
	begun.Add(callers)
	for range callers {
		ended.Go(func() {
			begun.Done()
			if err := c.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	begun.Wait()
	eventually(t, "requests to be in flight", func(context.Context) bool { return now.Load() >= bound })
	close(release)
	ended.Wait()
	if most.Load() != bound {
		t.Errorf("%d requests at the same time, want %d", most.Load(), bound)
	}
}
