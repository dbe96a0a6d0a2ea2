package render

import (
	"io/fs"
	"path"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"

	"github.com/tagboat/tagboat/internal/fault"
)

// Source is what is rendered: a kustomization, a chart with values, or a file.
type Source struct {
	// Dir is the kustomization's directory in the tree, with slashes; with Helm, the
	// directory that errors name.
	Dir  string
	Helm *Helm
	// Manifest is a file of objects directly in Dir that is rendered as it stands,
	// where there is no kustomization: an Argo CD Application, plain objects.
	Manifest string
}

// Helm is a chart that is rendered without a kustomization.
type Helm struct {
	Chart              string // directory of the tree, or oci://host/repository@sha256:...
	Release, Namespace string
	Values             []string // files of the tree; later ones win
}

func (s Source) check() error {
	if !fs.ValidPath(s.Dir) {
		return fault.Errorf(fault.Invalid, "%q is not a directory of the repository; write it with slashes and without ..", s.Dir)
	}
	if err := ours(s.Dir, s.Dir); err != nil {
		return err
	}
	if s.Manifest != "" && slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(s.Manifest)) {
		return refuse(s.Manifest, "it is a kustomization; render its directory")
	}
	if s.Manifest != "" && (!fs.ValidPath(s.Manifest) || path.Dir(s.Manifest) != s.Dir || s.Helm != nil) {
		return fault.Errorf(fault.Invalid, "%q is not a file of the directory %s", s.Manifest, s.Dir)
	}
	return nil
}

// Output is a finished build.
type Output struct {
	Manifests []byte // YAML documents in Kustomize's order
	Reads     []Read // everything the build asked of the tree, absences included; sorted, each once
}

// Namespace is the namespace that a source says for all that it renders; "" where it
// says none.
func Namespace(tree fs.FS, s Source) string {
	if s.Helm != nil {
		return s.Helm.Namespace
	}
	file, data := ownKustomization(tree, s.Dir)
	k := &types.Kustomization{}
	if file == "" || s.Manifest != "" || k.Unmarshal(data) != nil {
		return ""
	}
	return k.Namespace
}
