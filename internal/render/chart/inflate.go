package chart

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	chartloader "helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"

	"github.com/tagboat/tagboat/internal/fault"
)

// Request says how a chart is rendered: the arguments of "helm template".
type Request struct {
	Release      string   // name of the release
	NameTemplate string   // template of the name, where Release is empty
	Namespace    string   // "" for "default"
	Values       [][]byte // values files as YAML, on top of the chart's own; later ones win
	IncludeCRDs  bool     // print what is in crds/
	SkipHooks    bool     // print no hooks
	SkipTests    bool     // print no hooks that are tests
	SkipIdle     bool     // print no hooks but those around an install or an upgrade: nothing else happens to what is applied
	KubeVersion  string   // of .Capabilities; "" for the one that Helm assumes
	APIVersions  []string // added to those of .Capabilities
}

// The version of Helm that is imitated, and the Kubernetes version that it assumes
// without --kube-version (https://helm.sh/docs/topics/version_skew/). Helm takes
// the latter from its build, so that it would be another one in Tagboat's.
const (
	helmVersion = "v4.3.1"
	kubeVersion = "v1.37.0"
)

// maxOutput bounds what a chart may come to, in bytes.
const maxOutput = 64 << 20

// Inflate renders the chart at the root of files. The result is a YAML stream in
// Helm's order: CRDs, objects by kind, hooks.
//
// Errors: Invalid with the chart's file and line for what a person has to correct,
// and for a chart that would come to something else the next time; an error of
// files keeps its kind.
func Inflate(files fs.FS, r Request) (manifests []byte, err error) {
	defer func() {
		if p := recover(); p != nil { // Helm's functions panic on some inputs
			manifests, err = nil, fault.Errorf(fault.Invalid, "the chart cannot be rendered: %s", oneLine(fmt.Sprint(p)))
		}
	}()
	first := chance{}
	manifests, err = inflate(files, r, &first, nil)
	if err != nil || first.calls == 0 {
		return manifests, err
	}
	other, err := inflate(files, r, &chance{second: true}, nil)
	if err != nil || bytes.Equal(manifests, other) {
		return other, err
	}
	return nil, leftToChance(files, r, differing(manifests, other))
}

// leftToChance says where a chart calls what makes a file of it differ from
// rendering to rendering.
func leftToChance(files fs.FS, r Request, file string) error {
	_, err := inflate(files, r, &chance{refused: true}, func(template string) bool { return template == file })
	if err == nil {
		return fault.Errorf(fault.Invalid, "%s comes to something else every time it is rendered; set in the values what is random in it", file)
	}
	return err
}

// inflate renders with one outcome of chance; all templates, or those that are
// wanted and named ones.
func inflate(files fs.FS, r Request, luck *chance, wanted func(template string) bool) ([]byte, error) {
	name, err := r.name()
	if err != nil {
		return nil, err
	}
	values, err := mergeValues(r.Values)
	if err != nil {
		return nil, err
	}
	c, err := load(files)
	if err != nil {
		return nil, err
	}
	caps, err := r.capabilities()
	if err != nil {
		return nil, err
	}
	if need := c.Metadata.KubeVersion; need != "" && !chartutil.IsCompatibleRange(need, caps.KubeVersion.String()) {
		return nil, fault.Errorf(fault.Invalid, "chart %s needs Kubernetes %s, but is rendered for %s; set kubeVersion", c.Name(), need, caps.KubeVersion.Version)
	}
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, invalid(c, "its dependencies", err)
	}
	options := common.ReleaseOptions{Name: name, Namespace: cmp.Or(r.Namespace, "default"), Revision: 1, IsInstall: true}
	// Helm's own validation would read the files and URLs that a schema refers to.
	top, err := util.ToRenderValuesWithSchemaValidation(c, values, options, caps, true)
	if err != nil {
		return nil, invalid(c, "its values", err)
	}
	if err := checkSchemas(c, top["Values"]); err != nil {
		return nil, err
	}
	if wanted != nil {
		blank(c, wanted)
	}
	// The context is for lookup, which has no cluster to ask.
	rendered, err := engine.Engine{CustomTemplateFuncs: functions(luck)}.RenderWithContext(context.Background(), c, top)
	if err != nil {
		return nil, templateProblem(err)
	}
	return stream(c, rendered, r)
}

