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
// the installation's token and lets one write be in flight at a time.
type session struct {
	fresh func() *ghinstallation.Transport
	turn  chan struct{} // holds one value while a write is in flight

	mu     sync.Mutex
	tokens *ghinstallation.Transport
}

func newSession(fresh func() *ghinstallation.Transport) *session {
	return &session{fresh: fresh, turn: make(chan struct{}, 1), tokens: fresh()}
}

func (s *session) RoundTrip(req *http.Request) (*http.Response, error) {
	if classOf(req.Method, req.URL.Path) != Read {
		select {
		case s.turn <- struct{}{}:
			defer func() { <-s.turn }()
		case <-req.Context().Done():
			if req.Body != nil {
				req.Body.Close()
			}
			return nil, req.Context().Err()
		}
	}
	tokens := s.current()
	resp, err := tokens.RoundTrip(req)
	if _, refused := refusedWith(err, http.StatusUnauthorized); refused {
		s.forget(tokens)
	}
	return resp, err
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

// read fetches path, relative to the API's base, into v.
func (c client) read(ctx context.Context, v any, path string, args ...any) (*gh.Response, error) {
	req, err := c.NewRequest(http.MethodGet, fmt.Sprintf(path, args...), nil)
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
