package render

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"strings"

	"github.com/tagboat/tagboat/internal/fault"
)

// Remote is what a kustomization refers to outside of the tree, pinned: a
// directory of a git repository at a commit, or an OCI chart by its digest.
type Remote struct {
	Git, Commit   string // as in https://github.com/acme/bases or ssh://git@host/acme/bases, never with .git; 40 hex digits
	Chart, Digest string // host/repository without oci://; "sha256:" and 64 hex digits
}

// String is the remote as errors name it.
func (r Remote) String() string {
	if r.Git != "" {
		return r.Git + "@" + r.Commit
	}
	return r.Chart + "@" + r.Digest
}

// Fetcher brings the files of a remote: the repository's root, or the chart's
// directory. It decides what it may fetch, and refuses the rest with a reason for
// people (fault.Denied). It bounds what it fetches.
type Fetcher func(ctx context.Context, r Remote) (fs.FS, error)

// mountRoot is the directory under which a build sees what was fetched for it. What
// the tree has of that name is never shown (see ours).
const mountRoot = ".tagboat-remote"

// mount is the directory of a remote: a name of its own, with nothing of it that
// could be taken for a path.
func (r Remote) mount() string {
	sum := sha256.Sum256([]byte(r.String()))
	return path.Join(mountRoot, hex.EncodeToString(sum[:8]))
}

// remote fetches and mounts.
func (a *answering) remote(q question) answer {
	mount, name := q.remote.mount(), oneLine(q.path)
	if _, ok := a.mounts[mount]; !ok {
		if a.fetch == nil {
			return a.refuse(q.path, fault.Errorf(fault.Invalid, "%s %s", name, notFetched))
		}
		files, err := a.fetch(a.ctx, q.remote)
		if err != nil {
			return a.refuse(q.path, fault.E(fault.KindOf(err), name+" cannot be fetched: "+cmp.Or(fault.HintOf(err), err.Error()), err))
		}
		a.mounts[mount] = files
	}
	return answer{path: q.path, state: directory, real: mount}
}

// notFetched is what is wrong with a remote reference where none is fetched.
const notFetched = "is a remote reference, which is not fetched; copy it into the repository"

// remote reports whether krusty would fetch or clone a reference. It is a little
// wider than krusty, which normalises before it decides
// (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md).
func remote(ref string) bool {
	ref = strings.ToLower(strings.TrimSpace(ref))
	return strings.Contains(ref, "://") || remoteStart.MatchString(ref)
}

var remoteStart = regexp.MustCompile(`^(https?:|git::|(git::)?github\.com[/:]|[a-z][a-z0-9-]*@)`)

// root is the part of what a build sees that a path belongs to: the tree is one,
// and every remote. None may lead into another.
func root(p string) string {
	if rest, ok := strings.CutPrefix(p, mountRoot+"/"); ok {
		mount, _, _ := strings.Cut(rest, "/")
		return path.Join(mountRoot, mount)
	}
	if p == mountRoot || made(p) {
		return p
	}
	return ""
}

// ours refuses what a tree has under the names that builds use for themselves: it
// could be taken for what a build has fetched or made.
func ours(p, real string) error {
	if root(real) == "" {
		return nil
	}
	name, _, _ := strings.Cut(real, "/")
	return refuse(p, "%s is a name that Tagboat needs for itself; rename the directory", name)
}

// fetch has the parent fetch what a reference names, and is its directory.
func (r *references) fetch(field, ref string) (string, error) {
	base, dir, ok := gitReference(ref)
	if !ok {
		return "", r.refuse(field, ref, "is a remote file, which is not fetched; copy it into the repository")
	}
	if !commitID.MatchString(base.Commit) {
		return "", r.refuse(field, ref, "is not pinned; write ?ref= and the commit's id in full (40 hex digits), because a branch or tag may move")
	}
	return r.mounted(field, ref, base, dir)
}

// mounted is a directory of a remote that the parent has fetched.
func (r *references) mounted(field, ref string, from Remote, dir string) (string, error) {
	if !from.plausible() || len(ref) > maxPath {
		return "", r.refuse(field, ref, "is no address that can be fetched; correct it, or copy what it means into the repository")
	}
	mount := from.mount()
	r.files.mounts[mount] = from
	r.files.query([]question{{want: wantRemote, path: fmt.Sprintf("%s: %s: %q", r.file, field, shortened(ref, maxShown)), remote: from}})
	if r.files.broken() {
		return "", errUnreadable
	}
	return path.Join(mount, dir), nil
}

var commitID = regexp.MustCompile("^[0-9a-f]{40}$")

// gitReference reads a reference to a directory of a git repository: the
// repository, in the spelling with a scheme and without .git, the commit or what
// stands in its place, and the directory
// (https://github.com/kubernetes-sigs/kustomize/blob/master/examples/remoteBuild.md).
// It is not ok where nothing says that it is no plain file.
func gitReference(ref string) (from Remote, dir string, ok bool) {
	ref = strings.TrimPrefix(strings.TrimSpace(ref), "git::")
	ref, query, _ := strings.Cut(ref, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return Remote{}, "", false
	}
	from.Commit = cmp.Or(values.Get("ref"), values.Get("version"))
	scheme, rest, found := strings.Cut(ref, "://")
	if !found {
		scheme, rest = "https", ref
		if user, host, scp := strings.Cut(ref, "@"); scp { // git@host:path
			scheme, rest = "ssh", user+"@"+strings.Replace(host, ":", "/", 1)
		}
	}
	host, repository, _ := strings.Cut(rest, "/")
	repository, dir, marked := strings.Cut(repository, "//")
	if before, after, suffixed := strings.Cut(repository, ".git"); suffixed && (after == "" || after[0] == '/') {
		repository, dir, marked = before, path.Join(after, dir), true
	}
	if parts := strings.SplitN(repository, "/", 3); !marked && len(parts) == 3 { // as on GitHub: owner, name, directory
		repository, dir = path.Join(parts[:2]...), parts[2]
	}
	from.Git = scheme + "://" + host + "/" + strings.Trim(repository, "/")
	dir = path.Clean("/" + dir)[1:]
	return from, dir, host != "" && repository != "" && (marked || from.Commit != "")
}
