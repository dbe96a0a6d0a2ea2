package deploy_test

import (
	"log/slog"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/web"
)

// both runs a test on the base and on the overlay.
func both(t *testing.T, test func(t *testing.T, objects []cluster.Object)) {
	t.Helper()
	for _, dir := range []string{base, example} {
		t.Run(dir, func(t *testing.T) { test(t, rendered(t, dir)) })
	}
}

// server is the Deployment and its one container.
func server(t *testing.T, objects []cluster.Object) (appsv1.Deployment, corev1.Container) {
	t.Helper()
	d := only[appsv1.Deployment](t, objects, "Deployment")
	pod := d.Spec.Template.Spec
	if len(pod.Containers) != 1 || len(pod.InitContainers) != 0 {
		t.Fatalf("the pod has %d containers and %d init containers, want one", len(pod.Containers), len(pod.InitContainers))
	}
	return d, pod.Containers[0]
}

func TestThePodCanDoNothingItNeedNot(t *testing.T) {
	both(t, func(t *testing.T, objects []cluster.Object) {
		d, c := server(t, objects)
		pod := d.Spec.Template.Spec
		for what, ok := range map[string]bool{
			"runs as a user that is not root": is(pod.SecurityContext.RunAsNonRoot, true) && *pod.SecurityContext.RunAsUser != 0 && *pod.SecurityContext.RunAsGroup != 0,
			"has the runtime's seccomp profile": pod.SecurityContext.SeccompProfile != nil &&
				pod.SecurityContext.SeccompProfile.Type == corev1.SeccompProfileTypeRuntimeDefault,
			"shares nothing with the node":     !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
			"cannot gain privileges":           is(c.SecurityContext.AllowPrivilegeEscalation, false) && !is(c.SecurityContext.Privileged, true),
			"does not override the pod's user": c.SecurityContext.RunAsUser == nil && c.SecurityContext.RunAsNonRoot == nil,
			"cannot write its image":           is(c.SecurityContext.ReadOnlyRootFilesystem, true),
			"has no capabilities":              slices.Equal(c.SecurityContext.Capabilities.Drop, []corev1.Capability{"ALL"}) && len(c.SecurityContext.Capabilities.Add) == 0,
			"starts the server":                slices.Equal(c.Args, []string{"serve"}) && len(c.Command) == 0,
		} {
			if !ok {
				t.Errorf("it should be true that the pod %s", what)
			}
		}
		for _, resource := range []corev1.ResourceName{corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage} {
			limit, request := c.Resources.Limits[resource], c.Resources.Requests[resource]
			if limit.IsZero() || request.IsZero() || request.Cmp(limit) > 0 {
				t.Errorf("%s: request %s, limit %s", resource, request.String(), limit.String())
			}
		}
		for _, v := range pod.Volumes {
			if v.EmptyDir == nil && v.Secret == nil {
				t.Errorf("volume %s is neither a scratch directory nor a secret", v.Name)
			}
			if v.EmptyDir != nil && v.EmptyDir.SizeLimit == nil {
				t.Errorf("volume %s may fill the node's disk", v.Name)
			}
			if v.Secret != nil && *v.Secret.DefaultMode != 0o440 {
				t.Errorf("the files of volume %s have mode %o", v.Name, *v.Secret.DefaultMode)
			}
		}
	})
}

func is(b *bool, want bool) bool { return b != nil && *b == want }

func TestAReplicaCanGoAwayAtAnyTime(t *testing.T) {
	served := pages(t)
	both(t, func(t *testing.T, objects []cluster.Object) {
		d, c := server(t, objects)
		if *d.Spec.Replicas < 2 {
			t.Errorf("%d replicas", *d.Spec.Replicas)
		}
		for what, p := range map[string]*corev1.Probe{"/healthz": c.LivenessProbe, "/readyz": c.ReadinessProbe} {
			if p == nil || p.HTTPGet == nil || p.HTTPGet.Path != what || p.HTTPGet.Port.StrVal != "http" {
				t.Errorf("the probe of %s is %+v", what, p)
			}
			if !slices.Contains(served, what) {
				t.Errorf("Tagboat does not serve %s", what)
			}
		}
		pods := labels.Set(d.Spec.Template.Labels)
		disruption := only[policyv1.PodDisruptionBudget](t, objects, "PodDisruptionBudget")
		if !selects(t, disruption.Spec.Selector, pods) {
			t.Error("the disruption budget is for other pods")
		}
		for _, spread := range d.Spec.Template.Spec.TopologySpreadConstraints {
			if !selects(t, spread.LabelSelector, pods) {
				t.Errorf("the spread over %s is about other pods", spread.TopologyKey)
			}
		}
		if len(d.Spec.Template.Spec.TopologySpreadConstraints) == 0 {
			t.Error("all replicas may be on one node")
		}
	})
}

