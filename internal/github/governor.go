package github

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

const (
	// patience is how long a request waits for a limit. A longer wait is the queue's:
	// a job that waits here keeps others, which may be more urgent, from being begun.
	patience = 2 * time.Second
	// longest is what a refused request is told at most. Until then the job may have
	// become more urgent.
	longest = time.Minute
	// readsAtOnce keeps four replicas below the 100 requests at once that GitHub allows.
	readsAtOnce = 24
)

// governor is what all requests of an installation pass. It lets one write be in
// flight at a time, the most urgent first, and keeps them and the reads within the
// limits.
type governor struct {
	purse *purse
	now   func() time.Time
	log   *slog.Logger
	reads chan struct{} // holds one value for each read in flight

	mu       sync.Mutex
	busy     bool      // somebody has the turn to write
	waiting  []*ticket // most urgent first, then as they came
	promised []promise
	heard    heard
	tally    tally
}

// ticket is one write, or one reservation, that waits.
type ticket struct {
	priority Priority
	cost     cost
	held     *Held         // pays; nil: the budget does
	asleep   string        // what it waits for until a known time, or ""
	wake     chan struct{} // told that things have changed
}

// promise is when a refused request will come back, and for what.
type promise struct {
	until    time.Time
	priority Priority
	cost     cost
}

func newGovernor(a *purse, log *slog.Logger) *governor {
	return &governor{purse: a, now: a.now, log: log, reads: make(chan struct{}, readsAtOnce)}
}

// pass is the right to make one request. done gives it back.
type pass struct {
	governor *governor
	class    Class
	at       time.Time // when it was paid for
}

// admit waits for the right to make a request.
func (g *governor) admit(ctx context.Context, class Class) (*pass, error) {
	if class == Read {
		return g.admitRead(ctx)
	}
	t := &ticket{priority: priorityOf(ctx), cost: costOf(class), wake: make(chan struct{}, 1)}
	if h := heldBy(ctx); h.draw(g, t.cost) {
		t.held = h
	}
	at, err := g.line(ctx, t)
	if err != nil {
		if t.held != nil {
			t.held.undraw(t.cost)
		}
		return nil, err
	}
	return &pass{g, class, at}, nil
}

// line waits for the turn and the budget. Without an error the turn is taken.
func (g *governor) line(ctx context.Context, t *ticket) (time.Time, error) {
	g.join(t)
	began := g.now()
	for {
		if !g.claim(t) {
			select {
			case <-t.wake:
				continue
			case <-ctx.Done():
				g.leave(t, false)
				return time.Time{}, ctx.Err()
			}
		}
		at, short, err := g.pay(ctx, t)
		if err != nil {
			g.leave(t, true)
			return time.Time{}, err
		}
		if short == nil {
			g.taken(t, began)
			return at, nil
		}
		if short.until.Sub(g.now()) > patience {
			g.leave(t, true)
			return time.Time{}, g.refuse(t.priority, t.cost, short)
		}
		g.doze(t, short.of)
		if err := g.sleep(ctx, short.until); err != nil {
			g.leave(t, false)
			return time.Time{}, err
		}
		g.doze(t, "")
	}
}

// pay takes what a ticket costs from what it holds, or from the budget.
func (g *governor) pay(ctx context.Context, t *ticket) (at time.Time, short *shortage, err error) {
	if short := g.closed(t.priority); short != nil {
		return at, short, nil
	}
	if t.held != nil {
		at, err := g.purse.recount(ctx, t.held.since, t.cost)
		return at, nil, err
	}
	return g.purse.spend(ctx, t.cost, g.promisedFor(t.priority), shares[t.priority])
}

