package githubsim

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// This file is what owners do to repositories and installations on GitHub's pages:
// rename, transfer, archive, delete; uninstall the App, or take repositories from it.

// Uninstall removes an installation: its tokens are not known any more.
func (s *Server) Uninstall(installationID int64) error {
	return s.change(func() error {
		at := slices.IndexFunc(s.installations, func(i *installation) bool { return i.id == installationID })
		if at < 0 {
			return fmt.Errorf("githubsim: there is no installation %d", installationID)
		}
		inst := s.installations[at]
		s.installations = slices.Delete(s.installations, at, at+1)
		for value, t := range s.tokens {
			if t.installation == inst {
				delete(s.tokens, value)
			}
		}
		s.emitInstallation(inst, "deleted")
		return nil
	})
}

// TakeFrom takes repositories (without owner) from an installation.
func (s *Server) TakeFrom(installationID int64, repos ...string) error {
	return s.change(func() error {
		at := slices.IndexFunc(s.installations, func(i *installation) bool { return i.id == installationID })
		if at < 0 {
			return fmt.Errorf("githubsim: there is no installation %d", installationID)
		}
		inst := s.installations[at]
		taken, err := s.ownedRepos(inst.owner, repos)
		if err != nil {
			return err
		}
		inst.repos = slices.DeleteFunc(inst.repos, func(r *repo) bool { return slices.Contains(taken, r) })
		s.emitInstallationRepositories(inst, "removed", taken)
		return nil
	})
}

// RenameRepo gives "owner/name" another name. The old one leads to it until somebody
// else takes it.
func (s *Server) RenameRepo(full, name string) error {
	return s.change(func() error {
		r, err := s.knownRepo(full)
		if err != nil {
			return err
		}
		from := r.name
		if err := s.settle(r, r.owner, name); err != nil {
			return err
		}
		s.emitRepository(r, "renamed", object{"changes": object{"repository": object{"name": object{"from": from}}}})
		return nil
	})
}

// TransferRepo gives "owner/name" to another owner. The installations of the old one do
// not cover it any more; those of the new one are told once it is added there.
func (s *Server) TransferRepo(full, to string) error {
	return s.change(func() error {
		r, err := s.knownRepo(full)
		if err != nil {
			return err
		}
		owner, from := s.account(to), r.owner
		if owner == nil {
			return fmt.Errorf("githubsim: there is no account %q", to)
		}
		if err := s.settle(r, owner, r.name); err != nil {
			return err
		}
		was := object{"user": s.user(from)}
		if from.kind == "Organization" {
			was = object{"organization": s.organization(from)}
		}
		for _, inst := range s.installations {
			if inst.owner == from && inst.covers(r) {
				inst.repos = slices.DeleteFunc(inst.repos, func(o *repo) bool { return o == r })
				s.emitInstallationRepositories(inst, "removed", []*repo{r})
			}
		}
		s.emitRepository(r, "transferred", object{"changes": object{"owner": object{"from": was}}})
		return nil
	})
}

// ArchiveRepo makes "owner/name" read-only, or undoes that.
func (s *Server) ArchiveRepo(full string, archived bool) error {
	return s.change(func() error {
		r, err := s.knownRepo(full)
		if err != nil {
			return err
		}
		r.archived = archived
		s.emitRepository(r, map[bool]string{true: "archived", false: "unarchived"}[archived], object{})
		return nil
	})
}

// RenameDefaultBranch gives the default branch another name. Open pull requests to it
// go along, and so does its protection.
func (s *Server) RenameDefaultBranch(full, branch string) error {
	return s.change(func() error {
		r, err := s.knownRepo(full)
		if err != nil {
			return err
		}
		from := r.defaultBranch
		tip := r.git.refs["refs/heads/"+from]
		if err := r.git.updateRef("refs/heads/"+branch, tip, zeroSHA); err != nil {
			return err
		}
		if _, err := r.git.git("symbolic-ref", "HEAD", "refs/heads/"+branch); err != nil {
			return err
		}
		if err := r.git.updateRef("refs/heads/"+from, zeroSHA, tip); err != nil {
			return err
		}
		r.defaultBranch = branch
		if p, protected := r.protections[from]; protected {
			delete(r.protections, from)
			r.protections[branch] = p
			if err := r.git.guard(branch, p); err != nil {
				return err
			}
		}
		for _, i := range r.openPulls(func(i *issue) bool { return i.pull.baseRef == from }) {
			i.pull.baseRef = branch
			changes := object{"base": object{"ref": object{"from": from}, "sha": object{"from": i.pull.baseSHA}}}
			if _, err := s.emitPull(r, i, actor{user: r.owner}, "edited", object{"changes": changes}); err != nil {
				return err
			}
		}
		s.emitRepository(r, "edited", object{"changes": object{"default_branch": object{"from": from}}})
		return nil
	})
}

// settle gives a repository an owner and a name, and lets its old name lead there.
func (s *Server) settle(r *repo, owner *account, name string) error {
	old, full := strings.ToLower(r.fullName()), strings.ToLower(owner.login+"/"+name)
	if s.repos[full] != nil {
		return fmt.Errorf("githubsim: there is already a repository %s/%s", owner.login, name)
	}
	delete(s.repos, old)
	delete(s.moved, full)
	r.owner, r.name = owner, name
	s.repos[full] = r
	s.moved[old] = r
	return nil
}

// emitRepository tells what an owner did to a repository.
func (s *Server) emitRepository(r *repo, action string, payload object) {
	payload["action"], payload["sender"] = action, s.user(r.owner)
	s.emit("repository", payload, r, nil)
}

// redirected answers a request for a repository under a name that it had before.
func (s *Server) redirected(c *call) error {
	r := s.moved[strings.ToLower(c.vars["owner"]+"/"+c.vars["repo"])]
	if r == nil || c.route.app != "jwt" && !s.maySee(c.actor, r) {
		return errNotFound
	}
	rest := strings.TrimPrefix(strings.TrimPrefix(c.r.URL.EscapedPath(), "/api/v3"), "/repos/"+c.vars["owner"]+"/"+c.vars["repo"])
	to := fmt.Sprintf("%s/api/v3/repositories/%d%s", s.url, r.id, rest)
	if c.r.URL.RawQuery != "" {
		to += "?" + c.r.URL.RawQuery
	}
	moved := &apiError{status: http.StatusMovedPermanently, message: "Moved Permanently", at: to, header: http.Header{"Location": {to}}}
	if c.r.Method != http.MethodGet && c.r.Method != http.MethodHead {
		moved.status, moved.message = http.StatusTemporaryRedirect, "Temporary Redirect"
	}
	return moved
}

// byNumber is the path of a request to /repositories/ID, where redirects lead, as one
// to /repos/OWNER/NAME; any other is left as it is. The caller holds the lock.
func (s *Server) byNumber(path string) string {
	prefix := ""
	if rest, ok := strings.CutPrefix(path, "/api/v3"); ok {
		prefix, path = "/api/v3", rest
	}
	rest, ok := strings.CutPrefix(path, "/repositories/")
	if !ok {
		return prefix + path
	}
	number, tail, deeper := strings.Cut(rest, "/")
	id, err := strconv.ParseInt(number, 10, 64)
	if err != nil {
		return prefix + path
	}
	for _, r := range s.repos {
		if r.id == id {
			path = "/repos/" + r.fullName()
			if deeper {
				path += "/" + tail
			}
		}
	}
	return prefix + path
}

// errArchived is GitHub's answer to every change of an archived repository.
var errArchived = fail(http.StatusForbidden, "Repository was archived so is read-only.")
