package envrepo

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// argoSources reads the sources of an Argo CD Application, or of the template of an
// ApplicationSet, as far as they say more than their mappings do by themselves
// (https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/).
func (w *walk) argoSources(root *yaml.Node) {
	if !strings.HasPrefix(w.text(root, "apiVersion"), "argoproj.io/") {
		return
	}
	app := root
	switch w.text(root, "kind") {
	case "Application":
	case "ApplicationSet":
		app = w.child(w.child(root, "spec"), "template")
	default:
		return
	}
	called := w.text(w.child(root, "metadata"), "name")
	read := func(source *yaml.Node) {
		helm := w.child(source, "helm")
		w.parameters(helm, []string{w.text(source, "chart"), path.Base(w.text(source, "path")), called})
		w.inlaid(w.child(helm, "values"), func(values *yaml.Node) { w.node(values, "", 1) })
	}
	spec := w.child(app, "spec")
	read(w.child(spec, "source"))
	w.list(spec, "sources", read)
}

// parameters reads the values that an Application gives a chart one by one:
// image.repository and image.tag, with perhaps image.registry and image.digest,
// under any prefix. A tag without its repository is of an image that only the chart
// knows: it is called after the prefix, else after what the source is called.
func (w *walk) parameters(helm *yaml.Node, called []string) {
	values := map[string]string{}
	var names []string
	w.list(helm, "parameters", func(p *yaml.Node) {
		if name := w.text(p, "name"); name != "" {
			names = append(names, name)
			values[name] = w.text(p, "value")
		}
	})
	for _, name := range names {
		prefix, ok := strings.CutSuffix(name, "tag")
		if !ok || prefix != "" && !strings.HasSuffix(prefix, ".") {
			continue
		}
		tag := cmp.Or(values[name], values[prefix+"digest"])
		repository := values[prefix+"repository"]
		switch {
		case tag == "":
		case repository != "":
			w.pinned(values[prefix+"registry"], repository, tag)
		default:
			w.found.guessed = append(w.found.guessed, guesses(prefix, called)...)
		}
	}
}

// guesses are the names of an image that only a chart knows: "web" for
// "web.image.tag", else what its source is called.
func guesses(prefix string, called []string) []string {
	owner := strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(prefix, "."), "image"), ".")
	if owner != "" {
		return []string{owner[strings.LastIndex(owner, ".")+1:]}
	}
	return slices.DeleteFunc(called, func(name string) bool { return name == "" || name == "." || name == "/" })
}
