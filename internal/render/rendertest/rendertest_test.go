package rendertest_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

func TestMain(m *testing.M) {
	render.RunIfChild()
	os.Exit(m.Run())
}

func newPool(t *testing.T) *render.Pool {
	t.Helper()
	pool := render.NewPool(render.Options{Workers: 2})
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	return pool
}

// TestRenderingEqualsKustomize is the point of it all: whatever an overlay uses, it
// comes to the bytes that the kustomize command line prints.
func TestRenderingEqualsKustomize(t *testing.T) {
	pool := newPool(t)
	layouts, err := rendertest.Layouts()
	if err != nil {
		t.Fatal(err)
	}
	for name, l := range layouts {
		t.Run(name, func(t *testing.T) {
			if len(l.Overlays) == 0 {
				t.Fatal("nothing to render")
			}
			equalsKustomize(t, pool, l.Files, l.Overlays, l.Helm)
		})
	}
}

func equalsKustomize(t *testing.T, pool *render.Pool, files fs.FS, overlays []string, helm bool) {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, files); err != nil {
		t.Fatal(err)
	}
	var flags []string
	if helm {
		flags = []string{"--enable-helm"}
	}
	for _, overlay := range overlays {
		want, err := rendertest.KustomizeBuild(t.Context(), filepath.Join(dir, overlay), flags...)
		if err != nil {
			t.Errorf("kustomize build %s: %v", overlay, err)
			continue
		}
		got, err := pool.Build(t.Context(), files, render.Source{Dir: overlay})
		if err != nil {
			t.Errorf("%s: %v", overlay, err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got.Manifests)); diff != "" {
			t.Errorf("%s: -kustomize +tagboat:\n%s", overlay, diff)
		}
	}
}

// TestWhatKustomizeRefusesIsRefused: an overlay that people cannot build by hand is
// not one that Tagboat may deploy.
func TestWhatKustomizeRefusesIsRefused(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/refused/refused.txtar")
	if err != nil {
		t.Fatal(err)
	}
	files, dirs := fstest.MapFS{}, map[string]bool{}
	for _, f := range archive.Files {
		files[f.Name] = &fstest.MapFile{Data: f.Data}
		top, _, _ := strings.Cut(f.Name, "/")
		dirs[top] = true
	}
	disk := t.TempDir()
	if err := os.CopyFS(disk, files); err != nil {
		t.Fatal(err)
	}
	pool := newPool(t)
	for dir := range dirs {
		t.Run(dir, func(t *testing.T) {
			good := dir == "good"
			if out, err := rendertest.KustomizeBuild(t.Context(), filepath.Join(disk, dir), "--enable-helm"); (err == nil) != good {
				t.Errorf("kustomize: %v\n%s", err, out)
			}
			out, err := pool.Build(t.Context(), files, render.Source{Dir: dir})
			if (err == nil) != good {
				t.Fatalf("tagboat: %v\n%s", err, out.Manifests)
			}
			if !good && (fault.KindOf(err) != fault.Invalid && fault.KindOf(err) != fault.NotFound || strings.Contains(err.Error(), "\n")) {
				t.Errorf("%v: %v", fault.KindOf(err), err)
			}
		})
	}
}

func TestAGeneratedRepoRendersAsKustomizeSays(t *testing.T) {
	repo := rendertest.Repo{Apps: 20}
	all := repo.Overlays()
	if len(all) != 60 {
		t.Fatalf("%d overlays", len(all))
	}
	var some []string // among these are apps with all that an app may have, and with nothing
	for i := 0; i < len(all); i += 7 {
		some = append(some, all[i])
	}
	equalsKustomize(t, newPool(t), repo.FS(), append(some, all[2]), false)
}

func TestAGeneratedRepoIsOneThatTagboatKnows(t *testing.T) {
	repo := rendertest.Repo{Apps: 30, Envs: []string{"dev", "prod"}, Seed: 7}
	_, pairs, err := envrepo.Load(repo.FS())
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, p := range pairs {
		if p.Err != nil {
			t.Errorf("%s: %v", p.Path, p.Err)
		}
		paths = append(paths, p.Path)
	}
	slices.Sort(paths)
	if diff := cmp.Diff(repo.Overlays(), paths); diff != "" {
		t.Errorf("-generated +discovered:\n%s", diff)
	}
}

func TestAGeneratedRepoIsAFileSystem(t *testing.T) {
	if err := fstest.TestFS(rendertest.Repo{Apps: 2}.FS(), "tagboat.yaml", "apps/app-0001/overlays/prod/kustomization.yaml"); err != nil {
		t.Error(err)
	}
}

