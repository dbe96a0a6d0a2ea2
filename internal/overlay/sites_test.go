package overlay_test

import (
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

func TestSitesListsEveryPlaceThatCarriesAVersion(t *testing.T) {
	tests := []struct {
		file, data string
		want       []overlay.Site
	}{
		{"kustomization.yaml", "resources:\n- https://github.com/acme/x//d?ref=v1\n- ../base\nimages:\n- name: a\n  newName: b\n  newTag: '1'\n- name: c\n" +
			"helmCharts:\n- name: d\n  repo: oci://registry.example.com/charts\n  version: 1.0.0 # " + oldDigest + "\npatches:\n- patch: |\n    kind: Pod\n    image: e:2\n",
			[]overlay.Site{
				{Where: "remote base", Line: 2, Kind: overlay.KindRevision, Name: "https://github.com/acme/x//d", Version: "v1"},
				{Where: "images", Line: 5, Kind: overlay.KindImage, Name: "b", Alias: "a", Version: "1"},
				{Where: "images", Line: 8, Kind: overlay.KindImage, Name: "c"},
				{Where: "helmCharts", Line: 12, Kind: overlay.KindChart, Name: "registry.example.com/charts/d", Repo: "oci://registry.example.com/charts", Version: "1.0.0", Digest: oldDigest},
				{Where: "patch", Line: 16, Kind: overlay.KindImage, Name: "e", Version: "2"},
			}},
		{"prod.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nimages: [{name: a, newTag: '1'}]\n",
			[]overlay.Site{{Where: "images", Line: 3, Kind: overlay.KindImage, Name: "a", Version: "1"}}},
		{"values-prod.yaml", "web:\n  image:\n    registry: registry.example.com\n    repository: a\n    tag: 1.10\n",
			[]overlay.Site{{Where: "helm values", Line: 5, Kind: overlay.KindImage, Name: "registry.example.com/a", Version: "1.10"}}},
		{"Chart.yaml", "name: a\nversion: 0.1.0\nappVersion: 2.0.0\ndependencies:\n- {name: b, version: 1.x, repository: https://charts.example.com}\n",
			[]overlay.Site{
				{Where: "appVersion", Line: 3, Kind: overlay.KindChart, Name: "a", Version: "2.0.0"},
				{Where: "Chart.yaml", Line: 5, Kind: overlay.KindChart, Name: "b", Repo: "https://charts.example.com", Version: "1.x"},
			}},
		{"values.yaml", "a: {repository: https://charts.example.com, tag: x}\nb: {repository: a, image: a, tag: 1}\n",
			[]overlay.Site{
				{Where: "helm values", Line: 2, Kind: overlay.KindImage, Name: "a", Version: "1"},
				{Where: "helm values", Line: 2, Kind: overlay.KindImage, Name: "a"},
			}},
		{"release.yaml", "apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec: {chart: {spec: {chart: a, version: 1.x, sourceRef: {kind: HelmRepository, name: r, namespace: n}}}}\n" +
			"---\nkind: HelmRepository\napiVersion: source.toolkit.fluxcd.io/v1\nmetadata: {name: r, namespace: m}\nspec: {url: oci://m.example.com}\n" +
			"---\nkind: HelmRepository\napiVersion: source.toolkit.fluxcd.io/v1\nmetadata: {name: r, namespace: n}\nspec: {url: oci://n.example.com/}\n",
			[]overlay.Site{{Where: "HelmRelease", Line: 3, Kind: overlay.KindChart, Name: "n.example.com/a", Repo: "oci://n.example.com/", Version: "1.x"}}},
		{"empty.yaml", "", []overlay.Site{}},
		{"comments.yaml", "# nothing\n---\n# at all\n", []overlay.Site{}},
		{"text.yaml", "just text\n", []overlay.Site{}},
		{"crd.yaml", "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nspec: {properties: {image: {type: string}}}\n", []overlay.Site{}},
	}
	for _, tt := range tests {
		got, err := overlay.Sites(tt.file, []byte(tt.data))
		if err != nil {
			t.Errorf("%s: %v", tt.file, err)
		}
		for i := range tt.want {
			tt.want[i].File = tt.file
		}
		if diff := gocmp.Diff(tt.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.file, diff)
		}
	}
}

