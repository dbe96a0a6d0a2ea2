package github

import (
	"context"
)

// Priority is how urgent a request is. Waiting writes of an installation go out in
// this order, and the less urgent ones leave a part of every limit to the others.
type Priority int

// The priorities, from what nobody waits for to what nobody may keep waiting.
const (
	Polling     Priority = iota // looking for what no webhook told
	Talking                     // comments, reactions, bodies: also of whoever says nothing
	Deploying                   // deployments and their statuses
	Checking                    // check runs
	Opening                     // commits, branches, pull requests and their labels
	Merging                     // merges, and what a merge waits for
	MergingLast                 // the same in an environment that no other one needs: production
	RollingBack                 // the way back to a version that was there before
	priorities  = iota
)

// names are what metrics call the priorities.
var names = [priorities]string{"polling", "talking", "deploying", "checking", "opening", "merging", "merging last", "rolling back"}

// String is the name that metrics show.
func (p Priority) String() string { return names[p] }

// shares are how much of each limit may be used up, in percent, by the requests of
// a priority and those below it. Eight content-creating requests a minute, and 25
// an hour, are thus left for the merges of production and for five rollbacks, even
// while hundreds of promotions are opened.
var shares = [priorities]int{50, 85, 85, 90, 90, 95, 100, 100}

// reading is the share of reads, which mostly serve to decide: they are not held
// back with the writes that may follow.
const reading = 95

// readShare is how much of a limit may be used up by reads of a priority. Polling is
// the exception: it may find nothing, and it comes again.
func readShare(p Priority) int {
	if p == Polling {
		return shares[p]
	}
	return max(reading, shares[p])
}

type priorityKey struct{}

// WithPriority gives what is asked of GitHub under ctx a priority.
func WithPriority(ctx context.Context, p Priority) context.Context {
	return context.WithValue(ctx, priorityKey{}, p)
}

func priorityOf(ctx context.Context) Priority {
	if p, ok := ctx.Value(priorityKey{}).(Priority); ok {
		return p
	}
	return Talking
}
