package promotion

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// inSet are the facts of the promotion that acts for a set, with its companions.
func inSet(f Facts, companions ...Facts) Facts {
	for _, c := range companions {
		c.App = []string{"shop", "web", "catalog"}[len(f.Companions)]
		f.Companions = append(f.Companions, c)
	}
	return f
}

// mayMergeSet is what the merge of a set rests on: all that the merge of each does.
func mayMergeSet(f Facts, shown Shown, now time.Time) error {
	nothing := f.Plan.Nothing
	for _, c := range f.Companions {
		if !c.Plan.Nothing {
			nothing = false
		}
		switch {
		case !c.State.Active():
			return fmt.Errorf("%s has ended", c.App)
		case c.RuleErr == "" && !c.Rule.Auto:
			return fmt.Errorf("people merge %s", c.App)
		}
		if err := evidence(c, now); err != nil {
			return fmt.Errorf("%s: %w", c.App, err)
		}
		if f.Pull == nil || c.Pull.HeadSHA != f.Pull.HeadSHA {
			return fmt.Errorf("%s is not in this commit", c.App)
		}
		if err := lately(c, now); err != nil {
			return fmt.Errorf("%s: %w", c.App, err)
		}
	}
	f.Plan.Nothing = nothing
	return mayMerge(f, shown, now)
}

func setSound(f Facts) error {
	followed(&f)
	for i := range f.Companions {
		followed(&f.Companions[i])
	}
	d := Decide(f, same, noon)
	why := mayMergeSet(f, same(nil), noon)
	merges := Merge
	if f.Queue.Used {
		merges = EnterQueue
	}
	if why != nil && (d.Effect == Merge || d.Effect == EnterQueue) {
		return fmt.Errorf("merged although %w: %+v", why, d.Gates)
	}
	if why == nil && d.Effect != merges {
		return fmt.Errorf("%q although nothing is missing: %+v", d.Effect, d.Gates)
	}
	return nil
}

// Whatever happens to one of a set, or is lost of it, keeps all; and what has everything
// is merged.
func TestASetWaitsForEachOfIt(t *testing.T) {
	for _, all := range []map[string]func(*Facts){mishaps, losses} {
		for _, one := range names(all) {
			hit := ready()
			all[one](&hit)
			for _, f := range []Facts{inSet(ready(), ready(), hit), inSet(hit, ready(), ready())} {
				if err := setSound(f); err != nil {
					t.Errorf("%s: %v", one, err)
				}
			}
		}
	}
}

func TestASetRestsOnEverything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := anything(t)
		for range rapid.IntRange(1, 3).Draw(t, "companions") {
			f = inSet(f, anything(t))
		}
		if err := setSound(f); err != nil {
			t.Fatal(err)
		}
	})
}

// A companion is another commit's where its head is another one, though that is ours.
func TestASetIsOneCommit(t *testing.T) {
	c := ready()
	c.Pull.HeadSHA, c.Pull.OurHeadSHA = sha("2"), sha("2")
	if d := Decide(inSet(ready(), c), same, noon); d.Effect == Merge {
		t.Errorf("merged: %+v", d.Gates)
	}
}

// Who is led does nothing before the merge, whatever its gates say, and afterwards follows
// its own clusters.
func TestASetIsActedForByOne(t *testing.T) {
	f := ready()
	f.Led = true
	if d := Decide(f, same, noon); d.Effect != Rest {
		t.Errorf("it does not rest: %q", d.Effect)
	}
	f = merged()
	f.Led = true
	f.Reported.BranchDeleted = true
	if d := Decide(f, same, noon); d.Effect != CreateDeployment {
		t.Errorf("after the merge: %q", d.Effect)
	}
}

