package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

func mode(o cluster.Object) string {
	if o == nil {
		return ""
	}
	text, _, _ := unstructured.NestedString(o.Object, "data", "mode")
	return text
}

// What a person changes by hand is found without reading any content. It is told, or
// taken back where the environment says so.
func TestAPersonsChangeIsToldOrTakenBack(t *testing.T) {
	for _, person := range []string{"kubectl-edit", "kubectl-patch", "kubectl", "k9s", "kubectl-client-side-apply"} {
		s := newSite(t)
		s.mustApply(configMap("settings", "mode", "fast"))
		s.patchAs(person, configMaps, "settings", `{"data":{"mode":"slow"}}`)

		_, err := s.apply(configMap("settings", "mode", "fast"))
		expect(t, err, fault.Denied, "ConfigMap "+s.namespace+"/settings", person, "data.mode", "force: people", "Git")
		if got := mode(s.get(configMaps, "settings")); got != "slow" {
			t.Errorf("%s: it was taken back without being told to: %s", person, got)
		}

		run := s.run(configMap("settings", "mode", "fast"))
		run.Force = cluster.ForcePeople
		r, err := s.cluster.Apply(t.Context(), run)
		if err != nil || r.Count(cluster.Configured) != 1 || mode(s.get(configMaps, "settings")) != "fast" {
			t.Errorf("%s: %v, %v", person, outcomes(r), err)
		}
		if r := s.mustApply(configMap("settings", "mode", "fast")); r.Count(cluster.Unchanged) != 1 {
			t.Errorf("%s: and again: %v", person, outcomes(r))
		}
	}
}

// A person who changes a value and back again has taken the field; so it is ours again.
func TestAChangeAndBack(t *testing.T) {
	s := newSite(t)
	s.changedBack()
	p := s.proxied()
	if _, err := p.door.Apply(t.Context(), s.run(configMap("settings", "mode", "fast"))); err != nil || len(p.count()) != 1 {
		t.Errorf("it is not healed for good: %v", err)
	}
	// Nobody wants it otherwise than Git had it: so the next version is in nobody's way.
	if r := s.mustApply(configMap("settings", "mode", "faster")); r.Count(cluster.Configured) != 1 || mode(s.get(configMaps, "settings")) != "faster" {
		t.Errorf("the next version: %v", outcomes(r))
	}
}

// Whoever declares a value holds it, be it the same as ours: only what people have done by
// hand, and undone, is nobody's any more.
func TestWhatIsDeclaredAlongWithUsStays(t *testing.T) {
	for who, hold := range map[string]func(s *site){
		"kubectl": func(s *site) { s.applyAs("kubectl", configMaps, decode(t, configMap("settings", "mode", "fast"))[0]) },
		"some-operator": func(s *site) {
			s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":"slow"}}`)
			s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":"fast"}}`)
		},
	} {
		s := newSite(t)
		s.mustApply(configMap("settings", "mode", "fast"))
		hold(s)
		s.mustApply(configMap("settings", "mode", "fast"))
		_, err := s.apply(configMap("settings", "mode", "faster"))
		expect(t, err, fault.Denied, who, "data.mode")
	}
}

