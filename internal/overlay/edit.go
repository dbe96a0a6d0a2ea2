package overlay

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"

	"github.com/tagboat/tagboat/internal/image"
)

// Edit is one planned change of one file.
type Edit struct {
	Path          string
	Before, After []byte
	// Old and New are what the file pins before and after: the image that was asked
	// for, or the first of several, or a chart or a revision with its version as
	// the tag.
	Old, New image.Ref
}

// Changed reports whether there is anything to write.
func (e Edit) Changed() bool { return !bytes.Equal(e.Before, e.After) }

// Hash names the managed part of the edit: the path, and every version that moves as
// it stands after it, those that follow another one included. The same edit on
// another base has the same hash.
func (e Edit) Hash() string {
	h := sha256.New()
	for _, s := range append([]string{e.Path, e.New.Name, e.New.Tag, e.New.Digest}, e.moved()...) {
		fmt.Fprintf(h, "%d:%s\n", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// moved tells the versions after the edit that are others than before it.
func (e Edit) moved() (all []string) {
	if !e.Changed() {
		return nil
	}
	before, errBefore := Sites(e.Path, e.Before)
	after, errAfter := Sites(e.Path, e.After)
	if errBefore != nil || errAfter != nil || len(before) != len(after) {
		return []string{string(e.After)} // nothing but these very bytes
	}
	for i, is := range after {
		if was := before[i]; is.Version != was.Version || is.Digest != was.Digest {
			all = append(all, is.Where, is.Name, is.Version, is.Digest)
		}
	}
	return all
}

// Option adjusts SetImage and OnlyDeclared.
type Option func(*options)

type options struct {
	pin    Pin
	follow bool
	moved  map[string]string
}

// WithPin chooses which scalars to write. The default is PinTagDigest for an
// image with a digest, else PinTag. "" keeps the default.
func WithPin(pin Pin) Option {
	return func(o *options) {
		if pin != "" {
			o.pin = pin
		}
	}
}

// WithFollowed lets OnlyDeclared allow what BumpOptions.Refs and an appVersion
// do: they moved from the old tag of the image to its new one. moved names tags,
// old to new, of images that moved in other files of the same bump; it may be nil.
func WithFollowed(moved map[string]string) Option {
	return func(o *options) { o.follow, o.moved = true, moved }
}

// SetImage plans the edit that makes a file run img. Only the scalars that carry
// its version change; everything else stays byte for byte, and the result has
// been parsed again to prove it.
//
// NotFound when the file does not mention the image. Invalid, with file, line and
// reason, when it cannot be edited for certain.
func SetImage(file string, data []byte, img image.Ref, opts ...Option) (Edit, error) {
	var set options
	for _, opt := range opts {
		opt(&set)
	}
	o, err := open(file, data)
	if err != nil {
		return Edit{}, err
	}
	found, err := o.named(img.Name)
	if err != nil {
		return Edit{}, err
	}
	moves := map[*site]Change{}
	for _, s := range found {
		moves[s] = Change{Name: img.Name, Version: img.Tag, Digest: img.Digest}
	}
	return o.edit(moves, set.pin)
}

// Current is what a file pins now for an image (or a chart, or a git repository),
// named by what runs or by what the base names. NotFound when the file does not
// mention it, Invalid when it does so twice with different versions. In a
// kustomization, images: overrides what patches and charts say.
func Current(file string, data []byte, name string) (image.Ref, error) {
	o, err := open(file, data)
	if err != nil {
		return image.Ref{}, err
	}
	found, err := o.named(name)
	if err != nil {
		return image.Ref{}, err
	}
	for _, s := range found[1:] {
		if s.Version != found[0].Version || s.Digest != found[0].Digest {
			return image.Ref{}, s.refuse("%s has another version here than on line %d; give both the same", s.what(), found[0].Line)
		}
	}
	return found[0].Ref(), nil
}

// edit plans and proves the moves of one file.
func (o *opened) edit(moves map[*site]Change, pin Pin) (Edit, error) {
	var all []splice
	wishes := make([][]wish, len(o.sites))
	picked := make([]bool, len(o.sites))
	for i, s := range o.sites {
		c, ok := moves[s]
		if !ok {
			continue
		}
		picked[i] = true
		if err := s.editable(); err != nil {
			return Edit{}, err
		}
		var err error
		if wishes[i], err = s.wanted(c, pin); err != nil {
			return Edit{}, err
		}
		splices, err := s.splices(wishes[i])
		if err != nil {
			return Edit{}, err
		}
		all = append(all, splices...)
	}
	first := slices.Index(picked, true)
	e := Edit{Path: o.file, Before: o.data, After: apply(o.data, all), Old: o.sites[first].Ref()}
	after, err := o.prove(e.After, picked, wishes)
	if err != nil {
		return Edit{}, err
	}
	e.New = after.sites[first].Ref()
	return e, nil
}

// prove reads the result of an edit again and demands that it differs in nothing
// but what was wished for, and that this reads as wished. It consumes o's trees.
func (o *opened) prove(data []byte, picked []bool, wishes [][]wish) (*opened, error) {
	first := o.sites[slices.Index(picked, true)]
	after, err := open(o.file, data)
	if err != nil {
		return nil, first.refuse("%s cannot be written here without damage; write the entry in the usual style, key: value", first.what())
	}
	name := first.Name
	if err := sameSites(o, after, name); err != nil {
		return nil, err
	}
	for i, s := range after.sites {
		for _, w := range wishes[i] {
			if !s.reads(w) {
				return nil, s.refuse("%s of %s would not be read as the string %q; write it as a plain or quoted string", w.key, s.what(), w.text())
			}
		}
	}
	return after, onlyPicked(o, after, picked, name)
}

// reads reports whether a slot holds what was wished for it.
func (s *site) reads(w wish) bool {
	sl := s.slotOf(w.slot)
	if sl == nil || sl.at == nil {
		return false
	}
	if w.holds == holdsComment {
		return s.Digest == w.value
	}
	return sl.at.node.Tag == "!!str" && sl.at.node.Value == w.text()
}

// UnifiedDiff shows the edit to people; "" when nothing changes.
func UnifiedDiff(e Edit) string {
	if !e.Changed() {
		return ""
	}
	text, err := difflib.GetUnifiedDiffString(difflib.UnifiedDiff{
		A: diffLines(e.Before), FromFile: "a/" + e.Path,
		B: diffLines(e.After), ToFile: "b/" + e.Path,
		Context: 3,
	})
	if err != nil { // only a failing writer could cause it, and ours is memory
		return ""
	}
	return text
}

func diffLines(data []byte) []string {
	lines := strings.SplitAfter(string(data), "\n")
	last := len(lines) - 1
	if lines[last] == "" {
		return lines[:last]
	}
	lines[last] += "\n\\ No newline at end of file\n"
	return lines
}
