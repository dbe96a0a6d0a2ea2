package render

import (
	"fmt"
	"strings"
	"unicode"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

// What a child says are claims: it works on files that anybody may have written, and
// may do what they want. None may cost the parent more than a build does, name what
// no build could, or have a build tried again without end. A child keeps to the
// bounds by itself, and says which file is too much.
const (
	maxQuestions = 1 << 12 // at once
	maxAsks      = 1 << 14 // of one build
	maxAnswers   = 1 << 17 // to one build; it stops by itself at half of them
	maxReads     = 1 << 16 // of one build; it stops by itself at half of them
	maxPath      = 4095    // bytes, as Linux does
	maxName      = 255     // bytes of one element of a path
	maxHint      = 2000    // bytes
)

// broken is a claim that no child of ours makes.
func broken(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errProtocol, fmt.Sprintf(format, args...))
}

// check is about one question.
func (q question) check() error {
	switch {
	case q.want > wantRemote:
		return broken("a question of kind %d", q.want)
	case q.want == wantRemote && (len(q.path) > 2*maxPath || !q.remote.plausible()):
		return broken("a remote reference that is none")
	case q.want != wantRemote && !plausible(q.path):
		return broken("a question about %.100q", q.path)
	}
	return nil
}

// plausible reports whether a remote is a commit of a repository or a chart's digest,
// whether or not it may be fetched.
func (r Remote) plausible() bool {
	address, pinned := r.Git, commitID.MatchString(r.Commit) && r.Chart+r.Digest == ""
	if r.Git == "" {
		address, pinned = r.Chart, image.ValidDigest(r.Digest) && r.Commit == ""
	}
	return pinned && address != "" && len(address) <= maxPath && !strings.ContainsFunc(address, unreadable)
}

func (r Read) check() error {
	if r.Kind > Link || !plausible(r.Path) {
		return broken("a read %d of %.100q", r.Kind, r.Path)
	}
	return nil
}

// verdict is the error that a child claims: never one after which the build would be
// tried again, because nothing has changed by then.
func verdict(kind int, hint string) error {
	switch k := fault.Kind(kind); k {
	case fault.NotFound, fault.Denied:
		return fault.Errorf(k, "%s", hint)
	}
	return fault.Errorf(fault.Invalid, "%s", hint)
}

// oneLine is a text for people without what could harm where it is shown: other lines,
// control characters, what changes the direction of the text.
func oneLine(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unreadable(r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return shortened(strings.TrimSpace(text), maxHint)
}

func unreadable(r rune) bool { return !unicode.IsPrint(r) }

func shortened(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + " …"
}
