package promotion

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// Verdict is what a gate says.
type Verdict string

const (
	Pass Verdict = "pass"
	Wait Verdict = "wait" // may pass by itself, or when somebody acts
	Fail Verdict = "fail" // will not pass unless something is changed

	// Overridden does not pass, and does not block: people answer for it.
	Overridden Verdict = "overridden"
)

// Blocks reports whether a verdict keeps a promotion from merging. One that nobody
// knows does.
func (v Verdict) Blocks() bool { return v != Pass && v != Overridden }

// Gate is one condition for merging, evaluated for one digest and one head SHA.
type Gate struct {
	Name      string // stable, lower-case: "digest", "head", "checks", ...
	Title     string // what people read
	Verdict   Verdict
	Reason    string
	Missing   int    // how many approvals, items or checks are still to come; 0 where nothing is counted
	Owner     string // who can move it
	URL       string
	NextCheck time.Time // when it may change by itself; zero when only an event can change it
	// Until is how long the verdict holds if nothing happens; zero where only an event
	// can end it. It is kept with the evidence, and not shown: it would be published
	// anew whenever it moves.
	Until time.Time
}

// The gates, in the order in which people read them.
const (
	GateConfig    = "config"
	GateDigest    = "digest"
	GateSignature = "signature"
	GateHead      = "head"
	GateRendered  = "rendered"
	GatePolicy    = "policy"
	GateDryRun    = "dry-run"
	GateChecks    = "checks"
	GateChecklist = "checklist"
	GateApprovals = "approvals"
	GateUpstream  = "upstream"
	GateDenial    = "denial"
	GateStop      = "stop"
	GateWindow    = "window"
	GateQueue     = "queue"
	GateSet       = "set"
)

// order are all gates, in the order in which people read them, and what they read.
var order = []struct{ name, title string }{
	{GateConfig, "Configuration"},
	{GateDigest, "Digest"},
	{GateSignature, "Signature"},
	{GateHead, "Commit"},
	{GateRendered, "Rendered"},
	{GatePolicy, "Policy"},
	{GateDryRun, "Dry run"},
	{GateChecks, "Checks"},
	{GateChecklist, "Checklist"},
	{GateApprovals, "Approvals"},
	{GateUpstream, "Upstream"},
	{GateDenial, "Denylist"},
	{GateStop, "Stopped"},
	{GateWindow, "Window"},
	{GateQueue, "Merge queue"},
	{GateSet, "Set"},
}

// Rank is a gate's place in the order in which people read them; one that is not
// known stands last.
func Rank(gate string) int {
	for i, g := range order {
		if g.name == gate {
			return i
		}
	}
	return len(order)
}

// Title is what people read for a gate.
func Title(gate string) string {
	if i := Rank(gate); i < len(order) {
		return order[i].title
	}
	return gate
}

// Every is how often a gate that does not pass is looked at again although nobody
// tells that it changed; 0 where somebody does, or where NextCheck says when.
func Every(gate string) time.Duration {
	if gate == GateDigest {
		return askAgain
	}
	return 0
}

// Evaluate answers for every gate of f. The order is fixed; gates that the
// environment does not ask for are left out.
func Evaluate(f Facts, now time.Time) []Gate {
	if f.RuleErr != "" {
		return []Gate{{
			Name: GateConfig, Title: "Configuration", Verdict: Fail,
			Reason: f.RuleErr, Owner: "whoever maintains tagboat.yaml",
		}}
	}
	gates := []Gate{digestGate(f)}
	if len(f.Rule.Signatures) > 0 {
		gates = append(gates, signatureGate(f))
	}
	gates = append(gates, headGate(f))
	if planErr(f) == "" { // else there is no edit that could be rendered
		gates = append(gates, renderedGate(f))
	}
	if f.Policy.Blocking+f.Policy.Warnings > 0 {
		gates = append(gates, policyGate(f))
	}
	if tries(f) { // else the gates above say why not
		gates = append(gates, dryRunGate(f))
	}
	gates = append(gates, checksGate(f))
	if len(f.Checklist) > 0 {
		gates = append(gates, checklistGate(f))
	}
	if f.Rule.Approvals {
		gates = append(gates, approvalsGate(f))
	}
	if len(f.Rule.Needs) > 0 && f.Back == nil {
		gates = append(gates, upstreamGate(f, now))
	}
	if f.Denial != nil {
		gates = append(gates, denialGate(f))
	}
	if len(stopping(f)) > 0 {
		gates = append(gates, stopGate(f))
	}
	if f.Rule.Schedule.Asked() && f.Back == nil {
		gates = append(gates, windowGate(f, now))
	}
	if f.Queue.Used {
		gates = append(gates, queueGate(f, now))
	}
	if len(f.Companions) > 0 {
		gates = append(gates, setGate(f, now))
	}
	return overridden(f, gates, now)
}

