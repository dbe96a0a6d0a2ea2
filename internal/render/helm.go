package render

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/provider"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/render/chart"
)

// charts inflates what helmCharts: names, and serves krusty a component with the
// result in its place. Kustomize reads resources, runs its generators (the last is
// Helm) and then adds components, so a component that comes first adds the same
// objects in the same place.
func (r *references) charts(k *types.Kustomization) error {
	if len(k.HelmCharts) == 0 {
		return nil
	}
	dir := path.Join(writtenRoot, r.dir)
	component := types.Kustomization{TypeMeta: types.TypeMeta{APIVersion: types.ComponentVersion, Kind: types.ComponentKind}}
	for i := range k.HelmCharts {
		manifests, err := r.chart(k, i)
		if err != nil {
			return err
		}
		if len(manifests) > 0 {
			name := fmt.Sprintf("chart-%d.yaml", i)
			r.files.written[path.Join(dir, name)] = manifests
			component.Resources = append(component.Resources, name)
		}
	}
	r.own.HelmCharts, r.own.HelmGlobals, r.changed = nil, nil, true
	if len(component.Resources) == 0 {
		return nil
	}
	r.own.Components = slices.Concat([]string{relative(r.dir, dir)}, r.own.Components)
	return r.files.serve(path.Join(dir, konfig.DefaultKustomizationFileName()), &component)
}

// chart is what one entry of helmCharts: comes to, marked as krusty marks it.
func (r *references) chart(k *types.Kustomization, i int) ([]byte, error) {
	c := k.HelmCharts[i]
	refuse := func(err error) error {
		return fault.E(fault.KindOf(err), fmt.Sprintf("%s: helmCharts: %s: %s", r.file, cmp.Or(c.Name, "an entry without a name"), cmp.Or(fault.HintOf(err), err.Error())), nil)
	}
	if c.Name == "" || strings.HasPrefix(c.Name, "-") {
		return nil, refuse(fault.Errorf(fault.Invalid, "name: must be the chart's name"))
	}
	dir, err := r.chartDir(k, i)
	if err != nil {
		return nil, refuse(err)
	}
	values, err := r.chartValues(c, dir)
	if err != nil {
		return nil, refuse(err)
	}
	manifests, err := chart.Inflate(chartFiles{r.files, dir}, chart.Request{
		Release: c.ReleaseName, NameTemplate: c.NameTemplate,
		Namespace: cmp.Or(c.Namespace, k.Namespace, r.namespace), Values: values,
		IncludeCRDs: c.IncludeCRDs, SkipHooks: c.SkipHooks, SkipTests: c.SkipTests,
		KubeVersion: c.KubeVersion, APIVersions: c.ApiVersions,
	})
	if err != nil {
		return nil, refuse(err)
	}
	manifests, err = marked(manifests)
	if err != nil {
		return nil, refuse(fault.Errorf(fault.Invalid, "it renders to what Kustomize cannot read: %s", plain(err)))
	}
	return manifests, nil
}

// chartDir is the directory of a chart, in the tree or fetched.
func (r *references) chartDir(k *types.Kustomization, i int) (string, error) {
	c, home := k.HelmCharts[i], types.HelmDefaultHome
	if k.HelmGlobals != nil {
		home = cmp.Or(k.HelmGlobals.ChartHome, home)
	}
	if c.Version != "" && c.Repo != "" { // as Kustomize pulls it
		home = path.Join(home, c.Name+"-"+c.Version)
	}
	dir, err := r.inside("chartHome", path.Join(home, c.Name))
	if err != nil {
		return "", err
	}
	if r.files.IsDir(dir) {
		return r.files.real(dir), nil
	}
	repository, oci := strings.CutPrefix(c.Repo, "oci://")
	switch {
	case c.Repo == "":
		return "", fault.Errorf(fault.Invalid, "there is no chart at %s; commit it there", dir)
	case !oci || !r.files.fetches:
		return "", fault.Errorf(fault.Invalid, "the chart of %s is not fetched; commit it at %s (helm pull --untar)", c.Repo, dir)
	}
	digest, err := r.pin(i)
	if err != nil {
		return "", err
	}
	return r.mounted("helmCharts", c.Repo, Remote{Chart: strings.TrimSuffix(repository, "/") + "/" + c.Name, Digest: digest}, ".")
}

