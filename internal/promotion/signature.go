package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// Demand is a signature that an environment asks for.
type Demand struct {
	Who string // for people: "key keys/release.pub"
	// ID names the signer, key and all: what was found of another key with the same
	// name says nothing. "" where that is not known, so that nothing was found.
	ID string
	// Err is why nobody can tell the signer's signatures from others, "" when that can
	// be told; Owner can mend it.
	Err, Owner string
}

// Signature is what was found last of a demanded signature.
type Signature struct {
	Demand string // its ID
	Digest string // of the artifact it was looked for at
	Answer Signed
	By     string    // who has signed, in words
	Reason string    // what is there instead, or why it could not be read, in sentences
	At     time.Time // when it was looked for
	Since  time.Time // since when it is so
}

// Signed is what a look for a signature came to.
type Signed string

const (
	NotLookedFor Signed = ""         // at exactly this digest, of exactly this signer
	SignedBy     Signed = "signed"   // by the signer
	Unsigned     Signed = "unsigned" // nothing is attached
	SignedElse   Signed = "foreign"  // only what is not the signer's, or not for this digest
	SignedUnread Signed = "unread"   // the registry could not be asked
)

// How long an answer about a signature holds.
const (
	// signatureHolds: nobody tells that a signature was taken away, and people read the
	// pull request.
	signatureHolds = time.Hour
	// signatureFresh is how old an answer may be that a merge rests on.
	signatureFresh = 5 * time.Minute
)

// signatures are what was found of everything that is demanded, in its order.
func signatures(f Facts) []Signature {
	all := make([]Signature, 0, len(f.Rule.Signatures))
	for _, d := range f.Rule.Signatures {
		i := slices.IndexFunc(f.Signatures, func(s Signature) bool {
			return d.ID != "" && s.Demand == d.ID && s.Digest == f.Artifact.Digest
		})
		if i < 0 {
			all = append(all, Signature{Demand: d.ID})
			continue
		}
		all = append(all, f.Signatures[i])
	}
	return all
}

// askAgainAt is when it has to be looked for again; a time in the past where it never
// was.
func (s Signature) askAgainAt() time.Time {
	switch s.Answer {
	case NotLookedFor:
		return time.Time{}
	case SignedBy:
		return s.At.Add(signatureHolds)
	}
	return againAfter(s.At, s.Since) // an image is signed after it was pushed
}

// stale reports whether the answer is too old for a merge to rest on it.
func (s Signature) stale(now time.Time) bool {
	return s.Answer == NotLookedFor || now.Sub(s.At) > signatureFresh || s.At.After(now)
}

// signaturesAt is when the first of the demanded signatures has to be looked for, where
// one has to be; a time in the past where it never was.
func signaturesAt(f Facts) (at time.Time, asked bool) {
	if f.RuleErr != "" {
		return time.Time{}, false
	}
	for i, s := range signatures(f) {
		if f.Rule.Signatures[i].Err != "" {
			continue // which is mended in Git
		}
		if next := s.askAgainAt(); !asked || next.Before(at) {
			at, asked = next, true
		}
	}
	return at, asked
}

// signaturesStale reports whether a merge needs newer answers.
func signaturesStale(f Facts, now time.Time) bool {
	return slices.ContainsFunc(signatures(f), func(s Signature) bool { return s.stale(now) })
}

// signatureGate passes when every demanded signature was found. What keeps it from
// passing is told first: reasons are cut.
func signatureGate(f Facts) Gate {
	g := Gate{Name: GateSignature, Title: "Signature", Verdict: Pass}
	var failed, waiting, found, owners []string
	for i, s := range signatures(f) {
		verdict, reason, owner := f.signature(f.Rule.Signatures[i], s)
		switch verdict {
		case Pass:
			found = append(found, reason)
		case Fail:
			failed = append(failed, reason)
		default:
			waiting = append(waiting, reason)
		}
		if owner != "" && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	switch {
	case len(failed) > 0:
		g.Verdict = Fail
	case len(waiting) > 0:
		g.Verdict = Wait
	}
	g.Reason, g.Owner = strings.Join(slices.Concat(failed, waiting, found), " "), strings.Join(owners, "; ")
	if at, asked := signaturesAt(f); g.Verdict == Pass && asked {
		g.Until = at
	}
	return g
}

// signature is what one demand comes to.
func (f Facts) signature(d Demand, s Signature) (verdict Verdict, reason, owner string) {
	short := image.ShortDigest(f.Artifact.Digest)
	switch {
	case d.Err != "":
		return Fail, d.Err, d.Owner
	case s.Answer == SignedBy:
		return Pass, fmt.Sprintf("%s is signed by %s.", short, s.By), ""
	case s.Answer == Unsigned:
		return Wait, fmt.Sprintf("%s is not signed yet; %s has to sign it. Tagboat looks again by itself.", short, d.Who), "whoever signs for " + d.Who
	case s.Answer == SignedElse:
		return Fail, fmt.Sprintf("%s is not signed by %s, only otherwise. %s Tagboat looks again by itself.", short, d.Who, s.Reason), "whoever signs for " + d.Who
	case s.Answer == SignedUnread:
		return Wait, fmt.Sprintf("The registry could not be asked for the signature by %s: %s Tagboat asks again by itself.", d.Who, s.Reason), "the registry"
	}
	return Wait, fmt.Sprintf("The registry has not been asked for the signature by %s yet.", d.Who), "Tagboat"
}
