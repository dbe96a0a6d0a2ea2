package cluster_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
)

// drifter is whoever looks for drift: a cluster, or one behind a relay.
type drifter interface {
	Drift(ctx context.Context, d cluster.DriftCheck) (cluster.Drifted, error)
}

func (s *site) drift(c drifter, b *book, ignore []cluster.IgnoreRule, yaml ...string) cluster.Drifted {
	s.t.Helper()
	found, err := c.Drift(s.t.Context(), cluster.DriftCheck{Target: s.target(), Objects: decode(s.t, yaml...), Inventory: b.inventory(), Ignore: ignore})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// tells are lines such as "ConfigMap a changed: data.mode is \"x\" and should be \"y\", by kubectl".
func (s *site) tells(d cluster.Drifted) (lines []string) {
	for _, o := range d.Objects {
		line := strings.Replace(o.Object, " "+s.namespace+"/", " ", 1) + " " + string(o.State)
		for _, c := range o.Changes {
			c.At = time.Time{}
			line += ": " + c.String()
		}
		lines = append(lines, line)
	}
	for _, id := range d.Reown {
		lines = append(lines, id.Kind+" "+id.Name+" to be owned again")
	}
	for _, e := range d.Accepted {
		lines = append(lines, e.Kind+" "+e.Name+" accepted")
	}
	return lines
}

var scale = `{"spec":{"replicas":5}}`

func (s *site) scaleAs(manager, name string) {
	s.t.Helper()
	_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(s.t.Context(), name, types.MergePatchType, []byte(scale),
		metav1.PatchOptions{FieldManager: manager}, "scale")
	if err != nil {
		s.t.Fatal(err)
	}
}

// The ways in which an object can be changed, and what each is to us.
func TestWhatDriftIs(t *testing.T) {
	web := deployment("web", payments+":1.6.0")
	a := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {team: shop}}\ndata: {mode: fast, size: big}\n"
	for name, c := range map[string]struct {
		change func(s *site)
		want   []string
	}{
		"nothing": {func(*site) {}, nil},
		"an owned field is changed": {func(s *site) {
			s.patchAs("kubectl-edit", deployments, "web", `{"spec":{"replicas":5}}`)
		}, []string{"Deployment web changed: spec.replicas is 5 and should be 2, by kubectl-edit"}},
		"an image is changed": {func(s *site) {
			_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(s.t.Context(), "web", types.StrategicMergePatchType,
				[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"web","image":"evil:1"}]}}}}`), metav1.PatchOptions{FieldManager: "kubectl-set"})
			if err != nil {
				s.t.Fatal(err)
			}
		}, []string{`Deployment web changed: spec.template.spec.containers[name=web].image is "evil:1" and should be "` + payments + `:1.6.0", by kubectl-set`}},
		"an owned label is changed": {func(s *site) {
			s.patchAs("kubectl-label", configMaps, "a", `{"metadata":{"labels":{"team":"fish"}}}`)
		}, []string{`ConfigMap a changed: metadata.labels.team is "fish" and should be "shop", by kubectl-label`}},
		"our own label is taken away": {func(s *site) {
			s.patchAs("kubectl-label", configMaps, "a", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)
		}, []string{`ConfigMap a changed: metadata.labels["tagboat.dev/target"] is removed and should be "` + newTarget("LABEL") + `"`}},
		"a key is changed": {func(s *site) {
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
		}, []string{`ConfigMap a changed: data.mode is "slow" and should be "fast", by kubectl-edit`}},
		"a key is removed": {func(s *site) {
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":null}}`)
		}, []string{`ConfigMap a changed: data.mode is removed and should be "fast"`}},
		"two keys are changed by two": {func(s *site) {
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
			s.patchAs("k9s", configMaps, "a", `{"data":{"size":"small"}}`)
		}, []string{`ConfigMap a changed: data.mode is "slow" and should be "fast", by kubectl-edit: data.size is "small" and should be "big", by k9s`}},
		"it is scaled": {func(s *site) { s.scaleAs("kubectl", "web") },
			[]string{"Deployment web changed: spec.replicas is 5 and should be 2, by kubectl"}},
		"another applier forces its value": {func(s *site) {
			s.applyAs("kustomize-controller", configMaps, decode(s.t, configMap("a", "mode", "slow"))[0])
		}, []string{`ConfigMap a changed: data.mode is "slow" and should be "fast", by kustomize-controller`}},
		"it is deleted": {func(s *site) { s.remove(configMaps, "a") }, []string{"ConfigMap a missing"}},
		"it is being deleted": {func(s *site) {
			s.patchAs("somebody", configMaps, "a", `{"metadata":{"finalizers":["example.com/slow"]}}`)
			s.remove(configMaps, "a")
		}, []string{"ConfigMap a missing"}},
		"another process uses our name": {func(s *site) {
			since := func() string { return fmt.Sprint(s.get(configMaps, "a").GetManagedFields()[0].Time) }
			was, n := since(), 0
			// Kubernetes tells times to the second.
			eventually(s.t, "the next second", func(context.Context) bool {
				n++
				o := s.get(configMaps, "a")
				if err := unstructured.SetNestedField(o.Object, fmt.Sprintf("slow%d", n%2), "data", "mode"); err != nil {
					s.t.Fatal(err)
				}
				o.SetManagedFields(nil)
				s.applyAs(s.target().FieldManager(), configMaps, o)
				return since() != was && n%2 == 0
			})
		}, []string{`ConfigMap a changed: data.mode is "slow0" and should be "fast", by ` + newTarget("MANAGER")}},
		"a label is added": {func(s *site) {
			s.patchAs("kubectl-label", configMaps, "a", `{"metadata":{"labels":{"more":"x"}}}`)
		}, nil},
		"a sidecar is added": {func(s *site) {
			_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(s.t.Context(), "web", types.StrategicMergePatchType,
				[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"mesh","image":"mesh:1"}]}}}}`), metav1.PatchOptions{FieldManager: "istio"})
			if err != nil {
				s.t.Fatal(err)
			}
		}, nil},
		"a key is added": {func(s *site) { s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"more":"x"}}`) }, nil},
		"a co-owner":     {func(s *site) { s.applyAs("somebody", configMaps, decode(s.t, configMap("a", "mode", "fast"))[0]) }, nil},
		"a status update": {func(s *site) {
			_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(s.t.Context(), "web", types.MergePatchType, []byte(`{"status":{"replicas":2}}`), metav1.PatchOptions{FieldManager: "kubelet"}, "status")
			if err != nil {
				s.t.Fatal(err)
			}
		}, nil},
		"an update that changes nothing": {func(s *site) { s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"fast"}}`) }, nil},
		"our own apply once more":        {func(s *site) { s.mustApply(web, a) }, nil},
		"deleted and made anew": {func(s *site) {
			o := s.get(configMaps, "a")
			s.remove(configMaps, "a")
			o.SetUID("")
			o.SetResourceVersion("")
			o.SetManagedFields(nil)
			if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Create(s.t.Context(), o, metav1.CreateOptions{}); err != nil {
				s.t.Fatal(err)
			}
		}, []string{"ConfigMap a to be owned again"}},
		"changed and changed back": {func(s *site) {
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
			s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"fast"}}`)
		}, []string{"ConfigMap a to be owned again"}},
		"its managers are wiped": {func(s *site) { s.patchAs("kubectl", configMaps, "a", `{"metadata":{"managedFields":[{}]}}`) },
			[]string{"ConfigMap a to be owned again"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			s.mustApply(web, a)
			b := s.inventory()
			c.change(s)
			r := s.relay()
			got := s.tells(s.drift(r, b, nil, web, a))
			for i := range c.want {
				c.want[i] = strings.NewReplacer("<LABEL>", s.target().Label(), "<MANAGER>", s.target().FieldManager()).Replace(c.want[i])
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			asked := r.asked()
			if c.want == nil && len(asked) != 2 || len(asked) > 5 {
				t.Errorf("it asked %v", asked)
			}
			for _, request := range asked {
				if strings.HasPrefix(request, "PATCH") && !strings.Contains(request, s.namespace) {
					t.Errorf("it wrote: %s", request)
				}
			}
		})
	}
}

