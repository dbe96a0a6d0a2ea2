package cluster_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/nested"
)

// many is a manifest of n objects, a quarter each of four kinds.
func many(n int, namespace string) string {
	var b strings.Builder
	filler := strings.Repeat("x", 1100)
	for i := range n / 4 {
		fmt.Fprintf(&b, "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot-%[1]d, namespace: %[2]s}\n---\n", i, namespace)
		fmt.Fprintf(&b, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings-%[1]d, namespace: %[2]s}\ndata: {filler: %[3]s}\n---\n", i, namespace, filler)
		fmt.Fprintf(&b, "apiVersion: v1\nkind: Service\nmetadata: {name: web-%[1]d, namespace: %[2]s}\nspec: {clusterIP: None, selector: {app: web-%[1]d}, ports: [{name: http, port: 80, targetPort: 8080}]}\n---\n", i, namespace)
		fmt.Fprintf(&b, `apiVersion: apps/v1
kind: Deployment
metadata: {name: web-%[1]d, namespace: %[2]s, labels: {app: web-%[1]d}}
spec:
  replicas: 0
  paused: true
  selector: {matchLabels: {app: web-%[1]d}}
  template:
    metadata: {labels: {app: web-%[1]d}}
    spec:
      containers:
      - name: web
        image: %[3]s:1.7.0
        ports: [{name: http, containerPort: 8080}]
        env: [{name: MODE, value: fast}, {name: REGION, value: eu}]
        resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}}
        readinessProbe: {httpGet: {path: /ready, port: http}}
---
`, i, namespace, payments)
	}
	return b.String()
}

// BenchmarkFirstApply brings 1,000 objects to a namespace that has none, as Tagboat, as
// Flux's library and as kubectl apply --server-side do, one after the other on the same
// API server: "near", and "far" with 30 ms for the way there and back. The metrics are
// how many times as long as Tagboat the others take.
//
//	go test ./internal/cluster -run '^$' -bench FirstApply -benchtime 3x -timeout 30m
func BenchmarkFirstApply(b *testing.B) {
	program, err := nested.Build(b.Context(), nested.Module{Name: "ssaapply", Dir: "internal/cluster/clustertest/ssaapply"}, nested.Options{Progress: func(s string) { b.Log(s) }})
	if err != nil {
		b.Fatal(err)
	}
	for _, place := range []struct {
		name string
		rtt  time.Duration
	}{{"near", 0}, {"far", 30 * time.Millisecond}} {
		b.Run(place.name, func(b *testing.B) {
			took := map[string]time.Duration{}
			for b.Loop() {
				for _, who := range []string{"tagboat", "flux", "kubectl"} {
					took[who] += firstApply(b, program, who, place.rtt)
				}
			}
			for who, d := range took {
				b.ReportMetric(d.Seconds()/float64(b.N), who+"-s")
			}
			b.ReportMetric(took["flux"].Seconds()/took["tagboat"].Seconds(), "flux/tagboat")
			b.ReportMetric(took["kubectl"].Seconds()/took["tagboat"].Seconds(), "kubectl/tagboat")
		})
	}
}

func firstApply(b *testing.B, program, who string, rtt time.Duration) time.Duration {
	cp, namespace := shared.For(b)
	kubeconfig := cp.Kubeconfig
	if rtt > 0 {
		kubeconfig = distant(b, cp.Kubeconfig, cp.Server, rtt)
	}
	manifests := many(1000, namespace)
	if who == "tagboat" {
		objects, err := cluster.Decode([]byte(manifests))
		if err != nil {
			b.Fatal(err)
		}
		start := time.Now()
		c, err := cluster.Open(cluster.Config{Name: "bench", Kubeconfig: kubeconfig})
		if err != nil {
			b.Fatal(err)
		}
		ledger := newBook()
		r, err := c.Apply(b.Context(), cluster.Run{Target: cluster.Target{Key: namespace, Installation: "bench"}, Objects: objects, Ledger: ledger, HashKey: []byte("k")})
		took := time.Since(start)
		if err != nil || r.Count(cluster.Created) != 1000 {
			b.Fatalf("%d created: %v", r.Count(cluster.Created), err)
		}
		return took
	}
	file := filepath.Join(b.TempDir(), "manifests.yaml")
	if err := os.WriteFile(file, []byte(manifests), 0o600); err != nil {
		b.Fatal(err)
	}
	cmd := exec.CommandContext(b.Context(), program, who, kubeconfig, file)
	cmd.Env = append(os.Environ(), "HOME="+b.TempDir()) // no cache of another run
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		b.Fatalf("%s: %v: %s", who, err, stderr.String())
	}
	var told struct{ Seconds float64 }
	if err := json.Unmarshal(out, &told); err != nil {
		b.Fatal(err)
	}
	return time.Duration(told.Seconds * float64(time.Second))
}

// distant is a kubeconfig of the same cluster, with half of the rtt between here and
// there on each way.
func distant(b *testing.B, kubeconfig, server string, rtt time.Duration) string {
	u, err := url.Parse(server)
	if err != nil {
		b.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial("tcp", u.Host)
			if err != nil {
				near.Close()
				continue
			}
			go travel(far, near, rtt/2)
			go travel(near, far, rtt/2)
		}
	}()
	text, err := os.ReadFile(kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	file := filepath.Join(b.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(strings.ReplaceAll(string(text), u.Host, l.Addr().String())), 0o600); err != nil {
		b.Fatal(err)
	}
	return file
}

// travel copies a stream that arrives later than it was sent, and no slower.
func travel(to io.WriteCloser, from io.ReadCloser, delay time.Duration) {
	type parcel struct {
		due  time.Time
		data []byte
	}
	way := make(chan parcel, 4096)
	go func() {
		defer close(way)
		for {
			data := make([]byte, 4<<10)
			n, err := from.Read(data)
			way <- parcel{time.Now().Add(delay), data[:n]}
			if err != nil {
				return
			}
		}
	}()
	defer to.Close()
	for p := range way {
		time.Sleep(time.Until(p.due))
		if _, err := to.Write(p.data); err != nil {
			from.Close()
			for range way { // until the reader has noticed
			}
			return
		}
	}
}
