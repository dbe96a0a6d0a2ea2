package promotion

import (
	"slices"
	"time"
)

// Decide names the gates' verdicts and the next effect for a promotion. The
// hashes say what would be shown to people now: an effect that publishes is
// named only when that differs from what they were last shown.
func Decide(f Facts, render func([]Gate) Shown, now time.Time) Decision {
	switch {
	case f.State == Merged:
		return afterMerge(f, render)
	case f.State == Closed:
		return afterClose(f)
	case !f.State.Active():
		return Decision{Effect: Rest}
	case f.Led:
		return Decision{Effect: Rest}
	// An ended pull request has no gates: what they would say now, with the base
	// moved on, is not what it was merged or closed on.
	case f.Pull != nil && f.Pull.Merged:
		return Decision{Effect: RecordMerged}
	case f.Pull != nil && f.Pull.Closed:
		return Decision{Effect: RecordClosed, Why: "The pull request was closed without merging."}
	}
	d := Decision{Gates: Evaluate(f, now), Effect: Rest}
	for _, g := range d.Gates {
		d.lookAt(g.NextCheck)
		if g.Until.After(now) {
			d.lookAt(g.Until)
		}
	}
	if f.Pull != nil {
		if f.queued() {
			d.lookAt(f.Queue.AskedAt.Add(askQueue))
		}
		// Not told as a gate's next look: it would be published anew at every look.
		for _, m := range together(f) {
			d.lookAt(askAgainAt(m))
			if at, asked := signaturesAt(m); asked && at.After(now) {
				d.lookAt(at)
			}
			if at, asked := triesAt(m); asked && at.After(now) {
				d.lookAt(at)
			}
		}
	}
	d.Effect, d.App, d.Why = next(f, d.Gates, render, now)
	return d
}

// lookAt has the promotion looked at again at a time, if it is not before; zero is no
// time.
func (d *Decision) lookAt(at time.Time) {
	if !at.IsZero() && (d.NextCheck.IsZero() || at.Before(d.NextCheck)) {
		d.NextCheck = at
	}
}

// Shown is what people would be shown for a set of gates, as hashes.
type Shown struct {
	CheckHash   string
	BodyHash    string
	CommentHash string // after the merge
}

func next(f Facts, gates []Gate, render func([]Gate) Shown, now time.Time) (effect Effect, app, why string) {
	if f.Pull == nil {
		effect, why = beforePull(f)
		return effect, "", why
	}
	shown := render(gates)
	// Before everything else: the queue waits for it, and merges by itself what has
	// passed, whatever became of this promotion's commit since.
	if checksGroup(f, shown.CheckHash) {
		if effect, app := tooOld(f, now); effect != "" && allPass(gates) {
			return effect, app, ""
		}
		return CheckGroup, "", ""
	}
	if !f.Pull.Labelled {
		return Label, "", ""
	}
	if nothingToDo(f) {
		return Withdraw, "", nothingToChange(f)
	}
	if needsRegenerate(f) {
		return Regenerate, "", ""
	}
	if effect, app := asks(f, now); effect != "" {
		return effect, app, ""
	}
	// The verdict is published on the head that it was made for, and before the
	// merge: the branch may require it.
	if f.Published.CheckSHA != f.Pull.HeadSHA || f.Published.CheckHash != shown.CheckHash {
		return PublishCheck, "", ""
	}
	if f.Published.BodyHash != shown.BodyHash {
		return PublishBody, "", ""
	}
	if auto(f) && allPass(gates) && !waitsInQueue(f, now) {
		effect, app := tooOld(f, now)
		switch {
		case effect != "":
			return effect, app, ""
		case f.Queue.Used:
			return EnterQueue, "", ""
		}
		return Merge, "", ""
	}
	// A merge does not wait for it. While the head is not ours, or not what the base
	// needs, it is not known what people will have approved when it is.
	for _, m := range together(f) {
		if m.RuleErr == "" && m.Rule.Approvals && m.Approval.Stale > 0 && headGate(m).Verdict == Pass {
			return DismissReview, m.App, ""
		}
	}
	return Rest, "", ""
}

