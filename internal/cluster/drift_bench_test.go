package cluster_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
)

// several are objects of four kinds, a quarter each, as a target has them.
func several(t testing.TB, n int) (objects []cluster.Object) {
	t.Helper()
	for i := range n / 4 {
		name := fmt.Sprintf("o%04d", i)
		for _, yaml := range []string{
			configMap(name, "text", fmt.Sprintf("%01100d", i)),
			fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: %s}\n", name),
			fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %[1]s}\nspec: {selector: {app: %[1]s}, clusterIP: None, ports: [{port: 80}]}\n", name),
			fmt.Sprintf("apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %[1]s}\nspec: {replicas: 0, selector: {matchLabels: {app: %[1]s}}, template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: web, image: %q}]}}}\n", name, payments+":1.6.0"),
		} {
			one, err := cluster.Decode([]byte(yaml))
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, one...)
		}
	}
	return objects
}

var resourceOf = map[string]schema.GroupVersionResource{"ConfigMap": configMaps, "Deployment": deployments,
	"Service": {Version: "v1", Resource: "services"}, "ServiceAccount": {Version: "v1", Resource: "serviceaccounts"}}

// bring has the API server have the objects as the target applies them, as quickly as
// it can.
func bring(b *testing.B, kube string, target cluster.Target, objects []cluster.Object) {
	b.Helper()
	cfg, err := clientcmd.BuildConfigFromFlags("", kube)
	if err != nil {
		b.Fatal(err)
	}
	cfg.QPS = -1
	cfg.WarningHandler = rest.NoWarnings{}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		b.Fatal(err)
	}
	var g errgroup.Group
	g.SetLimit(16)
	for _, o := range objects {
		g.Go(func() error {
			o = o.DeepCopy()
			o.SetLabels(map[string]string{cluster.TargetLabel: target.Label()})
			o.SetAnnotations(map[string]string{cluster.TargetAnnotation: target.Key, cluster.InstallationAnnotation: target.Installation})
			_, err := client.Resource(resourceOf[o.GetKind()]).Namespace(target.Namespace).Apply(b.Context(), o.GetName(), o, metav1.ApplyOptions{FieldManager: target.FieldManager()})
			return err
		})
	}
	if err := g.Wait(); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkDriftCheck looks at 1,000 objects of which none has changed.
func BenchmarkDriftCheck(b *testing.B) {
	cp, namespace := shared.For(b)
	c, err := cluster.Open(cp.Config("test"))
	if err != nil {
		b.Fatal(err)
	}
	target := cluster.Target{Key: "acme/env " + namespace, Namespace: namespace}
	objects := several(b, 1000)
	bring(b, cp.Kubeconfig, target, objects)
	found, err := c.Rebuild(b.Context(), target, nil)
	if err != nil || len(found.Entries) != 1000 {
		b.Fatalf("%d objects: %v", len(found.Entries), err)
	}
	for b.Loop() {
		drifted, err := c.Drift(b.Context(), cluster.DriftCheck{Target: target, Objects: objects, Inventory: found.Entries})
		if err != nil || len(drifted.Objects)+len(drifted.Reown) > 0 {
			b.Fatalf("%v: %+v", err, drifted)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N), "ms/check")
}

// BenchmarkWatchedObjects says what it takes to watch 5,000 objects: what the process has
// more of on its heap than before, and what it has of the system.
func BenchmarkWatchedObjects(b *testing.B) {
	cp, namespace := shared.For(b)
	target := cluster.Target{Key: "acme/env " + namespace, Namespace: namespace}
	bring(b, cp.Kubeconfig, target, several(b, 5000))
	c, err := cluster.Open(cp.Config("test"))
	if err != nil {
		b.Fatal(err)
	}
	found, err := c.Rebuild(b.Context(), target, nil)
	if err != nil || len(found.Entries) != 5000 {
		b.Fatalf("%d objects: %v", len(found.Entries), err)
	}
	entries := []cluster.Entry{{ID: found.Entries[0].ID, Version: "v1"}}
	for _, e := range found.Entries {
		if e.Kind != entries[len(entries)-1].Kind {
			entries = append(entries, cluster.Entry{ID: e.ID, Version: e.Version})
		}
	}
	found = cluster.Rebuilt{}
	cfg, err := clientcmd.BuildConfigFromFlags("", cp.Kubeconfig)
	if err != nil {
		b.Fatal(err)
	}
	client, err := dynamic.NewForConfig(cfg)
	if err != nil {
		b.Fatal(err)
	}
	alarms := several(b, 4) // one of each kind
	for _, o := range alarms {
		o.SetName("alarm")
	}
	for b.Loop() {
		before, _ := memory()
		var heard sync.Map
		l := &cluster.Lookout{Tell: func(_ string, id cluster.ID) { heard.Store(id.Kind, true) }}
		l.Add(entries...)
		ctx, stop := context.WithCancel(b.Context())
		ended := make(chan error)
		go func() { ended <- c.Watch(ctx, l) }()
		for _, o := range alarms { // until every kind is known
			for _, is := heard.Load(o.GetKind()); !is; _, is = heard.Load(o.GetKind()) {
				bring(b, cp.Kubeconfig, target, []cluster.Object{o})
				if err := client.Resource(resourceOf[o.GetKind()]).Namespace(namespace).Delete(b.Context(), "alarm", metav1.DeleteOptions{}); err != nil {
					b.Fatal(err)
				}
			}
		}
		after, process := memory()
		b.ReportMetric(float64(after-before)/5000, "B/object")
		b.ReportMetric(float64(process)/(1<<20), "MiB-process")
		stop()
		<-ended
	}
}

// memory is what is in use on the heap, and what the process has of the system.
func memory() (heap, process uint64) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc, m.Sys
}
