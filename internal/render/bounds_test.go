package render_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render"
)

const configMap = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\n"

// TestBadInputCostsLittle gives children what anybody could commit. Each is refused
// in one line that names the file, soon, and the child lives on.
func TestBadInputCostsLittle(t *testing.T) {
	p := render.NewPool(render.Options{Workers: 1})
	defer p.Close()
	deep := strings.Repeat("[", 100_000)
	diamonds := tree(map[string]string{"app/kustomization.yaml": "resources: [../l0]\n"})
	for i := range 40 { // 2^40 ways to the last one
		diamonds[fmt.Sprintf("l%d/kustomization.yaml", i)] = &fstest.MapFile{Data: fmt.Appendf(nil, "resources: [a, b]\n")}
		for _, side := range []string{"a", "b"} {
			diamonds[fmt.Sprintf("l%d/%s/kustomization.yaml", i, side)] = &fstest.MapFile{Data: fmt.Appendf(nil, "namePrefix: %s-\nresources: [../../l%d]\n", side, i+1)}
		}
	}
	diamonds["l40/kustomization.yaml"] = &fstest.MapFile{Data: []byte("configMapGenerator: [{name: x}]\n")}
	big := tree(map[string]string{"app/kustomization.yaml": "resources: [cm.yaml]\n"})
	big["app/cm.yaml"] = &fstest.MapFile{Data: make([]byte, 100<<20)}
	wide := tree(map[string]string{"app/kustomization.yaml": "configMapGenerator:\n- name: x\n  files: ["})
	for i := range 40 {
		wide["app/kustomization.yaml"].Data = fmt.Appendf(wide["app/kustomization.yaml"].Data, "f%d, ", i)
		wide[fmt.Sprintf("app/f%d", i)] = &fstest.MapFile{Data: []byte(strings.Repeat("x", 2<<20-1))}
	}
	wide["app/kustomization.yaml"].Data = append(wide["app/kustomization.yaml"].Data, "]\n"...)
	many := tree(map[string]string{"app/kustomization.yaml": "configMapGenerator:\n- name: x\n  files: [f0"})
	for i := range 40_000 {
		many["app/kustomization.yaml"].Data = fmt.Appendf(many["app/kustomization.yaml"].Data, ", f%d", i)
		many[fmt.Sprintf("app/f%d", i)] = &fstest.MapFile{}
	}
	many["app/kustomization.yaml"].Data = append(many["app/kustomization.yaml"].Data, "]\n"...)
	for _, c := range []struct {
		name string
		tree fs.FS
		want string
	}{
		{"many files", many, "app/f327"},
		{"a long reference", tree(map[string]string{"app/kustomization.yaml": "resources: ['" + strings.Repeat("x", 1<<20) + "']\n"}), "app/kustomization.yaml: resources: \"xxx"},
		{"a long remote reference", tree(map[string]string{"app/kustomization.yaml": "resources: ['https://example.com/" + strings.Repeat("x", 1<<20) + "']\n"}), "app/kustomization.yaml: resources: \"https://example.com/xxx"},
		{"a file of 100 MB", big, "app/cm.yaml: the file is larger than 2 MiB; split it"},
		{"a deep resource", tree(map[string]string{"app/kustomization.yaml": "resources: [cm.yaml]\n", "app/cm.yaml": deep}), "app: Kustomize cannot build it: "},
		{"a deep kustomization", tree(map[string]string{"app/kustomization.yaml": "resources: " + deep}), "app/kustomization.yaml: not valid YAML: "},
		{"a cycle", tree(map[string]string{"app/kustomization.yaml": "resources: [../b]\n", "b/kustomization.yaml": "resources: [../app]\n"}), `b/kustomization.yaml: resources: "../app" leads back`},
		{"many large files", wide, "app/f15: with it the build reads more than 32 MiB; split it"},
		{"no resources", tree(map[string]string{"app/kustomization.yaml": "resources: []\n"}), "app: it renders to nothing"},
		{"only a namespace", tree(map[string]string{"app/kustomization.yaml": "namespace: x\n"}), "app: it renders to nothing"},
		{"only comments", tree(map[string]string{"app/kustomization.yaml": "# later\n"}), "app: "},
		{"nothing", tree(map[string]string{"app/kustomization.yaml": ""}), "app: "},
		{"a crowd of objects", crowd(), "app: it takes longer than"},
		{"bases in bases in two", diamonds, "app: it "},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := p
			if strings.HasPrefix(c.name, "bases") || strings.HasPrefix(c.name, "a crowd") {
				p = render.NewPool(render.Options{Workers: 1, Timeout: 2 * time.Second})
				defer p.Close()
			}
			start := time.Now()
			_, err := p.Build(t.Context(), c.tree, render.Source{Dir: "app"})
			if hint := fault.HintOf(err); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(hint, c.want) || strings.Contains(hint, "\n") || len(hint) > 1000 {
				t.Errorf("%v: %v", fault.KindOf(err), err)
			}
			if took := time.Since(start); took > 90*time.Second {
				t.Errorf("it took %s", took)
			}
			t.Logf("%s: %v", time.Since(start).Round(time.Millisecond), err)
		})
	}
}

