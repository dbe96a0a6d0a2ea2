package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

var (
	autoscalers = schema.GroupVersionResource{Group: "autoscaling", Version: "v2", Resource: "horizontalpodautoscalers"}
	webhooks    = schema.GroupVersionResource{Group: "admissionregistration.k8s.io", Version: "v1", Resource: "validatingwebhookconfigurations"}
)

// runs are the replicas and the image of a Deployment: "5 of registry.example.com/x:1".
func (s *site) runs(name string) string {
	s.t.Helper()
	live := s.get(deployments, name)
	replicas, _, _ := unstructured.NestedInt64(live.Object, "spec", "replicas")
	containers, _, _ := unstructured.NestedSlice(live.Object, "spec", "template", "spec", "containers")
	return fmt.Sprintf("%d of %s", replicas, containers[0].(map[string]any)["image"])
}

// Git has a number of replicas, and an autoscaler another one. A new version comes all
// the same, and how many there are stays the autoscaler's business.
func TestANewVersionOfWhatAnAutoscalerScales(t *testing.T) {
	for name, c := range map[string]struct{ inGit, besides string }{
		"in Git":     {autoscaler("web"), ""},
		"beside Git": {configMap("a", "b", "c"), autoscaler("web")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(deployment("web", payments+":1.6.0"), c.inGit)
			if c.besides != "" {
				s.create(autoscalers, c.besides)
			}
			s.scaleAs("kube-controller-manager", "web")
			next := []string{deployment("web", payments+":1.7.0"), c.inGit}

			trial := s.try(nil, next...)
			if trial.Count(cluster.Refused) != 0 || trial.Count(cluster.Configured) != 1 {
				t.Errorf("the dry run came to %+v", trial)
			}
			if r := s.mustApply(next...); r.Count(cluster.Configured) != 1 {
				t.Errorf("got %v", outcomes(r))
			}
			if got, want := s.runs("web"), "5 of "+payments+":1.7.0"; got != want {
				t.Errorf("it runs %s, want %s", got, want)
			}
			p := s.proxied()
			r, err := p.door.Apply(t.Context(), s.run(next...))
			if err != nil || r.Count(cluster.Unchanged) != 2 || len(p.count()) != 2 {
				t.Errorf("once more: %v, %v", outcomes(r), err)
			}

			// What somebody changes beside it is taken back alone.
			s.editImage("web", "sneaky:1")
			only := s.run(next[0])
			only.Force = cluster.ForcePeople
			if _, err := s.cluster.Apply(t.Context(), only); err != nil {
				t.Fatal(err, fault.HintOf(err))
			}
			if got, want := s.runs("web"), "5 of "+payments+":1.7.0"; got != want {
				t.Errorf("healed, it runs %s, want %s", got, want)
			}

			// What is made anew gets all that Git says.
			s.remove(deployments, "web")
			s.mustApply(next...)
			if got, want := s.runs("web"), "2 of "+payments+":1.7.0"; got != want {
				t.Errorf("made anew, it runs %s, want %s", got, want)
			}
		})
	}
}

func (s *site) editImage(name, image string) {
	s.t.Helper()
	if _, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(s.t.Context(), name, types.StrategicMergePatchType,
		fmt.Appendf(nil, `{"spec":{"template":{"spec":{"containers":[{"name":"web","image":%q}]}}}}`, image), metav1.PatchOptions{FieldManager: "kubectl-edit"}); err != nil {
		s.t.Fatal(err)
	}
}

// webhook is a webhook of the site's own, at a path, with no certificate to speak of.
func (s *site) webhook(path string) string {
	return fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hook-%s}
webhooks:
- name: boats.example.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  clientConfig: {url: "https://hook.example.com/%s", caBundle: Cg==}
  rules: [{apiGroups: [none.example.com], apiVersions: [v1], operations: [CREATE], resources: [boats]}]
