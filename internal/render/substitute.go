package render

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"

	"sigs.k8s.io/kustomize/api/konfig"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

// A bump changes nothing but the tags and digests in the overlay's own images:.
// So an overlay is rendered with marks in their place, and what it renders to is
// kept with holes where the marks came out; other pins are then put in without
// Kustomize.
//
// Why that is the same: Kustomize's image transformer treats tag and digest as
// opaque text that it appends to the name, it is the last of a kustomization's
// transformers but for those that are refused (see opaque.go), and nothing that
// depends on a content (the hashes of generated names) holds a container's image. A
// mark is a tag or digest of the same form as the real one, so it is matched, and
// printed without quotes, wherever the real one is. Marks are random: nothing in a
// repository can hold one.

// template is a rendering with holes, and the kustomization that fills them.
type template struct {
	file  string
	slots []slot
	frame [][]byte // the kustomization around its pins: one piece more than slots
	text  [][]byte // the rendering around its holes: one piece more than holes
	holes []int    // the slot of each hole
	built []byte   // the kustomization that was marked
}

// slot is one scalar of the kustomization.
type slot struct {
	mark   string
	before string // what stands before it in an image
	digest bool   // else a tag
	quoted bool   // the quotes stand in the frame
}

func (t *template) size() int {
	if t == nil {
		return 0
	}
	n := len(t.built)
	for _, piece := range t.text {
		n += len(piece) + 24
	}
	return n
}

// newTemplate marks the pins of a source's own kustomization. It answers with nil
// where there is nothing to mark, or substituting would not be certain. A
// kustomization that is reached by a link is another file's: a mark in it would not
// be seen.
func newTemplate(tree Tree, src Source) (*template, fs.FS) {
	if src.Helm != nil || src.Manifest != "" {
		return nil, nil
	}
	file, data := ownKustomization(tree, src.Dir)
	if file == "" || !remembered(tree).file(file) {
		return nil, nil
	}
	entries, ok := opaqueImages(file, data)
	if !ok {
		return nil, nil
	}
	t := &template{file: file, built: data}
	marked := data
	seed := rand.Text()
	for _, e := range entries {
		ref := e.Ref()
		if !marksLikePin(ref) {
			return nil, nil
		}
		if ref.Tag == "" && ref.Digest == "" {
			continue
		}
		var err error
		if marked, err = t.mark(marked, ref, seed); err != nil {
			return nil, nil
		}
	}
	if len(t.slots) == 0 || !t.cutFrame(marked) || t.values(data) == nil {
		return nil, nil
	}
	return t, withFile{tree, file, marked}
}

// ownKustomization reads the kustomization of a directory; "" when there is not
// exactly one.
func ownKustomization(tree fs.FS, dir string) (file string, data []byte) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		content, err := fs.ReadFile(tree, path.Join(dir, name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil || file != "" || len(content) > maxFile:
			return "", nil
		default:
			file, data = path.Join(dir, name), content
		}
	}
	return file, data
}

// mark puts marks in the place of the pins of one image.
func (t *template) mark(data []byte, ref image.Ref, seed string) ([]byte, error) {
	marks := image.Ref{Name: ref.Name}
	pin := overlay.PinTagDigest
	if ref.Tag != "" {
		marks.Tag = fmt.Sprintf("t-%s-%d-t", seed, len(t.slots))
		t.slots = append(t.slots, slot{mark: marks.Tag, before: ref.Name + ":"})
	}
	if ref.Digest != "" {
		before := marks.String() + "@"
		var sum [32]byte
		rand.Read(sum[:])
		marks.Digest = "sha256:" + hex.EncodeToString(sum[:])
		t.slots = append(t.slots, slot{mark: marks.Digest, before: before, digest: true})
	} else {
		pin = overlay.PinTag
	}
	if ref.Tag == "" {
		pin = overlay.PinDigest
	}
	edit, err := overlay.SetImage(t.file, data, marks, overlay.WithPin(pin))
	return edit.After, err
}

