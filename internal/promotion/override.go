package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Overridable are the gates that people may override where tagboat.yaml names who.
// They are about when, and about what others have proven: a check that cannot run, a
// soak that is too long for an outage, a stop, a calendar.
//
// All others stand, whoever speaks. Configuration, digest, signature and commit are
// about what this is; without them nobody knows what they override. What is not rendered would
// not be applied either. Policies may be the organisation's, and have waivers.
// Approvals and the checklist are people's own word, which they can give.
var Overridable = []string{GateChecks, GateUpstream, GateStop, GateWindow}

// Override is who may override what in an environment, as far as deciding goes.
type Override struct {
	Gates []string      // none: nobody may override anything
	For   time.Duration // how long somebody's word holds
	Who   string        // may say /override, in words: "team sre"
}

// Voice is somebody's word that a gate be overridden.
type Voice struct {
	Gate    string
	By      Person
	May     bool   // is one of those who may, as is known now
	Reason  string // in their words
	Digest  string // what they saw
	HeadSHA string
	At      time.Time
}

// FollowUp is the issue in which people see to it that an override stays an
// exception.
type FollowUp struct {
	Gate    string
	HeadSHA string
	URL     string // "" where the App may not open issues
}

// Overriders are those whose word for overriding a gate holds now: the last of each
// person, given for exactly this digest and this head, by somebody who may and is no
// stranger. The oldest comes first.
func Overriders(f Facts, gate string, now time.Time) []Voice {
	if f.Pull == nil || f.Pull.HeadSHA == "" || f.Pull.HeadSHA != f.Pull.OurHeadSHA || f.Artifact.Digest == "" ||
		!slices.Contains(Overridable, gate) || !slices.Contains(f.Rule.Override.Gates, gate) {
		return nil
	}
	last := map[int64]Voice{}
	for _, v := range f.Voices {
		if v.Gate != gate || !v.May || !v.By.Known() || v.Reason == "" || v.Digest != f.Artifact.Digest || v.HeadSHA != f.Pull.HeadSHA ||
			v.At.After(now) || !now.Before(v.At.Add(f.Rule.Override.For)) || v.At.Before(unknown(f, gate)) {
			continue
		}
		if old, ok := last[v.By.ID]; !ok || old.At.Before(v.At) {
			last[v.By.ID] = v
		}
	}
	var voices []Voice
	for _, v := range last {
		voices = append(voices, v)
	}
	slices.SortFunc(voices, func(a, b Voice) int {
		if c := a.At.Compare(b.At); c != 0 {
			return c
		}
		return int(a.By.ID - b.By.ID)
	})
	return voices
}

// unknown is until when nobody could know all that a gate says now: words spoken
// before were about less than a stop that was put up since, or a check that failed
// since.
func unknown(f Facts, gate string) (last time.Time) {
	switch gate {
	case GateStop:
		for _, s := range f.Stops {
			last = latest(last, s.Since)
		}
	case GateChecks:
		for _, c := range f.Checks {
			if c.State == CheckFailed {
				last = latest(last, c.At)
			}
		}
	}
	return last
}

func latest(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// needed is how many people an override takes: nobody is alone with it.
const needed = 2

// overridden applies what people said to the gates that do not pass.
func overridden(f Facts, gates []Gate, now time.Time) []Gate {
	for i, g := range gates {
		// What is not known cannot be judged by anybody.
		if g.Verdict == Pass || g.Name == GateChecks && !f.ChecksKnown {
			continue
		}
		voices := Overriders(f, g.Name, now)
		if len(voices) == 0 {
			continue
		}
		// It ends when one word too few holds.
		until := voices[max(0, len(voices)-needed)].At.Add(f.Rule.Override.For)
		if len(voices) < needed {
			g.Reason += fmt.Sprintf(" %s asks to override this (“%s”), which takes a second person of %s: /override %s <reason>, before %s.",
				voices[0].By.Login, voices[0].Reason, f.Rule.Override.Who, g.Name, until.UTC().Format(clock))
			if g.NextCheck.IsZero() || until.Before(g.NextCheck) {
				g.NextCheck = until
			}
			gates[i] = g
			continue
		}
		var by []string
		for _, v := range voices {
			by = append(by, fmt.Sprintf("%s (“%s”)", v.By.Login, v.Reason))
		}
		g.Reason = fmt.Sprintf("Overridden by %s, until %s. Without that: %s", and(by), until.UTC().Format(clock), g.Reason)
		g.Verdict, g.Owner, g.Missing, g.NextCheck, g.Until = Overridden, "", 0, until, until
		switch u := followUp(f, g.Name); {
		case u == nil:
		case u.URL == "":
			g.Reason += " No issue could be opened to follow this up; see to it yourselves."
		default:
			g.URL = u.URL
		}
		gates[i] = g
	}
	return gates
}

// followUp is the follow-up of a gate's override on this head; nil if there is none.
func followUp(f Facts, gate string) *FollowUp {
	for _, u := range f.FollowUps {
		if u.Gate == gate && f.Pull != nil && u.HeadSHA == f.Pull.HeadSHA {
			return &u
		}
	}
	return nil
}

// Unfollowed are the overridden gates that nobody follows up yet.
func Unfollowed(f Facts, gates []Gate) []Gate {
	return slices.DeleteFunc(slices.Clone(gates), func(g Gate) bool { return g.Verdict != Overridden || followUp(f, g.Name) != nil })
}

// and joins words as people do.
func and(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " and " + words[last]
}
