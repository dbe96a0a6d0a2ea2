package promotion

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/window"
)

// mishaps are what may be different from a promotion that is ready.
var mishaps = map[string]func(f *Facts){
	"no longer open":               func(f *Facts) { f.State = Closed },
	"replaced by a newer one":      func(f *Facts) { f.State = Superseded },
	"only proposed":                func(f *Facts) { f.State, f.Pull = Proposed, nil },
	"already merged":               func(f *Facts) { f.State = Merged },
	"broken configuration":         func(f *Facts) { f.RuleErr = "tagboat.yaml:3: no" },
	"people merge":                 func(f *Facts) { f.Rule.Auto = false },
	"another upstream":             func(f *Facts) { f.Rule.Needs = append(f.Rule.Needs, Need{Env: "load"}) },
	"nothing to change":            func(f *Facts) { f.Plan.Nothing = true },
	"overlay broken":               func(f *Facts) { f.Plan = Plan{Err: "not YAML"} },
	"overlay changed":              func(f *Facts) { f.Plan.Hash = "another edit" },
	"it would go back":             func(f *Facts) { f.Plan.Back = true },
	"it takes back what is there":  func(f *Facts) { f.Back = &Rollback{Bad: image.Ref{Tag: "1.6.0"}} },
	"it does so by itself":         func(f *Facts) { f.Back = &Rollback{Bad: image.Ref{Tag: "1.6.0"}, Automatic: true} },
	"it takes back something else": func(f *Facts) { f.Back = &Rollback{Bad: image.Ref{Tag: "1.5.0"}} },
	"it was taken back":            func(f *Facts) { f.Denial = &Denial{Tag: "1.7.0", By: "carol", Lift: "/allow prod payments 1.7.0"} },
	"on hold": func(f *Facts) {
		f.Stops = append(f.Stops, Stop{What: "payments in prod", By: "carol", Lift: "/unhold", Pair: true})
	},
	"no labels":                 on(func(p *Pull) { p.Labelled = false }),
	"tag moved":                 func(f *Facts) { f.Digest.Now = digest("b") },
	"registry asked long ago":   func(f *Facts) { f.Digest.ObservedAt = noon.Add(-time.Hour) },
	"registry down":             func(f *Facts) { f.Digest.Err = "timeout" },
	"not signed yet":            sig(func(s *Signature) { s.Answer, s.By = Unsigned, "" }),
	"not signed for long":       sig(func(s *Signature) { s.Answer, s.By, s.Since = Unsigned, "", noon.Add(-time.Hour) }),
	"signed by somebody else":   sig(func(s *Signature) { s.Answer, s.By, s.Reason = SignedElse, "", "layer 1: not by this key." }),
	"no look for signatures":    sig(func(s *Signature) { s.Answer, s.By, s.Reason = SignedUnread, "", "timeout." }),
	"signed before":             sig(func(s *Signature) { s.At = noon.Add(-6 * time.Minute) }),
	"signed tomorrow":           sig(func(s *Signature) { s.At = noon.Add(24 * time.Hour) }),
	"signed for another digest": sig(func(s *Signature) { s.Digest = digest("b") }),
	"another key":               demand(func(d *Demand) { d.ID = "key 3" }),
	"no key": demand(func(d *Demand) {
		*d = Demand{Who: "key release.pub", Err: "release.pub is not there.", Owner: "whoever"}
	}),
	"an unusable key": demand(func(d *Demand) {
		d.Err, d.Owner = "release.pub is no key.", "whoever"
	}),
	"one more signature":        func(f *Facts) { f.Rule.Signatures = append(f.Rule.Signatures, Demand{ID: "key 4"}) },
	"no signatures are asked":   func(f *Facts) { f.Rule.Signatures, f.Signatures = nil, nil },
	"a foreign commit":          on(func(p *Pull) { p.HeadSHA = sha("2") }),
	"an answer lost":            on(func(p *Pull) { p.HeadSHA, p.HeadOurs = sha("3"), true }),
	"closed":                    on(func(p *Pull) { p.Closed = true }),
	"merged by somebody":        on(func(p *Pull) { p.Merged = true }),
	"behind":                    on(func(p *Pull) { p.Behind = true }),
	"lint failed":               func(f *Facts) { check(f, "lint", CheckFailed) },
	"scan runs":                 func(f *Facts) { check(f, "scan", CheckPending) },
	"one more check":            func(f *Facts) { f.Required = append(f.Required, "e2e") },
	"two Apps have to lint":     func(f *Facts) { f.Required = append(f.Required, "lint") },
	"another App's lint failed": func(f *Facts) { f.Checks = append(f.Checks, Check{Name: "lint", State: CheckFailed}) },
	"another App's lint runs":   func(f *Facts) { f.Checks = append(f.Checks, Check{Name: "lint", State: CheckPending}) },
	"protection unknown":        func(f *Facts) { f.ChecksKnown = false },
	"an approval missing":       func(f *Facts) { f.Approval = Approval{Missing: 1, Reason: "1 of 2.", Owner: "team platform"} },
	"an approval is stale":      func(f *Facts) { f.Approval.Stale = 1 },
	"changes requested":         func(f *Facts) { f.Approval = Approval{Satisfied: true, Blocked: true, Reason: "dave.", Owner: "dave"} },
	"one more item":             func(f *Facts) { f.Checklist = append(f.Checklist, ChecklistItem{ID: "new", Text: "New"}) },
	"upstream has another":      up(func(u *Upstream) { u.Digest = digest("0") }),
	"upstream ill":              up(func(u *Upstream) { u.Healthy, u.Reason = false, "eu is failed" }),
	"upstream healthy just now": up(func(u *Upstream) { u.HealthySince = noon }),
	"it does not render":        func(f *Facts) { f.Rendered.Err = "no such file" },
	"a policy is violated":      func(f *Facts) { f.Policy = Policy{Blocking: 1, Reason: "no limits"} },
	"a policy warns":            func(f *Facts) { f.Policy.Warnings, f.Policy.Reason = 3, "no probes" },
	"a cluster declines":        trial(func(t *Trial) { t.Answer, t.Reason, t.Owner = Declined, "eu refuses it.", "whoever" }),
	"a cluster is away":         trial(func(t *Trial) { t.Answer, t.Reason = Unclear, "eu cannot be reached." }),
	"clusters asked before":     trial(func(t *Trial) { t.At, t.Since = noon.Add(-6*time.Minute), noon.Add(-time.Hour) }),
	"clusters asked long ago":   trial(func(t *Trial) { t.At, t.Since = noon.Add(-2*time.Hour), noon.Add(-2*time.Hour) }),
	"clusters only warn":        func(f *Facts) { f.Rule.Trying = TryWarn },
	"clusters are not asked":    func(f *Facts) { f.Rule.Trying, f.Trials = TryNothing, nil },
	"one more cluster":          func(f *Facts) { f.Rule.Clusters = append(f.Rule.Clusters, "asia") },
	"stopped":                   func(f *Facts) { f.Stops = append(f.Stops, Stop{What: "prod", By: "carol", Lift: "/thaw prod"}) },
	"outside of the window":     func(f *Facts) { f.Rule.Schedule = closed },
	"alice overrides checks":    says(GateChecks, 1, nil),
	"bob overrides checks":      says(GateChecks, 2, nil),
	"alice overrides upstream":  says(GateUpstream, 1, nil),
	"bob overrides upstream":    says(GateUpstream, 2, nil),
	"both override a stop":      func(f *Facts) { says(GateStop, 1, nil)(f); says(GateStop, 2, nil)(f) },
	"both override the window":  func(f *Facts) { says(GateWindow, 1, nil)(f); says(GateWindow, 2, nil)(f) },
	"both override anything":    func(f *Facts) { everything(f) },
	"alice alone, twice":        func(f *Facts) { says(GateChecks, 1, nil)(f); says(GateChecks, 1, nil)(f) },
	"an outsider, too":          says(GateChecks, 2, func(v *Voice) { v.May = false }),
	"of another head":           says(GateChecks, 2, func(v *Voice) { v.HeadSHA = sha("0") }),
	"of another digest":         says(GateUpstream, 2, func(v *Voice) { v.Digest = digest("b") }),
	"an hour ago":               says(GateUpstream, 2, func(v *Voice) { v.At = noon.Add(-time.Hour) }),
	"all may be overridden":     func(f *Facts) { f.Rule.Override.Gates = every() },
	"nobody may override":       func(f *Facts) { f.Rule.Override = Override{} },
	"an answer from tomorrow":   trial(func(t *Trial) { t.At = noon.Add(24 * time.Hour) }),
	"a merge queue":             func(f *Facts) { f.Queue.Used = true },
	"out of the queue":          func(f *Facts) { f.Queue = Queue{Used: true, LeftAt: noon.Add(-time.Minute)} },
	"long out of the queue":     func(f *Facts) { f.Queue = Queue{Used: true, LeftAt: noon.Add(-10 * time.Minute)} },
	"in the queue": func(f *Facts) {
		f.Queue = Queue{Used: true, HeadSHA: sha("1"), EnteredAt: noon.Add(-time.Minute), AskedAt: noon.Add(-time.Minute)}
	},
	"a day without changes": func(f *Facts) { f.Rule.Schedule = window.Schedule{Deny: []window.Window{opened.Allow[0].Window}} },
	"check of another head": func(f *Facts) { f.Published.CheckSHA = sha("0") },
	"another check shown":   func(f *Facts) { f.Published.CheckHash = "older" },
	"another body shown":    func(f *Facts) { f.Published.BodyHash = "older" },
}

