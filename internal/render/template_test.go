package render_test

import (
	"fmt"
	"io/fs"
	"strings"
	"testing"
)

// pins are tags as people write them, those that YAML reads as something else with
// and without quotes. Without, Kustomize refuses them.
var pins = []string{"1.8.0", `"1.20"`, `'1e10'`, "7x", `"null"`, "1.20", "0x10"}

// oddPins are more of them.
var oddPins = []string{"v2", "sha-0123abc", `"0x10"`, `"on"`, `'y'`, `"2026-11-24"`, `'0o17'`, `"~1"`, `"1_0"`, "on", "null", "y", "1e10", "1_0", "0123", "2026-11-24", ".5", "0b1", "1:30", `"a b"`, `"\u0041"`, "!!str 1.20", "|-\n    1.20"}

// moved are changes of one file: each of the pins in the place of PIN.
func moved(file, content string, pins []string) (changes []change) {
	for _, pin := range pins {
		changes = append(changes, change{file: strings.ReplaceAll(content, "PIN", pin)})
	}
	return changes
}

// pinned is a tree whose kustomization app is pinned to a first tag, and the changes
// that move it.
func pinned(kustomization string, more change) (gitTree, []change) {
	const file = "app/kustomization.yaml"
	return committed(more).with(change{file: strings.ReplaceAll(kustomization, "PIN", "1.7.0")}), moved(file, kustomization, pins)
}

// workload has an image in every place where people write one.
const workload = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: payments
  annotations: {note: "runs payments:1.7.0, not registry.example.com/payments:1.7.0", "image": "payments:1.7.0"}
spec:
  template:
    spec:
      initContainers: [{name: migrate, image: "payments:0.1"}]
      containers:
      - {name: app, image: payments, args: ["--image=payments:1.7.0"]}
      - {name: proxy, image: 'proxy:1', env: [{name: IMAGE, value: "$(IMAGE)"}]}
      - {name: other, image: "abc:1"}
      volumes: [{name: v, image: {reference: "payments:1"}}]
