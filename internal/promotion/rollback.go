package promotion

import (
	"fmt"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// A rollback is a promotion that leads back to what was there before. It takes the fast
// lane: what it brings has soaked and ran here already, so that it waits for no needed
// environment, for no time of day, and, where a person asked for it, not for a hold of
// its own pair. It proves all else that a promotion proves.

// Rollback is what a promotion takes back.
type Rollback struct {
	Bad       image.Ref // what is taken back: only that is
	Automatic bool      // Tagboat proposed it by itself
}

// Denial keeps a digest out of an (app, environment).
type Denial struct {
	Tag    string // a short digest where it has none
	By     string // login
	Reason string // in their words; may be ""
	Since  time.Time
	Lift   string // the command that lifts it
}

// Words say who denied what, when, why, and what lifts it.
func (d Denial) Words() string {
	words := fmt.Sprintf("%s was taken back here by %s at %s", d.Tag, d.By, d.Since.UTC().Format(clock))
	if d.Reason != "" {
		words += fmt.Sprintf(" (“%s”)", d.Reason)
	}
	return words + ", and is denied until a person allows it again: " + d.Lift + "."
}

// denialGate fails for what was taken back. (There is no such gate for anything else.)
func denialGate(f Facts) Gate {
	return Gate{Name: GateDenial, Title: "Denylist", Verdict: Fail, Owner: "people who may say " + f.Denial.Lift, Reason: f.Denial.Words()}
}

// wrongWay says why the edit would not lead where the promotion may lead: forward
// never to something older (I5), back only from what is taken back. "" when it does.
func wrongWay(f Facts) string {
	now := f.Plan.Current
	switch {
	case f.Back == nil && f.Plan.Back:
		return fmt.Sprintf("%s is older than %s, which %s has now. A promotion never goes back; to go back, comment /rollback %s %s <reason>.",
			f.Artifact.Tag, now.Tag, f.Env, f.Env, f.App)
	case f.Back != nil && !f.Plan.Nothing && !sameVersion(now, f.Back.Bad):
		return fmt.Sprintf("%s has %s now, and this takes back %s. Close it; to take back %s, comment /rollback %s %s <reason>.",
			f.Env, versionOf(now), versionOf(f.Back.Bad), versionOf(now), f.Env, f.App)
	}
	return ""
}

// planErr is why the edit cannot be made, or may not.
func planErr(f Facts) string {
	if f.Plan.Err != "" {
		return f.Plan.Err
	}
	return wrongWay(f)
}

// stopping are the stops that a promotion waits for. A person who goes back could lift
// the hold of their pair as well; a freeze may have reasons that have nothing to do
// with a version, and what goes back by itself stops at everything.
func stopping(f Facts) []Stop {
	if f.Back == nil || f.Back.Automatic {
		return f.Stops
	}
	return slices.DeleteFunc(slices.Clone(f.Stops), func(s Stop) bool { return s.Pair })
}

// takesBack reports whether Tagboat takes a merged promotion back by itself: the first
// time that a rollout of it ended ill. A cluster that cannot be reached, or that a sync
// could not bring it to, tells nothing about the version; and a rollback is never rolled
// back.
func takesBack(f Facts, o Outcome) bool {
	return o == Failure && f.Rule.TakesBack && f.Back == nil && !f.Reported.TakenBack &&
		slices.ContainsFunc(f.Targets, func(t Target) bool { return t.Ill && t.Digest == f.Artifact.Digest && !t.Held })
}

// Change is a merged change of an (app, environment).
type Change struct {
	From, To image.Ref
	Commit   string
	Back     bool // a rollback
}

// WayBack finds what there was before what there is now, passing over what is denied,
// and the changes that are undone by going there, the newest first. past is what was
// merged, the newest first; rollbacks in it undo others and are no way of their own.
// What is there now is not gone back to either, by whatever detour: taking it back would
// deny what is running. ok is false where nothing that is known leads back.
func WayBack(now image.Ref, past []Change, denied func(image.Ref) bool) (to image.Ref, undone []Change, ok bool) {
	start := now
	for _, c := range past {
		if c.Back || !sameVersion(c.To, now) || sameVersion(c.From, now) {
			continue
		}
		undone = append(undone, c)
		if c.From.Tag == "" && c.From.Digest == "" || sameVersion(c.From, start) {
			return image.Ref{}, nil, false
		}
		if !denied(c.From) {
			return c.From, undone, true
		}
		now = c.From
	}
	return image.Ref{}, nil, false
}

// sameVersion compares by digest, which is the identity; by tag where one has none.
func sameVersion(a, b image.Ref) bool {
	if a.Digest != "" && b.Digest != "" {
		return a.Digest == b.Digest
	}
	return a.Tag != "" && a.Tag == b.Tag
}

func versionOf(r image.Ref) string {
	switch {
	case r.Tag != "":
		return r.Tag
	case r.Digest != "":
		return image.ShortDigest(r.Digest)
	}
	return "something else"
}