// losses each take one fact away.
var losses = map[string]func(f *Facts){
	"the registry's answer":       func(f *Facts) { f.Digest.Now = "" },
	"everything of the registry":  func(f *Facts) { f.Digest = Digest{} },
	"a signature":                 func(f *Facts) { f.Signatures = f.Signatures[:max(0, len(f.Signatures)-1)] },
	"all signatures":              func(f *Facts) { f.Signatures = nil },
	"what a signature is":         sig(func(s *Signature) { s.Answer = NotLookedFor }),
	"whose a signature is":        sig(func(s *Signature) { s.Demand = "" }),
	"what a signature is for":     sig(func(s *Signature) { s.Digest = "" }),
	"when it was looked for":      sig(func(s *Signature) { s.At = time.Time{} }),
	"who has to sign":             func(f *Facts) { demand(func(d *Demand) { d.ID = "" })(f); sig(func(s *Signature) { s.Demand = "" })(f) },
	"the pull request":            func(f *Facts) { f.Pull = nil },
	"all of the pull request":     on(func(p *Pull) { *p = Pull{} }),
	"the head":                    on(func(p *Pull) { p.HeadSHA = "" }),
	"our head":                    on(func(p *Pull) { p.OurHeadSHA = "" }),
	"both heads":                  on(func(p *Pull) { p.HeadSHA, p.OurHeadSHA = "", "" }),
	"the edit in our head":        on(func(p *Pull) { p.EditHash = "" }),
	"the plan":                    func(f *Facts) { f.Plan.Hash = "" },
	"every edit":                  on(func(p *Pull) { p.EditHash = "" }, func(f *Facts) { f.Plan.Hash = "" }),
	"what is required":            func(f *Facts) { f.ChecksKnown = false },
	"what is required, wholly":    func(f *Facts) { f.ChecksKnown, f.Required = false, nil },
	"one result":                  func(f *Facts) { f.Checks = f.Checks[min(1, len(f.Checks)):] },
	"all results":                 func(f *Facts) { f.Checks = nil },
	"the reviews":                 func(f *Facts) { f.Approval = Approval{} },
	"a tick":                      func(f *Facts) { f.Checklist[0].Ticked = false },
	"what upstream runs":          up(func(u *Upstream) { u.Digest = "" }),
	"that upstream is healthy":    up(func(u *Upstream) { u.Healthy = false }),
	"since when upstream is":      up(func(u *Upstream) { u.HealthySince = time.Time{} }),
	"upstream":                    func(f *Facts) { f.Upstream = nil },
	"what it renders to":          func(f *Facts) { f.Rendered = Rendered{} },
	"a cluster's answer":          func(f *Facts) { f.Trials = f.Trials[:max(0, len(f.Trials)-1)] },
	"all answers of clusters":     func(f *Facts) { f.Trials = nil },
	"what a cluster answered":     trial(func(t *Trial) { t.Answer = NotAsked }),
	"when a cluster answered":     trial(func(t *Trial) { t.At = time.Time{} }),
	"what was published":          func(f *Facts) { f.Published = Published{} },
	"where the check was shown":   func(f *Facts) { f.Published.CheckSHA = "" },
	"what the check showed":       func(f *Facts) { f.Published.CheckHash = "" },
	"what the body showed":        func(f *Facts) { f.Published.BodyHash = "" },
	"the rule":                    func(f *Facts) { f.Rule.Auto = false },
	"the artifact's own identity": func(f *Facts) { f.Artifact.Digest = "" },
	"every digest":                func(f *Facts) { f.Artifact.Digest, f.Digest.Now, f.Rule.Needs, f.Rule.Signatures = "", "", nil, nil },
}

