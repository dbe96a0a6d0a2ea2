package policy

import (
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// values is where Helm values say an image: a tag beside its repository, or both in
// one. The file that stands for the overlay is asked first, for its values win. A file
// that says it twice does not say which one it was.
func (l Locator) values(image string) (Place, bool) {
	for _, name := range slices.Concat([]string{l.at}, l.reads) {
		f := l.files.open(name)
		if f == nil || slices.Contains(kustomizationNames, path.Base(name)) {
			continue
		}
		var lines []int
		for _, root := range f.documents {
			if value(root, "kind") == nil && value(root, "apiVersion") == nil {
				lines = append(lines, imageLines(root, image)...)
			}
		}
		if len(lines) > 0 {
			return Place{f.name, lines[0]}, len(lines) == 1
		}
	}
	return Place{}, false
}

// imageLines are the lines of a document that say an image. Aliases are not followed:
// what they repeat is found where it stands.
func imageLines(n *yaml.Node, image string) (lines []int) {
	if n.Kind == yaml.ScalarNode && n.Value == image {
		return []int{n.Line}
	}
	name, tag, _ := split(image)
	version, repository := value(n, "tag"), value(n, "repository")
	if version != nil && repository != nil && tag != "" && version.Value == tag &&
		(repository.Value == name || repository.Value != "" && strings.HasSuffix(name, "/"+repository.Value)) {
		lines = append(lines, version.Line)
	}
	for _, c := range n.Content {
		lines = append(lines, imageLines(c, image)...)
	}
	return lines
}
