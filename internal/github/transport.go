package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// requestTimeout bounds one request including its answer's body. GitHub itself
// ends requests after ten seconds.
const requestTimeout = 30 * time.Second

// Class says which of GitHub's limits a request draws on.
type Class string

const (
	Read    Class = "read"    // costs one point
	Write   Class = "write"   // costs five points
	Content Class = "content" // a write that also counts against 80 a minute and 500 an hour
)

// Call is what requests are counted by.
type Call struct {
	Method string
	Class  Class
}

// wire is the way out to GitHub: see the package comment.
type wire struct {
	next    http.RoundTripper
	origin  *url.URL // scheme, host and path prefix that may be talked to
	now     func() time.Time
	log     *slog.Logger
	timeout time.Duration

	mu    sync.Mutex
	calls map[Call]int64
}

func (w *wire) RoundTrip(req *http.Request) (*http.Response, error) {
	if err := w.allowed(req.URL); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	ctx, cancel := context.WithTimeout(req.Context(), w.timeout)
	out := req.Clone(ctx)
	out.Header.Set("User-Agent", "tagboat")
	w.count(req)
	started := time.Now()
	resp, err := w.next.RoundTrip(out)
	if err != nil {
		defer cancel()
		return nil, w.unreachable(req, err)
	}
	w.log.DebugContext(ctx, "github", "method", req.Method, "path", req.URL.Path,
		"status", resp.StatusCode, "ms", time.Since(started).Milliseconds())
	if resp.StatusCode >= 400 {
		defer cancel()
		defer resp.Body.Close()
		return nil, refusal(req, resp, w.now())
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, done: cancel}
	return resp, nil
}

// allowed refuses every address but the configured API's. ghinstallation puts
// the token on whatever it is asked to send, also after a redirect; a token of
// one server once went to another that way (renovatebot/renovate#2507).
func (w *wire) allowed(u *url.URL) error {
	inside := strings.HasPrefix(u.Path, w.origin.Path) || u.Path == graphqlPath(w.origin.Path)
	if u.Scheme == w.origin.Scheme && u.Host == w.origin.Host && inside {
		return nil
	}
	return fault.Errorf(fault.Denied, "refused to send GitHub credentials to %s://%s: only %s://%s%s is configured",
		u.Scheme, u.Host, w.origin.Scheme, w.origin.Host, w.origin.Path)
}

// unreachable classifies an error that came instead of an answer. The caller's
// own cancellation is not GitHub's fault and stays what it is.
func (w *wire) unreachable(req *http.Request, err error) error {
	if cause := req.Context().Err(); cause != nil {
		return cause
	}
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("no answer within %s", w.timeout)
	}
	return fault.E(fault.Transient, "GitHub at "+w.origin.Host+" could not be reached; Tagboat tries again.", err)
}

func (w *wire) count(req *http.Request) {
	c := Call{Method: req.Method, Class: classOf(req)}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls[c]++
}

func (w *wire) counts() map[Call]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.calls)
}

// classOf files a request under a limit. GitHub does not list which requests
// create content; counting every POST but the two that only talk about the App
// itself, and every PUT that makes a commit, errs on the safe side (octokit slows
// merges down like comments:
// https://github.com/octokit/plugin-throttling.js/blob/main/src/generated/triggers-notification-paths.ts).
func classOf(req *http.Request) Class {
	method, path := req.Method, req.URL.Path
	switch {
	case method == http.MethodGet || method == http.MethodHead || onlyReads(req.Context()):
		return Read
	case method == http.MethodPost && !strings.HasSuffix(path, "/access_tokens") && !strings.HasSuffix(path, "/attempts"),
		method == http.MethodPut && (strings.HasSuffix(path, "/merge") || strings.HasSuffix(path, "/update-branch") || strings.Contains(path, "/contents/")):
		return Content
	}
	return Write
}

// boundedBody keeps a request's time limit running until its answer is read.
type boundedBody struct {
	io.ReadCloser
	done context.CancelFunc
}

func (b *boundedBody) Close() error {
	defer b.done()
	return b.ReadCloser.Close()
}
