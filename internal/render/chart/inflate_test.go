package chart_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render/chart"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// requests are ways of rendering a chart, with the arguments by which the Helm
// command line does the same.
var requests = []struct {
	name    string
	request chart.Request
	args    []string
}{
	{"as it is", chart.Request{Release: "blue"}, []string{"blue", "."}},
	{"with everything", chart.Request{Release: "blue", Namespace: "prod", IncludeCRDs: true},
		[]string{"blue", ".", "--namespace", "prod", "--include-crds"}},
	{"with values", chart.Request{Release: "green.1", SkipTests: true}, []string{"green.1", ".", "--skip-tests", "-f", "overrides.yaml"}},
	{"without hooks, elsewhere", chart.Request{Release: "blue", SkipHooks: true, KubeVersion: "1.29.3-gke.1", APIVersions: []string{"example.com/v1", "x/v2"}},
		[]string{"blue", ".", "--no-hooks", "--kube-version", "1.29.3-gke.1", "--api-versions", "example.com/v1", "--api-versions", "x/v2"}},
	{"with a template for the name", chart.Request{NameTemplate: `{{ "Shop" | lower }}-{{ add 1 2 }}`},
		[]string{".", "--generate-name", "--name-template", `{{ "Shop" | lower }}-{{ add 1 2 }}`}},
}

func TestAChartComesToWhatHelmPrints(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no charts", err)
	}
	for _, file := range archives {
		dir := unpack(t, file)
		overrides, err := os.ReadFile(filepath.Join(dir, "overrides.yaml"))
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range requests {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar")+" "+r.name, func(t *testing.T) {
				want, err := rendertest.HelmTemplate(t.Context(), dir, r.args...)
				if err != nil {
					t.Fatal(err)
				}
				request := r.request
				if strings.Contains(strings.Join(r.args, " "), "overrides.yaml") {
					request.Values = [][]byte{overrides}
				}
				got, err := chart.Inflate(os.DirFS(dir), request)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("-helm +tagboat:\n%s", diff)
				}
			})
		}
	}
}

