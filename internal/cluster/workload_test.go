package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/health"
)

var pods = schema.GroupVersionResource{Version: "v1", Resource: "pods"}

// reportOnPods plays the kubelet: it has every pod of an app, of which there are as many at
// least, report this of its first container, with the pod's phase.
func (s *site) reportOnPods(pieces int, app, phase, container string) {
	s.t.Helper()
	reported := 0
	eventually(s.t, "the pods of "+app+" to report", func(ctx context.Context) bool {
		found, err := s.others.Resource(pods).Namespace(s.namespace).List(ctx, metav1.ListOptions{LabelSelector: app})
		if err != nil {
			s.t.Fatal(err)
		}
		reported = 0
		if len(found.Items) < pieces {
			return false // they are made one after the other
		}
		for _, pod := range found.Items {
			status, _ := pod.Object["status"].(map[string]any)
			if status["containerStatuses"] == nil {
				return false // the simulated kubelet has the first word
			}
			patch := fmt.Sprintf(`[{"op": "add", "path": "/status/phase", "value": %q}`, phase)
			if container != "" {
				patch += fmt.Sprintf(`, {"op": "add", "path": "/status/containerStatuses/0", "value": %s}, {"op": "remove", "path": "/status/containerStatuses/1"}`, container)
			}
			if _, err := s.others.Resource(pods).Namespace(s.namespace).Patch(ctx, pod.GetName(), types.JSONPatchType, []byte(patch+"]"), metav1.PatchOptions{}, "status"); apierrors.IsNotFound(err) {
				continue // one of the former version
			} else if err != nil {
				s.t.Fatal(err)
			}
			reported++
		}
		return reported >= pieces
	})
}

// runningAs is what a kubelet reports of a container that runs.
func runningAs(imageID string) string {
	return fmt.Sprintf(`{"name": "web", "image": "mirror.example.com/payments:1.7.0", "imageID": %q, "ready": true, "started": true, "restartCount": 0, "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}`, imageID)
}

func TestAWorkloadIsHealthyWithTheImageThatWasApplied(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":1.7.0@"+digest("a")))
	s.mustBeHealthy(result)
	for _, tt := range []struct {
		name, imageID string
		same          func(ctx context.Context, name, applied, running string) (bool, error)
		want          string // "" is healthy
		inVain        bool   // it does not fail, either
	}{
		{"as the node pulled it", payments + "@" + digest("a"), nil, "", false},
		{"from a mirror", "mirror.example.com/payments@" + digest("a"), nil, "", false},
		{"by Docker", "docker-pullable://" + payments + "@" + digest("a"), nil, "", false},
		{"by the id of its configuration, which nobody knows", "sha256:" + strings.Repeat("c", 64), nil, "", false},
		{"without a word of the node", "", nil, "", false},
		{"another one", payments + "@" + digest("b"), nil,
			"container web runs sha256:bbbbbbbbbbbb (mirror.example.com/payments:1.7.0), not sha256:aaaaaaaaaaaa, which was applied; something in the cluster exchanges its image", false},
		{"the one in the index, for this platform", payments + "@" + digest("b"), func(_ context.Context, name, applied, running string) (bool, error) {
			return name == payments && applied == digest("a") && running == digest("b"), nil
		}, "", false},
		{"one that the registry knows to be another", payments + "@" + digest("b"), func(context.Context, string, string, string) (bool, error) { return false, nil },
			"not sha256:aaaaaaaaaaaa, which was applied", false},
		{"one that nobody can be asked about", payments + "@" + digest("b"), func(context.Context, string, string, string) (bool, error) {
			return false, errors.New("the registry is away")
		},
			"Deployment " + s.namespace + "/web: pod web-", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.reportOnPods(2, "app=web", "Running", runningAs(tt.imageID))
			wait := s.wait
			if tt.inVain {
				wait = s.waitInVain
			}
			h := wait(result, cluster.WaitOptions{Grace: 100 * time.Millisecond, SameImage: tt.same})
			if h.Healthy != (tt.want == "") || !strings.Contains(h.Reason, tt.want) {
				t.Errorf("got %+v, want %q", h, tt.want)
			}
		})
	}
	// What is pinned by its tag alone can be anything.
	s.mustApply(deployment("web", payments+":1.7.0"))
	s.reportOnPods(2, "app=web", "Running", runningAs(payments+"@"+digest("e")))
	s.mustBeHealthy(s.mustApply(deployment("web", payments+":1.7.0")))
}

