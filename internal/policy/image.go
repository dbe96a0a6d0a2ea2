package policy

import (
	"regexp"
	"slices"
	"strings"
)

// moving are the tags that are pushed again by habit.
var moving = []string{
	"latest", "main", "master", "trunk", "head", "stable", "edge", "nightly", "dev", "devel", "develop", "development",
	"canary", "current", "rolling", "snapshot", "unstable", "testing", "test", "staging", "prod", "production", "next", "lts", "mainline",
}

var (
	digestForm = regexp.MustCompile(`@[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-fA-F]{32,}$`)
	majorAlone = regexp.MustCompile(`^v?[0-9]{1,2}(-[a-z]+)?$`)
	commitForm = regexp.MustCompile(`^[0-9a-f]{7,40}$`)
)

// split takes an image reference apart.
func split(image string) (name, tag, digest string) {
	if m := digestForm.FindStringIndex(image); m != nil {
		image, digest = image[:m[0]], image[m[0]+1:]
	}
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		return image[:i], image[i+1:], digest
	}
	return image, "", digest
}

// moves says why a tag is mutable by habit; "" where it is not known to be.
func moves(tag string) string {
	lower := strings.ToLower(tag)
	word, variant, _ := strings.Cut(lower, "-")
	switch {
	case tag == "":
		return "has no tag, which means latest"
	case slices.Contains(moving, lower), word == "latest",
		// main-alpine moves as main does; main-3f2c1aa and nightly-20260101 are one build each.
		slices.Contains(moving, word) && !strings.ContainsAny(variant, "0123456789") && !commitForm.MatchString(variant):
		return "has the tag " + tag + ", which is pushed again and again"
	case majorAlone.MatchString(lower):
		return "has the tag " + tag + ", which moves with every release of that major version"
	}
	return ""
}

func mutableTag(j *judging) {
	for _, o := range j.Head {
		for _, c := range containers(o) {
			image := text(c.fields, "image")
			name, tag, digest := split(image)
			if image == "" || digest != "" {
				continue
			}
			if why := moves(tag); why != "" {
				j.about(c, c.path.with("image"), "%s: the image %s %s: what runs can change without a commit, and nobody could say what to go back to. Write a full version, or pin it: %s@sha256:…", c.called(), name, why, image)
			}
		}
	}
}

func digestRequired(j *judging) {
	for _, o := range j.Head {
		for _, c := range containers(o) {
			image := text(c.fields, "image")
			if _, _, digest := split(image); image != "" && digest == "" {
				j.about(c, c.path.with("image"), "%s: the image %s is not pinned by a digest: its tag can be pushed again with other content. Write %s@sha256:…, or let Tagboat write it (pin: tag+digest)", c.called(), image, image)
			}
		}
	}
}
