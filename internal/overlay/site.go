package overlay

import (
	"cmp"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// Kind says what a version is a version of.
type Kind string

const (
	KindImage    Kind = "image"    // a container image: tag and digest
	KindChart    Kind = "chart"    // a Helm chart or another OCI artifact: version, perhaps a digest
	KindRevision Kind = "revision" // a git repository: branch, tag or commit
)

// Site is one place that carries a version.
type Site struct {
	File string
	// Where is the kind of place: "images", "manifest", "patch", "helm values",
	// "helmCharts", "Chart.yaml", "appVersion", "HelmRelease", "OCIRepository",
	// "Application", "ApplicationSet" or "remote base".
	Where string
	Line  int // from 1
	Kind  Kind
	// Name is the image's repository, the chart or the git URL without its query.
	// A chart of an OCI registry is named in full
	// ("registry.example.com/charts/payments"), another one by its name alone.
	Name  string
	Alias string // the name that the base gives the image, where newName replaces it
	Repo  string // charts: the URL of the repository, where the file says it
	// Version and Digest are what stands there; either may be "".
	Version, Digest string
}

// Ref is the site as an image with what pins it.
func (s Site) Ref() image.Ref { return image.Ref{Name: s.Name, Tag: s.Version, Digest: s.Digest} }

// Sites lists every place of a file that carries a version, in file order; none
// is no error. What kind of file it is tell its name and, document by document,
// its content. A file that cannot be read for certain is Invalid, with file,
// line and reason. A site that may be read but not edited is listed too.
func Sites(file string, data []byte) ([]Site, error) {
	o, err := open(file, data)
	if err != nil {
		return nil, err
	}
	sites := make([]Site, len(o.sites))
	for i, s := range o.sites {
		sites[i] = s.Site
	}
	return sites, nil
}

// site is a Site together with the scalars that carry it.
type site struct {
	Site
	base     string   // images: the name that the base gives
	guesses  []string // what the site may be called where the file names no image
	in       *place   // the mapping that holds the slots
	slots    []slot
	after    []string // keys behind which a missing one is inserted, the last one present counts
	shadowed bool     // another site of the file overrides it
	blocked  error    // why the site cannot be edited, beyond what its places say
}

// holds says which part of a version a slot carries.
type holds int

const (
	holdsVersion holds = iota
	holdsDigest
	holdsReference // ":tag@digest", either part optional
	holdsTagDigest // "tag@digest", as a Helm chart's tag
	holdsComment   // a digest in a comment behind the version
)

// slot is one scalar, or the hole where it would be.
type slot struct {
	key        string
	holds      holds
	at         *place // nil: not there, but may be inserted
	head, tail string // what of the scalar stays: an image's name, a URL
	empty      bool   // it is there and says nothing, which is as good as not there
}

// opened is a file with what it carries.
type opened struct {
	*document
	sites []*site
}

func open(file string, data []byte) (*opened, error) {
	d, err := parse(file, data)
	if err != nil {
		return nil, err
	}
	o := &opened{document: d}
	for i, doc := range d.docs {
		if err := o.collect(d.root(doc), i); err != nil {
			return nil, err
		}
	}
	if d.steps > maxSteps {
		return nil, refuse(file, 1, "the file repeats itself through aliases (*name) too often to be read")
	}
	slices.SortStableFunc(o.sites, func(a, b *site) int { return cmp.Compare(a.Line, b.Line) })
	return o, nil
}

// collect finds the sites of one document.
func (o *opened) collect(root *place, index int) error {
	name := path.Base(o.file)
	if isKustomizationFile(name) {
		if index > 0 { // Kustomize reads the first document only
			return nil
		}
		return o.kustomization(root)
	}
	if root == nil {
		return nil
	}
	api, kind := root.at("apiVersion").text(), root.at("kind").text()
	group, _, _ := strings.Cut(api, "/")
	switch {
	case group == "kustomize.config.k8s.io":
		return o.kustomization(root)
	case name == "Chart.yaml" || name == "requirements.yaml":
		o.chart(root)
	case resolve(root.node).Kind == yaml.SequenceNode:
		o.jsonPatch(root)
	case api != "" && kind != "":
		return o.objects(root, group, kind)
	default:
		o.helmValues(root, "helm values")
	}
	return nil
}

// objects finds the sites of a Kubernetes object, or of a list of them. Lists in
// lists are not looked into: none are written, and an alias could make one
// contain itself.
func (o *opened) objects(root *place, group, kind string) error {
	items := root.at("items")
	if !strings.HasSuffix(kind, "List") || items == nil {
		return o.object(root, group, kind)
	}
	for _, item := range items.elements() {
		group, _, _ := strings.Cut(item.at("apiVersion").text(), "/")
		if err := o.object(item, group, item.at("kind").text()); err != nil {
			return err
		}
	}
	return nil
}

func (o *opened) object(root *place, group, kind string) error {
	switch {
	case group == "helm.toolkit.fluxcd.io" && kind == "HelmRelease":
		return o.helmRelease(root)
	case group == "source.toolkit.fluxcd.io" && kind == "OCIRepository":
		o.ociRepository(root)
	case group == "kustomize.toolkit.fluxcd.io" && kind == "Kustomization":
		return o.patchesAndImages(root.at("spec"))
	case group == "argoproj.io" && kind == "Application":
		o.application(root, root, kind)
	case group == "argoproj.io" && kind == "ApplicationSet":
		o.application(root, root.at("spec", "template"), kind)
	default:
		o.images(root, "manifest")
	}
	return nil
}

// add takes a site up. Its line is the first slot's, unless it has one.
func (o *opened) add(s *site) {
	s.File = o.file
	if s.in != nil && s.Line == 0 {
		s.Line = s.in.doc.line(s.in.node)
		for _, sl := range s.slots {
			if sl.at != nil {
				s.Line = sl.at.doc.line(sl.at.node)
				break
			}
		}
	}
	o.sites = append(o.sites, s)
}

// what names a site for people.
func (s *site) what() string {
	switch s.Kind {
	case KindChart:
		return "chart " + s.Name
	case KindRevision:
		return "revision of " + s.Name
	}
	return "image " + s.Name
}

// slot is the one that holds h, or nil.
func (s *site) slot(h holds) *slot {
	for i := range s.slots {
		if s.slots[i].holds == h {
			return &s.slots[i]
		}
	}
	return nil
}

// refuse is about this site.
func (s *site) refuse(format string, args ...any) error {
	return refuse(s.File, s.Line, format, args...)
}

// editable refuses a site whose bytes are shared with another place, are
// completed elsewhere, or are a template.
func (s *site) editable() error {
	if err := s.in.editable(s.what()); err != nil {
		return err
	}
	for _, value := range []string{s.Name, s.Alias, s.Version, s.Digest} {
		if strings.Contains(value, "{{") {
			return s.refuse("%s is written with a template ({{ }}); Tagboat edits only plain values", s.what())
		}
	}
	for _, value := range []string{s.Version, s.Digest} {
		if strings.Contains(value, "${") || strings.Contains(value, "$(") {
			return s.refuse("%s is written with a variable (%s), which is set elsewhere; set the version there", s.what(), value)
		}
	}
	for _, sl := range s.slots {
		if sl.at == nil {
			continue
		}
		if err := sl.at.editable(s.what()); err != nil {
			return err
		}
	}
	return s.blocked
}

// notFound is the answer about a name that a file does not carry.
func notFound(file, name string) error {
	if isKustomizationFile(path.Base(file)) {
		return fault.Errorf(fault.NotFound, "%s: images: has no entry for %s; add one with name and newTag, then try again", file, name)
	}
	return fault.Errorf(fault.NotFound, "%s: nothing here carries a version of %s; name it as the file does", file, name)
}
