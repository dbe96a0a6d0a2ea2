package overlay

import (
	"cmp"
	"strings"
)

// helmValues finds the images in the values of a Helm chart, at any depth: a
// mapping with repository and tag (and perhaps registry and digest), one string,
// or a string with a tag beside it.
//
// There is no standard for values; these are the ways of the chart that
// `helm create` writes and of the large public collections.
func (o *opened) helmValues(p *place, where string) {
	p.each(func(m *place) {
		block := imageBlock(m, where)
		if block != nil {
			o.add(block)
		}
		if s := referenceSite(m.at("image"), "image", where, ""); s != nil {
			if block == nil && s.bare() {
				s.takeTagBeside(m)
			}
			o.add(s)
		}
	})
}

// imageBlock reads {registry, repository, tag, digest}. Under a key image, name
// stands for repository in some charts.
func imageBlock(m *place, where string) *site {
	repository := m.at("repository")
	if repository == nil && m.key != nil && isImageKey(m.key.Value) {
		repository = m.at("name")
	}
	tag, digest := m.at("tag"), m.at("digest")
	if repository.text() == "" || strings.Contains(repository.text(), "://") || tag == nil && digest == nil {
		return nil
	}
	name := repository.text()
	if registry := m.at("registry").text(); registry != "" {
		name = registry + "/" + name
	}
	s := &site{Site: Site{Where: where, Kind: KindImage, Name: name, Version: tag.text(), Digest: digest.text()}, in: m}
	s.tagAndDigest(tag, digest)
	return s
}

func isImageKey(key string) bool {
	return strings.HasSuffix(strings.ToLower(key), "image")
}

// takeTagBeside reads {image: name, tag: ...} and {image: name, imageTag: ...}.
func (s *site) takeTagBeside(m *place) {
	for _, key := range []string{"tag", "imageTag"} {
		if tag := m.at(key); tag != nil {
			s.in, s.slots, s.Version = m, nil, tag.text()
			s.tagAndDigest(tag, m.at("digest"))
			return
		}
	}
}

// tagAndDigest makes the slots of two scalars. A digest that is missing is not
// inserted: only the chart's author knows whether it would be read.
func (s *site) tagAndDigest(tag, digest *place) {
	if tag != nil {
		h := holdsVersion
		if t, d, ok := strings.Cut(tag.text(), "@"); ok {
			h, s.Version, s.Digest = holdsTagDigest, t, cmp.Or(s.Digest, d)
		}
		s.slots = append(s.slots, slot{key: tag.key.Value, holds: h, at: tag, empty: tag.text() == ""})
	}
	if digest != nil {
		s.slots = append(s.slots, slot{key: digest.key.Value, holds: holdsDigest, at: digest, empty: digest.text() == ""})
	}
}
