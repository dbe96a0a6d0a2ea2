package cluster

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func TestPathsOfFields(t *testing.T) {
	for field, want := range map[string][]string{
		"spec.replicas":  {"spec", "replicas"},
		"/spec/replicas": {"spec", "replicas"},
		`metadata.labels["app.kubernetes.io/name"]`: {"metadata", "labels", "app.kubernetes.io/name"},
		"/metadata/labels/app.kubernetes.io~1name":  {"metadata", "labels", "app.kubernetes.io/name"},
		"spec.containers[name=web].image":           {"spec", "containers", "name=web", "image"},
		"spec.ports[port=80,protocol=TCP]":          {"spec", "ports", "port=80,protocol=TCP"},
		"webhooks.*.clientConfig.caBundle":          {"webhooks", "*", "clientConfig", "caBundle"},
		"webhooks[*].clientConfig":                  {"webhooks", "*", "clientConfig"},
		`data["a]b"]`:                               {"data", "a]b"},
	} {
		got, ok := stepsTo(field)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %t (-want +got):\n%s", field, ok, diff)
		}
	}
	for _, field := range []string{"", "spec[", "spec..replicas", ".", "spec.", `data["a]`} {
		if got, ok := stepsTo(field); ok {
			t.Errorf("%q leads to %q", field, got)
		}
	}
	change := FieldChange{steps: []element{{name: "spec"}}, Manager: "kube-x"}
	for _, rule := range []IgnoreRule{{Name: "web["}, {Managers: []string{"kube-["}}, {Fields: []string{"spec["}}} {
		if rule.covers(ID{Kind: "Pod", Name: "web"}, change) {
			t.Errorf("%+v, which cannot be used, covers something", rule)
		}
	}
}

func TestWhichChangesARuleIsFor(t *testing.T) {
	image := []element{{name: "spec"}, {name: "containers"}, {keys: []string{"name=web"}, index: "1"}, {name: "image"}}
	port := []element{{name: "spec"}, {name: "ports"}, {keys: []string{"port=80", "protocol=TCP"}, index: "0"}}
	for _, c := range []struct {
		field  string
		change []element
		covers bool
	}{
		{"spec.containers[name=web].image", image, true},
		{"spec.containers[name=web]", image, true},
		{"spec.containers.*.image", image, true},
		{"/spec/containers/1/image", image, true},
		{"/spec/containers/0/image", image, false},
		{"spec.containers[name=log].image", image, false},
		{"spec.containers[name=web].image.tag", image, false},
		{"spec.initContainers", image, false},
		{"spec.ports[port=80]", port, true},
		{"spec.ports[protocol=TCP, port=80]", port, true},
		{"spec.ports[port=443]", port, false},
	} {
		if got := (IgnoreRule{Fields: []string{c.field}}).covers(ID{Kind: "Pod"}, FieldChange{steps: c.change}); got != c.covers {
			t.Errorf("%s covers %s: %v", c.field, printed(c.change), got)
		}
	}
	if got := printed(append(image[:3:3], element{name: "a.b/c"})); got != `spec.containers[name=web]["a.b/c"]` {
		t.Errorf("printed as %s", got)
	}
}

// What is printed can be written into a rule.
func TestAPrintedPathIsARule(t *testing.T) {
	for _, steps := range [][]element{
		{{name: "spec"}, {name: "replicas"}},
		{{name: "metadata"}, {name: "labels"}, {name: "app.kubernetes.io/name"}},
		{{name: "spec"}, {name: "ports"}, {keys: []string{"port=80", "protocol=TCP"}}, {name: "name"}},
		{{name: "metadata"}, {name: "finalizers"}, {keys: []string{"example.com/slow"}}},
	} {
		if !(IgnoreRule{Fields: []string{printed(steps)}}).covers(ID{}, FieldChange{steps: steps}) {
			t.Errorf("%s does not cover itself", printed(steps))
		}
	}
}

func TestWhoScalesWhat(t *testing.T) {
	replicas := FieldChange{steps: []element{{name: "spec"}, {name: "replicas"}}}
	for name, c := range map[string]struct {
		group, kind string
		ref         map[string]any
		scaled      ID
		covers      bool
	}{
		"an HPA":                 {"autoscaling", "HorizontalPodAutoscaler", map[string]any{"kind": "StatefulSet", "name": "db"}, ID{Kind: "StatefulSet", Namespace: "shop", Name: "db"}, true},
		"KEDA":                   {"keda.sh", "ScaledObject", map[string]any{"name": "web"}, ID{Kind: "Deployment", Namespace: "shop", Name: "web"}, true},
		"of another namespace":   {"keda.sh", "ScaledObject", map[string]any{"name": "web"}, ID{Kind: "Deployment", Namespace: "fish", Name: "web"}, false},
		"of another name":        {"keda.sh", "ScaledObject", map[string]any{"name": "we"}, ID{Kind: "Deployment", Namespace: "shop", Name: "web"}, false},
		"a name is no pattern":   {"keda.sh", "ScaledObject", map[string]any{"name": "*"}, ID{Kind: "Deployment", Namespace: "shop", Name: "web"}, false},
		"for nothing":            {"keda.sh", "ScaledObject", nil, ID{Kind: "Deployment", Namespace: "shop", Name: "web"}, false},
		"something of that kind": {"example.com", "ScaledObject", map[string]any{"name": "web"}, ID{Kind: "Deployment", Namespace: "shop", Name: "web"}, false},
	} {
		o := &unstructured.Unstructured{Object: map[string]any{"apiVersion": c.group + "/v1", "kind": c.kind, "metadata": map[string]any{"name": "scaler", "namespace": "shop"},
			"spec": map[string]any{"scaleTargetRef": c.ref}}}
		covers := false
		for _, r := range scaledBy(o) {
			covers = covers || r.covers(c.scaled, replicas)
		}
		if covers != c.covers {
			t.Errorf("%s: %v", name, covers)
		}
	}
}
