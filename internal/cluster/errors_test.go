package cluster_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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
	const url = "https://127.0.0.1:1" // where nobody ever listens
	c := open(t, url)
	expect(t, c.Ping(t.Context()), fault.Transient, "prod-eu", "cannot be reached", url, "connection refused")
	_, err := c.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v")), Ledger: cluster.Unrecorded{}})
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
	expect(t, c.Ping(t.Context()), fault.Transient, "cannot be reached", "no answer in time")
}

// Without the credentials that a plugin should print nothing is asked, and no later try
// does better: a person has to log in, or to install it.
func TestAPluginThatPrintsNoCredentialsIsAPersonsJob(t *testing.T) {
	var asked atomic.Int32
	// client-go shows credentials to nobody without TLS, and so asks for none there.
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer server.Close()
	dir := t.TempDir()
	script := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte("#!/bin/sh\necho >> "+path+".ran\n"+text+"\n"), 0o700); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, c := range map[string]struct{ command, words string }{
		"not installed":       {"tagboat-no-such-plugin", "tagboat-no-such-plugin not found"},
		"not where it should": {filepath.Join(dir, "not-there"), "not-there"},
		"the login is over":   {script("expired", "exit 3"), "expired failed with exit code 3"},
		"no credentials":      {script("chatty", `echo 'token: {swordfish-1234'`), "printed something else"},
	} {
		t.Run(name, func(t *testing.T) {
			door := open(t, server.URL, func(cfg *cluster.Config) {
				cfg.KubeconfigData = []byte(strings.NewReplacer("cluster: {server", "cluster: {insecure-skip-tls-verify: true, server", "token: a-token-that-nobody-may-see",
					fmt.Sprintf("exec: {apiVersion: client.authentication.k8s.io/v1, command: %q, interactiveMode: Never}", c.command)).Replace(string(cfg.KubeconfigData)))
			})
			_, err := door.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v")), Ledger: cluster.Unrecorded{}})
			expect(t, err, fault.Denied, "prod-eu", "credentials", c.words)
			if said := fmt.Sprint(err, fault.HintOf(err)); strings.Contains(said, "swordfish") || strings.Contains(fault.HintOf(err), "\n") {
				t.Errorf("it says %s", said)
			}
			if ran, _ := os.ReadFile(c.command + ".ran"); len(ran) > 1 {
				t.Errorf("it was run %d times", len(ran))
			}
		})
	}
	if asked.Load() > 0 {
		t.Errorf("%d requests were sent without credentials", asked.Load())
	}
}

func TestAStrangeCertificateIsAPersonsJob(t *testing.T) {
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it complains of our refusal
	server.StartTLS()
	defer server.Close()
	expect(t, open(t, server.URL).Ping(t.Context()), fault.Invalid, "shows a certificate", "signed by unknown authority. Whoever runs Tagboat", "whoever runs the cluster")
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
