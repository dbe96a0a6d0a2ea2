package cluster_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// made has somebody make objects before Tagboat comes, as kubectl apply does without
// --server-side, unless they call themselves otherwise.
func (s *site) made(manager string, resource schema.GroupVersionResource, yaml string) cluster.Object {
	s.t.Helper()
	o, err := s.others.Resource(resource).Namespace(s.namespace).Create(s.t.Context(), decode(s.t, yaml)[0], metav1.CreateOptions{FieldManager: manager})
	if err != nil {
		s.t.Fatal(err)
	}
	return o
}

const kubectlApply = "kubectl-client-side-apply"

// asking is a sync that asks before it changes what is nobody's, and knows of those to
// whom somebody has said yes.
func (s *site) asking(agreed []cluster.Object, yaml ...string) cluster.Run {
	s.t.Helper()
	run := s.run(yaml...)
	run.Adopt = &cluster.Adoption{Agreed: map[string]bool{}}
	for _, o := range agreed {
		run.Adopt.Agreed[string(o.GetUID())] = true
	}
	return run
}

// asks are lines such as "ConfigMap settings: data.mode is \"slow\" and should be \"fast\"" of
// an apply that has to ask.
func (s *site) asks(err error) (lines []string) {
	s.t.Helper()
	stray, ok := errors.AsType[*cluster.Unadopted](err)
	if !ok {
		s.t.Fatalf("it does not ask: %v", err)
	}
	expect(s.t, err, fault.Denied, stray.Objects[0].Object, "a person has to say yes")
	for _, o := range stray.Objects {
		var fields []string
		for _, c := range o.Changes {
			c.At = time.Time{}
			fields = append(fields, c.String())
		}
		slices.Sort(fields)
		lines = append(lines, strings.Replace(o.Object, " "+s.namespace+"/", " ", 1)+": "+strings.Join(fields, "; "))
	}
	return lines
}

// Git has something that is in the cluster already, made with kubectl and nobody's. Nothing
// at all is written before a person has said yes; then it becomes what Git has, and what
// kubectl left is Tagboat's.
func TestWhatIsNobodysIsAskedFor(t *testing.T) {
	s := newSite(t)
	settings := s.made(kubectlApply, configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: settings, labels: {team: shop}, annotations: {kubectl.kubernetes.io/last-applied-configuration: '{}'}}\ndata: {mode: slow, old: key}\n")
	git := []string{configMap("fresh", "a", "b"), configMap("settings", "mode", "fast")}

	result, err := s.cluster.Apply(t.Context(), s.asking(nil, git...))
	want := []string{`ConfigMap settings: data.mode is "slow" and should be "fast", by kubectl-client-side-apply; ` +
		`data.old is "key" and should not be there, by kubectl-client-side-apply; metadata.labels.team is "shop" and should not be there, by kubectl-client-side-apply`}
	if diff := cmp.Diff(want, s.asks(err)); diff != "" {
		t.Errorf("it asks (-want +got)\n%s", diff)
	}
	if now := s.get(configMaps, "settings"); now.GetResourceVersion() != settings.GetResourceVersion() || s.get(configMaps, "fresh") != nil || len(result.Applied) > 0 || len(s.book.lines()) > 0 {
		t.Errorf("something was written: %v, %v, the ledger has %v", outcomes(result), now, s.book.lines())
	}

	if result, err = s.cluster.Apply(t.Context(), s.asking([]cluster.Object{settings}, git...)); err != nil || !slices.Equal(outcomes(result), []string{"ConfigMap fresh created", "ConfigMap settings configured"}) {
		t.Fatalf("after the yes: %v, %v", outcomes(result), err)
	}
	now := s.get(configMaps, "settings")
	if diff := cmp.Diff(map[string]any{"mode": "fast"}, now.Object["data"]); diff != "" || now.GetLabels()["team"] != "" {
		t.Errorf("after the yes it has the labels %v, and (-want +got)\n%s", now.GetLabels(), diff)
	}
	for _, e := range now.GetManagedFields() {
		if e.Manager != s.target().FieldManager() {
			t.Errorf("%s still manages fields of it", e.Manager)
		}
	}
	// It is the target's from now on, and nobody is asked again.
	if _, err := s.cluster.Apply(t.Context(), s.asking(nil, configMap("fresh", "a", "b"), configMap("settings", "mode", "faster"))); err != nil {
		t.Errorf("the next commit: %v", err)
	}
}

