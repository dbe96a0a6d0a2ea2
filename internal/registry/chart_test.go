package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/registry/registrytest"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

const paymentsChart = "registry.example.com/charts/payments"

func TestAChartThatHelmPushedIsFetched(t *testing.T) {
	reg, c := start(t)
	dir := t.TempDir()
	for name, content := range map[string]string{
		"Chart.yaml":           "apiVersion: v2\nname: payments\nversion: 1.2.3\n",
		"values.yaml":          "replicas: 2\n",
		"templates/x.yaml":     "kind: X\n",
		"templates/_names.tpl": "",
	} {
		file := filepath.Join(dir, "payments", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"package", "payments"}, {"push", "payments-1.2.3.tgz", "oci://" + reg.Host() + "/charts", "--plain-http"}} {
		if _, err := rendertest.RunHelm(t.Context(), dir, args...); err != nil {
			t.Fatal(err)
		}
	}
	artifact, err := c.Resolve(t.Context(), paymentsChart, "1.2.3")
	if err != nil {
		t.Fatal(err)
	}

	files, err := c.Chart(t.Context(), paymentsChart, artifact.Image.Digest)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"values.yaml": "replicas: 2\n", "templates/x.yaml": "kind: X\n"} {
		if got, err := fs.ReadFile(files, name); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if all, err := fs.Glob(files, "templates/*"); err != nil || len(all) != 2 {
		t.Errorf("templates: %v, %v", all, err)
	}
	if _, err := fs.Stat(files, "payments"); err == nil {
		t.Error("the root is not the chart's directory")
	}
}

// entry is one entry of a tar archive.
type entry struct {
	name, content string
	kind          byte // a regular file if 0
}

func packed(t *testing.T, entries ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	zw := gzip.NewWriter(&b)
	tw := tar.NewWriter(zw)
	for _, e := range entries {
		h := &tar.Header{Name: e.name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(e.content))}
		if e.kind != 0 {
			h.Typeflag, h.Linkname, h.Size = e.kind, "/etc/passwd", 0
		}
		if err := tw.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if e.kind == 0 {
			if _, err := tw.Write([]byte(e.content)); err != nil {
				t.Fatal(err)
			}
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

// pushChart pushes what claims to be a chart, with layers, and gives its digest.
func pushChart(t *testing.T, reg *registrytest.Registry, config types.MediaType, layers ...v1.Layer) string {
	t.Helper()
	img, err := mutate.AppendLayers(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config), layers...)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tagAt(t, reg, "charts/payments:1.0.0"), img); err != nil {
		t.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	return digest.String()
}

func TestWhatIsNoChartIsRefused(t *testing.T) {
	reg, c := start(t)
	chart := entry{name: "payments/Chart.yaml", content: "name: payments\n"}
	content := func(entries ...entry) []v1.Layer {
		return []v1.Layer{static.NewLayer(packed(t, entries...), chartContent)}
	}
	zeros := strings.Repeat("\x00", 33<<20)
	many := []entry{chart}
	for i := range 4096 {
		many = append(many, entry{name: fmt.Sprintf("payments/%d", i)})
	}
	for _, test := range []struct {
		name   string
		config types.MediaType
		layers []v1.Layer
		want   string
	}{
		{"an image", types.OCIConfigJSON, content(chart), "its configuration is of type application/vnd.oci.image.config.v1+json"},
		{"nothing in it", chartConfig, nil, "it has not exactly one layer"},
		{"two charts", chartConfig, append(content(chart), content(chart, entry{name: "payments/x"})...), "it has not exactly one layer"},
		{"too large", chartConfig, []v1.Layer{static.NewLayer(make([]byte, 17<<20), chartContent)}, "it is larger than 16 MiB"},
		{"not gzipped", chartConfig, []v1.Layer{static.NewLayer([]byte("chart"), chartContent)}, "its content is not gzipped"},
		{"broken off", chartConfig, []v1.Layer{static.NewLayer(packed(t, chart)[:40], chartContent)}, "its content"},
		{"a bomb", chartConfig, content(chart, entry{name: "payments/a", content: zeros}, entry{name: "payments/b", content: zeros}), "larger than 64 MiB unpacked"},
		{"many files", chartConfig, content(many...), "more than 4096 files"},
		{"a symbolic link", chartConfig, content(chart, entry{name: "payments/x", kind: tar.TypeSymlink}), `"payments/x" is a link or a device`},
		{"a hard link", chartConfig, content(chart, entry{name: "payments/x", kind: tar.TypeLink}), `"payments/x" is a link or a device`},
		{"a device", chartConfig, content(chart, entry{name: "payments/x", kind: tar.TypeBlock}), `"payments/x" is a link or a device`},
		{"out of it", chartConfig, content(chart, entry{name: "payments/../x"}), `"payments/../x" is not a name below`},
		{"from the root", chartConfig, content(chart, entry{name: "/payments/x"}), `"/payments/x" is not a name below`},
		{"backslashes", chartConfig, content(chart, entry{name: `payments/..\x`}), `is not a name below`},
		{"beside it", chartConfig, content(chart, entry{name: "other/x"}), `"other/x" is outside of the directory "payments"`},
		{"in no directory", chartConfig, content(entry{name: "Chart.yaml"}), `"Chart.yaml" is not a name below`},
		{"twice", chartConfig, content(chart, chart), `"payments/Chart.yaml" is there twice`},
		{"file and directory", chartConfig, content(chart, entry{name: "payments/x"}, entry{name: "payments/x/y"}), `"x" is both a file and a directory`},
		{"no Chart.yaml", chartConfig, content(entry{name: "payments/values.yaml"}), "it has no Chart.yaml"},
	} {
		t.Run(test.name, func(t *testing.T) {
			digest := pushChart(t, reg, test.config, test.layers...)
			_, err := c.Chart(t.Context(), paymentsChart, digest)
			if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), test.want) {
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

func TestAChartThatCannotBeFetched(t *testing.T) {
	reg, c := start(t)
	missing := "sha256:" + strings.Repeat("0", 64)
	if _, err := c.Chart(t.Context(), paymentsChart, missing); !fault.Is(err, fault.NotFound) {
		t.Errorf("missing: %v", err)
	}
	if _, err := c.Chart(t.Context(), paymentsChart, "1.0.0"); !fault.Is(err, fault.Invalid) {
		t.Errorf("not a digest: %v", err)
	}
	if _, err := c.Chart(t.Context(), "oci://"+paymentsChart, missing); !fault.Is(err, fault.Invalid) {
		t.Errorf("not a repository: %v", err)
	}
	reg.Stop()
	if _, err := c.Chart(t.Context(), paymentsChart, missing); !fault.Is(err, fault.Transient) {
		t.Errorf("no registry: %v", err)
	}
}

func TestAChartThatWasTamperedWithIsNotBelieved(t *testing.T) {
	reg, _ := start(t)
	good := packed(t, entry{name: "payments/Chart.yaml", content: "name: payments\n"})
	digest := pushChart(t, reg, chartConfig, static.NewLayer(good, chartContent))
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/blobs/") {
			w.Write(bytes.Replace(good, good[len(good)-4:], []byte("evil"), 1))
			return
		}
		httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: reg.Host()}).ServeHTTP(w, r)
	}))
	defer proxy.Close()
	c := client(strings.TrimPrefix(proxy.URL, "http://"))
	files, err := c.Chart(t.Context(), paymentsChart, digest)
	if !fault.Is(err, fault.Transient) {
		t.Errorf("got %v, %v", files, err)
	}
}