// newTarget stands for what is only known when the site is made.
func newTarget(what string) string { return "<" + what + ">" }

func TestALookForDriftWritesNothing(t *testing.T) {
	s := newSite(t)
	a := configMap("a", "mode", "fast")
	s.mustApply(a)
	b := s.inventory()
	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"mode":"slow"}}`)
	before := s.get(configMaps, "a")
	s.drift(s.cluster, b, nil, a)
	if diff := cmp.Diff(before.Object, s.get(configMaps, "a").Object); diff != "" {
		t.Errorf("(-before +after):\n%s", diff)
	}
}

func TestWhoChangedItAndWhen(t *testing.T) {
	s := newSite(t)
	web := deployment("web", payments+":1.6.0")
	s.mustApply(web)
	b := s.inventory()
	s.scaleAs("kubectl", "web")
	found := s.drift(s.cluster, b, nil, web)
	c := found.Objects[0].Changes[0]
	if c.Manager != "kubectl" || c.Operation != "Update" || c.Subresource != "scale" || c.Want != "2" || c.Is != "5" {
		t.Errorf("got %+v", c)
	}
	// Kubernetes remembers no time of what is set by way of the scale.
	s.patchAs("kubectl-edit", deployments, "web", `{"spec":{"replicas":7}}`)
	found = s.drift(s.cluster, b, nil, web)
	if c = found.Objects[0].Changes[0]; c.Manager != "kubectl-edit" || c.Subresource != "" || c.At.IsZero() || c.Is != "7" {
		t.Errorf("got %+v", c)
	}
	stored, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	var again cluster.Drifted
	if err := json.Unmarshal(stored, &again); err != nil {
		t.Fatal(err)
	}
	if got := again.Objects[0].Changes[0].String(); got != c.String() || !strings.Contains(string(stored), `"object":"Deployment `+s.namespace+`/web","state":"changed"`) {
		t.Errorf("stored as %s, read as %s", stored, got)
	}
}

func TestDriftTellsNoSecret(t *testing.T) {
	s := newSite(t)
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {user: hunter2hunter2}\n"
	hidden := configMap("decrypted", "motto", "open-sesame-1")
	web := strings.Replace(deployment("web", payments+":1.6.0"), "name: web, image", "name: web, env: [{name: DB_PASSWORD, value: swordfish99}, {name: COLOR, value: red}], image", 1)
	plain := configMap("plain", "greeting", "hello")
	s.mustApply(secret, hidden, web, plain)
	b := s.inventory()
	secrets := schema.GroupVersionResource{Version: "v1", Resource: "secrets"}
	s.patchAs("kubectl-edit", secrets, "key", `{"data":{"user":"bmV3LXNlY3JldC12YWx1ZQ=="}}`)
	s.patchAs("kubectl-edit", configMaps, "decrypted", `{"data":{"motto":"open-sesame-2"}}`)
	s.patchAs("kubectl-edit", configMaps, "plain", `{"data":{"greeting":"hunter2hunter2"}}`) // pasted from the Secret
	if _, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(t.Context(), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"web","env":[{"name":"DB_PASSWORD","value":"codfish1234"},{"name":"COLOR","value":"blue"}]}]}}}}`),
		metav1.PatchOptions{FieldManager: "kubectl-set"}); err != nil {
		t.Fatal(err)
	}
	target, objects := s.target(), decode(t, secret, hidden, web, plain)
	target.Secret = objects[1:2]
	found, err := s.cluster.Drift(t.Context(), cluster.DriftCheck{Target: target, Objects: objects, Inventory: b.inventory()})
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"Secret key changed: data.user is another one, by kubectl-edit",
		"ConfigMap decrypted changed: data.motto is another one, by kubectl-edit",
		`Deployment web changed: spec.template.spec.containers[name=web].env[name=COLOR].value is "blue" and should be "red", by kubectl-set: ` +
			`spec.template.spec.containers[name=web].env[name=DB_PASSWORD].value is another one, by kubectl-set`,
		"ConfigMap plain changed: data.greeting is another one, by kubectl-edit",
	}
	if diff := cmp.Diff(want, s.tells(found)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	stored, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"hunter2", "aHVudGVyM", "bmV3LX", "new-secret", "sesame", "swordfish", "codfish"} {
		if strings.Contains(string(stored), word) {
			t.Errorf("it holds %q: %s", word, stored)
		}
	}
}

