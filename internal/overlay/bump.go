package overlay

import (
	"bytes"
	"cmp"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// BumpOptions adjusts Bump.
type BumpOptions struct {
	// Pin chooses what is written; "" means tag and digest where a digest is given
	// and the file has a certain place for it, else the tag.
	Pin Pin
	// Refs lets remote bases follow: one whose ?ref= equals the old tag of an image
	// that moves gets its new tag, in whichever file of the bump it stands. The tag
	// sha-<commit> stands for the commit.
	Refs bool
}

// Bump plans one bump over several files. The result has one edit per file that
// changes, sorted by path; a version that stands there already is no change.
//
// Every file is asked for every change, and within a file the best match counts.
// A chart's appVersion follows an image that moves in the chart's directory or
// below, where it equals the old tag. An explicit change comes before following.
//
// NotFound names the changes that matched nothing in any file. Any site that is
// meant and cannot be edited for certain fails the whole bump as Invalid, and so
// does a file that mentions a name and cannot be read; only a chart's templates
// are passed over, since they take their versions from its values. Files that do
// not mention any name are not even read as YAML.
func Bump(files map[string][]byte, changes []Change, o BumpOptions) ([]Edit, error) {
	b := bump{files: files, opened: map[string]*opened{}, moves: map[*site]Change{}, moved: map[string][]move{}}
	if err := b.match(changes); err != nil {
		return nil, err
	}
	if err := b.follow(o.Refs); err != nil {
		return nil, err
	}
	var edits []Edit
	for _, file := range slices.Sorted(maps.Keys(b.opened)) {
		if !b.touches(file) {
			continue
		}
		e, err := b.opened[file].edit(b.moves, o.Pin)
		if err != nil {
			return nil, err
		}
		if e.Changed() {
			edits = append(edits, e)
		}
	}
	return edits, nil
}

// bump is a plan while it is made.
type bump struct {
	files  map[string][]byte
	opened map[string]*opened
	moves  map[*site]Change
	moved  map[string][]move // images, by old tag
}

// move is where an image's tag moves, and to what.
type move struct{ dir, version string }

func (b *bump) open(file string) (*opened, error) {
	if o := b.opened[file]; o != nil {
		return o, nil
	}
	o, err := open(file, b.files[file])
	if err == nil {
		b.opened[file] = o
	}
	return o, err
}

// match finds the sites that the changes name.
func (b *bump) match(changes []Change) error {
	found := make([]bool, len(changes))
	var template error
	for _, file := range slices.Sorted(maps.Keys(b.files)) {
		for i, c := range changes {
			if c.Name == "" || !bytes.Contains(b.files[file], []byte(c.mentioned())) {
				continue
			}
			o, err := b.open(file)
			if err != nil && chartTemplate(file) {
				template = cmp.Or(template, err)
				continue
			}
			if err != nil {
				return err
			}
			sites, err := o.meant(c)
			if fault.Is(err, fault.NotFound) {
				continue
			}
			if err != nil {
				return err
			}
			found[i] = true
			for _, s := range sites {
				if err := b.move(s, c); err != nil {
					return err
				}
			}
		}
	}
	var lost []string
	for i, c := range changes {
		if !found[i] {
			lost = append(lost, c.String())
		}
	}
	if len(lost) > 0 && template != nil {
		return template
	}
	if len(lost) > 0 {
		return fault.Errorf(fault.NotFound, "no file carries a version of %s; check the name and the files", strings.Join(lost, ", "))
	}
	return nil
}

// String is the change's name as errors say it.
func (c Change) String() string {
	if c.Name == "" {
		return "an image without a name"
	}
	if c.Kind == "" {
		return c.Name
	}
	return string(c.Kind) + " " + c.Name
}

func (b *bump) move(s *site, c Change) error {
	if other, ok := b.moves[s]; ok && (other.Version != c.Version || other.Digest != c.Digest) {
		return s.refuse("%s and %s both mean this, with different versions; name it once", other, c)
	}
	b.moves[s] = c
	if s.Kind == KindImage && s.Version != "" && c.Version != "" && s.Version != c.Version {
		m := move{path.Dir(s.File), c.Version}
		if !slices.Contains(b.moved[s.Version], m) {
			b.moved[s.Version] = append(b.moved[s.Version], m)
		}
	}
	return nil
}

// follow moves what goes along with images.
func (b *bump) follow(refs bool) error {
	if len(b.moved) == 0 {
		return nil
	}
	for _, file := range slices.Sorted(maps.Keys(b.files)) {
		if !b.mayFollow(file, refs) {
			continue
		}
		o, err := b.open(file)
		if err != nil {
			return err
		}
		for _, s := range o.sites {
			if _, explicit := b.moves[s]; explicit || !s.follows() {
				continue
			}
			version, err := b.followed(s)
			if err != nil {
				return err
			}
			if version != "" {
				b.moves[s] = Change{Kind: s.Kind, Name: s.Name, Version: version}
			}
		}
	}
	return nil
}

// follows reports whether a site is of the kind that moves along with an image.
func (s *site) follows() bool { return s.Where == "remote base" || s.Where == "appVersion" }

// next is what a site follows to when an image moves from one tag to another; ""
// when it does not.
func (s *site) next(from, to string) string {
	if s.Where == "remote base" {
		from, to = revisionOf(from), revisionOf(to)
	}
	if !s.follows() || s.Version == "" || s.Version != from {
		return ""
	}
	return to
}

// mayFollow is a cheap look at a file that no change names.
func (b *bump) mayFollow(file string, refs bool) bool {
	data, chart := b.files[file], path.Base(file) == "Chart.yaml"
	for old, moves := range b.moved {
		ref := revisionOf(old)
		if refs && !chartTemplate(file) && (bytes.Contains(data, []byte("ref="+ref)) || bytes.Contains(data, []byte("version="+ref))) {
			return true
		}
		if chart && bytes.Contains(data, []byte(old)) && slices.ContainsFunc(moves, func(m move) bool { return within(path.Dir(file), m.dir) }) {
			return true
		}
	}
	return false
}

// within reports whether a directory is another one or below it.
func within(outer, dir string) bool {
	return outer == "." || dir == outer || strings.HasPrefix(dir, outer+"/")
}

// followed is the version that a site follows to, or "".
func (b *bump) followed(s *site) (string, error) {
	version := ""
	for old, moves := range b.moved {
		for _, m := range moves {
			next := s.next(old, m.version)
			if next == "" || s.Where == "appVersion" && !within(path.Dir(s.File), m.dir) {
				continue
			}
			if version != "" && version != next {
				return "", s.refuse("%s is at %s, from where images move to %s and to %s; say which it follows, or leave refs off", s.what(), s.Version, min(version, next), max(version, next))
			}
			version = next
		}
	}
	return version, nil
}

// touches reports whether anything in a file is to move.
func (b *bump) touches(file string) bool {
	return slices.ContainsFunc(b.opened[file].sites, func(s *site) bool { _, ok := b.moves[s]; return ok })
}
