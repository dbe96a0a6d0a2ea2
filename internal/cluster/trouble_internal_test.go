package cluster

import (
	"fmt"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/health"
)

func TestWhatIsWrongWithAPod(t *testing.T) {
	long := strings.Repeat("stack ", 500)
	for _, tt := range []struct{ name, status, want string }{
		{"nothing", "containerStatuses: [{name: web, ready: true, state: {running: {}}}]", ""},
		{"a Secret that is missing", "containerStatuses: [{name: web, state: {waiting: {reason: CreateContainerConfigError, message: 'secret \"a\" not found'}}}]",
			`pod web-1: CreateContainerConfigError: secret "a" not found (fatal)`},
		{"an init container", "initContainerStatuses: [{name: init, restartCount: 1, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, reason: Error}}}]",
			"pod web-1: CrashLoopBackOff: container init ended with exit code 1, restarted once (fatal)"},
		{"between two crashes", "containerStatuses: [{name: web, restartCount: 2, state: {running: {}}, lastState: {terminated: {exitCode: 137, reason: OOMKilled}}}]",
			"pod web-1: container web was started again: it was killed because it took more memory than it may (OOMKilled), restarted 2 times"},
		{"between the end and the next start", "containerStatuses: [{name: web, state: {terminated: {exitCode: 127, reason: StartError, message: 'exec: \"serve\": not found'}}}]",
			`pod web-1: container web ended with exit code 127 (StartError): exec: "serve": not found`},
		{"an image that went away after a crash", "containerStatuses: [{name: web, restartCount: 1, state: {waiting: {reason: ImagePullBackOff, message: gone}}, lastState: {terminated: {exitCode: 1}}}]",
			"pod web-1: ImagePullBackOff: container web: gone; before that it ended with exit code 1, restarted once (fatal)"},
		{"a loop that goes on and on is told the same from then on", "containerStatuses: [{name: web, restartCount: 4711, state: {waiting: {reason: CrashLoopBackOff, message: back-off 5m0s}}, lastState: {terminated: {exitCode: 1, finishedAt: '2026-01-02T03:04:05Z'}}}]",
			"pod web-1: CrashLoopBackOff: container web ended with exit code 1, restarted more than 10 times (fatal)"},
		{"last words without end", "containerStatuses: [{name: web, state: {waiting: {reason: CrashLoopBackOff}}, lastState: {terminated: {exitCode: 1, message: '" + long + "the cause'}}}]",
			"pod web-1: CrashLoopBackOff: container web ended with exit code 1: …" + string([]rune(strings.TrimSpace(long) + " the cause")[len(long)+len("the cause")-159:]) + " (fatal)"},
		{"a secret in the last words", "containerStatuses: [{name: web, state: {terminated: {exitCode: 1, message: 'cannot log in with hunter2hunter2 as erin'}}}]",
			"pod web-1: container web ended with exit code 1: cannot log in with *** as erin"},
		{"what looks like one", "containerStatuses: [{name: web, state: {terminated: {exitCode: 1, message: 'dial postgres://erin:s3cr3ts3cr3t@db/erin'}}}]",
			"pod web-1: container web ended with exit code 1: the reason is left out, it may quote a secret"},
		{"it failed, and says nothing", "{phase: Failed}", "pod web-1: it failed"},
		{"evicted", "{phase: Failed, reason: Evicted, message: 'The node was low on resource: memory.'}", "pod web-1: it failed (Evicted): The node was low on resource: memory."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			pod := &corev1.Pod{}
			if err := yaml.Unmarshal([]byte(tt.status), &pod.Status); err != nil {
				t.Fatal(err)
			}
			pod.Name = "web-1"
			var said []string
			for _, trouble := range podTroubles(pod, []string{"hunter2hunter2"}) {
				text := trouble.String()
				if trouble.fatal {
					text += " (fatal)"
				}
				said = append(said, text)
			}
			if got := strings.Join(said, "\n"); got != tt.want {
				t.Errorf("said %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestAReasonHasAnEnd(t *testing.T) {
	texts := make([]string, 12)
	for i := range texts {
		texts[i] = trouble{subject: fmt.Sprintf("pod %d", i), reason: "FailedCreate", message: strings.Repeat("no\n\tquota ", 400)}.String()
	}
	reason := some(texts)
	if n := len([]rune(reason)); n > 1100 || !strings.HasSuffix(reason, "…; and 9 more") || strings.ContainsAny(reason, "\n\t") {
		t.Errorf("%d runes: %s", n, reason)
	}
}

func TestHealthByConditions(t *testing.T) {
	known, problems := health.Compile(health.Known())
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	own, problems := health.Compile([]health.Rule{{Group: "cert-manager.io", Kind: "Issuer", Current: "true"}})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	bucket := "apiVersion: s3.aws.upbound.io/v1beta1\nkind: Bucket\n"
	for _, tt := range []struct{ name, object, want string }{
		{"a managed resource that could not be changed", bucket + "status: {conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'False', reason: ReconcileError, message: denied}]}", "in progress ReconcileError: denied"},
		{"a managed resource", bucket + "status: {conditions: [{type: Ready, status: 'True'}, {type: Synced, status: 'True'}]}", "current "},
		{"what stalls", bucket + "status: {conditions: [{type: Stalled, status: 'True', message: no such region}]}", "failed no such region"},
		{"what nobody has seen yet", bucket + "metadata: {name: b, generation: 2}\nstatus: {observedGeneration: 1}", "in progress Bucket generation is 2, but latest observed generation is 1"},
		{"what goes, although a rule likes it", "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: i, deletionTimestamp: '2026-01-02T03:04:05Z'}", "failed it is being deleted"},
		{"a rule of one's own goes before a known one", "apiVersion: cert-manager.io/v1\nkind: Issuer\nmetadata: {name: i}", "current "},
		{"a Rollout, which kstatus cannot read", "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: r, generation: 2}\nstatus: {observedGeneration: '2', phase: Healthy}", "current "},
		{"a Job that failed", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nstatus: {startTime: x, failed: 1, conditions: [{type: Failed, status: 'True', reason: DeadlineExceeded, message: it was active too long}]}", "failed it failed: DeadlineExceeded: it was active too long"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			data, err := yaml.YAMLToJSON([]byte(tt.object))
			if err != nil {
				t.Fatal(err)
			}
			o := &unstructured.Unstructured{}
			if err := o.UnmarshalJSON(data); err != nil {
				t.Fatal(err)
			}
			h := healthOf(o, own, known)
			if got := string(h.Status) + " " + h.Message; got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
