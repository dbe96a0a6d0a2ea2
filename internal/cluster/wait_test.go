package cluster_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/image"
)

func TestABadImageFailsFastWithThePodsReason(t *testing.T) {
	s := newSite(t)
	good := payments + ":1.6.0@" + digest("a")
	s.mustBeHealthy(s.mustApply(deployment("web", good)))

	var said []string
	health := s.wait(s.mustApply(deployment("web", payments+":bad-1.7.0")), cluster.WaitOptions{
		Grace: 300 * time.Millisecond, Progress: func(text string) { said = append(said, text) }})
	if health.Healthy || !strings.Contains(health.Reason, "ImagePullBackOff") || !strings.Contains(health.Reason, "bad-1.7.0") || !strings.Contains(health.Reason, "Deployment "+s.namespace+"/web: pod web-") {
		t.Errorf("got %+v", health)
	}
	if health.TimeUp {
		t.Errorf("it failed when the time was up, and not before: %+v", health)
	}
	if len(said) == 0 || !strings.Contains(said[0], "Deployment") {
		t.Errorf("progress: %q", said)
	}

	// The old version goes on running, and its pods do not hide the new one's.
	running, err := s.cluster.Running(t.Context(), s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	if len(running) != 1 || running[0].Image.String() != good {
		t.Errorf("what runs: %+v", running)
	}

	// And once mended, the pods that are still broken do not matter.
	s.mustBeHealthy(s.mustApply(deployment("web", payments+":1.7.1")))
}

func TestACrashLoopFailsWorkloadsOfAllKinds(t *testing.T) {
	s := newSite(t)
	template := func(name string) string {
		return fmt.Sprintf("selector: {matchLabels: {app: %[1]s}}\n  template: {metadata: {labels: {app: %[1]s}}, spec: {containers: [{name: c, image: \"%[2]s:crash\"}]}}\n", name, payments)
	}
	stateful := "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  " + template("db")
	daemon := "apiVersion: apps/v1\nkind: DaemonSet\nmetadata: {name: agent}\nspec:\n  " + template("agent")
	for _, yaml := range []string{stateful, daemon, deployment("web", payments+":crash")} {
		result := s.mustApply(yaml)
		kind := result.Objects()[0].GetKind()
		health := s.wait(result, cluster.WaitOptions{Grace: 100 * time.Millisecond})
		if health.Healthy || !strings.Contains(health.Reason, "CrashLoopBackOff") || !strings.Contains(health.Reason, kind) {
			t.Errorf("%s: %+v", kind, health)
		}
	}
}

func TestTimeIsUp(t *testing.T) {
	s := newSite(t)
	health := s.waitInVain(s.mustApply(deployment("web", payments+":stuck"), configMap("settings", "a", "b")), cluster.WaitOptions{})
	if health.Healthy || !regexp.MustCompile(`^not healthy after \d+s: Deployment `+s.namespace+`/web`).MatchString(health.Reason) {
		t.Errorf("got %+v", health)
	}
	statuses := map[string]cluster.Status{}
	for _, o := range health.Objects {
		statuses[o.Kind] = o.Status
	}
	if diff := cmp.Diff(map[string]cluster.Status{"ConfigMap": cluster.Current, "Deployment": cluster.InProgress}, statuses); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A cluster that is unwell for a moment does not end the wait.
func TestAWaitOutlastsAnOutage(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":1.7.0"))
	var refused atomic.Int32
	flaky := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/deployments/") && refused.Add(1) <= 3 {
			http.Error(w, "etcd has no leader", http.StatusServiceUnavailable)
			return
		}
		s.passOn(w, r)
	}))
	defer flaky.Close()

	var said []string
	health, err := open(t, flaky.URL).Wait(t.Context(), result.Objects(), cluster.WaitOptions{
		Poll: 20 * time.Millisecond, Timeout: 3 * time.Minute, Progress: func(text string) { said = append(said, text) }})
	if err != nil || !health.Healthy {
		t.Fatalf("got %+v, %v", health, err)
	}
	if len(said) == 0 || !strings.Contains(said[0], "could not read Deployment") {
		t.Errorf("progress: %q", said)
	}
}

// Who stands between Tagboat and an API server may know nothing while that starts anew. What
// it does not find is not deleted, and a rollout has not failed for that.
func TestAStrangerDoesNotEndAWait(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":1.7.0"))
	var strangers atomic.Int32
	r := s.relay()
	r.meddle = func(_ int, one request) deed {
		if one.what != "GET deployments" || strangers.Add(1) > 3 {
			return nil
		}
		return func(w http.ResponseWriter, r *http.Request, _ func(http.ResponseWriter, *http.Request)) {
			http.NotFound(w, r)
		}
	}
	health, err := r.Wait(t.Context(), result.Objects(), cluster.WaitOptions{Poll: 20 * time.Millisecond, Timeout: time.Minute})
	if err != nil || !health.Healthy || strangers.Load() < 3 {
		t.Errorf("got %+v, %v", health, err)
	}
}

