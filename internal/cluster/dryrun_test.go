package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

func (s *site) try(before []cluster.Object, yaml ...string) cluster.Trial {
	s.t.Helper()
	trial, err := s.cluster.DryRun(s.t.Context(), s.run(yaml...), before)
	if err != nil {
		s.t.Fatal(err)
	}
	return trial
}

// came is what a trial came to: "ConfigMap/settings created".
func came(trial cluster.Trial) (lines []string) {
	for _, t := range trial.Tried {
		kind, name, _ := strings.Cut(t.Object, " ")
		lines = append(lines, kind+" "+name[strings.Index(name, "/")+1:]+" "+string(t.Outcome))
	}
	return lines
}

// refused is the only object that a trial refuses.
func refused(t *testing.T, trial cluster.Trial, words ...string) cluster.Tried {
	t.Helper()
	if trial.Count(cluster.Refused) != 1 {
		t.Fatalf("want one object refused: %+v", trial)
	}
	for _, tried := range trial.Tried {
		if tried.Outcome != cluster.Refused {
			continue
		}
		for _, word := range words {
			if !strings.Contains(tried.Why+" (by "+tried.Who+")", word) {
				t.Errorf("the refusal does not say %q: %+v", word, tried)
			}
		}
		return tried
	}
	return cluster.Tried{}
}

func TestADryRunTellsWhatAnApplyDoesAndDoesNothing(t *testing.T) {
	s := newSite(t)
	gone := configMap("gone", "a", "b")
	s.mustApply(deployment("web", payments+":1.6.0"), configMap("settings", "mode", "fast"), gone)
	before, settings := s.get(deployments, "web"), s.get(configMaps, "settings")

	next := []string{deployment("web", payments+":1.7.0"), configMap("settings", "mode", "fast"), configMap("new", "a", "b")}
	never := configMap("never-applied", "a", "b")
	trial := s.try(decode(t, append(next, gone, never)...), next...)
	if diff := cmp.Diff([]string{"Deployment web configured", "ConfigMap settings unchanged", "ConfigMap new created"}, came(trial)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"ConfigMap " + s.namespace + "/gone"}, trial.Left); diff != "" {
		t.Errorf("left behind (-want +got):\n%s", diff)
	}
	if s.get(configMaps, "new") != nil || s.get(configMaps, "gone") == nil {
		t.Error("the dry run created or deleted an object")
	}
	if after := s.get(deployments, "web"); after.GetGeneration() != before.GetGeneration() || s.get(configMaps, "settings").GetResourceVersion() != settings.GetResourceVersion() {
		t.Error("the dry run wrote")
	}
	result := s.mustApply(next...)
	for _, o := range []cluster.Outcome{cluster.Created, cluster.Configured, cluster.Unchanged} {
		if result.Count(o) != trial.Count(o) {
			t.Errorf("%d objects are %s, and the dry run said %d", result.Count(o), o, trial.Count(o))
		}
	}
}

func TestADryRunOfWhatStaysAsItIs(t *testing.T) {
	s := newSite(t)
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {clusterIP: %s, selector: {app: web}, ports: [{port: 80}]}\n"
	s.mustApply(deployment("web", payments+":1.6.0"), fmt.Sprintf(service, "None"))

	other := strings.ReplaceAll(deployment("web", payments+":1.7.0"), "app: web", "app: other")
	why := refused(t, s.try(nil, other, configMap("settings", "a", "b")), "spec.selector: field is immutable", "annotate the object with tagboat.dev/recreate", "an administrator of cluster test").Why
	if strings.Contains(why, "matchLabels") {
		t.Errorf("the refused value is quoted: %s", why)
	}
	refused(t, s.try(nil, fmt.Sprintf(service, "10.0.0.77")), "spec.clusterIPs", "may not change once set", "change it back in Git")
}

