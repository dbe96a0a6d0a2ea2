package envrepo_test

import (
	"io/fs"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// FuzzParse: whatever stands in tagboat.yaml, it is refused with a line for every
// problem, or it is accepted, finds pairs that are told apart, and is accepted
// again, the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		story,
		"environments: &a [*a]\n",
		"apiVersion: tagboat.dev/v1\napps:\n- discover: helm/{app}/values-{env}.yaml\n  images: ['r/{app}']\n  helm: {chart: 'helm/{app}', values: ['helm/{app}/values-{env}.yaml'], release: '{app}', namespace: '{env}'}" + threeStages,
		"apiVersion: tagboat.dev/v1\napps: [{discover: '{cluster}/{env}/{app}', file: '{app}-{env}.yaml', charts: [x]}]" + threeStages,
		"apiVersion: tagboat.dev/v1\napps: [{discover: 'apps/{app}'}]\nenvironments: [{name: dev, branch: dev, clusters: [c]}, {name: prod, clusters: [c], refs: true}]\n",
		"apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: &c [dev], waves: [*c, *c]}]\n",
		"? a\n: b\n", "\xef\xbb\xbfapiVersion: tagboat.dev/v1\r\n", "{\"apiVersion\": 1}", "--- \n...\n---\n", "!!binary a", "<<: &a {<<: *a}\n", "a: !!int 1\n",
	} {
		f.Add([]byte(seed))
	}
	files := map[string]string{
		"apps/payments/overlays/dev/kustomization.yaml": pinned("payments"),
		"apps/payments/kustomization.yaml":              pinned("payments"),
		"helm/payments/values-dev.yaml":                 values("r/payments"),
		"helm/payments/Chart.yaml":                      "name: payments\n",
		"eu/prod/payments/kustomization.yaml":           pinned("x"),
		"payments-prod.yaml":                            values("x"),
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		start := time.Now()
		defer func() { soon(t, start) }()
		c, err := envrepo.Parse("tagboat.yaml", data)
		if (c == nil) == (err == nil) {
			t.Fatalf("config %v and error %v", c, err)
		}
		if err != nil {
			if len(envrepo.Problems(err)) == 0 {
				t.Fatalf("an error without problems: %v", err)
			}
			for _, p := range envrepo.Problems(err) {
				if p.Line < 1 || p.File != "tagboat.yaml" || p.Message == "" {
					t.Fatalf("a problem without a line: %+v", p)
				}
			}
			return
		}
		tree := maps.Clone(files)
		tree["tagboat.yaml"] = string(data)
		pairs, err := envrepo.Discover(repo(tree), c)
		if err != nil {
			t.Fatalf("discover: %v", err)
		}
		seen := map[[2]string]bool{}
		for _, p := range pairs {
			if p.Err == nil && seen[[2]string{p.App, p.Env}] {
				t.Fatalf("two overlays of %s in %s: %v", p.App, p.Env, pairs)
			}
			seen[[2]string{p.App, p.Env}] = true
		}
		again, same, err := envrepo.Load(repo(tree))
		if err != nil {
			t.Fatalf("not accepted again: %v", err)
		}
		if diff := cmp.Diff(c, again, cmpopts.IgnoreUnexported(envrepo.App{})); diff != "" || found(pairs) != found(same) {
			t.Fatalf("something else the second time:\n%s%s", diff, found(same))
		}
	})
}

// FuzzPropose: whatever files are called and hold, what is proposed for them is
// accepted as it is.
func FuzzPropose(f *testing.F) {
	f.Add("apps/a/overlays/prod/kustomization.yaml", "apps/a/overlays/dev/kustomization.yaml", pinned("r/a"))
	f.Add("helm/a/values-prod.yaml", "helm/a/Chart.yaml", values("r/a"))
	f.Add("k8s/1.20/prod/null.yaml", "on/dev/deployment.yaml", "kind: Pod\napiVersion: v1\nspec: {containers: [{image: 'r/a:1'}]}\n")
	f.Add("a: b/prod/#c/kustomization.yml", "a\nb/prod/\u2028/Kustomization", "images: [{name: \"a\\nb\"}, {name: c}]\nresources: [\"x?ref=\\n1\"]\n")
	f.Add("clusters/eu/prod/a/kustomization.yaml", "clusters/us/prod/a/kustomization.yaml", "helmCharts: [{name: a, repo: 'oci://r/c', version: 1.0.0}]\n")
	f.Fuzz(func(t *testing.T, one, two, data string) {
		if !fs.ValidPath(one) || !fs.ValidPath(two) || one == "." || two == "." || strings.HasPrefix(one+"/", two+"/") || strings.HasPrefix(two+"/", one+"/") {
			t.Skip()
		}
		files := map[string]string{one: data, two: data}
		proposal, err := envrepo.Propose(repo(files))
		if err != nil {
			if strings.Contains(err.Error(), "defect") {
				t.Fatal(err)
			}
			return
		}
		files["tagboat.yaml"] = string(proposal.YAML)
		_, pairs, err := envrepo.Load(repo(files))
		if err != nil {
			t.Fatalf("%v\n%s", err, proposal.YAML)
		}
		if got := found(pairs); got != found(proposal.Pairs) {
			t.Fatalf("proposed for\n%sfound\n%s", found(proposal.Pairs), got)
		}
	})
}
