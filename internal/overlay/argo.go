package overlay

import (
	"path"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"
)

// application finds the sources of an Argo CD Application, or of the template of
// an ApplicationSet
// (https://argo-cd.readthedocs.io/en/stable/user-guide/application-specification/).
func (o *opened) application(root, app *place, where string) {
	sources := app.at("spec", "sources").elements()
	if source := app.at("spec", "source"); source != nil {
		sources = append([]*place{source}, sources...)
	}
	for _, p := range sources {
		o.source(p, root.at("metadata", "name").text(), where)
	}
}

func (o *opened) source(p *place, app, where string) {
	url, chart := p.at("repoURL").text(), p.at("chart").text()
	if version := p.at("targetRevision"); version.isScalar() && url != "" {
		s := &site{Site: Site{Where: where, Kind: KindRevision, Name: url, Version: version.text()}, in: p,
			slots: []slot{{key: "targetRevision", holds: holdsVersion, at: version}}}
		if repo := chartRepository(url); chart != "" {
			s = chartSite(where, chart, repo, p, version)
		} else if name, ok := strings.CutPrefix(url, "oci://"); ok {
			s.Kind, s.Name, s.Repo = KindChart, name, url
		}
		s.slots[0].key = "targetRevision"
		o.add(s)
	}
	for _, p := range p.at("kustomize", "images").elements() {
		o.kustomizeImage(p, where)
	}
	helm := p.at("helm")
	o.helmParameters(helm.at("parameters"), where, []string{chart, path.Base(p.at("path").text()), app})
	o.helmValues(helm.at("valuesObject"), where)
	if values := helm.at("values"); values != nil && values.node.Kind != yaml.AliasNode {
		if in := o.inlay(values.node); in != nil {
			for _, doc := range in.text.docs {
				if root := in.text.root(doc); root != nil {
					root.up = values
					o.helmValues(root, where)
				}
			}
		}
	}
}

// chartRepository is a repoURL with the scheme that Argo CD leaves out for
// charts of an OCI registry
// (https://argo-cd.readthedocs.io/en/stable/user-guide/helm/#declarative).
func chartRepository(repoURL string) string {
	if strings.Contains(repoURL, "://") {
		return repoURL
	}
	return "oci://" + repoURL
}

// kustomizeImage takes up "name=newName:tag@digest" or "newName:tag@digest".
func (o *opened) kustomizeImage(p *place, where string) {
	base, _, replaced := strings.Cut(p.text(), "=")
	prefix := ""
	if replaced {
		prefix = base + "="
	}
	s := referenceSite(p, "kustomize.images", where, prefix)
	if s == nil {
		return
	}
	if replaced {
		s.base, s.Alias = base, base
	}
	o.add(s)
}

// helmParameters finds image parameters: "image.repository" and "image.tag" with
// perhaps "image.registry" and "image.digest", under any prefix. A tag without a
// repository belongs to an image that only the chart knows; the site is then
// called after the prefix, else after what guesses name: the chart, the last part
// of the path, the application.
func (o *opened) helmParameters(parameters *place, where string, guesses []string) {
	values, elements := map[string]*place{}, map[string]*place{}
	var order []string
	twice := map[string]error{}
	for _, p := range parameters.elements() {
		name := p.at("name").text()
		if name == "" || p.at("value") == nil {
			continue
		}
		if values[name] != nil {
			twice[name] = p.doc.refuse(p.node, "parameter %s stands here a second time; remove one", name)
			continue
		}
		values[name], elements[name] = p.at("value"), p
		order = append(order, name)
	}
	for _, name := range order {
		prefix, ok := strings.CutSuffix(name, "tag")
		if !ok || prefix != "" && !strings.HasSuffix(prefix, ".") {
			continue
		}
		s := &site{Site: Site{Where: where, Kind: KindImage, Version: values[name].text(), Digest: values[prefix+"digest"].text()}, in: elements[name]}
		if repository := values[prefix+"repository"].text(); repository != "" {
			s.Name = repository
			if registry := values[prefix+"registry"].text(); registry != "" {
				s.Name = registry + "/" + repository
			}
		} else {
			s.guesses = guesses
			if owner := path.Base(strings.ReplaceAll(strings.TrimSuffix(strings.TrimSuffix(prefix, "."), "image"), ".", "/")); owner != "." && owner != "/" {
				s.guesses = []string{owner}
			}
			for _, guess := range s.guesses {
				if guess != "" && guess != "." && s.Name == "" {
					s.Name = guess
				}
			}
		}
		s.tagAndDigest(values[name], values[prefix+"digest"])
		for i := range s.slots {
			s.slots[i].key = name
			if s.slots[i].holds == holdsDigest {
				s.slots[i].key = prefix + "digest"
			}
			if err := twice[s.slots[i].key]; err != nil && s.blocked == nil {
				s.blocked = err
			}
		}
		o.add(s)
	}
}
