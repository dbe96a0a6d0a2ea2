package cluster

import (
	"errors"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestRefusedValuesAreNotQuoted(t *testing.T) {
	for message, want := range map[string]string{
		`Required value`: `Required value`,
		`Forbidden: updates to statefulset spec are forbidden`:                                          `Forbidden: updates to statefulset spec are forbidden`,
		`Invalid value: "hunter2": must be a number`:                                                    `must be a number`,
		`Invalid value: "a: \"b\": c": must be a number`:                                                `must be a number`,
		`Invalid value: "hunter2"`:                                                                      `invalid value`,
		`Invalid value: 70000: must be between 1 and 65535, inclusive`:                                  `must be between 1 and 65535, inclusive`,
		`Invalid value: {"env":[{"name":"A","value":"hunter2: x"}]}: field is immutable`:                `field is immutable`,
		`Invalid value: {"env":[{"name":"A","value":"hunter2: x"}]}`:                                    `invalid value`,
		`Invalid value: core.PodTemplateSpec{Env:[]core.EnvVar{{Value:"hunter2"}}}: field is immutable`: `field is immutable`,
		`Unsupported value: "hunter2": supported values: "TCP", "UDP"`:                                  `supported values: "TCP", "UDP"`,
		"Invalid value: {\"app\":\"hunter2\"}: `selector` does not match template `labels`":             "`selector` does not match template `labels`",
		`Duplicate value: {"name":"hunter2"}`:                                                           `duplicate value`,
		"Forbidden: pod updates may not change this\n core.PodSpec{Value: \"hunter2\"}":                 `Forbidden: pod updates may not change this`,
		`failed expression: self.oars < 9`:                                                              `failed expression: self.oars < 9`,
	} {
		if got := withoutValue(message); got != want {
			t.Errorf("%s\n is %q, want %q", message, got, want)
		}
	}
}

func TestReasonsTellNoSecrets(t *testing.T) {
	objects := []Object{
		{Object: map[string]any{"kind": "Secret", "data": map[string]any{"key": "aHVudGVyMg=="}, "stringData": map[string]any{"k": "correct horse"}}},
		{Object: map[string]any{"kind": "Pod", "spec": map[string]any{"containers": []any{map[string]any{"env": []any{
			map[string]any{"name": "DB_PASSWORD", "value": "swordfish"}, map[string]any{"name": "MODE", "value": "fast"},
		}}}}}},
	}
	hush := secretsOf(objects)
	for why, want := range map[string]string{
		"policy says hunter2 is weak":             "policy says *** is weak",
		"policy says aHVudGVyMg== is weak":        "policy says *** is weak",
		"correct horse; swordfish; fast":          "***; ***; fast",
		"the token ghp_0123456789abcdef is known": "the reason is left out, it may quote a secret",
		"spec.replicas: must be at most 5":        "spec.replicas: must be at most 5",
		`deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'few' denied request: at most 5 replicas`: `deployments.apps "web" is forbidden: ValidatingAdmissionPolicy 'few' with binding 'few' denied request: at most 5 replicas`,
	} {
		if got := told(why, false, hush); got != want {
			t.Errorf("%s\n is told as %q, want %q", why, got, want)
		}
	}
	if got := told(strings.Repeat("ü", 5000), false, nil); len([]rune(got)) != maxTold+1 {
		t.Errorf("%d characters are told", len([]rune(got)))
	}
}

// The API server's own sentences name fields and kinds: they are told.
func TestWhatNamesASecretIsTold(t *testing.T) {
	forbidden := func(message string) error {
		return &apierrors.StatusError{ErrStatus: metav1.Status{Code: 403, Reason: metav1.StatusReasonForbidden, Message: message}}
	}
	pod, secret := Object(&unstructured.Unstructured{}), Object(&unstructured.Unstructured{})
	pod.SetKind("Pod")
	secret.SetKind("Secret")
	for _, c := range []struct {
		object Object
		err    error
		want   bool
	}{
		{pod, forbidden(`secrets "key" is forbidden: exceeded quota: few, requested: secrets=1, used: secrets=1, limited: secrets=1`), true},
		{pod, forbidden(`secrets "key" is forbidden: exceeded quota: few, requested: secrets=1, password="hunter2"`), false},
		{pod, forbidden(`admission webhook "a" denied the request: password=hunter2`), false},
		{secret, forbidden("anything, from which the values were taken"), true},
		{pod, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 500, Message: `failed to create typed patch object (n/web; apps/v1, Kind=Deployment): .env[name="DB_PASSWORD"].valu: field not declared in schema`}}, true},
		{pod, &apierrors.StatusError{ErrStatus: metav1.Status{Code: 422, Details: &metav1.StatusDetails{Causes: []metav1.StatusCause{{Field: "spec.tokens", Message: "Required value"}}}}}, true},
		{pod, errors.New("no answer"), false},
		{pod, nil, false},
	} {
		if got := valueless(c.object, c.err); got != c.want {
			t.Errorf("%s: %v is without values: %t", c.object.GetKind(), c.err, got)
		}
	}
	if got := told("password=hunter2 of ghp_0123456789abcdef", true, nil); strings.Contains(got, "ghp_") {
		t.Errorf("a token is told: %s", got)
	}
}
