package github

import (
	"context"
	"sync"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
)

// Ledger keeps what installations have spent where all replicas see it: the limits
// are the installation's, not a process's.
type Ledger interface {
	// SwapSpending replaces what is kept of an installation if nobody has since the
	// version seen, 0 for nothing yet. It gives what is kept now, and whether that is
	// the replacement. It holds nothing locked when it returns.
	SwapSpending(ctx context.Context, installation, seen int64, next []byte) (version int64, now []byte, swapped bool, err error)
}

// alone is the ledger of a process that shares its installations with no other.
type alone struct {
	mu   sync.Mutex
	kept map[int64]entry
}

type entry struct {
	version int64
	raw     []byte
}

// SwapSpending implements Ledger.
func (a *alone) SwapSpending(_ context.Context, installation, seen int64, next []byte) (int64, []byte, bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.kept[installation]
	if now.version != seen {
		return now.version, now.raw, false, nil
	}
	a.kept[installation] = entry{seen + 1, next}
	return seen + 1, next, true, nil
}

const (
	// block is how many reads' points are taken from the ledger at once. They are for
	// the slot in which they are taken; what is left of them then is given back.
	block = 10
	// tries is how often a change is made again because another replica was faster.
	// One of them always succeeds, so that more means that something is broken.
	tries = 50
	// swapWithin bounds one change of the ledger.
	swapWithin = 5 * time.Second
)

// purse is one installation's spending as one process sees it: what the ledger
// said last, which another replica may have changed since. Refusing needs no more
// than that, because a limit that was full then is free at a known time; whoever
// spends finds out.
type purse struct {
	installation int64
	limits       Limits
	ledger       Ledger
	now          func() time.Time

	mu      sync.Mutex // held while the ledger is changed, never during a request
	version int64
	raw     []byte
	lease   lease
	late    int // points of reads that were answered late, and may count twice
}

// lease are points of reads that were taken and not used yet.
type lease struct {
	at   time.Time
	left int
}

// change changes the spending by f, which returns false to leave it as it is.
func (a *purse) change(ctx context.Context, f func(s *spending, now time.Time) bool) error {
	ctx, cancel := context.WithTimeout(ctx, swapWithin)
	defer cancel()
	for range tries {
		s, err := readSpending(a.raw)
		if err != nil {
			return fault.Errorf(fault.Broken, "what installation %d has spent cannot be read: %w", a.installation, err)
		}
		if !f(s, a.now()) {
			return nil
		}
		next, err := s.bytes()
		if err != nil {
			return err
		}
		version, raw, swapped, err := a.ledger.SwapSpending(ctx, a.installation, a.version, next)
		if err != nil {
			return err
		}
		a.version, a.raw = version, raw
		if swapped {
			return nil
		}
	}
	return fault.Errorf(fault.Transient, "what installation %d has spent changes too fast to be written down", a.installation)
}

// spend takes c from the budget, or says what is short. The time is what the
// spending is kept under.
func (a *purse) spend(ctx context.Context, c, extra cost, share int) (at time.Time, short *shortage, err error) {
	if len(a.limits) == 0 {
		return a.now(), nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	settled := false
	err = a.change(ctx, func(s *spending, now time.Time) bool {
		at, settled = now, a.settle(s, now)
		short = s.spend(a.limits, now, c, extra, share)
		return short == nil
	})
	if err == nil && short == nil && settled {
		a.lease, a.late = lease{}, 0
	}
	return at, short, err
}

// settle gives back the points of reads that were not used in their slot, and adds
// those of late answers, unless it is too early for that.
func (a *purse) settle(s *spending, now time.Time) bool {
	if a.limits.together(a.lease.at, now) {
		return false
	}
	s.advance(a.limits, now)
	s.add(a.limits, a.lease.at, cost{points: -a.lease.left})
	s.add(a.limits, now, cost{points: a.late})
	return true
}

// read takes one read's point.
func (a *purse) read(ctx context.Context, share int) (at time.Time, short *shortage, err error) {
	if len(a.limits) == 0 {
		return a.now(), nil, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.lease.left > 0 && a.limits.together(a.lease.at, a.now()) {
		a.lease.left--
		return a.lease.at, nil, nil
	}
	for _, n := range []int{block, 1} {
		settled := false
		err = a.change(ctx, func(s *spending, now time.Time) bool {
			at, settled = now, a.settle(s, now)
			short = s.spend(a.limits, now, cost{points: n}, cost{}, share)
			return short == nil
		})
		if err != nil {
			return at, nil, err
		}
		if short == nil {
			if settled {
				a.late = 0
			}
			a.lease = lease{at, n - 1}
			return at, nil, nil
		}
	}
	return at, short, nil
}

// recount has what was spent at a time count from now on, where the time since is
// longer than the slot to spare covers.
func (a *purse) recount(ctx context.Context, at time.Time, c cost) (time.Time, error) {
	if now := a.now(); !a.limits.apart(at, now) {
		return at, nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	err := a.change(ctx, func(s *spending, now time.Time) bool {
		s.move(a.limits, at, now, c)
		at = now
		return true
	})
	return at, err
}

// giveBack takes back what was spent and not used.
func (a *purse) giveBack(ctx context.Context, at time.Time, c cost) error {
	if len(a.limits) == 0 || c == (cost{}) {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(ctx, func(s *spending, now time.Time) bool {
		s.add(a.limits, at, c.times(-1))
		return true
	})
}

// readLate notes that a read that was paid for at a time is answered now.
func (a *purse) readLate(at time.Time) {
	if a.limits.apart(at, a.now()) {
		a.mu.Lock()
		a.late++
		a.mu.Unlock()
	}
}

// close has every replica leave GitHub alone until then.
func (a *purse) close(ctx context.Context, until time.Time) error {
	if len(a.limits) == 0 {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.change(ctx, func(s *spending, _ time.Time) bool {
		later := until.After(s.Closed)
		if later {
			s.Closed = until
		}
		return later
	})
}

// left is how much of each limit is left, as far as this process knows.
func (a *purse) left() map[Limit]int {
	a.mu.Lock()
	defer a.mu.Unlock()
	s, err := readSpending(a.raw)
	if err != nil {
		return nil
	}
	left := map[Limit]int{}
	for _, l := range a.limits {
		left[l] = l.Most - s.window(l, a.now()).sum()
	}
	return left
}

// together reports whether two times are in the same slot of every limit; apart,
// whether there is more than one slot between them in any.
func (ls Limits) together(a, b time.Time) bool {
	for _, l := range ls {
		if l.slot(a) != l.slot(b) {
			return false
		}
	}
	return true
}

func (ls Limits) apart(a, b time.Time) bool {
	for _, l := range ls {
		if l.slot(b)-l.slot(a) > 1 {
			return true
		}
	}
	return false
}
