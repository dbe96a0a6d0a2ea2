package chart

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"
	"sigs.k8s.io/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// Bounds of a chart with everything below charts/, packed or not.
const (
	maxFiles = 4096
	maxBytes = 64 << 20
	maxDepth = 32 // directories, and archives in archives
)

// load reads the chart at the root of files as Helm's directory loader does.
func load(files fs.FS) (*chart.Chart, error) {
	l := loader{files: files, rules: ignore.Empty(), left: budget{maxFiles, maxBytes}}
	if err := l.apiVersion(); err != nil {
		return nil, err
	}
	if err := l.ignored(); err != nil {
		return nil, err
	}
	if err := l.directory(".", 0); err != nil {
		return nil, err
	}
	c, err := chartloader.LoadFiles(l.read)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the chart cannot be read: %s", oneLine(err.Error()))
	}
	inOrder(c)
	if c.Metadata.Type == "library" {
		return nil, fault.Errorf(fault.Invalid, "chart %s is a library: it has nothing to render and is for other charts to use", c.Name())
	}
	return c, complete(c)
}

type loader struct {
	files fs.FS
	rules *ignore.Rules
	read  []*archive.BufferedFile
	left  budget
}

// apiVersion refuses charts of a kind that Helm does not release yet.
func (l *loader) apiVersion() error {
	data, err := fs.ReadFile(l.files, "Chart.yaml")
	if errors.Is(err, fs.ErrNotExist) {
		return fault.Errorf(fault.Invalid, "there is no Chart.yaml: is it the directory of a chart?")
	}
	if err != nil {
		return err
	}
	var head struct {
		APIVersion string `json:"apiVersion"`
	}
	if err := yaml.Unmarshal(bytes.TrimPrefix(data, bom), &head); err != nil {
		return fault.Errorf(fault.Invalid, "Chart.yaml: %s", oneLine(err.Error()))
	}
	if v := head.APIVersion; v != "" && v != chart.APIVersionV1 && v != chart.APIVersionV2 {
		return fault.Errorf(fault.Invalid, "Chart.yaml: apiVersion %s is not one that can be rendered; v1 and v2 are", v)
	}
	return nil
}

// ignored reads .helmignore.
func (l *loader) ignored() error {
	data, err := fs.ReadFile(l.files, ignore.HelmIgnore)
	if err == nil {
		if l.rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return fault.Errorf(fault.Invalid, "%s: %s", ignore.HelmIgnore, oneLine(err.Error()))
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	l.rules.AddDefaults()
	return nil
}

var bom = []byte("\xef\xbb\xbf")

// directory reads what is below dir in the order of names, links followed.
func (l *loader) directory(dir string, depth int) error {
	if depth > maxDepth {
		return fault.Errorf(fault.Invalid, "%s: directories are nested more than %d deep", dir, maxDepth)
	}
	entries, err := fs.ReadDir(l.files, dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		name := path.Join(dir, entry.Name())
		info, err := fs.Stat(l.files, name)
		if err != nil {
			return err
		}
		switch {
		case l.rules.Ignore(name, info):
		case info.IsDir():
			err = l.directory(name, depth+1)
		case !info.Mode().IsRegular():
			err = fault.Errorf(fault.Invalid, "%s is not a file that a chart may have", name)
		default:
			err = l.file(name, info.Size())
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (l *loader) file(name string, size int64) error {
	if err := l.left.take(name, size); err != nil {
		return err
	}
	data, err := fs.ReadFile(l.files, name)
	if err != nil {
		return err
	}
	if packed(name) {
		if err := l.left.archive(name, bytes.NewReader(data), 1); err != nil {
			return err
		}
	}
	l.read = append(l.read, &archive.BufferedFile{Name: name, Data: bytes.TrimPrefix(data, bom)})
	return nil
}

// packed reports whether Helm takes a file of a chart for a packed chart.
func packed(name string) bool {
	dir, file := path.Split(name)
	return strings.HasSuffix(file, ".tgz") && path.Base(dir) == "charts"
}

// budget is what may still be read.
type budget struct{ files, bytes int64 }

func (b *budget) take(name string, size int64) error {
	b.files, b.bytes = b.files-1, b.bytes-size
	if b.files < 0 || b.bytes < 0 {
		return fault.Errorf(fault.Invalid, "%s: the chart is too large: more than %d files or %d MiB, unpacked", name, maxFiles, maxBytes>>20)
	}
	return nil
}

// archive takes from the budget what a packed chart comes to, before Helm unpacks
// it: Helm's own bound holds for each archive alone, however many there are.
func (b *budget) archive(name string, r io.Reader, depth int) error {
	if depth > maxDepth {
		return fault.Errorf(fault.Invalid, "%s: archives are nested more than %d deep", name, maxDepth)
	}
	broken := func(err error) error {
		return fault.Errorf(fault.Invalid, "%s is not a packed chart: %s", name, oneLine(err.Error()))
	}
	unzipped, err := gzip.NewReader(r)
	if err != nil {
		return broken(err)
	}
	for tr := tar.NewReader(unzipped); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return broken(err)
		}
		inner := name + "/" + h.Name
		if err := b.take(inner, h.Size); err != nil {
			return err
		}
		if packed(h.Name) {
			if err := b.archive(inner, tr, depth+1); err != nil {
				return err
			}
		}
	}
}

// inOrder sorts subcharts, which Helm's loader leaves in random order, so that the
// same chart always comes to the same CRDs in the same order.
func inOrder(c *chart.Chart) {
	dependencies := slices.SortedFunc(slices.Values(c.Dependencies()), func(a, b *chart.Chart) int {
		return cmp.Or(strings.Compare(a.Name(), b.Name()), strings.Compare(a.Metadata.Version, b.Metadata.Version))
	})
	c.SetDependencies(dependencies...)
	for _, d := range dependencies {
		inOrder(d)
	}
}

// complete refuses a chart without the subcharts that it names: Helm would fetch
// them, Tagboat never does.
func complete(c *chart.Chart) error {
	var missing []string
	for _, need := range c.Metadata.Dependencies {
		if !slices.ContainsFunc(c.Dependencies(), func(d *chart.Chart) bool { return d.Name() == need.Name }) {
			missing = append(missing, need.Name)
		}
	}
	if len(missing) > 0 {
		return fault.Errorf(fault.Invalid, "chart %s depends on %s, which is not in its charts directory; run `helm dependency build` and commit what it fetches", c.Name(), strings.Join(missing, ", "))
	}
	return nil
}
