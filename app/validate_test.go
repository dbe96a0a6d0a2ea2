package app

import (
	"os"
	"path"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
)

const (
	overlayText = "resources: [pod.yaml]\nimages:\n  - name: shop\n    newName: registry.example.com/shop\n    newTag: 1.0.0\n"
	podText     = "apiVersion: v1\nkind: Pod\nmetadata: {name: shop}\nspec:\n  containers: [{name: shop, image: shop}]\n"
)

// checkout is an env repo with shop in dev and in prod, where one cluster has an
// overlay of its own.
func checkout() fstest.MapFS {
	tree := fstest.MapFS{
		"tagboat.yaml": {Data: []byte(`apiVersion: tagboat.dev/v1
environments:
  - name: dev
    clusters: [dev]
  - name: prod
    clusters: [eu, us]
    pin: tag
clusters:
  - {name: us, path: "apps/{app}/overlays/{env}/us"}
`)},
		".tagboat/pull_request_template.prod.md": {Data: []byte("{{.Facts}}\n\n- [ ] {{.NewTag}} read\n\n{{.Gates}}\n")},
	}
	for _, dir := range []string{"apps/shop/overlays/dev", "apps/shop/overlays/prod", "apps/shop/overlays/prod/us"} {
		tree[path.Join(dir, "kustomization.yaml")] = &fstest.MapFile{Data: []byte(overlayText)}
		tree[path.Join(dir, "pod.yaml")] = &fstest.MapFile{Data: []byte(podText)}
	}
	return tree
}

func TestValidateFindsNothingWrong(t *testing.T) {
	got, problems := validate(t.Context(), checkout(), pool)
	if len(problems) > 0 || len(got.Warnings) > 0 {
		t.Errorf("problems %v, warnings %v", problems, got.Warnings)
	}
	if want := "2 environments, 2 overlays, 1 pull request template"; got.String() != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestValidateFindsWhatAServerWouldTripOver(t *testing.T) {
	for story, c := range map[string]struct {
		file, content string
		want          []string // one per problem
	}{
		"no configuration":           {"tagboat.yaml", "", []string{"tagboat.yaml"}},
		"an overlay does not render": {"apps/shop/overlays/dev/kustomization.yaml", strings.Replace(overlayText, "pod", "pad", 1), []string{"apps/shop/overlays/dev"}},
		"nor does that of one cluster": {"apps/shop/overlays/prod/us/kustomization.yaml", strings.Replace(overlayText, "pod", "pad", 1),
			[]string{"apps/shop/overlays/prod/us"}},
		"an image cannot be edited": {"apps/shop/overlays/dev/kustomization.yaml", overlayText + "    tagSuffix: -debug\n",
			[]string{"kustomization.yaml:6: image registry.example.com/shop has a tagSuffix"}},
		"nobody could say which of two images moves": {"apps/shop/overlays/dev/kustomization.yaml", overlayText + "  - name: proxy\n    newName: registry.example.com/proxy\n    newTag: 2.0.0\n",
			[]string{"apps/shop/overlays/dev/kustomization.yaml:1: shop in dev sets several images"}},
		"an overlay cannot be read": {"apps/shop/overlays/dev/kustomization.yaml", "images: 7\n", []string{"images: must be a list"}},
		"a template asks for what is not there": {".tagboat/pull_request_template.prod.md", "{{.Nope}}",
			[]string{".tagboat/pull_request_template.prod.md: the pull request template cannot be used"}},
		"a template hides the gates": {".tagboat/pull_request_template.prod.md", "```\n{{.Gates}}",
			[]string{"it shows 0 of 1 machine items"}},
		"a template fails where only a whole pull request goes": {".tagboat/pull_request_template.prod.md", "{{if .RunURL}}{{.Nope}}{{end}}",
			[]string{"can't evaluate field Nope"}},
	} {
		tree := checkout()
		tree[c.file] = &fstest.MapFile{Data: []byte(c.content)}
		_, problems := validate(t.Context(), tree, pool)
		if len(problems) != len(c.want) {
			t.Errorf("%s: %d problems, want %d: %v", story, len(problems), len(c.want), problems)
			continue
		}
		for i, want := range c.want {
			if text := problems[i].Error() + fault.HintOf(problems[i]); !strings.Contains(text, want) {
				t.Errorf("%s: %v does not say %q", story, problems[i], want)
			}
		}
	}
}

func TestValidateWarnsOfAPatternThatFindsNothing(t *testing.T) {
	tree := checkout()
	tree["tagboat.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(tree["tagboat.yaml"].Data), "environments:",
		"apps:\n  - discover: apps/{app}/overlays/{env}\n  - discover: service/{app}/{env}\nenvironments:", 1))}
	got, problems := validate(t.Context(), tree, pool)
	if len(problems) > 0 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "service/{app}/{env}") {
		t.Errorf("problems %v, warnings %q", problems, got.Warnings)
	}
}