`, s.namespace, path)
}

// injectCertificate has a controller put a certificate into that webhook, which goes with
// the test: it is no namespace's.
func (s *site) injectCertificate() {
	s.t.Helper()
	s.t.Cleanup(func() {
		_ = s.others.Resource(webhooks).Delete(context.Background(), "hook-"+s.namespace, metav1.DeleteOptions{})
	})
	if _, err := s.others.Resource(webhooks).Patch(s.t.Context(), "hook-"+s.namespace, types.StrategicMergePatchType,
		[]byte(`{"webhooks":[{"name":"boats.example.com","clientConfig":{"caBundle":"Cgo="}}]}`), metav1.PatchOptions{FieldManager: "cainjector"}); err != nil {
		s.t.Fatal(err)
	}
}

// A certificate that is put into a webhook after it was applied stays there.
func TestAnInjectedCertificateStays(t *testing.T) {
	s := newSite(t)
	s.mustApply(s.webhook("old"))
	s.injectCertificate()
	if r := s.mustApply(s.webhook("new")); r.Count(cluster.Configured) != 1 {
		t.Errorf("got %v", outcomes(r))
	}
	live, err := s.others.Resource(webhooks).Get(t.Context(), "hook-"+s.namespace, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	hooks, _, _ := unstructured.NestedSlice(live.Object, "webhooks")
	want := map[string]any{"url": "https://hook.example.com/new", "caBundle": "Cgo="}
	if diff := cmp.Diff(want, hooks[0].(map[string]any)["clientConfig"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// Fields that tagboat.yaml lets differ stay with who holds them; what no rule is for is a
// conflict as ever, and nothing is written.
func TestIgnoredFieldsAreLeftToWhoHoldsThem(t *testing.T) {
	git := func(mode, size string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {a.mode: %q, size: %q}\n", mode, size)
	}
	theirs := []cluster.IgnoreRule{{Kind: "ConfigMap", Fields: []string{`data["a.mode"]`}}}
	for name, c := range map[string]struct {
		ignore  []cluster.IgnoreRule
		manager string
		changed string
		force   cluster.Force
		want    map[string]any // nil where it is refused
	}{
		"all of it by a rule":           {theirs, "some-operator", `{"a.mode":"theirs"}`, cluster.ForceNever, map[string]any{"a.mode": "theirs", "size": "new"}},
		"by the manager":                {[]cluster.IgnoreRule{{Managers: []string{"some-*"}}}, "some-operator", `{"a.mode":"theirs"}`, cluster.ForceNever, map[string]any{"a.mode": "theirs", "size": "new"}},
		"another manager than it names": {[]cluster.IgnoreRule{{Managers: []string{"keda"}}}, "some-operator", `{"a.mode":"theirs"}`, cluster.ForceNever, nil},
		"a part of it":                  {theirs, "some-operator", `{"a.mode":"theirs","size":"theirs"}`, cluster.ForceNever, nil},
		"a part of a person's":          {theirs, "kubectl-edit", `{"a.mode":"theirs","size":"theirs"}`, cluster.ForceNever, nil},
		"a part, and people are forced": {theirs, "kubectl-edit", `{"a.mode":"theirs","size":"theirs"}`, cluster.ForcePeople, map[string]any{"a.mode": "theirs", "size": "new"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(git("ours", "old"))
			s.patchAs(c.manager, configMaps, "settings", `{"data":`+c.changed+`}`)
			before := s.get(configMaps, "settings").Object["data"]
			run := s.run(git("ours", "new"))
			run.Ignore, run.Force = c.ignore, c.force
			trial, tried := s.cluster.DryRun(t.Context(), run, nil)
			_, err := s.cluster.Apply(t.Context(), run)
			want := any(c.want)
			if c.want == nil {
				want = before
				expect(t, err, fault.Denied, c.manager, "manages")
				if tried != nil || trial.Count(cluster.Refused) != 1 {
					t.Errorf("the dry run came to %+v, %v", trial, tried)
				}
				if strings.Contains(c.changed, "size") && strings.Contains(fault.HintOf(err), "a.mode") {
					t.Errorf("it tells of a field that may differ: %s", fault.HintOf(err))
				}
			} else if err != nil || tried != nil || trial.Count(cluster.Configured) != 1 {
				t.Fatalf("%v (%s); the dry run came to %+v, %v", err, fault.HintOf(err), trial, tried)
			}
			if diff := cmp.Diff(want, s.get(configMaps, "settings").Object["data"]); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A rule for all of an object lets nobody take it away from its target.
func TestWhatMarksAnObjectIsNeverLeft(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "mode", "fast"))
	s.patchAs("kubectl-label", configMaps, "settings", `{"metadata":{"labels":{"tagboat.dev/target":"mine"}}}`)
	run := s.run(configMap("settings", "mode", "slow"))
	run.Ignore = []cluster.IgnoreRule{{Kind: "ConfigMap"}}
	_, err := s.cluster.Apply(t.Context(), run)
	expect(t, err, fault.Denied, "kubectl-label", "tagboat.dev/target")
}

// An element of a list is found by its keys, also where Git leaves one to its default.
func TestAFieldOfAnElementIsLeft(t *testing.T) {
	s := newSite(t)
	services := schema.GroupVersionResource{Version: "v1", Resource: "services"}
	service := func(target int) string {
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: {app: web}, ports: [{name: other, port: 81, targetPort: 8081}, {name: http, port: 80, targetPort: %d, appProtocol: http}]}\n", target)
	}
	s.mustApply(service(8080))
	if _, err := s.others.Resource(services).Namespace(s.namespace).Patch(t.Context(), "web", types.StrategicMergePatchType,
		[]byte(`{"spec":{"ports":[{"port":80,"appProtocol":"kubernetes.io/h2c"}]}}`), metav1.PatchOptions{FieldManager: "mesh"}); err != nil {
		t.Fatal(err)
	}
	run := s.run(service(8090))
	run.Ignore = []cluster.IgnoreRule{{Kind: "Service", Fields: []string{"spec.ports[port=80].appProtocol"}}}
	if _, err := s.cluster.Apply(t.Context(), run); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	ports, _, _ := unstructured.NestedSlice(s.get(services, "web").Object, "spec", "ports")
	for _, p := range ports {
		port := p.(map[string]any)
		if port["port"] == int64(80) && (port["appProtocol"] != "kubernetes.io/h2c" || port["targetPort"] != int64(8090)) {
			t.Errorf("got %v", port)
		}
	}
	if len(ports) != 2 {
		t.Errorf("got %v", ports)
	}
}
