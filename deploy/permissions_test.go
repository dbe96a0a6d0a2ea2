package deploy_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/cluster/clustertest"
	"github.com/tagboat/tagboat/internal/fault"
)

func TestTheBaseGetsNoToken(t *testing.T) {
	objects := rendered(t, base)
	d, _ := server(t, objects)
	account := only[corev1.ServiceAccount](t, objects, "ServiceAccount")
	if !is(d.Spec.Template.Spec.AutomountServiceAccountToken, false) || !is(account.AutomountServiceAccountToken, false) {
		t.Error("a token of the cluster is mounted, and nothing uses it")
	}
	for _, o := range objects {
		if strings.HasPrefix(o.GetAPIVersion(), "rbac.authorization.k8s.io/") {
			t.Errorf("%s %s gives a permission that nothing uses", o.GetKind(), o.GetName())
		}
	}
}

func TestTheSyncHasTheLeastPermissions(t *testing.T) {
	for _, dir := range []string{example, worker} {
		t.Run(dir, func(t *testing.T) { leastPermissions(t, rendered(t, dir)) })
	}
}

func leastPermissions(t *testing.T, objects []cluster.Object) {
	t.Helper()
	role := only[rbacv1.ClusterRole](t, objects, "ClusterRole")
	for _, rule := range role.Rules {
		for _, verb := range rule.Verbs {
			if !slices.Contains([]string{"get", "list", "watch", "create", "patch", "delete"}, verb) {
				t.Errorf("%s on %v: a sync does not do that", verb, rule.Resources)
			}
		}
		for _, resource := range slices.Concat(rule.Resources, rule.APIGroups) {
			if strings.ContainsAny(resource, "*/") || slices.Contains([]string{"secrets", "roles", "rolebindings", "namespaces"}, resource) {
				t.Errorf("%v on %s", rule.Verbs, resource)
			}
		}
		if len(rule.NonResourceURLs) > 0 {
			t.Errorf("%v on %v", rule.Verbs, rule.NonResourceURLs)
		}
	}
	if role.AggregationRule != nil {
		t.Error("other roles add to this one")
	}
	if found := every[rbacv1.ClusterRoleBinding](t, objects, "ClusterRoleBinding"); len(found) > 0 {
		t.Errorf("%s binds in all namespaces", found[0].Name)
	}
	d, _ := server(t, objects)
	account := rbacv1.Subject{Kind: "ServiceAccount", Name: d.Spec.Template.Spec.ServiceAccountName, Namespace: d.Namespace}
	binding := only[rbacv1.RoleBinding](t, objects, "RoleBinding")
	if !slices.Equal(binding.Subjects, []rbacv1.Subject{account}) || binding.RoleRef.Kind != "ClusterRole" || binding.RoleRef.Name != role.Name {
		t.Errorf("%+v gives %+v to %+v, want it for %+v", binding.Name, binding.RoleRef, binding.Subjects, account)
	}
	if !is(d.Spec.Template.Spec.AutomountServiceAccountToken, true) {
		t.Error("the pod has no token to sync with")
	}
}

// workload is an object of every kind that the role is for, with two replicas
// to look at.
const workload = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: payments}
spec:
  replicas: 2
  selector: {matchLabels: {app: payments}}
  template:
    metadata: {labels: {app: payments}}
    spec: {containers: [{name: web, image: "registry.example.com/acme/payments:1.7.0"}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: ledger}
spec:
  serviceName: payments
  selector: {matchLabels: {app: ledger}}
  template:
    metadata: {labels: {app: ledger}}
    spec: {containers: [{name: web, image: "registry.example.com/acme/ledger:1.0.0"}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: web, image: "registry.example.com/acme/agent:1.0.0"}]}