func (g *governor) admitRead(ctx context.Context) (*pass, error) {
	select {
	case g.reads <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	at, err := g.payRead(ctx)
	if err != nil {
		<-g.reads
		return nil, err
	}
	return &pass{g, Read, at}, nil
}

func (g *governor) payRead(ctx context.Context) (time.Time, error) {
	p := priorityOf(ctx)
	for {
		short, at, err := g.closed(p), time.Time{}, error(nil)
		if short == nil {
			at, short, err = g.purse.read(ctx, readShare(p))
		}
		if short == nil || err != nil {
			return at, err
		}
		if short.until.Sub(g.now()) > patience {
			return at, g.refuse(p, costOf(Read), short)
		}
		if err := g.sleep(ctx, short.until); err != nil {
			return at, err
		}
	}
}

// sleep waits until a time.
func (g *governor) sleep(ctx context.Context, until time.Time) error {
	timer := time.NewTimer(max(time.Millisecond, until.Sub(g.now())))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// refuse tells when to come back. Whoever was refused before at the same urgency
// comes first: else all would come back at once, for what one can have.
func (g *governor) refuse(p Priority, c cost, short *shortage) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	g.tally.refused[p]++
	until := short.until
	if short.of == string(Points) || short.of == string(Creating) {
		if most := now.Add(longest); until.After(most) {
			until = most
		}
		g.promised = slices.DeleteFunc(g.promised, func(o promise) bool { return !o.until.After(now) })
		g.promised = append(g.promised, promise{until, p, c})
	}
	return &fault.Error{
		Kind: fault.RateLimited, Until: until, Hint: "GitHub's rate limits leave no room for it now; Tagboat goes on by itself.",
		Err: fmt.Errorf("GitHub's limits leave no room before %s: %s", short.until.UTC().Format(time.RFC3339), short.of),
	}
}

// promisedFor is what those are promised who come before p.
func (g *governor) promisedFor(p Priority) (c cost) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for _, o := range g.promised {
		if o.until.After(now) && o.priority >= p {
			c = c.plus(o.cost)
		}
	}
	return c
}

func (g *governor) join(t *ticket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	at, _ := slices.BinarySearchFunc(g.waiting, t.priority, func(o *ticket, p Priority) int {
		if o.priority >= p {
			return -1
		}
		return 1
	})
	g.waiting = slices.Insert(g.waiting, at, t)
}

// claim takes the turn for t if it is free and t is next. What waits for content
// until a known time does not keep what creates none.
func (g *governor) claim(t *ticket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.busy {
		return false
	}
	for _, o := range g.waiting {
		if o == t {
			g.busy = true
			return true
		}
		if o.asleep != string(Creating) || t.cost.content > 0 && t.held == nil {
			return false
		}
	}
	return false
}

// doze gives the turn back and has t wait for something, or wakes it.
func (g *governor) doze(t *ticket, of string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if t.asleep = of; of != "" {
		g.busy = false
		g.tell()
	}
}

// leave takes t out of the line, and gives the turn back if it has it.
func (g *governor) leave(t *ticket, turn bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(t)
	if turn {
		g.busy = false
	}
	g.tell()
}

// taken takes t out of the line; the turn is its.
func (g *governor) taken(t *ticket, began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.remove(t)
	g.tally.waited(t.priority, g.now().Sub(began))
}

func (g *governor) remove(t *ticket) {
	g.waiting = slices.DeleteFunc(g.waiting, func(o *ticket) bool { return o == t })
}

// tell has everybody who waits for the turn look whether it is theirs.
func (g *governor) tell() {
	for _, t := range g.waiting {
		if t.asleep != "" {
			continue
		}
		select {
		case t.wake <- struct{}{}:
		default:
		}
	}
}

// release gives the turn back.
func (g *governor) release() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
	g.tell()
}

// done ends a request, and heeds what its answer says about limits.
func (p *pass) done(ctx context.Context, resp *http.Response, err error) error {
	g := p.governor
	if p.class == Read {
		<-g.reads
		g.purse.readLate(p.at)
	} else {
		g.release()
	}
	ctx = context.WithoutCancel(ctx)
	if p.class != Read {
		if _, err := g.purse.recount(ctx, p.at, costOf(p.class)); err != nil {
			g.log.WarnContext(ctx, "a slow write could not be counted anew", "error", err)
		}
	}
	return g.hear(ctx, resp, err)
}
