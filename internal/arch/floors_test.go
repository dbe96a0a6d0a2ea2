package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tagboat/tagboat/"

// floors lists every package, lowest floor first. A package imports packages of
// lower floors only.
var floors = [][]string{
	{"internal/fault", "internal/image", "internal/window", "internal/health", "internal/child", "migrations", "internal/arch"},
	{"internal/promotion", "internal/approval", "internal/command", "internal/checklist", "internal/envrepo", "internal/overlay", "internal/manifest", "internal/policy", "internal/signature"},
	{"internal/job", "internal/store", "internal/github", "internal/registry", "internal/prometheus", "internal/gitmirror", "internal/cluster", "internal/sops", "internal/render"},
	{"internal/intake", "internal/web", "internal/worker"},
	{"app"},
	{"app/demo"},
	{"cmd/tagboat"},
}

// doubles stand in for the world in the demo and in tests. They live beside what
// they imitate and are imported by the demo, by tests, and by each other; a
// server's own packages never import them.
var doubles = []string{
	"internal/nested", "internal/mutant",
	"internal/githubsim", "internal/githubsim/openapi", "internal/githubsim/pages",
	"internal/store/localpg", "internal/store/storetest",
	"internal/registry/registrytest",
	"internal/prometheus/prometheustest",
	"internal/signature/signaturetest",
	"internal/render/rendertest",
	"internal/cluster/clustertest",
}

// inside are packages that belong to one room alone.
var inside = map[string]string{"internal/store/query": "internal/store", "internal/render/chart": "internal/render", "internal/policy/admission": "internal/policy"}

// mayImportDoubles are the packages whose job it is to put a world together.
var mayImportDoubles = []string{"app/demo", "cmd/tagboat"}

// pure packages do no I/O: they import the standard library, lower floors, and
// what is named here.
var pure = map[string][]string{
	"internal/fault":     nil,
	"internal/image":     nil,
	"internal/window":    nil,
	"internal/health":    {"k8s.io/apimachinery", "k8s.io/apiserver/pkg/cel", "github.com/google/cel-go"},
	"internal/promotion": nil,
	"internal/approval":  {"github.com/hmarr/codeowners"},
	"internal/command":   {"github.com/yuin/goldmark"},
	"internal/checklist": {"github.com/yuin/goldmark"},
	"internal/envrepo":   {"sigs.k8s.io/kustomize/kyaml/yaml", "github.com/Masterminds/semver/v3"},
	"internal/manifest":  {"sigs.k8s.io/kustomize/kyaml/yaml"},
	"internal/policy":    {"k8s.io/apimachinery", "sigs.k8s.io/yaml", "sigs.k8s.io/kustomize/kyaml/yaml"},
	"internal/signature": {"github.com/sigstore"},
	// Kubernetes' own evaluation of policies: pure, and heavy enough to stand apart.
	"internal/policy/admission": {"k8s.io", "github.com/google/cel-go", "sigs.k8s.io/yaml", "sigs.k8s.io/kustomize/kyaml/yaml"},
	"internal/overlay":          {"sigs.k8s.io/kustomize/kyaml/yaml", "github.com/pmezard/go-difflib/difflib"},
}

// contexts are the pure packages whose libraries take a context, of which they ask
// nothing: it is the empty one.
var contexts = []string{"internal/policy/admission"}

// impure are the standard library's doors to the world, and its clock's package,
// whose Now a pure package never calls.
var impure = []string{"context", "net", "net/http", "os", "os/exec", "database/sql"}

// vague names say nothing about what is inside.
var vague = []string{"util", "utils", "common", "helper", "helpers", "misc", "base", "shared", "types", "models", "interfaces", "manager", "service"}

// source is one Go file of the product.
type source struct {
	file, pkg string
	imports   []string
}

