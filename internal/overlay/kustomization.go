package overlay

import (
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
)

// isKustomizationFile knows the names under which Kustomize looks for its file
// (https://kubectl.docs.kubernetes.io/references/kustomize/glossary/#kustomization).
func isKustomizationFile(name string) bool {
	return name == "kustomization.yaml" || name == "kustomization.yml" || name == "Kustomization"
}

// kustomization finds images:, inline patches, remote bases and helmCharts:.
func (o *opened) kustomization(root *place) error {
	root, err := o.kustomizationRoot(root)
	if root == nil || err != nil {
		return err
	}
	first := len(o.sites)
	defer func() { shadow(o.sites[first:]) }()
	for _, key := range []string{"resources", "bases", "components"} {
		for _, p := range root.at(key).elements() {
			o.remoteBase(p)
		}
	}
	for _, p := range root.at("helmCharts").elements() {
		o.helmChart(p)
		o.helmValues(p.at("valuesInline"), "helm values")
	}
	return o.patchesAndImages(root)
}

// patchesAndImages finds what a kustomization and Flux's Kustomization object
// have in common (https://fluxcd.io/flux/components/kustomize/kustomizations/).
func (o *opened) patchesAndImages(root *place) error {
	elements, err := o.entryElements(root.at("images"))
	if err != nil {
		return err
	}
	for _, p := range elements {
		if err := o.imagesEntry(p); err != nil {
			return err
		}
	}
	for _, key := range []string{"patches", "patchesJson6902"} {
		for _, p := range root.at(key).elements() {
			o.inlinePatch(p.at("patch"))
		}
	}
	for _, p := range root.at("patchesStrategicMerge").elements() {
		o.inlinePatch(p)
	}
	return nil
}

// shadow marks what an entry of images: overrides: Kustomize applies them after
// charts and patches, so a version of the same image there has no effect
// (https://github.com/kubernetes-sigs/kustomize/blob/master/api/internal/target/kusttarget_configplugin.go).
func shadow(sites []*site) {
	overridden := map[string]bool{}
	for _, s := range sites {
		if s.Where == "images" && (s.Version != "" || s.Digest != "") {
			overridden[s.base] = true
		}
	}
	for _, s := range sites {
		s.shadowed = s.Where != "images" && s.Kind == KindImage && overridden[s.Name]
	}
}

func (o *opened) imagesEntry(p *place) error {
	e, err := entry(p)
	if err != nil {
		return err
	}
	ref := e.Ref()
	s := &site{Site: Site{Where: "images", Line: e.Line, Kind: KindImage, Name: e.Image(), Version: ref.Tag, Digest: ref.Digest}, base: e.Name, in: p,
		after: []string{"name", "newName", "newTag"},
		slots: []slot{{key: "newTag", holds: holdsVersion, at: p.at("newTag")}, {key: "digest", holds: holdsDigest, at: p.at("digest")}}}
	if e.NewName != "" {
		s.Alias = e.Name
	}
	if suffix := p.at("tagSuffix"); suffix != nil {
		s.blocked = p.doc.refuse(suffix.key, "image %s has a tagSuffix, so another tag would run than the one that was verified; remove it", s.Name)
	} else if strings.Contains(e.NewTag, "@") {
		s.blocked = p.doc.refuse(p.at("newTag").node, "newTag holds a digest too (%s); move it to its own key digest:", e.NewTag)
	}
	o.add(s)
	return nil
}

// remoteBase takes up a URL with a revision in its query
// (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md).
func (o *opened) remoteBase(p *place) {
	url := p.text()
	head, revision, tail, ok := cutRevision(url)
	if !ok {
		return
	}
	s := &site{Site: Site{Where: "remote base", Kind: KindRevision, Version: revision}, in: p.up,
		slots: []slot{{key: "ref", holds: holdsVersion, at: p, head: head, tail: tail}}}
	s.Name, _, _ = strings.Cut(url, "?")
	if _, _, _, twice := cutRevision(tail); twice {
		s.blocked = p.doc.refuse(p.node, "the URL %s names its revision twice; keep one of ?ref= and ?version=", s.Name)
	}
	o.add(s)
}

// helmChart takes up an element of helmCharts:
// (https://kubectl.docs.kubernetes.io/references/kustomize/builtins/#_helmchartinflationgenerator_).
// A digest in a comment behind the version is Tagboat's own way to pin a chart
// of an OCI registry.
func (o *opened) helmChart(p *place) {
	version := p.at("version")
	if p.at("name").text() == "" || !version.isScalar() {
		return
	}
	s := chartSite("helmCharts", p.at("name").text(), p.at("repo").text(), p, version)
	if comment, ok := p.doc.digestComment(version.node); ok {
		s.Digest = string(p.doc.data[comment.start:comment.end])
		s.slots = append(s.slots, slot{key: "the digest in the comment", holds: holdsComment, at: version})
	}
	o.add(s)
}

// digestComment finds "# sha256:<64 hex>" right behind a scalar.
func (d *document) digestComment(n *yaml.Node) (span, bool) {
	at, err := d.scalar(n)
	if err != nil {
		return span{}, false
	}
	rest := d.data[at.end:d.lineEnd(at.end)]
	text := strings.TrimLeft(string(rest), " \t")
	if !strings.HasPrefix(text, "#") {
		return span{}, false
	}
	digest, _, _ := strings.Cut(strings.TrimLeft(text[1:], " \t"), " ")
	digest = strings.TrimRight(digest, "\t\r")
	if !image.ValidDigest(digest) {
		return span{}, false
	}
	start := at.end + strings.Index(string(rest), digest)
	return span{start, start + len(digest)}, true
}