// What the apply leaves as it is needs no yes: kubectl has the defaults of a Deployment, too,
// and loses them, and the API server fills them in again.
func TestWhatIsAsInGitIsTakenOverWithoutAQuestion(t *testing.T) {
	s := newSite(t)
	web := deployment("web", payments+":1.6.0")
	before := s.made(kubectlApply, deployments, web)
	s.made("kubectl-create", configMaps, configMap("settings", "mode", "fast"))
	s.made("deploy.py", configMaps, configMap("limits", "cpu", "1"))
	result, err := s.cluster.Apply(t.Context(), s.asking(nil, web, configMap("settings", "mode", "fast"), configMap("limits", "cpu", "1")))
	if err != nil || result.Count(cluster.Configured) != 3 {
		t.Fatalf("%v, %v", outcomes(result), err)
	}
	after := s.get(deployments, "web")
	if diff := cmp.Diff(before.Object["spec"], after.Object["spec"]); diff != "" {
		t.Errorf("the Deployment has changed:\n%s", diff)
	}
	if slices.ContainsFunc(after.GetManagedFields(), func(e metav1.ManagedFieldsEntry) bool { return e.Manager == kubectlApply }) {
		t.Error("kubectl still manages fields of it")
	}
}

// A container that kubectl has put there is one thing that goes, and what falls back to a
// default is told with both values.
func TestWhatKubectlHadAndGitHasNot(t *testing.T) {
	s := newSite(t)
	byHand := decode(t, deployment("web", payments+":1.6.0"))[0]
	containers, _, _ := unstructured.NestedSlice(byHand.Object, "spec", "template", "spec", "containers")
	containers = append(containers, map[string]any{"name": "log", "image": "log:1"})
	for _, err := range []error{
		unstructured.SetNestedSlice(byHand.Object, containers, "spec", "template", "spec", "containers"),
		unstructured.SetNestedField(byHand.Object, int64(3), "spec", "revisionHistoryLimit"),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.others.Resource(deployments).Namespace(s.namespace).Create(t.Context(), byHand, metav1.CreateOptions{FieldManager: kubectlApply}); err != nil {
		t.Fatal(err)
	}
	_, err := s.cluster.Apply(t.Context(), s.asking(nil, deployment("web", payments+":1.6.0")))
	asks := s.asks(err)
	if len(asks) != 1 || strings.Count(asks[0], "; ") != 1 || !strings.Contains(asks[0], "spec.revisionHistoryLimit is 3 and should be 10") ||
		!strings.Contains(asks[0], "spec.template.spec.containers[name=log] is {") {
		t.Errorf("it asks %q", asks)
	}
	agreed := []cluster.Object{s.get(deployments, "web")}
	if _, err := s.cluster.Apply(t.Context(), s.asking(agreed, deployment("web", payments+":1.6.0"))); err != nil {
		t.Fatal(err)
	}
	now := s.get(deployments, "web")
	containers, _, _ = unstructured.NestedSlice(now.Object, "spec", "template", "spec", "containers")
	if limit, _, _ := unstructured.NestedInt64(now.Object, "spec", "revisionHistoryLimit"); limit != 10 || len(containers) != 1 {
		t.Errorf("it was said otherwise: %d, %v", limit, containers)
	}
}

// What people hold is asked for where it would be taken from them, and a yes lets it be.
func TestAYesComesBesidesForce(t *testing.T) {
	s := newSite(t)
	settings := s.made("kubectl-create", configMaps, configMap("settings", "mode", "slow"))
	run := s.asking(nil, configMap("settings", "mode", "fast"))
	run.Force = cluster.ForcePeople
	_, err := s.cluster.Apply(t.Context(), run)
	if asks := s.asks(err); !slices.Equal(asks, []string{`ConfigMap settings: data.mode is "slow" and should be "fast", by kubectl-create`}) {
		t.Errorf("it asks %q", asks)
	}
	run.Adopt.Agreed[string(settings.GetUID())] = true
	if _, err := s.cluster.Apply(t.Context(), run); err != nil || mode(s.get(configMaps, "settings")) != "fast" {
		t.Errorf("after the yes: %v", err)
	}
}

// No secret is told along with a question.
func TestAQuestionTellsNoSecrets(t *testing.T) {
	s := newSite(t)
	secret := func(value string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {token: " + value + "}\n"
	}
	s.made(kubectlApply, schema.GroupVersionResource{Version: "v1", Resource: "secrets"}, secret("swordfish-theirs"))
	s.made(kubectlApply, configMaps, configMap("settings", "note", "swordfish-theirs"))
	s.made(kubectlApply, configMaps, configMap("more", "password", "open-sesame"))
	_, err := s.cluster.Apply(t.Context(), s.asking(nil, secret("swordfish-ours"), configMap("settings", "note", "swordfish-ours"), configMap("more", "password", "open-sesame-2")))
	want := []string{
		"Secret key: data.token is another one, by kubectl-client-side-apply",
		"ConfigMap settings: data.note is another one, by kubectl-client-side-apply",
		"ConfigMap more: data.password is another one, by kubectl-client-side-apply",
	}
	asks := s.asks(err)
	slices.Sort(asks)
	slices.Sort(want)
	if diff := cmp.Diff(want, asks); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// What is Tagboat's is not asked for, whatever of the proofs is lost.
func TestWhatIsOursIsNotAskedFor(t *testing.T) {
	old, now := configMap("settings", "mode", "fast"), configMap("settings", "mode", "faster")
	for lost, lose := range map[string]func(s *site){
		"nothing":      func(*site) {},
		"the database": func(s *site) { s.book = newBook() },
		"the label":    func(s *site) { s.patchAs("kubectl", configMaps, "settings", `{"metadata":{"labels":null}}`) },
		"the label and the database": func(s *site) {
			s.patchAs("kubectl", configMaps, "settings", `{"metadata":{"labels":null}}`)
			s.book = newBook()
		},
		"all marks": func(s *site) {
			s.patchAs("kubectl", configMaps, "settings", `{"metadata":{"labels":null,"annotations":null}}`)
		},
	} {
		s := newSite(t)
		s.mustApply(old)
		lose(s)
		if result, err := s.cluster.Apply(t.Context(), s.asking(nil, now)); err != nil || mode(s.get(configMaps, "settings")) != "faster" {
			t.Errorf("without %s: %v, %v", lost, outcomes(result), err)
		}
	}

	s := newSite(t)
	m := s.moving(yes, old)
	run := m.run(m.to, m.new, now)
	run.Adopt = &cluster.Adoption{}
	if result, err := s.cluster.Apply(t.Context(), run); err != nil || mode(s.get(configMaps, "settings")) != "faster" {
		t.Errorf("it moves: %v, %v", outcomes(result), err)
	}
}

// Whoever makes an object between the look and the write is asked about all the same.
func TestWhatIsMadeInBetweenIsAskedFor(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	p.spoil = func(_ int, what string) spoiling {
		if what == "WRITE configmaps" && s.get(configMaps, "settings") == nil {
			s.made(kubectlApply, configMaps, configMap("settings", "old", "key"))
		}
		return passed
	}
	_, err := p.door.Apply(t.Context(), s.asking(nil, configMap("settings", "mode", "fast")))
	want := []string{`ConfigMap settings: data.mode is removed and should be "fast"; data.old is "key" and should not be there, by kubectl-client-side-apply`}
	if diff := cmp.Diff(want, s.asks(err)); diff != "" || mode(s.get(configMaps, "settings")) != "" {
		t.Errorf("it has %v, and asks (-want +got)\n%s", s.get(configMaps, "settings"), diff)
	}
}

// A dry run before a merge says what the sync would ask for.
func TestADryRunSaysWhatWillBeAskedFor(t *testing.T) {
	s := newSite(t)
	settings := s.made(kubectlApply, configMaps, configMap("settings", "mode", "slow"))
	git := []string{configMap("settings", "mode", "fast"), configMap("fresh", "a", "b")}
	for _, c := range []struct {
		run  cluster.Run
		asks bool
	}{{s.run(git...), false}, {s.asking(nil, git...), true}, {s.asking([]cluster.Object{settings}, git...), false}} {
		trial, err := s.cluster.DryRun(t.Context(), c.run, nil)
		if err != nil || !slices.Equal(came(trial), []string{"ConfigMap settings configured", "ConfigMap fresh created"}) {
			t.Fatalf("%v, %v", came(trial), err)
		}
		if says := trial.Tried[0].Why; strings.Contains(says, "/adopt before it changes data.mode") != c.asks || !c.asks && says != "" {
			t.Errorf("it says %q", says)
		}
	}
}
