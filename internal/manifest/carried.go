package manifest

import (
	"fmt"
	"slices"

	"github.com/tagboat/tagboat/internal/image"
)

// Carried is an image, or a chart, and where it stands.
type Carried struct {
	image.Ref
	// At is what holds it, as people read it: "container payments of Deployment
	// payments"; "" where nothing tells one place from another.
	At string
}

// Containers lists what the containers of all objects run. A container is known by
// the kind and the name of its object and by its own name: neither a namespace nor
// another version of the API makes it another one. A reference that is none stays in
// one piece, as a name.
func Containers(objects []Object) []Carried {
	var found []Carried
	for _, o := range objects {
		o.containers(func(name, reference string) {
			ref, err := image.Parse(reference)
			if err != nil {
				ref = image.Ref{Name: reference}
			}
			found = append(found, Carried{ref, visible(fmt.Sprintf("container %s of %s %s", name, o.Kind, o.Name))})
		})
	}
	return found
}

// Movement is one version that differs, or one name.
type Movement struct {
	Carried        // nothing but the zero value where Was is gone for good
	Was     string // the name of what stood there before; "" where only the version differs
}

// Movements compares what is carried before and after a change. It lists
//
//   - a version that was not there before, of a name that was: wherever it stood,
//   - another name in a place that carried something before,
//   - each of moving that was there and is not any more.
//
// What has a place of its own and a name that was not there before is added, and
// moves nothing.
func Movements(before, after []Carried, moving []string) (moved []Movement, added []Carried) {
	was := indexed(before)
	var replaced []string
	for _, c := range distinctCarried(after) {
		names := was.at[c.At]
		switch {
		case c.At != "" && len(names) > 0 && !slices.Contains(names, c.Name):
			moved = append(moved, Movement{c, names[0]})
			replaced = append(replaced, names...)
		case was.has(c.Ref):
		case was.versions[c.Name] != nil:
			moved = append(moved, Movement{Carried: c})
		default:
			added = append(added, c)
		}
	}
	is := indexed(after)
	for _, name := range moving {
		if was.versions[name] != nil && is.versions[name] == nil && !slices.Contains(replaced, name) {
			moved = append(moved, Movement{Was: name})
		}
	}
	return moved, added
}

// carriedIndex finds what is carried by its name and by its place.
type carriedIndex struct {
	versions map[string][]image.Ref // by name
	at       map[string][]string    // names, by place
}

func indexed(all []Carried) carriedIndex {
	x := carriedIndex{versions: map[string][]image.Ref{}, at: map[string][]string{}}
	for _, c := range all {
		x.versions[c.Name] = append(x.versions[c.Name], c.Ref)
		if c.At != "" {
			x.at[c.At] = append(x.at[c.At], c.Name)
		}
	}
	return x
}

// has reports whether this very version is there. Where both have a digest, that is
// its identity.
func (x carriedIndex) has(ref image.Ref) bool {
	return slices.ContainsFunc(x.versions[ref.Name], func(r image.Ref) bool {
		return r == ref || ref.Digest != "" && r.Digest == ref.Digest
	})
}

// distinctCarried lists each version in each place once. What has no place is
// left out where the same version has one: it is the same one, found another way.
func distinctCarried(all []Carried) []Carried {
	seen, placed := map[Carried]bool{}, map[image.Ref]bool{}
	for _, c := range all {
		placed[c.Ref] = placed[c.Ref] || c.At != ""
	}
	var out []Carried
	for _, c := range all {
		if !seen[c] && (c.At != "" || !placed[c.Ref]) {
			out = append(out, c)
		}
		seen[c] = true
	}
	return out
}
