package github

import (
	"encoding/json"
	"time"
)

// An installation's spending is kept by slots, sixty to the length of each limit,
// and what a slot holds counts until no moment of it can be within that length any
// more. So in no span of the length more is spent than the limit allows, wherever
// the span begins. GitHub does not say how it measures: with windows that slide, as
// is assumed here, with windows that begin at fixed times, or otherwise; this keeps
// within all of them. A token bucket (golang.org/x/time/rate) does not: one that lets
// a burst of 80 go and refills 80 a minute lets 160 go in the first minute.
//
// The last of the kept slots is to spare: a request is counted by GitHub some time
// after it was written down here, and the clocks of two replicas differ.
const (
	slots = 60
	kept  = slots + 2
)

// spending is what an installation has spent, and until when GitHub wants to be
// left alone. It is what the replicas share.
type spending struct {
	Closed  time.Time          `json:"closed,omitzero"`
	Windows map[string]*window `json:"windows,omitempty"` // by Limit.String
}

// window is what was spent under one limit, the newest slot first.
type window struct {
	Newest int64 `json:"newest"`
	Spent  []int `json:"spent"`
}

// shortage says what a request has to wait for.
type shortage struct {
	of    string // "points", "content", "primary", "asked to wait"
	until time.Time
}

func readSpending(raw []byte) (*spending, error) {
	s := &spending{}
	if len(raw) > 0 {
		if err := json.Unmarshal(raw, s); err != nil {
			return nil, err
		}
	}
	if s.Windows == nil {
		s.Windows = map[string]*window{}
	}
	return s, nil
}

func (s *spending) bytes() ([]byte, error) { return json.Marshal(s) }

// window is the limit's, brought up to now.
func (s *spending) window(l Limit, now time.Time) *window {
	w := s.Windows[l.String()]
	if w == nil {
		w = &window{}
		s.Windows[l.String()] = w
	}
	w.advance(l.slot(now))
	return w
}

// advance brings all windows up to now.
func (s *spending) advance(limits Limits, now time.Time) {
	for _, l := range limits {
		s.window(l, now)
	}
}

// spend spends c if every limit has room for it in the share, with room for more
// left; otherwise it changes nothing and says what is short, for how long. That it
// fits together with extra is only asked where it does not fit as it is.
func (s *spending) spend(limits Limits, now time.Time, c, extra cost, share int) *shortage {
	if now.Before(s.Closed) {
		return &shortage{"asked to wait", s.Closed}
	}
	var short *shortage
	for _, l := range limits {
		n, most := c.of(l.Of), l.Most*share/100
		if w := s.window(l, now); n > 0 && w.sum()+n > most {
			until := l.begins(w.frees(n+extra.of(l.Of), most))
			if short == nil || until.After(short.until) {
				short = &shortage{string(l.Of), until}
			}
		}
	}
	if short == nil {
		s.add(limits, now, c)
	}
	return short
}

// add writes down what was spent at a time up to now. A negative cost takes it back.
func (s *spending) add(limits Limits, at time.Time, c cost) {
	for _, l := range limits {
		if w := s.Windows[l.String()]; w != nil && c.of(l.Of) != 0 {
			w.add(l.slot(at), c.of(l.Of))
		}
	}
}

// move writes down that what was spent at one time is only spent now.
func (s *spending) move(limits Limits, from, now time.Time, c cost) {
	s.advance(limits, now)
	s.add(limits, from, c.times(-1))
	s.add(limits, now, c)
}

func (l Limit) slotLength() time.Duration { return l.Per / slots }

func (l Limit) slot(at time.Time) int64 { return at.UnixNano() / int64(l.slotLength()) }

func (l Limit) begins(slot int64) time.Time { return time.Unix(0, slot*int64(l.slotLength())) }

// advance moves on to a slot. The replica whose clock is ahead rules: a slot before
// the newest changes nothing, and what is spent there is written into the newest.
// Only a window that is ahead by more than is kept was written by a clock that was
// wrong; it starts again.
func (w *window) advance(to int64) {
	ahead := to - w.Newest
	switch {
	case ahead >= kept || ahead <= -kept:
		w.Newest, w.Spent = to, nil
	case ahead > 0:
		spent := append(make([]int, ahead, kept), w.Spent...)
		w.Newest, w.Spent = to, spent[:min(len(spent), kept)]
	}
}

// add adds to a slot: the newest, if the slot is not before it; nothing, if it is
// not kept any more.
func (w *window) add(slot int64, n int) {
	back := max(0, w.Newest-slot)
	if back >= kept {
		return
	}
	for int64(len(w.Spent)) <= back {
		w.Spent = append(w.Spent, 0)
	}
	w.Spent[back] = max(0, w.Spent[back]+n)
}

func (w *window) sum() (sum int) {
	for _, n := range w.Spent {
		sum += n
	}
	return sum
}

// frees is the first slot in which n more fit below most, if nothing else is spent
// until then. More than fits at once is thought to be spent as soon as it can be.
func (w *window) frees(n, most int) int64 {
	rounds := int64(0)
	if n > most {
		rounds = int64((n - 1) / most)
		n -= int(rounds) * most
	}
	over, slot := w.sum()+n-most, w.Newest
	for i := len(w.Spent) - 1; i >= 0 && over > 0; i-- {
		over -= w.Spent[i]
		slot = w.Newest - int64(i) + kept
	}
	return slot + rounds*kept
}
