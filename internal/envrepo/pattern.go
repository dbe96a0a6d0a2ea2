package envrepo

import (
	"cmp"
	"errors"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// pattern finds directories or files by their path. Where it has {env} or
// {cluster}, only the names that the configuration declares match, so that
// "{app}-{env}" splits orders-pre-prod where the names say, not where a dash is.
type pattern struct {
	segments []segment
	files    bool // the last segment is a file
}

// segment is one directory of a pattern, or its file.
type segment struct {
	literal string         // "" when match says it
	match   *regexp.Regexp // with groups app, env and cluster
	app     int            // numbers of the groups, -1 where there is none
	env     int
	cluster int
}

// place is what a pattern found.
type place struct {
	app, env, cluster string // "" where the pattern does not say
	path              string
}

func compile(text string, envs, clusters []string) pattern {
	p := pattern{files: isFile(text)}
	for part := range strings.SplitSeq(text, "/") {
		if !strings.Contains(part, "{") {
			p.segments = append(p.segments, segment{literal: part})
			continue
		}
		expr := regexp.QuoteMeta(part)
		// The shortest app, and the longest environment that is declared.
		expr = strings.Replace(expr, `\{app\}`, `(?P<app>.+?)`, 1)
		expr = strings.Replace(expr, `\{env\}`, `(?P<env>`+alternatives(envs)+`)`, 1)
		expr = strings.Replace(expr, `\{cluster\}`, `(?P<cluster>`+alternatives(clusters)+`)`, 1)
		match := regexp.MustCompile("^" + expr + "$")
		p.segments = append(p.segments, segment{match: match,
			app: match.SubexpIndex("app"), env: match.SubexpIndex("env"), cluster: match.SubexpIndex("cluster")})
	}
	return p
}

// alternatives matches one of some names, the longest that fits.
func alternatives(names []string) string {
	quoted := make([]string, 0, len(names))
	for _, n := range names {
		quoted = append(quoted, regexp.QuoteMeta(n))
	}
	slices.SortFunc(quoted, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	return strings.Join(quoted, "|")
}

// find lists the places that match, without looking into them. A directory that
// is not there is no match; one that cannot be read is an error, never an absence
// (I6).
func (p pattern) find(tree fs.FS) ([]place, error) {
	places := []place{{path: "."}}
	for i, s := range p.segments {
		var next []place
		for _, at := range places {
			found, err := s.descend(tree, at, p.files && i == len(p.segments)-1)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		places = next
	}
	return places, nil
}

// descend follows one segment.
func (s segment) descend(tree fs.FS, from place, file bool) ([]place, error) {
	entries, err := fs.ReadDir(tree, from.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var found []place
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() == file || s.match == nil && name != s.literal {
			continue
		}
		at := from
		at.path = path.Join(from.path, name)
		if s.match != nil {
			m := s.match.FindStringSubmatch(name)
			if m == nil || hidden(name) {
				continue
			}
			at.app, at.env, at.cluster = s.group(m, s.app, at.app), s.group(m, s.env, at.env), s.group(m, s.cluster, at.cluster)
		}
		found = append(found, at)
	}
	return found, nil
}

// group is what a group matched; a segment without it keeps what is known.
func (s segment) group(m []string, number int, known string) string {
	if number < 0 {
		return known
	}
	return m[number]
}

// hidden names are not meant to be found by a pattern: ".git", "_template".
func hidden(name string) bool { return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") }

// fill puts names into a path.
func fill(text, app, env, cluster string) string {
	if !strings.Contains(text, "{") {
		return text
	}
	return strings.NewReplacer("{app}", app, "{env}", env, "{cluster}", cluster).Replace(text)
}