func TestAVersionIsSetAndReadInEveryKindOfFile(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: x:1 # c\n  - image: y:1\n"
	edit, err := overlay.SetImage("pod.yaml", []byte(pod), image.Ref{Name: "x", Tag: "2"})
	if err != nil || string(edit.After) != strings.Replace(pod, "x:1", "x:2", 1) {
		t.Errorf("%v\n%s", err, edit.After)
	}
	if edit.Old != (image.Ref{Name: "x", Tag: "1"}) || edit.New != (image.Ref{Name: "x", Tag: "2"}) {
		t.Errorf("from %v to %v", edit.Old, edit.New)
	}
	if now, err := overlay.Current("pod.yaml", edit.After, "x"); err != nil || now.Tag != "2" {
		t.Errorf("now %v, %v", now, err)
	}
	two := pod + "  - image: x:3\n"
	if _, err := overlay.Current("pod.yaml", []byte(two), "x"); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "pod.yaml:7: image x has another version here than on line 5") {
		t.Errorf("two versions: %v", err)
	}
	both := "images:\n- name: x\n  newTag: '2'\npatches:\n- patch: |\n    kind: Pod\n    image: x:1\n"
	if now, err := overlay.Current("kustomization.yaml", []byte(both), "x"); err != nil || now.Tag != "2" {
		t.Errorf("images: overrides the patch, but got %v, %v", now, err)
	}
	if _, err := overlay.Current("pod.yaml", []byte(pod), "z"); !fault.Is(err, fault.NotFound) {
		t.Errorf("nobody: %v", err)
	}
	base := strings.Replace(pod, "x:1", "x", 1)
	if _, err := overlay.SetImage("pod.yaml", []byte(base), image.Ref{Name: "x", Tag: "2"}); !fault.Is(err, fault.NotFound) {
		t.Errorf("a placeholder without a version was completed: %v", err)
	}
}

// guarded are files of all kinds, and what Tagboat may and may not do to them.
var guarded = []struct {
	file, before, name string
	allowed, forbidden [][2]string // what is replaced, and by what
}{
	{"pod.yaml", "apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - image: x:1 # c\n    name: a\n  - image: y:1\n", "x",
		[][2]string{{"x:1", "x:2"}, {"x:1", `"x:2"`}, {"x:1", "x:1@" + newDigest}, {"x:1", "x@" + newDigest}},
		[][2]string{{"x:1", "y:1"}, {"x:1", "xx:2"}, {"y:1", "y:2"}, {"# c", "# d"}, {"name: a", "name: b"}, {"x:1 # c", "x:2"}, {"x:1", "&a x:2"}, {"x:1", "!!str x:2"},
			{"    name: a\n", ""}, {"x:1 # c", "x:2\n    command: [sh]"}}},
	{"values.yaml", "image:\n  repository: x\n  tag: \"1\"\n  digest: \"\"\nreplicas: 1\n", "x",
		[][2]string{{`"1"`, `"2"`}, {`"1"`, "v2"}, {`""`, newDigest}},
		[][2]string{{"replicas: 1", "replicas: 2"}, {"repository: x", "repository: y"}, {"  digest: \"\"\n", ""}, {"tag:", "tag: &a"}, {"image:", "image: # c"}}},
	{"kustomization.yaml", "patches:\n- patch: |-\n    kind: Pod # c\n    image: x:1\n    name: a\nimages: []\n", "x",
		[][2]string{{"x:1", "x:2"}},
		[][2]string{{"name: a", "name: b"}, {"# c", "# d"}, {"|-", "|"}, {"kind: Pod", "kind: Job"}, {"images: []\n", ""}, {"    name: a\n", "    name: a\n    host: b\n"}}},
	{"kustomization.yaml", "helmCharts:\n- name: x\n  repo: oci://r.example.com\n  version: 1.0.0 # " + oldDigest + " y\n", "x",
		[][2]string{{"1.0.0 # " + oldDigest, "1.1.0 # " + newDigest}},
		[][2]string{{"# " + oldDigest + " y", ""}, {" y\n", " z\n"}, {"r.example.com", "evil.example.com"}, {oldDigest, "sha256:00"}}},
	{"kustomization.yaml", "resources:\n- https://github.com/acme/x?ref=v1&timeout=1s\n- https://github.com/acme/y?ref=v1\n", "https://github.com/acme/x",
		[][2]string{{"x?ref=v1", "x?ref=v2"}},
		[][2]string{{"y?ref=v1", "y?ref=v2"}, {"timeout=1s", "timeout=9s"}, {"acme/x", "evil/x"}, {"?ref=v1&", "?ref=v2&ref=v3&"}}},
	{"app.yaml", "apiVersion: argoproj.io/v1alpha1\nkind: Application\nspec:\n  source:\n    repoURL: https://github.com/acme/d\n    targetRevision: v1\n    kustomize: {images: [a=x:1]}\n", "x",
		[][2]string{{"a=x:1", "a=x:2"}},
		[][2]string{{"a=x:1", "b=x:2"}, {"targetRevision: v1", "targetRevision: v2"}, {"a=x:1", "a=x:2, evil=y:1"}}},
}