// Whoever has put a field to what is in Git holds it beside us from then on. That claims
// nothing, and is no reason to refuse the next commit: be it that they changed it back, as
// they were asked to, or that their change came to Git.
func TestWhoAgreesWithGitClaimsNothing(t *testing.T) {
	for name, c := range map[string]struct{ byHand, then string }{
		"a change and back":         {"slow", "fast"},
		"a change that goes to Git": {"slow", "slow"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(configMap("settings", "mode", "fast"))
			s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"`+c.byHand+`"}}`)
			if c.then != c.byHand {
				s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"`+c.then+`"}}`)
			}
			s.mustApply(configMap("settings", "mode", c.then))

			if trial := s.try(nil, configMap("settings", "mode", "faster")); !slices.Equal(came(trial), []string{"ConfigMap settings configured"}) {
				t.Errorf("a dry run tells %v", came(trial))
			}
			if r := s.mustApply(configMap("settings", "mode", "faster")); r.Count(cluster.Configured) != 1 || mode(s.get(configMaps, "settings")) != "faster" {
				t.Errorf("the next commit: %v", outcomes(r))
			}
			// That goes for what they set before, and for nothing that they set later.
			s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"slow"}}`)
			_, err := s.apply(configMap("settings", "mode", "fastest"))
			expect(t, err, fault.Denied, "kubectl-edit", "data.mode", "force: people")
		})
	}
}

// It is the same with an object that bears a note of ours that is not in Git, because an
// attempt at it was broken off once.
func TestAChangeAndBackOfWhatWasBrokenOff(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "mode", "fast"))
	e := s.book.entry(t, "ConfigMap", "settings")
	e.State, e.Fingerprint = cluster.Intended, ""
	s.book.entries[e.ID] = e
	s.mustApply(configMap("settings", "mode", "fast"))
	if s.get(configMaps, "settings").GetAnnotations()[cluster.EpochAnnotation] == "" {
		t.Fatal("it bears no note")
	}
	s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"slow"}}`)
	s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"fast"}}`)
	d := s.drift(s.cluster, s.book, nil, configMap("settings", "mode", "fast"))
	if len(d.Objects) > 0 || len(d.Accepted) > 0 || len(d.Reown) != 1 {
		t.Fatalf("it is not to be ours again: %+v", d)
	}
	s.mustApply(configMap("settings", "mode", "fast")) // as whoever looks for drift does then
	if r := s.mustApply(configMap("settings", "mode", "faster")); r.Count(cluster.Configured) != 1 {
		t.Errorf("the next commit: %v", outcomes(r))
	}
	if d := s.drift(s.cluster, s.book, nil, configMap("settings", "mode", "faster")); len(d.Objects)+len(d.Accepted)+len(d.Reown) > 0 {
		t.Errorf("and after that: %+v", d)
	}
}

// Whoever applies the field themselves, with kubectl apply --server-side, goes on wanting
// it, and a controller does, too, though they agree for now.
func TestWhoAppliesAFieldOrControlsItClaimsIt(t *testing.T) {
	claim := map[string]func(s *site){
		"kubectl":       func(s *site) { s.applyAs("kubectl", configMaps, decode(s.t, configMap("settings", "mode", "fast"))[0]) },
		"some-operator": func(s *site) { s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":"fast"}}`) },
	}
	for who, hold := range claim {
		s := newSite(t)
		s.mustApply(configMap("settings", "mode", "fast"))
		s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":"slow"}}`)
		s.patchAs("some-operator", configMaps, "settings", `{"data":{"mode":null}}`)
		hold(s)
		s.mustApply(configMap("settings", "mode", "fast"))
		_, err := s.apply(configMap("settings", "mode", "faster"))
		expect(t, err, fault.Denied, who, "data.mode")
		if got := mode(s.get(configMaps, "settings")); got != "fast" {
			t.Errorf("%s's value is gone: %s", who, got)
		}
	}
}

// changedBack has somebody change an applied ConfigMap by hand, and back.
func (s *site) changedBack() {
	s.t.Helper()
	s.mustApply(configMap("settings", "mode", "fast"))
	s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"slow"}}`)
	s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"fast"}}`)
	s.mustApply(configMap("settings", "mode", "fast"))
}

