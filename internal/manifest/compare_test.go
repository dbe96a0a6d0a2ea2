package manifest_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/manifest"
)

const deployment = `apiVersion: apps/v1
kind: Deployment
metadata:
  labels:
    app: payments
  name: payments
  namespace: payments
spec:
  replicas: 2
  selector:
    matchLabels:
      app: payments
  template:
    metadata:
      labels:
        app: payments
    spec:
      containers:
      - args:
        - --listen=:8080
        - --log=info
        env:
        - name: LOG_LEVEL
          value: info
        - name: REGION
          value: eu
        envFrom:
        - configMapRef:
            name: payments-config-7b2k9f4c5d
        image: registry.example.com/payments:1.6.0
        name: app
        ports:
        - containerPort: 8080
          name: http
        resources:
          limits:
            cpu: "1"
            memory: 512Mi
      - image: registry.example.com/proxy:3.1
        name: proxy
      volumes:
      - configMap:
          name: payments-config-7b2k9f4c5d
        name: config
`

const configMap = `apiVersion: v1
data:
  app.yaml: |
    listen: :8080
    greeting: hello
    cache: true
kind: ConfigMap
metadata:
  name: payments-config-7b2k9f4c5d
  namespace: payments
`

const service = `apiVersion: v1
kind: Service
metadata:
  name: payments
  namespace: payments
spec:
  ports:
  - name: http
    port: 80
    targetPort: http
  selector:
    app: payments
`

var overlay = configMap + "---\n" + service + "---\n" + deployment

func compare(t *testing.T, before, after string) manifest.Diff {
	t.Helper()
	d, err := manifest.Compare([]byte(before), []byte(after))
	if err != nil {
		t.Fatalf("compare: %v", err)
	}
	return d
}

// told is a diff in a few words, a line per object and one per field.
func told(d manifest.Diff) string {
	var b strings.Builder
	for _, o := range d.Objects {
		fmt.Fprintf(&b, "%s %s", o.Change, o.ID)
		if o.Was != "" {
			fmt.Fprintf(&b, " was %s", o.Was)
		}
		b.WriteString("\n")
		for _, f := range o.Fields {
			fmt.Fprintf(&b, "  %s %s: %s => %s", f.Change, f.Path, f.Old, f.New)
			if f.Secret {
				b.WriteString(" secret")
			}
			if f.Reference {
				b.WriteString(" reference")
			}
			b.WriteString("\n")
			for _, l := range f.Lines {
				b.WriteString("    |" + l + "\n")
			}
		}
	}
	return b.String()
}