// says adds somebody's word, given on what is there now and then changed.
func says(gate string, who int64, change func(v *Voice)) func(f *Facts) {
	return func(f *Facts) {
		v := Voice{
			Gate: gate, By: Person{ID: who, Login: []string{"", "alice", "bob", "carol"}[who]}, May: true, Reason: "outage",
			Digest: f.Artifact.Digest, HeadSHA: sha("1"), At: noon.Add(-time.Minute),
		}
		if change != nil {
			change(&v)
		}
		f.Voices = append(slices.Clone(f.Voices), v)
	}
}

// every is every gate that there is.
func every() (all []string) {
	for _, g := range order {
		all = append(all, g.name)
	}
	return all
}

// everything has two people override every gate that there is, as a tagboat.yaml
// would allow it that nobody has validated.
func everything(f *Facts) {
	f.Rule.Override.Gates = every()
	for _, gate := range every() {
		says(gate, 1, nil)(f)
		says(gate, 2, nil)(f)
	}
}

// mayOverride says once more, in other words, whether two people override a gate.
func mayOverride(f Facts, gate string, now time.Time) bool {
	switch gate {
	case GateChecks, GateUpstream, GateStop, GateWindow:
	default:
		return false
	}
	people := map[int64]bool{}
	for _, v := range f.Voices {
		if v.Gate == gate && v.May && v.Digest == f.Artifact.Digest && v.HeadSHA == f.Pull.HeadSHA && now.Sub(v.At) < time.Hour && !v.At.After(now) {
			people[v.By.ID] = true
		}
	}
	return len(people) >= 2 && slices.Contains(f.Rule.Override.Gates, gate)
}