// asks says what has to be found out, or announced, for whom before people are shown
// anything; "" where nothing has to.
func asks(f Facts, now time.Time) (effect Effect, app string) {
	for _, m := range together(f) {
		if at := askAgainAt(m); !at.IsZero() && !now.Before(at) {
			return AskRegistry, m.App
		}
		if at, asked := signaturesAt(m); asked && !now.Before(at) {
			return AskSignatures, m.App
		}
		if at, asked := triesAt(m); asked && !now.Before(at) {
			return AskClusters, m.App
		}
		// Announced to everybody before it has any effect.
		if len(Unfollowed(m, Evaluate(m, now))) > 0 {
			return OpenFollowUp, m.App
		}
	}
	return "", ""
}

// askAgain is how long an answer of the registry holds that keeps a pull request
// from merging: nobody tells when the registry is back, or the tag is.
const askAgain = 30 * time.Second

// askAgainAt is when the registry has to be asked again; zero when its last
// answer is good, or it was never asked.
func askAgainAt(f Facts) time.Time {
	if f.Digest.ObservedAt.IsZero() || f.Digest.Err == "" && f.Digest.Now == f.Artifact.Digest {
		return time.Time{}
	}
	return f.Digest.ObservedAt.Add(askAgain)
}

func beforePull(f Facts) (Effect, string) {
	for _, m := range together(f) {
		effect, why := unopened(m)
		// Of a set, the edit may be in the way of another's, which no commit in Git mends;
		// and nobody could close what has no pull request, while it keeps all its apps.
		if effect == Rest && len(f.Companions) > 0 && m.RuleErr == "" {
			effect = RecordClosed
		}
		if effect != OpenPull {
			return effect, ofSet(f, m, why)
		}
	}
	if nothingToDo(f) {
		return RecordClosed, nothingToChange(f)
	}
	return OpenPull, ""
}

// unopened is what is to be done about one promotion that has no pull request.
func unopened(f Facts) (Effect, string) {
	switch {
	// What people have to mend in Git is waited for: the next commit there has
	// this looked at again.
	case f.RuleErr != "":
		return Rest, f.RuleErr
	case f.Denial != nil:
		return RecordClosed, f.Denial.Words()
	// Nobody could close what has no pull request, and while it is there it keeps
	// everything else out.
	case f.Back != nil && f.Plan.Err == "" && wrongWay(f) != "":
		return RecordClosed, wrongWay(f)
	case planErr(f) != "":
		return Rest, planErr(f)
	case !f.Plan.Nothing && f.Digest.Now != "" && f.Digest.Now != f.Artifact.Digest:
		return RecordClosed, digestGate(f).Reason
	}
	return OpenPull, ""
}

// ofSet says of a set whose words these are.
func ofSet(f, m Facts, words string) string {
	if len(f.Companions) == 0 {
		return words
	}
	return m.App + ": " + words
}

// needsRegenerate: our commit no longer says what the newest base needs. A head
// that somebody else moved is never overwritten: that is for people to sort out.
func needsRegenerate(f Facts) bool {
	if f.Pull.HeadSHA != f.Pull.OurHeadSHA {
		return f.Pull.HeadOurs && editable(f)
	}
	if !editable(f) {
		return false
	}
	return f.Pull.Behind || f.Plan.Hash != "" && f.Plan.Hash != f.Pull.EditHash
}

// editable: it can be read what the base needs, of all that the commit is for.
func editable(f Facts) bool {
	return !slices.ContainsFunc(together(f), func(m Facts) bool { return m.RuleErr != "" || planErr(m) != "" })
}

func nothingToChange(f Facts) string {
	var tags []string
	for _, m := range together(f) {
		tags = append(tags, ofSet(f, Facts{App: m.App}, m.Artifact.Tag))
	}
	return "The base branch already has " + and(tags) + "; there is nothing to change."
}

// afterClose clears up after a promotion that came to nothing: its branch goes, and
// who closed its pull request reads what that means.
func afterClose(f Facts) Decision {
	switch {
	case !f.Reported.BranchDeleted:
		return Decision{Effect: DeleteBranch}
	case f.ClosedBy != "" && !f.Reported.Closing:
		return Decision{Effect: TellClosed}
	}
	return Decision{Effect: Rest}
}