func TestTheGuardHoldsForEveryKindOfFile(t *testing.T) {
	for _, tt := range guarded {
		check := func(r [2]string) error {
			after := strings.Replace(tt.before, r[0], r[1], 1)
			if after == tt.before {
				t.Fatalf("%q is not in %q", r[0], tt.before)
			}
			return overlay.OnlyDeclared(tt.file, []byte(tt.before), []byte(after), tt.name)
		}
		for _, r := range tt.allowed {
			if err := check(r); err != nil {
				t.Errorf("%s: %q to %q: %v", tt.file, r[0], r[1], err)
			}
		}
		for _, r := range tt.forbidden {
			if err := check(r); !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), tt.file+":") {
				t.Errorf("%s: %q to %q is allowed: %v", tt.file, r[0], r[1], err)
			}
		}
	}
}

func TestTheGuardRefusesWhatTagboatWouldNotEdit(t *testing.T) {
	for _, before := range []string{
		"images:\n- {name: x, newTag: v1, tagSuffix: -arm}\n",
		"images:\n- {name: x, newTag: v1}\n- {name: x, newTag: v1}\n",
		"images:\n- &a {name: x, newTag: v1}\n",
	} {
		after := strings.ReplaceAll(before, "v1", "v2")
		if err := overlay.OnlyDeclared("kustomization.yaml", []byte(before), []byte(after), "x"); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q: %v", before, err)
		}
	}
}

func TestTheGuardSaysWhatWasRemoved(t *testing.T) {
	before, after := "images:\n- name: x\n  newTag: v1\n  digest: "+oldDigest+"\n", "images:\n- name: x\n  newTag: v2\n"
	err := overlay.OnlyDeclared("kustomization.yaml", []byte(before), []byte(after), "x")
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "kustomization.yaml:2: digest of image x was removed") {
		t.Error(err)
	}
}

func TestTheGuardLetsPassWhatFollowed(t *testing.T) {
	before := "resources:\n- https://github.com/acme/x?ref=v1\n- https://github.com/acme/y?ref=v0\nimages:\n- {name: x, newTag: v1}\n"
	followed := strings.ReplaceAll(before, "v1", "v2")
	if err := overlay.OnlyDeclared("kustomization.yaml", []byte(before), []byte(followed), "x"); !fault.Is(err, fault.Invalid) {
		t.Errorf("without leave: %v", err)
	}
	if err := overlay.OnlyDeclared("kustomization.yaml", []byte(before), []byte(followed), "x", overlay.WithFollowed(nil)); err != nil {
		t.Error(err)
	}
	for name, after := range map[string]string{
		"another base":               strings.Replace(followed, "v0", "v2", 1),
		"to another version":         strings.Replace(followed, "x?ref=v2", "x?ref=v3", 1),
		"the base but not the image": strings.Replace(before, "x?ref=v1", "x?ref=v2", 1),
	} {
		if err := overlay.OnlyDeclared("kustomization.yaml", []byte(before), []byte(after), "x", overlay.WithFollowed(nil)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	dashboards, moved := "resources: ['https://github.com/acme/x//d?ref=v1']\n", map[string]string{"v1": "v2"}
	after := strings.Replace(dashboards, "v1", "v2", 1)
	if err := overlay.OnlyDeclared("kustomization.yaml", []byte(dashboards), []byte(after), "x", overlay.WithFollowed(moved)); err != nil {
		t.Errorf("a file of the same bump without the image: %v", err)
	}
	if err := overlay.OnlyDeclared("kustomization.yaml", []byte(dashboards), []byte(after), "x", overlay.WithFollowed(nil)); !fault.Is(err, fault.NotFound) {
		t.Errorf("nothing moved elsewhere: %v", err)
	}
}
