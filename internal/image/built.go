package image

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Built is what a CI says after it pushed an image: the body of the CI callback.
//
//	{"image": "registry.example.com/acme/payments", "tag": "1.7.0", "digest": "sha256:...",
//	 "source": {"repository": "acme/payments", "revision": "<commit>"},
//	 "run": {"url": "https://ci.example.com/runs/17"}}
//
// Digest, source and run may be left out; what is there has to be right. Fields
// that are not named here are ignored, so that a CI can send more.
type Built struct {
	Image  string `json:"image"`
	Tag    string `json:"tag"`
	Digest string `json:"digest"`
	Source struct {
		Repository string `json:"repository"` // "owner/name" on GitHub
		Revision   string `json:"revision"`   // commit
	} `json:"source"`
	Run struct {
		URL string `json:"url"`
	} `json:"run"`
}

var (
	sourceGrammar   = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)
	revisionGrammar = regexp.MustCompile(`^[0-9a-f]{40}([0-9a-f]{24})?$`)
)

// ParseBuilt reads the body of a CI callback. Its error says what is wrong, for
// whoever wrote the CI step.
func ParseBuilt(body []byte) (Built, error) {
	var b Built
	if err := json.Unmarshal(body, &b); err != nil {
		return Built{}, fmt.Errorf("the body is not the JSON object that is expected: %w", err)
	}
	ref, err := Parse(b.Image)
	switch {
	case err != nil:
		return Built{}, fmt.Errorf("image: %w", err)
	case ref.Tag != "" || ref.Digest != "":
		return Built{}, fmt.Errorf("image: %q holds a tag or digest; they have fields of their own", b.Image)
	case !ValidTag(b.Tag):
		return Built{}, fmt.Errorf("tag: %q is not a tag", b.Tag)
	case b.Digest != "" && !ValidDigest(b.Digest):
		return Built{}, fmt.Errorf("digest: %q is not a sha256 digest", b.Digest)
	case b.Source.Repository != "" && !sourceGrammar.MatchString(b.Source.Repository):
		return Built{}, fmt.Errorf("source.repository: %q is not owner/name", b.Source.Repository)
	case b.Source.Revision != "" && !revisionGrammar.MatchString(strings.ToLower(b.Source.Revision)):
		return Built{}, fmt.Errorf("source.revision: %q is not a full commit id", b.Source.Revision)
	case b.Run.URL != "" && !webURL(b.Run.URL):
		return Built{}, fmt.Errorf("run.url: %q is not an http or https URL", b.Run.URL)
	}
	b.Source.Revision = strings.ToLower(b.Source.Revision)
	return b, nil
}

// SourceRepository is "owner/name" of the source URL that an image's label tells,
// such as "https://github.com/acme/payments.git"; "" where it is no such URL.
func SourceRepository(source string) string {
	u, err := url.Parse(source)
	if err != nil {
		return ""
	}
	repo := strings.TrimSuffix(strings.Trim(u.Path, "/"), ".git")
	if !webURL(source) || !sourceGrammar.MatchString(repo) {
		return ""
	}
	return repo
}

// SourceRevision is the commit that a label names; "" where it is none. Whoever builds
// an image writes its labels, and this one goes into a commit message.
func SourceRevision(label string) string {
	if id := strings.ToLower(label); revisionGrammar.MatchString(id) {
		return id
	}
	return ""
}

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && len(s) <= 2000
}
