package overlay

import "strings"

// helmRelease finds the chart's version, the images in spec.values and those of
// the Kustomize post renderers
// (https://fluxcd.io/flux/components/helm/helmreleases/).
func (o *opened) helmRelease(root *place) error {
	spec := root.at("spec")
	chart := spec.at("chart", "spec")
	if version := chart.at("version"); version.isScalar() && chart.at("chart").text() != "" {
		o.add(chartSite("HelmRelease", chart.at("chart").text(), o.helmRepository(chart.at("sourceRef")), chart, version))
	}
	o.helmValues(spec.at("values"), "HelmRelease")
	for _, p := range spec.at("postRenderers").elements() {
		if err := o.patchesAndImages(p.at("kustomize")); err != nil {
			return err
		}
	}
	return nil
}

// helmRepository is the URL of the HelmRepository that a release names, where it
// stands in the same file.
func (o *opened) helmRepository(ref *place) string {
	if ref.at("kind").text() != "HelmRepository" {
		return ""
	}
	for _, doc := range o.docs {
		root := o.root(doc)
		namespace := ref.at("namespace").text()
		if root.at("kind").text() == "HelmRepository" && root.at("metadata", "name").text() == ref.at("name").text() &&
			(namespace == "" || root.at("metadata", "namespace").text() == namespace) {
			return root.at("spec", "url").text()
		}
	}
	return ""
}

// ociRepository finds spec.ref: its digest counts before its semver, and that
// before its tag (https://fluxcd.io/flux/components/source/ocirepositories/#reference).
func (o *opened) ociRepository(root *place) {
	url, isOCI := strings.CutPrefix(root.at("spec", "url").text(), "oci://")
	ref := root.at("spec", "ref")
	if !isOCI || ref == nil {
		return
	}
	tag, semver, digest := ref.at("tag"), ref.at("semver"), ref.at("digest")
	s := &site{Site: Site{Where: "OCIRepository", Kind: KindChart, Name: url, Repo: "oci://" + url, Digest: digest.text()}, in: ref,
		after: []string{"tag", "semver"}}
	version := slot{key: "tag", holds: holdsVersion, at: tag}
	if tag == nil && semver != nil {
		version = slot{key: "semver", holds: holdsVersion, at: semver}
	}
	if version.at != nil {
		s.Version = version.at.text()
		s.slots = append(s.slots, version)
	}
	if version.at == nil && digest == nil {
		return
	}
	s.slots = append(s.slots, slot{key: "digest", holds: holdsDigest, at: digest})
	if tag != nil && semver != nil {
		s.blocked = ref.doc.refuse(semver.key, "%s has both tag and semver, of which Flux reads semver only; remove one", s.what())
	}
	o.add(s)
}
