package promotion

import (
	"fmt"
	"time"
)

// Queue is the merge queue of the base branch, where GitHub has one: what is ready
// enters it, and GitHub merges it once the group that it builds passes its checks,
// of which ours is one.
type Queue struct {
	Used      bool
	HeadSHA   string    // with which the pull request was entered; "" while it is out
	EnteredAt time.Time //
	AskedAt   time.Time // when GitHub said last that it has it
	LeftAt    time.Time // when GitHub took it out last without a merge; zero: not since it was entered
	GroupSHA  string    // the commit that is to be tested now; "" while there is none
	// Ahead: the group is built on other pull requests that are not merged yet. What
	// the gates rest on is the base branch, and not what it is built on.
	Ahead     bool
	CheckSHA  string // the group that our check was made on last
	CheckHash string // of what it shows; "" while it shows no conclusion
}

const (
	// askQueue is how long an entry is believed in: that GitHub took it out may never
	// have reached us. Entering again what is in the queue changes nothing.
	askQueue = 15 * time.Minute
	// requeue is how long a pull request stays out that GitHub took out of its queue:
	// the reason is somebody's decision or a failed check, and would be the same a
	// moment later.
	requeue = 10 * time.Minute
)

// queued reports whether the pull request stands in the queue as it is now.
func (f Facts) queued() bool { return f.Queue.HeadSHA != "" && f.Queue.HeadSHA == f.Pull.HeadSHA }

func queueGate(f Facts, now time.Time) Gate {
	g := Gate{Name: GateQueue, Title: "Merge queue", Verdict: Pass}
	again := f.Queue.LeftAt.Add(requeue)
	switch {
	case f.Pull != nil && f.queued():
		g.Reason = fmt.Sprintf("In GitHub's merge queue since %s. What it tests there is judged by these gates again.", f.Queue.EnteredAt.UTC().Format(clock))
	case !f.Queue.LeftAt.IsZero() && now.Before(again):
		g.Verdict, g.Owner, g.NextCheck = Wait, "whoever owns the check that failed in the queue", again
		g.Reason = fmt.Sprintf("GitHub took it out of the merge queue: a check failed there, or somebody removed it. Tagboat enters it again at %s.", again.UTC().Format(clock))
	default:
		g.Reason = "The branch has a merge queue; what passes all other gates enters it."
	}
	return g
}

// waitsInQueue reports whether the queue has the pull request, and GitHub the next
// step.
func waitsInQueue(f Facts, now time.Time) bool {
	return f.Queue.Used && f.queued() && now.Before(f.Queue.AskedAt.Add(askQueue))
}

// GroupVerdict is what our check says on the commit that the merge queue tests, if
// that makes our edit and nothing else. GitHub merges what it says Pass to.
func GroupVerdict(f Facts, gates []Gate) Verdict {
	switch {
	case f.Queue.Ahead:
		return Wait
	case allPass(gates):
		return Pass
	}
	return Fail
}

// checksGroup reports whether our check on the queue's group does not say what the
// gates say now, or concludes something while others are ahead.
func checksGroup(f Facts, checkHash string) bool {
	if f.Queue.Ahead {
		checkHash = ""
	}
	return f.Queue.GroupSHA != "" && (f.Queue.CheckSHA != f.Queue.GroupSHA || f.Queue.CheckHash != checkHash)
}
