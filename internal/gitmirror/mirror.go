package gitmirror

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/tagboat/tagboat/internal/fault"
)

const (
	askTimeout   = 30 * time.Second // one look at the remote's references
	fetchTimeout = 3 * time.Minute  // one fetch, snapshots of large repositories included
	maxPacks     = 128              // packs in a generation before it is replaced
	maxPackBytes = 1 << 30          // bytes of one pack
	packSlack    = 4 << 20          // bytes that an ordinary answer may exceed a snapshot by
	maxHaves     = 32               // held commits that a request names
)

// Remote is where a mirror fetches from.
type Remote struct {
	URL string // http or https, without credentials: "https://github.com/acme/env.git"
	// Token answers with a token for the next request, sent as the password of
	// user x-access-token (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/authenticating-as-a-github-app-installation).
	// Nil for a remote that anyone may read.
	Token     func(ctx context.Context) (string, error)
	Transport http.RoundTripper // nil means http.DefaultTransport
}

// Mirror is a local copy of one remote repository. It is safe for concurrent
// use.
type Mirror struct {
	dir    string
	remote Remote

	known    *directories
	fetching chan struct{} // holds one token; whoever has it may fetch

	mu       sync.Mutex
	now      *generation
	previous *generation // still readable by trees that were handed out

	packs int   // maxPacks; tests lower it
	slack int64 // packSlack; tests lower it
}

// Open gives the mirror of remote in dir, which is created where it is missing
// and emptied where it cannot be used. It does not talk to the remote. An
// address that is not http or https, or that holds credentials, is Invalid.
func Open(dir string, remote Remote) (_ *Mirror, err error) {
	defer fault.Wrap(&err, "open the git mirror %s", dir)
	u, err := url.Parse(remote.URL)
	if err != nil || (u.Scheme != "https" && u.Scheme != "http") || u.Host == "" {
		return nil, fault.Errorf(fault.Invalid, "the repository's address must be an http or https URL")
	}
	if u.User != nil {
		return nil, fault.Errorf(fault.Invalid, "the repository's address must not contain a user or password; credentials come from the GitHub App")
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	now, err := openNewest(dir)
	if err != nil {
		return nil, err
	}
	return &Mirror{dir: dir, remote: remote, known: newDirectories(maxNames), fetching: make(chan struct{}, 1), now: now, packs: maxPacks, slack: packSlack}, nil
}

// Head asks the remote which commit a branch points to now. NotFound where the
// remote has no such branch.
func (m *Mirror) Head(ctx context.Context, branch string) (_ string, err error) {
	defer fault.Wrap(&err, "head of branch %s of %s", branch, m.remote.URL)
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	session, err := m.session(ctx)
	if err != nil {
		return "", err
	}
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return "", m.classify(ctx, err)
	}
	commit, ok := advertised.References[plumbing.NewBranchReferenceName(branch).String()]
	if !ok {
		return "", fault.Errorf(fault.NotFound, "there is no branch %q in %s", branch, m.remote.URL)
	}
	return commit.String(), nil
}

// At is the tree of a commit, given as 40 hex digits. A commit that is not held
// yet is fetched; one that the remote does not have either is NotFound.
func (m *Mirror) At(ctx context.Context, commit string) (_ *Tree, err error) {
	defer fault.Wrap(&err, "commit %s of %s", commit, m.remote.URL)
	if !plumbing.IsHash(commit) {
		return nil, fault.Errorf(fault.Invalid, "%q is not a full commit id", commit)
	}
	want := plumbing.NewHash(commit)
	if t := m.held(want); t != nil {
		return t, nil
	}
	return m.fetch(ctx, want)
}

// held is the tree of a commit that is here, or nil.
func (m *Mirror) held(commit plumbing.Hash) *Tree {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now.tree(commit, m.known)
}

// fetch waits for its turn, looks again, and brings one commit.
func (m *Mirror) fetch(ctx context.Context, want plumbing.Hash) (*Tree, error) {
	select {
	case m.fetching <- struct{}{}:
		defer func() { <-m.fetching }()
	case <-ctx.Done():
		return nil, fault.E(fault.Transient, "", ctx.Err())
	}
	if t := m.held(want); t != nil {
		return t, nil
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	if m.now.usable(m.packs) {
		err := m.land(ctx, m.now, want)
		if _, damaged := errors.AsType[*damage](err); !damaged {
			return m.landed(want, err)
		}
	}
	return m.landed(want, m.renew(ctx, want))
}

// landed is what a fetch answers with, given how it went.
func (m *Mirror) landed(want plumbing.Hash, err error) (*Tree, error) {
	if d, ok := errors.AsType[*damage](err); ok {
		return nil, fault.E(fault.Transient, "The local copy of the repository could not be written. Check the disk that holds Tagboat's cache; it tries again.", d)
	}
	if err != nil {
		return nil, err
	}
	if t := m.held(want); t != nil {
		return t, nil
	}
	return nil, fault.Errorf(fault.NotFound, "%s in %s is not a commit", want, m.remote.URL)
}

// renew fills a fresh generation with one commit and replaces the one in use.
// The replaced one stays until the next renewal, for the trees that were handed
// out of it.
func (m *Mirror) renew(ctx context.Context, want plumbing.Hash) error {
	fresh, err := newGeneration(m.dir, m.now.number+1)
	if err != nil {
		return err
	}
	if err := m.land(ctx, fresh, want); err != nil {
		fresh.remove()
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.previous != nil {
		m.previous.remove()
	}
	m.previous, m.now = m.now, fresh
	return nil
}

// land brings one commit into a generation: by an ordinary request where
// something is held, else, or where that gets too large, by a snapshot.
func (m *Mirror) land(ctx context.Context, gen *generation, want plumbing.Hash) error {
	if haves := gen.newest(maxHaves); len(haves) > 0 {
		r := request{want: want, haves: haves, shallows: gen.shallows()}
		if err := m.receive(ctx, gen, r, gen.largestPack()+m.slack); !errors.Is(err, errTooLarge) {
			return err
		}
	}
	err := m.receive(ctx, gen, request{want: want, snapshot: true}, maxPackBytes)
	if errors.Is(err, errTooLarge) {
		return fault.Errorf(fault.Invalid, "one commit of %s takes more than %d MiB; Tagboat reads repositories of configuration, not of binaries", m.remote.URL, maxPackBytes>>20)
	}
	return err
}

// receive sends one request and lands its answer.
func (m *Mirror) receive(ctx context.Context, gen *generation, r request, limit int64) error {
	pack, err := m.download(ctx, gen.dir, r, limit)
	if err != nil {
		return err
	}
	defer os.Remove(pack)
	return gen.land(r.want, pack, r.snapshot)
}
