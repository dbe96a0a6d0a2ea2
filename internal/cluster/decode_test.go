package cluster_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

func TestDecode(t *testing.T) {
	objects := decode(t, configMap("a", "k", "v"), "# only a comment", `
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: b}, spec: {ports: [{port: 80}]}}
- {apiVersion: v1, kind: Secret, metadata: {name: c, namespace: ns}}
`)
	var got []string
	for _, o := range objects {
		got = append(got, o.GetKind()+" "+o.GetNamespace()+"/"+o.GetName())
	}
	if diff := cmp.Diff([]string{"ConfigMap /a", "Service /b", "Secret ns/c"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	ports := objects[1].Object["spec"].(map[string]any)["ports"].([]any)
	if port, whole := ports[0].(map[string]any)["port"].(int64); !whole || port != 80 {
		t.Errorf("a port became %#v", ports[0])
	}
}

func TestDecodeRefuses(t *testing.T) {
	for what, c := range map[string]struct{ yaml, says string }{
		"nothing":          {"", "no objects"},
		"only comments":    {"# nothing here\n---\n# nor here\n", "no objects"},
		"an empty list":    {"apiVersion: v1\nkind: List\nitems: []\n", "no objects"},
		"no kind":          {"apiVersion: v1\nmetadata: {name: a}\n", "document 1"},
		"no apiVersion":    {"kind: ConfigMap\nmetadata: {name: a}\n", "apiVersion"},
		"no name":          {configMap("a", "k", "v") + "---\nkind: Service\napiVersion: v1\n", "Service has no metadata.name"},
		"a generated name": {"apiVersion: v1\nkind: Pod\nmetadata: {generateName: a-}\n", "metadata.name"},
		"the same twice":   {configMap("a", "k", "v") + "---\n" + configMap("a", "k", "w"), "ConfigMap a is there twice"},
		"a key twice":      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, name: b}\n", "document 1"},
		"a boolean name":   {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: on}\n", "quote it"},
		"a number label":   {"apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {enforce: restricted, team: 7}}\n", "metadata.labels.team of Namespace shop"},
		"a flag annotated": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {tagboat.dev/prune: keep, ready: true}}\n", "metadata.annotations.ready of ConfigMap a"},
		"labels in a list": {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: [web]}\n", "metadata.labels of ConfigMap a"},
		"a value, no kind": {"stringData: {password: hunter2}\n", "document 1"},
		"an item, no kind": {"apiVersion: v1\nkind: List\nitems: [{stringData: {password: hunter2}}]\n", "document 1"},
		"not base64":       {"apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ndata: {password: hunter2!}\n", "data.password of Secret key"},
		"no YAML":          {"a: [", "document 1"},
		"a plain word":     {"hello", "document 1"},
	} {
		t.Run(what, func(t *testing.T) {
			objects, err := cluster.Decode([]byte(c.yaml))
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), c.says) {
				t.Errorf("got %v, %v", objects, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("a secret's value is in %q", err)
			}
		})
	}
}

// Who exports an object and commits it has in Git what only the API server sets, and a
// uid there would be that of an object which was deleted.
func TestWhatOnlyTheAPIServerSetsIsLeftOut(t *testing.T) {
	o := decode(t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, uid: u, resourceVersion: \"1\", generation: 2, creationTimestamp: \"2024-01-01T00:00:00Z\", selfLink: /a, managedFields: [{manager: kubectl}]}\n")[0]
	if diff := cmp.Diff(map[string]any{"name": "a"}, o.Object["metadata"]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// As the API server stores it, so that drift is seen where it happens.
func TestPlainTextOfASecretIsEncoded(t *testing.T) {
	o := decode(t, "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ndata: {old: b2xk, both: b2xk}\nstringData: {new: hunter2, both: new}\n")[0]
	want := map[string]any{"old": "b2xk", "new": "aHVudGVyMg==", "both": "bmV3"}
	if diff := cmp.Diff(want, o.Object["data"]); diff != "" || o.Object["stringData"] != nil {
		t.Errorf("(-want +got):\n%s%v", diff, o.Object["stringData"])
	}
	_, err := cluster.Decode([]byte("apiVersion: v1\nkind: Secret\nmetadata: {name: key}\nstringData: {pin: 1234}\n"))
	if err == nil || !strings.Contains(err.Error(), "quote its values") || strings.Contains(err.Error(), "1234") {
		t.Errorf("got %v", err)
	}
}