// unpack writes the files of an archive to a directory. Those below a name with
// .tgz come into an archive of that name.
func unpack(t testing.TB, file string) (dir string) {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	packed := map[string]map[string]string{}
	for _, f := range archive.Files {
		if tgz, inside, ok := strings.Cut(f.Name, ".tgz/"); ok {
			if packed[tgz] == nil {
				packed[tgz] = map[string]string{}
			}
			packed[tgz][inside] = string(f.Data)
			continue
		}
		write(t, filepath.Join(dir, f.Name), f.Data)
	}
	for name, files := range packed {
		write(t, filepath.Join(dir, name+".tgz"), pack(t, files))
	}
	return dir
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func pack(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for name, content := range files {
		if err := tw.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}); err != nil {
			t.Fatal(err)
		}
		if _, err := tw.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := tw.Close(); err != nil {
		t.Fatal(err)
	}
	if err := zw.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// files are a chart named payments, with the given files on top.
func files(more map[string]string) fstest.MapFS {
	tree := fstest.MapFS{
		"Chart.yaml":           {Data: []byte("apiVersion: v2\nname: payments\nversion: 1.0.0\n")},
		"templates/fine.yaml":  {Data: []byte("kind: Fine\nmetadata: {name: fine}\n")},
		"templates/_fine.tpl":  {Data: []byte(`{{ define "fine" }}fine{{ end }}`)},
		"templates/other.yaml": {Data: []byte("\n")},
	}
	for name, content := range more {
		tree[name] = &fstest.MapFile{Data: []byte(content)}
	}
	return tree
}

func TestWhatIsWrongIsSaidInOneLineWithItsPlace(t *testing.T) {
	head := "apiVersion: v2\nname: payments\nversion: 1.0.0\n"
	for _, c := range []struct {
		name    string
		files   map[string]string
		request chart.Request
		want    string
	}{
		{"a random password", map[string]string{"templates/secret.yaml": "kind: Secret\n\npassword: {{ randAlphaNum 8 }}"}, chart.Request{},
			"payments/templates/secret.yaml:3:13: error calling randAlphaNum: it gives something else every time"},
		{"a certificate in a named template", map[string]string{"templates/_tls.tpl": "\n{{ define \"tls\" }}{{ (genCA \"x\" 365).Cert }}{{ end }}", "templates/secret.yaml": "kind: {{ include \"tls\" . }}"}, chart.Request{},
			"payments/templates/_tls.tpl:2:"},
		{"the time", map[string]string{"templates/x.yaml": "at: {{ now | date \"2006\" }}"}, chart.Request{}, "payments/templates/x.yaml:1:7: error calling now: it depends on the time"},
		{"the time by the back door", map[string]string{"templates/x.yaml": "at: {{ date \"2006\" \"\" }}"}, chart.Request{}, "x.yaml:1:7: error calling date: it depends on the time"},
		{"the environment", map[string]string{"templates/x.yaml": "home: {{ env \"HOME\" }}"}, chart.Request{}, `payments/templates/x.yaml:1: function "env" not defined`},
		{"a required value", map[string]string{"templates/x.yaml": "\ntag: {{ required \"set image.tag\" .Values.image }}"}, chart.Request{}, "payments/templates/x.yaml:2:8: set image.tag"},
		{"a failure in a subchart", map[string]string{"charts/db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0", "charts/db/templates/x.yaml": "{{ fail \"no\nway\" }}"}, chart.Request{},
			"payments/charts/db/templates/x.yaml:1"},
		{"a value that is not there", map[string]string{"templates/x.yaml": "tag: {{ .Values.image.tag }}"}, chart.Request{}, "payments/templates/x.yaml:1:15: there is nothing to take .tag from"},
		{"a missing named template", map[string]string{"templates/x.yaml": "{{ include \"nowhere\" . }}"}, chart.Request{}, `payments/templates/x.yaml:1:3: error calling include:`},
		{"a template that does not parse", map[string]string{"templates/x.yaml": "\n\n{{ if }}"}, chart.Request{}, "payments/templates/x.yaml:3: missing value for if"},
		{"output that is not YAML", map[string]string{"templates/x.yaml": "kind: X\n\t- y: [\n"}, chart.Request{}, "payments/templates/x.yaml renders to what is not valid YAML: line 2:"},
		{"output of the wrong shape", map[string]string{"templates/x.yaml": "kind: [X]\n"}, chart.Request{}, "payments/templates/x.yaml renders to what is not valid YAML: kind has the wrong type (array)"},
		{"endless recursion", map[string]string{"templates/x.yaml": `{{ define "x" }}{{ include "x" . }}{{ end }}{{ include "x" . }}`}, chart.Request{}, "payments/templates/x.yaml:1:"},
		{"a panic of a function", map[string]string{"templates/x.yaml": "a: {{ div 1 0 }}"}, chart.Request{}, "divide by zero"},
		{"no chart", map[string]string{"Chart.yaml": ""}, chart.Request{}, "the chart cannot be read: validation: chart.metadata.name is required"},
		{"a chart of the next generation", map[string]string{"Chart.yaml": "apiVersion: v3\nname: x\nversion: 1.0.0"}, chart.Request{}, "Chart.yaml: apiVersion v3 is not one"},
		{"a library", map[string]string{"Chart.yaml": head + "type: library\n"}, chart.Request{}, "chart payments is a library"},
		{"a missing subchart", map[string]string{"Chart.yaml": head + "dependencies: [{name: db, version: 1.x, repository: 'https://charts.example.com'}]\n"}, chart.Request{}, "depends on db, which is not in its charts directory; run `helm dependency build`"},
		{"another Kubernetes", map[string]string{"Chart.yaml": head + "kubeVersion: '<1.30.0'\n"}, chart.Request{}, "chart payments needs Kubernetes <1.30.0, but is rendered for v1.37.0"},
		{"no Kubernetes", nil, chart.Request{KubeVersion: "new"}, `"new" is not a version of Kubernetes`},
		{"a broken archive", map[string]string{"charts/db.tgz": "not gzip"}, chart.Request{}, "charts/db.tgz is not a packed chart: unexpected EOF"},
		{"values that are no mapping", nil, chart.Request{Values: [][]byte{nil, []byte("- a\n")}}, "values file 2 of 2: "},
		{"values that break the schema", map[string]string{"values.schema.json": `{"properties": {"size": {"type": "integer"}, "mode": {"enum": ["a"]}}}`}, chart.Request{Values: [][]byte{[]byte("size: many\nmode: b\n")}},
			"the values for chart payments do not meet its values.schema.json: at '/mode': value must be 'a'; at '/size': got string, want integer"},
		{"a schema elsewhere", map[string]string{"values.schema.json": `{"$ref": "https://schemas.example.com/x.json"}`}, chart.Request{}, "it refers to another schema, which Tagboat never fetches"},
		{"a schema on the disk", map[string]string{"values.schema.json": `{"$ref": "file:///etc/hostname"}`}, chart.Request{}, "it refers to another schema, which Tagboat never fetches"},
		{"no name", nil, chart.Request{Release: " "}, `" " cannot be the name of a release`},
		{"two names", nil, chart.Request{Release: "a", NameTemplate: "b"}, "both a name (a) and a template"},
		{"a random name", nil, chart.Request{NameTemplate: "{{ randAlpha 5 }}"}, "the template for the release's name: "},
		{"a name from the environment", nil, chart.Request{NameTemplate: "{{ env \"HOME\" }}"}, "it reads the environment"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.request.Release == "" && c.request.NameTemplate == "" {
				c.request.Release = "blue"
			}
			out, err := chart.Inflate(files(c.files), c.request)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), c.want) {
				t.Fatalf("got %v %s\nwant %s", err, out, c.want)
			}
			if text := err.Error(); strings.Contains(text, "\n") || strings.Contains(text, "interface {}") || len(text) > 700 {
				t.Errorf("not for people: %q", text)
			}
		})
	}
}

