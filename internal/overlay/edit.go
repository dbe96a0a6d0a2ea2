package overlay

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/pmezard/go-difflib/difflib"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
)

// Edit is one planned change of one file.
type Edit struct {
	Path          string
	Before, After []byte
	Old, New      image.Ref // what the file pins before and after
}

// Changed reports whether there is anything to write.
func (e Edit) Changed() bool { return !bytes.Equal(e.Before, e.After) }

// Hash names the managed part of the edit: the path and the scalars as they
// stand after it. The same edit on another base has the same hash.
func (e Edit) Hash() string {
	h := sha256.New()
	for _, s := range []string{e.Path, e.New.Name, e.New.Tag, e.New.Digest} {
		fmt.Fprintf(h, "%d:%s\n", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Pin says which scalars an overlay carries.
type Pin string

const (
	PinTag       Pin = "tag"        // newTag; a digest that already stands there moves along
	PinDigest    Pin = "digest"     // digest; a newTag that already stands there moves along
	PinTagDigest Pin = "tag+digest" // both; a missing one is inserted
)

// Option adjusts SetImage.
type Option func(*options)

type options struct{ pin Pin }

// WithPin chooses which scalars to write. The default is PinTagDigest for an
// image with a digest, else PinTag. "" keeps the default.
func WithPin(pin Pin) Option {
	return func(o *options) {
		if pin != "" {
			o.pin = pin
		}
	}
}

// SetImage plans the edit that makes a kustomization run img. Only the scalars of
// newTag and digest in the image's own entry change; everything else stays byte
// for byte, and the result has been parsed again to prove it.
//
// NotFound when the overlay does not mention the image. Invalid, with file, line
// and reason, when the file cannot be edited for certain.
func SetImage(file string, data []byte, img image.Ref, opts ...Option) (Edit, error) {
	o := options{pin: PinTag}
	if img.Digest != "" {
		o.pin = PinTagDigest
	}
	for _, opt := range opts {
		opt(&o)
	}
	d, err := parse(file, data)
	if err != nil {
		return Edit{}, err
	}
	entry, err := d.find(img.Name)
	if err != nil {
		return Edit{}, err
	}
	if err := d.editable(entry); err != nil {
		return Edit{}, err
	}
	want, err := d.wanted(entry, img, o.pin)
	if err != nil {
		return Edit{}, err
	}
	splices, err := d.splices(entry, want)
	if err != nil {
		return Edit{}, err
	}
	edit := Edit{Path: file, Before: data, After: apply(data, splices), Old: entry.Ref()}
	edit.New, err = prove(edit, img.Name, want)
	return edit, err
}

// editable refuses an entry whose bytes are shared with another place or are
// completed elsewhere.
func (d *document) editable(e located) error {
	images, err := d.images()
	if err != nil {
		return err
	}
	for _, n := range []*yaml.Node{d.docs[0].Content[0], images, e.node, e.fields["newTag"], e.fields["digest"]} {
		switch {
		case n == nil:
		case n.Kind == yaml.AliasNode:
			return refuse(d.file, n.Line, "image %s is written as an alias (*%s), so an edit would reach other places; write it out", e.Image(), n.Value)
		case n.Anchor != "":
			return refuse(d.file, n.Line, "image %s is under an anchor (&%s), so an edit could reach other places; write it out", e.Image(), n.Anchor)
		}
	}
	if suffix := e.keys["tagSuffix"]; suffix != nil {
		return refuse(d.file, suffix.Line, "image %s has a tagSuffix, so another tag would run than the one that was verified; remove it", e.Image())
	}
	for _, value := range []string{e.Name, e.NewName, e.NewTag, e.Digest} {
		if strings.Contains(value, "{{") {
			return refuse(d.file, e.Line, "image %s is written with a template ({{ }}); Tagboat edits only plain values", e.Image())
		}
	}
	if strings.Contains(e.NewTag, "@") {
		return refuse(d.file, e.fields["newTag"].Line, "newTag holds a digest too (%s); move it to its own key digest:", e.NewTag)
	}
	return nil
}

// change is one scalar of the entry and what it shall be.
type change struct{ key, value string }

// wanted says what newTag and digest shall be, in the order in which they are
// inserted. A scalar that stands there already always moves along: a new tag
// beside an old digest would run the old image.
func (d *document) wanted(e located, img image.Ref, pin Pin) ([]change, error) {
	if img.Tag != "" && !image.ValidTag(img.Tag) {
		return nil, refuse(d.file, e.Line, "%q is not a tag", img.Tag)
	}
	if img.Digest != "" && !image.ValidDigest(img.Digest) {
		return nil, refuse(d.file, e.Line, "%q is not a sha256 digest", img.Digest)
	}
	needsTag, needsDigest := false, false
	switch pin {
	case PinTag:
		needsTag = true
	case PinDigest:
		needsDigest = true
	case PinTagDigest:
		needsTag, needsDigest = img.Tag != "", true
	default:
		return nil, refuse(d.file, e.Line, "pin %q is unknown; use tag, digest or tag+digest", pin)
	}
	var want []change
	for _, c := range []struct {
		change
		needed bool
	}{{change{"newTag", img.Tag}, needsTag}, {change{"digest", img.Digest}, needsDigest}} {
		present := e.fields[c.key] != nil
		if !present && !c.needed {
			continue
		}
		if c.value == "" && present {
			return nil, refuse(d.file, e.fields[c.key].Line, "image %s has %s here, but none is known for the new version; give tag and digest", e.Image(), c.key)
		}
		if c.value == "" {
			return nil, refuse(d.file, e.Line, "image %s is to be pinned by %s, but the new version comes without one", e.Image(), pin)
		}
		want = append(want, c.change)
	}
	return want, nil
}

// splice replaces a span of bytes; an empty span inserts.
type splice struct {
	span
	text string
}

func (d *document) splices(e located, want []change) ([]splice, error) {
	var splices []splice
	var insert []change
	for _, c := range want {
		value := e.fields[c.key]
		if value == nil {
			insert = append(insert, c)
			continue
		}
		at, err := d.scalar(value)
		if err != nil {
			return nil, err
		}
		text := quoted(c.value, value.Style)
		if value.Value == c.value && value.Tag == "!!str" && text[0] == d.data[at.start] {
			continue
		}
		splices = append(splices, splice{at, text})
	}
	if len(insert) == 0 {
		return splices, nil
	}
	s, err := d.insertion(e, insert)
	return append(splices, s), err
}

// insertion writes missing keys behind the key that they belong to: on their own
// lines with its indentation, or inside its braces.
func (d *document) insertion(e located, missing []change) (splice, error) {
	after := e.keys["name"]
	for _, key := range []string{"newName", "newTag"} {
		if e.fields[key] != nil {
			after = e.keys[key]
		}
	}
	if after == nil {
		return splice{}, refuse(d.file, e.Line, "this element of images: has no name")
	}
	value := e.fields[after.Value]
	if value.Kind == yaml.AliasNode || value.Anchor != "" {
		return splice{}, refuse(d.file, value.Line, "%s is an alias or an anchor; write it out", after.Value)
	}
	at, err := d.scalar(value)
	if err != nil {
		return splice{}, err
	}
	var b strings.Builder
	for _, c := range missing {
		key, text := c.key, quoted(c.value, 0)
		if after.Style&yaml.DoubleQuotedStyle != 0 {
			key, text = `"`+c.key+`"`, `"`+c.value+`"`
		}
		if e.node.Style&yaml.FlowStyle != 0 {
			fmt.Fprintf(&b, ", %s: %s", key, text)
			continue
		}
		fmt.Fprintf(&b, "%s%s%s: %s", d.eol(), strings.Repeat(" ", after.Column-1), key, text)
	}
	end := at.end
	if e.node.Style&yaml.FlowStyle == 0 {
		end = d.lineEnd(end)
	}
	return splice{span{end, end}, b.String()}, nil
}

// lineEnd is the offset of the line break (or of the end) after at.
func (d *document) lineEnd(at int) int {
	end := len(d.data)
	if i := bytes.IndexByte(d.data[at:], '\n'); i >= 0 {
		end = at + i
		if end > at && d.data[end-1] == '\r' {
			end--
		}
	}
	return end
}

// apply splices from the end, so that earlier offsets stay true.
func apply(data []byte, splices []splice) []byte {
	out := bytes.Clone(data)
	slices.SortFunc(splices, func(a, b splice) int { return cmp.Compare(b.start, a.start) })
	for _, s := range splices {
		out = slices.Replace(out, s.start, s.end, []byte(s.text)...)
	}
	return out
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