// TestFloors parses in this process, not through `go list`: the test cache
// records the files that a test itself opens, so a changed import reruns it.
func TestFloors(t *testing.T) {
	floor := map[string]int{}
	for i, names := range floors {
		for _, n := range names {
			floor[n] = i
		}
	}
	seen := map[string]bool{}
	for _, s := range sources(t) {
		seen[s.pkg] = true
		if slices.Contains(vague, path.Base(s.pkg)) {
			t.Errorf("%s: the name says nothing; name the job it does", s.pkg)
		}
		for _, imp := range s.imports {
			checkImport(t, floor, s, imp)
		}
		_, known := floor[s.pkg]
		if _, within := inside[s.pkg]; !known && !within && !slices.Contains(doubles, s.pkg) {
			t.Errorf("%s has no floor: add it to the table here and in ARCHITECTURE.md", s.pkg)
		}
	}
	for name := range floor {
		if !seen[name] && name != "internal/arch" {
			t.Errorf("%s is in the table but not in the tree", name)
		}
	}
}

func checkImport(t *testing.T, floor map[string]int, s source, imp string) {
	dep, ours := strings.CutPrefix(imp, module)
	if !ours {
		checkPure(t, s, imp)
		return
	}
	if owner, private := inside[dep]; private {
		if s.pkg != owner {
			t.Errorf("%s imports %s, which belongs to %s alone", s.file, dep, owner)
		}
		return
	}
	if slices.Contains(doubles, dep) {
		if !slices.Contains(doubles, s.pkg) && !slices.Contains(mayImportDoubles, s.pkg) {
			t.Errorf("%s imports %s: a server has no use for a double", s.file, dep)
		}
		return
	}
	at, known := floor[s.pkg]
	below, depKnown := floor[dep]
	if known && depKnown && below >= at {
		t.Errorf("%s: floor %d imports %s of floor %d; imports point down only", s.file, at, dep, below)
	}
}

func checkPure(t *testing.T, s source, imp string) {
	allowed, isPure := pure[s.pkg]
	if !isPure {
		return
	}
	if slices.Contains(impure, imp) && !(imp == "context" && slices.Contains(contexts, s.pkg)) {
		t.Errorf("%s: a pure package imports %s", s.file, imp)
	}
	first, _, _ := strings.Cut(imp, "/")
	external := strings.Contains(first, ".")
	named := slices.ContainsFunc(allowed, func(a string) bool { return imp == a || strings.HasPrefix(imp, a+"/") })
	if external && !named {
		t.Errorf("%s: a pure package imports %s", s.file, imp)
	}
}

// TestPureRoomsHaveNoClock: time enters a pure package as an argument.
func TestPureRoomsHaveNoClock(t *testing.T) {
	root := os.DirFS("../..")
	for _, s := range sources(t) {
		if _, isPure := pure[s.pkg]; !isPure {
			continue
		}
		data, err := fs.ReadFile(root, s.file)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "time.Now(") {
			t.Errorf("%s asks for the time; take it as an argument", s.file)
		}
	}
}

// TestEveryPackageSaysWhatItDoes: each has a package comment.
func TestEveryPackageSaysWhatItDoes(t *testing.T) {
	root := os.DirFS("../..")
	documented := map[string]bool{}
	for _, s := range sources(t) {
		src, err := fs.ReadFile(root, s.file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), s.file, src, parser.ParseComments|parser.PackageClauseOnly)
		if err != nil {
			t.Fatal(err)
		}
		documented[s.pkg] = documented[s.pkg] || f.Doc != nil || s.pkg == "internal/store/query"
	}
	for pkg, has := range documented {
		if !has {
			t.Errorf("%s has no package comment that says what it is for", pkg)
		}
	}
}

// sources are the product's Go files: no tests, no nested modules.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	root := os.DirFS("../..")
	err := fs.WalkDir(root, ".", func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			return skip(root, file, d)
		}
		if !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") {
			return nil
		}
		src, err := fs.ReadFile(root, file)
		if err != nil {
			return err
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			return err
		}
		s := source{file: file, pkg: path.Dir(file)}
		for _, spec := range f.Imports {
			imp, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imp)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func skip(root fs.FS, dir string, d fs.DirEntry) error {
	if dir == "." {
		return nil
	}
	_, err := fs.Stat(root, path.Join(dir, "go.mod"))
	if d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") || err == nil {
		return fs.SkipDir
	}
	return nil
}
