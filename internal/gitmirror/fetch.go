package gitmirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/sideband"
	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
	"github.com/tagboat/tagboat/internal/fault"
)

// errTooLarge: the answer is larger than the caller is ready to take.
var errTooLarge = errors.New("the pack is too large")

// request is what one fetch asks for.
type request struct {
	want     plumbing.Hash
	snapshot bool            // only this commit and its tree
	haves    []plumbing.Hash // commits that are held
	shallows []plumbing.Hash // commits whose parents are not held
}

// session starts talking to the remote, with a fresh token.
func (m *Mirror) session(ctx context.Context) (transport.UploadPackSession, error) {
	endpoint, err := transport.NewEndpoint(m.remote.URL)
	if err != nil {
		return nil, fault.Errorf(fault.Invalid, "the repository's address is not a URL that git understands")
	}
	var auth transport.AuthMethod
	if m.remote.Token != nil {
		token, err := m.remote.Token(ctx)
		if err != nil {
			return nil, err
		}
		auth = &githttp.BasicAuth{Username: "x-access-token", Password: token}
	}
	client := githttp.NewClient(&http.Client{Transport: &wire{next: m.remote.Transport, url: m.remote.URL, anonymous: m.remote.Token == nil}})
	return client.NewUploadPackSession(endpoint, auth)
}

// download asks for a pack and writes it to a file in dir, whose name it gives
// back for the caller to remove.
func (m *Mirror) download(ctx context.Context, dir string, r request, limit int64) (file string, err error) {
	session, err := m.session(ctx)
	if err != nil {
		return "", err
	}
	advertised, err := session.AdvertisedReferencesContext(ctx)
	if err != nil {
		return "", m.classify(ctx, err)
	}
	req, err := r.encode(advertised.Capabilities)
	if err != nil {
		return "", err
	}
	answer, err := session.UploadPack(ctx, req)
	if err != nil {
		return "", m.classify(ctx, err)
	}
	defer answer.Close()

	f, err := os.CreateTemp(dir, "incoming-*")
	if err != nil {
		return "", &damage{err}
	}
	defer func() {
		if closing := f.Close(); err == nil && closing != nil {
			err = &damage{closing}
		}
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	n, err := io.Copy(f, io.LimitReader(demultiplex(req.Capabilities, answer), limit+1))
	switch {
	case isDiskError(err):
		return "", &damage{err}
	case err != nil:
		return "", m.classify(ctx, err)
	case n > limit:
		return "", errTooLarge
	}
	return f.Name(), nil
}

// encode puts the request in the words of the protocol
// (https://git-scm.com/docs/pack-protocol, "Packfile Negotiation").
func (r request) encode(offered *capability.List) (*packp.UploadPackRequest, error) {
	req := packp.NewUploadPackRequestFromCapabilities(offered)
	req.Wants = []plumbing.Hash{r.want}
	req.Haves = r.haves
	req.Shallows = r.shallows
	if r.snapshot {
		req.Depth = packp.DepthCommits(1)
	}
	for _, c := range []capability.Capability{capability.Shallow, capability.NoProgress} {
		if !offered.Supports(c) {
			continue
		}
		if err := req.Capabilities.Set(c); err != nil {
			return nil, err
		}
	}
	if err := req.Validate(); err != nil {
		return nil, fault.E(fault.Invalid, "The repository's server cannot serve single commits (it lacks git's shallow capability).", err)
	}
	return req, nil
}

// demultiplex is the pack out of an answer that may carry other channels too.
func demultiplex(agreed *capability.List, r io.Reader) io.Reader {
	switch {
	case agreed.Supports(capability.Sideband64k):
		return sideband.NewDemuxer(sideband.Sideband64k, r)
	case agreed.Supports(capability.Sideband):
		return sideband.NewDemuxer(sideband.Sideband, r)
	}
	return r
}

// isDiskError tells a failed write to our disk from a failed read of the answer.
func isDiskError(err error) bool {
	_, ok := errors.AsType[*os.PathError](err)
	return ok
}

// classify says what a failed talk with the remote means.
func (m *Mirror) classify(ctx context.Context, err error) error {
	if wrapped, ok := errors.AsType[*plumbing.UnexpectedError](err); ok {
		err = wrapped.Err // go-git's type has no Unwrap
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if errors.Is(err, transport.ErrEmptyRemoteRepository) {
		return fault.Errorf(fault.NotFound, "%s has no commits yet", m.remote.URL)
	}
	if ctx.Err() != nil {
		return fault.E(fault.Transient, fmt.Sprintf("%s did not answer in time.", m.remote.URL), ctx.Err())
	}
	return fault.E(fault.Transient, fmt.Sprintf("%s could not be reached.", m.remote.URL), err)
}
