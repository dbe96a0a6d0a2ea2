package signature

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Signer is who has to have signed: a Key, or an Identity without one.
type Signer interface {
	// ID is equal for signers that accept the same signatures and have the same name.
	ID() string
	// String is the signer as people read it: "key keys/release.pub (sha256:1f3a…)".
	String() string
	// signed says who has signed the digest, in words, or why this is no signature of
	// the signer's.
	signed(digest string, f Found) (by string, err error)
}

// Attached is what a registry holds beside an image, the newest last as far as the
// registry says so.
type Attached struct {
	Found []Found
	Left  int // that were not looked at
}

// Found is one signature as it was found, which says nothing about whether it is one.
// Exactly one of its last three is set.
type Found struct {
	Place  string // for people: "layer 3 of tag sha256-….sig"
	Simple *Simple
	Bundle []byte // a Sigstore bundle, JSON
	Broken string // why it could not be read: "it is larger than 64 KiB"
}

// Outcome is what is attached to an image comes to.
type Outcome string

const (
	Signed   Outcome = "signed"   // by the signer
	Unsigned Outcome = "unsigned" // there is no signature at all
	Foreign  Outcome = "foreign"  // there are some, and none is the signer's for this digest
)

// Judgement is whether a signer has signed a digest.
type Judgement struct {
	Outcome Outcome
	By      string // who has, in words
	Reason  string // what else is there, in words, where the signer has not
}

// maxTold is how many signatures are told of that are not the signer's.
const maxTold = 3

// Judge looks for a signer's signature of a digest among what is attached to it.
func Judge(s Signer, digest string, attached Attached) Judgement {
	if len(attached.Found) == 0 {
		return Judgement{Outcome: Unsigned}
	}
	var told []string
	for _, f := range slices.Backward(attached.Found) {
		by, err := f.by(s, digest)
		if err == nil {
			return Judgement{Outcome: Signed, By: plain(by)}
		}
		if len(told) < maxTold {
			told = append(told, fmt.Sprintf("%s: %s.", f.Place, strings.TrimSuffix(plain(err.Error()), ".")))
		}
	}
	if more := len(attached.Found) - len(told); more > 0 {
		told = append(told, fmt.Sprintf("And %d more.", more))
	}
	if attached.Left > 0 {
		told = append(told, fmt.Sprintf("%d more were not looked at; remove those that nobody needs.", attached.Left))
	}
	return Judgement{Outcome: Foreign, Reason: strings.Join(told, " ")}
}

// maxWords bounds what is told of one signature, in characters.
const maxWords = 300

// plain is text on one line that PostgreSQL takes: what certificates and bundles say of
// themselves may be anything.
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(text, "\ufffd"))
	runes := []rune(text)
	return string(runes[:min(len(runes), maxWords)])
}

func (f Found) by(s Signer, digest string) (string, error) {
	if f.Broken != "" {
		return "", fmt.Errorf("it cannot be read: %s", f.Broken)
	}
	return s.signed(digest, f)
}