// Who changes it between the look and the write has not agreed to anything.
func TestAClaimThatComesInBetweenCounts(t *testing.T) {
	s := newSite(t)
	s.changedBack()
	p := s.proxied()
	tried := 0
	p.spoil = func(_ int, what string) spoiling {
		if what == "DRYRUN configmaps" {
			if tried++; tried == 2 { // the one that was decided to be forced
				s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"slow"}}`)
			}
		}
		return passed
	}
	_, err := p.door.Apply(t.Context(), s.run(configMap("settings", "mode", "faster")))
	expect(t, err, fault.Denied, "kubectl-edit", "data.mode")
	if got := mode(s.get(configMaps, "settings")); got != "slow" {
		t.Errorf("what they wanted is gone: %s", got)
	}
}

// A controller takes a field just when it is found that people hold another one. Force is
// for people: whose field it is now counts, and not who was in the first conflict.
func TestAControllersClaimThatComesInBetweenIsNotForced(t *testing.T) {
	for _, at := range []string{"GET configmaps", "the forced dry run"} {
		s := newSite(t)
		settings := func(mode string) string {
			return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: %s, level: %s}\n", mode, mode)
		}
		s.mustApply(settings("fast"))
		s.patchAs("kubectl-edit", configMaps, "settings", `{"data":{"mode":"slow"}}`)
		p := s.proxied()
		tried, claimed := 0, false
		p.spoil = func(_ int, what string) spoiling {
			if what == "DRYRUN configmaps" {
				tried++
			}
			if !claimed && (what == at || tried == 2) {
				claimed = true
				s.patchAs("some-operator", configMaps, "settings", `{"data":{"level":"7"}}`)
			}
			return passed
		}
		run := s.run(settings("faster"))
		run.Force = cluster.ForcePeople
		_, err := p.door.Apply(t.Context(), run)
		expect(t, err, fault.Denied, "some-operator", "data.level")
		if got, _, _ := unstructured.NestedString(s.get(configMaps, "settings").Object, "data", "level"); got != "7" {
			t.Errorf("at %s: the operator's value is gone: %s", at, got)
		}
	}
}

// An object is deleted and made by another deployer between the look and the dry run, with
// the very content that Git has here: it is another one, and is not taken.
func TestAnotherDeployersObjectThatComesInBetween(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "mode", "fast"))
	p := s.proxied()
	made := false
	p.spoil = func(_ int, what string) spoiling {
		if what == "DRYRUN configmaps" && !made {
			made = true
			s.remove(configMaps, "settings")
			s.applyAs("argocd-controller", configMaps, decode(t, configMap("settings", "mode", "faster"))[0])
		}
		return passed
	}
	_, err := p.door.Apply(t.Context(), s.run(configMap("settings", "mode", "faster")))
	expect(t, err, fault.Denied, "Argo CD")
	if a := s.get(configMaps, "settings").GetAnnotations(); a[cluster.TargetAnnotation] != "" {
		t.Errorf("it was taken: %v", a)
	}
}

// An object that moves all the time, as one does that rolls out, is looked at again.
func TestAnObjectThatMovesIsStillTaken(t *testing.T) {
	s := newSite(t)
	s.changedBack()
	p := s.proxied()
	tried := 0
	p.spoil = func(_ int, what string) spoiling {
		if what == "DRYRUN configmaps" {
			if tried++; tried == 2 || tried == 4 { // those that were decided to be forced
				s.patchAs("controller", configMaps, "settings", fmt.Sprintf(`{"data":{"seen":"%d"}}`, tried))
			}
		}
		return passed
	}
	r, err := p.door.Apply(t.Context(), s.run(configMap("settings", "mode", "faster")))
	if err != nil || r.Count(cluster.Configured) != 1 || mode(s.get(configMaps, "settings")) != "faster" || tried != 6 {
		t.Errorf("%v, %v, after %d dry runs", outcomes(r), err, tried)
	}
}

// Others are never forced, whatever the configuration says.
func TestWhoIsNeverForced(t *testing.T) {
	for _, other := range []string{"argocd-controller", "kustomize-controller", "helm", "kapp-server-side-apply", "tagboat-0123456789ab", "some-operator"} {
		s := newSite(t)
		s.mustApply(configMap("settings", "mode", "fast"))
		s.applyAs(other, configMaps, decode(t, configMap("settings", "mode", "slow"))[0])
		run := s.run(configMap("settings", "mode", "fast"))
		run.Force = cluster.ForcePeople
		_, err := s.cluster.Apply(t.Context(), run)
		expect(t, err, fault.Denied, other, "data.mode", "never")
		if got := mode(s.get(configMaps, "settings")); got != "slow" {
			t.Errorf("%s's value is gone: %s", other, got)
		}
	}
}

// What another deployer has is not adopted, even where nothing differs.
func TestAnotherDeployersObject(t *testing.T) {
	marked := func(annotation string) string {
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, annotations: {%s}}\ndata: {mode: fast}\n", annotation)
	}
	labelled := func(label string) string { return strings.Replace(marked(label), "annotations:", "labels:", 1) }
	for what, c := range map[string]struct{ manager, yaml, name string }{
		"Argo CD's manager": {"argocd-controller", configMap("settings", "mode", "fast"), "Argo CD"},
		"Argo CD's mark":    {"x", marked(`argocd.argoproj.io/tracking-id: "shop:/ConfigMap:shop/settings"`), "shop:/ConfigMap:shop/settings"},
		"Flux's manager":    {"kustomize-controller", configMap("settings", "mode", "fast"), "Flux"},
		"Flux's label":      {"x", labelled("kustomize.toolkit.fluxcd.io/name: shop"), "Flux"},
		"Helm's annotation": {"x", marked("meta.helm.sh/release-name: shop"), "Helm"},
		"kapp's label":      {"x", labelled(`kapp.k14s.io/app: "123"`), "kapp"},
	} {
		s := newSite(t)
		s.applyAs(c.manager, configMaps, decode(t, c.yaml)[0])
		for _, value := range []string{"fast", "slow"} {
			run := s.run(configMap("settings", "mode", value))
			run.Force = cluster.ForcePeople
			_, err := s.cluster.Apply(t.Context(), run)
			expect(t, err, fault.Denied, "ConfigMap "+s.namespace+"/settings", c.name, "kubectl patch configmaps settings -n "+s.namespace)
			if got := s.get(configMaps, "settings"); mode(got) != "fast" || got.GetAnnotations()[cluster.TargetAnnotation] != "" {
				t.Errorf("%s: it was written", what)
			}
		}

		// The way out that the message tells is one.
		release := `{"metadata":{"managedFields":[{}],"labels":null,"annotations":null}}`
		if _, err := s.others.Resource(configMaps).Namespace(s.namespace).Patch(t.Context(), "settings", types.MergePatchType, []byte(release), metav1.PatchOptions{FieldManager: "x"}); err != nil {
			t.Fatal(err)
		}
		if r, err := s.apply(configMap("settings", "mode", "fast")); err != nil || r.Count(cluster.Configured) != 1 {
			t.Errorf("%s, after it has let go: %v, %v", what, outcomes(r), err)
		}
	}
}

// A person's object that nobody else deploys is adopted, where nothing is in the way.
func TestAPersonsObjectIsAdopted(t *testing.T) {
	s := newSite(t)
	s.applyAs("kubectl", configMaps, decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: fast, more: theirs}\n")[0])
	if r := s.mustApply(configMap("settings", "mode", "fast")); r.Count(cluster.Configured) != 1 {
		t.Errorf("got %v", outcomes(r))
	}
	live := s.get(configMaps, "settings")
	if live.Object["data"].(map[string]any)["more"] != "theirs" {
		t.Error("their own field is gone")
	}
	if r := s.mustApply(configMap("settings", "mode", "fast")); r.Count(cluster.Unchanged) != 1 {
		t.Errorf("again: %v", outcomes(r))
	}
}

// An object goes from one target to another by what the refusal says, and stays in the
// cluster all the while.
func TestAnObjectIsHandedOver(t *testing.T) {
	s := newSite(t)
	settings := configMap("settings", "mode", "fast")
	s.mustApply(settings, configMap("stays", "a", "b"))
	uid := s.get(configMaps, "settings").GetUID()
	books := newBook()
	next := func() error {
		run := s.run(settings)
		run.Target.Key = "acme/env books " + s.namespace
		run.Inventory, run.Ledger = books.inventory(), books
		_, err := s.cluster.Apply(t.Context(), run)
		return err
	}
	err := next()
	expect(t, err, fault.Denied, "belongs to another target", cluster.KeepAnnotation+": keep", "kubectl patch configmaps settings -n "+s.namespace)
	_, rest, _ := strings.Cut(fault.HintOf(err), "--type=merge -p '")
	release, _, told := strings.Cut(rest, "'")
	if !told {
		t.Fatalf("it does not say how: %s", fault.HintOf(err))
	}

	tried := s.run(settings)
	tried.Target.Key = "acme/env books " + s.namespace
	if trial, err := s.cluster.DryRun(t.Context(), tried, nil); err != nil || !strings.Contains(fmt.Sprint(trial), release+"'") {
		t.Errorf("the dry run says something else: %+v, %v", trial, err)
	}

	s.patchAs("kubectl-annotate", configMaps, "settings", `{"metadata":{"annotations":{"tagboat.dev/prune":"keep"}}}`)
	s.mustPrune(s.cluster, s.book, []string{"ConfigMap settings kept"}, configMap("stays", "a", "b"))
	s.patchAs("kubectl-patch", configMaps, "settings", release)
	if err := next(); err != nil {
		t.Fatalf("what it says is not enough: %v (%s)", err, fault.HintOf(err))
	}
	live := s.get(configMaps, "settings")
	if live.GetUID() != uid || live.GetAnnotations()[cluster.KeepAnnotation] != "" {
		t.Errorf("it is another one, or is kept for ever: %v", live.GetAnnotations())
	}
	removal := cluster.Removal{Target: cluster.Target{Key: "acme/env books " + s.namespace, Namespace: s.namespace}, Remove: books.inventory(), Ledger: books}
	pruned, err := s.cluster.Prune(t.Context(), removal)
	if err != nil || pruned.Count(cluster.Deleted) != 1 {
		t.Errorf("the next target cannot delete it: %+v, %v", pruned, err)
	}
}

// An autoscaler and Git do not fight over the number of replicas.
func TestAnAutoscalersReplicas(t *testing.T) {
	s := newSite(t)
	s.mustApply(deployment("web", payments+":1.6.0"))
	scale := func(manager string, n int) {
		t.Helper()
		_, err := s.others.Resource(deployments).Namespace(s.namespace).Patch(t.Context(), "web", types.MergePatchType,
			fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, n), metav1.PatchOptions{FieldManager: manager}, "scale")
		if err != nil {
			t.Fatal(err)
		}
	}
	scale("kube-controller-manager", 5)
	force := func(yaml ...string) error {
		run := s.run(yaml...)
		run.Force = cluster.ForcePeople
		_, err := s.cluster.Apply(t.Context(), run)
		return err
	}
	expect(t, force(deployment("web", payments+":1.6.0")), fault.Denied, "kube-controller-manager", "spec.replicas", "remove spec.replicas from Git")

	// kubectl scale is a person's, unless an autoscaler scales the same.
	if err := force(strings.Replace(deployment("web", payments+":1.6.0"), "  replicas: 2\n", "", 1)); err != nil {
		t.Fatal(err)
	}
	scale("kubectl", 3)
	if err := force(deployment("web", payments+":1.6.0")); err != nil || s.runs("web") != "2 of "+payments+":1.6.0" {
		t.Errorf("a person's scale is not taken back, it runs %s: %v", s.runs("web"), err)
	}
	scale("kubectl", 3)
	hpa := "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: web}\nspec: {maxReplicas: 9, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: web}}\n"
	if err := force(deployment("web", payments+":1.6.0"), hpa); err != nil || s.runs("web") != "3 of "+payments+":1.6.0" {
		t.Errorf("what an autoscaler scales runs %s: %v", s.runs("web"), err)
	}
}

// An admission plugin that changes what we write does not have us write for ever.
func TestWhatAdmissionChangesIsNoDrift(t *testing.T) {
	s := newSite(t)
	policy := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: mutate-%[1]s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [configmaps]}]
  failurePolicy: Fail
  reinvocationPolicy: Never
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: "[JSONPatch{op: 'add', path: '/data/mode', value: 'as the cluster wants it'}]"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: mutate-%[1]s}
spec: {policyName: mutate-%[1]s}
`, s.namespace)
	setup := s.run(policy)
	setup.Target.Key = "the administrator's " + s.namespace
	setup.Inventory, setup.Ledger = nil, newBook()
	if _, err := s.cluster.Apply(t.Context(), setup); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the policy to be in force", func(context.Context) bool {
		s.applyAs("probe", configMaps, decode(t, configMap("probe", "mode", "mine"))[0])
		return mode(s.get(configMaps, "probe")) == "as the cluster wants it"
	})
	s.mustApply(configMap("settings", "mode", "fast"))
	if got := mode(s.get(configMaps, "settings")); got != "as the cluster wants it" {
		t.Fatalf("the policy did nothing: %q", got)
	}
	p := s.proxied()
	if r, err := p.door.Apply(t.Context(), s.run(configMap("settings", "mode", "fast"))); err != nil || r.Count(cluster.Unchanged) != 1 || len(p.count()) != 1 {
		t.Errorf("the second apply: %v, %v", outcomes(r), err)
	}
}

// What an earlier Tagboat has applied bears no installation, and its fields belong to a
// manager that all targets shared: it is handed over, with all that it owned.
func TestWhatAnEarlierTagboatHasApplied(t *testing.T) {
	s := newSite(t)
	old := decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings}\ndata: {mode: slow, gone: from-git}\n")[0]
	old.SetAnnotations(map[string]string{cluster.TargetAnnotation: s.target().Key})
	s.applyAs("tagboat", configMaps, old)

	if _, err := s.apply(configMap("settings", "mode", "fast")); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	live := s.get(configMaps, "settings")
	if diff := cmp.Diff(map[string]any{"mode": "fast"}, live.Object["data"]); diff != "" {
		t.Errorf("it has (-want +got):\n%s", diff)
	}
	for _, e := range live.GetManagedFields() {
		if e.Manager == "tagboat" {
			t.Error("the former manager still owns something")
		}
	}
	stranger := old.DeepCopy()
	stranger.SetName("other")
	stranger.SetAnnotations(map[string]string{cluster.TargetAnnotation: "acme/env another"})
	s.applyAs("tagboat", configMaps, stranger)
	_, err := s.apply(configMap("other", "mode", "fast"))
	expect(t, err, fault.Denied, "another")
}
