package admission_test

import (
	"fmt"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/policy/admission"
)

func object(t testing.TB, text string) *unstructured.Unstructured {
	t.Helper()
	if text == "" {
		return nil
	}
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

// policy is a policy and its binding, of some spec.
func policy(spec, binding string) string {
	if binding == "" {
		binding = "validationActions: [Deny]"
	}
	if !strings.Contains(spec, "matchConstraints") {
		spec = "matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: [CREATE, UPDATE], resources: ['*']}]}\n" + spec
	}
	indent := func(s string) string { return "  " + strings.ReplaceAll(strings.TrimSpace(s), "\n", "\n  ") }
	return "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {name: p}\nspec:\n" + indent(spec) +
		"\n---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: b}\nspec:\n  policyName: p\n" + indent(binding) + "\n"
}

func compile(t testing.TB, text, release string) *admission.Set {
	t.Helper()
	return admission.Compile([]admission.File{{Name: "p.yaml", Data: []byte(text)}}, release)
}

// said are the denials of one change, as "deny: message" or "warn: message".
func said(t testing.TB, text, before, after string, beside ...string) string {
	t.Helper()
	set := compile(t, text, "")
	if p := set.Problems(); len(p) > 0 {
		t.Fatalf("problems: %+v\n%s", p, text)
	}
	var others []*unstructured.Unstructured
	for _, b := range beside {
		others = append(others, object(t, b))
	}
	o, old := object(t, after), object(t, before)
	named := o
	if named == nil {
		named = old
	}
	var out []string
	for _, d := range set.Judge([]admission.Change{{Object: o, Old: old, Namespaced: named.GetKind() != "Namespace" && named.GetKind() != "ClusterRole"}}, others)[0] {
		word := "warn: "
		if d.Deny {
			word = "deny: "
		}
		if d.Policy != "p" || d.File != "p.yaml" || d.Line == 0 {
			t.Errorf("a denial from nowhere: %+v", d)
		}
		out = append(out, word+d.Message)
	}
	return strings.Join(out, "\n")
}

const (
	deployment = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop, labels: {team: shop}}\nspec: {replicas: %d, template: {spec: {containers: [{name: web, image: '%s'}]}}}\n"
	configMap  = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: limits, namespace: shop}\ndata: {max: '3'}\n"
)

func web(replicas int, image string) string { return fmt.Sprintf(deployment, replicas, image) }

