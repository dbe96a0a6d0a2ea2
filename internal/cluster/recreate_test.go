package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

var statefulSets = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}

// recreatable is an object with the annotation that lets it be made anew.
func recreatable(yaml string) string {
	return strings.Replace(yaml, "metadata: {name:", `metadata: {annotations: {tagboat.dev/recreate: "true"}, name:`, 1)
}

// otherSelector is the deployment with another selector, which no API server changes
// in place.
func otherSelector(yaml string) string { return strings.ReplaceAll(yaml, "app: web", "app: other") }

func TestWhatCannotBeChangedInPlace(t *testing.T) {
	s := newSite(t)
	web := deployment("web", payments+":1.6.0")
	s.mustBeHealthy(s.mustApply(web))
	was := s.get(deployments, "web").GetUID()

	// Without its annotation it is told, and nothing is touched.
	_, err := s.apply(otherSelector(web), configMap("settings", "mode", "fast"))
	expect(t, err, fault.Invalid, "Deployment "+s.namespace+"/web", "spec.selector", "immutable", "cannot be changed in place", cluster.RecreateAnnotation)
	if s.get(deployments, "web").GetUID() != was || s.get(configMaps, "settings") != nil {
		t.Error("something was written")
	}

	// What is simply wrong is not taken for that, annotated or not.
	wrong := recreatable(otherSelector(strings.Replace(web, "replicas: 2", "replicas: -2", 1)))
	_, err = s.apply(wrong)
	expect(t, err, fault.Invalid, "spec.replicas")
	if strings.Contains(fault.HintOf(err), cluster.RecreateAnnotation) {
		t.Errorf("an object that is wrong would be deleted: %v", err)
	}
	if s.get(deployments, "web").GetUID() != was {
		t.Error("it was deleted although the new one is refused")
	}

	r := s.mustApply(recreatable(otherSelector(web)))
	if r.Count(cluster.Recreated) != 1 || s.get(deployments, "web").GetUID() == was {
		t.Errorf("got %v", outcomes(r))
	}
	s.mustBeHealthy(r)
	if e := s.book.entry(t, "Deployment", "web"); e.UID != string(s.get(deployments, "web").GetUID()) || e.State != cluster.Written {
		t.Errorf("the ledger says %+v", e)
	}
	if r := s.mustApply(recreatable(otherSelector(web))); r.Count(cluster.Unchanged) != 1 {
		t.Errorf("again: %v", outcomes(r))
	}
}

// A typo never costs an object, which Flux's force does (a port beyond 65535).
func TestATypoDeletesNothing(t *testing.T) {
	s := newSite(t)
	services := schema.GroupVersionResource{Version: "v1", Resource: "services"}
	service := func(port int) string {
		return recreatable(fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{name: http, port: %d}]}\n", port))
	}
	s.mustApply(service(80))
	was := s.get(services, "web").GetUID()
	_, err := s.apply(service(80000))
	expect(t, err, fault.Invalid, "port")
	if live := s.get(services, "web"); live == nil || live.GetUID() != was {
		t.Error("the Service is gone")
	}
}

// Kinds that hold data are never deleted, whatever they are annotated with.
func TestWhatIsNeverRecreated(t *testing.T) {
	s := newSite(t)
	claim := func(class string) string {
		return recreatable(fmt.Sprintf("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {storageClassName: %s, accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n", class))
	}
	set := func(service string) string {
		return recreatable(fmt.Sprintf("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec: {serviceName: %s, selector: {matchLabels: {app: db}}, template: {metadata: {labels: {app: db}}, spec: {containers: [{name: c, image: \"db:16\"}]}}}\n", service))
	}
	s.mustApply(claim("slow"), set("db"))
	was := s.get(statefulSets, "db").GetUID()
	_, err := s.apply(claim("fast"), set("other"))
	expect(t, err, fault.Invalid, "PersistentVolumeClaim "+s.namespace+"/data", "StatefulSet "+s.namespace+"/db", "never deletes a StatefulSet", "never deletes a PersistentVolumeClaim")
	if s.get(statefulSets, "db").GetUID() != was {
		t.Error("the StatefulSet was made anew")
	}
}

