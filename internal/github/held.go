package github

import (
	"context"
	"sync"
	"time"
)

// Held is budget that is spent in advance, for an effect that takes several writes:
// one that is refused half-way would be begun anew, and cost twice.
type Held struct {
	governor *governor

	mu    sync.Mutex
	since time.Time
	left  cost
}

type heldKey struct{}

func heldBy(ctx context.Context) *Held {
	h, _ := ctx.Value(heldKey{}).(*Held)
	return h
}

// Reserve waits, at the priority of ctx, until there is budget for so many writes
// that create content and so many others. They are made under the context that it
// gives; done gives back what was not needed. The turn to write is asked for with
// each of them, so that something more urgent can come in between.
func (r *Repo) Reserve(ctx context.Context, content, others int) (_ context.Context, done func(), err error) {
	defer r.fail(&err, "reserve %d writes", content+others)
	g := r.session.governor
	c := costOf(Content).times(content).plus(costOf(Write).times(others))
	at, err := g.line(ctx, &ticket{priority: priorityOf(ctx), cost: c, wake: make(chan struct{}, 1)})
	if err != nil {
		return ctx, func() {}, err
	}
	g.release()
	h := &Held{governor: g, since: at, left: c}
	return context.WithValue(ctx, heldKey{}, h), func() { h.done(context.WithoutCancel(ctx)) }, nil
}

// draw takes the cost of one write out of what is held, if it is enough, and is not
// so old that it does not count any more.
func (h *Held) draw(g *governor, c cost) bool {
	if h == nil || h.governor != g {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.points > h.left.points || c.content > h.left.content || g.purse.limits.over(h.since, g.now()) {
		return false
	}
	h.left = h.left.plus(c.times(-1))
	return true
}

// undraw puts back what was drawn for a request that was not made.
func (h *Held) undraw(c cost) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.left = h.left.plus(c)
}

func (h *Held) done(ctx context.Context) {
	h.mu.Lock()
	left := h.left
	h.left = cost{}
	h.mu.Unlock()
	if err := h.governor.purse.giveBack(ctx, h.since, left); err != nil {
		h.governor.log.WarnContext(ctx, "unused budget could not be given back", "error", err)
	}
}

// over reports whether something spent at a time may not be counted any more.
func (ls Limits) over(at, now time.Time) bool {
	for _, l := range ls {
		if l.slot(now)-l.slot(at) >= slots {
			return true
		}
	}
	return false
}
