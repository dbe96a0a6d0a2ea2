package envrepo

import (
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
)

// Signature is a signature that an image must carry.
type Signature struct {
	Cosign *Cosign `yaml:"cosign"`
}

// Cosign is who must have signed with cosign: a key, or an identity that signs without
// one. Exactly one of Key, Identity and IdentityRegexp is set, and Issuer with the latter
// two.
type Cosign struct {
	Key            string `yaml:"key"`            // a public key's file in the env repo
	Identity       string `yaml:"identity"`       // exactly
	IdentityRegexp string `yaml:"identityRegexp"` // has to match all of the identity
	Issuer         string `yaml:"issuer"`         // who vouches for the identity, exactly
}

// maxDemanded is how many signatures an environment may ask for: each is looked for
// among all that are attached to an image.
const maxDemanded = 10

// signatures checks who has to sign. A demand that nobody could meet, or anybody, is a
// mistake.
func (r *reader) signatures(e *Environment, at string) {
	at += ".signatures"
	if e.Signatures != nil && len(e.Signatures) == 0 {
		r.at(at, "signatures of environment %s is an empty list, which asks for nothing; write [{cosign: {key: keys/release.pub}}], or remove it", e.Name)
	}
	if len(e.Signatures) > maxDemanded {
		r.at(at, "environment %s asks for more than %d signatures; keep those that matter", e.Name, maxDemanded)
		return
	}
	seen := map[Cosign]bool{}
	for i, s := range e.Signatures {
		at := fmt.Sprintf("%s[%d]", at, i)
		if s.Cosign == nil {
			r.at(at, "%s names nobody; write cosign: {key: keys/release.pub}", label(at))
			continue
		}
		if seen[*s.Cosign] {
			r.at(at, "environment %s asks for the same signature twice; keep one", e.Name)
		}
		seen[*s.Cosign] = true
		r.cosign(*s.Cosign, at+".cosign")
	}
}

func (r *reader) cosign(c Cosign, at string) {
	who := 0
	for _, one := range []string{c.Key, c.Identity, c.IdentityRegexp} {
		if one != "" {
			who++
		}
	}
	switch {
	case who != 1:
		r.at(at, "%s needs exactly one of key (a public key's file), identity and identityRegexp", label(at))
	case c.Key != "":
		if !fs.ValidPath(c.Key) || c.Key == "." {
			r.at(at+".key", "%q is not a file of this repository; write its path from the root with slashes and without .., such as keys/release.pub", c.Key)
		}
		if c.Issuer != "" {
			r.at(at+".issuer", "a key has no issuer; remove it, or name an identity instead of the key")
		}
	default:
		r.issuer(c, at)
	}
	if _, err := regexp.Compile(c.IdentityRegexp); err != nil {
		r.at(at+".identityRegexp", "identityRegexp is not a regular expression (%v); escape dots as \\.", err)
	}
}

// issuer wants to know who vouches for an identity: the same name with another issuer
// is somebody else.
func (r *reader) issuer(c Cosign, at string) {
	u, err := url.Parse(c.Issuer)
	switch {
	case c.Issuer == "":
		r.at(at+".issuer", "%s has no issuer, so that anybody's word would do for who signed; write the issuer of the identity's tokens, such as https://token.actions.githubusercontent.com", label(at))
	case err != nil || u.Scheme != "https" || u.Host == "":
		r.at(at+".issuer", "%q is not an issuer; write its https:// URL exactly as its tokens do", c.Issuer)
	}
}