// TestPolicies are of the kinds that the documentation of Kubernetes and of its
// vendors shows.
func TestPolicies(t *testing.T) {
	deployments := "matchConstraints: {resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]}\n"
	replicas := deployments + "validations: [{expression: object.spec.replicas <= 5, message: at most 5}]"
	params := deployments + "paramKind: {apiVersion: v1, kind: ConfigMap}\nvalidations:\n- expression: object.spec.replicas <= int(params.data.max)\n  messageExpression: \"'at most ' + params.data.max + ', not ' + string(object.spec.replicas)\""
	registry := deployments + "variables: [{name: containers, expression: object.spec.template.spec.containers}]\nvalidations: [{expression: 'variables.containers.all(c, c.image.startsWith(\"registry.example.com/\"))', message: another registry}]"
	immutable := deployments + "matchConditions: [{name: update, expression: request.operation == 'UPDATE'}]\nvalidations: [{expression: object.metadata.labels.team == oldObject.metadata.labels.team, message: the team stays}]"
	limit := "apiVersion: a.example.com/v1\nkind: Limit\nmetadata: {name: limits}\nspec: {max: 2}\n"
	prod := "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {env: prod}}\n"
	byEnv := "validationActions: [Deny]\nmatchResources: {namespaceSelector: {matchLabels: {env: prod}}}"
	for _, tt := range []struct {
		name, spec, binding, before, after string
		beside                             []string
		want                               string
	}{
		{"few replicas", replicas, "", "", web(5, "a"), nil, ""},
		{"many replicas", replicas, "", "", web(6, "a"), nil, "deny: at most 5"},
		{"replicas that nobody wrote have their default", replicas, "", "", strings.Replace(web(1, "a"), "replicas: 1, ", "", 1), nil, ""},
		{"a warning", replicas, "validationActions: [Warn]", "", web(6, "a"), nil, "warn: at most 5"},
		{"both", replicas, "validationActions: [Deny, Audit]", "", web(6, "a"), nil, "deny: at most 5"},
		{"audit alone", replicas, "validationActions: [Audit]", "", web(6, "a"), nil, ""},
		{"another kind", replicas, "", "", configMap, nil, ""},
		{"parameters", params, "validationActions: [Deny]\nparamRef: {name: limits, parameterNotFoundAction: Deny}", "", web(4, "a"), []string{configMap}, "deny: at most 3, not 4"},
		{"parameters of another namespace", params, "validationActions: [Deny]\nparamRef: {name: limits, namespace: other, parameterNotFoundAction: Deny}", "", web(4, "a"), []string{configMap},
			"deny: the policy could not be evaluated: its parameters, the ConfigMap limits in the namespace other, are neither beside the policies nor rendered; put them into the directory of policies"},
		{"parameters that may be absent", params, "validationActions: [Deny]\nparamRef: {name: limits, parameterNotFoundAction: Allow}", "", web(4, "a"), nil, ""},
		{"parameters by label", params, "validationActions: [Deny]\nparamRef: {selector: {}, parameterNotFoundAction: Deny}", "", web(4, "a"), []string{configMap}, "deny: at most 3, not 4"},
		{"parameters of one's own kind", strings.NewReplacer("v1, kind: ConfigMap", "a.example.com/v1, kind: Limit", "int(params.data.max)", "params.spec.max", "params.data.max +", "string(params.spec.max) +").Replace(params),
			"validationActions: [Deny]\nparamRef: {name: limits, parameterNotFoundAction: Deny}", "", web(3, "a"), []string{limit}, "deny: at most 2, not 3"},
		{"our registry", registry, "", "", web(1, "registry.example.com/a"), nil, ""},
		{"another registry", registry, "", "", web(1, "docker.io/a"), nil, "deny: another registry"},
		{"a label", "validations: [{expression: \"'team' in object.metadata.?labels.orValue({})\", message: no team}]", "", "", configMap, nil, "deny: no team"},
		{"a label that is there", "validations: [{expression: \"'team' in object.metadata.?labels.orValue({})\", message: no team}]", "", "", web(1, "a"), nil, ""},
		{"no message", "validations: [{expression: 'false'}]", "", "", configMap, nil, "deny: failed expression: false"},
		{"what stays", immutable, "", web(1, "a"), web(2, "b"), nil, ""},
		{"what must not change", immutable, "", web(1, "a"), strings.Replace(web(1, "a"), "team: shop", "team: x", 1), nil, "deny: the team stays"},
		{"what is new", immutable, "", "", web(1, "a"), nil, ""},
		{"nothing before it", "validations: [{expression: oldObject == null, message: there was one}]", "", "", configMap, nil, ""},
		{"what goes", "matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: [DELETE], resources: [configmaps]}]}\nvalidations: [{expression: \"oldObject.data.max != '3'\", message: it stays}]", "", configMap, "", nil, "deny: it stays"},
		{"a key that is not there", "validations: [{expression: object.spec.nope == 1}]", "", "", web(1, "a"), nil, "deny: the policy could not be evaluated: expression 'object.spec.nope == 1' resulted in error: no such key: nope"},
		{"a failure that is ignored", "failurePolicy: Ignore\nvalidations: [{expression: object.spec.nope == 1}]", "", "", web(1, "a"), nil, "warn: the policy could not be evaluated: expression 'object.spec.nope == 1' resulted in error: no such key: nope"},
		{"amounts", "validations: [{expression: \"quantity(object.spec.template.spec.containers[0].resources.requests.cpu).isLessThan(quantity('2'))\", message: too much}]", "", "",
			strings.Replace(web(1, "a"), "image: 'a'", "image: a, resources: {limits: {cpu: 4}}", 1), nil, "deny: too much"},
		{"what is false is not there", "validations: [{expression: '!has(object.spec.template.spec.hostNetwork)'}]", "", "", strings.Replace(web(1, "a"), "{spec: {cont", "{spec: {hostNetwork: false, cont", 1), nil, ""},
		{"stringData is data", "validations: [{expression: \"has(object.data.a) && !has(object.stringData)\"}]", "", "", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {a: b}", nil, ""},
		{"excluded", "matchConstraints:\n  resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}]\n  excludeResourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps]}]\nvalidations: [{expression: 'false'}]", "", "", configMap, nil, ""},
		{"by name", "matchConstraints: {resourceRules: [{apiGroups: [''], apiVersions: [v1], operations: ['*'], resources: [configmaps], resourceNames: [other]}]}\nvalidations: [{expression: 'false'}]", "", "", configMap, nil, ""},
		{"cluster-wide only", "matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'], scope: Cluster}]}\nvalidations: [{expression: 'false', message: not so}]", "", "", configMap, nil, ""},
		{"cluster-wide", "matchConstraints: {resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*'], scope: Cluster}]}\nvalidations: [{expression: 'false', message: not so}]", "", "", "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}", nil, "deny: not so"},
		{"labels of the object", "matchConstraints: {objectSelector: {matchLabels: {team: shop}}, resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}]}\nvalidations: [{expression: 'false', message: not so}]", "", "", configMap, nil, ""},
		{"a namespace that is rendered", replicas, byEnv, "", web(6, "a"), []string{prod}, "deny: at most 5"},
		{"a namespace that is rendered, without the label", replicas, byEnv, "", web(6, "a"), []string{strings.Replace(prod, "prod", "dev", 1)}, ""},
		{"a namespace that is not rendered", replicas, byEnv, "", web(6, "a"), nil, "warn: at most 5 (a warning only: only a cluster knows the label env of the namespace shop; render its Namespace to be certain)"},
		{"a namespace by name", replicas, "validationActions: [Deny]\nmatchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: shop}}}", "", web(6, "a"), nil, "deny: at most 5"},
		{"another namespace by name", replicas, "validationActions: [Deny]\nmatchResources: {namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: x}}}", "", web(6, "a"), nil, ""},
		{"the namespace's object", "validations: [{expression: \"namespaceObject.metadata.labels.env != 'prod'\", message: not here}]", "", "", configMap, []string{prod}, "deny: not here"},
		{"another version of it", strings.Replace(replicas, "apiVersions: [v1]", "apiVersions: [v1beta2]", 1), "", "", web(6, "a"), nil, "warn: at most 5 (a warning only: it is written for apps/v1beta2, and the object is apps/v1, which only a cluster can convert)"},
		{"another version, exactly", strings.Replace(strings.Replace(replicas, "apiVersions: [v1]", "apiVersions: [v1beta2]", 1), "{resourceRules", "{matchPolicy: Exact, resourceRules", 1), "", "", web(6, "a"), nil, ""},
		{"who asks", "validations: [{expression: \"request.kind.kind == 'ConfigMap' && request.name == 'limits' && request.namespace == 'shop' && request.resource.resource == 'configmaps'\"}]", "", "", configMap, nil, ""},
		{"one's own kind", "validations: [{expression: 'object.spec.max < 2', message: too many}]", "", "", limit, nil, "deny: too many"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := said(t, policy(tt.spec, tt.binding), tt.before, tt.after, tt.beside...); got != tt.want {
				t.Errorf("said %q\nwant %q", got, tt.want)
			}
		})
	}
}

