package image

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestParse(t *testing.T) {
	for in, want := range map[string]Ref{
		"nginx":                                   {Name: "nginx"},
		"nginx:1.27":                              {Name: "nginx", Tag: "1.27"},
		"library/nginx:1.27":                      {Name: "library/nginx", Tag: "1.27"},
		"registry.example.com/a/b-c_d":            {Name: "registry.example.com/a/b-c_d"},
		"localhost:5000/payments":                 {Name: "localhost:5000/payments"},
		"localhost:5000/payments:1.7.0":           {Name: "localhost:5000/payments", Tag: "1.7.0"},
		"127.0.0.1:5000/a/b@" + digest:            {Name: "127.0.0.1:5000/a/b", Digest: digest},
		"r.example/a:1.7.0@" + digest:             {Name: "r.example/a", Tag: "1.7.0", Digest: digest},
		"r.example/a:" + strings.Repeat("x", 128): {Name: "r.example/a", Tag: strings.Repeat("x", 128)},
	} {
		got, err := Parse(in)
		if err != nil || got != want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v", in, got, err, want)
		}
		if got.String() != in {
			t.Errorf("%q is written back as %q", in, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for _, in := range []string{
		"", ":1.7.0", "a:", "a@", "a@sha256:12", "a@" + strings.ToUpper(digest), "a@sha512:" + strings.Repeat("0", 128),
		"a b", "a:1 2", "r.example/A/b", "r.example/a//b", "r.example/../b", "/a", "a/", "https://r.example/a", "a:-1", "a:.1",
		"a:" + strings.Repeat("x", 129), "a:1@" + digest + "x", "r.example/a\n", "r.example/a:1.0\n", "a@b@" + digest,
	} {
		if got, err := Parse(in); err == nil {
			t.Errorf("Parse(%q) = %+v, want an error", in, got)
		} else if !strings.Contains(err.Error(), "image ") {
			t.Errorf("Parse(%q): %v does not say that it is about an image", in, err)
		}
	}
}

func TestAttachedTags(t *testing.T) {
	hex := strings.TrimPrefix(digest, "sha256:")
	for tag, want := range map[string]bool{
		"sha256-" + hex: true, "sha256-" + hex + ".sig": true, "sha256-" + hex + ".att": true, "sha512-" + hex + hex + ".sbom": true,
		"1.7.0": false, "sha256-abc": false, "sha256-" + hex[:63]: false, "v-sha256-" + hex: false, "sha1-" + hex[:40]: false, "": false,
	} {
		if got := AttachedTag(tag); got != want {
			t.Errorf("AttachedTag(%q) = %v", tag, got)
		}
	}
}

func TestWhatATagIsAttachedTo(t *testing.T) {
	hex := strings.TrimPrefix(digest, "sha256:")
	for tag, want := range map[string]bool{
		"sha256-" + hex: true, "sha256-" + hex + ".sig": true, "sha512-" + hex + hex + ".sig": false, "sha256-" + hex + hex: false, "sha256-" + hex[:63]: false, "1.7.0": false, "": false,
	} {
		if got, ok := AttachedTo(tag); ok != want || ok && got != digest {
			t.Errorf("AttachedTo(%q) = %q, %v", tag, got, ok)
		}
	}
}

func TestMutableTags(t *testing.T) {
	for tag, want := range map[string]bool{
		"latest": true, "Latest": true, "main": true, "PROD": true,
		"1.7.0": false, "v2": false, "main-0123abc": false, "latest-1": false, "": false,
	} {
		if got := MutableTag(tag); got != want {
			t.Errorf("MutableTag(%q) = %v", tag, got)
		}
	}
}

func TestTheBeginningOfADigest(t *testing.T) {
	for word, want := range map[string]string{
		digest: digest, "sha256:0123456789ab": "sha256:0123456789ab", "0123456789ab": "sha256:0123456789ab",
		"0123456789a": "", "sha256:": "", "0123456789AB": "", "1.7.0": "", "": "", digest + "0": "", "012345%6789ab": "",
	} {
		if got, ok := DigestPrefix(word); got != want || ok != (want != "") {
			t.Errorf("DigestPrefix(%q) = %q, %t, want %q", word, got, ok, want)
		}
	}
}

func TestShortDigest(t *testing.T) {
	for in, want := range map[string]string{digest: "sha256:0123456789ab", "sha256:01": "sha256:01", "": ""} {
		if got := ShortDigest(in); got != want {
			t.Errorf("ShortDigest(%q) = %q, want %q", in, got, want)
		}
	}
}

// Whatever parses is written back as it was read, and its parts are valid.
func TestParseAndStringAreInverse(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in := rapid.OneOf(
			rapid.StringMatching(`[a-z0-9.:/@_-]{0,60}`),
			rapid.StringMatching(`[a-z]{1,8}(\.[a-z]{2,3})?(:[0-9]{2,4})?(/[a-z0-9_.-]{1,8}){0,3}(:[A-Za-z0-9_.-]{1,12})?(@sha256:[0-9a-f]{64})?`),
		).Draw(t, "reference")
		ref, err := Parse(in)
		if err != nil {
			return
		}
		if ref.String() != in {
			t.Fatalf("%q is written back as %q", in, ref)
		}
		if ref.Tag != "" && !ValidTag(ref.Tag) || ref.Digest != "" && !ValidDigest(ref.Digest) {
			t.Fatalf("%q has invalid parts: %+v", in, ref)
		}
	})
}