// crowd is an overlay with more objects than krusty, which compares each with
// each, can do in seconds.
func crowd() fs.FS {
	var objects strings.Builder
	for i := range 6000 {
		fmt.Fprintf(&objects, "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: x%d}\n", i)
	}
	return tree(map[string]string{"app/kustomization.yaml": "namePrefix: a-\nresources: [all.yaml]\n", "app/all.yaml": objects.String()})
}

// linked is a directory of the disk with links of every kind.
func linked(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write := func(name, data string) {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, name string) {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	write("shared/bases/web/kustomization.yaml", "resources: [cm.yaml, ../side]\n")
	write("shared/bases/web/cm.yaml", configMap)
	write("shared/bases/side/kustomization.yaml", "resources: [cm.yaml]\n")
	write("shared/bases/side/cm.yaml", strings.Replace(configMap, "name: x", "name: side", 1))
	write("app/kustomization.yaml", "resources: [../web, inside.yaml]\n")
	write("app/real.yaml", strings.Replace(configMap, "name: x", "name: linked", 1))
	link("shared/bases/web", "web")
	link("real.yaml", "app/inside.yaml")
	for name, target := range map[string]string{"passwd": "/etc/passwd", "up": "../../../../../../etc/passwd", "circle": "circle", "dangling": "nope.yaml", "sideways": "../shared/bases/web/cm.yaml"} {
		write(name+"/kustomization.yaml", "resources: [x.yaml]\n")
		link(target, name+"/x.yaml")
	}
	link("x.yaml", "circle/circle")
	write("outside/kustomization.yaml", "resources: [dir]\n")
	link("/", "outside/dir")
	return dir
}

func TestLinksAreFollowedInsideTheTreeOnly(t *testing.T) {
	dir := linked(t)
	output, err := pool.Build(t.Context(), os.DirFS(dir), render.Source{Dir: "app"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"name: x", "name: side", "name: linked"} {
		if !strings.Contains(string(output.Manifests), want) {
			t.Errorf("%q is missing in\n%s", want, output.Manifests)
		}
	}
	kinds := map[string][]render.ReadKind{}
	for _, r := range output.Reads {
		kinds[r.Path] = append(kinds[r.Path], r.Kind)
	}
	for _, link := range []string{"web", "app/inside.yaml"} {
		if got := kinds[link]; len(got) != 1 || got[0] != render.Link {
			t.Errorf("%s is read as %v", link, got)
		}
	}
	if got := kinds["shared/bases/web/cm.yaml"]; len(got) != 1 || got[0] != render.Content {
		t.Errorf("the file at the end of the link is read as %v", got)
	}
	for name, want := range map[string]string{
		"passwd":   "passwd/x.yaml: it is a symbolic link that leads out of the repository",
		"up":       "up/x.yaml: it is a symbolic link that leads out of the repository",
		"outside":  "outside/dir: it is a symbolic link that leads out of the repository",
		"circle":   "circle/x.yaml: its symbolic links lead in a circle",
		"dangling": `dangling/kustomization.yaml: resources: "x.yaml" is not a file of this repository`,
		"sideways": "sideways: Kustomize cannot build it: ",
	} {
		if _, err := pool.Build(t.Context(), os.DirFS(dir), render.Source{Dir: name}); !fault.Is(err, fault.Invalid) || !strings.HasPrefix(fault.HintOf(err), want) {
			t.Errorf("%s: %v: %v", name, fault.KindOf(err), err)
		}
	}
}

func TestAPipeIsNotWaitedFor(t *testing.T) {
	files := tree(map[string]string{"app/kustomization.yaml": "resources: [cm.yaml]\n"})
	files["app/cm.yaml"] = &fstest.MapFile{Mode: fs.ModeNamedPipe}
	if _, err := pool.Build(t.Context(), files, render.Source{Dir: "app"}); !fault.Is(err, fault.Invalid) || fault.HintOf(err) != "app/cm.yaml: it is neither a file nor a directory" {
		t.Errorf("%v", err)
	}
}