func allPass(gates []Gate) bool {
	return len(gates) > 0 && !slices.ContainsFunc(gates, func(g Gate) bool { return g.Verdict.Blocks() })
}

func digestGate(f Facts) Gate {
	g := Gate{Name: GateDigest, Title: "Digest", URL: f.Digest.URL}
	short := image.ShortDigest(f.Artifact.Digest)
	switch {
	case f.Digest.Err != "":
		g.Verdict, g.Owner = Wait, "the registry"
		g.Reason = "The registry could not be asked: " + f.Digest.Err + " Tagboat asks again by itself."
	case f.Digest.Now == "":
		g.Verdict, g.Owner = Wait, "Tagboat"
		g.Reason = "The registry has not been asked yet."
	case f.Digest.Now != f.Artifact.Digest:
		g.Verdict, g.Owner = Fail, "whoever pushed the tag again"
		g.Reason = fmt.Sprintf("Tag %s now points to %s, but this promotion was verified as %s. Push the new content under a new tag.",
			f.Artifact.Tag, image.ShortDigest(f.Digest.Now), short)
	case f.Back != nil:
		g.Verdict = Pass
		g.Reason = fmt.Sprintf("The registry still has %s, which was %s.", short, f.Artifact.Tag)
	default:
		g.Verdict = Pass
		g.Reason = fmt.Sprintf("Tag %s is %s in the registry.", f.Artifact.Tag, short)
	}
	return g
}

func headGate(f Facts) Gate {
	g := Gate{Name: GateHead, Title: "Commit"}
	switch {
	case f.Pull == nil:
		g.Verdict, g.Owner, g.Reason = Wait, "Tagboat", "The pull request is not open yet."
	case f.Pull.HeadSHA == "":
		g.Verdict, g.Owner, g.Reason = Wait, "GitHub", "The head commit is not known yet."
	case f.Pull.HeadSHA != f.Pull.OurHeadSHA && f.Pull.HeadOurs:
		g.Verdict, g.Owner, g.Reason = Wait, "Tagboat", "The commit is being made anew."
	case f.Pull.HeadSHA != f.Pull.OurHeadSHA:
		g.Verdict, g.Owner = Fail, "whoever pushed it"
		g.Reason = fmt.Sprintf("The head commit %s is not Tagboat's (which is %s). Remove it from the branch, or close this pull request and ask for the promotion again.",
			shortSHA(f.Pull.HeadSHA), shortSHA(f.Pull.OurHeadSHA))
	case planErr(f) != "":
		g.Verdict, g.Owner = Fail, "whoever maintains the overlay"
		g.Reason = planErr(f)
	case f.Plan.Hash == "":
		g.Verdict, g.Owner, g.Reason = Wait, "Tagboat", "What the base branch needs is not known yet."
	case f.Plan.Hash != f.Pull.EditHash:
		g.Verdict, g.Owner = Wait, "Tagboat"
		g.Reason = "The overlay changed on the base branch; the commit is being made anew."
	default:
		g.Verdict = Pass
		g.Reason = fmt.Sprintf("Only the image's tag and digest change, in commit %s.", shortSHA(f.Pull.HeadSHA))
	}
	return g
}

func renderedGate(f Facts) Gate {
	g := Gate{Name: GateRendered, Title: "Rendered"}
	switch {
	case f.Rendered.Err != "":
		g.Verdict, g.Owner, g.Reason = Fail, "whoever maintains the overlay", f.Rendered.Err
	case !f.Rendered.Known:
		g.Verdict, g.Owner, g.Reason = Wait, "Tagboat", "What the clusters would get has not been rendered yet."
	default:
		g.Verdict, g.Reason = Pass, f.Rendered.Summary
	}
	return g
}

