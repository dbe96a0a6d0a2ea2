package cluster_test

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

const payments = "registry.example.com/acme/payments"

func TestApplyTwiceChangesNothing(t *testing.T) {
	s := newSite(t)
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{port: 80}]}\n"
	set := []string{deployment("web", payments+":1.6.0"), service, configMap("settings", "mode", "fast")}

	first := s.mustApply(set...)
	if n := first.Count(cluster.Created); n != 3 {
		t.Errorf("%d objects created, want 3: %v", n, first)
	}
	s.mustBeHealthy(first)
	before, generation := s.get(configMaps, "settings"), s.get(deployments, "web").GetGeneration()

	second := s.mustApply(set...)
	if n := second.Count(cluster.Unchanged); n != 3 {
		t.Errorf("%d objects unchanged the second time, want 3: %v", n, second)
	}
	if after := s.get(configMaps, "settings"); !cmp.Equal(before.Object, after.Object) {
		t.Errorf("the second apply wrote:\n%s", cmp.Diff(before.Object, after.Object))
	}
	if after := s.get(deployments, "web").GetGeneration(); after != generation {
		t.Errorf("the second apply took the deployment from generation %d to %d", generation, after)
	}
	if got := before.GetAnnotations()[cluster.TargetAnnotation]; got != s.target().Key {
		t.Errorf("the object belongs to %q", got)
	}
}