func TestTheCallerMayGoAway(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":stuck"))
	ctx, cancel := context.WithCancel(t.Context())
	_, err := s.cluster.Wait(ctx, result.Objects(), cluster.WaitOptions{Progress: func(string) { cancel() }})
	if err == nil || ctx.Err() == nil {
		t.Errorf("got %v", err)
	}
}

func TestAnObjectThatGoesMeanwhile(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":stuck"))
	deleted := make(chan error, 1)
	health := s.wait(result, cluster.WaitOptions{Progress: func(string) {
		select {
		case deleted <- s.others.Resource(deployments).Namespace(s.namespace).Delete(t.Context(), "web", metav1.DeleteOptions{}):
		default:
		}
	}})
	if health.Healthy || !strings.Contains(health.Reason, "deleted") {
		t.Errorf("got %+v", health)
	}

	// Somebody made another one: it is not what was applied.
	s.mustApply(deployment("web", payments+":1.7.0"))
	if health := s.wait(result, cluster.WaitOptions{}); health.Healthy || !strings.Contains(health.Reason, "another one") {
		t.Errorf("got %+v", health)
	}
}

func TestAJobIsWaitedForUntilItIsDone(t *testing.T) {
	s := newSite(t)
	job := func(name, tag string) string {
		return fmt.Sprintf("apiVersion: batch/v1\nkind: Job\nmetadata: {name: %s}\nspec:\n  template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"%s:%s\"}]}}\n", name, payments, tag)
	}
	s.mustBeHealthy(s.mustApply(job("migrate", "1.7.0")))
	hangs := s.mustApply(job("hangs", "stuck"))
	eventually(t, "a job that does not end to be told as one that runs", func(context.Context) bool {
		health := s.wait(hangs, cluster.WaitOptions{Timeout: time.Second})
		if health.Healthy || !health.TimeUp {
			t.Fatalf("a job that does not end: %+v", health)
		}
		return strings.Contains(health.Reason, "it is running")
	})
}

func TestPodsThatAdmissionRefuses(t *testing.T) {
	s := newSite(t)
	s.mustApply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: none}\nspec: {hard: {pods: \"0\"}}\n")
	s.countedBy("none", "pods", "0")
	health := s.wait(s.mustApply(deployment("web", payments+":1.7.0")), cluster.WaitOptions{Grace: 100 * time.Millisecond})
	if health.Healthy || !strings.Contains(health.Reason, "FailedCreate") {
		t.Errorf("got %+v", health)
	}
}

func TestAnUnboundClaimIsTheConsumersAffair(t *testing.T) {
	s := newSite(t)
	s.mustBeHealthy(s.mustApply("apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data}\nspec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}\n"))
}

func TestRunning(t *testing.T) {
	s := newSite(t)
	stateful := fmt.Sprintf("apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: db}\nspec:\n  serviceName: db\n  selector: {matchLabels: {app: db}}\n  template: {metadata: {labels: {app: db}}, spec: {containers: [{name: main, image: \"db:16@%s\"}, {name: exporter, image: \"exporter:2\"}]}}\n", digest("d"))
	s.mustBeHealthy(s.mustApply(deployment("web", payments+":1.7.0@"+digest("b")), stateful))

	got, err := s.cluster.Running(t.Context(), s.namespace)
	if err != nil {
		t.Fatal(err)
	}
	want := []cluster.Running{
		{Namespace: s.namespace, Kind: "Deployment", Name: "web", Container: "web", Image: image.Ref{Name: payments, Tag: "1.7.0", Digest: digest("b")}, Ready: 2, Desired: 2},
		{Namespace: s.namespace, Kind: "StatefulSet", Name: "db", Container: "exporter", Image: image.Ref{Name: "exporter", Tag: "2"}, Ready: 1, Desired: 1},
		{Namespace: s.namespace, Kind: "StatefulSet", Name: "db", Container: "main", Image: image.Ref{Name: "db", Tag: "16", Digest: digest("d")}, Ready: 1, Desired: 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got, err := s.cluster.Running(t.Context(), "empty-"+s.namespace); err != nil || len(got) != 0 {
		t.Errorf("a namespace without workloads: %v, %v", got, err)
	}
}