func policyGate(f Facts) Gate {
	g := Gate{Name: GatePolicy, Title: "Policy", Verdict: Pass, Reason: f.Policy.Reason}
	if f.Policy.Blocking > 0 {
		g.Verdict, g.Owner = Fail, "whoever maintains the overlay"
	}
	return g
}

func checksGate(f Facts) Gate {
	g := Gate{Name: GateChecks, Title: "Checks"}
	if !f.ChecksKnown {
		g.Verdict, g.Owner = Wait, "GitHub"
		g.Reason = "GitHub has not said yet which checks the branch requires."
		return g
	}
	if len(f.Required) == 0 {
		g.Verdict, g.Reason = Pass, "No check is required for this environment."
		return g
	}
	var passed, pending, failed []string
	for i, name := range f.Required {
		if slices.Index(f.Required, name) < i {
			continue // several Apps have to report it, and were looked at together
		}
		c, reported := furthest(f, name)
		switch {
		case c.State == CheckFailed:
			failed = append(failed, fmt.Sprintf("%s (%s)", name, c.Conclusion))
			g.URL = c.URL
		case !reported:
			pending = append(pending, name+" (not reported)")
		case c.State == CheckPassed:
			passed = append(passed, name)
		default:
			pending = append(pending, name)
		}
	}
	switch {
	case len(failed) > 0:
		g.Verdict, g.Owner = Fail, "whoever owns the check"
		g.Reason = fmt.Sprintf("Not successful: %s. Mend it, then run the check again.", strings.Join(failed, ", "))
	case len(pending) > 0:
		g.Verdict, g.Owner, g.Missing = Wait, "CI", len(pending)
		g.Reason = "Waiting for " + strings.Join(pending, ", ") + "."
	default:
		g.Verdict, g.Reason = Pass, "Successful on this commit: "+strings.Join(passed, ", ")+"."
	}
	return g
}

// furthest is the result of a check that is furthest from success: checks of the
// same name may be required from several Apps. reported is false while fewer
// results are there than are required.
func furthest(f Facts, name string) (worst Check, reported bool) {
	var found []Check
	for _, c := range f.Checks {
		if c.Name == name {
			found = append(found, c)
		}
	}
	required := 0
	for _, n := range f.Required {
		if n == name {
			required++
		}
	}
	for _, state := range []CheckState{CheckFailed, CheckPending, CheckPassed} {
		if i := slices.IndexFunc(found, func(c Check) bool { return c.State == state }); i >= 0 {
			return found[i], len(found) >= required
		}
	}
	return Check{}, false
}

func checklistGate(f Facts) Gate {
	g := Gate{Name: GateChecklist, Title: "Checklist"}
	var open, by []string
	for _, item := range f.Checklist {
		switch {
		case item.Ticked:
			if !slices.Contains(by, item.By) {
				by = append(by, item.By)
			}
		case item.Refused != "":
			open = append(open, fmt.Sprintf("“%s” (%s ticked it, which does not count: %s)", item.Text, item.By, item.Refused))
		default:
			open = append(open, "“"+item.Text+"”")
		}
	}
	if len(open) > 0 {
		g.Verdict, g.Owner, g.Missing = Wait, cmp.Or(f.Rule.Tickers, "anyone with write permission"), len(open)
		g.Reason = fmt.Sprintf("%d of %d ticked; open: %s.", len(f.Checklist)-len(open), len(f.Checklist), strings.Join(open, ", "))
		return g
	}
	g.Verdict, g.Reason = Pass, fmt.Sprintf("All %d items are ticked, by %s.", len(f.Checklist), strings.Join(by, ", "))
	return g
}

func approvalsGate(f Facts) Gate {
	g := Gate{Name: GateApprovals, Title: "Approvals", Reason: f.Approval.Reason, Owner: f.Approval.Owner}
	switch {
	case f.Approval.Blocked:
		g.Verdict = Fail
	case f.Approval.Satisfied:
		g.Verdict, g.Owner = Pass, ""
	case f.Approval.Reason == "":
		g.Verdict, g.Owner, g.Reason = Wait, "Tagboat", "The reviews have not been read yet."
	default:
		g.Verdict, g.Missing = Wait, f.Approval.Missing
	}
	return g
}

