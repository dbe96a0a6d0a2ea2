package overlay

import (
	"path"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Change is one wish: the version that a name shall have.
type Change struct {
	Kind Kind // "": whatever Name matches
	// Name is an image by what runs (newName) or by what the base names, a chart
	// by its full name, its repository's URL and name, or its name alone, or a git
	// URL; for that scheme, user, ".git" and the case of the host do not count, and
	// a repository as a whole means every path in it ("//path" names one).
	Name            string
	Version, Digest string
}

// meant are the sites of a file that a change names. Better matches hide worse
// ones: what runs comes before what the base names, a full name before a short
// one. NotFound when there are none, Invalid when it is not certain which.
func (o *opened) meant(c Change) ([]*site, error) {
	for _, matches := range []func(*site) bool{c.exactly, c.roughly, c.guessed} {
		var found []*site
		for _, s := range o.sites {
			if c.about(s) && !s.bare() && !s.shadowed && matches(s) {
				found = append(found, s)
			}
		}
		if len(found) > 0 {
			return found, unique(c.Name, found)
		}
	}
	return nil, notFound(o.file, c.Name)
}

// named is meant for a name alone: an image, else whatever is called so.
func (o *opened) named(name string) ([]*site, error) {
	if found, err := o.meant(Change{Kind: KindImage, Name: name}); !fault.Is(err, fault.NotFound) {
		return found, err
	}
	return o.meant(Change{Name: name})
}

// bare reports whether a string names an image and no version of it. It is a
// placeholder that something else completes, and stays one.
func (s *site) bare() bool {
	return s.slot(holdsReference) != nil && s.Version == "" && s.Digest == ""
}

// about reports whether a change speaks about sites of this kind. An appVersion
// moves only when a chart is meant by name.
func (c Change) about(s *site) bool {
	if s.Where == "appVersion" {
		return c.Kind == KindChart
	}
	return c.Kind == "" || c.Kind == s.Kind
}

func (c Change) exactly(s *site) bool {
	switch {
	case s.Where == "appVersion":
		return false // a dependency of the same name comes first
	case s.Kind == KindRevision:
		return sameURL(s.Name, c.Name)
	case s.Kind == KindImage && len(s.guesses) > 0:
		return false
	case s.Kind == KindChart:
		return s.Name == strings.TrimPrefix(c.Name, "oci://") || s.Repo != "" && withoutScheme(s.Repo)+"/"+s.Name == withoutScheme(c.Name)
	}
	return s.Name == c.Name
}

func (c Change) roughly(s *site) bool {
	switch {
	case s.Where == "appVersion":
		return s.Name == c.Name
	case s.Kind == KindRevision:
		return withinRepo(s.Name, c.Name)
	case s.Kind == KindChart:
		return path.Base(s.Name) == c.Name
	}
	return s.base == c.Name && c.Name != ""
}

// guessed is for a tag whose image only the chart knows, and for a chart whose
// repository another file names.
func (c Change) guessed(s *site) bool {
	if s.Kind == KindChart && s.Where != "appVersion" && s.Repo == "" && c.Kind == KindChart {
		return s.Name == path.Base(c.Name)
	}
	for _, guess := range s.guesses {
		if guess == path.Base(c.Name) {
			return true
		}
	}
	return false
}

func withoutScheme(url string) string {
	if _, rest, ok := strings.Cut(url, "://"); ok {
		url = rest
	}
	return strings.TrimSuffix(url, "/")
}

// unique refuses sites of which a change can hardly mean all.
func unique(name string, found []*site) error {
	first := found[0]
	for _, s := range found[1:] {
		switch {
		case s.Kind != first.Kind:
			return s.refuse("%s is the name of two things: %s here, %s on line %d; say which is meant", name, s.Kind, first.Kind, first.Line)
		case s.Kind == KindChart && (s.Name != first.Name || s.Repo != first.Repo):
			return s.refuse("chart %s is of %s here and of %s on line %d; name it with its repository", name, chartSource(s), chartSource(first), first.Line)
		case len(s.guesses) > 0:
			return s.refuse("it is not certain which parameter is the tag of %s: here or on line %d; add a parameter for its repository", name, first.Line)
		case s.Where == "images" && first.Where == "images" && s.Kind == KindImage && s.mayDiffer(first):
			return s.refuse("image %s is listed twice (first on line %d); keep one entry", name, first.Line)
		}
	}
	return nil
}

// mayDiffer is false for two entries that give two images of the base the same
// version of one image.
func (s *site) mayDiffer(t *site) bool {
	return s.base == t.base || s.Version != t.Version || s.Digest != t.Digest
}

func chartSource(s *site) string {
	if s.Repo == "" {
		return "an unnamed repository"
	}
	return s.Repo
}

// mentioned is a part of the name that every file has that carries it.
func (c Change) mentioned() string {
	name, _, _ := strings.Cut(c.Name, "?")
	name = strings.TrimSuffix(strings.TrimSuffix(name, "/"), ".git")
	return path.Base(strings.ReplaceAll(name, ":", "/"))
}
