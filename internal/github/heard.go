package github

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// heard is what GitHub itself has said about an installation's limits.
type heard struct {
	closed  time.Time // nothing may be asked before
	strikes int       // limits in a row that did not say for how long

	limit, remaining int // of the primary limit, which starts anew at reset
	reset            time.Time
}

// The wait for a limit that names no time: a minute at least, and exponentially
// longer from one to the next (docs.github.com, "Rate limits for the REST API",
// "Exceeding the rate limit").
const (
	firstStrike = time.Minute
	mostStrikes = 4 // 16 minutes
)

// closed says until when GitHub wants to be left alone, or needs to be, so that
// the more urgent find something left of the primary limit.
func (g *governor) closed(p Priority) *shortage {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, h := g.now(), &g.heard
	if now.Before(h.closed) {
		return &shortage{"asked to wait", h.closed}
	}
	if now.Before(h.reset) && h.remaining <= h.limit*(100-readShare(p))/100 {
		return &shortage{"primary", h.reset}
	}
	return nil
}

// hear heeds an answer. The error that it gives is the answer's, with the time that
// the governor has concluded.
func (g *governor) hear(ctx context.Context, resp *http.Response, err error) error {
	if err == nil {
		g.answered(resp.Header)
		return nil
	}
	if !fault.Is(err, fault.RateLimited) {
		return err
	}
	refused, _ := errors.AsType[*apiError](err)
	until := g.limited(fault.UntilOf(err), refused != nil && refused.unsaid)
	g.log.WarnContext(ctx, "GitHub wants to be left alone", "until", until, "installation", g.purse.installation, "error", err)
	if failed := g.purse.close(ctx, until); failed != nil {
		g.log.WarnContext(ctx, "the other replicas could not be told", "error", failed)
	}
	return fault.Limited(until, err)
}

// limited closes the gate for everybody.
func (g *governor) limited(until time.Time, unsaid bool) time.Time {
	g.mu.Lock()
	defer g.mu.Unlock()
	h := &g.heard
	if unsaid && g.now().Before(h.closed) {
		return h.closed // of a request that was under way when the gate closed
	}
	if unsaid {
		until = later(until, g.now().Add(firstStrike<<min(h.strikes, mostStrikes)))
		h.strikes++
	}
	h.closed = later(h.closed, until)
	g.tally.limited++
	g.tell()
	return h.closed
}

// answered reads what every answer says of the primary limit. Answers may overtake
// each other: the least of a period counts.
func (g *governor) answered(header http.Header) {
	limit, err1 := strconv.Atoi(header.Get("X-RateLimit-Limit"))
	remaining, err2 := strconv.Atoi(header.Get("X-RateLimit-Remaining"))
	reset, err3 := strconv.ParseInt(header.Get("X-RateLimit-Reset"), 10, 64)
	g.mu.Lock()
	defer g.mu.Unlock()
	h := &g.heard
	if !g.now().Before(h.closed) {
		h.strikes = 0
	}
	if err1 != nil || err2 != nil || err3 != nil {
		return
	}
	at := time.Unix(reset, 0)
	switch {
	case at.Equal(h.reset):
		h.limit, h.remaining = limit, min(h.remaining, remaining)
	case at.After(h.reset):
		h.limit, h.remaining, h.reset = limit, remaining, at
	}
}