// cutFrame takes the marked kustomization apart. Slots are put in the order in
// which they stand there.
func (t *template) cutFrame(marked []byte) bool {
	pieces, order := cut(marked, t.slots)
	if sorted := slices.Sorted(slices.Values(order)); len(order) != len(t.slots) || len(slices.Compact(sorted)) != len(t.slots) {
		return false
	}
	slots := make([]slot, len(order))
	for i, s := range order {
		slots[i] = t.slots[s]
		slots[i].quoted = endsInQuote(pieces[i])
	}
	t.slots, t.frame = slots, pieces
	return true
}

// cut divides data at the marks of slots; order tells which mark stands between
// two pieces.
func cut(data []byte, slots []slot) (pieces [][]byte, order []int) {
	type found struct{ at, slot int }
	var marks []found
	for i, s := range slots {
		for at := 0; ; {
			next := bytes.Index(data[at:], []byte(s.mark))
			if next < 0 {
				break
			}
			marks = append(marks, found{at + next, i})
			at += next + len(s.mark)
		}
	}
	slices.SortFunc(marks, func(a, b found) int { return a.at - b.at })
	start := 0
	for _, m := range marks {
		pieces, order = append(pieces, data[start:m.at]), append(order, m.slot)
		start = m.at + len(slots[m.slot].mark)
	}
	return append(pieces, data[start:]), order
}

// cut takes a rendering with marks and returns it with the pins of the kustomization
// that was marked; nil when there is a mark anywhere but in an image. Elsewhere, the
// pin might have to be written in another way: in quotes, in a file's text.
func (t *template) cut(marked []byte) []byte {
	t.text, t.holes = cut(marked, t.slots)
	for _, s := range t.slots {
		if bytes.Count(marked, []byte(s.mark)) != bytes.Count(marked, []byte(s.before+s.mark)) {
			return nil
		}
	}
	return t.fill(t.built)
}

// fill is the rendering with the pins of another kustomization, or nil when that
// differs in more than its pins.
func (t *template) fill(kustomization []byte) []byte {
	values := t.values(kustomization)
	if values == nil {
		return nil
	}
	size := 0
	for i, piece := range t.text {
		if size += len(piece); i < len(t.holes) {
			size += len(values[t.holes[i]])
		}
	}
	out := make([]byte, 0, size)
	for i, piece := range t.text {
		if out = append(out, piece...); i < len(t.holes) {
			out = append(out, values[t.holes[i]]...)
		}
	}
	return out
}

// values are the pins of a kustomization in the order of the slots, or nil when
// it differs from the frame in anything else, or a pin would be read otherwise
// than as the text that stands there.
func (t *template) values(kustomization []byte) [][]byte {
	rest := kustomization
	values := make([][]byte, 0, len(t.slots))
	for i, s := range t.slots {
		var ok bool
		if rest, ok = bytes.CutPrefix(rest, t.frame[i]); !ok {
			return nil
		}
		value := rest[:pinLength(rest)]
		quote := byte(0)
		if !s.quoted && len(value) == 0 && len(rest) > 0 && (rest[0] == '"' || rest[0] == '\'') {
			quote = rest[0]
			value = rest[1 : 1+pinLength(rest[1:])]
			if len(rest) < len(value)+2 || rest[len(value)+1] != quote {
				return nil
			}
			rest = rest[len(value)+2:]
		} else {
			rest = rest[len(value):]
		}
		if !s.valid(string(value), s.quoted || quote != 0) {
			return nil
		}
		values = append(values, value)
	}
	if !bytes.Equal(rest, t.frame[len(t.slots)]) {
		return nil
	}
	return values
}

// valid reports whether a pin is one, and is read as the text that it is.
func (s slot) valid(value string, quoted bool) bool {
	if s.digest {
		return image.ValidDigest(value)
	}
	return image.ValidTag(value) && (quoted || overlay.ReadsAsString(value))
}

// pinLength is how far the characters of tags and digests reach.
func pinLength(data []byte) int {
	for i, b := range data {
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if !letter && (b < '0' || b > '9') && b != '.' && b != '_' && b != ':' && b != '-' {
			return i
		}
	}
	return len(data)
}

func endsInQuote(piece []byte) bool {
	return bytes.HasSuffix(piece, []byte(`"`)) || bytes.HasSuffix(piece, []byte(`'`))
}