func on(change func(p *Pull), also ...func(f *Facts)) func(f *Facts) {
	return func(f *Facts) {
		if f.Pull != nil {
			change(f.Pull)
		}
		for _, more := range also {
			more(f)
		}
	}
}

func trial(change func(t *Trial)) func(f *Facts) {
	return func(f *Facts) {
		if len(f.Trials) > 0 {
			change(&f.Trials[0])
		}
	}
}

func demand(change func(d *Demand)) func(f *Facts) {
	return func(f *Facts) {
		if len(f.Rule.Signatures) > 0 {
			change(&f.Rule.Signatures[0])
		}
	}
}

func sig(change func(s *Signature)) func(f *Facts) {
	return func(f *Facts) {
		if len(f.Signatures) > 0 {
			change(&f.Signatures[0])
		}
	}
}

func up(change func(u *Upstream)) func(f *Facts) {
	return func(f *Facts) {
		if len(f.Upstream) > 0 {
			change(&f.Upstream[0])
		}
	}
}

func check(f *Facts, name string, state CheckState) {
	for i := range f.Checks {
		if f.Checks[i].Name == name {
			f.Checks[i].State = state
		}
	}
}

func names(of map[string]func(*Facts)) []string {
	var names []string
	for name := range of {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// anything draws the facts of a promotion to which up to four things happened.
func anything(t *rapid.T) Facts {
	f := ready()
	for _, name := range rapid.SliceOfN(rapid.SampledFrom(names(mishaps)), 0, 4).Draw(t, "mishaps") {
		mishaps[name](&f)
	}
	return f
}

// evidence says once more, in other words than the gates, what a merge rests on,
// whoever presses the button.
func evidence(f Facts, now time.Time) error {
	if f.RuleErr != "" || f.Pull == nil {
		return fmt.Errorf("there is nothing that could be judged")
	}
	for what, ok := range map[string]bool{
		"the registry has exactly this digest":      f.Digest.Err == "" && f.Digest.Now != "" && f.Digest.Now == f.Artifact.Digest,
		"the head is ours":                          f.Pull.HeadSHA != "" && f.Pull.HeadSHA == f.Pull.OurHeadSHA,
		"the head holds the edit that is needed":    f.Plan.Err == "" && f.Plan.Hash != "" && f.Pull.EditHash == f.Plan.Hash,
		"it is known which checks are required":     f.ChecksKnown,
		"the clusters' objects are known":           f.Rendered.Known && f.Rendered.Err == "",
		"no rule is violated":                       f.Policy.Blocking == 0,
		"GitHub's queue has not just refused it":    !f.Queue.Used || f.Queue.LeftAt.IsZero() || f.Queue.HeadSHA == f.Pull.HeadSHA || now.Sub(f.Queue.LeftAt) >= 10*time.Minute,
		"it leads where it may":                     mayLead(f),
		"nobody took it back":                       f.Denial == nil,
		"nobody stopped it":                         !stopped(f) || mayOverride(f, GateStop, now),
		"it is a time for changes":                  f.Back != nil || mayOverride(f, GateWindow, now) || mayChange(f.Rule.Schedule, now),
		"people approved, and nobody is against it": !f.Rule.Approvals || f.Approval.Satisfied && !f.Approval.Blocked,
	} {
		if !ok {
			return fmt.Errorf("it is not so that %s", what)
		}
	}
	for _, name := range f.Required {
		required, passed, other := 0, 0, 0
		for _, n := range f.Required {
			if n == name {
				required++
			}
		}
		for _, c := range f.Checks {
			switch {
			case c.Name == name && c.State == CheckPassed:
				passed++
			case c.Name == name:
				other++
			}
		}
		if (passed < required || other > 0) && !mayOverride(f, GateChecks, now) {
			return fmt.Errorf("check %s has passed %d times of %d, and not passed %d times", name, passed, required, other)
		}
	}
	for _, item := range f.Checklist {
		if !item.Ticked {
			return fmt.Errorf("%s is not ticked", item.ID)
		}
	}
	for _, cluster := range f.Rule.Clusters {
		if f.Rule.Trying == TryEnforce && !slices.ContainsFunc(f.Trials, func(t Trial) bool { return t.Cluster == cluster && t.Answer == Accepted }) {
			return fmt.Errorf("%s was not asked, or does not take it", cluster)
		}
	}
	for _, d := range f.Rule.Signatures {
		if !slices.ContainsFunc(f.Signatures, func(s Signature) bool {
			return d.Err == "" && d.ID != "" && s.Demand == d.ID && s.Digest == f.Artifact.Digest && s.Answer == SignedBy
		}) {
			return fmt.Errorf("%s has not signed it", d.ID)
		}
	}
	for _, need := range f.Rule.Needs {
		if f.Back == nil && !mayOverride(f, GateUpstream, now) && !slices.ContainsFunc(f.Upstream, func(u Upstream) bool {
			return u.Env == need.Env && u.Digest != "" && u.Digest == f.Artifact.Digest && u.Healthy && !u.HealthySince.IsZero() && !now.Before(u.HealthySince.Add(need.Healthy))
		}) {
			return fmt.Errorf("%s does not run it for %s", need.Env, need.Healthy)
		}
	}
	return nil
}

// mayLead is I5 in other words: forward is never back, and back only from what is
// taken back.
func mayLead(f Facts) bool {
	if f.Back != nil {
		return f.Plan.Nothing || f.Plan.Current.Tag == f.Back.Bad.Tag
	}
	return !f.Plan.Back
}

// stopped: everything that people stopped, but for the hold of a pair that a person
// takes back.
func stopped(f Facts) bool {
	for _, s := range f.Stops {
		if !s.Pair || f.Back == nil || f.Back.Automatic {
			return true
		}
	}
	return false
}

func mayChange(s window.Schedule, now time.Time) bool {
	for _, w := range s.Deny {
		if w.Contains(now) {
			return false
		}
	}
	for _, a := range s.Allow {
		if a.Contains(now) {
			return true
		}
	}
	return len(s.Allow) == 0
}

// lately says once more who was asked lately enough for a merge.
func lately(f Facts, now time.Time) error {
	for _, cluster := range f.Rule.Clusters {
		if f.Rule.Trying != TryNothing && !slices.ContainsFunc(f.Trials, func(t Trial) bool {
			return t.Cluster == cluster && t.Answer != NotAsked && now.Sub(t.At) <= 5*time.Minute && !t.At.After(now)
		}) {
			return fmt.Errorf("%s was not asked lately", cluster)
		}
	}
	for _, d := range f.Rule.Signatures {
		if !slices.ContainsFunc(f.Signatures, func(s Signature) bool { return s.Demand == d.ID && now.Sub(s.At) <= 5*time.Minute && !s.At.After(now) }) {
			return fmt.Errorf("the signature of %s was not looked for lately", d.ID)
		}
	}
	return nil
}

// mayMerge is what a merge of Tagboat's own rests on.
func mayMerge(f Facts, shown Shown, now time.Time) error {
	if err := evidence(f, now); err != nil {
		return err
	}
	if err := lately(f, now); err != nil {
		return err
	}
	for what, ok := range map[string]bool{
		"the pull request is open":             f.State == Open && !f.Pull.Closed && !f.Pull.Merged,
		"the pull request says whose it is":    f.Pull.Labelled,
		"there is something to change":         !f.Plan.Nothing,
		"the configuration wants it":           f.Rule.Auto,
		"GitHub's queue does not have it yet":  !f.Queue.Used || f.Queue.HeadSHA == "" || f.Queue.HeadSHA != f.Pull.HeadSHA || now.Sub(f.Queue.AskedAt) >= 15*time.Minute,
		"the head is on the newest base":       !f.Pull.Behind,
		"people see this verdict on this head": f.Published.CheckSHA == f.Pull.HeadSHA && f.Published.CheckHash == shown.CheckHash,
		"people see this body":                 f.Published.BodyHash == shown.BodyHash,
	} {
		if !ok {
			return fmt.Errorf("it is not so that %s", what)
		}
	}
	return nil
}

// sound judges a decision: a merge rests on everything, and so does the green check
// with which people may press the button themselves.
func sound(f Facts, d Decision, shown Shown, now time.Time) error {
	if why := evidence(f, now); why != nil && d.Passed() {
		return fmt.Errorf("every gate passes although %w: %+v", why, d.Gates)
	}
	why := mayMerge(f, shown, now)
	merges := Merge
	if f.Queue.Used {
		merges = EnterQueue
	}
	if why != nil && (d.Effect == Merge || d.Effect == EnterQueue) {
		return fmt.Errorf("merged although %w: %+v", why, d.Gates)
	}
	if why == nil && (d.Effect != merges || !d.Passed()) {
		return fmt.Errorf("%q although nothing is missing: %+v", d.Effect, d.Gates)
	}
	if f.Pull == nil {
		return nil
	}
	usable := f.RuleErr == "" && f.Plan.Err == "" && mayLead(f)
	if foreign := f.Pull.HeadSHA != f.Pull.OurHeadSHA && !f.Pull.HeadOurs; d.Effect == Regenerate && (foreign || !usable) {
		return fmt.Errorf("the head %s is overwritten: %+v", f.Pull.HeadSHA, d.Gates)
	}
	return nil
}

// judged judges what is decided on f, once everybody was told of what people override.
func judged(f Facts) error {
	d := Decide(f, same, noon)
	if len(Unfollowed(f, d.Gates)) > 0 && d.Effect == Merge {
		return fmt.Errorf("merged before anybody was told: %+v", d.Gates)
	}
	followed(&f)
	return sound(f, Decide(f, same, noon), same(nil), noon)
}

// I1, I4, I5, I10: what merges has everything that a merge rests on, and what has
// everything merges. One thing that is different, or any two.
func TestNothingMayBeMissing(t *testing.T) {
	all := names(mishaps)
	for i, one := range all {
		for _, other := range all[i:] {
			f := ready()
			mishaps[one](&f)
			if other != one {
				mishaps[other](&f)
			}
			if err := judged(f); err != nil {
				t.Errorf("%s, %s: %v", one, other, err)
			}
		}
	}
}

// And as many as may come together.
func TestAMergeRestsOnEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		if err := judged(f); err != nil {
			t.Fatal(err)
		}
	})
}

