package render

import (
	"errors"
	"io/fs"
	"path"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links are followed for one path, as Linux does.
const maxLinks = 40

// follow resolves the links of a path inside the tree. Every link on the way is
// named, with the prefix. Where something on the way is absent, real is the first
// that is: while it stays absent, so does the path. Nothing below it is looked at,
// because a kustomization may name very deep paths that are not there.
func (a *answering) follow(tree fs.FS, prefix, name string) (real string, links []string, err error) {
	reader, ok := tree.(fs.ReadLinkFS)
	if !ok || name == "." {
		return name, nil, nil
	}
	done, pending := ".", strings.Split(name, "/")
	for len(pending) > 0 {
		part := pending[0]
		pending = pending[1:]
		switch part {
		case "", ".":
			continue
		case "..": // only ever from a link's target
			if done == "." {
				return "", links, leavesTree(path.Join(prefix, name))
			}
			done = path.Dir(done)
			continue
		}
		next := path.Join(done, part)
		target, err := a.readLink(reader, prefix, next)
		switch {
		case missing(err):
			return next, links, err
		case err != nil:
			return "", links, err
		case target == "":
			done = next
			continue
		}
		if links = append(links, path.Join(prefix, next)); len(links) > maxLinks {
			return "", links, refuse(path.Join(prefix, name), "its symbolic links lead in a circle")
		}
		if path.IsAbs(target) {
			return "", links, leavesTree(path.Join(prefix, name))
		}
		pending = append(strings.Split(target, "/"), pending...)
	}
	return done, links, nil
}

func leavesTree(name string) error {
	return refuse(name, "it is a symbolic link that leads out of the repository")
}

// linkAt is what is known of a path as a link.
type linkAt struct {
	target string // "" where it is none
	absent error  // that nothing is there
}

// readLink is where a link points; "" for what is none.
func (a *answering) readLink(tree fs.ReadLinkFS, prefix, name string) (string, error) {
	key := path.Join(prefix, name)
	if known, ok := a.links[key]; ok {
		return known.target, known.absent
	}
	var found linkAt
	target, err := tree.ReadLink(name)
	switch {
	case err == nil:
		found.target = target
	case errors.Is(err, fs.ErrInvalid), errors.Is(err, syscall.EINVAL):
	case missing(err):
		found.absent = err
	default:
		return "", err
	}
	a.links[key] = found
	return found.target, found.absent
}
