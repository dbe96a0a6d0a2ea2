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
//	 "run": {"url": "https://ci.example.com/runs/17"},
//	 "actor": {"login": "carol", "id": 583231}}
//
// Digest, source, run and actor may be left out; what is there has to be right. Fields
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
	Actor Actor `json:"actor"`
}

// Actor is the GitHub account that caused a CI run.
type Actor struct {
	Login string `json:"login"`
	ID    int64  `json:"id"` // 0: not told
}

// UnmarshalJSON takes a login alone, too.
func (a *Actor) UnmarshalJSON(data []byte) error {
	if data[0] == '"' {
		return json.Unmarshal(data, &a.Login)
	}
	type fields Actor
	return json.Unmarshal(data, (*fields)(a))
}

var (
	sourceGrammar   = regexp.MustCompile(`^[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}$`)
	actorGrammar    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,99}(?:\[bot\])?$`)
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
	case b.Actor.Login != "" && !actorGrammar.MatchString(b.Actor.Login):
		return Built{}, fmt.Errorf("actor.login: %q is not a GitHub login", b.Actor.Login)
	case b.Actor.ID < 0 || b.Actor.ID > 0 && b.Actor.Login == "":
		return Built{}, fmt.Errorf("actor.id: %d needs a login beside it, and is the account's number", b.Actor.ID)
	case b.Run.URL != "" && !webURL(b.Run.URL):
		return Built{}, fmt.Errorf("run.url: %q is not an http or https URL", b.Run.URL)
	}
	b.Source.Revision = strings.ToLower(b.Source.Revision)
	return b, nil
}

// SourceRepository is "owner/name" of the source that an image's label tells, such as
// "https://github.com/acme/payments.git", where that is a repository on host; "" where
// it is none. A label without a host is taken at its word.
func SourceRepository(source, host string) string {
	repo := strings.TrimSpace(source)
	if webURL(repo) {
		u, err := url.Parse(repo)
		if err != nil || !strings.EqualFold(u.Host, host) {
			return ""
		}
		repo = u.Path
	}
	repo = strings.TrimSuffix(strings.Trim(repo, "/"), ".git")
	if !IsSourceRepository(repo) {
		return ""
	}
	return repo
}

// IsSourceRepository reports whether s is "owner/name".
func IsSourceRepository(s string) bool { return sourceGrammar.MatchString(s) }

// IsRevision reports whether s is a full commit id.
func IsRevision(s string) bool { return revisionGrammar.MatchString(s) }

func webURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && len(s) <= 2000
}
