package envrepo_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// threeStages is what most stories below end with.
const threeStages = `
environments:
- {name: dev, clusters: [dev]}
- {name: pre-prod, clusters: [pre]}
- {name: prod, clusters: [eu, us]}
`

func pinned(image string) string {
	return "images: [{name: " + image + ", newTag: 1.0.0}]\n"
}

func values(image string) string {
	return "replicas: 2\nimage: {repository: " + image + ", tag: 1.0.0}\n"
}

func TestAPatternFindsEveryUsualLayout(t *testing.T) {
	tests := []struct {
		story, apps string
		files       map[string]string
		want        string // as found writes them
	}{
		{"base and overlays", "- discover: apps/{app}/overlays/{env}", map[string]string{
			"apps/payments/base/kustomization.yaml":         pinned("payments"),
			"apps/payments/overlays/dev/kustomization.yaml": pinned("payments"),
			"apps/payments/overlays/lab/kustomization.yaml": pinned("payments"), // no such environment
		}, "payments dev apps/payments/overlays/dev/kustomization.yaml payments\n"},
		{"components", "- discover: components/{app}/{env}/base", map[string]string{
			"components/payments/prod/base/kustomization.yaml": pinned("payments"),
			"components/payments/prod/eu/kustomization.yaml":   pinned("payments"),
		}, "payments prod components/payments/prod/base/kustomization.yaml payments\n"},
		{"a cluster is an environment", "- discover: clusters/{env}/apps/{app}", map[string]string{
			"clusters/prod/apps/payments/kustomization.yaml": pinned("payments"),
		}, "payments prod clusters/prod/apps/payments/kustomization.yaml payments\n"},
		{"cluster, environment, app", "- discover: clusters/{cluster}/{env}/{app}", map[string]string{
			"clusters/pre/pre-prod/payments/kustomization.yaml": pinned("payments"),
			"clusters/eu/pre-prod/payments/kustomization.yaml":  pinned("payments"), // not a cluster of pre-prod
		}, "payments pre-prod clusters/pre/pre-prod/payments/kustomization.yaml payments\n"},
		{"app and environment in one name", "- discover: deploy/{app}-{env}", map[string]string{
			"deploy/payments-api-pre-prod/kustomization.yaml": pinned("payments"),
			"deploy/payments-api-prod/kustomization.yaml":     pinned("payments"),
		}, "payments-api pre-prod deploy/payments-api-pre-prod/kustomization.yaml payments\npayments-api prod deploy/payments-api-prod/kustomization.yaml payments\n"},
		{"environment before app in one name", "- discover: deploy/{env}-{app}", map[string]string{
			"deploy/pre-prod-payments/kustomization.yaml": pinned("payments"),
		}, "payments pre-prod deploy/pre-prod-payments/kustomization.yaml payments\n"},
		{"values beside a chart", "- discover: helm/{app}/values-{env}.yaml\n  helm: {chart: 'helm/{app}', values: ['helm/{app}/values-{env}.yaml']}", map[string]string{
			"helm/payments/Chart.yaml":       "name: payments\n",
			"helm/payments/values.yaml":      values("r/none"),
			"helm/payments/values-dev.yaml":  values("r/payments"),
			"helm/payments/values-prod.yaml": "image: {registry: registry.example.com, repository: acme/payments, tag: 1.0.0}\n",
		}, "payments dev helm/payments/values-dev.yaml r/payments (helm/payments with helm/payments/values-dev.yaml)\n" +
			"payments prod helm/payments/values-prod.yaml registry.example.com/acme/payments (helm/payments with helm/payments/values-prod.yaml)\n"},
		{"values by environment", "- discover: envs/{env}/{app}/values.yaml", map[string]string{
			"envs/prod/payments/values.yaml": values("r/payments"),
		}, "payments prod envs/prod/payments/values.yaml r/payments\n"},
		{"manifests by environment", "- discover: k8s/{env}/{app}.yaml", map[string]string{
			"k8s/prod/payments.yaml": "kind: Pod\nspec: {containers: [{image: 'r/payments:1.0.0'}]}\n---\nkind: Pod\nspec: {containers: [{image: 'r/payments:1.0.0@sha256:" + strings.Repeat("0", 64) + "'}]}\n",
			"k8s/prod/service.yaml":  "kind: Service\n",
		}, "payments prod k8s/prod/payments.yaml r/payments\n"},
		{"a file beside the kustomization", "- discover: apps/{app}/{env}\n  file: apps/{app}/{env}/deployment.yaml", map[string]string{
			"apps/payments/prod/kustomization.yaml": "resources: [deployment.yaml]\n",
			"apps/payments/prod/deployment.yaml":    "kind: Pod\nspec: {containers: [{image: 'r/payments:1.0.0'}]}\n",
			"apps/payments/dev/kustomization.yaml":  "resources: [pod.yaml]\n",
		}, "payments prod apps/payments/prod/deployment.yaml r/payments\n"},
		{"one image of several, by the app's name", "- discover: apps/{app}/{env}\n  images: ['r/{app}']", map[string]string{
			"apps/payments/prod/kustomization.yaml": "images: [{name: proxy}, {name: r/payments}]\n",
			"apps/proxy/prod/kustomization.yaml":    "images: [{name: proxy}]\n",
		}, "payments prod apps/payments/prod/kustomization.yaml r/payments\n"},
		{"two named apps in one file", "- {name: a, file: 'all/{env}.yaml', images: [r/a]}\n- {name: b, file: 'all/{env}.yaml', images: [r/b]}", map[string]string{
			"all/prod.yaml": "a: {image: 'r/a:1'}\nb: {image: 'r/b:1'}\n",
		}, "a prod all/prod.yaml r/a\nb prod all/prod.yaml r/b\n"},
		{"a named app with a chart from a registry", "- name: payments\n  path: payments/{env}\n  helm: {chart: 'oci://registry.example.com/charts/web@sha256:" + strings.Repeat("0", 64) + "', values: [common.yaml, 'payments/{env}/values.yaml']}", map[string]string{
			"common.yaml":               "a: 1\n",
			"payments/prod/values.yaml": values("r/payments"),
		}, "payments prod payments/prod/values.yaml r/payments (oci://registry.example.com/charts/web@sha256:" + strings.Repeat("0", 64) + " with common.yaml, payments/prod/values.yaml)\n"},
		{"Argo CD's images", "- discover: argo/{env}/{app}.yaml", map[string]string{
			"argo/prod/payments.yaml": "kind: Application\nspec: {source: {kustomize: {images: ['payments=r/payments:1.0.0']}}}\n",
		}, "payments prod argo/prod/payments.yaml r/payments\n"},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			tt.files["tagboat.yaml"] = "apiVersion: tagboat.dev/v1\napps:\n" + tt.apps + threeStages
			_, pairs, err := envrepo.Load(repo(tt.files))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, found(pairs)); diff != "" {
				t.Errorf("pairs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWhatAPairLacksIsToldWithFileAndLine(t *testing.T) {
	tests := []struct {
		story, apps string
		files       map[string]string
		want        string
	}{
		{"an overlay for one cluster only", "- discover: '{cluster}/{env}/{app}'\n  file: versions/{app}-{env}.yaml", map[string]string{
			"eu/prod/payments/kustomization.yaml": "resources: []\n",
			"versions/payments-prod.yaml":         values("r/payments"),
		}, "versions/payments-prod.yaml:1: payments in prod has no overlay for cluster us; add one, or take the cluster out of the environment in tagboat.yaml"},
		{"a version for each cluster", "- discover: '{cluster}/{env}/{app}'", map[string]string{
			"eu/prod/payments/kustomization.yaml": pinned("payments"),
			"us/prod/payments/kustomization.yaml": pinned("payments"),
		}, "eu/prod/payments/kustomization.yaml:1: payments in prod has a version for each cluster, here and in us/prod/payments/kustomization.yaml; let one file carry it (file:), or make each cluster an environment of its own in tagboat.yaml"},
		{"no chart", "- discover: '{app}/values-{env}.yaml'\n  helm: {chart: 'charts/{app}', values: ['{app}/values-{env}.yaml']}", map[string]string{
			"payments/values-prod.yaml": values("r/payments"),
		}, "tagboat.yaml:3: payments in prod is rendered with charts/payments/Chart.yaml, which is missing; add it, or correct helm:"},
		{"no common values", "- discover: '{app}/values-{env}.yaml'\n  helm: {chart: c, values: [common.yaml, '{app}/values-{env}.yaml']}", map[string]string{
			"c/Chart.yaml":              "name: c\n",
			"payments/values-prod.yaml": values("r/payments"),
		}, "tagboat.yaml:3: payments in prod is rendered with common.yaml, which is missing; add it, or correct helm:"},
		{"an app that Helm cannot call so", "- discover: '{app}/values-{env}.yaml'\n  helm: {chart: c, values: ['{app}/values-{env}.yaml']}", map[string]string{
			"c/Chart.yaml":            "name: c\n",
			"pay_ts/values-prod.yaml": values("r/payments"),
		}, `tagboat.yaml:3: pay_ts in prod: "pay_ts" is not a name of a Helm release; write 1 to 53 of a-z, 0-9, '-' and '.', starting and ending with a letter or digit; set helm.release`},
		{"a template", "- discover: '{app}/{env}.yaml'", map[string]string{
			"payments/prod.yaml": "image:\n  tag: {{ .Tag }}:x\n {{ if }}",
		}, "payments/prod.yaml:2: this is a template ({{ }}), which only its renderer can read; let a file without {{ }} carry the version"},
	}
	for _, tt := range tests {
		t.Run(tt.story, func(t *testing.T) {
			tt.files["tagboat.yaml"] = "apiVersion: tagboat.dev/v1\napps:\n" + tt.apps + threeStages
			_, pairs, err := envrepo.Load(repo(tt.files))
			if err != nil || len(pairs) == 0 {
				t.Fatalf("%v, %v", pairs, err)
			}
			if pairs[0].Err == nil || pairs[0].Err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", pairs[0].Err, tt.want)
			}
		})
	}
}

func TestEachClusterRendersItsOwnOverlayOfOneVersion(t *testing.T) {
	config, pairs, err := envrepo.Load(repo(map[string]string{
		"tagboat.yaml":                        "apiVersion: tagboat.dev/v1\napps:\n- discover: '{cluster}/{env}/{app}'\n  file: versions/{app}-{env}.yaml" + threeStages,
		"eu/prod/payments/kustomization.yaml": "resources: []\n",
		"us/prod/payments/kustomization.yaml": "resources: []\n",
		"versions/payments-prod.yaml":         values("r/payments"),
	}))
	if err != nil || len(pairs) != 1 || pairs[0].Err != nil {
		t.Fatalf("%+v, %v", pairs, err)
	}
	for _, cluster := range []string{"eu", "us"} {
		if got := config.OverlayFor(pairs[0], cluster); got != cluster+"/prod/payments" {
			t.Errorf("%s renders %s", cluster, got)
		}
	}
}

func TestANamedAppSettlesWhichOfTwoOverlaysIsMeant(t *testing.T) {
	_, pairs, err := envrepo.Load(repo(map[string]string{
		"tagboat.yaml":                          "apiVersion: tagboat.dev/v1\napps:\n- discover: '{app}/{env}'\n- {name: payments, path: 'payments/{env}/base'}" + threeStages,
		"payments/prod/kustomization.yaml":      pinned("x"),
		"payments/prod/base/kustomization.yaml": pinned("payments"),
		"payments/dev/kustomization.yaml":       pinned("payments"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := "payments dev payments/dev/kustomization.yaml payments\npayments prod payments/prod/base/kustomization.yaml payments\n"
	if diff := cmp.Diff(want, found(pairs)); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}

func TestAPairSaysWhatItsChartIsRenderedWith(t *testing.T) {
	_, pairs, err := envrepo.Load(repo(map[string]string{
		"tagboat.yaml":               "apiVersion: tagboat.dev/v1\napps:\n- discover: apps/{app}/{env}.yaml\n  helm: {chart: 'charts/{app}', values: ['charts/{app}/{env}.yaml', 'apps/{app}/{env}.yaml'], namespace: '{app}-{env}'}" + threeStages,
		"apps/payments/prod.yaml":    values("r/payments"),
		"charts/payments/prod.yaml":  "a: 1\n",
		"charts/payments/Chart.yaml": "name: payments\n",
	}))
	if err != nil || len(pairs) != 1 {
		t.Fatalf("%v, %v", pairs, err)
	}
	want := &envrepo.Helm{Chart: "charts/payments", Values: []string{"charts/payments/prod.yaml", "apps/payments/prod.yaml"}, Release: "payments", Namespace: "payments-prod"}
	if diff := cmp.Diff(want, pairs[0].Helm); diff != "" {
		t.Errorf("helm (-want +got):\n%s", diff)
	}
	if p := pairs[0]; p.Path != "apps/payments" || p.Kustomization != "" || p.Err != nil {
		t.Errorf("%+v", p)
	}
}

func TestTheLongestEnvironmentThatFitsIsMeant(t *testing.T) {
	_, pairs, err := envrepo.Load(repo(map[string]string{
		"tagboat.yaml": "apiVersion: tagboat.dev/v1\napps: [{discover: 'deploy/{env}-{app}'}]\nenvironments: [{name: prod, clusters: [c]}, {name: prod-eu, clusters: [c]}]\n",
		"deploy/prod-eu-payments/kustomization.yaml": pinned("payments"),
		"deploy/prod-payments/kustomization.yaml":    pinned("payments"),
	}))
	if err != nil {
		t.Fatal(err)
	}
	want := "payments prod deploy/prod-payments/kustomization.yaml payments\npayments prod-eu deploy/prod-eu-payments/kustomization.yaml payments\n"
	if diff := cmp.Diff(want, found(pairs)); diff != "" {
		t.Errorf("pairs (-want +got):\n%s", diff)
	}
}