// What the merge queue has built is said yes to on what a merge rests on, and never
// while others are ahead; and it is the first thing that is done.
func TestAGroupIsJudgedAsAMergeIs(t *testing.T) {
	for _, one := range names(mishaps) {
		f := ready()
		mishaps[one](&f)
		f.Queue = Queue{Used: true, GroupSHA: sha("f")}
		if err := groupSound(f); err != nil {
			t.Errorf("%s: %v", one, err)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		f.Queue = Queue{Used: true, GroupSHA: sha("f"), Ahead: rapid.Bool().Draw(t, "others are ahead")}
		if err := groupSound(f); err != nil {
			t.Fatal(err)
		}
	})
}

func groupSound(f Facts) error {
	d := Decide(f, same, noon)
	if f.Pull == nil || len(d.Gates) == 0 {
		return nil // it has ended, or was never opened
	}
	why := evidence(f, noon)
	said := GroupVerdict(f, d.Gates)
	if said == Pass && (why != nil || f.Queue.Ahead) {
		return fmt.Errorf("yes is said to a group, ahead of which are others: %t, although %v", f.Queue.Ahead, why)
	}
	if why == nil && !f.Queue.Ahead && said != Pass {
		return fmt.Errorf("%q is said to a group that lacks nothing: %+v", said, d.Gates)
	}
	old := lately(f, noon)
	asks := (d.Effect == AskClusters || d.Effect == AskSignatures) && why == nil && old != nil
	if d.Effect != CheckGroup && !asks {
		return fmt.Errorf("%q, and GitHub waits for a check on its group", d.Effect)
	}
	if d.Effect == CheckGroup && why == nil && old != nil {
		return fmt.Errorf("a group is judged, and %w", old)
	}
	return nil
}