---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec: {jobTemplate: {spec: {template: {spec: {containers: [{name: x, image: "payments@sha256:1234"}], ephemeralContainers: [{name: e, image: payments}]}}}}}
---
apiVersion: acme.io/v1
kind: App
metadata: {name: custom}
spec: {runtime: {image: payments}, version: "1.7.0"}
`

// TestTheTemplateSaysWhatKustomizeSays moves a pin where something else might look at
// it, or at an image after it was set.
func TestTheTemplateSaysWhatKustomizeSays(t *testing.T) {
	const images = "images:\n- name: payments\n  newName: registry.example.com/payments\n  newTag: PIN\n"
	const itself = "configMapGenerator:\n- name: own\n  files: [FILE]\n  options: {disableNameSuffixHash: true}\n"
	const component = "apiVersion: kustomize.config.k8s.io/v1alpha1\nkind: Component\n"
	const vars = "vars: [{name: IMAGE, objref: {apiVersion: apps/v1, kind: Deployment, name: payments}, fieldref: {fieldpath: 'spec.template.spec.containers[0].image'}}]\n"
	const copies = "replacements: [{source: {kind: Deployment, fieldPath: spec.template.spec.containers.0.image}, targets: [{select: {kind: Deployment}, fieldPaths: [metadata.annotations.image], options: {delimiter: ':', index: 1}}]}]\n"
	const annotate = "transformers: ['{apiVersion: builtin, kind: ReplacementTransformer, metadata: {name: x}, replacements: [{source: {kind: Deployment, fieldPath: spec.template.spec.containers.0.image}, targets: [{select: {kind: Deployment}, fieldPaths: [metadata.annotations.image]}]}]}']\n"
	base := change{"base/kustomization.yaml": "resources: [w.yaml]\n", "base/w.yaml": workload}
	in := func(kustomization string, more change) change {
		all := change{"base/w.yaml": workload, "base/kustomization.yaml": kustomization}
		for name, content := range more {
			all[name] = content
		}
		return all
	}
	for name, test := range map[string]struct {
		kustomization string
		files         change
		substituted   bool
	}{
		"nothing else":             {"resources: [../base]\n" + images, base, true},
		"in one line":              {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: proxy, newTag: PIN}]\n", base, true},
		"as JSON":                  {`{"resources": ["../base"], "images": [{"name": "payments", "newTag": PIN}]}` + "\n", base, true},
		"an image that is unused":  {"resources: [../base]\nimages: [{name: payments, newTag: v1}, {name: unused, newTag: PIN}]\n", base, true},
		"the content of a file":    {"resources: [../base]\nconfigMapGenerator: [{name: x, literals: [a=1.7.0]}]\n" + images, base, true},
		"a patch of the image":     {"resources: [../base]\npatches: [{target: {kind: Deployment}, patch: '- {op: replace, path: /spec/template/spec/containers/1/image, value: payments}'}]\n" + images, base, true},
		"a component sets another": {"resources: [../base]\ncomponents: [../c]\n" + images, in("resources: [w.yaml]\n", change{"c/kustomization.yaml": component + "images: [{name: payments, newName: other, newTag: c1}]\n"}), true},
		"a component sets the same": {"resources: [../base]\ncomponents: [../c]\nimages: [{name: payments, newTag: PIN}, {name: other, newTag: PIN}]\n",
			in("resources: [w.yaml]\n", change{"c/kustomization.yaml": component + "images: [{name: payments, newTag: c1}, {name: abc, newName: other}]\n"}), true},
		"a component that replaces": {"resources: [../base]\ncomponents: [../c]\n" + images, in("resources: [w.yaml]\n", change{"c/kustomization.yaml": component + copies}), true},
		"a base sets images":        {"resources: [../base]\n" + images, in("resources: [w.yaml]\nimages: [{name: payments, newTag: b1}]\n", nil), true},

		// A name is a regular expression, in which a dot may be the colon before a tag.
		"a dot for the colon":               {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: payments.7x, newTag: dot}]\n", base, false},
		"a dot for another colon":           {"resources: [../base]\nimages: [{name: ab.c, newTag: PIN}, {name: ab.7x, newTag: dot}, {name: proxy, newTag: v1}]\n", in("resources: [w.yaml]\nimages: [{name: abc, newName: ab, newTag: c}]\n", nil), false},
		"a dot, first in the list":          {"resources: [../base]\nimages: [{name: payments.7x, newTag: dot}, {name: payments, newTag: PIN}]\n", base, false},
		"dots in the host":                  {"resources: [../base]\nimages: [{name: payments, newName: registry.example.com/payments, newTag: PIN}, {name: proxy, newName: registry.example.com/proxy, newTag: PIN}]\n", base, true},
		"dots that match":                   {"resources: [../base]\nimages: [{name: p.yments, newTag: PIN}, {name: pay.ents, newTag: dot}]\n", base, false},
		"one name that is written as it is": {"resources: [../base]\nimages: [{name: pay.ments, newTag: PIN}]\n", in("resources: [w.yaml]\nimages: [{name: payments, newName: pay.ments}]\n", nil), true},
		"one name with dots":                {"resources: [../base]\nimages: [{name: p.yments, newTag: PIN}]\n", base, false},
		"an expression":                     {"resources: [../base]\nimages: [{name: 'pay.*', newTag: PIN}]\n", base, false},
		"an expression beside":              {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: '(payments:7x)', newTag: dot}]\n", base, false},
		"an expression of everything":       {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: '[^@]*:7x', newName: all, newTag: dot}]\n", base, false},
		"an expression that is broken":      {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: '[', newTag: dot}]\n", base, false},
		"a name with a tag":                 {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: 'payments:7x', newTag: dot}]\n", base, false},
		"one's result is another's":         {"resources: [../base]\nimages: [{name: payments, newName: proxy, newTag: PIN}, {name: proxy, newName: third, newTag: p2}]\n", base, false},
		"one's name is another's":           {"resources: [../base]\nimages: [{name: payments, newName: proxy, newTag: p1}, {name: proxy, newTag: PIN}]\n", base, false},
		"two change places":                 {"resources: [../base]\nimages: [{name: payments, newName: proxy, newTag: PIN}, {name: proxy, newName: payments, newTag: PIN}]\n", base, false},
		"the same twice":                    {"resources: [../base]\nimages: [{name: payments, newTag: first}, {name: payments, newTag: PIN}]\n", base, false},
		"the old field beside":              {"resources: [../base]\nimages: [{name: payments, newTag: PIN}]\nimageTags: [{name: payments.7x, newTag: old}]\n", base, false},
		"the field in another case":         {"resources: [../base]\nimages: [{name: payments, newTag: PIN}]\nImages: [{name: x, newName: payments.7x}]\n", base, false},
		"the keys in another case":          {"resources: [../base]\nimages: [{name: payments, newTag: PIN, NewName: payments.7x}, {Name: payments.7x.7x, newTag: t}]\n", base, false},
		"a suffix":                          {"resources: [../base]\nimages: [{name: payments, newTag: PIN}, {name: abc, tagSuffix: -x}]\n", base, true},
		"a tag with its digest in it":       {"resources: [../base]\nimages: [{name: payments, newTag: 'v1@" + digest17 + "'}, {name: proxy, newTag: PIN}]\n", base, false},
		"an alias of the pin":               {"resources: [../base]\nimages: [{name: payments, newTag: &pin PIN}]\ncommonAnnotations: {version: *pin}\n", base, false},
		"an alias of the entry":             {"resources: [../base]\nimages: [&entry {name: payments, newTag: PIN}]\ncommonAnnotations: *entry\n", base, false},
		"an anchor":                         {"resources: [../base]\nimages: &list [{name: payments, newTag: &pin PIN}]\n", base, false},
		"an alias of another's pin":         {"resources: [../base]\nimages: [{name: payments, newTag: &pin v1}, {name: abc, newTag: *pin}, {name: proxy, newTag: PIN}]\n", base, false},
		"a value of Helm": {"images: [{name: payments, newTag: &pin PIN}]\nhelmCharts: [{name: x, releaseName: x, valuesInline: {tag: *pin}}]\n", change{
			"app/charts/x/Chart.yaml": "apiVersion: v2\nname: x\nversion: 1.0.0\n", "app/charts/x/values.yaml": "a: b\n",
			"app/charts/x/templates/x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {old: '{{ eq .Values.tag \"7x\" }}'}}\nspec: {containers: [{name: x, image: payments}]}\n"}, false},
		"what only seems to ask for a hash":  {"resources: [../base, job.yaml]\n" + images, in("resources: [w.yaml]\n", change{"app/job.yaml": "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j, annotations: {kustomize.config.k8s.io/needs-hash: 'true'}}\nspec: {template: {spec: {containers: [{name: x, image: payments}]}}}\n"}), true},
		"a config map that looks like a pod": {"resources: [../base, s.yaml]\n" + images, in("resources: [w.yaml]\n", change{"app/s.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: s, annotations: {kustomize.config.k8s.io/needs-hash: 'true'}}\ndata: {containers: [{image: payments}]}\n"}), true},
		"origins":                            {"resources: [../base]\nbuildMetadata: [originAnnotations, transformerAnnotations]\n" + images, base, false},
		"an order":                           {"resources: [../base]\nsortOptions: {order: fifo}\n" + images, base, true},
		"replacements of its own":            {"resources: [../base]\n" + images + copies, base, false},
		"variables of its own":               {"resources: [../base]\n" + images + vars, base, false},
		"a transformer of its own":           {"resources: [../base]\n" + images + annotate, base, false},
		"variables of a base":                {"resources: [../base]\n" + images, in("resources: [w.yaml]\n"+vars, nil), false},
		"variables of a base by a link":      {"resources: [../base]\n" + images, in(link+"k.yaml", change{"base/k.yaml": "resources: [w.yaml]\n" + vars}), false},
		"replacements of a base":             {"resources: [../base]\n" + images, in("resources: [w.yaml]\n"+copies, nil), true},
		"a transformer of a base":            {"resources: [../base]\n" + images, in("resources: [w.yaml]\n"+annotate, nil), false},
		"a transformer of a component":       {"resources: [../base]\ncomponents: [../c]\n" + images, in("resources: [w.yaml]\n", change{"c/kustomization.yaml": component + annotate}), false},
		"a field of a CRD": {"resources: [../base]\nconfigurations: [c.yaml]\n" + images, in("resources: [w.yaml]\n", change{
			"app/c.yaml": "images: [{path: spec/runtime/image, kind: App}]\n"}), false},
		"a field of a CRD in a base": {"resources: [../base]\n" + images, in("resources: [w.yaml]\nconfigurations: [c.yaml]\n", change{
			"base/c.yaml": "images: [{path: spec/runtime/image, kind: App}]\nvarReference: [{path: metadata/annotations}]\n"}), false},
		"an image in a name": {"resources: [../base]\n" + images, in("resources: [w.yaml, cm.yaml]\nconfigurations: [c.yaml]\n", change{
			"base/c.yaml": "images: [{path: metadata/name, kind: ConfigMap}, {path: data/image, kind: ConfigMap}]\n", "base/cm.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: payments}\ndata: {image: payments}\n"}), false},
		"a CRD of a base": {"resources: [../base]\n" + images, in("resources: [w.yaml]\ncrds: [crd.json]\n", change{
			"base/crd.json": `{"io.acme.v1.App":{"Schema":{"properties":{"spec":{"properties":{"image":{"type":"string"}}}}}}}`}), false},
		"a schema of a base": {"resources: [../base]\n" + images, in("resources: [w.yaml]\nopenapi: {path: s.json}\n", change{
			"base/s.json": `{"definitions":{"x":{"properties":{"a":{"type":"string"}},"x-kubernetes-group-version-kind":[{"group":"acme.io","kind":"X","version":"v1"}]}}}`}), false},

		// Its own bytes as data: a pin in quotes is another text than one without.
		"its own content":                 {"resources: [../base]\n" + strings.Replace(itself, "FILE", "kustomization.yaml", 1) + images, base, false},
		"its own content, with a hash":    {"resources: [../base]\nconfigMapGenerator: [{name: own, files: [kustomization.yaml]}]\n" + images, base, false},
		"its own content, as a secret":    {"resources: [../base]\nsecretGenerator: [{name: own, files: [a=kustomization.yaml], options: {disableNameSuffixHash: true}}]\n" + images, base, false},
		"its own content, written oddly":  {"resources: [../base]\n" + strings.Replace(itself, "FILE", `"kustomizatio\u006e.yaml"`, 1) + images, base, false},
		"its own content, by a link":      {"resources: [../base]\n" + strings.Replace(itself, "FILE", "copy.txt", 1) + images, in("resources: [w.yaml]\n", change{"app/copy.txt": link + "kustomization.yaml"}), false},
		"its own content, by a directory": {"resources: [../base]\n" + strings.Replace(itself, "FILE", `"here/kustomizatio\u006e.yaml"`, 1) + images, in("resources: [w.yaml]\n", change{"app/here": link + "."}), false},
		"its own content, in a chart": {"helmCharts: [{name: app, releaseName: x}]\nhelmGlobals: {chartHome: ..}\n" + images, change{
			"app/Chart.yaml": "apiVersion: v2\nname: app\nversion: 1.0.0\n", "app/values.yaml": "a: b\n",
			"app/templates/x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {new: '{{ contains \"7x\" (.Files.Get \"kustomization.yaml\") }}'}}\nspec: {containers: [{name: x, image: payments}]}\n"}, false},
		"its own content, in a chart of a base": {"resources: [../base]\n" + images, change{
			"base/kustomization.yaml": "helmCharts: [{name: app, releaseName: x}]\nhelmGlobals: {chartHome: ..}\n",
			"app/Chart.yaml":          "apiVersion: v2\nname: app\nversion: 1.0.0\n", "app/values.yaml": "a: b\n",
			"app/templates/x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x, annotations: {new: '{{ contains \"7x\" (.Files.Get \"kustomization.yaml\") }}'}}\nspec: {containers: [{name: x, image: payments}]}\n"}, false},
		"a chart beside": {"helmCharts: [{name: web, releaseName: x}]\n" + images, change{
			"app/charts/web/Chart.yaml": "apiVersion: v2\nname: web\nversion: 1.0.0\n", "app/charts/web/values.yaml": "a: b\n",
			"app/charts/web/templates/x.yaml": "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: [{name: x, image: payments}]}\n"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			first, changes := pinned(test.kustomization, test.files)
			if s := follow(t, pool, "app", first, changes...); (s.Substituted > 0) != test.substituted {
				t.Errorf("%+v; want some substituted: %v", s, test.substituted)
			}
		})
	}
}

// Whatever a pin is, it is put in as Kustomize reads it.
func TestEveryPinIsReadAsKustomizeReadsIt(t *testing.T) {
	files := change{"base/kustomization.yaml": "resources: [w.yaml]\n", "base/w.yaml": workload}
	for _, entry := range []string{"- name: payments\n  newTag: PIN\n", "- name: payments\n  newTag: PIN # moved\n  digest: " + digest17 + "\n", "- {name: payments, newTag: PIN}\n"} {
		kustomization := "resources: [../base]\nimages:\n" + entry
		first, changes := pinned(kustomization, files)
		if s := follow(t, pool, "app", first, append(changes, moved("app/kustomization.yaml", kustomization, oddPins)...)...); s.Substituted < 10 {
			t.Errorf("%+v; want the strings substituted", s)
		}
	}
}

// What a remote base does with images is as unknown as what one of the tree does, and
// its files are not among the reads.
func TestNothingIsSubstitutedOnARemoteBase(t *testing.T) {
	const vars = "vars: [{name: IMAGE, objref: {apiVersion: apps/v1, kind: Deployment, name: payments}, fieldref: {fieldpath: 'spec.template.spec.containers[0].image'}}]\n"
	p, _ := fetching(t, map[string]fs.FS{"https://github.com/acme/bases@" + commit: tree(map[string]string{
		"kustomization.yaml": "resources: [w.yaml]\n" + vars + "configurations: [c.yaml]\n", "w.yaml": workload, "c.yaml": "varReference: [{path: metadata/name}]\n"})})
	first, changes := pinned("resources: ['https://github.com/acme/bases?ref="+commit+"']\nimages: [{name: payments, newTag: PIN}]\n", nil)
	if s := follow(t, p, "app", first, changes...); s.Substituted > 0 {
		t.Errorf("%+v; want all built", s)
	}
}

// A digest is put in as a tag is, with and without one.
func TestDigestsAreSubstituted(t *testing.T) {
	files := committed(change{"base/kustomization.yaml": "resources: [w.yaml]\n", "base/w.yaml": workload})
	kustomization := func(digest string) change {
		return change{"app/kustomization.yaml": fmt.Sprintf("resources: [../base]\nimages:\n- {name: payments, digest: %q}\n- name: proxy\n  newTag: v1\n  digest: %s\n", digest, digest)}
	}
	short := "sha256:" + strings.Repeat("1", 64)
	if s := follow(t, pool, "app", files.with(kustomization(digest17)), kustomization(digest18), kustomization(short), kustomization("sha256:12"), kustomization(digest17)); s.Substituted != 3 {
		t.Errorf("%+v; want three substituted: half a digest is none", s)
	}
}
