package overlay_test

import (
	"bytes"
	"regexp"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

// fuzzFiles are the names by which a file is told apart, with a seed of each kind
// of target.
var fuzzFiles = []struct {
	name  string
	seeds []string
}{
	{"kustomization.yaml", []string{
		"resources:\n- https://github.com/acme/x//d?ref=1.0\n- ../b # c\nimages:\n  - name: a\n    newName: r.example.com/a # n\n\n    newTag: '1.0'\n    digest: " + oldDigest + "\n",
		"\ufeffimages: [{name: a, newTag: 1.0}, {name: b, digest: \"" + oldDigest + "\"}]",
		"images:\r\n- name: a\r\n  newTag: !!str 1\r\n",
		"helmCharts:\n- name: c\n  repo: oci://r.example.com/c\n  version: 1.0.0 # " + oldDigest + " x\n  valuesInline: {image: {repository: a, tag: 1}}\n",
		"patches:\n- patch: |-\n    kind: Pod\n    é: [ü]\n\n    image: a:1 # x\n- patch: |2+\n     - op: replace\n       path: /a/image\n       value: 'a:1'\n\n- patch: '[{\"op\": \"add\", \"path\": \"/image\", \"value\": \"a:1\"}]'\npatchesStrategicMerge: [\"image: a:1\"]\n",
		"a: &b {name: a, newTag: 1}\nimages: [*b]\n",
		"{\"images\": [{\"name\": \"a\", \"newTag\": \"1\"}]}",
	}},
	{"values.yaml", []string{
		"image:\n    registry: r.example.com\n    repository: a\n    tag: 1.10\n    digest: \"\"\nb:\n- image: \"a:1\"\n- {image: a, tag: v1}\n",
		"image: {repository: a, tag: '1@" + oldDigest + "'}\n",
		"d: &d {repository: a}\nimage: {<<: *d, tag: 1}\nx: {? repository : a, ? tag : 1}\n",
		"{repository: a, image: a, tag: 1}",
		"image: a\nimageTag: \"1\" # é\n---\nimage: b:2\n...\n",
		"- op: replace\n  path: /spec/image\n  value: a:1\n",
	}},
	{"Chart.yaml", []string{"apiVersion: v2\nname: a\nappVersion: \"1\"\ndependencies:\n- {name: b, version: ~1.0, repository: 'https://c.example.com'}\n- name: c\n  repository: oci://r.example.com\n  version: >-\n    1\n"}},
	{"objects.yaml", []string{
		"%YAML 1.1\n---\napiVersion: v1\nkind: Pod\nspec:\n  containers: [{name: a, image: localhost:5000/a}]\n  initContainers:\n  - image: a:1@" + oldDigest + "\n...\n---\napiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, image: 'a:1'}\n",
		"apiVersion: helm.toolkit.fluxcd.io/v2\nkind: HelmRelease\nspec:\n  chart: {spec: {chart: c, version: '>=1', sourceRef: {kind: HelmRepository, name: r}}}\n  values: {image: {repository: a, tag: 1}}\n---\napiVersion: source.toolkit.fluxcd.io/v1\nkind: HelmRepository\nmetadata: {name: r}\nspec: {url: oci://r.example.com}\n",
		"apiVersion: source.toolkit.fluxcd.io/v1\nkind: OCIRepository\nspec:\n  url: oci://r.example.com/a\n  ref: {tag: 1}\n",
		"apiVersion: argoproj.io/v1alpha1\nkind: Application\nmetadata: {name: p}\nspec:\n    source:\n        repoURL: https://github.com/acme/d\n        path: c/a\n        targetRevision: v1 # x\n        helm:\n            parameters: [{name: image.tag, value: '1'}]\n            values: |\n                image: {repository: a, tag: 1}\n        kustomize: {images: [b=a:1]}\n",
		"apiVersion: argoproj.io/v1alpha1\nkind: ApplicationSet\nspec: {template: {spec: {sources: [{repoURL: r.example.com, chart: c, targetRevision: 1.0}]}}}\n",
	}},
}

// inserted is what a splice adds in front of a value for which there was no key.
var inserted = regexp.MustCompile(`(?:\r?\n *|, )"?(?:newTag|digest)"?: "?$`)

// FuzzBump moves everything that a file carries. Outside of the new versions
// every byte is one of the old file, in the old order; inside, they are read as
// what was asked for, and nothing else is read differently.
func FuzzBump(f *testing.F) {
	for i, kind := range fuzzFiles {
		for _, seed := range kind.seeds {
			for j := range fuzzVersions {
				f.Add([]byte(seed), uint8(i), uint8(j))
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte, file, version uint8) {
		name := fuzzFiles[int(file)%len(fuzzFiles)].name
		want := fuzzVersions[int(version)%len(fuzzVersions)]
		sites, err := overlay.Sites(name, data)
		if err != nil {
			invalidOrNotFound(t, err)
			return
		}
		if bytes.Contains(data, []byte(want)) || bytes.Contains(data, []byte(newDigest)) {
			return
		}
		for i, s := range sites {
			if i == 8 {
				break
			}
			change := overlay.Change{Kind: s.Kind, Name: s.Name, Version: want, Digest: newDigest}
			edits, err := overlay.Bump(map[string][]byte{name: data}, []overlay.Change{change}, overlay.BumpOptions{})
			if err != nil {
				invalidOrNotFound(t, err)
				continue
			}
			for _, e := range edits {
				onlyVersionsWritten(t, e, want)
				readsAsAsked(t, e, sites, want)
				again, err := overlay.Bump(map[string][]byte{name: e.After}, []overlay.Change{change}, overlay.BumpOptions{})
				if err != nil || len(again) > 0 {
					t.Fatalf("not idempotent: %v, %q", err, e.After)
				}
			}
		}
	})
}

// fuzzVersions: one plain, one that would be a number, one that would be a date.
var fuzzVersions = []string{"9.9.9-fuzz", "9876e54321", "2031-12-24"}

func invalidOrNotFound(t *testing.T, err error) {
	t.Helper()
	if k := fault.KindOf(err); k != fault.Invalid && k != fault.NotFound {
		t.Fatalf("kind %v: %v", k, err)
	}
}

// onlyVersionsWritten takes the new versions out of the new file; what is left,
// piece by piece, has to be the old file but for gaps within a line.
func onlyVersionsWritten(t *testing.T, e overlay.Edit, version string) {
	t.Helper()
	const mark, edges = "\x00", `"':@`
	pieces := strings.Split(strings.NewReplacer(version+"@"+newDigest, mark, version, mark, newDigest, mark).Replace(string(e.After)), mark)
	var old strings.Builder
	for i, piece := range pieces {
		added := ""
		if i > 0 {
			old.WriteString(`[^\n]*`)
			piece = strings.TrimLeft(piece, edges)
		}
		if i < len(pieces)-1 {
			added = strings.TrimRight(inserted.FindString(piece), `"`)
			if piece = strings.TrimSuffix(strings.TrimRight(piece, `"`), added); added == "" {
				piece = strings.TrimRight(piece, edges)
			}
		}
		old.WriteString(regexp.QuoteMeta(piece))
		if added != "" {
			old.WriteString("(?:" + regexp.QuoteMeta(added) + ")?")
		}
	}
	if !regexp.MustCompile(`^` + old.String() + `$`).Match(e.Before) {
		t.Fatalf("more than versions was written:\nold %q\nnew %q", e.Before, e.After)
	}
}

// readsAsAsked: every place has the version that was asked for, or the one that
// it had.
func readsAsAsked(t *testing.T, e overlay.Edit, before []overlay.Site, version string) {
	t.Helper()
	after, err := overlay.Sites(e.Path, e.After)
	if err != nil || len(after) != len(before) {
		t.Fatalf("%d places with a version became %d: %v\n%q", len(before), len(after), err, e.After)
	}
	moved := 0
	for i, s := range after {
		old := before[i]
		if s.Name != old.Name || s.Kind != old.Kind || s.Where != old.Where || s.Alias != old.Alias || s.Repo != old.Repo {
			t.Fatalf("%+v became %+v", old, s)
		}
		if s.Version != old.Version || s.Digest != old.Digest {
			moved++
			if s.Version != version && s.Version != old.Version || s.Digest != newDigest && s.Digest != old.Digest {
				t.Fatalf("%+v became %+v", old, s)
			}
		}
	}
	if moved == 0 && bytes.Contains(e.After, []byte(version)) {
		t.Fatalf("something was written, but nothing reads differently:\n%q\n%q", e.Before, e.After)
	}
}