---
{apiVersion: v1, kind: Service, metadata: {name: payments}, spec: {selector: {app: payments}, ports: [{port: 80}]}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings}, data: {mode: fast}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: payments}}
---
{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: data}, spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}}
---
{apiVersion: policy/v1, kind: PodDisruptionBudget, metadata: {name: payments}, spec: {maxUnavailable: 1, selector: {matchLabels: {app: payments}}}}
---
{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: payments}, spec: {podSelector: {matchLabels: {app: payments}}}}
---
{apiVersion: networking.k8s.io/v1, kind: Ingress, metadata: {name: payments}, spec: {defaultBackend: {service: {name: payments, port: {number: 80}}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {name: payments}
spec: {maxReplicas: 4, minReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: payments}}
---
apiVersion: batch/v1
kind: Job
metadata: {name: migrate}
spec:
  suspend: true
  template:
    spec: {restartPolicy: Never, containers: [{name: migrate, image: "registry.example.com/acme/payments:1.7.0"}]}
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: report}
spec:
  schedule: "0 3 * * *"
  jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: report, image: "registry.example.com/acme/payments:1.7.0"}]}}}}
`

// A real API server takes the overlay, field by field, runs its pods in a
// namespace with restricted Pod Security, and lets the sync do its work in the
// one namespace, and nothing else.
func TestARealClusterTakesTheOverlay(t *testing.T) {
	cp, _ := controlPlane.For(t)
	admin := open(t, cp.Config("prod"))
	install := append(decode(t, "{apiVersion: v1, kind: Namespace, metadata: {name: payments-prod}}"), rendered(t, example)...)
	installed := apply(t, admin, cluster.Target{Key: "platform"}, install, book{})
	healthy(t, admin, installed)

	sync := open(t, impersonating(t, cp, "system:serviceaccount:tagboat:tagboat"))
	target := cluster.Target{Key: "acme/env payments prod", Namespace: "payments-prod"}
	objects, ledger := decode(t, workload), book{}
	if first := apply(t, sync, target, objects, ledger); first.Count(cluster.Created) != len(objects) {
		t.Errorf("%d of %d objects created", first.Count(cluster.Created), len(objects))
	}
	objects[0].Object["spec"].(map[string]any)["minReadySeconds"] = int64(1)
	second := apply(t, sync, target, objects, ledger)
	if second.Count(cluster.Configured) != 1 {
		t.Errorf("%d objects configured, want the Deployment", second.Count(cluster.Configured))
	}
	healthy(t, sync, cluster.Result{Applied: slices.DeleteFunc(second.Applied, func(a cluster.Applied) bool {
		return a.Object.GetKind() != "Deployment" // storage and jobs are not simulated
	})})
	if running, err := sync.Running(t.Context(), "payments-prod"); err != nil || len(running) == 0 {
		t.Errorf("what runs: %v (%v)", running, err)
	}

	// What somebody changes past Git is told at once: by watches in the one namespace,
	// because none is allowed in the whole cluster.
	told := listen(t, sync, target, slices.Collect(maps.Values(ledger)))
	for deadline, heard := time.Now().Add(time.Minute), false; !heard; {
		// Again and again: what happens before the watches stand is not told.
		for id, e := range ledger {
			if id.Kind == "ConfigMap" {
				if _, err := sync.Prune(t.Context(), cluster.Removal{Target: target, Remove: []cluster.Entry{e}, Ledger: ledger}); err != nil {
					t.Fatal(err)
				}
			}
		}
		apply(t, sync, target, objects, ledger)
		select {
		case name := <-told:
			if heard = true; name != "settings" {
				t.Errorf("a change of %s was told", name)
			}
		case <-time.After(100 * time.Millisecond):
			if time.Now().After(deadline) {
				t.Fatal("no change is told")
			}
		}
	}
	// What is not in Git any more goes, whatever it is.
	pruned, err := sync.Prune(t.Context(), cluster.Removal{Target: target, Remove: slices.Collect(maps.Values(ledger)), Ledger: ledger})
	if err != nil {
		t.Error(err)
	}
	for _, o := range pruned.Objects {
		if o.Outcome != cluster.Deleted && o.Outcome != cluster.Leaving {
			t.Errorf("%s is %s: %s", o.ID, o.Outcome, o.Why)
		}
	}
	if len(pruned.Objects) != len(objects) {
		t.Errorf("%d of %d objects are gone", len(pruned.Objects), len(objects))
	}

	for what, err := range map[string]error{
		"lists what runs in another namespace": failure(sync.Running(t.Context(), "tagboat")),
		"lists what runs everywhere":           failure(sync.Running(t.Context(), "")),
		"applies to another namespace":         try(t, sync, "default", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}"),
		"applies a Secret":                     try(t, sync, "payments-prod", "{apiVersion: v1, kind: Secret, metadata: {name: a}}"),
		"gives permissions": try(t, sync, "payments-prod",
			"{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: a}}"),
		"changes the namespace": try(t, sync, "",
			"{apiVersion: v1, kind: Namespace, metadata: {name: payments-prod, labels: {a: b}}}"),
	} {
		if !fault.Is(err, fault.Denied) || !strings.Contains(fault.HintOf(err), "lacks the permission") {
			t.Errorf("the sync %s: %v", what, err)
		}
	}
}

// listen tells the names of a target's objects that are changed, from when the watches
// stand.
func listen(t *testing.T, c *cluster.Cluster, target cluster.Target, entries []cluster.Entry) <-chan string {
	t.Helper()
	told := make(chan string, 1000)
	l := &cluster.Lookout{
		Tell: func(label string, id cluster.ID) {
			if label == target.Label() {
				told <- id.Name
			}
		},
		Trouble: func(kind schema.GroupKind, err error) { t.Errorf("%s cannot be watched: %v", kind, err) },
	}
	l.Add(entries...)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- c.Watch(ctx, l) }()
	t.Cleanup(func() { stop(); <-ended })
	return told
}

func failure[T any](_ T, err error) error { return err }

func try(t *testing.T, c *cluster.Cluster, namespace, yaml string) error {
	t.Helper()
	_, err := c.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "acme/env other", Namespace: namespace}, Objects: decode(t, yaml), Ledger: cluster.Unrecorded{}})
	return err
}

func open(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	c, err := cluster.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t *testing.T, yaml string) []cluster.Object {
	t.Helper()
	objects, err := cluster.Decode([]byte(yaml))
	if err != nil {
		t.Fatal(err)
	}
	return objects
}

func apply(t *testing.T, c *cluster.Cluster, target cluster.Target, objects []cluster.Object, ledger book) cluster.Result {
	t.Helper()
	result, err := c.Apply(t.Context(), cluster.Run{Target: target, Objects: objects, Ledger: ledger, Inventory: slices.Collect(maps.Values(ledger))})
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// book is a ledger in memory.
type book map[cluster.ID]cluster.Entry

func (b book) Keep(_ context.Context, entries []cluster.Entry) error {
	for _, e := range entries {
		b[e.ID] = e
	}
	return nil
}

func (b book) Forget(_ context.Context, ids []cluster.ID) error {
	for _, id := range ids {
		delete(b, id)
	}
	return nil
}

func healthy(t *testing.T, c *cluster.Cluster, r cluster.Result) {
	t.Helper()
	health, err := c.Wait(t.Context(), r.Objects(), cluster.WaitOptions{Timeout: time.Minute, Poll: 100 * time.Millisecond})
	if err != nil || !health.Healthy {
		t.Fatalf("%s %v", health.Reason, err)
	}
}

// impersonating is the administrator's configuration, with the permissions of
// somebody else.
func impersonating(t *testing.T, cp *clustertest.ControlPlane, user string) cluster.Config {
	t.Helper()
	config, err := clientcmd.LoadFromFile(cp.Kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	for _, who := range config.AuthInfos {
		who.Impersonate = user
	}
	data, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return cluster.Config{Name: "prod", KubeconfigData: data, Context: cp.Context}
}