func TestALongValueIsCut(t *testing.T) {
	s := newSite(t)
	a := configMap("a", "text", strings.Repeat("word ", 100))
	s.mustApply(a)
	b := s.inventory()
	s.patchAs("kubectl-edit", configMaps, "a", `{"data":{"text":"short"}}`)
	c := s.drift(s.cluster, b, nil, a).Objects[0].Changes[0]
	if c.Is != `"short"` || len(c.Want) > 200 || !strings.HasSuffix(c.Want, "…") {
		t.Errorf("got %+v", c)
	}
}

func TestAContainerThatWasTakenOutIsOneChange(t *testing.T) {
	s := newSite(t)
	web := strings.Replace(deployment("web", payments+":1.6.0"), "containers:", "containers:\n      - {name: log, image: \"log:1\"}", 1)
	s.mustApply(web)
	b := s.inventory()
	if _, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(t.Context(), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"template":{"spec":{"containers":[{"name":"log","$patch":"delete"}]}}}}`), metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		t.Fatal(err)
	}
	got := s.tells(s.drift(s.cluster, b, nil, web))
	if len(got) != 1 || !strings.HasPrefix(got[0], `Deployment web changed: spec.template.spec.containers[name=log] is removed and should be {`) || strings.Contains(got[0], "].") {
		t.Errorf("got %v", got)
	}
}

func TestIgnoredChangesAreNoDrift(t *testing.T) {
	web := deployment("web", payments+":1.6.0")
	for name, rule := range map[string]cluster.IgnoreRule{
		"by path":                {Fields: []string{"spec.replicas"}},
		"by pointer":             {Fields: []string{"/spec/replicas"}},
		"by what is above it":    {Fields: []string{"spec"}},
		"by kind, name and path": {Kind: "Deploy*", Name: "we?", Fields: []string{"spec.replicas"}},
		"by manager":             {Managers: []string{"kube*"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(web)
			b := s.inventory()
			s.scaleAs("kubectl", "web")
			found := s.drift(s.cluster, b, []cluster.IgnoreRule{rule}, web)
			if diff := cmp.Diff([]string{"Deployment web accepted"}, s.tells(found)); diff != "" {
				t.Fatalf("(-want +got):\n%s", diff)
			}
			// Once that is in the ledger, it costs nothing, until something else changes.
			if err := b.Keep(t.Context(), found.Accepted); err != nil {
				t.Fatal(err)
			}
			r := s.relay()
			if got := s.tells(s.drift(r, b, []cluster.IgnoreRule{rule}, web)); got != nil || len(r.asked()) != 1 {
				t.Errorf("the second time: %v", got)
			}
			s.patchAs("kubectl-label", deployments, "web", `{"spec":{"template":{"metadata":{"labels":{"app":"web","x":"y"}}}}}`)
			s.patchAs("helm", deployments, "web", `{"metadata":{"annotations":{"tagboat.dev/target":"x"}}}`)
			if got := s.tells(s.drift(r, b, []cluster.IgnoreRule{rule}, web)); len(got) != 1 || !strings.Contains(got[0], `metadata.annotations["tagboat.dev/target"] is "x"`) {
				t.Errorf("something else has changed: %v", got)
			}
		})
	}
	for name, rule := range map[string]cluster.IgnoreRule{
		"another kind":      {Kind: "StatefulSet", Fields: []string{"spec.replicas"}},
		"another name":      {Name: "api", Fields: []string{"spec.replicas"}},
		"another namespace": {Namespace: "elsewhere", Fields: []string{"spec.replicas"}},
		"another field":     {Fields: []string{"spec.template"}},
		"another manager":   {Managers: []string{"keda"}, Fields: []string{"spec.replicas"}},
		"an invalid path":   {Fields: []string{"spec["}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(web)
			b := s.inventory()
			s.scaleAs("kubectl", "web")
			if found := s.drift(s.cluster, b, []cluster.IgnoreRule{rule}, web); len(found.Objects) != 1 {
				t.Errorf("got %v", s.tells(found))
			}
		})
	}
}

func autoscaler(target string) string {
	return fmt.Sprintf("apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: scaler}\nspec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}}\n", target)
}

func TestAnAutoscalersReplicasAreNoDrift(t *testing.T) {
	web := deployment("web", payments+":1.6.0")
	for name, c := range map[string]struct {
		inGit, besides string
		want           []string
	}{
		"in Git":                 {autoscaler("web"), "", []string{"Deployment web accepted"}},
		"of Git, for another":    {autoscaler("api"), "", []string{"Deployment web changed: spec.replicas is 5 and should be 2, by kubectl"}},
		"beside Git":             {configMap("a", "b", "c"), autoscaler("web"), []string{"Deployment web accepted"}},
		"beside Git, for others": {configMap("a", "b", "c"), autoscaler("api"), []string{"Deployment web changed: spec.replicas is 5 and should be 2, by kubectl"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(web, c.inGit)
			b := s.inventory()
			if c.besides != "" {
				s.create(schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}, c.besides)
			}
			s.scaleAs("kubectl", "web")
			if diff := cmp.Diff(c.want, s.tells(s.drift(s.cluster, b, nil, web, c.inGit))); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnInjectedCertificateIsNoDrift(t *testing.T) {
	s := newSite(t)
	s.mustApply(s.webhook(""))
	b := s.inventory()
	s.injectCertificate()
	if diff := cmp.Diff([]string{"ValidatingWebhookConfiguration hook-" + s.namespace + " accepted"}, s.tells(s.drift(s.cluster, b, nil, s.webhook("")))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// What admission makes of an object when it is applied is what it is.
func TestWhatAdmissionSetsIsNotTold(t *testing.T) {
	s := newSite(t)
	policies := schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "mutatingadmissionpolicies"}
	bindings := policies.GroupVersion().WithResource("mutatingadmissionpolicybindings")
	policy := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: %[1]s}
spec:
  reinvocationPolicy: Never
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  mutations: [{patchType: ApplyConfiguration, applyConfiguration: {expression: 'Object{data: {"mode": "forced"}}'}}]
`, s.namespace)
	binding := fmt.Sprintf("apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingAdmissionPolicyBinding\nmetadata: {name: %[1]s}\nspec: {policyName: %[1]s}\n", s.namespace)
	for resource, yaml := range map[schema.GroupVersionResource]string{policies: policy, bindings: binding} {
		if _, err := s.others.Resource(resource).Create(t.Context(), decode(t, yaml)[0], metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	a := configMap("a", "mode", "fast")
	eventually(t, "the policy to take hold", func(context.Context) bool {
		s.mustApply(a)
		if data, _, _ := unstructured.NestedString(s.get(configMaps, "a").Object, "data", "mode"); data == "forced" {
			return true
		}
		s.remove(configMaps, "a")
		return false
	})
	b := s.inventory()
	if got := s.tells(s.drift(s.cluster, b, nil, a)); got != nil {
		t.Errorf("got %v", got)
	}
	s.patchAs("kubectl-label", configMaps, "a", `{"metadata":{"annotations":{"tagboat.dev/target":"x"}}}`)
	if got := s.tells(s.drift(s.cluster, b, nil, a)); len(got) != 1 || strings.Contains(got[0], "mode") {
		t.Errorf("got %v", got)
	}
}

func TestADeletedNamespaceIsAllMissing(t *testing.T) {
	s := newSite(t)
	made := "made-" + s.namespace
	inside := func(name string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: " + name + ", namespace: " + made + "}"
	}
	set := []string{"apiVersion: v1\nkind: Namespace\nmetadata: {name: " + made + "}", inside("a"), inside("b"), configMap("c", "a", "b")}
	s.mustApply(set...)
	b := s.inventory()
	namespaces := schema.GroupVersionResource{Version: "v1", Resource: "namespaces"}
	if err := s.others.Resource(namespaces).Delete(t.Context(), made, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	want := []string{"Namespace " + made + " missing", "ConfigMap " + made + "/a missing", "ConfigMap " + made + "/b missing"}
	eventually(t, "the namespace to be empty", func(context.Context) bool {
		return slices.Equal(want, s.tells(s.drift(s.cluster, b, nil, set...)))
	})
}

func TestADeletedDefinition(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	set := []string{boats(group), fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\n", group)}
	s.mustApply(set...)
	b := s.inventory()
	definitions := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
	if err := s.others.Resource(definitions).Delete(t.Context(), "boats."+group, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "both to be missed", func(ctx context.Context) bool {
		found, err := s.cluster.Drift(ctx, cluster.DriftCheck{Target: s.target(), Objects: decode(t, set...), Inventory: b.inventory()})
		return err == nil && slices.Equal(s.tells(found), []string{"CustomResourceDefinition boats." + group + " missing", "Boat dinghy missing"})
	})
}

func TestAnObjectThatCannotBeAppliedAnyMore(t *testing.T) {
	s := newSite(t)
	web := deployment("web", payments+":1.6.0")
	s.mustApply(web)
	b := s.inventory()
	s.remove(deployments, "web")
	s.create(deployments, strings.ReplaceAll(web, "app: web", "app: other"))
	found := s.drift(s.cluster, b, nil, web)
	if len(found.Objects) != 1 || found.Objects[0].State != cluster.Unsure || !strings.Contains(found.Objects[0].Why, "spec.selector") {
		t.Errorf("got %+v", found)
	}
}

func TestWhatEndsByItselfIsNotMissed(t *testing.T) {
	s := newSite(t)
	job := func(name, annotations, spec string) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, annotations: {%s}}\nspec: {%s template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"c:1\"}]}}}\n", name, annotations, spec)
	}
	set := []string{job("hook", "helm.sh/hook: pre-install", ""), job("test", "helm.sh/hook: test", ""),
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: for-hook, annotations: {helm.sh/hook: pre-install}}\n", job("brief", "", "ttlSecondsAfterFinished: 1,"), job("stays", "", "")}
	if got := s.tells(s.drift(s.cluster, &book{}, nil, set...)); !slices.Equal(got, []string{"ConfigMap for-hook missing", "Job stays missing"}) {
		t.Errorf("got %v", got)
	}
}