var digestComment = regexp.MustCompile(`^#\s*(sha256:[0-9a-f]{64})\s*$`)

// pin is the digest in the comment behind an entry's version.
func (r *references) pin(i int) (string, error) {
	_, data, err := r.files.content(r.file)
	if err != nil {
		return "", err
	}
	docs, err := documents(data)
	if err != nil || len(docs) == 0 {
		return "", errUnreadable
	}
	if charts := field(docs[0].Content[0], "helmCharts"); charts != nil && i < len(charts.Content) {
		if version := field(charts.Content[i], "version"); version != nil {
			if m := digestComment.FindStringSubmatch(version.LineComment); m != nil {
				return m[1], nil
			}
		}
	}
	return "", fault.Errorf(fault.Invalid, "the chart is not pinned; write its digest behind its version, as in `version: 1.2.3 # sha256:...`, because a tag may move")
}

// chartValues are the values files that Kustomize gives to Helm.
func (r *references) chartValues(c types.HelmChart, dir string) ([][]byte, error) {
	var first []byte
	if c.ValuesMerge != "replace" || len(c.ValuesInline) == 0 {
		name := path.Join(dir, "values.yaml")
		if c.ValuesFile != "" {
			var err error
			if name, err = r.plainFile("valuesFile", c.ValuesFile); err != nil {
				return nil, err
			}
		}
		_, data, err := r.files.content(name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, fault.Errorf(fault.Invalid, "there is no %s, which Kustomize needs, even if it is empty", name)
		}
		if err != nil {
			return nil, err
		}
		first = data
	}
	var additional [][]byte
	for _, ref := range c.AdditionalValuesFiles {
		name, err := r.plainFile("additionalValuesFiles", ref)
		if err != nil {
			return nil, err
		}
		_, data, err := r.files.content(name)
		if err != nil {
			return nil, err
		}
		additional = append(additional, data)
	}
	return chart.KustomizeValues(first, additional, c.ValuesInline, c.ValuesMerge)
}

// marked adds the annotation by which Kustomize knows what Helm has made, which
// its namespace: leaves alone; krusty takes it off in the end.
func marked(manifests []byte) ([]byte, error) {
	objects, err := resmap.NewFactory(provider.NewDefaultDepProvider().GetResourceFactory()).NewResMapFromBytes(manifests)
	if err != nil {
		return nil, err
	}
	for _, o := range objects.Resources() {
		if err := o.PipeE(yaml.SetAnnotation(konfig.HelmGeneratedAnnotation, "true")); err != nil {
			return nil, err
		}
	}
	return objects.AsYaml()
}