// followed has all overrides followed up.
func followed(f *Facts) {
	for _, gate := range every() {
		f.FollowUps = append(slices.Clone(f.FollowUps), FollowUp{Gate: gate, HeadSHA: sha("1"), URL: "https://github.example/acme/env/issues/9"})
	}
}

// Whatever people say, and whatever tagboat.yaml lets them say: what this is, who
// approved it and what it does stands.
func TestNoOverrideChangesWhatSomethingIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		plain := clone(f)
		plain.Voices = nil
		before := Evaluate(plain, noon)
		everything(&f)
		followed(&f)
		for i, g := range Evaluate(f, noon) {
			if g.Verdict == Overridden && !slices.Contains([]string{GateChecks, GateUpstream, GateStop, GateWindow}, g.Name) {
				t.Fatalf("gate %s was overridden", g.Name)
			}
			if before[i].Verdict == Pass && g.Verdict != Pass {
				t.Fatalf("gate %s passes, and is %s", g.Name, g.Verdict)
			}
		}
	})
}

// Nobody is alone with an override, however often and however much they say.
func TestOnePersonAloneOverridesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		who := rapid.Int64Range(1, 3).Draw(t, "who")
		f.Rule.Override = Override{Gates: every(), For: time.Hour, Who: "team sre"}
		for i := range f.Voices {
			if rapid.Bool().Draw(t, "theirs") {
				f.Voices[i].By.ID = who
			} else {
				f.Voices[i].May = false
			}
		}
		for _, gate := range every() {
			says(gate, who, nil)(&f)
		}
		for _, g := range Evaluate(f, noon) {
			if g.Verdict == Overridden {
				t.Fatalf("%d alone overrode %s: %+v", who, g.Name, f.Voices)
			}
		}
	})
}

// I10: what is not known never opens a gate. The facts that are lost are shown to
// people as before, so that it is not the new text that saves us.
func TestLosingAFactNeverMerges(t *testing.T) {
	for _, loss := range names(losses) {
		t.Run(loss, func(t *testing.T) {
			f := ready()
			losses[loss](&f)
			d := Decide(f, same, noon)
			if d.Effect == Merge {
				t.Error("merged without it")
			}
			if why := evidence(f, noon); why != nil && d.Passed() {
				t.Errorf("every gate passes although %v", why)
			}
		})
	}
}