func TestADirectoryThatIsNoChartIsRefused(t *testing.T) {
	_, err := chart.Inflate(fstest.MapFS{"values.yaml": {}}, chart.Request{Release: "blue"})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "there is no Chart.yaml") {
		t.Errorf("got %v", err)
	}
}

func TestAReleaseWithoutANameIsRefused(t *testing.T) {
	_, err := chart.Inflate(files(nil), chart.Request{})
	if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "name it (releaseName)") {
		t.Errorf("got %v", err)
	}
}

// TestChanceThatHasNoPartInItIsNoReasonToRefuse: charts call random functions for
// defaults, whether a default is needed or not.
func TestChanceThatHasNoPartInItIsNoReasonToRefuse(t *testing.T) {
	tree := files(map[string]string{
		"templates/secret.yaml": "kind: Secret\npassword: {{ .Values.password | default (randAlphaNum 8) }}\n{{ if not .Values.tls }}tls: {{ (genCA \"x\" 365).Cert }}{{ end }}\n",
		"templates/test.yaml":   "kind: Pod\nmetadata: {name: \"test-{{ randAlphaNum 5 | lower }}-{{ uuidv4 }}\", annotations: {helm.sh/hook: test}}\n",
		"templates/NOTES.txt":   "installed at {{ now }}",
		"templates/b.yaml":      "kind: B\nsame: {{ eq (randAlphaNum 5) (randAlphaNum 5) }}{{ eq uuidv4 uuidv4 }}{{ eq (bcrypt \"x\") (bcrypt \"x\") }}\n",
		// what mutates the values must not do so twice
		"templates/a.yaml": "kind: A\ncount: {{ $_ := set .Values \"count\" (add1 (.Values.count | default 0)) }}{{ .Values.count }}\n",
	})
	set := [][]byte{[]byte("password: from-the-vault\ntls: mine\n")}
	got, err := chart.Inflate(tree, chart.Request{Release: "blue", Values: set, SkipTests: true})
	if err != nil || !strings.Contains(string(got), "password: from-the-vault\n") || !strings.Contains(string(got), "count: 1\n") || !strings.Contains(string(got), "same: falsefalsefalse\n") {
		t.Errorf("got %s, %v", got, err)
	}
	for name, request := range map[string]chart.Request{
		"secret.yaml:2:": {Release: "blue", SkipTests: true},
		"test.yaml:2:":   {Release: "blue", Values: set},
	} {
		_, err := chart.Inflate(tree, request)
		if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "payments/templates/"+name) {
			t.Errorf("want %s, got %v", name, err)
		}
	}
}

