package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Trying is what an environment asks of a dry run in its clusters.
type Trying string

const (
	TryNothing Trying = ""        // there is none
	TryWarn    Trying = "warn"    // it is shown, and keeps nothing from merging
	TryEnforce Trying = "enforce" // every cluster has to take every object
)

// Trial is what one cluster of the environment last answered about the objects that
// a merge would bring there now.
type Trial struct {
	Cluster string
	Answer  Answer
	At      time.Time // when it was asked
	Since   time.Time // since when it answers so about these objects
	Reason  string    // what it answered, in sentences
	Owner   string    // who can move it
}

// Answer is how a cluster takes objects in a dry run.
type Answer string

const (
	NotAsked Answer = ""         // not about these objects
	Accepted Answer = "accepted" // it would take all of them
	Declined Answer = "declined" // not all
	Unclear  Answer = "unclear"  // it could not say
)

// How long a cluster's answer holds.
const (
	// trialHolds: nobody tells what changes in a cluster, and people read the pull
	// request.
	trialHolds = time.Hour
	// trialFresh is how old an answer may be that a merge rests on.
	trialFresh = 5 * time.Minute
)

// What keeps a promotion waiting is asked for again after half the time for which it does
// so, within these bounds: nobody tells that it changed.
const (
	againMin = 30 * time.Second
	againMax = 5 * time.Minute
)

// againAfter is when to ask again what answered so at a time, and since another.
func againAfter(at, since time.Time) time.Time {
	return at.Add(min(max(againMin, at.Sub(since)/2), againMax))
}

// trials are the answers of all clusters that the rule asks for, in its order.
func trials(f Facts) []Trial {
	all := make([]Trial, 0, len(f.Rule.Clusters))
	for _, cluster := range f.Rule.Clusters {
		i := slices.IndexFunc(f.Trials, func(t Trial) bool { return t.Cluster == cluster })
		if i < 0 {
			all = append(all, Trial{Cluster: cluster})
			continue
		}
		all = append(all, f.Trials[i])
	}
	return all
}

// AskAgainAt is when the cluster has to be asked again; a time in the past where it
// was not asked yet.
func (t Trial) AskAgainAt() time.Time {
	switch t.Answer {
	case NotAsked:
		return time.Time{}
	case Accepted:
		return t.At.Add(trialHolds)
	}
	return againAfter(t.At, t.Since)
}

// Stale reports whether the answer is too old for a merge to rest on it.
func (t Trial) Stale(now time.Time) bool {
	return t.Answer == NotAsked || now.Sub(t.At) > trialFresh || t.At.After(now)
}

// tries reports whether there is anything to ask the clusters about.
func tries(f Facts) bool {
	return f.Rule.Trying != TryNothing && f.RuleErr == "" && planErr(f) == "" && f.Rendered.Known && f.Rendered.Err == ""
}

// triesAt is when the first of the clusters has to be asked, where one has to be.
func triesAt(f Facts) (at time.Time, asked bool) {
	if !tries(f) {
		return time.Time{}, false
	}
	for i, t := range trials(f) {
		if next := t.AskAgainAt(); i == 0 || next.Before(at) {
			at = next
		}
	}
	return at, len(f.Rule.Clusters) > 0
}

// triesStale reports whether a merge needs newer answers.
func triesStale(f Facts, now time.Time) bool {
	return f.Rule.Trying != TryNothing && slices.ContainsFunc(trials(f), func(t Trial) bool { return t.Stale(now) })
}

func dryRunGate(f Facts) Gate {
	g := Gate{Name: GateDryRun, Title: "Dry run", Verdict: Pass}
	var declined, unclear, accepted, owners []string
	for _, t := range trials(f) {
		reason, owner := t.Reason, t.Owner
		switch t.Answer {
		case Accepted:
			accepted = append(accepted, reason)
			continue
		case Declined:
			declined = append(declined, reason)
		case NotAsked:
			reason, owner = fmt.Sprintf("Cluster %s has not been asked yet.", t.Cluster), "Tagboat"
			unclear = append(unclear, reason)
		default:
			unclear = append(unclear, reason)
		}
		if owner != "" && !slices.Contains(owners, owner) {
			owners = append(owners, owner)
		}
	}
	switch {
	case len(declined) > 0:
		g.Verdict = Fail
	case len(unclear) > 0 || len(accepted) == 0:
		g.Verdict = Wait
	}
	// What has to be mended is told first: reasons are cut.
	g.Reason, g.Owner = strings.Join(slices.Concat(declined, unclear, accepted), " "), strings.Join(owners, "; ")
	if g.Reason == "" {
		g.Reason = "No cluster has been asked yet."
	}
	if g.Verdict != Pass && g.Owner == "" {
		g.Owner = "Tagboat"
	}
	if at, asked := triesAt(f); g.Verdict == Pass && asked {
		g.Until = at
	}
	if f.Rule.Trying == TryWarn && g.Verdict != Pass {
		g.Verdict, g.Reason = Pass, "Only a warning: "+g.Reason
	}
	return g
}