// pages are the paths that a server answers, other than webhooks.
func pages(t *testing.T) (paths []string) {
	t.Helper()
	w, err := web.New(web.Config{Metrics: prometheus.NewRegistry(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	w.Register(e)
	for _, route := range e.Routes() {
		paths = append(paths, route.Path)
	}
	return paths
}

// selects demands more than a match: an empty selector matches everything.
func selects(t *testing.T, s *metav1.LabelSelector, set labels.Set) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return !selector.Empty() && selector.Matches(set)
}

func TestOnlyTheOnePortIsOpen(t *testing.T) {
	both(t, func(t *testing.T, objects []cluster.Object) {
		d, c := server(t, objects)
		pods := labels.Set(d.Spec.Template.Labels)
		if len(c.Ports) != 1 || c.Ports[0].Name != "http" {
			t.Fatalf("ports %+v", c.Ports)
		}
		service := only[corev1.Service](t, objects, "Service")
		if !selects(t, metav1.SetAsLabelSelector(service.Spec.Selector), pods) || len(service.Spec.Ports) != 1 || service.Spec.Ports[0].TargetPort.StrVal != "http" {
			t.Errorf("the service leads elsewhere: %+v", service.Spec)
		}
		policy := only[networkingv1.NetworkPolicy](t, objects, "NetworkPolicy").Spec
		if !selects(t, &policy.PodSelector, pods) || !slices.Equal(policy.PolicyTypes, []networkingv1.PolicyType{"Ingress", "Egress"}) {
			t.Errorf("the policy is about something else: %+v", policy)
		}
		if len(policy.Ingress) != 1 || len(policy.Ingress[0].Ports) != 1 || policy.Ingress[0].Ports[0].Port.StrVal != "http" {
			t.Errorf("what may come in is %+v", policy.Ingress)
		}
		var out []int
		for _, rule := range policy.Egress {
			if len(rule.Ports) == 0 {
				t.Error("an egress rule without ports opens all")
			}
			for _, p := range rule.Ports {
				out = append(out, p.Port.IntValue())
			}
		}
		slices.Sort(out)
		if want := []int{53, 443, 5000, 5432, 6443}; !slices.Equal(slices.Compact(out), want) {
			t.Errorf("what may go out is %v, want %v", out, want)
		}
	})
}

// settings is the container's environment, with whatever stands in for the
// values that come from a Secret.
func settings(t *testing.T, objects []cluster.Object, fromSecret func(corev1.SecretKeySelector) string) map[string]string {
	t.Helper()
	_, c := server(t, objects)
	env := map[string]string{}
	for _, source := range c.EnvFrom {
		if source.ConfigMapRef == nil {
			t.Fatalf("%+v: only a ConfigMap is for the whole environment", source)
		}
		found := false
		for _, m := range every[corev1.ConfigMap](t, objects, "ConfigMap") {
			if m.Name == source.ConfigMapRef.Name {
				maps.Copy(env, m.Data)
				found = true
			}
		}
		if !found {
			t.Fatalf("there is no ConfigMap %s", source.ConfigMapRef.Name)
		}
	}
	for _, e := range c.Env {
		switch {
		case e.ValueFrom == nil:
			env[e.Name] = e.Value
		case e.ValueFrom.SecretKeyRef != nil:
			env[e.Name] = fromSecret(*e.ValueFrom.SecretKeyRef)
		default:
			t.Fatalf("%s comes from %+v", e.Name, e.ValueFrom)
		}
	}
	return env
}

// secretNames are the variables that app.ReadSecrets asks for.
func secretNames(t *testing.T) (names []string) {
	t.Helper()
	if _, err := app.ReadSecrets(func(name string) string { names = append(names, name); return "" }); err != nil {
		t.Fatal(err)
	}
	return names
}

// parse reads settings as the command line does, from the environment only.
func parse(t *testing.T, env map[string]string) app.Config {
	t.Helper()
	for _, line := range os.Environ() {
		if name, value, _ := strings.Cut(line, "="); strings.HasPrefix(name, "TAGBOAT_") {
			t.Setenv(name, value) // so that it comes back
			if err := os.Unsetenv(name); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, value := range env {
		t.Setenv(name, value)
	}
	var config app.Config
	parser, err := kong.New(&config, kong.Vars{"data_dir": t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	return config
}

func TestEverySettingIsOneThatTagboatKnows(t *testing.T) {
	known := secretNames(t)
	var config app.Config
	parser, err := kong.New(&config, kong.Vars{"data_dir": "."})
	if err != nil {
		t.Fatal(err)
	}
	for _, flag := range parser.Model.Flags {
		known = append(known, flag.Envs...)
	}
	if !slices.Contains(known, "TAGBOAT_DATABASE_URL") || !slices.Contains(known, "TAGBOAT_GITHUB_PRIVATE_KEY_FILE") {
		t.Fatalf("this test does not see the settings: %v", known)
	}
	both(t, func(t *testing.T, objects []cluster.Object) {
		for name := range settings(t, objects, func(corev1.SecretKeySelector) string { return "" }) {
			if !slices.Contains(known, name) {
				t.Errorf("%s is set, and Tagboat has no such setting", name)
			}
		}
	})
}

func TestNoSecretIsInTheManifests(t *testing.T) {
	secret := append(secretNames(t), "TAGBOAT_DATABASE_URL") // its URL holds the password
	both(t, func(t *testing.T, objects []cluster.Object) {
		for _, o := range objects {
			if o.GetKind() == "Secret" {
				t.Errorf("Secret %s is made by hand, and not kept in Git", o.GetName())
			}
		}
		const fromSecret = "\x00 from a Secret"
		for name, value := range settings(t, objects, func(corev1.SecretKeySelector) string { return fromSecret }) {
			if slices.Contains(secret, name) && !strings.HasSuffix(name, "_FILE") && value != fromSecret {
				t.Errorf("%s has a value", name)
			}
		}
	})
}

// The overlay has everything that a server needs: with a Secret as the comment
// in deployment.yaml makes it, a server finds nothing missing.
func TestAServerStartsWithTheOverlaysSettings(t *testing.T) {
	objects := rendered(t, example)
	d, c := server(t, objects)
	keys := documentedKeys(t)
	env := settings(t, objects, func(ref corev1.SecretKeySelector) string {
		if ref.Name != "tagboat-secrets" || !slices.Contains(keys, ref.Key) {
			t.Errorf("nobody makes the key %s of the Secret %s", ref.Key, ref.Name)
		}
		return "postgres://tagboat@db/tagboat"
	})
	files := secretFiles(t, d, c, keys)
	config := parse(t, env)
	var err error
	config.Secrets, err = app.ReadSecrets(func(name string) string {
		value := env[name]
		if strings.HasSuffix(name, "_FILE") && value != "" {
			return files(value)
		}
		return value
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := config.Check(); err != nil {
		t.Error(err)
	}
	if config.Clusters["prod"] != "in-cluster" || !slices.Equal(config.EnvRepos, []string{"acme/env"}) || config.Listen != ":8080" {
		t.Errorf("%+v", config)
	}
	writable := func(m corev1.VolumeMount) bool { return m.MountPath == config.DataDir && !m.ReadOnly }
	if !slices.ContainsFunc(c.VolumeMounts, writable) {
		t.Errorf("nothing can be written to %s", config.DataDir)
	}
}

// documentedKeys are those that the comment in deployment.yaml tells people to
// put into the Secret.
func documentedKeys(t *testing.T) (keys []string) {
	t.Helper()
	for line := range strings.Lines(string(read(t, "base/deployment.yaml"))) {
		if _, key, ok := strings.Cut(line, "--from-file="); ok && strings.HasPrefix(line, "#") {
			keys = append(keys, strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(key), "\\")))
		}
	}
	return keys
}

// secretFiles mounts the pod's secrets: it translates a path in the container to
// one that the test can read.
func secretFiles(t *testing.T, d appsv1.Deployment, c corev1.Container, keys []string) func(string) string {
	t.Helper()
	dir := t.TempDir()
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret == nil {
			continue
		}
		at := slices.IndexFunc(c.VolumeMounts, func(m corev1.VolumeMount) bool { return m.Name == v.Name })
		if at < 0 || !c.VolumeMounts[at].ReadOnly {
			t.Fatalf("volume %s is not mounted read-only", v.Name)
		}
		for _, item := range v.Secret.Items {
			if v.Secret.SecretName != "tagboat-secrets" || !slices.Contains(keys, item.Key) {
				t.Errorf("nobody makes the key %s of the Secret %s", item.Key, v.Secret.SecretName)
			}
			file := filepath.Join(dir, filepath.FromSlash(path.Join(c.VolumeMounts[at].MountPath, item.Path)))
			content := "something"
			if item.Key == "registry-logins" {
				content = "registry.example.com=user:password\n"
			}
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return func(inContainer string) string { return filepath.Join(dir, filepath.FromSlash(inContainer)) }
}

func TestTheOverlayPinsTheImage(t *testing.T) {
	_, c := server(t, rendered(t, example))
	ref, err := image.Parse(c.Image)
	if err != nil || ref.Tag == "" || !image.ValidDigest(ref.Digest) {
		t.Errorf("the image is %s (%v), want a tag for people and a digest for machines", c.Image, err)
	}
}

func TestTheOverlayHasItsNamespaceEverywhere(t *testing.T) {
	clusterWide := []string{"Namespace", "ClusterRole"}
	for _, o := range rendered(t, example) {
		want := "tagboat"
		switch {
		case slices.Contains(clusterWide, o.GetKind()):
			want = ""
		case o.GetKind() == "RoleBinding":
			want = "payments-prod" // where Tagboat may deploy to
		}
		if o.GetNamespace() != want {
			t.Errorf("%s %s is in namespace %q, want %q", o.GetKind(), o.GetName(), o.GetNamespace(), want)
		}
	}
}
