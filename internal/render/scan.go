package render

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
)

// scan reads every kustomization that a build would reach, before it does, and
// refuses references that lead out of the repository. It asks for the files in
// large gulps, so that krusty finds them at hand.
type scan struct {
	files  *view
	seen   map[string]*visit // by directory
	schema bool              // a kustomization changes krusty's schema (openapi:)
	served bool              // krusty is served something else than a file says
	used   []use             // files that are read for their content

	configured bool              // nothing may be served lighter
	lightened  map[string][]byte // by file: what could be
}

// visit is what is known of a directory that was scanned.
type visit struct {
	namespace string // that charts in it inherit
	charts    bool   // it has some, or leads to some
	open      bool   // its references are being followed
}

// listed is a field of a kustomization with what it refers to.
type listed struct {
	field string
	refs  []string
}

func newScan(files *view) *scan {
	return &scan{files: files, seen: map[string]*visit{}, lightened: map[string][]byte{}}
}

// top scans the kustomization that is built.
func (s *scan) top(dir string) error {
	if err := s.overlay(dir, ""); err != nil || !s.served {
		return err
	}
	if err := s.apart(); err != nil {
		return err
	}
	file, _, k, err := s.kustomization(s.files.real(dir))
	if err == nil && len(k.BuildMetadata) > 0 && !slices.Equal(k.BuildMetadata, []string{types.ManagedByLabelOption}) {
		return refuse(file, "buildMetadata: annotations about origins would name other files where charts or remote bases are used; remove them")
	}
	return err
}

// overlay scans the kustomization of a directory and what it refers to. Charts in
// it inherit the namespace.
func (s *scan) overlay(dir, namespace string) error {
	s.files.prefetch(wantContent, dir)
	dir = s.files.real(dir)
	if before := s.seen[dir]; before != nil {
		if before.charts && before.namespace != namespace {
			return refuse(dir, "helmCharts: the same chart is wanted in namespace %q and in %q; write namespace: in its entry", before.namespace, namespace)
		}
		return nil
	}
	here := &visit{namespace: namespace, open: true}
	defer func() { here.open = false }()
	s.seen[dir] = here
	file, id, k, err := s.kustomization(dir)
	if err != nil {
		return err
	}
	s.schema = s.schema || len(k.OpenAPI) > 0
	r := &references{scan: s, dir: dir, file: file, namespace: namespace, here: here, own: *k}
	s.files.prefetch(wantContent, r.paths(k)...)
	for _, check := range []func(*types.Kustomization) error{r.resources, r.patches, r.generated, r.plugins, r.charts} {
		if err := check(k); err != nil {
			return err
		}
	}
	here.charts = here.charts || len(k.HelmCharts) > 0
	s.configured = s.configured || configured(k)
	if !r.changed {
		s.lighten(file, id, k)
		return nil
	}
	s.served = true
	return s.files.serve(file, &r.own)
}

// kustomization reads a directory's kustomization as krusty does. It must not be
// changed. The id is its content's.
func (s *scan) kustomization(dir string) (file, id string, _ *types.Kustomization, err error) {
	var data []byte
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		found, content, err := s.files.content(path.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return "", "", nil, err
		case file != "":
			return "", "", nil, refuse(dir, "it has both %s and %s; Kustomize accepts one", path.Base(file), name)
		default:
			file, id, data = path.Join(dir, name), found, content
		}
	}
	if file == "" {
		return "", "", nil, fault.Errorf(fault.NotFound, "%s has no kustomization.yaml; add one, or correct the path", dir)
	}
	if k, ok := s.files.kept.parsed[id]; ok {
		return file, id, k, nil
	}
	if _, err := documents(data); err != nil {
		return "", "", nil, refuse(file, "not valid YAML: %s", strings.TrimPrefix(err.Error(), "yaml: "))
	}
	k := &types.Kustomization{}
	if err := k.Unmarshal(data); err != nil {
		return "", "", nil, refuse(file, "not a kustomization: %s", fieldProblem(err))
	}
	k.FixKustomization()
	s.files.kept.parsed[id] = k
	return file, id, k, nil
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
	namespace string // inherited from the kustomization that leads here
	here      *visit
	own       types.Kustomization // what krusty is served, if it is
	changed   bool                // another than the file says
}

// maxShown is how much of a reference is shown: its reason must not be out of sight.
const maxShown = 300

func (r *references) refuse(field, ref, reason string) error {
	return refuse(r.file, "%s: %q %s", field, shortened(ref, maxShown), reason)
}

// inside is a reference as a path of the tree.
func (r *references) inside(field, ref string) (string, error) {
	if remote(ref) {
		return "", r.refuse(field, ref, notFetched)
	}
	target := path.Join(r.dir, ref)
	if path.IsAbs(ref) || target == ".." || strings.HasPrefix(target, "../") || root(target) != root(r.dir) {
		return "", r.refuse(field, ref, "leads out of the repository; write a relative path inside it")
	}
	return target, nil
}