func expect(t *testing.T, before, after, want string) {
	t.Helper()
	if diff := cmp.Diff(strings.TrimLeft(want, "\n"), told(compare(t, before, after))); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// object is a small object around some fields of flow YAML.
func object(kind, fields string) string {
	return "{apiVersion: v1, kind: " + kind + ", metadata: {name: x}, " + fields + "}\n"
}

func TestAnImageBumpIsOneField(t *testing.T) {
	after := strings.Replace(overlay, "payments:1.6.0", "payments:1.7.0", 1)
	expect(t, overlay, after, `
changed Deployment payments/payments
  changed spec.template.spec.containers[name=app].image: registry.example.com/payments:1.6.0 => registry.example.com/payments:1.7.0
`)
}

func TestNoiseIsNoDifference(t *testing.T) {
	for name, pair := range map[string][2]string{
		"order of keys":              {"spec: {a: 1, b: 2}", "spec: {b: 2, a: 1}"},
		"quotes":                     {`spec: {a: "x", b: 'z'}`, "spec: {a: x, b: z}"},
		"one and one point oh":       {"spec: {a: 1, b: 1e3}", "spec: {a: 1.0, b: 1000}"},
		"hexadecimal and octal":      {"spec: {a: 0x10, mode: 0644}", "spec: {a: 16, mode: 420}"},
		"truth as YAML 1.1":          {"spec: {a: yes, b: off}", "spec: {a: true, b: false}"},
		"ways to write null":         {"spec: {a: ~, b: }", "spec: {a: null, b: Null}"},
		"comments":                   {"spec: {a: 1} # one\n", "spec: {a: 1} # uno\n"},
		"anchors":                    {"spec: &s {a: 1}, copy: *s", "spec: {a: 1}, copy: {a: 1}"},
		"merge keys":                 {"base: &b {a: 1, b: 2}, spec: {<<: *b, a: 3}", "base: {a: 1, b: 2}, spec: {a: 3, b: 2}"},
		"dates are text":             {"spec: {a: 2026-01-02}", `spec: {a: "2026-01-02"}`},
		"a timestamp that Go prints": {"template: {metadata: {creationTimestamp: null, a: 1}}", "template: {metadata: {a: 1}}"},
		"tags":                       {"spec: {a: !!str 1, b: !!int 2}", `spec: {a: "1", b: 2}`},
	} {
		t.Run(name, func(t *testing.T) {
			flow := strings.NewReplacer("#", "\n#").Replace
			expect(t, object("Thing", flow(pair[0])), object("Thing", flow(pair[1])), "")
		})
	}
	expect(t, "# a comment\n---\n"+service+"...\n---\n---\n# and one\n", "\ufeff"+strings.ReplaceAll(service, "\n", "\r\n"), "")
	expect(t, service+"---\n"+configMap, configMap+"---\n"+service, "")
}

func TestWhatKubernetesReadsDifferentlyIsADifference(t *testing.T) {
	expect(t, object("Thing", `spec: {a: "1", b: "true", c: null, d: 0.1, e: [], f: x, g: "null"}`),
		object("Thing", `spec: {a: 1, b: true, d: 0.2, e: {}, f: [x], g: null}`), `
changed Thing x
  changed spec.a: "1" => 1
  changed spec.b: "true" => true
  removed spec.c: null => 
  changed spec.d: 0.1 => 0.2
  removed spec.e: [] => 
  added spec.e:  => {}
  removed spec.f: x => 
  added spec.f:  => [x]
  changed spec.g: "null" => null
`)
}

func TestListsAreComparedByTheirKeys(t *testing.T) {
	for _, c := range []struct{ name, before, after, want string }{
		{"a sidecar before the others is one addition",
			"containers: [{name: app, image: a}]", "containers: [{name: log, image: l}, {name: app, image: a}]",
			"added spec.containers[name=log]:  => {image: l, name: log}"},
		{"ports of a container, TCP where nothing is said",
			"ports: [{containerPort: 80}, {containerPort: 80, protocol: UDP, name: a}]", "ports: [{containerPort: 80, protocol: TCP}, {containerPort: 80, protocol: UDP, name: b}]",
			"added spec.ports[containerPort=80,protocol=TCP].protocol:  => TCP\n  changed spec.ports[containerPort=80,protocol=UDP].name: a => b"},
		{"ports of a Service",
			"ports: [{port: 80, targetPort: 1}]", "ports: [{port: 80, targetPort: 2}]",
			"changed spec.ports[port=80,protocol=TCP].targetPort: 1 => 2"},
		{"mounts by path",
			"volumeMounts: [{name: a, mountPath: /x}]", "volumeMounts: [{name: b, mountPath: /x}]",
			"changed spec.volumeMounts[mountPath=/x].name: a => b"},
		{"hosts by address",
			"hostAliases: [{ip: 10.0.0.1, hostnames: [a]}]", "hostAliases: [{ip: 10.0.0.1, hostnames: [a, b]}]",
			"added spec.hostAliases[ip=10.0.0.1].hostnames[1]:  => b"},
		{"claims by their metadata",
			"volumeClaimTemplates: [{metadata: {name: data}, size: 1}]", "volumeClaimTemplates: [{metadata: {name: data}, size: 2}]",
			"changed spec.volumeClaimTemplates[metadata.name=data].size: 1 => 2"},
		{"a key that stands twice is none",
			"env: [{name: A, value: u}, {name: A, value: v}]", "env: [{name: A, value: u}, {name: A, value: w}]",
			"changed spec.env[1].value: v => w"},
		{"a key that needs quotes",
			"env: [{name: 'A B', value: x}]", "env: [{name: 'A B', value: z}]",
			`changed spec.env[name="A B"].value: x => z`},
		{"an inserted element is one addition",
			"tolerations: [{key: a}, {key: b}, {key: c}]", "tolerations: [{key: a}, {key: x}, {key: b}, {key: c}]",
			"added spec.tolerations[1]:  => {key: x}"},
		{"a removed and a changed one",
			"args: [a, b, c, d, e]", "args: [b, x, d, e]",
			"removed spec.args[0]: a => \n  changed spec.args[1]: c => x"},
		{"an order that Kubernetes keeps",
			"initContainers: [{name: a}, {name: b}, {name: c}]", "initContainers: [{name: b}, {name: a}, {name: d}]",
			"added spec.initContainers[name=d]:  => {name: d}\n  removed spec.initContainers[name=c]: {name: c} => \n  changed spec.initContainers[order]: name=a name=b => name=b name=a"},
		{"keys with dots are quoted",
			`labels: {"app.kubernetes.io/version": "1.6"}`, `labels: {"app.kubernetes.io/version": "1.7"}`,
			`changed spec.labels["app.kubernetes.io/version"]: "1.6" => "1.7"`},
		{"a large addition is told field by field",
			"a: 1", "a: 1, containers: [{name: app, image: registry.example.com/payments:1.7.0, command: [/bin/payments, --listen, ':8080']}]",
			"added spec.containers[name=app].command:  => [/bin/payments, --listen, \":8080\"]\n  added spec.containers[name=app].image:  => registry.example.com/payments:1.7.0\n  added spec.containers[name=app].name:  => app"},
	} {
		t.Run(c.name, func(t *testing.T) {
			expect(t, object("Thing", "spec: {"+c.before+"}"), object("Thing", "spec: {"+c.after+"}"), "changed Thing x\n  "+c.want+"\n")
		})
	}
}

func TestObjectsAreAddedRemovedAndMoveToAnotherVersion(t *testing.T) {
	ingress := "apiVersion: networking.k8s.io/v1beta1\nkind: Ingress\nmetadata: {name: web, namespace: payments}\nspec: {a: 1}\n"
	claim := "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: payments}\nspec: {size: 1}\n"
	before := claim + "---\n" + ingress
	after := strings.Replace(ingress, "v1beta1", "v1", 1) + "---\n" + object("ServiceAccount", "automountServiceAccountToken: false")
	expect(t, before, after, `
changed Ingress payments/web
  changed apiVersion: networking.k8s.io/v1beta1 => networking.k8s.io/v1
added ServiceAccount x
  added automountServiceAccountToken:  => false
removed PersistentVolumeClaim payments/data
  removed spec: {size: 1} => 
`)
}

func TestTheSameKindOfAnotherGroupIsAnotherObject(t *testing.T) {
	ours := "{apiVersion: serving.knative.dev/v1, kind: Service, metadata: {name: payments, namespace: payments}}\n"
	expect(t, service, service+"---\n"+ours, "added Service.serving.knative.dev payments/payments\n")
}

func TestAGeneratedNameThatChangesIsOneChangedObject(t *testing.T) {
	after := strings.NewReplacer("7b2k9f4c5d", "9hdtm2g6c8", "hello", "welcome").Replace(overlay)
	expect(t, overlay, after, `
changed ConfigMap payments/payments-config-9hdtm2g6c8 was payments-config-7b2k9f4c5d
  changed data["app.yaml"]:  => 
    |@@ line 1
    | listen: :8080
    |-greeting: hello
    |+greeting: welcome
    | cache: true
changed Deployment payments/payments
  changed spec.template.spec.containers[name=app].envFrom[0].configMapRef.name: payments-config-7b2k9f4c5d => payments-config-9hdtm2g6c8 reference
  changed spec.template.spec.volumes[name=config].configMap.name: payments-config-7b2k9f4c5d => payments-config-9hdtm2g6c8 reference
`)
}

func TestAPullSecretIsFoundUnderItsNewName(t *testing.T) {
	stream := object("Secret", "data: {a: eA==}") + "---\n" + object("ServiceAccount", "imagePullSecrets: [{name: pull-7b2k9f4c5d}, {name: other}]")
	stream = strings.Replace(stream, "kind: Secret, metadata: {name: x}", "kind: Secret, metadata: {name: pull-7b2k9f4c5d}", 1)
	expect(t, stream, strings.NewReplacer("7b2k9f4c5d", "9hdtm2g6c8", "eA==", "eQ==").Replace(stream), `
changed Secret pull-9hdtm2g6c8 was pull-7b2k9f4c5d
  changed data.a: (secret) => (secret, changed) secret
changed ServiceAccount x
  changed imagePullSecrets[name=pull-9hdtm2g6c8].name: pull-7b2k9f4c5d => pull-9hdtm2g6c8 reference
`)
}

func TestAGeneratedNameIsNotGuessed(t *testing.T) {
	named := func(kind, name string) string {
		return fmt.Sprintf("{apiVersion: v1, kind: %s, metadata: {name: %s}}\n", kind, name)
	}
	for name, c := range map[string]struct{ before, after string }{
		"two candidates after":            {named("ConfigMap", "c-7b2k9f4c5d"), named("ConfigMap", "c-9hdtm2g6c8") + "---\n" + named("ConfigMap", "c-8hdtm2g6c8")},
		"one of two stays":                {named("ConfigMap", "c-7b2k9f4c5d") + "---\n" + named("ConfigMap", "c-8hdtm2g6c8"), named("ConfigMap", "c-9hdtm2g6c8") + "---\n" + named("ConfigMap", "c-8hdtm2g6c8")},
		"another kind":                    {named("ConfigMap", "c-7b2k9f4c5d"), named("Secret", "c-9hdtm2g6c8")},
		"not what kustomize generates":    {named("Deployment", "c-7b2k9f4c5d"), named("Deployment", "c-9hdtm2g6c8")},
		"letters that kustomize does not": {named("ConfigMap", "c-processing"), named("ConfigMap", "c-9hdtm2g6c8")},
		"another prefix":                  {named("ConfigMap", "c-7b2k9f4c5d"), named("ConfigMap", "d-9hdtm2g6c8")},
	} {
		t.Run(name, func(t *testing.T) {
			for _, o := range compare(t, c.before, c.after).Objects {
				if o.Change == manifest.Changed {
					t.Errorf("%s is taken for %s", o.ID, o.Was)
				}
			}
		})
	}
}

func TestListsOfObjectsAreUnpacked(t *testing.T) {
	objects, err := manifest.Parse([]byte(`
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: Service, metadata: {name: a}}
- apiVersion: v1
  kind: ConfigMapList
  items: [{metadata: {name: b}}]
---
{apiVersion: example.com/v1, kind: AllowList, metadata: {name: c}, items: [1]}
---
{apiVersion: batch/v1, kind: Job, metadata: {generateName: migrate-}}
`))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, o := range objects {
		got = append(got, fmt.Sprintf("%d %s %s", o.Document, o.APIVersion, o.ID))
	}
	want := []string{"1 v1 Service a", "1 v1 ConfigMap b", "2 example.com/v1 AllowList.example.com c", "3 batch/v1 Job migrate-"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func TestImagesAreListedOnce(t *testing.T) {
	objects, err := manifest.Parse([]byte(overlay + "---\n" + strings.Replace(deployment, "name: payments\n", "name: second\n", 1)))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"registry.example.com/payments:1.6.0", "registry.example.com/proxy:3.1"}
	if diff := cmp.Diff(want, manifest.Images(objects)); diff != "" {
		t.Errorf("images (-want +got):\n%s", diff)
	}
}

func TestWhatIsNoObjectIsRefusedWithItsDocument(t *testing.T) {
	bomb := "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
	for c := 'b'; c < 'k'; c++ {
		bomb += fmt.Sprintf("%c: &%c [%s]\n", c, c, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*%c, ", c-1), 10), ", "))
	}
	for name, c := range map[string]struct{ doc, want string }{
		"text":                {"hello", "document 2: it is no object but a text"},
		"a list":              {"- a\n- b", "document 2: it is no object but a list"},
		"no kind":             {"apiVersion: v1\nmetadata: {name: x}", "document 2: it is no Kubernetes object: kind is missing or is no text"},
		"no name":             {"apiVersion: v1\nkind: Service", "document 2: it is no Kubernetes object: metadata.name is missing or is no text"},
		"a number for a name": {"apiVersion: v1\nkind: Service\nmetadata: {name: 12}", "metadata.name is missing or is no text"},
		"a key twice":         {"apiVersion: v1\nkind: A\nkind: B\nmetadata: {name: x}", "document 2: line 1: the key kind stands twice"},
		"the object twice":    {service, "Service payments/payments is rendered twice, in document 1 and in document 2"},
		"no YAML":             {"a: [", "document 2 is not valid YAML"},
		"an alias bomb":       {bomb, "document 2: its aliases stand for more than 100000 values"},
		"an endless alias":    {"a: &a [*a]", "document 2: line 1: the alias *a contains itself"},
		"nested deep":         {strings.Repeat("[", 300) + strings.Repeat("]", 300), "document 2: line 1 is nested more than 200 deep"},
		"a mapping for a key": {"? {a: b}\n: c", "document 2: line 1: a key is a mapping"},
		"a wrong merge":       {"a: {<<: b}", "document 2: line 1: << takes a mapping"},
	} {
		t.Run(name, func(t *testing.T) {
			stream := service + "---\n" + c.doc + "\n"
			_, err := manifest.Parse([]byte(stream))
			if err == nil || !strings.Contains(err.Error(), c.want) || !fault.Is(err, fault.Invalid) {
				t.Errorf("error %v of kind %v, want %q", err, fault.KindOf(err), c.want)
			}
			if err != nil && strings.Contains(err.Error(), "\n") {
				t.Errorf("the error has several lines: %q", err)
			}
			if _, err := manifest.Compare([]byte(service), []byte(stream)); err == nil || !strings.HasPrefix(err.Error(), "after the change: ") {
				t.Errorf("compared after: %v", err)
			}
			if _, err := manifest.Compare([]byte(stream), nil); err == nil || !strings.HasPrefix(err.Error(), "before the change: ") {
				t.Errorf("compared before: %v", err)
			}
		})
	}
}

func TestADocumentThatStaysIsKnownWhateverItLooksLike(t *testing.T) {
	for name, doc := range map[string]string{
		"as kustomize prints it":   service,
		"flow":                     "{apiVersion: v1, kind: Service, metadata: {name: payments, namespace: payments}}\n",
		"quoted":                   "apiVersion: 'v1'\nkind: \"Service\"\nmetadata: {name: payments, namespace: payments}\n",
		"a key within a text":      "apiVersion: v1\nnote: \"a\nkind: Secret\"\nkind: Service\nmetadata: {name: payments, namespace: payments}\n",
		"metadata within a text":   "apiVersion: v1\nkind: Service\nmetadata:\n  name: payments\n  namespace: payments\nnote: \"a\nmetadata:\n  namespace: other\"\n",
		"labels called name":       "apiVersion: v1\nkind: Service\nmetadata:\n  labels:\n    name: other\n  # a comment\n  name: payments\n  namespace: payments\n",
		"an annotation of lines":   "apiVersion: v1\nkind: Service\nmetadata:\n  annotations:\n    a: |\n      name: other\n  name: payments\n  namespace: payments\n",
		"with a marker of its own": "--- # Source: x\napiVersion: v1\nkind: Service\nmetadata: {name: payments, namespace: payments}\n",
		"in a list":                "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Service, metadata: {name: payments, namespace: payments}}\n",
	} {
		t.Run(name, func(t *testing.T) {
			// Beside it comes one of the same name: that is found only where its own is known.
			_, err := manifest.Compare([]byte(doc), []byte(doc+"---\n"+strings.Replace(service, "80", "81", 1)))
			if err == nil || !strings.Contains(err.Error(), "after the change: Service payments/payments is rendered twice, in document 1 and in document 2") {
				t.Errorf("error: %v", err)
			}
			expect(t, doc, doc+"---\n"+object("Pod", "a: 1"), "added Pod x\n  added a:  => 1\n")
		})
	}
}

func TestAKeyThatStandsTwiceIsSeenInWhatStays(t *testing.T) {
	doc := "apiVersion: v1\nkind: Service\nkind: Pod\nmetadata:\n  name: x\n"
	if _, err := manifest.Compare([]byte(doc), []byte(doc+"---\n"+service)); err == nil || !strings.Contains(err.Error(), "the key kind stands twice") {
		t.Errorf("error: %v", err)
	}
}

func TestANumberThatBecomesATextOfLinesIsBoth(t *testing.T) {
	expect(t, object("Thing", "a: 1"), object("Thing", `a: "x\ny\n"`), `
changed Thing x
  removed a: 1 => 
  added a:  => 
    |+x
    |+y
`)
}

func TestLongTextsAreCompared(t *testing.T) {
	file := func(lines []string) string {
		return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a.txt: |\n    " + strings.Join(lines, "\n    ") + "\n"
	}
	lines := make([]string, 10_000)
	for i := range lines {
		lines[i] = fmt.Sprintf("line %d", i)
	}
	before := file(lines)
	lines[5000] = "another"
	expect(t, before, file(lines), `
changed ConfigMap x
  changed data["a.txt"]:  => 
    |@@ line 4998
    | line 4997
    | line 4998
    | line 4999
    |-line 5000
    |+another
    | line 5001
    | line 5002
    | line 5003
`)
}

func TestTheLineBreakAtTheEndOfATextMatters(t *testing.T) {
	expect(t, object("ConfigMap", `data: {a: "x\ny"}`), object("ConfigMap", `data: {a: "x\ny\n"}`), `
changed ConfigMap x
  changed data.a:  => 
    |@@ line 1
    | x
    |-y (no line break at the end)
    |+y
`)
}