func TestEveryKindOfChanceIsNoticed(t *testing.T) {
	for _, call := range []string{
		"now", "ago 0", "date \"05\" nil", "htmlDate nil", "dateInZone \"05\" nil \"UTC\"", "date_in_zone \"05\" nil \"UTC\"", "htmlDateInZone nil \"UTC\"",
		"durationRound (toDate \"2006\" \"2020\")", "now | unixEpoch", "now | dateModify \"1h\"",
		"randAlphaNum 3", "randAlpha 3", "randAscii 3", "randNumeric 3", "randBytes 3", "randInt 0 9", "shuffle \"abc\"", "uuidv4",
		"genPrivateKey \"rsa\"", "(genCA \"x\" 1).Key", "(genSelfSignedCert \"x\" nil nil 1).Cert", "(genSignedCert \"x\" nil nil 1 (genCA \"y\" 1)).Cert",
		"(genCAWithKey \"x\" 1 \"k\").Cert", "(genSelfSignedCertWithKey \"x\" nil nil 1 \"k\").Key", "(genSignedCertWithKey \"x\" nil nil 1 (genCA \"y\" 1) \"k\").Cert",
		"encryptAES \"k\" \"t\"", "bcrypt \"x\"", "htpasswd \"u\" \"p\"", "randAlphaNum 8 | b64enc | sha256sum",
	} {
		t.Run(call, func(t *testing.T) {
			tree := files(map[string]string{"templates/x.yaml": "kind: X\nvalue: {{ " + call + " | quote }}\n"})
			got, err := chart.Inflate(tree, chart.Request{Release: "blue"})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "payments/templates/x.yaml:2:") || !strings.Contains(err.Error(), "nobody could say what is deployed") {
				t.Errorf("got %s, %v", got, err)
			}
		})
	}
}

func TestTheSameChartComesToTheSameBytes(t *testing.T) {
	more := map[string]string{"templates/x.yaml": "keys: {{ keys .Values.many | join \",\" }}\nvalues: {{ values .Values.many | join \",\" }}\n"}
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		more["charts/"+name+"/Chart.yaml"] = "apiVersion: v2\nname: " + name + "\nversion: 1.0.0\n"
		more["charts/"+name+"/crds/x.yaml"] = "kind: CustomResourceDefinition\nmetadata: {name: " + name + "}\n"
	}
	request := chart.Request{Release: "blue", IncludeCRDs: true, Values: [][]byte{[]byte("many: {a: 1, b: 2, c: 3, d: 4, e: 5}")}}
	first, err := chart.Inflate(files(more), request)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(first), "keys: a,b,c,d,e\nvalues: 1,2,3,4,5\n") {
		t.Errorf("got %s", first)
	}
	for range 50 {
		again, err := chart.Inflate(files(more), request)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(first), string(again)); diff != "" {
			t.Fatalf("-first +again:\n%s", diff)
		}
	}
}

