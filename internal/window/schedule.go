package window

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Schedule is when an environment may change. With no Allow it may at any time;
// Deny and Except always win.
type Schedule struct {
	Allow []Allowed
	Deny  []Window
}

// Allowed is a window with the dates that it leaves out.
type Allowed struct {
	Window
	Except []Window
}

// Contains reports whether an allowed window is open.
func (a Allowed) Contains(at time.Time) bool {
	return a.Window.Contains(at) && !slices.ContainsFunc(a.Except, func(w Window) bool { return w.Contains(at) })
}

// Asked reports whether there is any rule.
func (s Schedule) Asked() bool { return len(s.Allow)+len(s.Deny) > 0 }

// Open reports whether the environment may change at an instant.
func (s Schedule) Open(at time.Time) bool {
	denied := slices.ContainsFunc(s.Deny, func(w Window) bool { return w.Contains(at) })
	allowed := len(s.Allow) == 0 || slices.ContainsFunc(s.Allow, func(a Allowed) bool { return a.Contains(at) })
	return allowed && !denied
}

// Why says in words what holds at an instant.
func (s Schedule) Why(at time.Time) string {
	for _, w := range s.Deny {
		if w.Contains(at) {
			return fmt.Sprintf("Nothing is merged in %s.", w)
		}
	}
	for _, a := range s.Allow {
		for _, w := range a.Except {
			if a.Window.Contains(at) && w.Contains(at) {
				return fmt.Sprintf("%s is an exception from %s.", w, a.Window)
			}
		}
	}
	var names []string
	for _, a := range s.Allow {
		if a.Contains(at) {
			return fmt.Sprintf("It is within %s.", a.Window)
		}
		names = append(names, a.Window.String())
	}
	if len(names) == 0 {
		return "No time that is closed for changes has begun."
	}
	return fmt.Sprintf("Changes are allowed in %s.", strings.Join(names, " and in "))
}

// horizon is how far ahead an opening is looked for.
const horizon = 400 * 24 * time.Hour

// Opens is the next instant, to the quarter of an hour or to a window's own minute,
// at which the environment may change, if it may not now; zero where there is none
// within a year.
func (s Schedule) Opens(at time.Time) time.Time {
	if s.Open(at) {
		return time.Time{}
	}
	return s.turns(at, horizon, s.Open)
}

// turns is the first edge after an instant, and within a time from it, that is as
// asked for; zero where there is none.
func (s Schedule) turns(at time.Time, within time.Duration, as func(time.Time) bool) time.Time {
	edges := s.edges()
	for from := at.Truncate(15 * time.Minute); from.Before(at.Add(within)); from = from.Add(15 * time.Minute) {
		// Zones differ by quarters of an hour, so within one every edge is at the same
		// minute in all of them.
		for _, edge := range edges {
			if instant := from.Add(edge); instant.After(at) && as(instant) {
				return instant
			}
		}
	}
	return time.Time{}
}

// ahead is how far ahead a closing is looked for: whoever asks looks again before.
const ahead = 8 * 24 * time.Hour

// Closes is the next instant at which the environment may not change any more, if it
// may now; zero where there is none within a week.
func (s Schedule) Closes(at time.Time) time.Time {
	if !s.Open(at) {
		return time.Time{}
	}
	return s.turns(at, ahead, func(instant time.Time) bool { return !s.Open(instant) })
}

// edges are the minutes of a quarter of an hour at which something may begin or
// end, in order.
func (s Schedule) edges() []time.Duration {
	edges := []time.Duration{0}
	add := func(w Window) {
		edges = append(edges, time.Duration(w.from%15)*time.Minute, time.Duration(w.until%15)*time.Minute)
	}
	for _, w := range s.Deny {
		add(w)
	}
	for _, a := range s.Allow {
		add(a.Window)
		for _, w := range a.Except {
			add(w)
		}
	}
	slices.Sort(edges)
	return slices.Compact(edges)
}