// An object whose finalizers hold it is waited for, and the next run goes on where this
// one stopped.
func TestARecreationThatIsInterrupted(t *testing.T) {
	s := newSite(t)
	web := deployment("web", payments+":1.6.0")
	s.mustApply(web)
	s.patchAs("somebody", deployments, "web", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	ctx, cancel := context.WithCancel(t.Context())
	run := s.run(recreatable(otherSelector(web)))
	p := s.proxied()
	p.spoil = func(_ int, what string) spoiling {
		if what == "GET deployments" && s.get(deployments, "web").GetDeletionTimestamp() != nil {
			cancel() // while it is waited for
		}
		return passed
	}
	if _, err := p.door.Apply(ctx, run); err == nil {
		t.Fatal("it did not wait")
	}
	_, err := s.apply(recreatable(otherSelector(web)))
	expect(t, err, fault.Conflict, "still being deleted")
	s.patchAs("somebody", deployments, "web", `{"metadata":{"finalizers":null}}`)
	eventually(t, "the deployment to be gone", func(context.Context) bool { return s.get(deployments, "web") == nil })
	s.mustBeHealthy(s.mustApply(recreatable(otherSelector(web))))
}

// A quota that is met in the middle: what fits is written and recorded, and when there
// is room the rest follows, and only the rest.
func TestAQuotaIsMetAndTheRestFollows(t *testing.T) {
	s := newSite(t)
	quotas := schema.GroupVersionResource{Version: "v1", Resource: "resourcequotas"}
	quota := func(n int) {
		t.Helper()
		s.applyAs("administrator", quotas, decode(t, fmt.Sprintf("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {services: \"%d\"}}\n", n))[0])
		s.countedBy("few", "services", fmt.Sprint(n))
		s.admits()
	}
	var set []string
	for i := range 6 {
		set = append(set, fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: s%d}\nspec: {ports: [{port: 80}]}\n", i))
	}
	quota(3)
	r, err := s.apply(set...)
	expect(t, err, fault.Denied, "exceeded quota")
	var written int
	for _, e := range s.book.inventory() {
		if e.State == cluster.Written {
			written++
		}
	}
	if written != 3 || len(r.Applied) != 3 || len(r.NotApplied) != 3 || len(s.book.inventory()) != 6 {
		t.Errorf("applied %v, not applied %v, ledger %v", outcomes(r), r.NotApplied, s.book.lines())
	}
	quota(6)
	if r := s.mustApply(set...); r.Count(cluster.Created) != 3 || r.Count(cluster.Unchanged) != 3 {
		t.Errorf("the rest: %v", outcomes(r))
	}
}

// An object that bears another target's name is not made anew for this one.
func TestAnothersObjectIsNotRecreated(t *testing.T) {
	s := newSite(t)
	s.applyAs("somebody", deployments, decode(t, deployment("web", payments+":1.6.0"))[0])
	was := s.get(deployments, "web").GetUID()
	_, err := s.apply(recreatable(otherSelector(deployment("web", payments+":1.6.0"))))
	if !fault.Is(err, fault.Invalid) && !fault.Is(err, fault.Denied) {
		t.Errorf("got %v", err)
	}
	if live := s.get(deployments, "web"); live == nil || live.GetUID() != was {
		t.Error("somebody else's object was deleted")
	}
}

// What keeps an object from being pruned keeps it from being deleted to be made anew, and
// so does whoever else deploys it.
func TestWhatIsKeptIsNotRecreated(t *testing.T) {
	for name, c := range map[string]struct {
		claim func(s *site)
		words string
	}{
		"people keep it": {func(s *site) {
			s.patchAs("kubectl-annotate", deployments, "web", `{"metadata":{"annotations":{"tagboat.dev/prune":"keep"}}}`)
		}, "keeps it"},
		"Helm has it, too": {func(s *site) {
			s.patchAs("helm", deployments, "web", `{"metadata":{"annotations":{"meta.helm.sh/release-name":"web"}}}`)
		}, "Helm"},
		"Argo CD manages a field": {func(s *site) {
			s.patchAs("argocd-controller", deployments, "web", `{"spec":{"minReadySeconds":3}}`)
		}, "Argo CD"},
		"a controller owns it": {func(s *site) {
			owner := s.get(configMaps, "owner")
			s.patchAs("operator", deployments, "web", fmt.Sprintf(`{"metadata":{"ownerReferences":[{"apiVersion":"v1","kind":"ConfigMap","name":"owner","uid":%q,"controller":true}]}}`, owner.GetUID()))
		}, "ConfigMap owner"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			web := deployment("web", payments+":1.6.0")
			s.mustApply(recreatable(web), configMap("owner", "a", "b"))
			was := s.get(deployments, "web").GetUID()
			c.claim(s)
			_, err := s.apply(recreatable(otherSelector(web)), configMap("owner", "a", "b"))
			expect(t, err, fault.Denied, "Deployment "+s.namespace+"/web", "not deleted to be made anew", c.words)
			if live := s.get(deployments, "web"); live == nil || live.GetUID() != was {
				t.Error("it was deleted")
			}
		})
	}
}

// A policy that refuses a change, and would take a new object, is not got round by deleting
// the one that it guards.
func TestAPolicyIsNotGotRound(t *testing.T) {
	s := newSite(t)
	web := recreatable(deployment("web", payments+":1.6.0"))
	s.mustApply(web, fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: no-fewer-%[1]s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [UPDATE], resources: [deployments]}]
  validations: [{expression: object.spec.replicas >= oldObject.spec.replicas, message: not fewer than before}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: no-fewer-%[1]s}
spec: {policyName: no-fewer-%[1]s, validationActions: [Deny]}
`, s.namespace))
	was := s.get(deployments, "web").GetUID()
	eventually(t, "the policy to be in force", func(ctx context.Context) bool {
		_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{DryRun: []string{metav1.DryRunAll}})
		return err != nil
	})
	_, err := s.apply(strings.Replace(web, "replicas: 2", "replicas: 1", 1))
	expect(t, err, fault.Invalid, "not fewer than before")
	if live := s.get(deployments, "web"); live == nil || live.GetUID() != was {
		t.Error("it was deleted and made anew")
	}
	if strings.Contains(fault.HintOf(err), cluster.RecreateAnnotation) || strings.Contains(fault.HintOf(err), "changed in place") {
		t.Errorf("people are told to get round it: %s", fault.HintOf(err))
	}
}
