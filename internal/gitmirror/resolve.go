package gitmirror

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"github.com/tagboat/tagboat/internal/fault"
)

const minPrefix = 4 // digits of a shortened commit id, as git demands

// resolve finds the commit that a revision means. It and all below need l.mu.
func (l *Local) resolve(r revision) (_ plumbing.Hash, _ *object.Commit, err error) {
	defer recoverPanic(&err)
	id, err := l.named(r.name)
	if err != nil {
		return id, nil, err
	}
	id, c, err := l.commit(id)
	if err != nil {
		return id, nil, err
	}
	for _, s := range r.steps {
		for range s.times {
			if id, c, err = l.parent(id, c, s.parent); err != nil {
				return id, nil, err
			}
		}
	}
	return id, c, nil
}

// parent is a parent of a commit, counted from 1.
func (l *Local) parent(id plumbing.Hash, c *object.Commit, n int) (plumbing.Hash, *object.Commit, error) {
	switch {
	case l.shallow[id] && len(c.ParentHashes) > 0:
		return id, nil, fault.Errorf(fault.NotFound, "the history in %s ends at commit %s. %s", l.dir, id, deepen)
	case len(c.ParentHashes) == 0:
		return id, nil, fault.Errorf(fault.NotFound, "the history in %s begins with commit %s; nothing is before it", l.dir, id)
	case n > len(c.ParentHashes):
		return id, nil, fault.Errorf(fault.NotFound, "commit %s has no parent number %d, only %d", id, n, len(c.ParentHashes))
	}
	return l.commit(c.ParentHashes[n-1])
}

const deepen = "It is a shallow clone: git fetch --unshallow brings the rest; with GitHub Actions set fetch-depth: 0 at actions/checkout."

// commit reads a commit, or the one that an annotated tag is about.
func (l *Local) commit(id plumbing.Hash) (plumbing.Hash, *object.Commit, error) {
	for {
		o, err := l.read(plumbing.AnyObject, id, maxTree)
		if err != nil {
			return id, nil, err
		}
		switch o.Type() {
		case plumbing.CommitObject:
			c, err := object.DecodeCommit(nil, o)
			if err != nil {
				return id, nil, l.damaged(id, err)
			}
			return id, c, nil
		case plumbing.TagObject:
			tag := &object.Tag{}
			if err := tag.Decode(o); err != nil {
				return id, nil, l.damaged(id, err)
			}
			id = tag.Target // never a circle: an id depends on its target's
		default:
			return id, nil, fault.Errorf(fault.Invalid, "%s is a %s, not a commit", id, o.Type())
		}
	}
}

// named finds what a name means, in the order of git's own rules: a whole id, a
// reference, the beginning of an id.
func (l *Local) named(name string) (plumbing.Hash, error) {
	if plumbing.IsHash(name) {
		id := plumbing.NewHash(name)
		for _, store := range l.stores {
			if _, err := objectSize(store, id); err == nil {
				return id, nil
			}
		}
		return id, l.unknown(name)
	}
	id, err := l.reference(name)
	if !errors.Is(err, plumbing.ErrReferenceNotFound) {
		return id, err
	}
	ids, err := l.beginning(name)
	switch {
	case err != nil:
		return id, err
	case len(ids) == 0:
		return id, l.unknown(name)
	case len(ids) > 1:
		return id, fault.Errorf(fault.Invalid, "several commits begin with %s (%s, %s); write more digits", name, ids[0], ids[1])
	}
	return ids[0], nil
}

// reference finds a branch, tag or other reference. plumbing.ErrReferenceNotFound
// where there is none.
func (l *Local) reference(name string) (plumbing.Hash, error) {
	for _, rule := range plumbing.RefRevParseRules {
		if rule == "%s" && !special(name) {
			continue
		}
		ref, err := storer.ResolveReference(l.stores[0], plumbing.ReferenceName(fmt.Sprintf(rule, name)))
		switch {
		case err == nil && !ref.Hash().IsZero():
			return ref.Hash(), nil
		case err != nil && !errors.Is(err, plumbing.ErrReferenceNotFound):
			return plumbing.ZeroHash, fault.E(fault.Invalid, fmt.Sprintf("The reference %s of %s cannot be read; git fsck tells what is wrong with the repository.", name, l.dir), err)
		}
	}
	return plumbing.ZeroHash, plumbing.ErrReferenceNotFound
}

// special reports whether a name may stand beside refs/ in the git directory, as
// HEAD does, and is not one of the other files there.
func special(name string) bool {
	return strings.HasPrefix(name, "refs/") || strings.HasSuffix(name, "HEAD") && strings.ToUpper(name) == name
}

// beginning are the commits and annotated tags whose ids begin so.
func (l *Local) beginning(digits string) ([]plumbing.Hash, error) {
	digits = strings.ToLower(digits)
	prefix, err := hex.DecodeString(digits[:len(digits)&^1])
	if err != nil || len(digits) < minPrefix {
		return nil, nil // no id, then
	}
	var found []plumbing.Hash
	for _, store := range l.stores {
		ids, err := store.HashesWithPrefix(prefix)
		if err != nil {
			return nil, l.damaged(plumbing.ZeroHash, err)
		}
		for _, id := range ids {
			if !strings.HasPrefix(id.String(), digits) || slices.Contains(found, id) {
				continue
			}
			if o, err := store.EncodedObject(plumbing.AnyObject, id); err == nil && (o.Type() == plumbing.CommitObject || o.Type() == plumbing.TagObject) {
				found = append(found, id)
			}
		}
	}
	return found, nil
}

// unknown says what may help where nothing has the name.
func (l *Local) unknown(name string) error {
	if name == "HEAD" {
		return fault.Errorf(fault.NotFound, "%s has no commit yet", l.dir)
	}
	if _, err := l.reference("refs/remotes/origin/" + name); err == nil {
		return fault.Errorf(fault.NotFound, "%s has no branch or tag %s of its own; origin/%s is there", l.dir, name, name)
	}
	help := "If the remote has it, fetch it first: git fetch origin " + name + "."
	if len(l.shallow) > 0 {
		help += " " + deepen
	}
	return fault.Errorf(fault.NotFound, "%s has no branch, tag or commit %s. %s", l.dir, name, help)
}
