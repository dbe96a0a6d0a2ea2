package overlay

import (
	"strings"
)

// chartSite is the site of a chart's version. A chart of an OCI registry is
// known by its full name, as an image is.
func chartSite(where, name, repo string, in, version *place) *site {
	s := &site{Site: Site{Where: where, Kind: KindChart, Name: name, Repo: repo, Version: version.text()}, in: in,
		slots: []slot{{key: "version", holds: holdsVersion, at: version}}}
	if registry, ok := strings.CutPrefix(repo, "oci://"); ok {
		s.Name = strings.TrimSuffix(registry, "/") + "/" + name
	}
	return s
}

// chart finds the dependencies of a Chart.yaml (or of Helm 2's
// requirements.yaml) and its appVersion
// (https://helm.sh/docs/topics/charts/#the-chartyaml-file).
//
// The chart's own version is not a site: it is published, not chosen.
func (o *opened) chart(root *place) {
	if app := root.at("appVersion"); app.isScalar() && root.at("name").text() != "" {
		o.add(&site{Site: Site{Where: "appVersion", Kind: KindChart, Name: root.at("name").text(), Version: app.text()}, in: root,
			slots: []slot{{key: "appVersion", holds: holdsVersion, at: app}}})
	}
	for _, p := range root.at("dependencies").elements() {
		if version := p.at("version"); version.isScalar() && p.at("name").text() != "" {
			o.add(chartSite("Chart.yaml", p.at("name").text(), p.at("repository").text(), p, version))
		}
	}
}
