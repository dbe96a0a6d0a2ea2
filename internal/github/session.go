package github

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/bradleyfalzon/ghinstallation/v2"
	gh "github.com/google/go-github/v60/github"
)

// session is one installation's way to GitHub: it authenticates requests with
// the installation's token, and its governor says when they may go.
type session struct {
	fresh    func() *ghinstallation.Transport
	governor *governor

	mu     sync.Mutex
	tokens *ghinstallation.Transport
}

func newSession(g *governor, fresh func() *ghinstallation.Transport) *session {
	return &session{fresh: fresh, governor: g, tokens: fresh()}
}

func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	pass, err := s.governor.admit(req.Context(), classOf(req))
	if err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	tokens := s.current()
	resp, err := tokens.RoundTrip(req)
	if _, refused := refusedWith(err, http.StatusUnauthorized); refused {
		s.forget(tokens)
	}
	if err = pass.done(req.Context(), resp, err); err != nil {
		return nil, err
	}
	return resp, nil
}

func (s *session) token(ctx context.Context) (string, error) {
	return s.current().Token(ctx)
}

func (s *session) current() *ghinstallation.Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tokens
}

// forget drops a token that GitHub refused, unless another request already did.
// ghinstallation itself would keep it until it expires, for up to an hour after
// a revocation.
func (s *session) forget(refused *ghinstallation.Transport) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.tokens == refused {
		s.tokens = s.fresh()
	}
}

// client is a go-github client over one identity, with the few requests that
// go-github v60 cannot make or reads wrongly.
type client struct{ *gh.Client }

func (a *App) newClient(transport http.RoundTripper) client {
	c := gh.NewClient(&http.Client{Transport: transport})
	c.BaseURL, c.UploadURL = a.base, a.base
	return client{c}
}

// get is a request for path, relative to the API's base.
func (c client) get(path string, args ...any) (*http.Request, error) {
	return c.NewRequest(http.MethodGet, fmt.Sprintf(path, args...), nil)
}

// read fetches path into v.
func (c client) read(ctx context.Context, v any, path string, args ...any) (*gh.Response, error) {
	req, err := c.get(path, args...)
	if err != nil {
		return nil, err
	}
	return c.Do(ctx, req, v)
}

// pages collects every page of a list, from its first one.
func pages[T any](fetch func(gh.ListOptions) ([]T, *gh.Response, error)) ([]T, error) {
	var all []T
	options := gh.ListOptions{PerPage: 100}
	for {
		page, resp, err := fetch(options)
		if err != nil {
			return nil, err
		}
		all = append(all, page...)
		if resp.NextPage == 0 {
			return all, nil
		}
		options.Page = resp.NextPage
	}
}
