package cluster_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

var jobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

func job(name, image string, annotations ...string) string {
	return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s, annotations: {%s}}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: %q}]}}}\n",
		name, strings.Join(annotations, ", "), image)
}

const (
	before = "tagboat.dev/hook: pre-sync"
	after  = "tagboat.dev/hook: post-sync"
)

// kinds are the kinds of what was written, in the order in which it was.
func (p *proxy) writes() (lines []string) {
	for _, r := range p.taken() {
		if verb, resource, _ := strings.Cut(r.what, " "); verb == "WRITE" || verb == "DELETE" {
			lines = append(lines, strings.ToLower(verb)+" "+resource)
		}
	}
	return lines
}

func TestAHookRunsOnceForEachContent(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	apply := func(commit string, yaml ...string) cluster.Result {
		t.Helper()
		run := s.run(yaml...)
		run.Commit = commit
		r, err := p.door.Apply(t.Context(), run)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	migrate := job("migrate", payments+":1.6.0", before)
	settings := configMap("settings", "mode", "fast")

	r := apply("c1", settings, migrate)
	if diff := cmp.Diff([]string{"Job migrate created", "ConfigMap settings created"}, outcomes(r)); diff != "" {
		t.Errorf("the first time (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"write jobs", "write configmaps"}, p.writes()); diff != "" {
		t.Errorf("the order (-want +got):\n%s", diff)
	}
	if len(r.Objects()) != 1 {
		t.Errorf("a hook is waited for again: %v", r.Objects())
	}
	first := s.get(jobs, "migrate")
	if first.GetAnnotations()[cluster.CommitAnnotation] != "c1" {
		t.Errorf("its annotations: %v", first.GetAnnotations())
	}

	// Another commit with the same content runs nothing, not even when the Job is gone.
	apply("c2", settings, migrate)
	if got := p.writes(); len(got) != 0 {
		t.Errorf("the same content wrote %v", got)
	}
	background := metav1.DeletePropagationBackground
	if err := s.others.Resource(jobs).Namespace(s.namespace).Delete(t.Context(), "migrate", metav1.DeleteOptions{PropagationPolicy: &background}); err != nil {
		t.Fatal(err)
	}
	apply("c2", settings, migrate)
	if got := p.writes(); len(got) != 0 {
		t.Errorf("the same content, without its Job, wrote %v", got)
	}

	// Healing what somebody has changed runs none either; a change of anything does.
	if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	apply("c2", settings, migrate)
	if diff := cmp.Diff([]string{"write configmaps"}, p.writes()); diff != "" {
		t.Errorf("healing (-want +got):\n%s", diff)
	}
	slow := configMap("settings", "mode", "slow")
	apply("c3", slow, migrate)
	if diff := cmp.Diff([]string{"write jobs", "write configmaps"}, p.writes()); diff != "" {
		t.Errorf("another content (-want +got):\n%s", diff)
	}
	second := s.get(jobs, "migrate")
	// A new image in the hook itself: the last Job makes room.
	apply("c4", slow, job("migrate", payments+":1.7.0", before))
	if diff := cmp.Diff([]string{"delete jobs", "write jobs"}, p.writes()); diff != "" {
		t.Errorf("another hook (-want +got):\n%s", diff)
	}
	if third := s.get(jobs, "migrate"); third.GetUID() == second.GetUID() {
		t.Error("the Job of the last time is still there")
	}
}

// A hook that fails stops the sync before anything that runs has changed, and tells
// what its pod said. It is not tried again by itself.
func TestAFailingHookStopsTheSync(t *testing.T) {
	s := newSite(t)
	s.mustBeHealthy(s.mustApply(deployment("web", payments+":1.6.0")))
	generation := s.get(deployments, "web").GetGeneration()

	failing := strings.Replace(job("migrate", payments+":stuck", before), "spec: {template", "spec: {backoffLimit: 0, template", 1)
	set := []string{deployment("web", payments+":1.7.0"), configMap("settings", "mode", "fast"), failing}
	failed := make(chan struct{})
	go func() {
		defer close(failed)
		s.failPodsOf("migrate", "relation \"orders\" does not exist")
	}()
	_, err := s.apply(set...)
	<-failed
	expect(t, err, fault.Invalid, "pre-sync hook Job "+s.namespace+"/migrate", "code 3", `relation "orders" does not exist`)
	if !errors.Is(err, cluster.ErrUnhealthy) {
		t.Errorf("it does not say what kind of failure it is: %v", err)
	}
	if s.get(deployments, "web").GetGeneration() != generation || s.get(configMaps, "settings") != nil {
		t.Error("something was changed although the hook failed")
	}
	was := s.get(jobs, "migrate").GetUID()
	_, err = s.apply(set...)
	expect(t, err, fault.Invalid, "not run again for the same content")
	if s.get(jobs, "migrate").GetUID() != was {
		t.Error("it was run again")
	}

	// The mended one runs.
	set[2] = job("migrate", payments+":1.7.0", before)
	s.mustBeHealthy(s.mustApply(set...))
}

// A run that ends while a hook is running waits for the same Job the next time.
func TestAHookIsWaitedForByTheNextRun(t *testing.T) {
	s := newSite(t)
	set := []string{job("migrate", payments+":stuck", before), configMap("settings", "mode", "fast")}
	run := s.run(set...)
	run.Patience = 1 // it is over at once
	_, err := s.cluster.Apply(t.Context(), run)
	expect(t, err, fault.Invalid, "it did not succeed")
	was := s.get(jobs, "migrate").GetUID()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.endPodsOf("migrate")
	}()
	s.mustApply(set...)
	<-done
	if s.get(jobs, "migrate").GetUID() != was {
		t.Error("another Job was made")
	}
}

// A hook's Job that goes by itself when it is done has run, also where the worker that made
// it died before it could say so. One that has failed has not.
func TestAHookThatIsDoneAndGoneDoesNotRunTwice(t *testing.T) {
	s := newSite(t)
	brief := func(seconds int, job string) string {
		return strings.Replace(job, "spec: {template", fmt.Sprintf("spec: {backoffLimit: 0, ttlSecondsAfterFinished: %d, template", seconds), 1)
	}
	set := []string{brief(3, job("migrate", payments+":1.6.0", before)), configMap("settings", "mode", "fast")}
	s.mustApply(set...) // so that there is an older one, which must not count for the next
	eventuallyGone(t, s, "migrate")

	set[1] = configMap("settings", "mode", "slow")
	run := s.run(set...)
	run.Ledger = dying{s.book}
	if _, err := s.cluster.Apply(t.Context(), run); !errors.Is(err, errDied) {
		t.Fatalf("got %v", err)
	}
	eventuallyGone(t, s, "migrate")
	p := s.proxied()
	if _, err := p.door.Apply(t.Context(), s.run(set...)); err != nil {
		t.Fatal(err, fault.HintOf(err))
	}
	if diff := cmp.Diff([]string{"write configmaps"}, p.writes()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.book.entry(t, "Job", "migrate").State; got != cluster.Written {
		t.Errorf("the ledger has it as %s", got)
	}

	set[0] = brief(10, job("migrate", payments+":stuck", before)) // that it has failed has to be seen
	for range 2 {
		failed := make(chan struct{})
		go func() {
			defer close(failed)
			s.failPodsOf("migrate", "no such table")
		}()
		_, err := p.door.Apply(t.Context(), s.run(set...))
		<-failed
		expect(t, err, fault.Invalid, "did not succeed")
		if diff := cmp.Diff([]string{"write jobs"}, p.writes()); diff != "" {
			t.Errorf("a hook that has failed (-want +got):\n%s", diff)
		}
		eventuallyGone(t, s, "migrate")
	}
}

// Hooks after a sync are tried before its first write, and run when they are asked for.
func TestPostSyncHooks(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	set := []string{job("smoke", payments+":1.7.0", after), configMap("settings", "mode", "fast")}
	run := s.run(set...)
	if _, err := p.door.Apply(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got := p.count(); got["DRYRUN jobs"] != 1 || got["WRITE jobs"] != 0 {
		t.Errorf("during the sync: %v", got)
	}
	r, err := p.door.ApplyPostSync(t.Context(), run)
	if err != nil || s.get(jobs, "smoke") == nil || len(r.Left) != 0 {
		t.Fatalf("%v, %v", outcomes(r), err)
	}
	p.count()
	if _, err := p.door.ApplyPostSync(t.Context(), s.run(set...)); err != nil || len(p.count()) != 0 {
		t.Errorf("a hook that has run costs requests, or %v", err)
	}
	if r, err := p.door.Apply(t.Context(), s.run(set...)); err != nil || len(r.Left) != 0 || len(p.writes()) != 0 {
		t.Errorf("the next sync: %v, %v", r, err)
	}

	wrong := strings.Replace(job("smoke", payments+":1.7.0", after), "restartPolicy: Never", "restartPolicy: Always", 1)
	_, err = s.apply(wrong, configMap("settings", "mode", "slow"))
	expect(t, err, fault.Invalid, "Job "+s.namespace+"/smoke", "restartPolicy")
	if mode(s.get(configMaps, "settings")) != "fast" {
		t.Error("the set was written although its hook is refused")
	}
}

// The annotations of Helm and Argo CD mean what they mean there, and their other
// occasions do not exist here.
func TestForeignHooks(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	set := []string{
		configMap("settings", "mode", "fast"),
		job("second", payments+":1", `helm.sh/hook: "pre-install,pre-upgrade"`, `helm.sh/hook-weight: "2"`),
		job("first", payments+":1", "argocd.argoproj.io/hook: PreSync", `argocd.argoproj.io/sync-wave: "-1"`),
		job("later", payments+":1", "helm.sh/hook: post-upgrade"),
		job("among", payments+":1", "argocd.argoproj.io/hook: Sync"),
		job("test", payments+":1", "helm.sh/hook: test"),
		job("never", payments+":1", "argocd.argoproj.io/hook: SyncFail"),
		strings.Replace(configMap("for-hooks", "a", "b"), "metadata: {name", "metadata: {annotations: {helm.sh/hook: pre-install}, name", 1),
	}
	r, err := p.door.Apply(t.Context(), s.run(set...))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"Job first created", "ConfigMap for-hooks created", "Job second created", "ConfigMap settings created", "Job among created"}, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, name := range []string{"later", "test", "never"} {
		if s.get(jobs, name) != nil {
			t.Errorf("Job %s was run", name)
		}
	}
	_, err = s.apply(job("x", payments+":1", "tagboat.dev/hook: whenever"))
	expect(t, err, fault.Invalid, "whenever", "pre-sync or post-sync")
}

// A plain Job runs once; what happens to it afterwards does not matter.
func TestAPlainJob(t *testing.T) {
	s := newSite(t)
	set := strings.Replace(job("import", payments+":1.6.0"), "spec: {template", "spec: {ttlSecondsAfterFinished: 0, template", 1)
	s.mustApply(set)
	eventuallyGone(t, s, "import")
	if r := s.mustApply(set); r.Count(cluster.Unchanged) != 1 || s.get(jobs, "import") != nil {
		t.Errorf("it ran again: %v", outcomes(r))
	}
	kept := job("kept", payments+":1.6.0")
	s.mustBeHealthy(s.mustApply(kept))
	if r := s.mustApply(kept); r.Count(cluster.Unchanged) != 1 {
		t.Errorf("it ran again: %v", outcomes(r))
	}
	_, err := s.apply(job("kept", payments+":1.7.0"))
	expect(t, err, fault.Invalid, "spec.template", "immutable", cluster.HookAnnotation, cluster.RecreateAnnotation)
}

// A wave begins when the ones before it are healthy.
func TestWaves(t *testing.T) {
	s := newSite(t)
	wave := func(yaml, n string) string {
		return strings.Replace(yaml, "metadata: {name:", fmt.Sprintf("metadata: {annotations: {tagboat.dev/wave: %q}, name:", n), 1)
	}
	argo := strings.Replace(configMap("last", "a", "b"), "metadata: {name:", `metadata: {annotations: {argocd.argoproj.io/sync-wave: "3"}, name:`, 1)
	set := []string{wave(deployment("front", payments+":1.6.0"), "1"), deployment("db", payments+":1.6.0"), wave(configMap("early", "a", "b"), "-2"), argo}
	r := s.mustApply(set...)
	if diff := cmp.Diff([]string{"ConfigMap early created", "Deployment db created", "Deployment front created", "ConfigMap last created"}, outcomes(r)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := s.get(deployments, "db").Object["status"].(map[string]any)["availableReplicas"]; got != int64(2) {
		t.Errorf("the wave after it is written, and of db are available: %v", got)
	}
	if created := func(n string) time.Time { return s.get(deployments, n).GetCreationTimestamp().Time }; created("front").Before(created("db")) {
		t.Error("front is older than db")
	}

	// What does not become healthy keeps the later waves as they are.
	set[1] = deployment("db", payments+":bad")
	set[0] = wave(deployment("front", payments+":1.7.0"), "1")
	generation := s.get(deployments, "front").GetGeneration()
	run := s.run(set...)
	run.Patience = 1
	_, err := s.cluster.Apply(t.Context(), run)
	expect(t, err, fault.Invalid, "Wave 1 is not begun", "Deployment "+s.namespace+"/db")
	if !errors.Is(err, cluster.ErrUnhealthy) || s.get(deployments, "front").GetGeneration() != generation {
		t.Errorf("the later wave was written: %v", err)
	}
	if !slices.Contains(s.book.lines(), "Deployment db written") || !slices.Contains(s.book.lines(), "Deployment front intended") {
		t.Errorf("the ledger: %v", s.book.lines())
	}

	// The mended one goes on, and nothing waits where nothing is to be written.
	set[1] = deployment("db", payments+":1.7.0")
	s.mustBeHealthy(s.mustApply(set...))
	p := s.proxied()
	if _, err := p.door.Apply(t.Context(), s.run(set...)); err != nil || len(p.count()) != 2 {
		t.Errorf("an apply that changes nothing costs more than its LISTs (%v)", err)
	}
	_, err = s.apply(wave(configMap("settings", "a", "b"), "first"))
	expect(t, err, fault.Invalid, "ConfigMap settings", `"first"`, "whole number")
}
