package cluster

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"

	"k8s.io/client-go/rest"
)

// A kubeconfig may name a program that prints credentials. client-go waits for that without
// an end, whatever the time of the request that needs them, and all others of the cluster
// wait along: a program that asks a person to log in would keep them for as long as nobody
// does.

// clientFor is the client of a configuration, whose requests end in time whoever they wait
// for. Of those, room is how many may.
func clientFor(rc *rest.Config, room int) (*http.Client, error) {
	if rc.ExecProvider == nil {
		return rest.HTTPClientFor(rc)
	}
	rc = rest.CopyConfig(rc)
	rc.Wrap(func(next http.RoundTripper) http.RoundTripper { return sender{next} })
	client, err := rest.HTTPClientFor(rc)
	if err != nil {
		return nil, err
	}
	// HTTPClientFor may give the default client, which is everybody's.
	return &http.Client{Transport: &impatient{next: client.Transport, room: make(chan struct{}, room)}, Timeout: client.Timeout}, nil
}

// impatient is a transport whose requests do not wait for credentials when their time is
// over. What waits on by itself is bounded by its room.
type impatient struct {
	next http.RoundTripper
	room chan struct{}
	left atomic.Int32 // how many go on although nobody waits for them
}

// sender tells which requests have their credentials, and are with the API server. One
// that it refuses may wait for new ones afterwards.
type sender struct{ next http.RoundTripper }

type sending struct{}

// errNoCredentialsYet is of a request that was not sent, because nothing has printed
// credentials for it in time. The http package passes on nothing of it but its text.
var errNoCredentialsYet = errors.New(gettingCredentials + stillAsked)

const stillAsked = "nothing was printed in time"

// RoundTrip waits in a goroutine of its own, with a request of its own: whoever goes on
// waiting may not write to one that the caller uses again.
func (t *impatient) RoundTrip(r *http.Request) (*http.Response, error) {
	ctx, sent := r.Context(), &atomic.Bool{}
	select {
	case t.room <- struct{}{}:
	case <-ctx.Done():
		return nil, whyNot(ctx, t.left.Load() > 0)
	}
	type answer struct {
		resp *http.Response
		err  error
	}
	answered := make(chan answer, 1)
	own := r.Clone(context.WithValue(ctx, sending{}, sent))
	go func() {
		defer func() { <-t.room }()
		resp, err := t.next.RoundTrip(own)
		answered <- answer{resp, err}
	}()
	select {
	case a := <-answered:
		return a.resp, a.err
	case <-ctx.Done():
	}
	t.left.Add(1)
	go func() {
		defer t.left.Add(-1)
		if a := <-answered; a.err == nil {
			_ = a.resp.Body.Close()
		}
	}()
	return nil, whyNot(ctx, !sent.Load())
}

// WrappedRoundTripper lets client-go find the transport below.
func (t *impatient) WrappedRoundTripper() http.RoundTripper { return t.next }

// whyNot is the error of a request that is given up.
func whyNot(ctx context.Context, unsent bool) error {
	if unsent && errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return errNoCredentialsYet
	}
	return ctx.Err()
}

// RoundTrip notes it.
func (s sender) RoundTrip(r *http.Request) (*http.Response, error) {
	if sent, ok := r.Context().Value(sending{}).(*atomic.Bool); ok {
		sent.Store(true)
		defer sent.Store(false)
	}
	return s.next.RoundTrip(r)
}

// WrappedRoundTripper lets client-go find the transport below.
func (s sender) WrappedRoundTripper() http.RoundTripper { return s.next }
