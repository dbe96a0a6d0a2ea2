package health_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/health"
)

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	o := &unstructured.Unstructured{}
	if err := o.UnmarshalJSON(data); err != nil {
		t.Fatal(err)
	}
	return o
}

func compiled(t testing.TB, rules ...health.Rule) *health.Rules {
	t.Helper()
	compiled, problems := health.Compile(rules)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	return compiled
}

// queue is somebody's own kind, with the rule that its team wrote.
var queue = health.Rule{
	Group: "acme.example.com", Kind: "Queue",
	Current:    "status.state == 'Running' && size(object.status.shards) >= spec.shards",
	Failed:     "status.state == 'Broken'",
	InProgress: "metadata.?annotations['acme.example.com/migrating'].orValue('') == 'true'",
	Message:    "'the queue is ' + status.state + ', since ' + status.since",
}

func TestARuleOfOnesOwn(t *testing.T) {
	rules := compiled(t, queue)
	for _, tt := range []struct{ name, object, want string }{
		{"current", "spec: {shards: 1}\nstatus: {state: Running, shards: [a]}", "current"},
		{"too few shards", "spec: {shards: 2}\nstatus: {state: Running, shards: [a], since: noon}", "in progress: the queue is Running, since noon"},
		{"failed", "spec: {shards: 2}\nstatus: {state: Broken, since: noon}", "failed: the queue is Broken, since noon"},
		{"on its way, whatever the rest says", "spec: {shards: 2}\nstatus: {state: Broken, since: noon}\nmetadata: {annotations: {acme.example.com/migrating: 'true'}}", "in progress: the queue is Broken, since noon"},
		{"a message that cannot be made is what the object says", "spec: {shards: 2}\nstatus: {state: Broken, message: disk full}", "failed: disk full"},
		{"nothing said yet", "spec: {shards: 1}", "in progress: its controller has said nothing about it yet"},
		{"a key that is not there", "spec: {}\nstatus: {state: Running, shards: [a]}", "in progress: its rule current could not be evaluated: no such key: shards"},
		{"said of another version", "metadata: {generation: 3}\nspec: {shards: 1}\nstatus: {observedGeneration: 2, state: Running, shards: [a]}", "in progress: its controller has not seen this version of it yet"},
		{"said of this version", "metadata: {generation: 3}\nspec: {shards: 1}\nstatus: {observedGeneration: 3, state: Running, shards: [a]}", "current"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := rules.Judge(object(t, "apiVersion: acme.example.com/v1\nkind: Queue\n"+tt.object))
			if got := said(v); !ok || got != tt.want {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
	for _, other := range []string{"apiVersion: other.example.com/v1\nkind: Queue", "apiVersion: acme.example.com/v1\nkind: Topic"} {
		if v, ok := rules.Judge(object(t, other)); ok {
			t.Errorf("another kind was judged: %+v", v)
		}
	}
	if _, ok := (*health.Rules)(nil).Judge(object(t, "apiVersion: v1\nkind: Secret")); ok {
		t.Error("no rules judged")
	}
}

func said(v health.Verdict) string {
	if v.Message == "" {
		return string(v.Status)
	}
	return string(v.Status) + ": " + v.Message
}

// TestAnExpressionOfFluxWorks is the one of Flux's documentation for a Certificate.
func TestAnExpressionOfFluxWorks(t *testing.T) {
	rules := compiled(t, health.Rule{
		Group: "cert-manager.io", Kind: "Certificate",
		InProgress: "status.conditions.filter(e, e.type == 'Issuing').all(e, e.observedGeneration == metadata.generation && e.status == 'True')",
		Failed:     "status.conditions.filter(e, e.type == 'Ready').all(e, e.observedGeneration == metadata.generation && e.status == 'False')",
		Current:    "status.conditions.filter(e, e.type == 'Ready').all(e, e.observedGeneration == metadata.generation && e.status == 'True')",
	})
	head := "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {generation: 1}\nstatus: {conditions: ["
	for conditions, want := range map[string]health.Status{
		"{type: Issuing, status: 'True', observedGeneration: 1}, {type: Ready, status: 'False', observedGeneration: 1}":  health.InProgress,
		"{type: Issuing, status: 'False', observedGeneration: 1}, {type: Ready, status: 'False', observedGeneration: 1}": health.Failed,
		"{type: Issuing, status: 'False', observedGeneration: 1}, {type: Ready, status: 'True', observedGeneration: 1}":  health.Current,
	} {
		if v, _ := rules.Judge(object(t, head+conditions+"]}")); v.Status != want {
			t.Errorf("%s: %+v, want %s", conditions, v, want)
		}
	}
}

func TestWhatIsWrongWithARule(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rules []health.Rule
		want  string // field: message
	}{
		{"no current", []health.Rule{{Kind: "A", Failed: "true"}}, "0 current: the rule for A does not say when it is current"},
		{"no syntax", []health.Rule{{Kind: "A", Current: "status."}}, "0 current: the expression does not compile: Syntax error"},
		{"an unknown name", []health.Rule{{Kind: "A", Current: "true", Failed: "stats.a == 1"}}, "0 failed: the expression does not compile: undeclared reference to 'stats'"},
		{"no truth", []health.Rule{{Kind: "A", Current: "true", InProgress: "1 + 1"}}, "0 inProgress: the expression must give a bool, not a int"},
		{"no words", []health.Rule{{Kind: "A", Current: "true", Message: "size(kind)"}}, "0 message: the expression must give a string, not a int"},
		{"two for a kind", []health.Rule{{Group: "a.b", Kind: "A", Current: "true"}, {Group: "a.b", Kind: "A", Current: "true"}}, "1 kind: there is a rule for A.a.b already"},
		{"too long", []health.Rule{{Kind: "A", Current: strings.Repeat("true || ", 600) + "true"}}, "0 current: the expression is longer than 4096 bytes"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			rules, problems := health.Compile(tt.rules)
			if len(problems) != 1 || rules != nil {
				t.Fatalf("got %v, %v", rules, problems)
			}
			if got := fmt.Sprintf("%d %s: %s", problems[0].Rule, problems[0].Field, problems[0].Message); !strings.HasPrefix(got, tt.want) {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}

// TestNobodyWaitsForAnExpensiveRule: it ends by its cost.
func TestNobodyWaitsForAnExpensiveRule(t *testing.T) {
	list := "[0,1,2,3,4,5,6,7,8,9]"
	expensive := fmt.Sprintf("%[1]s.all(a, %[1]s.all(b, %[1]s.all(c, %[1]s.all(d, %[1]s.all(e, %[1]s.all(f, %[1]s.all(g, a + b + c + d + e + f + g >= 0)))))))", list)
	v, _ := compiled(t, health.Rule{Kind: "A", Current: expensive}).Judge(object(t, "apiVersion: v1\nkind: A\nstatus: {a: b}"))
	if v.Status != health.InProgress || !strings.Contains(v.Message, "cost") {
		t.Errorf("got %+v", v)
	}
}

func TestWhatEveryTagboatKnows(t *testing.T) {
	certificate := "apiVersion: cert-manager.io/v1\nkind: Certificate\nmetadata: {generation: 2}\n"
	rollout := "apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {generation: 7}\n"
	application := "apiVersion: argoproj.io/v1alpha1\nkind: Application\n"
	route := "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {generation: 1}\n"
	gateway := "apiVersion: gateway.networking.k8s.io/v1\nkind: Gateway\nmetadata: {generation: 1}\n"
	accepted, resolved := "{type: Accepted, status: 'True', observedGeneration: 1}", "{type: ResolvedRefs, status: 'True', observedGeneration: 1}"
	knative := "apiVersion: serving.knative.dev/v1\nkind: Service\n"
	rules := compiled(t, health.Known()...)
	for _, tt := range []struct{ name, object, want string }{
		{"a certificate that nobody has looked at", certificate, "in progress: its controller has said nothing about it yet"},
		{"one that is being issued", certificate + "status: {conditions: [{type: Ready, status: 'False', reason: DoesNotExist, message: no secret}, {type: Issuing, status: 'True'}]}", "in progress: DoesNotExist: no secret"},
		{"one that could not be issued", certificate + "status: {conditions: [{type: Issuing, status: 'False', reason: Failed, message: rate limited}, {type: Ready, status: 'False', reason: DoesNotExist}]}", "failed: Failed: rate limited"},
		{"one that could not be renewed, and is still good", certificate + "status: {conditions: [{type: Issuing, status: 'False', reason: Failed}, {type: Ready, status: 'True'}]}", "current"},
		{"one whose Ready is of what it was before", certificate + "status: {conditions: [{type: Ready, status: 'True', observedGeneration: 1}]}", "in progress"},
		{"an issuer without a word", "apiVersion: cert-manager.io/v1\nkind: Issuer\n", "in progress: its controller has said nothing about it yet"},
		{"a secret from elsewhere", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nstatus: {conditions: [{type: Ready, status: 'False', reason: SecretSyncedError, message: no such key}]}", "in progress: SecretSyncedError: no such key"},
		{"a sealed secret of another cluster", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nstatus: {conditions: [{type: Synced, status: 'False', message: no key could decrypt secret}]}", "failed: Synced: no key could decrypt secret"},
		{"a rollout, whose controller writes numbers as text", rollout + "status: {observedGeneration: '7', phase: Healthy}", "current"},
		{"a rollout of the version before", rollout + "status: {observedGeneration: '6', phase: Healthy}", "in progress: its controller has not seen this version of it yet"},
		{"a rollout that waits for a person", rollout + "status: {observedGeneration: '7', phase: Paused, message: CanaryPauseStep}", "in progress: Paused: CanaryPauseStep"},
		{"a rollout that ended ill", rollout + "status: {observedGeneration: '7', phase: Degraded, message: RolloutAborted}", "failed: Degraded: RolloutAborted"},
		{"an application that is not synced", application + "status: {health: {status: Healthy}, sync: {status: OutOfSync}}", "in progress: Argo CD says Healthy and OutOfSync"},
		{"an application", application + "status: {health: {status: Healthy}, sync: {status: Synced}}", "current"},
		{"a gateway without an address", gateway + "status: {conditions: [" + accepted + ", {type: Programmed, status: 'False', reason: AddressNotAssigned}]}", "in progress: AddressNotAssigned"},
		{"a gateway", gateway + "status: {conditions: [" + accepted + ", {type: Programmed, status: 'True'}]}", "current"},
		{"a route that no gateway has seen", route + "status: {parents: []}", "in progress"},
		{"a route", route + "status: {parents: [{conditions: [" + accepted + ", " + resolved + "]}]}", "current"},
		{"a route that one of two gateways refuses", route + "status: {parents: [{conditions: [" + accepted + ", " + resolved + "]}, {conditions: [{type: Accepted, status: 'False', reason: NotAllowedByListeners}, " + resolved + "]}]}", "in progress: NotAllowedByListeners"},
		{"a Knative service on its way", knative + "status: {conditions: [{type: Ready, status: Unknown, reason: Deploying}]}", "in progress: Deploying"},
		{"a Knative service that ended ill", knative + "status: {conditions: [{type: Ready, status: 'False', reason: RevisionFailed, message: it crashed}]}", "failed: RevisionFailed: it crashed"},
		{"an API that is not served", "apiVersion: apiregistration.k8s.io/v1\nkind: APIService\nstatus: {conditions: [{type: Available, status: 'False', reason: MissingEndpoints}]}", "in progress: MissingEndpoints"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			v, ok := rules.Judge(object(t, tt.object))
			if got := said(v); !ok || got != tt.want {
				t.Errorf("said %q, want %q", got, tt.want)
			}
		})
	}
}

// FuzzJudge: nothing that anybody may have written makes it panic, or keeps it busy.
func FuzzJudge(f *testing.F) {
	f.Add("status.conditions.exists(c, c.type == 'Ready')", "{status: {conditions: [{type: Ready}]}}")
	f.Add("object.metadata.name.startsWith('a')", "{status: {conditions: 3, parents: [1, {conditions: {}}], observedGeneration: {}}}")
	f.Add("[1].all(x, x)", "{spec: null, status: []}")
	f.Fuzz(func(t *testing.T, expression, text string) {
		var content map[string]any
		if yaml.Unmarshal([]byte(text), &content) != nil || content == nil {
			return
		}
		content["apiVersion"], content["kind"] = "v1", "A"
		rules, problems := health.Compile([]health.Rule{{Kind: "A", Current: expression, Message: expression}})
		if (rules == nil) != (len(problems) > 0) {
			t.Fatalf("%v, %v", rules, problems)
		}
		rules.Judge(&unstructured.Unstructured{Object: content})
	})
}
