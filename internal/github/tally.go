package github

import (
	"time"
)

// tally is what a governor has done so far.
type tally struct {
	waits   [priorities]time.Duration // for the turn and for budget
	passed  [priorities]int64
	refused [priorities]int64 // told to come back later
	limited int64             // refused by GitHub
}

func (t *tally) waited(p Priority, d time.Duration) {
	t.waits[p] += d
	t.passed[p]++
}

// Budget is how an installation stands with GitHub's limits.
type Budget struct {
	Installation int64
	Left         map[Limit]int // as far as this process knows
	Primary      int           // requests left, -1 while GitHub has not said
	Closed       time.Time     // GitHub wants to be left alone until then
	Limited      int64         // answers of GitHub that said so
	Urgency      map[Priority]Urgency
}

// Urgency is what became of writes and reservations of one priority.
type Urgency struct {
	Passed, Refused int64
	Waited          time.Duration
}

func (g *governor) budget() Budget {
	left := g.purse.left()
	g.mu.Lock()
	defer g.mu.Unlock()
	b := Budget{Installation: g.purse.installation, Left: left, Primary: -1, Closed: g.heard.closed, Limited: g.tally.limited, Urgency: map[Priority]Urgency{}}
	if g.now().Before(g.heard.reset) {
		b.Primary = g.heard.remaining
	}
	for p := range Priority(priorities) {
		b.Urgency[p] = Urgency{Passed: g.tally.passed[p], Refused: g.tally.refused[p], Waited: g.tally.waits[p]}
	}
	return b
}

// Budgets are those of all installations that were used so far.
func (a *App) Budgets() (all []Budget) {
	a.mu.Lock()
	var governors []*governor
	for _, in := range a.sessions {
		governors = append(governors, in.session.governor)
	}
	a.mu.Unlock()
	for _, g := range governors {
		all = append(all, g.budget())
	}
	return all
}
