package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// A set is several promotions that share one pull request, because what they bring was
// proven together: one commit, one merge, and one way back. Each has its own gates, and
// none is merged while another may not be. One of them acts for all; the others rest
// until the merge, and each then follows its own clusters.

// together are a promotion and its companions.
func together(f Facts) []Facts { return append([]Facts{f}, f.Companions...) }

// setGate passes when nothing is in the way of any companion. It says who waits for what:
// people look at one app, and another keeps it waiting.
func setGate(f Facts, now time.Time) Gate {
	g := Gate{Name: GateSet, Title: "Set", Verdict: Pass}
	var failed, waiting, ready, owners []string
	for _, c := range f.Companions {
		verdict, words, by := companion(f, c, &g, now)
		switch verdict {
		case Pass:
			ready = append(ready, c.App)
		case Fail:
			failed = append(failed, words)
		default:
			waiting = append(waiting, words)
		}
		for _, o := range by {
			if !slices.Contains(owners, o) {
				owners = append(owners, o)
			}
		}
	}
	switch {
	case len(failed) > 0:
		g.Verdict = Fail
	case len(waiting) > 0:
		g.Verdict = Wait
	default:
		g.NextCheck, g.Reason = time.Time{}, "It is merged together with "+and(ready)+", which nothing keeps."
		return g
	}
	g.Reason, g.Owner = strings.Join(slices.Concat(failed, waiting), " "), strings.Join(owners, "; ")
	return g
}

// companion judges one companion, and has g looked at again when its gates have to be.
func companion(f, c Facts, g *Gate, now time.Time) (verdict Verdict, words string, owners []string) {
	switch {
	case !c.State.Active():
		return Fail, fmt.Sprintf("%s is not on its way any more.", c.App), []string{"Tagboat"}
	case f.Pull != nil && (c.Pull == nil || c.Pull.HeadSHA != f.Pull.HeadSHA):
		return Wait, fmt.Sprintf("%s is not in this commit yet.", c.App), []string{"Tagboat"}
	}
	verdict = Pass
	var waits, blocks []string
	for _, own := range Evaluate(c, now) {
		sooner(&g.Until, own.Until)
		if own.NextCheck.After(now) {
			sooner(&g.NextCheck, own.NextCheck)
		}
		if !own.Verdict.Blocks() {
			continue
		}
		owners = append(owners, own.Owner)
		if own.Verdict == Fail {
			blocks = append(blocks, fmt.Sprintf("%s is blocked by %s: %s", c.App, strings.ToLower(own.Title), own.Reason))
			continue
		}
		waits = append(waits, strings.ToLower(own.Title))
	}
	switch {
	case len(blocks) > 0:
		return Fail, strings.Join(blocks, " "), owners
	case len(waits) > 0:
		return Wait, fmt.Sprintf("%s waits for %s.", c.App, and(waits)), owners
	}
	return verdict, "", nil
}

// sooner moves a time to an earlier one; zero is no time.
func sooner(at *time.Time, other time.Time) {
	if !other.IsZero() && (at.IsZero() || other.Before(*at)) {
		*at = other
	}
}

// tooOld says which answers of whom have to be asked for anew before a merge; "" where
// all are fresh.
func tooOld(f Facts, now time.Time) (effect Effect, app string) {
	for _, m := range together(f) {
		switch {
		case triesStale(m, now):
			return AskClusters, m.App
		case signaturesStale(m, now):
			return AskSignatures, m.App
		}
	}
	return "", ""
}

// nothingToDo: the base has all of it already. Of a set, what is there stays in it, and
// changes nothing.
func nothingToDo(f Facts) bool {
	return !slices.ContainsFunc(together(f), func(m Facts) bool { return !m.Plan.Nothing })
}

// auto: all of it is merged by Tagboat.
func auto(f Facts) bool {
	return !slices.ContainsFunc(together(f), func(m Facts) bool { return !m.Rule.Auto })
}
