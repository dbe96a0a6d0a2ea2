package render

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"path"
	"slices"
	"strings"

	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/yaml"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
)

// opaqueImages is a kustomization's images:, if nothing in it looks at them after the
// image transformer has set them, and nothing but the image transformer at their
// pins: an alias would take a pin to another place.
func opaqueImages(file string, data []byte) (entries []overlay.Entry, ok bool) {
	if !bytes.Contains(data, []byte("images")) || repeats(data) {
		return nil, false
	}
	k := &types.Kustomization{}
	if k.Unmarshal(data) != nil || len(k.BuildMetadata)+len(k.Replacements) > 0 || !indifferent(k) {
		return nil, false
	}
	entries, err := overlay.Entries(file, data)
	return entries, err == nil && sameEntries(entries, k.Images) && distinct(entries)
}

// indifferent reports whether a kustomization has none of what takes an image to
// another place, or says what an image is: variables are resolved at the very end,
// configurations hold for the kustomizations above, plugins are anything.
func indifferent(k *types.Kustomization) bool {
	//lint:ignore SA1019 people's overlays still have them, and Kustomize reads them
	old := len(k.Vars) + len(k.ImageTags)
	return old+len(k.Generators)+len(k.Transformers)+len(k.Validators)+len(k.Configurations)+len(k.Crds)+len(k.OpenAPI) == 0
}

// repeats reports whether anything in a file stands for something else in it. Such a
// file is not unmarshalled outside of a child: there, what it repeats is bounded.
func repeats(data []byte) bool {
	docs, err := documents(data)
	return err != nil || slices.ContainsFunc(docs, hasAlias)
}

func hasAlias(n *yaml.Node) bool {
	return n.Kind == yaml.AliasNode || slices.ContainsFunc(n.Content, hasAlias)
}

// sameEntries reports whether Kustomize reads the entries that are marked, and no
// others: it takes keys in any case.
func sameEntries(entries []overlay.Entry, images []types.Image) bool {
	return slices.EqualFunc(entries, images, func(e overlay.Entry, i types.Image) bool {
		return e.Name == i.Name && e.NewName == i.NewName && e.NewTag == i.NewTag && e.Digest == i.Digest
	})
}

// distinct reports whether each entry can only ever match the images that it names:
// Kustomize takes a name for a regular expression, and hands what one entry made of
// an image to the next.
func distinct(entries []overlay.Entry) bool {
	for i, e := range entries {
		for _, name := range []string{e.Name, e.Image()} {
			ref, err := image.Parse(name)
			if err != nil || ref.Tag != "" || ref.Digest != "" {
				return false
			}
		}
		// "." matches any character, also the one between the name that another entry
		// made and its tag: "redis.7" matches "redis:7".
		if len(entries) > 1 && strings.Contains(path.Base(e.Name), ".") {
			return false
		}
		for j, other := range entries {
			// Elsewhere, compare what is left without it.
			if i != j && (sameButDots(e.Name, other.Name) || sameButDots(e.Name, other.Image()) || sameButDots(e.Image(), other.Image())) {
				return false
			}
		}
	}
	return true
}

func sameButDots(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && a[i] != '.' && b[i] != '.' {
			return false
		}
	}
	return true
}

// plainlyRead reports whether the marked file was of use as a kustomization only, and
// no other kustomization of the build could see what an image became.
func plainlyRead(tree Tree, file string, reads []Read) bool {
	for _, r := range reads {
		switch {
		case r.Kind == Link: // it may lead to the file, or to a kustomization of another name
			return false
		case r.Kind == List && r.Path == path.Dir(file): // a chart, whose templates may look into the file
			return false
		case r.Kind == Content && slices.Contains(konfig.RecognizedKustomizationFileNames(), path.Base(r.Path)):
			data, err := fs.ReadFile(tree, r.Path)
			if err != nil || !blind(data, path.Base(file)) {
				return false
			}
		}
	}
	return true
}

// blind reports whether a kustomization neither looks at images nor names the file,
// nor leads out of the tree, where nothing is known of what it leads to.
func blind(data []byte, file string) bool {
	k := &types.Kustomization{}
	if repeats(data) || k.Unmarshal(data) != nil || !indifferent(k) {
		return false
	}
	k.FixKustomization()
	if slices.ContainsFunc(slices.Concat(k.Resources, k.Components), remote) {
		return false
	}
	k.TypeMeta = types.TypeMeta{} // a file may be called Kustomization
	text, err := json.Marshal(k)  // not the file's own text, which may write a name in other ways
	return err == nil && !bytes.Contains(text, []byte(file))
}

// marksLikePin reports whether a reference is printed as plain text whatever its
// tag is: its name has a letter, so that no parser reads "10:30" as a number.
func marksLikePin(ref image.Ref) bool {
	return strings.ContainsFunc(ref.Name, func(r rune) bool { return r >= 'a' && r <= 'z' }) &&
		(ref.Tag == "" || image.ValidTag(ref.Tag)) && (ref.Digest == "" || image.ValidDigest(ref.Digest))
}
