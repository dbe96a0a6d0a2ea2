package gitmirror

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// revision is a commit as people name it
// (https://git-scm.com/docs/gitrevisions): a name and ways back from it.
type revision struct {
	name  string // "HEAD", "main", "origin/main", "v1.2.0", "4f2a9c1"
	steps []step
}

// step is one way back: "~3" is the first parent three times, "^2" the second
// parent once.
type step struct {
	parent int // counted from 1
	times  int
}

// ways are what may follow a name: ~, ~N, ^, ^N, and the notes to a tag that the
// commit behind it is meant, as every revision here means it.
var ways = regexp.MustCompile(`^(?:\^\{(?:commit)?\}|([~^])([0-9]{0,6}))`)

// parseRevision reads a revision. What git understands but this does not is
// Invalid: a part that is passed over would silently name another commit, which is
// why go-git's ResolveRevision is not used ("HEAD@{1}" is HEAD to it, "HEAD^3" the
// second parent, and a branch named "feed" a commit whose id begins so).
func parseRevision(text string) (revision, error) {
	r := revision{name: text}
	rest := ""
	if i := strings.IndexAny(text, "~^"); i >= 0 {
		r.name, rest = text[:i], text[i:]
	}
	if r.name == "@" {
		r.name = "HEAD"
	}
	if !refName(r.name) {
		return r, notUnderstood(text)
	}
	for rest != "" {
		m := ways.FindStringSubmatch(rest)
		if m == nil {
			return r, notUnderstood(text)
		}
		rest = rest[len(m[0]):]
		if m[1] == "" {
			continue
		}
		n := 1
		if m[2] != "" {
			n, _ = strconv.Atoi(m[2]) // six digits at most
		}
		switch {
		case n == 0: // the commit itself
		case m[1] == "~":
			r.steps = append(r.steps, step{parent: 1, times: n})
		default:
			r.steps = append(r.steps, step{parent: n, times: 1})
		}
	}
	return r, nil
}

func notUnderstood(text string) error {
	return fault.Errorf(fault.Invalid, "%q is not a revision that Tagboat reads; name a branch, a tag or a commit id, with ~N or ^N behind it where you like", text)
}

// refName reports whether git could have a reference or an id of this name
// (https://git-scm.com/docs/git-check-ref-format).
func refName(s string) bool {
	if s == "" || strings.HasPrefix(s, "-") || strings.Contains(s, "..") || strings.Contains(s, "@{") {
		return false
	}
	if strings.ContainsAny(s, " ?*[\\:~^\x7f") || strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		return false
	}
	for part := range strings.SplitSeq(s, "/") {
		if part == "" || strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".") || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return true
}