// TestNobodyWaitsForAnExpensiveExpression: it ends by its cost, with an error.
func TestNobodyWaitsForAnExpensiveExpression(t *testing.T) {
	list := "[0,1,2,3,4,5,6,7,8,9]"
	expensive := fmt.Sprintf("%[1]s.all(a, %[1]s.all(b, %[1]s.all(c, %[1]s.all(d, %[1]s.all(e, %[1]s.all(f, %[1]s.all(g, %[1]s.all(h, a + b + c + d + e + f + g + h >= 0))))))))", list)
	got := said(t, policy("validations: [{expression: '"+expensive+"'}]", ""), "", configMap)
	if !strings.HasPrefix(got, "deny: the policy could not be evaluated: ") || !strings.Contains(got, "cost") {
		t.Errorf("said %q", got)
	}
}

func TestProblemsHaveALineAndSayWhatToDo(t *testing.T) {
	const fine = "validations: [{expression: 'true'}]"
	for _, tt := range []struct {
		name, text, release string
		line                int
		want                string
	}{
		{"not YAML", "a: [\n", "", 1, "it is not valid YAML"},
		{"no object", "a: b\n", "", 1, "the document is no Kubernetes object"},
		{"an unknown field", policy(fine+"\nvalidation: []", ""), "", 7, `unknown field "validation"`},
		{"no validations", policy("variables: []", ""), "", 4, "it has no validations; write at least one"},
		{"no rules", policy("matchConstraints: {}\n"+fine, ""), "", 5, "it has no matchConstraints.resourceRules"},
		{"half a rule", policy("matchConstraints: {resourceRules: [{apiGroups: [apps], resources: [deployments]}]}\n"+fine, ""), "", 5, "a rule of resourceRules needs apiGroups, apiVersions, operations and resources"},
		{"an expression that is none", policy("validations:\n- expression: object.\n", ""), "", 7, "the expression does not compile: Syntax error"},
		{"no truth", policy("validations: [{expression: '1'}]", ""), "", 6, "must evaluate to bool but got int"},
		{"authorizer", policy("validations: [{expression: \"authorizer.group('').resource('pods').check('get').allowed()\"}]", ""), "", 6, "it asks authorizer, which only a cluster can answer; keep this policy out of the directory"},
		{"params without a kind", policy("validations: [{expression: params == null}]", ""), "", 6, "params need a paramKind"},
		{"a variable that does not compile", policy("variables: [{name: a, expression: nope}]\n"+fine, ""), "", 6, "undeclared reference to 'nope'"},
		{"no binding", strings.Split(policy(fine, ""), "---")[0], "", 3, "no ValidatingAdmissionPolicyBinding here names the policy p"},
		{"a binding of nothing", "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\nmetadata: {name: b}\nspec:\n  validationActions: [Deny]\n  policyName: q\n", "", 6, "there is no policy q here"},
		{"no actions", policy(fine, "matchResources: {}"), "", 11, "has no validationActions; write [Deny] or [Warn]"},
		{"an unknown action", policy(fine, "validationActions: [Refuse]"), "", 13, `validationActions has "Refuse"; write Deny, Warn or Audit`},
		{"an old version", strings.Replace(policy(fine, ""), "k8s.io/v1\n", "k8s.io/v1alpha1\n", 1), "", 1, "the version admissionregistration.k8s.io/v1alpha1 is not known; write apiVersion: admissionregistration.k8s.io/v1"},
		{"two of one name", policy(fine, "") + "---\n" + policy(fine, ""), "", 17, "there are two policies p"},
		{"a bad selector", policy("matchConstraints: {objectSelector: {matchExpressions: [{key: a, operator: Near}]}, resourceRules: [{apiGroups: ['*'], apiVersions: ['*'], operations: ['*'], resources: ['*']}]}\n"+fine, ""), "", 5, "objectSelector: "},
		{"newer than the cluster", policy("validations: [{expression: \"isSemver('1.0.0')\"}]", ""), "1.28", 6, "undeclared reference to 'isSemver'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			problems := compile(t, tt.text, tt.release).Problems()
			for _, p := range problems {
				if strings.Contains(p.Message, tt.want) {
					if p.Line != tt.line || p.File != "p.yaml" {
						t.Errorf("it is at %s:%d, want line %d: %s", p.File, p.Line, tt.line, p.Message)
					}
					return
				}
			}
			t.Errorf("problems %+v, want %q", problems, tt.want)
		})
	}
	if p := compile(t, policy("validations: [{expression: \"isSemver('1.0.0')\"}]", ""), "").Problems(); len(p) > 0 {
		t.Errorf("without a version everything is known: %+v", p)
	}
}