// plainFile checks a reference to a file, which must be at or below the
// kustomization.
func (r *references) plainFile(field, ref string) (string, error) {
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
	r.used = append(r.used, use{r.file, field, ref, target})
	return target, nil
}

// paths are the paths of the tree that a kustomization probably refers to.
func (r *references) paths(k *types.Kustomization) []string {
	refs := slices.Concat(k.Resources, k.Components, k.Crds, k.Configurations, k.Generators, k.Transformers, k.Validators, []string{k.OpenAPI["path"]})
	//lint:ignore SA1019 people's overlays still have the old fields, and Kustomize reads them
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) {
		refs = append(refs, p.Path)
	}
	//lint:ignore SA1019 as above
	for _, p := range k.PatchesStrategicMerge {
		refs = append(refs, string(p))
	}
	for _, p := range k.Replacements {
		refs = append(refs, p.Path)
	}
	for _, g := range k.ConfigMapGenerator {
		refs = append(refs, sources(g.KvPairSources)...)
	}
	for _, g := range k.SecretGenerator {
		refs = append(refs, sources(g.KvPairSources)...)
	}
	paths := refs[:0]
	for _, ref := range refs {
		if ref != "" && !strings.Contains(ref, "\n") && !remote(ref) {
			paths = append(paths, path.Join(r.dir, ref))
		}
	}
	return paths
}

func (r *references) resources(k *types.Kustomization) error {
	for _, list := range []struct {
		field string
		refs  *[]string
	}{{"resources", &r.own.Resources}, {"components", &r.own.Components}} {
		for i, ref := range *list.refs {
			served, err := r.resource(list.field, ref)
			if err != nil {
				return err
			}
			if served != ref { // the list is shared with the next build that reads this file
				*list.refs = slices.Clone(*list.refs)
				(*list.refs)[i] = served
				r.changed = true
			}
		}
	}
	return nil
}

// resource checks one reference to a file or directory, and what that refers to.
// It is the reference that krusty is to follow.
func (r *references) resource(field, ref string) (string, error) {
	served := ref
	if remote(ref) && r.files.fetches {
		target, err := r.fetch(field, ref)
		if err != nil {
			return "", err
		}
		return relative(r.dir, target), r.base(target)
	}
	target, err := r.inside(field, ref)
	if err != nil {
		return "", err
	}
	if r.files.IsDir(target) {
		if before := r.seen[r.files.real(target)]; before != nil && before.open {
			return "", r.refuse(field, ref, "leads back to where it came from, so it would never end; take one of the references out")
		}
		return served, r.base(target)
	}
	_, err = r.plainFile(field, ref)
	return served, err
}

// base scans a directory that the kustomization refers to.
func (r *references) base(dir string) error {
	err := r.overlay(dir, cmp.Or(r.own.Namespace, r.namespace))
	if below := r.seen[r.files.real(dir)]; below != nil && below.charts {
		r.here.charts = true
	}
	return err
}

func (r *references) patches(k *types.Kustomization) error {
	for _, list := range []listed{{"crds", k.Crds}, {"configurations", k.Configurations}, {"openapi", []string{k.OpenAPI["path"]}}} {
		if err := r.plainFiles(list.field, list.refs); err != nil {
			return err
		}
	}
	//lint:ignore SA1019 people's overlays still have the old fields, and Kustomize reads them
	for _, p := range slices.Concat(k.Patches, k.PatchesJson6902) {
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

func (r *references) plainFiles(field string, refs []string) error {
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

func (r *references) generated(k *types.Kustomization) error {
	for _, g := range k.ConfigMapGenerator {
		if err := r.plainFiles("configMapGenerator", sources(g.KvPairSources)); err != nil {
			return err
		}
	}
	for _, g := range k.SecretGenerator {
		if err := r.plainFiles("secretGenerator", sources(g.KvPairSources)); err != nil {
			return err
		}
	}
	return nil
}

// sources are the files that a generator reads.
func sources(s types.KvPairSources) []string {
	refs := append([]string{s.EnvSource}, s.EnvSources...)
	for _, f := range s.FileSources {
		if _, value, named := strings.Cut(f, "="); named {
			f = value
		}
		refs = append(refs, f)
	}
	return refs
}

// plugins checks the configurations of built-in plugins (others are disabled),
// which have references of their own.
func (r *references) plugins(k *types.Kustomization) error {
	for _, list := range []listed{{"generators", k.Generators}, {"transformers", k.Transformers}, {"validators", k.Validators}} {
		field := list.field
		for _, ref := range list.refs {
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

func (r *references) plugin(field, file string, data []byte) error {
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
			if !pathKeys[strings.ToLower(key)] {
				return
			}
			r.usesAll(file, field, value)
			if ref := remoteIn(value); ref != "" {
				refused = refuse(file, "%s: %q %s", field, shortened(ref, maxShown), notFetched)
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