// Nor does losing a fact mend what another is in the way of.
func TestLosingAFactMendsNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		before := Decide(f, same, noon)
		loss := rapid.SampledFrom(names(losses)).Draw(t, "loss")
		losses[loss](&f)
		if after := Decide(f, same, noon); after.Effect == Merge && (before.Effect != Merge || evidence(f, noon) != nil) {
			t.Fatalf("%q became a merge when %s was lost", before.Effect, loss)
		}
	})
}

// The same facts lead to the same step, and deciding changes none of them.
func TestDecideIsAFunction(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		before := clone(f)
		first, second := Decide(f, same, noon), Decide(clone(f), same, noon)
		if diff := cmp.Diff(first, second); diff != "" {
			t.Fatal(diff)
		}
		if diff := cmp.Diff(before, f); diff != "" {
			t.Fatalf("deciding changed the facts:\n%s", diff)
		}
	})
}

// Whoever looks at a promotion that does not move learns why, and who can move it.
func TestNothingStandsStillWithoutAReason(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		d := Decide(f, same, noon)
		if f.State == Merged {
			return
		}
		ended := !f.State.Active() || f.Pull != nil && (f.Pull.Merged || f.Pull.Closed)
		if ended != (len(d.Gates) == 0) || ended && d.Passed() {
			t.Fatalf("a promotion that has ended: %t; it has %d gates; they pass: %t", ended, len(d.Gates), d.Passed())
		}
		if ended {
			return
		}
		for _, g := range d.Gates {
			if g.Reason == "" || g.Verdict.Blocks() && g.Owner == "" {
				t.Fatalf("gate %s does not say why, or who can move it: %+v", g.Name, g)
			}
			if g.Verdict == Overridden && g.NextCheck.IsZero() {
				t.Fatalf("gate %s is overridden without an end", g.Name)
			}
			if g.Until.After(noon) && (d.NextCheck.IsZero() || d.NextCheck.After(g.Until)) {
				t.Fatalf("gate %s holds until %v, and nobody looks again before %v", g.Name, g.Until, d.NextCheck)
			}
			if !g.NextCheck.IsZero() && (g.Verdict == Pass || !g.NextCheck.After(noon)) {
				t.Fatalf("gate %s is to be looked at again at %v", g.Name, g.NextCheck)
			}
		}
		if d.Effect == Rest && d.Why == "" && d.Passed() && f.Rule.Auto && !(f.Queue.Used && f.Queue.HeadSHA == f.Pull.HeadSHA) {
			t.Fatalf("every gate passes, and nothing happens: %+v", f)
		}
	})
}

// truthful shows people what the gates say.
func truthful(gates []Gate) Shown {
	s := fmt.Sprint(gates)
	return Shown{CheckHash: "check " + s, BodyHash: "body " + s, CommentHash: "comment"}
}

// perform is what each effect does to the facts when it succeeds.
func perform(f *Facts, d Decision, step int) {
	ours := fmt.Sprintf("%040d", step+1)
	switch d.Effect {
	case OpenPull:
		f.State, f.Pull = Open, &Pull{Number: 7, HeadSHA: ours, OurHeadSHA: ours, EditHash: f.Plan.Hash}
	case Label:
		f.Pull.Labelled = true
	case AskRegistry:
		f.Digest.ObservedAt = noon
	case AskSignatures:
		asked := signatures(*f)
		for i, s := range asked {
			if asked[i].At = noon; s.Answer == NotLookedFor {
				asked[i] = signedBy(s.Demand)
				asked[i].Digest = f.Artifact.Digest
			}
		}
		f.Signatures = asked
	case AskClusters:
		asked := trials(*f)
		for i, t := range asked {
			if asked[i].At = noon; t.Answer == NotAsked {
				asked[i] = taken(t.Cluster)
			}
		}
		f.Trials = asked
	case Regenerate:
		f.Pull.HeadSHA, f.Pull.OurHeadSHA, f.Pull.EditHash, f.Pull.Behind = ours, ours, f.Plan.Hash, false
	case OpenFollowUp:
		for _, g := range Unfollowed(*f, d.Gates) {
			f.FollowUps = append(f.FollowUps, FollowUp{Gate: g.Name, HeadSHA: f.Pull.HeadSHA, URL: "https://github.example/acme/env/issues/9"})
		}
	case PublishCheck:
		f.Published.CheckSHA, f.Published.CheckHash = f.Pull.HeadSHA, truthful(d.Gates).CheckHash
	case PublishBody:
		f.Published.BodyHash = truthful(d.Gates).BodyHash
	case DismissReview:
		f.Approval.Stale--
	case Merge, RecordMerged, EnterQueue: // the queue is empty, and merges at once
		f.Pull.Merged, f.State = true, Merged
	case Withdraw:
		f.Pull.Closed = true
	case RecordClosed:
		f.State = Closed
	case TellClosed:
		f.Reported.Closing = true
	case DeleteBranch:
		f.Reported.BranchDeleted = true
	case CreateDeployment:
		f.Reported.Deployments = maps.Clone(f.Reported.Deployments)
		if f.Reported.Deployments == nil {
			f.Reported.Deployments = map[string]Outcome{}
		}
		f.Reported.Deployments[d.Cluster] = Pending
	case UpdateDeployment:
		f.Reported.Deployments = maps.Clone(f.Reported.Deployments)
		f.Reported.Deployments[d.Cluster] = d.Took
	case SetCommitStatus:
		f.Reported.CommitStatus = d.Status
	case PublishComment:
		f.Reported.CommentHash = truthful(nil).CommentHash
	case RecordDeployed:
		f.State = Deployed
	case RecordOvertaken:
		f.State = Superseded
	case TakeBack:
		f.Reported.TakenBack = true
	}
}