func upstreamGate(f Facts, now time.Time) Gate {
	g := Gate{Name: GateUpstream, Title: "Upstream", Verdict: Pass}
	var reasons []string
	for _, need := range f.Rule.Needs {
		verdict, reason, next := needVerdict(f, need, now)
		reasons = append(reasons, reason)
		if verdict != Pass {
			g.Verdict, g.Owner = Wait, need.Env
		}
		if !next.IsZero() && (g.NextCheck.IsZero() || next.Before(g.NextCheck)) {
			g.NextCheck = next
		}
	}
	g.Reason = strings.Join(reasons, " ")
	return g
}

func needVerdict(f Facts, need Need, now time.Time) (Verdict, string, time.Time) {
	i := slices.IndexFunc(f.Upstream, func(u Upstream) bool { return u.Env == need.Env })
	want := fmt.Sprintf("%s (%s)", f.Artifact.Tag, image.ShortDigest(f.Artifact.Digest))
	if i < 0 || f.Upstream[i].Digest == "" {
		return Wait, fmt.Sprintf("Nothing is known to run in %s yet; %s must run there first.", need.Env, want), time.Time{}
	}
	up := f.Upstream[i]
	if up.Digest != f.Artifact.Digest {
		return Wait, fmt.Sprintf("%s runs %s (%s), not %s.", need.Env, up.Tag, image.ShortDigest(up.Digest), want), time.Time{}
	}
	if !up.Healthy {
		return Wait, fmt.Sprintf("%s has %s, but is not healthy: %s", need.Env, want, up.Reason), time.Time{}
	}
	if up.HealthySince.IsZero() {
		return Wait, fmt.Sprintf("%s has %s, but it is not known since when it is healthy.", need.Env, want), time.Time{}
	}
	if since := now.Sub(up.HealthySince); since < need.Healthy {
		at := up.HealthySince.Add(need.Healthy)
		return Wait, fmt.Sprintf("%s has to stay healthy with %s for %s, until %s.", need.Env, want,
			need.Healthy, at.UTC().Format(clock)), at
	}
	return Pass, fmt.Sprintf("%s is healthy with %s since %s.", need.Env, want, up.HealthySince.UTC().Format(clock)), time.Time{}
}

// stopGate waits for everything that people stopped.
func stopGate(f Facts) Gate {
	g := Gate{Name: GateStop, Title: "Stopped", Verdict: Wait}
	var reasons, owners []string
	for _, s := range stopping(f) {
		if !s.Until.IsZero() && (g.NextCheck.IsZero() || s.Until.Before(g.NextCheck)) {
			g.NextCheck = s.Until
		}
		reasons = append(reasons, s.Words())
		owners = append(owners, s.Lift)
	}
	g.Reason = strings.Join(reasons, " ")
	g.Owner = "people who may say " + strings.Join(owners, ", ")
	return g
}

// Words say who stopped what, why and until when.
func (s Stop) Words() string {
	words := fmt.Sprintf("%s stopped %s", s.By, s.What)
	if s.Reason != "" {
		words += fmt.Sprintf(" (“%s”)", s.Reason)
	}
	if !s.Until.IsZero() {
		words += " until " + s.Until.UTC().Format(clock)
	}
	return words + "."
}

func windowGate(f Facts, now time.Time) Gate {
	s := f.Rule.Schedule
	g := Gate{Name: GateWindow, Title: "Window", Verdict: Pass, Reason: s.Why(now)}
	if s.Open(now) {
		if g.Until = s.Closes(now); g.Until.IsZero() {
			g.Until = now.Truncate(24 * time.Hour).Add(7 * 24 * time.Hour) // to be looked for anew
		}
		return g
	}
	g.Verdict, g.Owner = Wait, "the calendar, and whoever maintains tagboat.yaml"
	if g.NextCheck = s.Opens(now); g.NextCheck.IsZero() {
		g.Reason += " There is no such time within a year; change windows in tagboat.yaml."
	} else {
		g.Reason += fmt.Sprintf(" The next such time begins at %s.", g.NextCheck.UTC().Format(clock))
	}
	return g
}

// clock is how people read a time. A gate's reason never says how long ago: it
// would change, and be published anew, at every look.
const clock = "2006-01-02 15:04:05 MST"

func shortSHA(sha string) string { return sha[:min(len(sha), 12)] }