func TestValidateWarnsOfAnEnvironmentThatNothingIsIn(t *testing.T) {
	tree := checkout()
	tree["tagboat.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(tree["tagboat.yaml"].Data), "clusters:\n  - {name: us",
		"  - {name: qa, clusters: [eu]}\n  - {name: lab, clusters: [eu], branch: lab}\nclusters:\n  - {name: us", 1))}
	got, problems := validate(t.Context(), tree, pool)
	if len(problems) > 0 || len(got.Warnings) != 1 || !strings.Contains(got.Warnings[0], "environment qa") {
		t.Errorf("problems %v, warnings %q", problems, got.Warnings)
	}
}

// A cluster's own path is a kustomization, whatever the others get.
func TestAClusterWithAPathOfItsOwnIsLookedAtThere(t *testing.T) {
	files := map[string]string{
		"tagboat.yaml": `apiVersion: tagboat.dev/v1
apps:
  - discover: plain/{app}/{env}.yaml
environments:
  - {name: prod, clusters: [eu, us]}
clusters:
  - {name: us, path: "us/{app}"}
`,
		"plain/shop/prod.yaml":       strings.Replace(podText, "image: shop", "image: registry.example.com/shop:1.0.0", 1),
		"us/shop/kustomization.yaml": "namePrefix: us-\nresources: [pod.yaml]\n",
		"us/shop/pod.yaml":           podText,
	}
	before := tree(files)
	if _, problems := validate(t.Context(), before, pool); len(problems) > 0 {
		t.Fatal(problems)
	}

	files["us/shop/kustomization.yaml"] = "namePrefix: america-\nresources: [pod.yaml]\n"
	diffs, err := diffTrees(t.Context(), pool, before, tree(files), nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"plain/shop/prod.yaml": "same", "us/shop": "differs"}, outcome(diffs)); diff != "" {
		t.Error(diff)
	}
	if us := diffs[len(diffs)-1]; us.Cluster != "us" || us.App != "shop" || us.Env != "prod" {
		t.Errorf("%+v", us)
	}

	delete(files, "us/shop/kustomization.yaml")
	_, problems := validate(t.Context(), tree(files), pool)
	if len(problems) != 1 || !strings.Contains(problems[0].Error(), "tagboat.yaml:7: us/shop has no kustomization.yaml") {
		t.Errorf("without it: %v", problems)
	}
}

// What the demo deploys is a template for other people's env repos.
func TestTheDemosTemplateIsValid(t *testing.T) {
	data, err := os.ReadFile("demo/files/pull_request_template.prod.md")
	if err != nil {
		t.Fatal(err)
	}
	tree := checkout()
	tree[".tagboat/pull_request_template.prod.md"] = &fstest.MapFile{Data: data}
	if _, problems := validate(t.Context(), tree, pool); len(problems) > 0 {
		t.Error(problems)
	}
}

func TestValidateWarnsOfCodeOwnersWhomNobodyNames(t *testing.T) {
	tree := checkout()
	tree["tagboat.yaml"].Data = []byte(strings.Replace(string(tree["tagboat.yaml"].Data), "    pin: tag\n", "    pin: tag\n    approvals: [{count: 2}, {codeowners: true}]\n", 1))
	for file, want := range map[string]string{
		"":                               "prod waits for ever: it asks code owners, but the base branch has no CODEOWNERS file",
		"/apps/*/overlays/dev/ @alice\n": "but CODEOWNERS of the base branch names no owner of apps/shop/overlays/prod/kustomization.yaml",
		"* @acme/platform\n":             "",
	} {
		if delete(tree, "CODEOWNERS"); file != "" {
			tree["CODEOWNERS"] = &fstest.MapFile{Data: []byte(file)}
		}
		got, problems := validate(t.Context(), tree, pool)
		if len(problems) > 0 || len(got.Warnings) != min(1, len(want)) || want != "" && !strings.Contains(got.Warnings[0], want) {
			t.Errorf("%q: problems %v, warnings %q", file, problems, got.Warnings)
		}
	}
}

// A key that nobody can read keeps everything waiting that it should have signed.
func TestValidateReadsTheKeysOfWhoSigns(t *testing.T) {
	key, err := registrytest.NewKey()
	if err != nil {
		t.Fatal(err)
	}
	tree := checkout()
	tree["tagboat.yaml"] = &fstest.MapFile{Data: []byte(strings.Replace(string(tree["tagboat.yaml"].Data), "    pin: tag\n",
		"    pin: tag\n    signatures: [{cosign: {key: keys/a.pub}}, {cosign: {key: keys/b.pub}}, {cosign: {identity: carol@example.com, issuer: 'https://accounts.example.com'}}]\n", 1))}
	tree["keys/b.pub"] = &fstest.MapFile{Data: []byte("lost")}
	_, problems := validate(t.Context(), tree, pool)
	if len(problems) != 2 || !strings.Contains(problems[0].Error(), "keys/a.pub, and there is no such file") || !strings.Contains(problems[1].Error(), "keys/b.pub is no public key") {
		t.Errorf("%v", problems)
	}
	tree["keys/a.pub"], tree["keys/b.pub"] = &fstest.MapFile{Data: key.Public()}, &fstest.MapFile{Data: key.Public()}
	if _, problems := validate(t.Context(), tree, pool); len(problems) > 0 {
		t.Errorf("%v", problems)
	}
}
