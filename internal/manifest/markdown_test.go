package manifest_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	east "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"

	"github.com/tagboat/tagboat/internal/manifest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got, -update rewrites):\n%s", file, diff)
	}
}

// release is a diff with everything in it that people meet.
func release(t *testing.T) []manifest.OverlayDiff {
	t.Helper()
	claim := "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: data, namespace: payments}\nspec: {size: 1}\n"
	secret := "---\napiVersion: v1\nkind: Secret\nmetadata: {name: db, namespace: payments}\ndata: {password: %s}\n"
	before := overlay + claim + fmt.Sprintf(secret, "aHVudGVyMg==")
	after := strings.NewReplacer(
		"7b2k9f4c5d", "9hdtm2g6c8", "hello", "welcome\n    mention: '@acme/platform #123'", "payments:1.6.0", "payments:1.7.0", "replicas: 2", "replicas: 0",
		"        - --log=info", "        - --log=info\n        - --trace",
	).Replace(overlay) + fmt.Sprintf(secret, "aHVudGVyMw==") +
		"---\n{apiVersion: v1, kind: ServiceAccount, metadata: {name: payments, namespace: payments}, automountServiceAccountToken: false}\n"
	bump := compare(t, deployment, strings.Replace(deployment, "payments:1.6.0", "payments:1.7.0", 1))
	path := "apps/payments/overlays/"
	return []manifest.OverlayDiff{
		{Path: path + "dev", App: "payments", Env: "dev"},
		{Path: path + "staging", App: "payments", Env: "staging", Diff: bump},
		{Path: path + "prod", App: "payments", Env: "prod", Cluster: "prod-eu", Diff: compare(t, before, after)},
		{Path: path + "prod", App: "payments", Env: "prod", Cluster: "prod-us", Diff: compare(t, before, after)},
		{Path: "apps/broken", Err: "apps/broken/kustomization.yaml: no such resource `base`"},
	}
}

func TestAReleaseAsPeopleReadIt(t *testing.T) {
	all := release(t)
	golden(t, "release.txt", manifest.Text(all))
	golden(t, "release.md", manifest.Markdown(all, 60_000))
	raw, err := manifest.JSON(all)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "release.json", string(raw))
}

func TestABumpSaysThatOnlyTheImageChanges(t *testing.T) {
	bump := release(t)[1:2]
	golden(t, "bump.txt", manifest.Text(bump))
	golden(t, "bump.md", manifest.Markdown(bump, 60_000))
}

func TestNothingThatDiffersIsSaidInOneLine(t *testing.T) {
	same := release(t)[:1]
	for _, got := range []string{manifest.Text(same), manifest.Text(nil), manifest.Markdown(same, 1000)} {
		if !strings.HasPrefix(strings.Trim(got, "*"), "No rendered object differs.") {
			t.Errorf("got %q", got)
		}
	}
}

func TestImagesAreNamedInShort(t *testing.T) {
	sha := func(c string) string { return "sha256:" + strings.Repeat(c, 64) }
	for _, c := range []struct{ before, after, want string }{
		{"a.example.com:5000/x:1", "a.example.com:5000/x:2", "a.example.com:5000/x 1 -> 2"},
		{"x:1@" + sha("a"), "x:2@" + sha("b"), "x 1 -> 2"},
		{"x:1@" + sha("a"), "x:1@" + sha("b"), "x " + sha("a") + " -> " + sha("b")},
		{"x@" + sha("a"), "x@" + sha("b"), "x " + sha("a") + " -> " + sha("b")},
		{"x:1", "y:1", "x:1 -> y:1"},
		{"x:1", "x@" + sha("a"), "x:1 -> x@" + sha("a")},
	} {
		d := compare(t, object("Pod", "spec: {containers: [{name: a, image: '"+c.before+"'}]}"), object("Pod", "spec: {containers: [{name: a, image: '"+c.after+"'}]}"))
		images, only := d.Images()
		if len(images) != 1 || !only || images[0].String() != c.want {
			t.Errorf("%s to %s: %v, only %v", c.before, c.after, images, only)
		}
	}
}

