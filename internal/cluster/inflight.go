package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	backoff "k8s.io/apimachinery/pkg/util/wait"
)

// gate bounds how many requests are in flight. An API server that is too busy gets
// half as many at once, and more again, one by one, as it answers.
type gate struct {
	most int

	mu    sync.Mutex
	limit int           // between 1 and most
	busy  int           // in flight
	calm  int           // answers since the limit changed
	freed chan struct{} // closed, and made anew, when there may be room
}

func newGate(most int) *gate {
	return &gate{most: most, limit: most, freed: make(chan struct{})}
}

func (g *gate) enter(ctx context.Context) error {
	for {
		g.mu.Lock()
		if g.busy < g.limit {
			g.busy++
			g.mu.Unlock()
			return nil
		}
		freed := g.freed
		g.mu.Unlock()
		select {
		case <-freed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy--
	close(g.freed)
	g.freed = make(chan struct{})
}

// heard takes an answer into account. Refusals of requests that were sent before the
// limit was last halved tell nothing new.
func (g *gate) heard(tooBusy bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calm++
	switch {
	case tooBusy && (g.calm > g.limit || g.limit == g.most):
		g.limit, g.calm = max(1, g.limit/2), 0
	case !tooBusy && g.calm > g.limit && g.limit < g.most:
		g.limit, g.calm = g.limit+1, 0
	}
}

// limited is a transport behind a gate. A request counts until its answer's body is
// closed.
type limited struct {
	next http.RoundTripper
	gate *gate
}

// RoundTrip waits for room. That wait is part of the request's timeout.
func (l *limited) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := l.gate.enter(r.Context()); err != nil {
		return nil, err
	}
	free := sync.OnceFunc(l.gate.leave)
	resp, err := l.next.RoundTrip(r)
	if err != nil {
		free()
		return resp, err
	}
	l.gate.heard(resp.StatusCode == http.StatusTooManyRequests)
	resp.Body = &body{ReadCloser: resp.Body, free: free}
	return resp, nil
}

// WrappedRoundTripper lets client-go find the transport below, to cancel with.
func (l *limited) WrappedRoundTripper() http.RoundTripper { return l.next }

type body struct {
	io.ReadCloser
	free func()
}

func (b *body) Close() error {
	defer b.free()
	return b.ReadCloser.Close()
}

// attempts bound how often a write is tried: the world moves, and answers get lost.
const attempts = 3

// patience is the pause between attempts: each about twice as long as the one before,
// and no two clients at the same beat.
func patience() backoff.Backoff {
	return backoff.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.5, Steps: attempts}
}

// again asks until there is an answer, and gives up after a few times. It is for
// requests that change nothing. An API server that says when to come back is obeyed by
// client-go itself, which also asks on for ten seconds where a connection breaks: after
// that the cluster counts as away, and nobody waits for it any longer.
func again(ctx context.Context, ask func() error) error {
	pauses, began := patience(), time.Now()
	for {
		err := ask()
		if !passing(err) || pauses.Steps == 0 || time.Since(began) > longEnough || !pause(ctx, pauses.Step()) {
			return err
		}
	}
}

// longEnough is after how long of asking nothing is asked again.
const longEnough = 5 * time.Second

// passing reports whether an error may be over in a moment: the API server is unwell,
// or its answer was lost. A request that timed out has waited long enough.
func passing(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if status, answered := statusOf(err); answered {
		return willPass(status)
	}
	lost, isURL := errors.AsType[*url.Error](err)
	if isURL {
		if _, failed := noCredentials(err); failed {
			return false
		}
		timeout, ok := errors.AsType[net.Error](lost.Err)
		return !certificateRefused(err) && !(ok && timeout.Timeout())
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}