func TestACrashIsToldWithItsLastWords(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":crash"), "apiVersion: v1\nkind: Secret\nmetadata: {name: login}\nstringData: {key: correct-horse}\n")
	s.reportOnPods(2, "app=web", "Running", `{"name": "web", "image": "x", "imageID": "", "ready": false, "restartCount": 3,
		"state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container=web pod=web-1_x(0a1b)"}},
		"lastState": {"terminated": {"exitCode": 2, "reason": "Error", "startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z", "message": "panic:\n  no DATABASE_URL for correct-horse\n"}}}`)
	h := s.wait(result, cluster.WaitOptions{Grace: 100 * time.Millisecond})
	want := ": CrashLoopBackOff: container web ended with exit code 2 at 2026-01-02 03:04:06 UTC, restarted 3 times: panic: no DATABASE_URL for ***"
	if h.Healthy || !strings.HasSuffix(h.Reason, want) {
		t.Errorf("got %q, want ... %q", h.Reason, want)
	}
}

func TestARolloutThatGetsNoFurtherTellsWhichPod(t *testing.T) {
	s := newSite(t)
	stuck := strings.Replace(deployment("web", payments+":stuck"), "replicas: 2", "replicas: 1\n  progressDeadlineSeconds: 1", 1)
	h := s.wait(s.mustApply(stuck), cluster.WaitOptions{})
	for _, want := range []string{"its rollout got no further within its progressDeadlineSeconds", "pod web-", "container web runs, but is not ready"} {
		if h.Healthy || !strings.Contains(h.Reason, want) {
			t.Errorf("got %q, want ... %q", h.Reason, want)
		}
	}
}

func TestAPodThatNoNodeTakes(t *testing.T) {
	s := newSite(t)
	result := s.mustApply(deployment("web", payments+":stuck"))
	s.reportOnPods(2, "app=web", "Pending", `{"name": "web", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": {"waiting": {"reason": "ContainerCreating"}}}`)
	found, err := s.others.Resource(pods).Namespace(s.namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range found.Items {
		patch := `{"status": {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes are available: 3 Insufficient cpu."}]}}`
		if _, err := s.others.Resource(pods).Namespace(s.namespace).Patch(t.Context(), pod.GetName(), types.MergePatchType, []byte(patch), metav1.PatchOptions{}, "status"); err != nil {
			t.Fatal(err)
		}
	}
	h := s.waitInVain(result, cluster.WaitOptions{})
	if h.Healthy || !strings.Contains(h.Reason, "no node takes it (Unschedulable): 0/3 nodes are available: 3 Insufficient cpu.") {
		t.Errorf("got %q", h.Reason)
	}
}

func TestAFailedJobTellsHowItsPodEnded(t *testing.T) {
	s := newSite(t)
	result := s.mustApply("apiVersion: batch/v1\nkind: Job\nmetadata: {name: migrate}\nspec:\n  backoffLimit: 0\n  template: {metadata: {labels: {job: migrate}}, spec: {restartPolicy: Never, containers: [{name: migrate, image: \"" + payments + ":stuck\"}]}}\n")
	s.reportOnPods(1, "job=migrate", "Failed", `{"name": "migrate", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
		"state": {"terminated": {"exitCode": 137, "reason": "OOMKilled", "startedAt": "2026-01-02T03:04:05Z", "finishedAt": "2026-01-02T03:04:06Z"}}}`)
	h := s.wait(result, cluster.WaitOptions{})
	for _, want := range []string{"it failed: BackoffLimitExceeded", "container migrate was killed because it took more memory than it may (OOMKilled) at 2026-01-02 03:04:06 UTC"} {
		if h.Healthy || !strings.Contains(h.Reason, want) {
			t.Errorf("got %q, want ... %q", h.Reason, want)
		}
	}
}

// However many workloads a namespace has, a look at it lists its pods once.
func TestALookListsANamespaceOnce(t *testing.T) {
	s := newSite(t)
	var all []string
	for i := range 6 {
		all = append(all, deployment(fmt.Sprintf("web-%d", i), payments+":1.7.0@"+digest("a")))
	}
	result := s.mustApply(all...)
	s.mustBeHealthy(result)
	var mu sync.Mutex
	lists := map[string]int{}
	counting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]; kind == "pods" || kind == "replicasets" {
			mu.Lock()
			lists[kind]++
			mu.Unlock()
		}
		s.passOn(w, r)
	}))
	defer counting.Close()
	h, err := open(t, counting.URL).Wait(t.Context(), result.Objects(), cluster.WaitOptions{Timeout: time.Minute})
	if err != nil || !h.Healthy || h.Took >= time.Minute {
		t.Fatalf("got %+v, %v", h, err)
	}
	if len(lists) != 2 || lists["pods"] != 1 || lists["replicasets"] != 1 {
		t.Errorf("listed %v", lists)
	}
}