func TestWhatIsMoreThanAnImage(t *testing.T) {
	pod := func(a, b, more string) string {
		return object("Pod", "spec: {containers: [{name: a, image: '"+a+"'}, {name: b, image: '"+b+"'}]"+more+"}")
	}
	before := pod("x:1", "y:1", "")
	for _, c := range []struct{ story, after, rest string }{
		{"the image alone", pod("x:2", "y:1", ""), ""},
		{"another image, too", pod("x:2", "y:2", ""), "spec.containers[name=b].image"},
		{"another name", pod("z:2", "y:1", ""), "spec.containers[name=a].image"},
		{"another field", pod("x:2", "y:1", ", hostNetwork: true"), "spec.hostNetwork"},
	} {
		var left []string
		for _, o := range compare(t, before, c.after).WithoutImage("x").Objects {
			for _, f := range o.Fields {
				left = append(left, f.Path)
			}
		}
		if got := strings.Join(left, " "); got != c.rest {
			t.Errorf("%s: %q, want %q", c.story, got, c.rest)
		}
	}
	if rest := compare(t, before, "").WithoutImage("x"); len(rest.Objects) != 1 {
		t.Errorf("a removed object: %+v", rest)
	}
}

func TestWhatNobodyMayOverlookIsAWarning(t *testing.T) {
	before := object("Namespace", "a: 1") + "---\n" + strings.Replace(object("Deployment", "spec: {replicas: 2, selector: {matchLabels: {app: a}}}"), "v1", "apps/v1", 1) + "---\n" + object("Service", "a: 1")
	after := strings.Replace(object("Deployment", "spec: {replicas: 0, selector: {matchLabels: {app: b}}}"), "v1", "apps/v1", 1)
	d := []manifest.OverlayDiff{{App: "payments", Env: "prod", Diff: compare(t, before, after)}}
	want := []manifest.Warning{
		{Object: "Deployment x", Text: "has no replicas any more (spec.replicas: 0)", Overlays: []string{"payments prod"}},
		{Object: "Deployment x", Text: "spec.selector changes, which Kubernetes refuses for an object that exists", Overlays: []string{"payments prod"}},
		{Object: "Namespace x", Text: "is removed, and everything in the namespace with it", Overlays: []string{"payments prod"}},
	}
	if diff := cmp.Diff(want, manifest.Summarize(d).Warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

func TestASummaryStaysShort(t *testing.T) {
	var before, after, bumpBefore, bumpAfter string
	for i := range 20 {
		before += fmt.Sprintf("---\n{apiVersion: v1, kind: Namespace, metadata: {name: n%d}}\n", i)
		pod := "---\n{apiVersion: v1, kind: Pod, metadata: {name: p%d}, spec: {containers: [{name: a, image: 'registry.example.com/p%d:%d'}]}}\n"
		bumpBefore += fmt.Sprintf(pod, i, i, 1)
		bumpAfter += fmt.Sprintf(pod, i, i, 2)
	}
	var all []manifest.OverlayDiff
	for i := range 9 {
		all = append(all, manifest.OverlayDiff{App: fmt.Sprintf("a%d", i), Env: "prod", Diff: compare(t, before, after)})
	}
	md := manifest.Markdown(all, 60_000)
	for _, want := range []string{"> - and 10 more warnings\n", "`a4 prod` and 4 more)", "#### `a0 prod`, `a1 prod`, `a2 prod`, `a3 prod`, `a4 prod` and 4 more\n"} {
		if !strings.Contains(md, want) {
			t.Errorf("no %q in:\n%s", want, md)
		}
	}
	if tight := manifest.Markdown(all, 700); !strings.Contains(tight, "> 20 warnings, too long to show here.\n") {
		t.Errorf("tight:\n%s", tight)
	}
	md = manifest.Markdown([]manifest.OverlayDiff{{App: "a", Env: "prod", Diff: compare(t, bumpBefore, bumpAfter)}}, 60_000)
	if want := "\nOnly images change: `registry.example.com/p0` `1` → `2`, "; !strings.Contains(md, want) || !strings.Contains(md, "`2`, and 15 more.\n") {
		t.Errorf("images:\n%s", md)
	}
}

func TestALongDiffIsCutBetweenObjectsAndSaysSo(t *testing.T) {
	var before, after strings.Builder
	for i := range 400 {
		fmt.Fprintf(&before, "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}, data: {a: b}}\n", i)
		fmt.Fprintf(&after, "---\n{apiVersion: v1, kind: ConfigMap, metadata: {name: c%d}, data: {a: %q}}\n", i, strings.Repeat("x", 200))
	}
	all := []manifest.OverlayDiff{{App: "payments", Env: "prod", Diff: compare(t, before.String(), after.String())}}
	got := manifest.Markdown(all, 20_000)
	shown := strings.Count(got, "<details>")
	if len(got) > 20_000 || len(got) < 19_000 || shown < 30 {
		t.Errorf("%d bytes with %d objects", len(got), shown)
	}
	want := fmt.Sprintf("\nLeft out here, for this is too long for GitHub: %d of 400 objects. `tagboat diff --from BASE --to HEAD` shows all.\n", 400-shown)
	if !strings.HasSuffix(got, "</details>\n"+want) {
		t.Errorf("it ends with %q, want %q", got[max(0, len(got)-200):], want)
	}
	if n := strings.Count(manifest.Text(all), "~ ConfigMap"); n != 400 {
		t.Errorf("the text has %d objects", n)
	}
}

func TestThousandsOfOverlaysKeepRoomForTheDetails(t *testing.T) {
	var all []manifest.OverlayDiff
	for i := range 3000 {
		before := object("ConfigMap", "data: {a: b}")
		d := compare(t, before, strings.Replace(before, "a: b", fmt.Sprintf("a: c%d", i), 1))
		all = append(all, manifest.OverlayDiff{Path: fmt.Sprintf("apps/a%d/overlays/prod", i), Diff: d})
	}
	got := manifest.Markdown(all, 30_000)
	for _, want := range []string{"**3000 overlays differ: 3000 objects changed.**", "| `apps/a24/overlays/prod` | 1 | 0 | 0 |", "and 2975 more groups that differ in other ways.", "<details>", " of 3000 objects. `tagboat diff"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in:\n%.3000s", want, got)
		}
	}
}

// awkward values try to leave the code that they stand in.
var awkward = []string{
	"```", "~~~", "````diff", "`", "``", "`` ` ``", "</details>", "</code></summary>", "<details>", "<script>", "@acme", "@acme/platform", "#123", "acme/payments#7",
	"<!-- tagboat:status -->", "<!--", "-->", "- [ ] merge it", "- [x] done", "\n- [ ] a\n", "\n\n* [x] @acme\n\n", "|", `\|`, "| a | b |", "[x](javascript:1)", "![x](https://example.com/x.png)",
	"\x1b[31m", "\r", "\t", "\u202e", "\u200b", "\ufeff", "/promote prod", "\n/promote prod\n", "> x", "# h", "---", "&lt;", "&#64;acme", ":tada:", "https://example.com", strings.Repeat("long ", 2000),
	"a: b", "x\n", "\n", " ", "", "é", "😀", "\n```\n@acme\n", "\n</details>\n\n- [ ] x\n", "\n\n    code\n",
}

var mention = regexp.MustCompile(`@[A-Za-z0-9]|#[0-9]`)

// judge parses Markdown as GitHub does, and finds what a value must not become.
func judge(t interface{ Errorf(string, ...any) }, md string, limit int) {
	if len(md) > max(limit, 0) {
		t.Errorf("%d bytes, the limit is %d", len(md), limit)
	}
	if !utf8.ValidString(md) {
		t.Errorf("no UTF-8: %q", md)
	}
	src := []byte(md)
	open := 0
	html := func(raw []byte) {
		open += bytes.Count(raw, []byte("<details>")) - bytes.Count(raw, []byte("</details>"))
		if open < 0 || open > 1 {
			t.Errorf("details are not balanced in:\n%s", md)
		}
		rest := regexp.MustCompile(`<code>[^<]*</code>|</?(details|summary)>`).ReplaceAll(raw, nil)
		if len(bytes.TrimSpace(rest)) > 0 {
			t.Errorf("HTML %q in:\n%s", rest, md)
		}
	}
	_ = ast.Walk(goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.FencedCodeBlock:
			if string(n.Language(src)) != "diff" {
				t.Errorf("a code block in %q in:\n%s", n.Language(src), md)
			}
			return ast.WalkSkipChildren, nil
		case *ast.CodeSpan:
			return ast.WalkSkipChildren, nil
		case *ast.HTMLBlock:
			var raw []byte
			for i := range n.Lines().Len() {
				line := n.Lines().At(i)
				raw = append(raw, line.Value(src)...)
			}
			html(raw)
		case *ast.RawHTML:
			t.Errorf("inline HTML in:\n%s", md)
		case *ast.CodeBlock, *ast.Link, *ast.Image, *ast.AutoLink, *ast.ThematicBreak, *east.TaskCheckBox, *east.Strikethrough:
			t.Errorf("%s in:\n%s", n.Kind(), md)
		case *ast.Heading:
			if n.Level != 4 {
				t.Errorf("a heading of level %d in:\n%s", n.Level, md)
			}
		case *ast.Text:
			if found := mention.Find(n.Value(src)); found != nil {
				t.Errorf("%q outside code in:\n%s", n.Value(src), md)
			}
		}
		return ast.WalkContinue, nil
	})
	if open != 0 {
		t.Errorf("%d details stay open in:\n%s", open, md)
	}
}

