package envrepo_test

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/fault"
)

// soon fails a test that took longer than any honest input could.
func soon(t *testing.T, start time.Time) {
	t.Helper()
	if took := time.Since(start); took > 90*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestAnAliasBombDoesNotExplode(t *testing.T) {
	list := "[" + strings.Repeat("p, ", 9_999) + "p]"
	bombs := map[string]string{
		"lists of lists": "apiVersion: tagboat.dev/v1\nenvironments:\n- name: dev\n  clusters: &a " + list + "\n  waves: [" + strings.Repeat("*a, ", 9_999) + "*a]\n",
		"environments":   "apiVersion: tagboat.dev/v1\nenvironments:\n- &e {name: dev, checks: &a " + list + ", clusters: [dev]}\n" + strings.Repeat("- *e\n", 20_000),
		"itself":         "apiVersion: tagboat.dev/v1\nenvironments: &a [*a]\n",
		"many":           "environments: [" + strings.Repeat("a,", 500_000) + "a]\n",
	}
	for name, bomb := range bombs {
		t.Run(name, func(t *testing.T) {
			start := time.Now()
			_, err := envrepo.Parse("tagboat.yaml", []byte(bomb))
			if !fault.Is(err, fault.Invalid) || len(envrepo.Problems(err)) > 102 {
				t.Errorf("%d problems, %.200v", len(envrepo.Problems(err)), err)
			}
			soon(t, start)
		})
	}
	for name, bomb := range map[string]string{
		"kustomization": "x: &x {" + strings.Repeat("a: 1, ", 5_000) + "name: app}\nimages: [" + strings.Repeat("*x,", 100_000) + "*x]\n",
		"values":        "a: &a [" + strings.Repeat("{image: 'a:1'},", 1_000) + "1]\nb: &b [" + strings.Repeat("*a,", 1_000) + "1]\nc: [" + strings.Repeat("*b,", 1_000) + "1]\n",
		"itself":        "a: &a {b: *a}\n",
	} {
		t.Run("an overlay: "+name, func(t *testing.T) {
			start := time.Now()
			_, pairs, err := envrepo.Load(repo(map[string]string{
				"tagboat.yaml":         "apiVersion: tagboat.dev/v1\napps: [{name: a, path: 'a/{env}'}, {name: b, file: 'b/{env}.yaml'}]\nenvironments: [{name: dev, clusters: [dev]}]\n",
				"a/dev/Kustomization":  bomb,
				"b/dev.yaml":           bomb,
				"b/kustomization.yaml": "resources: []\n",
			}))
			if err != nil || len(pairs) != 2 {
				t.Errorf("%v, %v", pairs, err)
			}
			soon(t, start)
		})
	}
}

func TestABrokenGeneratorsThousandMistakesAreToldInPart(t *testing.T) {
	_, err := envrepo.Parse("tagboat.yaml", []byte("apiVersion: tagboat.dev/v1\nenvironments:\n"+strings.Repeat("- {nam: dev}\n", 1_000)))
	problems := envrepo.Problems(err)
	if len(problems) != 101 || !strings.Contains(problems[100].Message, "900 more problems are not shown; mend these first") {
		t.Errorf("%d problems, the last %v", len(problems), problems[len(problems)-1])
	}
}

func TestTooManyEnvironmentsAreRefused(t *testing.T) {
	var b strings.Builder
	b.WriteString("apiVersion: tagboat.dev/v1\nenvironments:\n")
	for i := range 501 {
		fmt.Fprintf(&b, "- {name: e%d, clusters: [c]}\n", i)
	}
	_, err := envrepo.Parse("tagboat.yaml", []byte(b.String()))
	if err == nil || err.Error() != "tagboat.yaml:503: more than 500 environments; split the repository" {
		t.Errorf("got %v", err)
	}
}

// TestALargeRepositoryIsProposedForInBoundedTime has 20,000 files in which every
// path is another shape, as far as that goes.
func TestALargeRepositoryIsProposedForInBoundedTime(t *testing.T) {
	files := map[string]string{}
	for i := range 5_000 {
		app, env := fmt.Sprintf("app%d", i/3), []string{"dev", "staging", "prod"}[i%3]
		files[fmt.Sprintf("apps/%s/overlays/%s/kustomization.yaml", app, env)] = "images: [{name: registry.example.com/" + app + ", newTag: 1.0.0}]\n"
		files[fmt.Sprintf("d%d/e%d/prod/f%d/kustomization.yaml", i%50, i%70, i)] = "images: [{name: x, newTag: '1'}]\n"
		files[fmt.Sprintf("m/%d/n/o/p/q/deployment-%d-%s.yaml", i, i, env)] = "apiVersion: v1\nkind: Pod\nspec: {containers: [{image: 'x:1'}]}\n"
		files[fmt.Sprintf("charts/c%d/values.yaml", i)] = "image: {repository: y, tag: z}\n"
	}
	tree := inMemory(files)
	start := time.Now()
	proposal, err := envrepo.Propose(tree)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d files in %v, %d pairs, %d notes", len(files), time.Since(start), len(proposal.Pairs), len(proposal.Notes))
	if len(proposal.Pairs) < 5_000 || len(proposal.YAML) > 64<<10 {
		t.Errorf("%d pairs, %d bytes", len(proposal.Pairs), len(proposal.YAML))
	}
}

// BenchmarkDiscover reads 1,000 apps in 3 environments.
func BenchmarkDiscover(b *testing.B) {
	for _, apps := range []int{100, 1000, 3000} {
		b.Run(fmt.Sprintf("%dx3", apps), func(b *testing.B) {
			files := map[string]string{}
			for i := range apps {
				for _, env := range []string{"dev", "staging", "prod"} {
					files[fmt.Sprintf("apps/app-%d/overlays/%s/kustomization.yaml", i, env)] = fmt.Sprintf("resources: [../../base]\nimages:\n- name: app-%d\n  newName: registry.example.com/acme/app-%d\n  newTag: 1.0.0\n", i, i)
				}
				files[fmt.Sprintf("apps/app-%d/base/kustomization.yaml", i)] = "resources: [deployment.yaml]\n"
			}
			tree := inMemory(files)
			config, err := envrepo.Parse("tagboat.yaml", []byte("apiVersion: tagboat.dev/v1\nenvironments: [{name: dev, clusters: [d]}, {name: staging, clusters: [s]}, {name: prod, clusters: [p]}]\n"))
			if err != nil {
				b.Fatal(err)
			}
			for b.Loop() {
				pairs, err := envrepo.Discover(tree, config)
				if err != nil || len(pairs) != 3*apps {
					b.Fatalf("%d pairs, %v", len(pairs), err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*apps*3), "us/pair")
		})
	}
}

// memory is a tree whose directories cost a look-up, as those of a git tree do;
// fstest.MapFS goes through all files for each.
type memory struct {
	files fstest.MapFS
	dirs  map[string][]fs.DirEntry
}

func inMemory(files map[string]string) memory {
	m := memory{repo(files), map[string][]fs.DirEntry{}}
	known := map[string]bool{".": true}
	var add func(name string, info fs.FileInfo)
	add = func(name string, info fs.FileInfo) {
		if known[name] {
			return
		}
		known[name] = true
		dir := path.Dir(name)
		m.dirs[dir] = append(m.dirs[dir], fs.FileInfoToDirEntry(info))
		add(dir, dirInfo{path.Base(dir)})
	}
	for name := range files {
		info, err := fstest.MapFS{path.Base(name): m.files[name]}.Stat(path.Base(name))
		if err != nil {
			panic(err)
		}
		add(name, info)
	}
	for _, entries := range m.dirs {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return m
}

func (m memory) Open(name string) (fs.File, error) { return m.files.Open(name) }

func (m memory) ReadFile(name string) ([]byte, error) {
	if f := m.files[name]; f != nil {
		return f.Data, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

func (m memory) ReadDir(name string) ([]fs.DirEntry, error) {
	if entries, ok := m.dirs[name]; ok {
		return entries, nil
	}
	if m.files[name] != nil {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: errors.New("not a directory")}
	}
	return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
}

func (m memory) Stat(name string) (fs.FileInfo, error) {
	if _, ok := m.dirs[name]; ok {
		return dirInfo{path.Base(name)}, nil
	}
	return m.files.Stat(name)
}

// dirInfo is a directory's.
type dirInfo struct{ name string }

func (d dirInfo) Name() string     { return d.name }
func (dirInfo) Size() int64        { return 0 }
func (dirInfo) Mode() fs.FileMode  { return fs.ModeDir | 0o755 }
func (dirInfo) ModTime() time.Time { return time.Time{} }
func (dirInfo) IsDir() bool        { return true }
func (dirInfo) Sys() any           { return nil }