func TestACronJobIsThereAtOnce(t *testing.T) {
	s := newSite(t)
	s.mustBeHealthy(s.mustApply("apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: report}\nspec: {schedule: '0 3 * * *', jobTemplate: {spec: {template: {spec: {restartPolicy: Never, containers: [{name: c, image: \"" + payments + ":1.7.0\"}]}}}}}\n"))
}

func TestARuleOfTagboatYAMLIsAsked(t *testing.T) {
	s := newSite(t)
	rules, problems := health.Compile([]health.Rule{{Kind: "ConfigMap", Current: "data.state == 'ready'", Failed: "data.state == 'broken'", Message: "'the queue is ' + data.state"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var said []string
	h := s.wait(s.mustApply(configMap("queue", "state", "filling")), cluster.WaitOptions{Rules: rules, Progress: func(text string) {
		said = append(said, text)
		s.patchAs("the-operator", configMaps, "queue", `{"data": {"state": "ready"}}`)
	}})
	if !h.Healthy || len(said) == 0 || said[0] != "ConfigMap "+s.namespace+"/queue: the queue is filling" {
		t.Errorf("got %+v after %q", h, said)
	}
	h = s.wait(s.mustApply(configMap("other", "state", "broken")), cluster.WaitOptions{Rules: rules})
	if h.Healthy || h.Reason != "ConfigMap "+s.namespace+"/other: the queue is broken" {
		t.Errorf("got %+v", h)
	}
}

// A list of several pages takes longer than the API server keeps what it began with: then
// all of it is asked for at once.
func TestAListThatExpiresIsReadAnew(t *testing.T) {
	s := newSite(t)
	s.mustBeHealthy(s.mustApply(deployment("web", payments+":1.7.0")))
	p := s.proxied()
	p.meddle = func(_ int, r request) deed {
		if r.what != "LIST pods" {
			return nil
		}
		return func(w http.ResponseWriter, r *http.Request, pass func(http.ResponseWriter, *http.Request)) {
			asked := r.URL.Query()
			if asked.Has("continue") {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(http.StatusGone)
				fmt.Fprint(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","message":"The provided continue parameter is too old","reason":"Expired","code":410}`)
				return
			}
			if asked.Has("limit") {
				asked.Set("limit", "1")
				r.URL.RawQuery = asked.Encode()
			}
			pass(w, r)
		}
	}
	running, err := p.door.Running(t.Context(), s.namespace)
	if err != nil || len(running) != 1 || running[0].Ready != 2 {
		t.Errorf("it runs %+v, %v", running, err)
	}
}
