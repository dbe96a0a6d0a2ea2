package policy_test

import (
	"encoding/base64"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/manifest"
	"github.com/tagboat/tagboat/internal/policy"
)

var detector = &policy.Detector{Name: manifest.SecretName, Text: manifest.SecretText, Form: manifest.SecretForm}

func objects(t *testing.T, text string) []policy.Object {
	t.Helper()
	all, err := policy.Parse([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// only is settings with one rule.
func only(rule string) policy.Rules {
	modes := map[string]policy.Mode{}
	for _, r := range policy.Pack {
		modes[r.Name] = policy.Off
	}
	modes[rule] = policy.Enforce
	return policy.Rules{Team: &policy.Source{Settings: policy.Settings{Builtin: modes}}}
}

// found is what a rule finds, as "object path".
func found(t *testing.T, rule string, in policy.Input) []string {
	t.Helper()
	in.Secrets = detector
	var out []string
	for _, v := range policy.Evaluate(only(rule), in, time.Time{}) {
		if v.Rule != rule || v.Mode != policy.Enforce || v.Message == "" || v.Object.Kind == "" {
			t.Errorf("a strange violation: %+v", v)
		}
		if strings.Contains(v.Message, "hunter2") || strings.Contains(v.Message, "aHVudGVyMg") {
			t.Errorf("a secret in a message: %s", v.Message)
		}
		out = append(out, v.Object.String()+" "+v.Path.String())
	}
	slices.Sort(out)
	return out
}

// workload is an object with a container; extra is indented as its fields.
func workload(kind, extra string) string {
	indent := func(n int, s string) string {
		return strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n"+strings.Repeat(" ", n))
	}
	container := "containers:\n- name: web\n  " + indent(2, extra)
	switch kind {
	case "Pod":
		return "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  " + indent(2, container) + "\n"
	case "CronJob":
		return "apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: web, namespace: shop}\nspec:\n  jobTemplate:\n    spec:\n      template:\n        spec:\n          " + indent(10, container) + "\n"
	}
	return "apiVersion: apps/v1\nkind: " + kind + "\nmetadata: {name: web, namespace: shop}\nspec:\n  template:\n    spec:\n      " + indent(6, container) + "\n"
}

var kinds = []string{"Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "CronJob", "Rollout"}

func TestEveryKindOfWorkloadIsLookedAt(t *testing.T) {
	for _, kind := range kinds {
		if got := found(t, "mutable-tag", policy.Input{Head: objects(t, workload(kind, "image: shop"))}); len(got) != 1 || !strings.HasSuffix(got[0], "containers[name=web].image") {
			t.Errorf("%s: found %q", kind, got)
		}
		list := "apiVersion: v1\nkind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimSpace(workload(kind, "image: shop")), "\n", "\n  ")
		if got := found(t, "mutable-tag", policy.Input{Head: objects(t, list)}); len(got) != 1 {
			t.Errorf("%s in a List: found %q", kind, got)
		}
	}
	others := strings.Replace(workload("Deployment", "image: shop:1.0.0"), "containers:", "initContainers: [{name: init, image: shop}]\n      containers:", 1)
	if got := found(t, "mutable-tag", policy.Input{Head: objects(t, others)}); !slices.Equal(got, []string{"Deployment shop/web spec.template.spec.initContainers[name=init].image"}) {
		t.Errorf("an init container: found %q", got)
	}
}

func TestMutableTag(t *testing.T) {
	digest := "@sha256:" + strings.Repeat("a", 64)
	for image, bad := range map[string]bool{
		"shop": true, "shop:latest": true, "shop:LATEST": true, "r.example.com:5000/shop": true, "r.example.com:5000/shop:stable": true,
		"shop:main": true, "shop:1": true, "shop:v1": true, "shop:17": true, "shop:1-alpine": true, "shop:latest-alpine3.20": true, "shop:stable-slim": true,
		"shop:1.2": false, "shop:1.2.3": false, "shop:v1.2.3": false, "shop:20261231": false, "shop:1432": false, "shop:3f2c1aa": false,
		"shop:main-3f2c1aa": false, "shop:nightly-20261231": false, "shop:dev-abcdefa": false, "shop:mainframe": false, "shop:latest" + digest: false, "shop" + digest: false,
	} {
		got := found(t, "mutable-tag", policy.Input{Head: objects(t, workload("Pod", "image: "+image))})
		if (len(got) > 0) != bad {
			t.Errorf("%s: found %q, want %v", image, got, bad)
		}
		pinned := strings.Contains(image, "@")
		if got := found(t, "digest-required", policy.Input{Head: objects(t, workload("Pod", "image: "+image))}); (len(got) > 0) == pinned {
			t.Errorf("%s: digest-required found %q", image, got)
		}
	}
}

// TestContainerRules: each is a container, and where the rule finds something in it.
func TestContainerRules(t *testing.T) {
	const c = "spec.template.spec.containers[name=web]"
	for _, tt := range []struct {
		rule, container string
		want            []string
	}{
		{"resource-limits", "resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}", nil},
		{"resource-limits", "resources: {limits: {cpu: 100m, memory: 1Gi}}", nil},
		{"resource-limits", "resources: {requests: {cpu: 100m, memory: 1Gi}}", []string{c + ".resources"}},
		{"resource-limits", "resources: {limits: {memory: 1Gi}}", []string{c + ".resources"}},
		{"resource-limits", "resources: {requests: {cpu: 100m}, limits: {memory: 0}}", []string{c + ".resources"}},
		{"resource-limits", "resources: {requests: {cpu: lots, memory: 1}, limits: {memory: 1}}", []string{c + ".resources"}},
		{"resource-limits", "image: shop", []string{c + ".resources"}},
		{"probes", "readinessProbe: {tcpSocket: {port: 80}}\nlivenessProbe: {tcpSocket: {port: 80}}", nil},
		{"probes", "readinessProbe: {tcpSocket: {port: 80}}", []string{c + ".livenessProbe"}},
		{"probes", "image: shop", []string{c + ".livenessProbe", c + ".readinessProbe"}},
		{"privileged", "securityContext: {privileged: false, allowPrivilegeEscalation: false, runAsUser: 1000, capabilities: {drop: [ALL], add: [NET_BIND_SERVICE]}}", nil},
		{"privileged", "securityContext: {privileged: true}", []string{c + ".securityContext.privileged"}},
		{"privileged", "securityContext: {allowPrivilegeEscalation: true}", []string{c + ".securityContext.allowPrivilegeEscalation"}},
		{"privileged", "securityContext: {runAsUser: 0}", []string{c + ".securityContext.runAsUser"}},
		{"privileged", "securityContext: {capabilities: {add: [CHOWN, SYS_ADMIN, ALL]}}", []string{c + ".securityContext.capabilities.add[1]", c + ".securityContext.capabilities.add[2]"}},
		{"privileged", "securityContext: {procMount: Unmasked}", []string{c + ".securityContext.procMount"}},
		{"privileged", "securityContext: {seccompProfile: {type: Unconfined}}", []string{c + ".securityContext.seccompProfile.type"}},
		{"privileged", "securityContext: {windowsOptions: {hostProcess: true}}", []string{c + ".securityContext.windowsOptions.hostProcess"}},
		{"privileged", "ports: [{containerPort: 80}, {name: http, containerPort: 80, hostPort: 80}]", []string{c + ".ports[name=http].hostPort"}},
		{"plaintext-secret", "env: [{name: DB_PASSWORD, valueFrom: {secretKeyRef: {name: db, key: password}}}, {name: LOG, value: info}]", nil},
		{"plaintext-secret", "env: [{name: DB_PASSWORD_FILE, value: /run/db}, {name: DB_PASSWORD, value: $(OTHER)}, {name: AUTH, value: 'true'}, {name: TOKEN, value: ''}]", nil},
		{"plaintext-secret", "env: [{name: DB_PASSWORD, value: hunter2}]", []string{c + ".env[name=DB_PASSWORD].value"}},
		{"plaintext-secret", "env: [{name: DB, value: 'postgres://shop:hunter2@db/shop'}]", []string{c + ".env[name=DB].value"}},
		{"plaintext-secret", "args: [--port, '80', --token, hunter2]", []string{c + ".args[3]"}},
		{"plaintext-secret", "args: ['--password=hunter2']", []string{c + ".args[0]"}},
		{"plaintext-secret", "args: ['--password=$(PASSWORD)', --token-file, /run/token]", nil},
		{"plaintext-secret", "args: ['--db', 'postgres://db/shop']", nil},
	} {
		var want []string
		for _, w := range tt.want {
			want = append(want, "Deployment shop/web "+w)
		}
		if diff := cmp.Diff(want, found(t, tt.rule, policy.Input{Head: objects(t, workload("Deployment", tt.container))})); diff != "" {
			t.Errorf("%s: %s (-want +got):\n%s", tt.rule, tt.container, diff)
		}
	}
}

func TestWhatAPodSaysGoesForItsContainers(t *testing.T) {
	pod := func(fields string) []policy.Object {
		return objects(t, "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec:\n  containers: [{name: web}]\n  "+fields)
	}
	for _, tt := range []struct{ rule, fields, want string }{
		{"resource-limits", "resources: {requests: {cpu: 1, memory: 1Gi}, limits: {memory: 1Gi}}", ""},
		{"privileged", "hostNetwork: true", "spec.hostNetwork"},
		{"privileged", "hostPID: true", "spec.hostPID"},
		{"privileged", "hostIPC: true", "spec.hostIPC"},
		{"privileged", "hostNetwork: false", ""},
		{"privileged", "volumes: [{name: a, emptyDir: {}}, {name: run, hostPath: {path: /var/run}}]", "spec.volumes[name=run].hostPath"},
		{"privileged", "securityContext: {runAsUser: 0}", "spec.securityContext.runAsUser"},
		{"privileged", "securityContext: {runAsUser: 1}", ""},
		{"privileged", "securityContext: {appArmorProfile: {type: Unconfined}}", "spec.securityContext.appArmorProfile.type"},
		{"privileged", "securityContext: {windowsOptions: {hostProcess: true}}", "spec.securityContext.windowsOptions.hostProcess"},
		{"probes", "restartPolicy: Never", ""}, // a bare pod may end
		{"resource-limits", "ephemeralContainers: [{name: debug}]\n  resources: {requests: {cpu: 1, memory: 1}, limits: {memory: 1}}", ""},
		{"resource-limits", "initContainers: [{name: proxy, restartPolicy: Always}]", "spec.containers[name=web].resources Pod shop/web spec.initContainers[name=proxy].resources"},
	} {
		got := strings.Join(found(t, tt.rule, policy.Input{Head: pod(tt.fields)}), " ")
		if got != strings.TrimSuffix("Pod shop/web "+tt.want, "Pod shop/web ") {
			t.Errorf("%s: %s: found %q, want %q", tt.rule, tt.fields, got, tt.want)
		}
	}
}

// sopsMetadata is what SOPS writes into a file.
const sopsMetadata = `sops:
  age:
  - recipient: age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p
    enc: |
      -----BEGIN AGE ENCRYPTED FILE-----
      YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSBoN2dWbEo2cUFNVWkyN0Jr
      -----END AGE ENCRYPTED FILE-----
  pgp:
  - created_at: "2026-03-05T12:00:00Z"
    enc: |-
      -----BEGIN PGP MESSAGE-----

      hQEMAyUpShfNkFB/AQgAlPl7ZbV5oGRZ2ZhHZZbd3tCg5rPnYyNnQZ1n
      =oJgS
      -----END PGP MESSAGE-----
    fp: 85D77543B3D624B63CEA9E6DBC17301B491B3F21
  kms:
  - arn: arn:aws:kms:eu-central-1:111122223333:key/6c5b4d3a-1111-2222-3333-444455556666
    created_at: "2026-03-05T12:00:00Z"
    enc: AQICAHhF1Vd5oGRZ2ZhHZZbd3tCg5rPnYyNnQZ1nAQICAHhF1Vd5oGRZ2ZhHZZbd3tCg5rPn
  lastmodified: "2026-03-05T12:00:00Z"
  mac: ENC[AES256_GCM,data:x,iv:y,tag:z,type:str]
  encrypted_regex: ^(data|stringData|spec)$
  version: 3.13.3
`

// generatedSecret is a Secret as a secretGenerator makes it: names and contents.
func generatedSecret(files ...string) string {
	text := "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata:\n"
	for i := 0; i < len(files); i += 2 {
		text += "  " + files[i] + ": " + base64.StdEncoding.EncodeToString([]byte(files[i+1])) + "\n"
	}
	return text
}

func TestPlaintextSecretInObjects(t *testing.T) {
	key := "-----BEGIN RSA PRIVATE KEY-----"
	for _, tt := range []struct{ name, object, want string }{
		{"a Secret", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: aHVudGVyMg==}", "Secret a data.password"},
		{"a Secret as text", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\nstringData: {password: hunter2}", "Secret a stringData.password"},
		{"a Secret without values", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ntype: kubernetes.io/service-account-token", ""},
		{"a Secret with empty values", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: ''}", ""},
		{"encrypted by SOPS", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {password: 'ENC[AES256_GCM,data:x]'}\nsops: {version: 3.9.0}", ""},
		{"half encrypted", "apiVersion: v1\nkind: Secret\nmetadata: {name: a}\ndata: {a: 'ENC[x]', b: aHVudGVyMg==}\nsops: {version: 3.9.0}", "Secret a data.b"},
		{"generated of a file that SOPS encrypted", generatedSecret("db.env", "A=ENC[AES256_GCM,data:x]\nsops_mac=ENC[AES256_GCM,data:y]\n", "app.yaml", "a: ENC[AES256_GCM,data:x]\nsops:\n    mac: ENC[AES256_GCM,data:y]\n",
			"key", "{\n\t\"data\": \"ENC[AES256_GCM,data:x]\",\n\t\"sops\": {\n\t\t\"mac\": \"ENC[AES256_GCM,data:y]\"\n\t}\n}", "app.ini", "[db]\na = ENC[AES256_GCM,data:x]\n\n[sops]\nmac = ENC[AES256_GCM,data:y]\n"), ""},
		{"generated of such a file and of another", generatedSecret("a", "sops_mac=ENC[AES256_GCM,data:y]\n", "b", "hunter2"), "Secret a data.b"},
		{"generated of the lines of such a file", generatedSecret("A", "ENC[AES256_GCM,data:x]", "sops_mac", "ENC[AES256_GCM,data:y]", "sops_version", "3.13.3"), ""},
		{"generated of such lines, and another", generatedSecret("A", "hunter2", "sops_mac", "ENC[AES256_GCM,data:y]", "sops_version", "3.13.3"), "Secret a data.A"},
		{"lines that only look so", generatedSecret("A", "hunter2", "sops_version", "3.13.3"), "Secret a data.A"},
		{"a ConfigMap encrypted by SOPS", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {API_TOKEN: 'ENC[AES256_GCM,data:x]'}\n" + sopsMetadata, ""},
		{"any kind encrypted by SOPS", "apiVersion: a/v1\nkind: B\nmetadata: {name: a}\nspec: {password: 'ENC[AES256_GCM,data:x]'}\n" + sopsMetadata, ""},
		{"sealed", "apiVersion: bitnami.com/v1alpha1\nkind: SealedSecret\nmetadata: {name: a}\nspec: {encryptedData: {password: AgBy3i}}", ""},
		{"external", "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: a}\nspec: {secretStoreRef: {name: vault}, data: [{secretKey: password, remoteRef: {key: db, property: password}}]}", ""},
		{"a ConfigMap", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {LOG: info, API_TOKEN: hunter2}", "ConfigMap a data.API_TOKEN"},
		{"a file in a ConfigMap", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {app.yaml: \"log: info\\npassword: hunter2\\n\"}", `ConfigMap a data["app.yaml"]`},
		{"a file that is filled in", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {app.yaml: \"log: info\\npassword: ${PASSWORD}\\n\"}", ""},
		{"harmless names", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata: {TOKEN_TTL: 60s, SECRET_NAME: db, AUTH_URL: 'https://a.example.com', CACHE_KEYS: '100'}", ""},
		{"an annotation", "apiVersion: v1\nkind: Service\nmetadata: {name: a, annotations: {x: ghp_0123456789abcdef}}", "Service a metadata.annotations.x"},
		{"a field of any kind", "apiVersion: a/v1\nkind: B\nmetadata: {name: a}\nspec: {keys: [{name: k, pem: '" + key + "'}]}", "B a spec.keys[name=k].pem"},
		{"a definition", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {description: '" + key + "'}", ""},
	} {
		if got := strings.Join(found(t, "plaintext-secret", policy.Input{Head: objects(t, tt.object)}), " "); got != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestNamespace(t *testing.T) {
	object := func(api, kind, namespace string) string {
		return fmt.Sprintf("---\napiVersion: %s\nkind: %s\nmetadata: {name: a, namespace: %s}\n", api, kind, namespace)
	}
	none := "''"
	for _, tt := range []struct {
		name, text, home string
		want             int
	}{
		{"in one", object("apps/v1", "Deployment", "shop") + object("v1", "Service", "shop"), "shop", 0},
		{"in none", object("apps/v1", "Deployment", none), "", 1},
		{"cluster-wide", object("rbac.authorization.k8s.io/v1", "ClusterRole", none) + object("v1", "Namespace", none), "shop", 0},
		{"nobody knows the kind", object("a.example.com/v1", "B", none), "shop", 0},
		{"its definition says", object("a.example.com/v1", "B", none) + "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\nspec: {group: a.example.com, scope: Namespaced, names: {kind: B}}\n", "", 1},
		{"in default", object("v1", "Service", "default"), "", 1},
		{"in kube-system", object("v1", "Service", "kube-system"), "kube-system", 1},
		{"in another one than the rest", object("v1", "Service", "shop") + object("v1", "ConfigMap", "shop") + object("v1", "ServiceAccount", "spy"), "", 1},
		{"in another one than the overlay says", object("v1", "Service", "spy"), "shop", 1},
		{"half and half", object("v1", "Service", "a") + object("v1", "ConfigMap", "b"), "", 0},
	} {
		if got := found(t, "namespace", policy.Input{Head: objects(t, tt.text), Namespace: tt.home}); len(got) != tt.want {
			t.Errorf("%s: found %q", tt.name, got)
		}
	}
}

func TestDestructiveDelete(t *testing.T) {
	const claim = "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: shop%s}\n"
	rest := "---\n" + workload("Deployment", "image: shop")
	for _, tt := range []struct{ name, before, after, want string }{
		{"it stays", fmt.Sprintf(claim, ""), fmt.Sprintf(claim, ""), ""},
		{"it goes", fmt.Sprintf(claim, "") + rest, rest, "PersistentVolumeClaim shop/data "},
		{"all goes", fmt.Sprintf(claim, ""), "", "PersistentVolumeClaim shop/data "},
		{"it is new", rest, fmt.Sprintf(claim, "") + rest, ""},
		{"it is renamed", fmt.Sprintf(claim, ""), strings.Replace(fmt.Sprintf(claim, ""), "data", "date", 1), "PersistentVolumeClaim shop/data "},
		{"it says that it stays", fmt.Sprintf(claim, ", annotations: {helm.sh/resource-policy: keep}"), "", ""},
		{"it says so in Tagboat's own words", fmt.Sprintf(claim, ", annotations: {tagboat.dev/prune: keep}"), "", ""},
		{"a namespace", "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n", "", "Namespace shop "},
		{"a definition's version", "apiVersion: apiextensions.k8s.io/v1beta1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n", ""},
		{"a definition", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: a}\n", "", "CustomResourceDefinition a "},
		{"what keeps no data", rest, "", ""},
	} {
		if got := strings.Join(found(t, "destructive-delete", policy.Input{Base: objects(t, tt.before), Head: objects(t, tt.after)}), ","); got != tt.want {
			t.Errorf("%s: found %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDisruptionBudgetRemoved(t *testing.T) {
	web := strings.Replace(workload("Deployment", "image: shop"), "  template:\n", "  template:\n    metadata: {labels: {app: web}}\n", 1) + "---\n"
	budget := func(name, selector, spec string) string {
		return fmt.Sprintf("apiVersion: policy/v1\nkind: PodDisruptionBudget\nmetadata: {name: %s, namespace: shop}\nspec: {selector: %s, %s}\n", name, selector, spec)
	}
	const app = "{matchLabels: {app: web}}"
	for _, tt := range []struct {
		name, before, after string
		want                int
	}{
		{"it stays", web + budget("a", app, "minAvailable: 1"), web + budget("a", app, "minAvailable: 1"), 0},
		{"it goes", web + budget("a", app, "minAvailable: 1"), web, 1},
		{"another one covers it", web + budget("a", app, "minAvailable: 1"), web + budget("b", "{matchExpressions: [{key: app, operator: In, values: [web, x]}]}", "maxUnavailable: 1"), 0},
		{"its selector matches nothing any more", web + budget("a", app, "minAvailable: 1"), web + budget("a", "{matchLabels: {app: wob}}", "minAvailable: 1"), 1},
		{"it lets every pod go", web + budget("a", app, "minAvailable: 1"), web + budget("a", app, "maxUnavailable: 100%"), 1},
		{"both go", web + budget("a", app, "minAvailable: 1"), "", 0},
		{"there was none", web, web, 0},
	} {
		if got := found(t, "disruption-budget-removed", policy.Input{Base: objects(t, tt.before), Head: objects(t, tt.after)}); len(got) != tt.want {
			t.Errorf("%s: found %q", tt.name, got)
		}
	}
}

// TestTheDocumentationHasTheTable keeps what people read equal to what is done.
func TestTheDocumentationHasTheTable(t *testing.T) {
	page, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), policy.Table()) {
		t.Errorf("docs/configuration.md does not have this table:\n%s", policy.Table())
	}
}