// blank empties the templates that are not wanted. Those with an underscore only
// define named templates for others.
func blank(c *chart.Chart, wanted func(template string) bool) {
	for _, t := range c.Templates {
		if !strings.HasPrefix(path.Base(t.Name), "_") && !wanted(path.Join(c.ChartFullPath(), t.Name)) {
			t.Data = nil
		}
	}
	for _, sub := range c.Dependencies() {
		blank(sub, wanted)
	}
}

// name is the release's name.
func (r Request) name() (string, error) {
	name := r.Release
	switch {
	case name != "" && r.NameTemplate != "":
		return "", fault.Errorf(fault.Invalid, "the release has both a name (%s) and a template for one; keep one of them", name)
	case name == "" && r.NameTemplate == "":
		return "", fault.Errorf(fault.Invalid, "the release has no name, and Helm would make up another one every time; name it (releaseName)")
	case name == "":
		var err error
		if name, err = executeName(r.NameTemplate); err != nil {
			return "", fault.Errorf(fault.Invalid, "the template for the release's name: %s", oneLine(err.Error()))
		}
	}
	if err := chartutil.ValidateReleaseName(name); err != nil {
		return "", fault.Errorf(fault.Invalid, "%q cannot be the name of a release: write up to 53 small letters, digits, dots and dashes", name)
	}
	return name, nil
}

func (r Request) capabilities() (*common.Capabilities, error) {
	caps := common.DefaultCapabilities.Copy()
	version, err := common.ParseKubeVersion(cmp.Or(r.KubeVersion, kubeVersion))
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "%q is not a version of Kubernetes; write one like 1.37", r.KubeVersion)
	}
	caps.KubeVersion = *version
	caps.HelmVersion.Version = helmVersion
	caps.HelmVersion.GoVersion = ""
	caps.HelmVersion.KubeClientVersion, _, _ = strings.Cut(kubeVersion, ".0")
	caps.APIVersions = slices.Concat(caps.APIVersions, r.APIVersions)
	return caps, nil
}

// mergeValues reads values files as Helm does, where a file may be a stream of
// documents that are merged.
func mergeValues(files [][]byte) (map[string]any, error) {
	values := map[string]any{}
	for i, file := range files {
		more, err := chartloader.LoadValues(bytes.NewReader(file))
		if err != nil {
			return nil, fault.Errorf(fault.Invalid, "values file %d of %d: %s", i+1, len(files), oneLine(err.Error()))
		}
		values = chartloader.MergeMaps(values, more)
	}
	return values, nil
}

// stream puts the rendered templates into the form and the order of "helm template".
func stream(c *chart.Chart, rendered map[string]string, r Request) ([]byte, error) {
	size := 0
	for file, content := range rendered {
		size += len(content)
		if strings.HasSuffix(file, "NOTES.txt") {
			delete(rendered, file)
		}
	}
	if size > maxOutput {
		return nil, fault.Errorf(fault.Invalid, "chart %s renders to more than %d MiB", c.Name(), maxOutput>>20)
	}
	hooks, objects, err := releaseutil.SortManifests(rendered, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, templateProblem(err)
	}
	var out bytes.Buffer
	if r.IncludeCRDs {
		for _, crd := range c.CRDObjects() {
			document(&out, crd.Filename, string(crd.File.Data))
		}
	}
	for _, o := range objects {
		document(&out, o.Name, o.Content)
	}
	all := append(bytes.TrimSpace(out.Bytes()), '\n')
	if r.SkipHooks {
		return all, nil
	}
	out = *bytes.NewBuffer(all)
	for _, h := range hooks {
		if (!r.SkipTests || !slices.Contains(h.Events, release.HookTest)) && (!r.SkipIdle || slices.ContainsFunc(h.Events, brings)) {
			document(&out, h.Path, h.Manifest)
		}
	}
	return out.Bytes(), nil
}

// brings reports whether a hook is of an event that applying a chart comes to.
func brings(e release.HookEvent) bool {
	switch e {
	case release.HookPreInstall, release.HookPostInstall, release.HookPreUpgrade, release.HookPostUpgrade:
		return true
	}
	return false
}

func document(out *bytes.Buffer, file, content string) {
	fmt.Fprintf(out, "---\n# Source: %s\n%s\n", file, content)
}
