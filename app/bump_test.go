package app

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/overlay"
)

var newDigest = "sha256:" + strings.Repeat("2", 64)

func newTag(name, tag string) overlay.Change {
	return overlay.Change{Kind: overlay.KindImage, Name: name, Version: tag}
}

func tree(files map[string]string) fstest.MapFS {
	m := fstest.MapFS{}
	for name, content := range files {
		m[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return m
}

// changed is which files a bump changes, and what a line of each becomes.
func changed(t *testing.T, files map[string]string, o BumpOptions) map[string]string {
	t.Helper()
	edits, _, err := planBump(tree(files), o)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for _, e := range edits {
		var added []string
		for line := range strings.Lines(overlay.UnifiedDiff(e)) {
			if strings.HasPrefix(line, "+ ") || strings.HasPrefix(line, "+-") {
				added = append(added, strings.TrimSpace(line[1:]))
			}
		}
		lines[e.Path] = strings.Join(added, "; ")
	}
	return lines
}

func imagesOf(name, version string) string {
	return "images:\n- name: " + name + "\n  " + version + "\n"
}

func TestATagboatYAMLSaysWhereAnImageStandsAndHowItIsPinned(t *testing.T) {
	files := map[string]string{
		"tagboat.yaml": `apiVersion: tagboat.dev/v1
environments:
  - {name: dev, clusters: [dev], pin: tag, refs: true}
  - {name: prod, clusters: [prod], pin: tag+digest}
`,
		"apps/shop/overlays/dev/kustomization.yaml":  "resources:\n- https://github.com/acme/shop?ref=1.6.0\n" + imagesOf("shop", "newTag: 1.6.0"),
		"apps/shop/overlays/prod/kustomization.yaml": "resources:\n- https://github.com/acme/shop?ref=1.6.0\n" + imagesOf("shop", "newTag: 1.6.0"),
		"apps/cart/overlays/dev/kustomization.yaml":  imagesOf("cart", "newTag: 1.6.0"),
		"elsewhere/kustomization.yaml":               imagesOf("shop", "newTag: 1.6.0"),
	}
	change := newTag("shop", "1.7.0")
	change.Digest = newDigest
	want := map[string]string{
		"apps/shop/overlays/dev/kustomization.yaml":  "- https://github.com/acme/shop?ref=1.7.0; newTag: 1.7.0",
		"apps/shop/overlays/prod/kustomization.yaml": "newTag: 1.7.0; digest: " + newDigest,
	}
	if diff := cmp.Diff(want, changed(t, files, BumpOptions{Changes: []overlay.Change{change}})); diff != "" {
		t.Error(diff)
	}
	want["apps/shop/overlays/prod/kustomization.yaml"] = "newTag: 1.7.0"
	if diff := cmp.Diff(want, changed(t, files, BumpOptions{Changes: []overlay.Change{change}, Pin: overlay.PinTag})); diff != "" {
		t.Error("with another pin: ", diff)
	}
	_, _, err := planBump(tree(files), BumpOptions{Changes: []overlay.Change{newTag("shpo", "1.7.0")}})
	if !fault.Is(err, fault.NotFound) || !strings.Contains(err.Error(), "no app of tagboat.yaml carries a version of shpo") {
		t.Errorf("a name that no app has: %v", err)
	}
	files["tagboat.yaml"] = "apiVersion: tagboat.dev/v2\n"
	if _, _, err = planBump(tree(files), BumpOptions{Changes: []overlay.Change{change}}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an invalid tagboat.yaml is passed over: %v", err)
	}
}

func TestWithoutAConfigurationEveryFileIsLookedInto(t *testing.T) {
	files := map[string]string{
		"a/kustomization.yml":             imagesOf("shop", "newTag: 1.6.0"),
		"b/Kustomization":                 imagesOf("registry.example.com/shop", "newTag: 1.5.0"),
		"c/values.yaml":                   "image: {repository: shop, tag: 1.4.0}\n",
		"c/Chart.yaml":                    "apiVersion: v2\nname: c\nversion: 0.1.0\nappVersion: 1.4.0\n",
		"c/templates/pod.yaml":            "image: shop:{{ .Values.image.tag }}\n",
		"d/pod.yaml":                      "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: shop, image: \"shop:1.6.0\"}]}\n",
		"README.md":                       "image: shop:1.6.0",
		".github/workflows/test.yaml":     "image: shop:${{ tag }}",
		"vendor/shop/kustomization.yaml":  imagesOf("shop", "newTag: 1.6.0"),
		"node_modules/kustomization.yaml": imagesOf("shop", "newTag: 1.6.0"),
	}
	got := changed(t, files, BumpOptions{Changes: []overlay.Change{newTag("shop", "1.7.0")}})
	want := []string{"a/kustomization.yml", "c/Chart.yaml", "c/values.yaml", "d/pod.yaml"}
	if diff := cmp.Diff(want, slices.Sorted(maps.Keys(got))); diff != "" {
		t.Error(diff)
	}
	files["big.yaml"] = "image: shop:1.6.0\n" + strings.Repeat("#", maxFile)
	_, warnings, err := planBump(tree(files), BumpOptions{Changes: []overlay.Change{newTag("shop", "1.7.0")}})
	if err != nil || len(warnings) != 1 || !strings.Contains(warnings[0], "big.yaml is larger") {
		t.Errorf("a huge file: %v, %v", warnings, err)
	}
}

func TestABumpIsWrittenAsAWholeOrNotAtAll(t *testing.T) {
	files := map[string]string{
		"a/kustomization.yaml": imagesOf("shop", "newTag: 1.6.0"),
		"b/kustomization.yaml": imagesOf("shop", "newTag: 1.6.0"),
	}
	dir := write(t, files)
	root, err := openCheckout(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	edits, _, err := planBump(root.FS(), BumpOptions{Changes: []overlay.Change{newTag("shop", "1.7.0")}})
	if err != nil || len(edits) != 2 {
		t.Fatal(edits, err)
	}
	// Somebody else edits one of the files meanwhile.
	theirs := imagesOf("shop", "newTag: 1.6.1")
	if err := os.WriteFile(filepath.Join(dir, "b", "kustomization.yaml"), []byte(theirs), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeEdits(root, edits); !fault.Is(err, fault.Conflict) {
		t.Errorf("%v, want a conflict", err)
	}
	files["b/kustomization.yaml"] = theirs
	if diff := cmp.Diff(files, onDisk(t, dir)); diff != "" {
		t.Error(diff)
	}
	// One of the files went away meanwhile.
	if err := os.Remove(filepath.Join(dir, "b", "kustomization.yaml")); err != nil {
		t.Fatal(err)
	}
	if err := writeEdits(root, edits); err == nil {
		t.Error("a file that is gone is written")
	}
	delete(files, "b/kustomization.yaml")
	if diff := cmp.Diff(files, onDisk(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// onDisk is every file below a directory.
func onDisk(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(file string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, file)
		files[filepath.ToSlash(name)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestALinkThatLeadsOutOfTheCheckoutIsNotWritten(t *testing.T) {
	outside := write(t, map[string]string{"kustomization.yaml": imagesOf("shop", "newTag: 1.6.0")})
	for story, link := range map[string]struct{ name, target string }{
		"a file, absolute":  {"a/kustomization.yaml", filepath.Join(outside, "kustomization.yaml")},
		"a file, relative":  {"a/kustomization.yaml", filepath.Join("..", "..", filepath.Base(outside), "kustomization.yaml")},
		"a directory":       {"b", outside},
		"a link to itself":  {"a/kustomization.yaml", "kustomization.yaml"},
		"a link to nowhere": {"a/kustomization.yaml", "nowhere.yaml"},
	} {
		dir := write(t, map[string]string{"a/pod.yaml": podText})
		if err := os.Symlink(link.target, filepath.Join(dir, filepath.FromSlash(link.name))); err != nil {
			t.Fatal(err)
		}
		b, err := Bump(dir, BumpOptions{Paths: []string{link.name}, Changes: []overlay.Change{newTag("shop", "1.7.0")}, Write: true})
		if err == nil || b.Written {
			t.Errorf("%s: written", story)
		}
		root, err := openCheckout(dir)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := followLinks(root, link.name); err == nil {
			t.Errorf("%s: followed", story)
		}
		root.Close()
	}
	if got := onDisk(t, outside)["kustomization.yaml"]; !strings.Contains(got, "1.6.0") {
		t.Errorf("the file outside is now %s", got)
	}
}

func TestATagThatMovesWithoutItsDigestIsNoSecret(t *testing.T) {
	values := "image:\n  repository: registry.example.com/web\n  tag: 1.0.0\n"
	change := newTag("registry.example.com/web", "2.0.0")
	change.Digest = newDigest
	for story, c := range map[string]struct {
		file, content string
		pin           overlay.Pin
		want          string // the warning; "" for none
	}{
		"values without a digest":          {"values.yaml", values, "", "values.yaml:3: only the tag of registry.example.com/web moves"},
		"as asked for":                     {"values.yaml", values, overlay.PinTag, ""},
		"values with a digest":             {"values.yaml", values + "  digest: sha256:" + strings.Repeat("1", 64) + "\n", "", ""},
		"a kustomization takes the digest": {"kustomization.yaml", imagesOf("registry.example.com/web", "newTag: 1.0.0"), "", ""},
	} {
		_, warnings, err := planBump(tree(map[string]string{c.file: c.content}), BumpOptions{Changes: []overlay.Change{change}, Pin: c.pin})
		if got := strings.Join(warnings, "\n"); err != nil || !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
			t.Errorf("%s: warnings %q, %v", story, got, err)
		}
	}
}
