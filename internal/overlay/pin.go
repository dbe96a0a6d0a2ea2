package overlay

import (
	"regexp"
	"strings"

	"github.com/tagboat/tagboat/internal/image"
)

// Pin says which parts of a version a file carries.
type Pin string

const (
	PinTag       Pin = "tag"        // the tag; a digest that already stands there moves along
	PinDigest    Pin = "digest"     // the digest; a tag that already stands there moves along
	PinTagDigest Pin = "tag+digest" // both; a missing one is inserted where that is certain to be read
)

// wish is a slot and what it shall hold.
type wish struct {
	slot
	value string
}

// text is the whole scalar.
func (w wish) text() string { return w.head + w.value + w.tail }

var chartVersionGrammar = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$`)

// wanted says what the slots of a site shall hold. A part that stands there
// already always moves along: a new tag beside an old digest would run the old
// image.
func (s *site) wanted(c Change, pin Pin) ([]wish, error) {
	if err := s.valid(c); err != nil {
		return nil, err
	}
	chosen := pin != ""
	if !chosen && c.Digest == "" {
		pin = PinTag
	} else if !chosen {
		pin = PinTagDigest
	}
	if s.Kind == KindRevision {
		pin, chosen, c.Digest = PinTag, false, ""
	}
	var needsVersion, needsDigest bool
	switch pin {
	case PinTag:
		needsVersion = true
	case PinDigest:
		needsDigest = true
	case PinTagDigest:
		needsVersion, needsDigest = c.Version != "", true
	default:
		return nil, s.refuse("pin %q is unknown; use tag, digest or tag+digest", pin)
	}
	version, err := s.part("tag", c.Version, needsVersion, s.hasVersion(), pin)
	if err != nil {
		return nil, err
	}
	digest, err := s.part("digest", c.Digest, needsDigest, s.hasDigest(), pin)
	if err != nil {
		return nil, err
	}
	wishes := s.fill(version, digest)
	if digest != "" && chosen && !s.takes(holdsDigest) {
		return nil, s.refuse("%s is to be pinned by %s, but there is no place for a digest here; %s", s.what(), pin, s.digestHint())
	}
	if version != "" && !s.takes(holdsVersion) && (chosen || digest == "") {
		return nil, s.refuse("%s has no place for a version here; write one, then try again", s.what())
	}
	return wishes, nil
}

// part is what one part shall be; "" leaves it alone.
func (s *site) part(name, value string, needed, present bool, pin Pin) (string, error) {
	switch {
	case !present && !needed:
		return "", nil
	case value != "":
		return value, nil
	case present:
		return "", s.refuse("%s has %s here, but none is known for the new version; give tag and digest", s.what(), s.partName(name))
	}
	return "", s.refuse("%s is to be pinned by %s, but the new version comes without one", s.what(), pin)
}

func (s *site) partName(part string) string {
	for _, sl := range s.slots {
		if part == "tag" && sl.holds == holdsVersion || part == "digest" && (sl.holds == holdsDigest || sl.holds == holdsComment) {
			return sl.key
		}
	}
	return "a " + part
}

func (s *site) hasVersion() bool {
	if sl := s.slot(holdsVersion); sl != nil {
		return sl.at != nil && !sl.empty
	}
	return s.Version != ""
}

func (s *site) hasDigest() bool {
	if sl := s.slot(holdsDigest); sl != nil && s.slot(holdsTagDigest) == nil {
		return sl.at != nil && !sl.empty
	}
	return s.Digest != ""
}

// takes reports whether there is a slot for a part, present or not.
func (s *site) takes(part holds) bool {
	if s.slot(holdsReference) != nil || s.slot(holdsTagDigest) != nil {
		return true
	}
	if part == holdsDigest && s.slot(holdsComment) != nil {
		return true
	}
	return s.slot(part) != nil
}

// fill spreads a version and a digest over the slots.
func (s *site) fill(version, digest string) []wish {
	var wishes []wish
	for _, sl := range s.slots {
		value := ""
		switch sl.holds {
		case holdsVersion:
			value = version
		case holdsDigest:
			if !sl.empty || s.slot(holdsTagDigest) == nil {
				value = digest
			}
		case holdsComment:
			value = digest
		case holdsReference:
			value = image.Ref{Tag: version, Digest: digest}.String()
		case holdsTagDigest:
			value = version + "@" + digest
		}
		if value != "" {
			wishes = append(wishes, wish{sl, value})
		}
	}
	return wishes
}

func (s *site) digestHint() string {
	switch {
	case s.Where == "helmCharts" && strings.HasPrefix(s.Repo, "oci://"):
		return "write its present digest behind the version once (# sha256:...), or use pin: tag"
	case s.Kind == KindImage:
		return "where the chart reads a digest, add the key digest beside the tag, or use pin: tag"
	}
	return "use pin: tag"
}

// valid refuses what would be something else in the place where it is written.
func (s *site) valid(c Change) error {
	switch {
	case c.Digest != "" && !image.ValidDigest(c.Digest):
		return s.refuse("%q is not a sha256 digest", c.Digest)
	case c.Version == "":
		return nil
	case s.Kind == KindImage && !image.ValidTag(c.Version):
		return s.refuse("%q is not a tag", c.Version)
	case s.Kind == KindChart && !chartVersionGrammar.MatchString(c.Version):
		return s.refuse("%q is not a chart version", c.Version)
	case s.Kind == KindRevision && !validRevision(c.Version):
		return s.refuse("%q is not a branch, tag or commit", c.Version)
	}
	return nil
}
