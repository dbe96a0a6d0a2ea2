package deploy_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"

	"github.com/tagboat/tagboat/app"
)

// A sync worker takes no webhooks: nothing leads to it, and it holds no secret of whoever
// sends them. With what is left it starts.
func TestASyncWorkerHasOnlyWhatItNeeds(t *testing.T) {
	objects := rendered(t, worker)
	d, c := server(t, objects)
	if !slices.Equal(c.Args, []string{"sync"}) {
		t.Errorf("it starts with %q", c.Args)
	}
	if found := every[corev1.Service](t, objects, "Service"); len(found) > 0 {
		t.Errorf("service %s leads to it", found[0].Name)
	}
	var asked []string
	env := settings(t, objects, func(ref corev1.SecretKeySelector) string {
		asked = append(asked, ref.Key)
		return "postgres://tagboat@db/tagboat"
	})
	for name := range env {
		if strings.Contains(name, "WEBHOOK") {
			t.Errorf("it has %s", name)
		}
	}
	files := secretFiles(t, d, c, []string{"github-private-key", "registry-logins"})
	if !slices.Equal(asked, []string{"database-url"}) {
		t.Errorf("of the Secret it has %q in its environment", asked)
	}
	config := parse(t, env)
	config.Syncs = true
	var err error
	config.Secrets, err = app.ReadSecrets(func(name string) string {
		if value := env[name]; strings.HasSuffix(name, "_FILE") && value != "" {
			return files(value)
		}
		return env[name]
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Check(); err != nil {
		t.Error(err)
	}
	if !maps.Equal(config.Clusters, map[string]string{"prod-eu": "in-cluster"}) {
		t.Errorf("it brings %v", config.Clusters)
	}
}

// What is bound in every namespace is bound on purpose, and to the same account and role.
func TestTheBindingInEveryNamespaceIsTheSameOne(t *testing.T) {
	objects := rendered(t, example)
	bound := only[rbacv1.RoleBinding](t, objects, "RoleBinding")
	wide := only[rbacv1.ClusterRoleBinding](t, decode(t, string(read(t, "components/every-namespace/clusterrolebinding.yaml"))), "ClusterRoleBinding")
	if wide.RoleRef != bound.RoleRef || !slices.Equal(wide.Subjects, bound.Subjects) {
		t.Errorf("%+v for %+v, but in one namespace %+v for %+v", wide.RoleRef, wide.Subjects, bound.RoleRef, bound.Subjects)
	}
}
