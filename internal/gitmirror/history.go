package gitmirror

import (
	"context"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"

	"github.com/tagboat/tagboat/internal/fault"
)

// Commit is what a commit says of itself.
type Commit struct {
	SHA     string
	Parents []string
	Subject string // the first line of its message
	Author  string // as the commit gives it, which anybody can write
}

// Commit reads a commit, which is fetched if it is not held yet.
func (m *Mirror) Commit(ctx context.Context, sha string) (_ Commit, err error) {
	if _, err := m.At(ctx, sha); err != nil {
		return Commit{}, err
	}
	m.mu.Lock()
	gen := m.now
	m.mu.Unlock()
	c, err := gen.commit(plumbing.NewHash(sha))
	if err != nil {
		return Commit{}, err
	}
	subject, _, _ := strings.Cut(strings.TrimSpace(c.Message), "\n")
	out := Commit{SHA: sha, Subject: strings.TrimSpace(subject), Author: c.Author.Name}
	for _, p := range c.ParentHashes {
		out.Parents = append(out.Parents, p.String())
	}
	return out, nil
}

// Line lists the commits through which a branch came from one commit to another, the
// oldest first and without the first one: those that it pointed to, not what was merged
// into it. NotFound where from is not among the last most of them: the branch was
// rewritten, or too much has happened.
func (m *Mirror) Line(ctx context.Context, from, to string, most int) (line []Commit, err error) {
	defer fault.Wrap(&err, "commits from %.12s to %.12s", from, to)
	for at := to; at != from; {
		if len(line) == most {
			return nil, fault.Errorf(fault.NotFound, "%.12s is not among the last %d commits before %.12s", from, most, to)
		}
		c, err := m.Commit(ctx, at)
		if err != nil {
			return nil, err
		}
		line = append(line, c)
		if len(c.Parents) == 0 {
			return nil, fault.Errorf(fault.NotFound, "%.12s does not come from %.12s", to, from)
		}
		at = c.Parents[0]
	}
	slices.Reverse(line)
	return line, nil
}

// commit decodes a commit that is held.
func (g *generation) commit(id plumbing.Hash) (_ *object.Commit, err error) {
	o, err := g.object(plumbing.CommitObject, id, maxTree)
	if err != nil {
		return nil, err
	}
	c, err := object.DecodeCommit(nil, o)
	if err != nil {
		err = g.damaged(err)
	}
	return c, err
}

// damaged remembers that something that is held cannot be read.
func (g *generation) damaged(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.note(&damage{err})
}