func TestWhatCannotBeReadHasNotDrifted(t *testing.T) {
	web, a := deployment("web", payments+":1.6.0"), configMap("a", "mode", "fast")
	for name, loss := range map[string]deed{"request": refuse, "answer": loseAnswer, "unwell": ailing} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(web, a)
			b := s.inventory()
			s.scaleAs("kubectl", "web")
			s.remove(configMaps, "a")
			for n := 1; ; n++ {
				hit := false
				r := s.relay()
				r.from(func(i int, _ *http.Request) deed {
					if i == n {
						hit = true
						return loss
					}
					return nil
				})
				found, err := r.Drift(t.Context(), cluster.DriftCheck{Target: s.target(), Objects: decode(t, web, a), Inventory: b.inventory()})
				if err != nil && len(found.Objects) > 0 {
					t.Errorf("request %d was lost, and it tells of %v", n, s.tells(found))
				}
				if err == nil && len(found.Objects) != 2 {
					t.Errorf("request %d was lost, and it tells of %v alone", n, s.tells(found))
				}
				if !hit {
					if n < 5 {
						t.Errorf("only %d requests", n-1)
					}
					return
				}
			}
		})
	}
	s := newSite(t)
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := s.cluster.Drift(stopped, cluster.DriftCheck{Target: s.target(), Objects: decode(t, a)}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
