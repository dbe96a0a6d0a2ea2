package approval

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/hmarr/codeowners"
)

// codeOwnersFiles are where GitHub looks for CODEOWNERS, in its order; the first
// that exists counts.
var codeOwnersFiles = []string{".github/CODEOWNERS", "CODEOWNERS", "docs/CODEOWNERS"}

// Bounds of a CODEOWNERS file: GitHub reads none that is larger, a line has to fit
// into the parser's buffer, and every owner of a file may be a question to GitHub.
const (
	maxCodeOwners = 3 << 20
	maxLine       = 32 << 10
	maxOwners     = 50
)

// OwnedIn completes a rule that asks the code owners: it names the owners of path by
// the CODEOWNERS file of a tree of org's. The first place that holds anything counts,
// also where what it holds is of no use. An error is that the tree could not be read.
func (r Rule) OwnedIn(tree fs.FS, org, path string) (Rule, error) {
	for _, name := range codeOwnersFiles {
		info, err := fs.Lstat(tree, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return r, err
		}
		if !info.Mode().IsRegular() {
			r.Teams, r.Users, r.Problem = nil, nil, name+" of the base branch is not a file"
			return r, nil
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return r, err
		}
		return r.ownedBy(name, data, org, path), nil
	}
	r.Teams, r.Users = nil, nil
	r.Problem = "the base branch has no CODEOWNERS file (" + strings.Join(codeOwnersFiles, ", ") + ")"
	return r, nil
}

// ownedBy names the owners of path by the CODEOWNERS file that stands at name. Where
// org is not known, "", teams of every organisation count. The last
// pattern that matches decides, also where it names nobody. Whatever GitHub could
// read in another way is a problem, and not read at all.
func (r Rule) ownedBy(name string, data []byte, org, path string) Rule {
	r.Teams, r.Users, r.Problem = nil, nil, ""
	fail := func(format string, args ...any) Rule {
		r.Problem = name + " of the base branch " + fmt.Sprintf(format, args...)
		return r
	}
	if wrong := unreadable(data); wrong != "" {
		return fail("cannot be used: %s", wrong)
	}
	rules, err := codeowners.ParseFile(bytes.NewReader(data))
	if err != nil {
		return fail("cannot be used: %v", err)
	}
	for _, rule := range rules {
		if rule.RawPattern() == "/" { // matches nothing on GitHub; the library cannot match it at all
			return fail("cannot be used: line %d: the pattern / matches nothing; write * for every file", rule.LineNumber)
		}
	}
	match, err := rules.Match(path)
	switch {
	case err != nil:
		return fail("cannot be used: %v", err)
	case match == nil:
		return fail("names no owner of %s", path)
	case len(match.Owners) == 0:
		return fail("says in line %d that nobody owns %s", match.LineNumber, path)
	case len(match.Owners) > maxOwners:
		return fail("names more than %d owners of %s in line %d", maxOwners, path, match.LineNumber)
	}
	for _, o := range match.Owners {
		switch o.Type {
		case codeowners.UsernameOwner:
			r.Users = add(r.Users, o.Value)
		case codeowners.TeamOwner:
			if owner, slug, _ := strings.Cut(o.Value, "/"); org == "" || strings.EqualFold(owner, org) {
				r.Teams = add(r.Teams, strings.ToLower(slug))
			}
		}
	}
	if len(r.Teams)+len(r.Users) == 0 {
		return fail("names as owners of %s in line %d only e-mail addresses and teams of other organisations, whom Tagboat cannot recognise; name a login or a team of %s",
			path, match.LineNumber, cmp.Or(org, "its organisation"))
	}
	return r
}

func add(list []string, s string) []string {
	if slices.Contains(list, s) {
		return list
	}
	return append(list, s)
}

// unreadable says what the parser would pass over in silence, or read differently
// from GitHub.
func unreadable(data []byte) string {
	if len(data) > maxCodeOwners {
		return "it is larger than 3 MiB, which GitHub does not read"
	}
	n := 0
	for line := range bytes.Lines(data) {
		n++
		line = bytes.TrimSpace(line)
		if len(line) > maxLine {
			return fmt.Sprintf("line %d is longer than %d KiB", n, maxLine>>10)
		}
		if len(line) > 0 && line[0] == '#' {
			continue
		}
		if i := bytes.IndexByte(line, '#'); i > 0 && (line[i-1] != ' ' && line[i-1] != '\t' || i > 1 && line[i-2] == '\\') {
			return fmt.Sprintf("line %d has a # within a pattern or a name, which GitHub does not support", n)
		}
	}
	return ""
}
