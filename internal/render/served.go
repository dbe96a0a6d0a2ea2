package render

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// A kustomization with charts or remote bases is served to krusty in another form than
// the file's (see view.serve). krusty reads kustomizations and other files by the same
// paths, so a file that is served must not be of use as anything else: what is made of
// it would not be what is in the repository.

// use is a reference to a file that krusty reads for its content.
type use struct {
	file, field, ref string // where it stands, and how
	target           string // path of the tree
}

func (u use) refused() error {
	return refuse(u.file, "%s: %q is a kustomization with charts or remote bases, which Kustomize is shown in another form; refer to a copy of it", u.field, shortened(u.ref, maxShown))
}

// usesAll notes the strings at or below n as paths: a plugin's, which are as those of
// the kustomization that names the plugin.
func (r *references) usesAll(file, field string, n *yaml.Node) {
	n = resolve(n)
	if n.Kind != yaml.ScalarNode {
		for _, child := range n.Content {
			r.usesAll(file, field, child)
		}
		return
	}
	ref := n.Value
	if _, value, named := strings.Cut(ref, "="); named {
		ref = value
	}
	r.used = append(r.used, use{file, field, n.Value, path.Join(r.dir, ref)})
}

// apart refuses a build in which a file that is served is read as anything else.
func (s *scan) apart() error {
	if i := s.readAsData(s.files.written); i >= 0 {
		return s.used[i].refused()
	}
	return nil
}

// readAsData is the first use of a file that is served, or would be, as anything else
// than a kustomization, or -1.
func (s *scan) readAsData(files map[string][]byte) int {
	served := func(p string) bool { _, ok := files[p]; return ok && !made(p) }
	return slices.IndexFunc(s.used, func(u use) bool { return served(u.target) || served(s.files.real(u.target)) })
}