// helm renders a chart that stands for itself, with its hooks around an install or an
// upgrade. What kustomizations inflate has all of them, because kustomize prints them.
func (files *view) helm(src Source) ([]byte, error) {
	h := src.Helm
	refuse := func(err error) error {
		return fault.E(fault.KindOf(err), fmt.Sprintf("%s: chart %s: %s", src.Dir, h.Chart, cmp.Or(fault.HintOf(err), err.Error())), nil)
	}
	dir := h.Chart
	if pinned, ok := strings.CutPrefix(h.Chart, "oci://"); ok {
		name, digest, _ := strings.Cut(pinned, "@")
		if !digestComment.MatchString("#" + digest) {
			return nil, refuse(fault.Errorf(fault.Invalid, "it is not pinned; write @sha256: and its digest behind it, because a tag may move"))
		}
		r := &references{scan: newScan(files), file: src.Dir, dir: "."}
		var err error
		if dir, err = r.mounted("chart", h.Chart, Remote{Chart: name, Digest: digest}, "."); err != nil {
			return nil, err
		}
	} else if !fs.ValidPath(dir) || root(dir) != "" {
		return nil, refuse(fault.Errorf(fault.Invalid, "it is not a directory of the repository; write it with slashes and without .."))
	}
	if !files.IsDir(dir) {
		return nil, fault.Errorf(fault.NotFound, "%s: there is no chart at %s; add one, or correct the path", src.Dir, dir)
	}
	dir = files.real(dir)
	var values [][]byte
	for _, name := range h.Values {
		_, data, err := files.content(path.Clean(name))
		if err != nil {
			return nil, refuse(fault.Errorf(fault.Invalid, "the values file %s is not a file of this repository; correct the path", name))
		}
		values = append(values, data)
	}
	manifests, err := chart.Inflate(chartFiles{files, dir}, chart.Request{Release: h.Release, Namespace: h.Namespace, Values: values, IncludeCRDs: true, SkipIdle: true})
	if err != nil {
		return nil, refuse(err)
	}
	if docs, err := documents(manifests); err == nil && !slices.ContainsFunc(docs, func(n *yaml.Node) bool { return len(n.Content) > 0 && n.Content[0].Kind == yaml.MappingNode }) {
		return nil, empty(src.Dir)
	}
	return bounded(src.Dir, manifests)
}

// chartFiles is a chart's directory as Helm's loader wants it.
type chartFiles struct {
	files *view
	dir   string
}

var _ interface {
	fs.ReadDirFS
	fs.ReadFileFS
	fs.StatFS
} = chartFiles{}

// ReadFile implements fs.ReadFileFS.
func (c chartFiles) ReadFile(name string) ([]byte, error) {
	_, data, err := c.files.content(path.Join(c.dir, name))
	return slices.Clone(data), err
}

// ReadDir implements fs.ReadDirFS.
func (c chartFiles) ReadDir(name string) ([]fs.DirEntry, error) {
	a := c.files.answer(path.Join(c.dir, name), wantBelow, List)
	if a.state != directory {
		return nil, &fs.PathError{Op: "readdir", Path: name, Err: fs.ErrNotExist}
	}
	entries := make([]fs.DirEntry, 0, len(a.names))
	for _, n := range a.names {
		n, dir := strings.CutSuffix(n, "/")
		entries = append(entries, fs.FileInfoToDirEntry(chartFile{name: n, dir: dir}))
	}
	return entries, nil
}

// Stat implements fs.StatFS.
func (c chartFiles) Stat(name string) (fs.FileInfo, error) {
	switch a := c.files.answer(path.Join(c.dir, name), wantContent, Content); a.state {
	case directory:
		return chartFile{name: path.Base(name), dir: true}, nil
	case file:
		return chartFile{name: path.Base(name), size: len(c.files.kept.data[a.content.id])}, nil
	}
	return nil, &fs.PathError{Op: "stat", Path: name, Err: fs.ErrNotExist}
}

// Open implements fs.FS, for files.
func (c chartFiles) Open(name string) (fs.File, error) {
	data, err := c.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return openChartFile{chartFile{name: path.Base(name), size: len(data)}, strings.NewReader(string(data))}, nil
}

type chartFile struct {
	name string
	dir  bool
	size int
}

func (f chartFile) Name() string       { return f.name }
func (f chartFile) Size() int64        { return int64(f.size) }
func (f chartFile) ModTime() time.Time { return time.Time{} }
func (f chartFile) IsDir() bool        { return f.dir }
func (f chartFile) Sys() any           { return nil }
func (f chartFile) Mode() fs.FileMode {
	if f.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}

type openChartFile struct {
	chartFile
	io.Reader
}

func (f openChartFile) Stat() (fs.FileInfo, error) { return f.chartFile, nil }
func (openChartFile) Close() error                 { return nil }