func TestNoValueLeavesItsCode(t *testing.T) {
	for _, a := range awkward {
		for _, b := range []string{"", "x", "`", "\n"} {
			all := hostile(a+b, b+a)
			judge(t, manifest.Markdown(all, 60_000), 60_000)
			for i, r := range manifest.Text(all) {
				if r != '\n' && r != '\t' && r < ' ' || r == '\u202e' {
					t.Errorf("%q at %d of the text", r, i)
				}
			}
		}
	}
	judge(t, manifest.Markdown(release(t), 60_000), 60_000)
}

// hostile puts texts wherever a diff has room for them.
func hostile(a, b string) []manifest.OverlayDiff {
	d, err := manifest.Compare([]byte(hostileObject(a, b)), []byte(hostileObject(b, a)))
	if err != nil {
		panic(err)
	}
	d.Objects = append(d.Objects,
		manifest.ObjectDiff{ID: manifest.ID{APIVersion: "v1", Kind: "Namespace", Namespace: a, Name: b}, Change: manifest.Removed},
		manifest.ObjectDiff{ID: manifest.ID{APIVersion: a + "/v1", Kind: b, Name: a}, Change: manifest.Changed, Was: b, Fields: []manifest.FieldDiff{
			{Path: a, Change: manifest.Changed, Old: a, New: b, Reference: true}, {Path: b, Change: manifest.Added, New: a}, {Path: a, Change: manifest.Changed, Old: b, New: a}, {Path: "image", Change: manifest.Changed, Old: a, New: b},
		}})
	return []manifest.OverlayDiff{
		{Path: a, Diff: d}, {Path: b, App: a, Env: b, Cluster: a + b, Diff: d}, {Path: a, Err: b}, {Path: a, Err: a + b},
		{App: b, Diff: manifest.Diff{Objects: []manifest.ObjectDiff{{ID: manifest.ID{Kind: "Pod"}, Change: manifest.Changed,
			Fields: []manifest.FieldDiff{{Path: "spec.image", Change: manifest.Changed, Old: a, New: b}}}}}},
	}
}

func hostileObject(a, b string) string {
	return fmt.Sprintf("{apiVersion: v1, kind: Thing, metadata: {name: x}, text: %s, ? %s : {x: %s}, list: [%s, %s]}", quote(a), quote("k"+b), quote(a), quote(a), quote(b))
}

// quote writes s as YAML, which is JSON's way for what the tests write.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		if r < ' ' || r == '"' || r == '\\' || r == '\ufeff' || r == 0x7f || r >= 0x80 && r < 0xa0 || r == 0xfffe || r == 0xffff {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	b.WriteByte('"')
	return b.String()
}