func TestAnImageChangeRollsOut(t *testing.T) {
	s := newSite(t)
	old, new := payments+":1.6.0@"+digest("a"), payments+":1.7.0@"+digest("b")
	settings := configMap("settings", "mode", "fast")
	s.mustBeHealthy(s.mustApply(deployment("web", old), settings))
	was := s.get(deployments, "web").GetGeneration()

	result := s.mustApply(deployment("web", new), settings)
	if result.Count(cluster.Configured) != 1 || result.Count(cluster.Unchanged) != 1 {
		t.Errorf("want one object configured and one unchanged: %v", result)
	}
	s.mustBeHealthy(result)

	live := s.get(deployments, "web")
	if live.GetGeneration() <= was {
		t.Errorf("generation %d, was %d", live.GetGeneration(), was)
	}
	if observed, _, _ := unstructured.NestedInt64(live.Object, "status", "observedGeneration"); observed != live.GetGeneration() {
		t.Errorf("healthy, but generation %d is observed and %d is written", observed, live.GetGeneration())
	}
	running, err := s.cluster.Running(t.Context(), s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	if len(running) != 1 || running[0].Image.String() != new || running[0].Ready != 2 {
		t.Errorf("healthy, but what runs is %+v", running)
	}
}

func TestDefinitionAndItsObjectsInOneApply(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	ns := "made-" + s.namespace
	crd := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties: {spec: {type: object, properties: {oars: {type: integer, maximum: 8}}}}
`, group)
	boat := func(oars int) string {
		return fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\nspec: {oars: %d}\n", group, oars)
	}
	inNew := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in-new, namespace: %s}\n", ns)
	namespace := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n", ns)

	// Everything before what it needs, to be put in order by the stages.
	result := s.mustApply(boat(2), inNew, configMap("plain", "a", "b"), namespace, crd)
	if n := result.Count(cluster.Created); n != 5 {
		t.Errorf("%d objects created, want 5: %v", n, result)
	}
	if again := s.mustApply(boat(2), inNew, configMap("plain", "a", "b"), namespace, crd); again.Count(cluster.Unchanged) != 5 {
		t.Errorf("the second time: %v", again)
	}
	_, err := s.apply(boat(9), crd)
	expect(t, err, fault.Invalid, "Boat "+s.namespace+"/dinghy", "oars")
}

func TestAKindThatNobodyDefines(t *testing.T) {
	s := newSite(t)
	_, err := s.apply("apiVersion: nobody.example.com/v1\nkind: Ghost\nmetadata: {name: boo}\n", configMap("settings", "a", "b"))
	expect(t, err, fault.Invalid, "Ghost", "CustomResourceDefinition")
	if s.get(configMaps, "settings") != nil {
		t.Error("the other object was written")
	}
}

func TestARefusedObjectStopsAll(t *testing.T) {
	s := newSite(t)
	broken := strings.Replace(deployment("web", payments+":1.7.0"), "matchLabels: {app: web}", "matchLabels: {app: other}", 1)
	misspelt := strings.Replace(deployment("api", payments+":1.7.0"), "replicas:", "replica:", 1)

	_, err := s.apply(configMap("settings", "mode", "fast"), broken, misspelt)
	expect(t, err, fault.Invalid, "Deployment "+s.namespace+"/web", "selector", "Deployment "+s.namespace+"/api", "replica")
	if s.get(configMaps, "settings") != nil {
		t.Error("an object was written although another one was refused")
	}
	_, err = s.apply(misspelt)
	expect(t, err, fault.Invalid, "Deployment "+s.namespace+"/api", "replica")
}

func TestAConflictIsNamedAndNothingIsWritten(t *testing.T) {
	s := newSite(t)
	s.mustApply(deployment("web", payments+":1.6.0"), configMap("settings", "mode", "fast"))
	theirs := decode(t, deployment("web", payments+":9.9.9"))[0]
	unstructured.RemoveNestedField(theirs.Object, "spec", "replicas")
	s.applyAs("argocd-controller", deployments, theirs)

	_, err := s.apply(deployment("web", payments+":1.7.0"), configMap("settings", "mode", "slow"))
	expect(t, err, fault.Denied, "Deployment "+s.namespace+"/web", `"argocd-controller"`, "image")
	if mode, _, _ := unstructured.NestedString(s.get(configMaps, "settings").Object, "data", "mode"); mode != "fast" {
		t.Errorf("the other object was written all the same: mode %s", mode)
	}
	if live := s.get(deployments, "web"); !strings.Contains(fmt.Sprint(live.Object["spec"]), ":9.9.9") {
		t.Errorf("the other side's value is gone: %v", live.Object["spec"])
	}
}

func TestAnotherTargetsObject(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "mode", "fast"))
	other := cluster.Target{Key: "acme/env catalog prod", Namespace: s.namespace}
	_, err := s.cluster.Apply(t.Context(), cluster.Run{Target: other, Objects: decode(t, configMap("own", "a", "b"), configMap("settings", "mode", "fast")), Ledger: newBook()})
	expect(t, err, fault.Denied, "ConfigMap "+s.namespace+"/settings", s.target().Key, other.Key)
	if s.get(configMaps, "own") != nil {
		t.Error("the other target wrote its own object although it was refused")
	}
}

// What somebody once applied with kubectl becomes Tagboat's: a key that is no
// longer in Git goes away, and no conflict with oneself stands in the way.
func TestKubectlsLeftoversAreTakenOver(t *testing.T) {
	s := newSite(t)
	byHand := decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: slow, old: key}\n")[0]
	last, err := json.Marshal(byHand.Object)
	if err != nil {
		t.Fatal(err)
	}
	byHand.SetAnnotations(map[string]string{"kubectl.kubernetes.io/last-applied-configuration": string(last)})
	if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Create(t.Context(), byHand, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
		t.Fatal(err)
	}

	if r := s.mustApply(configMap("settings", "mode", "fast")); r.Count(cluster.Configured) != 1 {
		t.Errorf("got %v", r)
	}
	data, _, _ := unstructured.NestedStringMap(s.get(configMaps, "settings").Object, "data")
	if diff := cmp.Diff(map[string]string{"mode": "fast"}, data); diff != "" {
		t.Errorf("after the take-over (-want +got):\n%s", diff)
	}
	if r := s.mustApply(configMap("settings", "mode", "fast")); r.Count(cluster.Unchanged) != 1 {
		t.Errorf("the second time: %v", r)
	}
}

// The same where both sides have the same values, and so no conflict tells of it.
func TestKubectlsEqualValuesAreTakenOver(t *testing.T) {
	s := newSite(t)
	byHand := decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, old: key}\n")[0]
	if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Create(t.Context(), byHand, metav1.CreateOptions{FieldManager: "kubectl-client-side-apply"}); err != nil {
		t.Fatal(err)
	}
	s.mustApply(configMap("settings", "mode", "fast"))
	data, _, _ := unstructured.NestedStringMap(s.get(configMaps, "settings").Object, "data")
	if diff := cmp.Diff(map[string]string{"mode": "fast"}, data); diff != "" {
		t.Errorf("after the take-over (-want +got):\n%s", diff)
	}
}

func TestAMissingNamespace(t *testing.T) {
	s := newSite(t)
	target := cluster.Target{Key: "acme/env nowhere", Namespace: "nowhere"}
	_, err := s.cluster.Apply(t.Context(), cluster.Run{Target: target, Objects: decode(t, configMap("settings", "a", "b")), Ledger: newBook()})
	expect(t, err, fault.NotFound, "namespace nowhere", "overlay")

	_, err = s.cluster.Apply(t.Context(), cluster.Run{Target: cluster.Target{Key: "k"}, Objects: decode(t, configMap("settings", "a", "b")), Ledger: newBook()})
	expect(t, err, fault.Invalid, "ConfigMap settings", "namespace")
}

func TestADefaultNamespaceCanMakeTwoOne(t *testing.T) {
	s := newSite(t)
	named := strings.Replace(configMap("settings", "a", "b"), "{name: settings}", "{name: settings, namespace: "+s.namespace+"}", 1)
	_, err := s.apply(configMap("settings", "a", "b"), named)
	expect(t, err, fault.Invalid, "twice")
}

func TestAnObjectThatIsBeingDeleted(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "a", "b"))
	s.patchAs("somebody", configMaps, "settings", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	_, err := s.apply(configMap("settings", "a", "b"))
	expect(t, err, fault.Conflict, "being deleted")
}

func TestAMissingPermissionIsNamed(t *testing.T) {
	s := newSite(t)
	raw, err := clientcmd.LoadFromFile(s.kube)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range raw.AuthInfos {
		user.Impersonate = "tagboat-without-rights"
	}
	data, err := clientcmd.Write(*raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Open(cluster.Config{Name: "test", KubeconfigData: data})
	if err != nil {
		t.Fatal(err)
	}
	_, err = c.Apply(t.Context(), s.run(deployment("web", payments+":1.7.0")))
	expect(t, err, fault.Denied, "tagboat-without-rights", "list deployments.apps", "in namespace "+s.namespace)
}

func TestSecretValuesStayOutOfErrors(t *testing.T) {
	s := newSite(t)
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ntype: kubernetes.io/tls\nstringData: {tls.crt: hunter2hunter2}\n"
	_, err := s.apply(secret)
	expect(t, err, fault.Invalid, "Secret "+s.namespace+"/key")
	for _, text := range []string{err.Error(), fault.HintOf(err)} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the value is in %q", text)
		}
	}
}

func TestAQuotaThatOnlyAWriteMeets(t *testing.T) {
	s := newSite(t)
	// Of services, because the cluster itself puts a ConfigMap into every namespace, at
	// a time of its own.
	s.mustApply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {services: \"1\"}}\n")
	s.countedBy("few", "services", "1")
	s.admits()
	service := func(name string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {ports: [{port: 80}]}\n", name)
	}
	result, err := s.apply(service("a"), service("b"), service("c"))
	expect(t, err, fault.Denied, "exceeded quota")
	if len(result.Applied) == 0 || len(result.Applied) > 1 {
		t.Errorf("one more object fits, and what was written is told; got %v", result)
	}
}

func TestUserKubeconfigIsTheDefault(t *testing.T) {
	s := newSite(t)
	t.Setenv("KUBECONFIG", s.kube)
	c, err := cluster.Open(cluster.Config{Name: "mine"})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	if err := os.Unsetenv("KUBECONFIG"); err != nil {
		t.Fatal(err)
	}
	if _, err := cluster.Open(cluster.Config{Name: "mine", Kubeconfig: "/nowhere/config"}); !fault.Is(err, fault.Invalid) {
		t.Errorf("a kubeconfig that is not there: %v", err)
	}
}