// TestACommitChangesWhatItSays renders every overlay before and after each kind of
// commit, from the git repository: those that came to something else are those
// that the commit names.
func TestACommitChangesWhatItSays(t *testing.T) {
	repo := rendertest.Repo{Apps: 11, Envs: []string{"dev", "prod"}}
	dir := filepath.Join(t.TempDir(), "env.git")
	history, err := repo.Git(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	pool := newPool(t)
	rendered := func(commit string) map[string]string {
		local, err := gitmirror.OpenLocal(dir)
		if err != nil {
			t.Fatal(err)
		}
		tree, err := local.At(commit)
		if err != nil {
			t.Fatal(err)
		}
		all := map[string]string{}
		for _, overlay := range repo.Overlays() {
			out, err := pool.Build(t.Context(), tree, render.Source{Dir: overlay})
			if err != nil {
				t.Fatal(err)
			}
			all[overlay] = string(out.Manifests)
		}
		return all
	}
	before := rendered(history.Head)
	for change, want := range map[rendertest.Change]int{
		rendertest.BumpTag: 1, rendertest.EditBase: 2, rendertest.EditMonitoring: 4, rendertest.EditCommon: 22, rendertest.EditReadme: 0,
	} {
		commit, err := history.Commit(t.Context(), change)
		if err != nil {
			t.Fatal(err)
		}
		if len(commit.Affected) != want || len(commit.Files) != 1 {
			t.Errorf("%s: it affects %v by %v, want %d", change, commit.Affected, commit.Files, want)
		}
		after := rendered(commit.ID)
		var changed []string
		for overlay := range after {
			if before[overlay] != after[overlay] {
				changed = append(changed, overlay)
			}
		}
		slices.Sort(changed)
		if !slices.Equal(changed, commit.Affected) {
			t.Errorf("%s: changed %v, said %v", change, changed, commit.Affected)
		}
		before = after
	}
}

func TestTheSameRepoIsTheSameCommit(t *testing.T) {
	var heads []string
	for range 2 {
		h, err := rendertest.Repo{Apps: 3}.Git(t.Context(), filepath.Join(t.TempDir(), "env.git"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Commit(t.Context(), rendertest.BumpTag); err != nil {
			t.Fatal(err)
		}
		heads = append(heads, h.Head)
	}
	if heads[0] != heads[1] {
		t.Errorf("two heads: %v", heads)
	}
}

// TestAChartWithoutEndCostsAChildAndNoMore: templates are programs.
func TestAChartWithoutEndCostsAChildAndNoMore(t *testing.T) {
	pool := render.NewPool(render.Options{Workers: 1, Timeout: 10 * time.Second, MemoryLimit: 256 << 20})
	t.Cleanup(func() {
		if err := pool.Close(); err != nil {
			t.Error(err)
		}
	})
	for name, template := range map[string]string{
		"a loop":             `{{ range until 100000 }}{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}{{ end }}`,
		"memory":             `{{ until 1000000000 | len }}`,
		"output":             `{{ range until 1000000 }}{{ repeat 1000 "x: y # z" }}{{ end }}`,
		"recursion of tpl":   `{{ $t := "{{ tpl .t . }}" }}{{ tpl $t (dict "t" $t "Template" .Template) }}`,
		"recursion of names": `{{ define "x" }}{{ template "x" . }}{{ end }}{{ template "x" . }}`,
	} {
		t.Run(name, func(t *testing.T) {
			files := fstest.MapFS{
				"app/kustomization.yaml":        {Data: []byte("helmCharts: [{name: x, releaseName: x}]\n")},
				"app/charts/x/Chart.yaml":       {Data: []byte("apiVersion: v2\nname: x\nversion: 1.0.0\n")},
				"app/charts/x/values.yaml":      {Data: []byte("a: 1\n")},
				"app/charts/x/templates/x.yaml": {Data: []byte(template)},
				"well/kustomization.yaml":       {Data: []byte("configMapGenerator: [{name: x, literals: [a=b]}]\n")},
			}
			start := time.Now()
			_, err := pool.Build(t.Context(), files, render.Source{Dir: "app"})
			t.Logf("after %v: %v", time.Since(start).Round(time.Millisecond), err)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "app") || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v", err)
			}
			if _, err := pool.Build(t.Context(), files, render.Source{Dir: "well"}); err != nil {
				t.Errorf("the next build: %v", err)
			}
		})
	}
}
