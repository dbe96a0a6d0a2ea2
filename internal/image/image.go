package image

import (
	"fmt"
	"regexp"
	"strings"
)

// Ref names one image: a repository and what pins it. Tag and Digest may each be
// empty; an artifact has both.
type Ref struct {
	Name   string // registry host and repository, without tag: "registry.example.com/acme/payments"
	Tag    string // "1.7.0"
	Digest string // "sha256:" and 64 hex digits
}

var (
	nameGrammar = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9.-]*(:[0-9]{1,5})?(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*$`)
	// A signature, attestation or referrers index is stored under a tag that
	// names the digest it belongs to: "sha256-<hex>", with or without ".sig".
	attachedTag = regexp.MustCompile(`^sha(256|384|512)-[0-9a-f]{64,128}(\.[A-Za-z0-9._-]+)?$`)
)

// ValidTag reports whether s can be a tag: up to 128 letters, digits, "_", and, but
// for the first, "." and "-". The grammar of tags and digests is the OCI distribution
// specification's (https://github.com/opencontainers/distribution-spec, "Pulling
// manifests"). Both are read without a regular expression, because they are asked
// for every image of every overlay.
func ValidTag(s string) bool {
	for i := range len(s) {
		b := s[i]
		letter := b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z'
		if !letter && (b < '0' || b > '9') && b != '_' && (i == 0 || b != '.' && b != '-') {
			return false
		}
	}
	return len(s) > 0 && len(s) <= 128
}

// ValidDigest reports whether s is a sha256 digest, in lower case.
func ValidDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	for i := range len(hex) {
		if b := hex[i]; (b < '0' || b > '9') && (b < 'a' || b > 'f') {
			return false
		}
	}
	return ok && len(hex) == 64
}

// AttachedTag reports whether a tag belongs to a signature, an attestation or a
// referrers index rather than to an image that somebody could run.
func AttachedTag(tag string) bool { return attachedTag.MatchString(tag) }

// AttachedTo is the digest that a tag says that something is attached to.
func AttachedTo(tag string) (digest string, ok bool) {
	rest, ok := strings.CutPrefix(tag, "sha256-")
	hex, _, _ := strings.Cut(rest, ".")
	digest = "sha256:" + hex
	return digest, ok && AttachedTag(tag) && ValidDigest(digest)
}

// mutableTags are names that people move on purpose. A version never has one.
var mutableTags = map[string]bool{
	"latest": true, "stable": true, "edge": true, "nightly": true, "canary": true, "current": true,
	"main": true, "master": true, "trunk": true, "develop": true, "development": true, "head": true,
	"dev": true, "test": true, "testing": true, "qa": true, "uat": true, "stage": true, "staging": true,
	"prod": true, "production": true, "live": true, "release": true, "snapshot": true, "rolling": true,
}

// MutableTag reports whether a tag is a name that moves, such as "latest", and
// therefore says nothing about what it will mean tomorrow.
func MutableTag(tag string) bool { return mutableTags[strings.ToLower(tag)] }

// Parse reads "name", "name:tag", "name@digest" or "name:tag@digest".
func Parse(s string) (Ref, error) {
	r := Ref{Name: s}
	if name, digest, ok := strings.Cut(r.Name, "@"); ok {
		r.Name, r.Digest = name, digest
		if !ValidDigest(digest) {
			return Ref{}, fmt.Errorf("image %q: %q is not a sha256 digest", s, digest)
		}
	}
	if i := strings.LastIndexByte(r.Name, ':'); i > strings.LastIndexByte(r.Name, '/') {
		r.Name, r.Tag = r.Name[:i], r.Name[i+1:]
		if !ValidTag(r.Tag) {
			return Ref{}, fmt.Errorf("image %q: %q is not a tag", s, r.Tag)
		}
	}
	if !nameGrammar.MatchString(r.Name) {
		return Ref{}, fmt.Errorf("image %q: %q is not a repository name", s, r.Name)
	}
	return r, nil
}

// String is the reference as Kubernetes writes it: "name:tag@digest", without
// the parts that are empty.
func (r Ref) String() string {
	s := r.Name
	if r.Tag != "" {
		s += ":" + r.Tag
	}
	if r.Digest != "" {
		s += "@" + r.Digest
	}
	return s
}

// DigestPrefix reads a digest, or its beginning of at least 12 hex digits, as people copy it:
// with "sha256:" or without. ok is false for anything else.
func DigestPrefix(word string) (prefix string, ok bool) {
	digits := strings.TrimPrefix(word, "sha256:")
	if len(digits) < 12 || len(digits) > 64 || strings.IndexFunc(digits, func(r rune) bool { return !strings.ContainsRune("0123456789abcdef", r) }) >= 0 {
		return "", false
	}
	return "sha256:" + digits, true
}

// ShortDigest is a digest as people compare it by eye: "sha256:" and the first
// 12 hex digits.
func ShortDigest(digest string) string {
	const n = len("sha256:") + 12
	if len(digest) <= n {
		return digest
	}
	return digest[:n]
}
