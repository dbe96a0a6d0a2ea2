package render

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// scan reads every kustomization that a build would reach, before it does, and
// refuses references that lead out of the repository.
type scan struct {
	files readOnly
	seen  map[string]bool // directories
}

func newScan(files readOnly) *scan { return &scan{files: files, seen: map[string]bool{}} }

// overlay scans the kustomization of a directory and what it refers to.
func (s *scan) overlay(dir string) error {
	if s.seen[dir] {
		return nil
	}
	s.seen[dir] = true
	file, k, err := s.kustomization(dir)
	if err != nil {
		return err
	}
	if k.HelmGlobals != nil || len(k.HelmCharts) > 0 || len(k.HelmChartInflationGenerator) > 0 {
		return refuse(file, "helmCharts: fetches and runs a chart while rendering, which Tagboat does not do; commit the rendered chart (`helm template`) as a resource")
	}
	r := references{scan: s, dir: dir, file: file}
	for _, check := range []func(*types.Kustomization) error{r.resources, r.patches, r.generated, r.plugins} {
		if err := check(k); err != nil {
			return err
		}
	}
	return nil
}

// kustomization reads a directory's kustomization as krusty does.
func (s *scan) kustomization(dir string) (string, *types.Kustomization, error) {
	var file string
	var data []byte
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		content, err := s.files.ReadFile(path.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", nil, err
		case file != "":
			return "", nil, refuse(dir, "it has both %s and %s; Kustomize accepts one", path.Base(file), name)
		default:
			file, data = path.Join(dir, name), content
		}
	}
	if file == "" {
		return "", nil, fault.Errorf(fault.NotFound, "%s has no kustomization.yaml; add one, or correct the path", dir)
	}
	if _, err := documents(data); err != nil {
		return "", nil, refuse(file, "not valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	k := &types.Kustomization{}
	if err := k.Unmarshal(data); err != nil {
		return "", nil, refuse(file, "not a kustomization: %s", fieldProblem(err))
	}
	k.FixKustomization()
	return file, k, nil
}

var (
	unknownField = regexp.MustCompile(`unknown field "([^"]+)"`)
	wrongType    = regexp.MustCompile(`cannot unmarshal (\w+) into Go (?:struct field \w+\.([\w.]+)|value) of type`)
)

// fieldProblem says what a JSON decoder said, without its names of Go types.
func fieldProblem(err error) string {
	text := err.Error()
	if m := unknownField.FindStringSubmatch(text); m != nil {
		return "unknown field " + m[1] + "; correct or remove it"
	}
	if m := wrongType.FindStringSubmatch(text); m != nil {
		return cmp.Or(m[2], "the file") + " has the wrong type (" + m[1] + ")"
	}
	return "it cannot be read; try `kustomize build`"
}

// references checks what one kustomization refers to.
type references struct {
	*scan
	dir, file string
}

// remote reports whether krusty would fetch or clone a reference. It is a little
// wider than krusty, which normalises before it decides
// (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md).
func remote(ref string) bool {
	ref = strings.ToLower(strings.TrimSpace(ref))
	return strings.Contains(ref, "://") || remoteStart.MatchString(ref)
}

var remoteStart = regexp.MustCompile(`^(https?:|git::|(git::)?github\.com[/:]|[a-z][a-z0-9-]*@)`)

func (r references) refuse(field, ref, reason string) error {
	return refuse(r.file, "%s: %q %s", field, ref, reason)
}

// inside is a reference as a path of the tree.
func (r references) inside(field, ref string) (string, error) {
	if remote(ref) {
		return "", r.refuse(field, ref, "is a remote reference, which Tagboat never fetches; copy it into the repository")
	}
	target := path.Join(r.dir, ref)
	if path.IsAbs(ref) || target == ".." || strings.HasPrefix(target, "../") {
		return "", r.refuse(field, ref, "leads out of the repository; write a relative path inside it")
	}
	return target, nil
}

// plainFile checks a reference to a file, which must be at or below the
// kustomization.
func (r references) plainFile(field, ref string) (string, error) {
	target, err := r.inside(field, ref)
	if err != nil {
		return "", err
	}
	if r.dir != "." && !strings.HasPrefix(target, r.dir+"/") {
		return "", r.refuse(field, ref, "is a file outside of its kustomization's directory; move it below, or refer to a directory with its own kustomization")
	}
	if !r.files.isFile(target) {
		return "", r.refuse(field, ref, "is not a file of this repository; correct the path")
	}
	return target, nil
}

func (r references) resources(k *types.Kustomization) error {
	for _, ref := range append(append([]string{}, k.Resources...), k.Components...) {
		target, err := r.inside("resources", ref)
		if err != nil {
			return err
		}
		if r.files.IsDir(target) {
			err = r.overlay(target)
		} else {
			_, err = r.plainFile("resources", ref)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r references) patches(k *types.Kustomization) error {
	for field, refs := range map[string][]string{"crds": k.Crds, "configurations": k.Configurations, "openapi": {k.OpenAPI["path"]}} {
		if err := r.plainFiles(field, refs); err != nil {
			return err
		}
	}
	//lint:ignore SA1019 people's overlays still have the old fields, and Kustomize reads them
	for _, p := range append(append([]types.Patch{}, k.Patches...), k.PatchesJson6902...) {
		if err := r.plainFiles("patches", []string{p.Path}); err != nil {
			return err
		}
	}
	//lint:ignore SA1019 as above
	for _, p := range k.PatchesStrategicMerge {
		if inline(string(p)) {
			continue
		}
		if err := r.plainFiles("patchesStrategicMerge", []string{string(p)}); err != nil {
			return err
		}
	}
	for _, p := range k.Replacements {
		if err := r.plainFiles("replacements", []string{p.Path}); err != nil {
			return err
		}
	}
	return nil
}

func (r references) plainFiles(field string, refs []string) error {
	for _, ref := range refs {
		if ref == "" {
			continue
		}
		if _, err := r.plainFile(field, ref); err != nil {
			return err
		}
	}
	return nil
}

func (r references) generated(k *types.Kustomization) error {
	for _, g := range k.ConfigMapGenerator {
		if err := r.sources("configMapGenerator", g.KvPairSources); err != nil {
			return err
		}
	}
	for _, g := range k.SecretGenerator {
		if err := r.sources("secretGenerator", g.KvPairSources); err != nil {
			return err
		}
	}
	return nil
}

func (r references) sources(field string, s types.KvPairSources) error {
	refs := append([]string{s.EnvSource}, s.EnvSources...)
	for _, f := range s.FileSources {
		if _, value, named := strings.Cut(f, "="); named {
			f = value
		}
		refs = append(refs, f)
	}
	return r.plainFiles(field, refs)
}

// plugins checks the configurations of built-in plugins (others are disabled),
// which have references of their own.
func (r references) plugins(k *types.Kustomization) error {
	for field, refs := range map[string][]string{"generators": k.Generators, "transformers": k.Transformers, "validators": k.Validators} {
		for _, ref := range refs {
			if inline(ref) {
				if err := r.plugin(field, r.file, []byte(ref)); err != nil {
					return err
				}
				continue
			}
			target, err := r.plainFile(field, ref)
			if err != nil {
				return err
			}
			data, err := r.files.ReadFile(target)
			if err != nil {
				return err
			}
			if err := r.plugin(field, target, data); err != nil {
				return err
			}
		}
	}
	return nil
}

// inline reports whether a list element is YAML itself rather than a path.
func inline(s string) bool {
	docs, err := documents([]byte(s))
	return err == nil && len(docs) > 0 && len(docs[0].Content) > 0 && docs[0].Content[0].Kind == yaml.MappingNode && !remoteStart.MatchString(strings.ToLower(s))
}

// pathKeys are the keys under which built-in plugins take paths, in lower case:
// JSON keys are matched in any.
var pathKeys = map[string]bool{"path": true, "paths": true, "files": true, "env": true, "envs": true, "targetfilepath": true,
	"patches": true, "patchesstrategicmerge": true, "resources": true, "bases": true, "components": true}

func (r references) plugin(field, file string, data []byte) error {
	docs, err := documents(data)
	if err != nil {
		return refuse(file, "%s: not valid YAML: %s", field, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	var refused error
	for _, doc := range docs {
		pairs(doc, func(key string, value *yaml.Node) {
			if strings.EqualFold(key, "kind") && value.Value == "HelmChartInflationGenerator" {
				refused = refuse(file, "%s: it fetches and runs a Helm chart while rendering, which Tagboat does not do; commit the rendered chart", field)
			}
			if ref := remoteIn(value); pathKeys[strings.ToLower(key)] && ref != "" {
				refused = refuse(file, "%s: %q is a remote reference, which Tagboat never fetches; copy it into the repository", field, ref)
			}
		})
	}
	return refused
}

// remoteIn is the first remote reference among the strings at or below n, or "".
func remoteIn(n *yaml.Node) string {
	n = resolve(n)
	if n.Kind == yaml.ScalarNode {
		_, value, _ := strings.Cut(n.Value, "=")
		if remote(n.Value) || remote(value) {
			return n.Value
		}
		return ""
	}
	for _, child := range n.Content {
		if ref := remoteIn(child); ref != "" {
			return ref
		}
	}
	return ""
}