// Whoever looks at one app reads which other keeps it, and who can move that.
func TestTheGateOfASetSaysWhoWaitsForWhat(t *testing.T) {
	shop, web := ready(), ready()
	shop.Approval = Approval{Missing: 2, Reason: "0 of 2 approvals.", Owner: "team platform"}
	shop.Rule.Needs[0].Healthy = 3 * time.Hour
	web.Denial = &Denial{Tag: "1.7.0", By: "carol", Since: noon, Lift: "/allow prod web 1.7.0"}
	gates := Evaluate(inSet(ready(), shop, web), noon)
	g := gates[len(gates)-1]
	if g.Name != GateSet || g.Verdict != Fail || !strings.HasPrefix(g.Reason, "web is blocked by denylist: 1.7.0 was taken back here by carol") ||
		!strings.HasSuffix(g.Reason, "shop waits for approvals and upstream.") || !strings.Contains(g.Owner, "team platform") {
		t.Errorf("the gate says: %+v", g)
	}
	if want := noon.Add(time.Hour); !g.NextCheck.Equal(want) {
		t.Errorf("it is looked at again at %v, not %v", g.NextCheck, want)
	}
	web.Denial = nil
	gates = Evaluate(inSet(ready(), web), noon)
	if g := gates[len(gates)-1]; g.Verdict != Pass || g.Reason != "It is merged together with shop, which nothing keeps." {
		t.Errorf("the gate says: %+v", g)
	}
}

// What the base has of a set already stays in it; only a set of which it has all is
// withdrawn.
func TestASetChangesWhatThereIsToChange(t *testing.T) {
	has := ready()
	has.Plan.Nothing = true
	if d := Decide(inSet(has, ready()), same, noon); d.Effect != Merge {
		t.Errorf("one is there already: %q", d.Effect)
	}
	if d := Decide(inSet(has, has), same, noon); d.Effect != Withdraw || d.Why != "The base branch already has payments: 1.7.0 and shop: 1.7.0; there is nothing to change." {
		t.Errorf("all are there already: %q, %s", d.Effect, d.Why)
	}
}

// Answers that are too old are asked for by name.
func TestASetAsksForEachOfIt(t *testing.T) {
	shop := ready()
	shop.Trials[0].At = noon.Add(-10 * time.Minute)
	if d := Decide(inSet(ready(), shop), same, noon); d.Effect != AskClusters || d.App != "shop" {
		t.Errorf("%q of %q", d.Effect, d.App)
	}
	shop = ready()
	shop.Digest.Err, shop.Digest.ObservedAt = "timeout", noon.Add(-time.Hour)
	if d := Decide(inSet(ready(), shop), same, noon); d.Effect != AskRegistry || d.App != "shop" {
		t.Errorf("%q of %q", d.Effect, d.App)
	}
	shop = ready()
	shop.Pull = nil
	shop.RuleErr = "tagboat.yaml:3: no"
	leads := ready()
	leads.Pull = nil
	if d := Decide(inSet(leads, shop), same, noon); d.Effect != Rest || d.Why != "shop: tagboat.yaml:3: no" {
		t.Errorf("%q: %s", d.Effect, d.Why)
	}
}

// What people have to mend in Git is waited for by one app. A set that cannot be opened
// keeps all its apps from going by themselves, and nobody could close it.
func TestASetThatCannotBeOpenedEnds(t *testing.T) {
	for name, broken := range map[string]func(*Facts){
		"two are in one file":            func(f *Facts) { f.Plan = Plan{Err: "payments and shop are both in one file"} },
		"one would go back":              func(f *Facts) { f.Plan.Back, f.Plan.Current.Tag = true, "1.8.0" },
		"one takes back what is not now": func(f *Facts) { f.Back = &Rollback{}; f.Plan.Current.Tag = "1.8.0" },
	} {
		shop, leads := ready(), ready()
		shop.Pull, leads.Pull = nil, nil
		broken(&shop)
		if d := Decide(inSet(leads, shop), same, noon); d.Effect != RecordClosed || !strings.HasPrefix(d.Why, "shop: ") {
			t.Errorf("%s: %q, %s", name, d.Effect, d.Why)
		}
		leads.RuleErr = "tagboat.yaml:3: no"
		if d := Decide(inSet(leads, shop), same, noon); d.Effect != Rest {
			t.Errorf("%s, and tagboat.yaml is broken: %q, %s", name, d.Effect, d.Why)
		}
	}
}

// An approval of something else is taken back for whichever app asks for approvals.
func TestASetsStaleApprovalsAreDismissed(t *testing.T) {
	leads, shop := ready(), ready()
	leads.Rule.Approvals = false
	shop.Approval = Approval{Missing: 1, Stale: 1, Reason: "1 of 2", Owner: "team platform"}
	if d := Decide(inSet(leads, shop), same, noon); d.Effect != DismissReview || d.App != "shop" {
		t.Errorf("%q of %q", d.Effect, d.App)
	}
}