// TestPoliciesAreNotAskedAboutPolicies, as in a cluster, where one could lock everybody
// out.
func TestPoliciesAreNotAskedAboutPolicies(t *testing.T) {
	text := strings.Split(policy("validations: [{expression: 'true'}]", ""), "---")[0]
	if got := said(t, policy("validations: [{expression: 'false'}]", ""), "", text); got != "" {
		t.Errorf("said %q", got)
	}
}

// FuzzCompileAndJudge: nothing that anybody may have written makes it panic.
func FuzzCompileAndJudge(f *testing.F) {
	f.Add(policy("validations: [{expression: object.spec.replicas < 3}]", ""), web(1, "a"))
	f.Add(policy("variables: [{name: a, expression: object}]\nvalidations: [{expression: variables.a == oldObject}]", ""), configMap)
	f.Add("apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nspec: {matchConstraints: null}", "kind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {containers: [null]}}}")
	f.Fuzz(func(t *testing.T, text, subject string) {
		set := admission.Compile([]admission.File{{Name: "p.yaml", Data: []byte(text)}}, "")
		data, err := yaml.YAMLToJSON([]byte(subject))
		if err != nil {
			return
		}
		o := &unstructured.Unstructured{}
		if o.UnmarshalJSON(data) != nil {
			return
		}
		set.Judge([]admission.Change{{Object: o, Namespaced: true}, {Object: o, Old: o}, {Old: o}}, []*unstructured.Unstructured{o})
	})
}