func TestADryRunTriesEveryObject(t *testing.T) {
	s := newSite(t)
	broken := strings.Replace(deployment("web", payments+":1.7.0"), "matchLabels: {app: web}", "matchLabels: {app: other}", 1)
	misspelt := strings.Replace(deployment("api", payments+":1.7.0"), "replicas:", "replica:", 1)
	ghost := "apiVersion: nobody.example.com/v1\nkind: Ghost\nmetadata: {name: boo}\n"
	nowhere := strings.Replace(configMap("lost", "a", "b"), "{name: lost}", "{name: lost, namespace: no-such-place}", 1)
	twice := strings.Replace(configMap("settings", "a", "b"), "{name: settings}", "{name: settings, namespace: "+s.namespace+"}", 1)
	trial := s.try(nil, broken, misspelt, ghost, nowhere, configMap("settings", "a", "b"), twice)
	want := []string{"Deployment web refused", "Deployment api refused", "Ghost boo unclear", "ConfigMap lost refused", "ConfigMap settings created", "ConfigMap settings refused"}
	if diff := cmp.Diff(want, came(trial)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, word := range []string{"selector", "replica", "Install what defines it first", "namespace no-such-place", "", "twice"} {
		if tried := trial.Tried[i]; !strings.Contains(tried.Why, word) || (tried.Who == "") != (word == "") {
			t.Errorf("it does not say %q, or who can mend it: %+v", word, tried)
		}
	}
}

// A policy of the cluster refuses; so does a quota that is used up.
func TestADryRunAsksWhatTheClusterAdmits(t *testing.T) {
	s := newSite(t)
	policy := fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: few-replicas-%[1]s}
spec:
  matchConstraints:
    namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %[1]s}}
    resourceRules: [{apiGroups: [apps], apiVersions: [v1], operations: [CREATE, UPDATE], resources: [deployments]}]
  validations:
  - {expression: object.spec.replicas <= 1, messageExpression: "'at most one replica, and not ' + object.spec.template.spec.containers[0].env[0].value"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: few-replicas-%[1]s}
spec: {policyName: few-replicas-%[1]s, validationActions: [Deny]}
`, s.namespace)
	s.mustApply(policy)
	web := strings.Replace(deployment("web", payments+":1.7.0"), fmt.Sprintf("image: %q}", payments+":1.7.0"),
		fmt.Sprintf("image: %q, env: [{name: DB_PASSWORD, value: hunter2hunter2}]}", payments+":1.7.0"), 1)
	eventually(t, "the policy to be in force", func(context.Context) bool { return s.try(nil, web).Count(cluster.Refused) > 0 })
	tried := refused(t, s.try(nil, web), "few-replicas-"+s.namespace, "at most one replica", "whoever maintains the overlay, or an administrator of cluster test")
	if strings.Contains(tried.Why, "hunter2") {
		t.Errorf("it quotes a password: %s", tried.Why)
	}

	s.mustApply("apiVersion: v1\nkind: ResourceQuota\nmetadata: {name: few}\nspec: {hard: {services: \"0\"}}\n")
	s.countedBy("few", "services", "0")
	service := "apiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {ports: [{port: 80}]}\n"
	eventually(t, "the API server to know the quota's count", func(context.Context) bool {
		return strings.Contains(fmt.Sprint(s.try(nil, service)), "exceeded quota")
	})
	refused(t, s.try(nil, service), "exceeded quota", "or an administrator")
}

func TestADryRunTellsNothingOfASecretsValues(t *testing.T) {
	s := newSite(t)
	secret := "apiVersion: v1\nkind: Secret\nmetadata: {name: key}\ntype: %s\nstringData: {%s: hunter2hunter2}\n"
	pin := "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: door}\ndata: {PIN: 31415926}\n"
	if why := refused(t, s.try(nil, pin), ".data.PIN: expected string, got something else").Why; strings.Contains(why, "31415926") {
		t.Errorf("it quotes the value: %s", why)
	}
	for kind, field := range map[string]string{"kubernetes.io/tls": "tls.crt", "kubernetes.io/dockerconfigjson": ".dockerconfigjson"} {
		tried := refused(t, s.try(nil, fmt.Sprintf(secret, kind, field)), "invalid", "fields data[")
		if strings.Contains(tried.Why, "hunter2") || strings.Contains(tried.Why, "character") {
			t.Errorf("it tells of the value: %s", tried.Why)
		}
	}
}

// What comes with the same change cannot be there for a dry run.
func TestADryRunOfWhatCannotBeTriedYet(t *testing.T) {
	s := newSite(t)
	group := s.namespace + ".example.com"
	crd := fmt.Sprintf(`
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: boats.%[1]s}
spec:
  group: %[1]s
  scope: Namespaced
  names: {plural: boats, singular: boat, kind: Boat}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
