package render

import (
	"path"
	"strings"
)

// pattern is what a child's last build read, as paths seen from its directory. The
// next build is likely to read the same files of its own neighbourhood, so the
// parent sends answers about them along: otherwise every level of bases costs a
// wait for the parent.
type pattern []Read

const maxPattern = 200

func newPattern(dir string, reads []Read) pattern {
	p := make(pattern, 0, len(reads))
	for _, r := range reads[:min(len(reads), maxPattern)] {
		if r.Kind == Stat || r.Kind == Content {
			p = append(p, Read{relative(dir, r.Path), r.Kind})
		}
	}
	return p
}

// guess answers what a build of the directory will probably ask.
func (a *answering) guess(p pattern, dir string) []answer {
	a.reading.Store(true)
	defer a.reading.Store(false)
	answers := make([]answer, 0, len(p))
	for _, r := range p {
		w := wantStat
		if r.Kind == Content {
			w = wantContent
		}
		if at := path.Join(dir, r.Path); at != ".." && !strings.HasPrefix(at, "../") {
			answers = append(answers, a.one(at, w))
		}
	}
	return answers
}

// relative is a path of the tree as it is written in one of its directories.
func relative(dir, target string) string {
	if dir == "." {
		return target
	}
	from, to := strings.Split(dir, "/"), strings.Split(target, "/")
	for len(from) > 0 && len(to) > 0 && from[0] == to[0] {
		from, to = from[1:], to[1:]
	}
	return path.Join(strings.Repeat("../", len(from)), path.Join(to...))
}