func TestTimeZonesNeedNoDisk(t *testing.T) {
	t.Setenv("ZONEINFO", "/nonexistent")
	tree := files(map[string]string{"templates/x.yaml": "at: {{ dateInZone \"15:04 MST\" 1700000000 \"Asia/Tokyo\" }} {{ date \"15:04 MST\" 1700000000 }}\n"})
	got, err := chart.Inflate(tree, chart.Request{Release: "blue"})
	if err != nil || !strings.Contains(string(got), "at: 07:13 JST 22:13 UTC\n") {
		t.Errorf("got %s, %v", got, err)
	}
}

func TestAChartThatIsTooLargeIsRefused(t *testing.T) {
	many := map[string]string{}
	for i := range 5000 {
		many["files/"+strings.Repeat("x", 1+i%200)+string(rune('a'+i/200))] = ""
	}
	zeros := strings.Repeat("\x00", 33<<20)
	bomb := string(pack(t, map[string]string{"db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0", "db/zeros": zeros}))
	nested := string(pack(t, map[string]string{"db/Chart.yaml": "apiVersion: v2\nname: db\nversion: 1.0.0", "db/charts/a.tgz": bomb, "db/charts/b.tgz": bomb}))
	for name, more := range map[string]map[string]string{
		"files":               many,
		"bytes":               {"a": zeros, "b": zeros},
		"archives":            {"charts/a.tgz": bomb, "charts/b.tgz": bomb},
		"archives in archive": {"charts/a.tgz": nested},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := chart.Inflate(files(more), chart.Request{Release: "blue"})
			if !fault.Is(err, fault.Invalid) || !strings.Contains(err.Error(), "the chart is too large: more than 4096 files or 64 MiB") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// unwell is a tree that cannot be read at the moment.
type unwell struct{ fs.FS }

func (u unwell) Open(name string) (fs.File, error) {
	if strings.HasSuffix(name, "fine.yaml") {
		return nil, fault.Errorf(fault.Transient, "the mirror is being fetched")
	}
	return u.FS.Open(name)
}

func TestATreeThatCannotBeReadIsNoFaultOfTheChart(t *testing.T) {
	_, err := chart.Inflate(unwell{files(nil)}, chart.Request{Release: "blue"})
	if !fault.Is(err, fault.Transient) {
		t.Errorf("got %v", err)
	}
}

// TestHelmsOwnCharts takes the charts that Helm tests itself with, which its module
// brings along: good ones come to what Helm prints, bad ones are refused.
func TestHelmsOwnCharts(t *testing.T) {
	module, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "helm.sh/helm/v4").Output()
	if err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(strings.TrimSpace(string(module)), "pkg")
	equal, refused := 0, 0
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "Chart.yaml" || d.IsDir() {
			return err
		}
		dir := filepath.Dir(path)
		t.Run(strings.TrimPrefix(dir, root), func(t *testing.T) {
			want, helmErr := rendertest.HelmTemplate(t.Context(), dir, "blue", ".", "--include-crds")
			got, err := chart.Inflate(os.DirFS(dir), chart.Request{Release: "blue", IncludeCRDs: true})
			switch {
			case helmErr == nil && err == nil:
				equal++
				if diff := cmp.Diff(string(want), string(got)); diff != "" {
					t.Errorf("-helm +tagboat:\n%s", diff)
				}
			case helmErr == nil && strings.Contains(err.Error(), "randAlphaNum"):
				// a test with a random name: Helm renders it, each time another one
			case helmErr == nil:
				t.Errorf("Helm renders it, but: %v", err)
			case err == nil:
				t.Errorf("Helm does not render it (%v), but: %s", helmErr, got)
			case strings.Contains(err.Error(), "\n") || !fault.Is(err, fault.Invalid):
				t.Errorf("not for people: %q", err)
			default:
				refused++
			}
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d charts are equal, %d are refused by both", equal, refused)
	if equal < 20 || refused < 5 {
		t.Error("those are too few to prove anything")
	}
}