// settle performs what Decide says until it rests, and returns the steps.
func settle(t *rapid.T, f *Facts) []Effect {
	var steps []Effect
	for {
		d := Decide(*f, truthful, noon)
		if d.Effect == Rest {
			return steps
		}
		if steps = append(steps, d.Effect); len(steps) > 12 {
			t.Fatalf("it does not come to rest: %q", steps)
		}
		perform(f, d, len(steps))
	}
}

// A promotion comes to rest after few steps, whatever happened to it; when the
// obstacles go away it is merged, and when the clusters are healthy, deployed.
func TestAPromotionComesToAnEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		foreign := f.Pull != nil && f.Pull.HeadSHA != f.Pull.OurHeadSHA
		settle(t, &f)

		// Everybody does what the gates told them.
		goal := ready()
		f.Rule, f.RuleErr, f.Plan, f.Digest, f.Denial = goal.Rule, "", goal.Plan, goal.Digest, nil
		if f.Back != nil {
			f.Plan.Current = f.Back.Bad
		}
		f.Required, f.Checks, f.ChecksKnown, f.Signatures = goal.Required, goal.Checks, true, goal.Signatures
		f.Approval, f.Checklist, f.Upstream, f.Rendered, f.Policy, f.Stops, f.Trials, f.Queue = goal.Approval, goal.Checklist, goal.Upstream, goal.Rendered, goal.Policy, nil, goal.Trials, goal.Queue
		if foreign && f.Pull != nil {
			f.Pull.HeadSHA = f.Pull.OurHeadSHA // taken off the branch
		}
		settle(t, &f)
		if f.State == Closed || f.State == Superseded {
			return
		}
		if f.State != Merged {
			t.Fatalf("it is %s, and nothing is in its way: %+v", f.State, Evaluate(f, noon))
		}
		f.Targets = []Target{{Cluster: "eu", Digest: f.Artifact.Digest, Settled: true, Healthy: true}}
		if settle(t, &f); f.State != Deployed {
			t.Fatalf("it runs everywhere, and is %s", f.State)
		}
		if again := settle(t, &f); len(again) != 0 {
			t.Fatalf("after its end it goes on: %q", again)
		}
	})
}

// Where a promotion ends after the merge, and how often people are told, does not
// depend on how the clusters got there.
func TestTheClustersMayTakeAnyWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := merged()
		told := map[Effect]int{}
		for range rapid.IntRange(0, 6).Draw(t, "changes") {
			i := rapid.IntRange(0, 1).Draw(t, "cluster")
			f.Targets[i] = Target{
				Cluster: f.Targets[i].Cluster,
				Digest:  rapid.SampledFrom([]string{digest("0"), digest("a")}).Draw(t, "digest"), Settled: rapid.Bool().Draw(t, "settled"), Healthy: rapid.Bool().Draw(t, "healthy"),
				Held: rapid.Bool().Draw(t, "held"), Until: rapid.SampledFrom([]time.Time{{}, noon.Add(time.Minute)}).Draw(t, "until"),
			}
			for _, e := range settle(t, &f) {
				told[e]++
			}
		}
		f.Targets = []Target{{Cluster: "eu", Digest: digest("a"), Settled: true, Healthy: true}, {Cluster: "us", Digest: digest("a"), Settled: true, Healthy: true}}
		for _, e := range settle(t, &f) {
			told[e]++
		}
		if f.State != Deployed || told[RecordDeployed] != 1 || told[DeleteBranch] != 1 || told[CreateDeployment] != 2 {
			t.Fatalf("it is %s after %v", f.State, told)
		}
		if f.Reported.CommitStatus != StatusSuccess || f.Reported.Deployments["eu"] != Success || f.Reported.Deployments["us"] != Success {
			t.Fatalf("GitHub was told %q of the clusters, and %q of the commit", f.Reported.Deployments, f.Reported.CommitStatus)
		}
	})
}
