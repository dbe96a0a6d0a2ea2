package app

import (
	"io/fs"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// What is out of reach is not rendered. So whatever a rendering does read, and a
// change of which could change it, has to be within reach.
func TestWhateverARenderingReadsIsWithinReach(t *testing.T) {
	layouts, err := rendertest.Layouts()
	if err != nil {
		t.Fatal(err)
	}
	repo := rendertest.Repo{Apps: 10}
	layouts["a generated repo"] = rendertest.Layout{Files: repo.FS(), Overlays: repo.Overlays()}
	layouts["a directory in a directory"] = rendertest.Layout{Overlays: []string{"prod"}, Files: tree(map[string]string{
		"prod/kustomization.yaml":         "resources: [inner]\n",
		"prod/inner/kustomization.yaml":   "resources:\n- &base ../../base/./\n- ../../other\n",
		"base/kustomization.yaml":         "resources: [pod.yaml]\n",
		"base/pod.yaml":                   podText,
		"other/kustomization.yaml":        "configMapGenerator: [{name: c, files: [\"k=f.txt\"]}]\n",
		"other/f.txt":                     "1",
		"unrelated/kustomization.yaml":    "resources: [../base]\n",
		"prod/inner/deeper/irrelevant.md": "",
	})}
	reads := 0
	for name, layout := range layouts {
		for _, dir := range layout.Overlays {
			source := render.Source{Dir: dir}
			output, err := pool.Build(t.Context(), layout.Files, source)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, r := range output.Reads {
				reads++
				info, err := fs.Stat(layout.Files, r.Path)
				if r.Path == "." || err == nil && info.IsDir() && r.Kind == render.Stat {
					continue // a file takes a directory's place only where its files go, which are read
				}
				if !reachOf(layout.Files, []string{r.Path}).may(diffOverlay{path: dir, before: &source, after: &source}) {
					t.Errorf("%s: %s reads %s (%s), which is out of its reach", name, dir, r.Path, r.Kind)
				}
			}
		}
	}
	if reads == 0 {
		t.Error("nothing was read")
	}
}

func TestAnUnrelatedChangeIsOutOfReach(t *testing.T) {
	files := twoApps()
	for file, want := range map[string][]string{
		"README.md":                    nil,
		"base/new.yaml":                {"dev", "prod"},
		"component/kustomization.yaml": {"prod"},
		"cart/pod.yaml":                {"cart"},
		"dev2/kustomization.yaml":      nil,
	} {
		var got []string
		for _, dir := range []string{"cart", "dev", "prod"} {
			source := render.Source{Dir: dir}
			if reachOf(files, []string{file}).may(diffOverlay{path: dir, before: &source, after: &source}) {
				got = append(got, dir)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", file, diff)
		}
	}
}

func TestATreeWithLinksIsRenderedWhole(t *testing.T) {
	with := func(base string) fs.FS {
		return on(t, map[string]string{"base/kustomization.yaml": base, "base/pod.yaml": podText, "prod/kustomization.yaml": "resources: [../link]\n"},
			map[string]string{"link": "base"})
	}
	before, after := with("resources: [pod.yaml]\n"), with("resources: [pod.yaml]\nnamePrefix: new-\n")
	diffs, err := diffTrees(t.Context(), pool, before, after, []string{"prod"})
	if diff := cmp.Diff(map[string]string{"prod": "differs"}, outcome(diffs)); diff != "" || err != nil {
		t.Errorf("%v %s", err, diff)
	}
}

func TestChangesBetweenTwoTrees(t *testing.T) {
	before := tree(map[string]string{"a/x": "1", "a/y": "1", "b": "1", ".git/HEAD": "1"})
	after := tree(map[string]string{"a/x": "1", "a/y": "2", "b/z": "1", "c": "1", ".git/HEAD": "2"})
	got, links, err := changes(before, after)
	slices.Sort(got)
	if diff := cmp.Diff([]string{"a/y", "b", "b/z", "c"}, got); diff != "" || links || err != nil {
		t.Errorf("%v %v %s", links, err, diff)
	}
	after["a/link"] = &fstest.MapFile{Data: []byte("x"), Mode: fs.ModeSymlink}
	if _, links, err = changes(before, after); !links || err != nil {
		t.Errorf("a link is passed over: %v", err)
	}
}