`, group)
	namespace := fmt.Sprintf("apiVersion: v1\nkind: Namespace\nmetadata: {name: made-%s}\n", s.namespace)
	inNew := fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: in-new, namespace: made-%s}\n", s.namespace)
	boat := fmt.Sprintf("apiVersion: %s/v1\nkind: Boat\nmetadata: {name: dinghy}\n", group)
	trial := s.try(nil, boat, inNew, namespace, crd)
	want := []string{"Boat dinghy untried", "ConfigMap in-new untried", "Namespace made-" + s.namespace + " created", "CustomResourceDefinition boats." + group + " created"}
	if diff := cmp.Diff(want, came(trial)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for i, word := range []string{"defined by CustomResourceDefinition boats." + group, "namespaces made-" + s.namespace} {
		if !strings.Contains(trial.Tried[i].Why, word) {
			t.Errorf("it does not say %q: %+v", word, trial.Tried[i])
		}
	}
}

func TestADryRunOfAnObjectThatIsBeingDeleted(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("settings", "a", "b"))
	s.patchAs("somebody", configMaps, "settings", `{"metadata":{"finalizers":["example.com/slow"]}}`)
	if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if trial := s.try(nil, configMap("settings", "a", "b")); trial.Count(cluster.Unclear) != 1 || !strings.Contains(trial.Tried[0].Why, "being deleted") {
		t.Errorf("got %+v", trial)
	}
}

func TestADryRunNeedsTheSamePermissions(t *testing.T) {
	s := newSite(t)
	raw, err := clientcmd.LoadFromFile(s.kube)
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range raw.AuthInfos {
		user.Impersonate = "tagboat-without-rights"
	}
	data, err := clientcmd.Write(*raw)
	if err != nil {
		t.Fatal(err)
	}
	c, err := cluster.Open(cluster.Config{Name: "test", KubeconfigData: data})
	if err != nil {
		t.Fatal(err)
	}
	trial, err := c.DryRun(t.Context(), s.run(deployment("web", payments+":1.7.0")), nil)
	if err != nil {
		t.Fatal(err)
	}
	if who := refused(t, trial, "tagboat-without-rights", "get deployments.apps").Who; who != "an administrator of cluster test" {
		t.Errorf("%s can mend it", who)
	}
}

func TestADryRunOfAnUnreachableCluster(t *testing.T) {
	const url = "https://127.0.0.1:1" // where nobody ever listens
	run := cluster.Run{Target: cluster.Target{Key: "k", Namespace: "n"}, Objects: decode(t, configMap("a", "k", "v"))}
	trial, err := open(t, url).DryRun(t.Context(), run, nil)
	expect(t, err, fault.Transient, "prod-eu", "cannot be reached")
	if len(trial.Tried) != 0 {
		t.Errorf("it came to %+v", trial)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := open(t, url).DryRun(stopped, run, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestADryRunWithoutCredentials(t *testing.T) {
	s := newSite(t)
	trial, err := open(t, s.config.Host, func(c *cluster.Config) {
		c.KubeconfigData = []byte(strings.Replace(string(c.KubeconfigData), "cluster: {", "cluster: {insecure-skip-tls-verify: true, ", 1))
	}).DryRun(t.Context(), s.run(configMap("a", "k", "v")), nil)
	expect(t, err, fault.Denied, "does not accept Tagboat's credentials")
	if !apierrors.IsUnauthorized(err) || len(trial.Tried) != 0 {
		t.Errorf("it came to %+v: %v", trial, err)
	}
}
