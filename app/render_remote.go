package app

import (
	"context"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/render"
)

// remotes fetches pinned remote bases and charts that are on an allow list, each
// once. It is safe for concurrent use.
type remotes struct {
	allowed []address
	charts  *registry.Client

	mu      sync.Mutex
	dir     string // where copies of repositories are kept; "" before the first
	mirrors map[string]*gitmirror.Mirror
}

// address is a repository, or a prefix of some, in the form in which they are
// compared.
type address struct {
	scheme string // "https", "http" or "oci"
	path   string // "github.com/acme/base", the host in lower case
}

// newRemotes reads an allow list: "https://github.com/acme/" allows the
// repositories of acme, "oci://registry.example.com/charts/payments" one chart. A
// prefix ends where a segment of the path does.
func newRemotes(allowed []string, charts *registry.Client) (*remotes, error) {
	r := &remotes{mirrors: map[string]*gitmirror.Mirror{}, charts: charts}
	for _, text := range allowed {
		a, err := parseAddress(text)
		if err != nil {
			return nil, err
		}
		r.allowed = append(r.allowed, a)
	}
	return r, nil
}

// parseAddress reads the address of a repository as kustomizations write it.
func parseAddress(text string) (address, error) {
	a := address{scheme: "https", path: strings.TrimPrefix(text, "git::")}
	if scheme, rest, ok := strings.Cut(a.path, "://"); ok {
		a = address{strings.ToLower(scheme), rest}
	}
	host, repo, _ := strings.Cut(a.path, "/")
	if user := strings.LastIndexByte(host, '@'); user >= 0 {
		return address{}, fault.Errorf(fault.Invalid, "the address of %s has a user in it; write https://host/owner/repository, and nothing that is secret", host[user+1:])
	}
	a.path = strings.TrimSuffix(strings.ToLower(host)+"/"+strings.Trim(repo, "/"), ".git")
	a.path = strings.TrimSuffix(a.path, "/")
	known := a.scheme == "https" || a.scheme == "http" || a.scheme == "oci"
	if !known || host == "" || path.Clean(a.path) != a.path {
		return address{}, fault.Errorf(fault.Invalid, "%s is no address that Tagboat fetches from; write https://host/owner/repository, or oci://host/repository for a chart", text)
	}
	return a, nil
}

func (a address) String() string { return a.scheme + "://" + a.path }

// covers reports whether a, as a prefix, allows b.
func (a address) covers(b address) bool {
	return a.scheme == b.scheme && (a.path == b.path || strings.HasPrefix(b.path, a.path+"/"))
}

// fetch is a render.Fetcher.
func (r *remotes) fetch(ctx context.Context, remote render.Remote) (fs.FS, error) {
	text := remote.Git
	if remote.Chart != "" {
		text = "oci://" + remote.Chart
	}
	from, err := parseAddress(text)
	if err != nil {
		return nil, err
	}
	if !r.allows(from) {
		return nil, fault.Errorf(fault.Denied, "%s is not in this checkout; allow it to be fetched with --remote %s, or copy it into the repository", from, from)
	}
	if remote.Chart != "" {
		return r.charts.Chart(ctx, remote.Chart, remote.Digest)
	}
	mirror, err := r.mirror(from)
	if err != nil {
		return nil, err
	}
	tree, err := mirror.At(ctx, remote.Commit)
	if err != nil {
		return nil, err
	}
	return tree, nil
}

func (r *remotes) allows(from address) bool {
	for _, a := range r.allowed {
		if a.covers(from) {
			return true
		}
	}
	return false
}

// mirror is the copy of a repository, empty at first.
func (r *remotes) mirror(from address) (_ *gitmirror.Mirror, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.mirrors[from.String()]; m != nil {
		return m, nil
	}
	if r.dir == "" {
		if r.dir, err = os.MkdirTemp("", "tagboat-remotes-"); err != nil {
			return nil, err
		}
	}
	m, err := gitmirror.Open(filepath.Join(r.dir, strconv.Itoa(len(r.mirrors))), gitmirror.Remote{URL: from.String()})
	if err == nil {
		r.mirrors[from.String()] = m
	}
	return m, err
}

// Close removes what was fetched.
func (r *remotes) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.dir == "" {
		return nil
	}
	return os.RemoveAll(r.dir)
}
