package promotion

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/window"
)

func TestGates(t *testing.T) {
	for _, c := range []struct {
		gate    string
		story   string
		change  func(f *Facts)
		verdict Verdict
		says    string // part of the reason
		missing int
	}{
		{GateDigest, "the registry has the digest that was verified", func(f *Facts) {}, Pass, "Tag 1.7.0 is sha256:aaaaaaaaaaaa", 0},
		{GateDigest, "the registry was never asked", func(f *Facts) { f.Digest = Digest{} }, Wait, "has not been asked", 0},
		{GateDigest, "the registry is down", func(f *Facts) { f.Digest = Digest{Err: "connection refused"} }, Wait, "connection refused", 0},
		{GateDigest, "the registry is down, and what it once said is remembered", func(f *Facts) { f.Digest.Err = "timeout" }, Wait, "timeout", 0},
		{GateDigest, "the tag was pushed again", func(f *Facts) { f.Digest.Now = digest("b") }, Fail, "now points to sha256:bbbbbbbbbbbb", 0},

		{GateSignature, "both signatures are there", func(f *Facts) {}, Pass, "sha256:aaaaaaaaaaaa is signed by key 1. sha256:aaaaaaaaaaaa is signed by key 2.", 0},
		{GateSignature, "nobody has looked", func(f *Facts) { f.Signatures = nil }, Wait, "has not been asked for the signature by key release.pub yet", 0},
		{GateSignature, "one was looked for at another digest", func(f *Facts) { f.Signatures[1].Digest = digest("b") }, Wait, "has not been asked for the signature by key audit.pub yet", 0},
		{GateSignature, "the key was replaced", func(f *Facts) { f.Rule.Signatures[0].ID = "key 9" }, Wait, "has not been asked for the signature by key release.pub yet", 0},
		{GateSignature, "it is not signed", func(f *Facts) { f.Signatures[0].Answer = Unsigned }, Wait, "is not signed yet; key release.pub has to sign it. Tagboat looks again by itself. sha256:aaaaaaaaaaaa is signed by key 2.", 0},
		{GateSignature, "somebody else has signed it", func(f *Facts) {
			f.Signatures[1].Answer, f.Signatures[1].Reason = SignedElse, "layer 1: it is not by this key."
		}, Fail, "is not signed by key audit.pub, only otherwise. layer 1: it is not by this key.", 0},
		{GateSignature, "the registry is down", func(f *Facts) { f.Signatures[0].Answer, f.Signatures[0].Reason = SignedUnread, "timeout." }, Wait, "could not be asked for the signature by key release.pub: timeout. Tagboat asks again by itself", 0},
		{GateSignature, "a key cannot be read", func(f *Facts) {
			f.Rule.Signatures[0].Err, f.Rule.Signatures[0].Owner = "release.pub is not there.", "whoever maintains tagboat.yaml"
		}, Fail, "release.pub is not there.", 0},
		{GateSignature, "one fails, the other waits", func(f *Facts) { f.Signatures[0].Answer, f.Signatures[1].Answer = Unsigned, SignedElse }, Fail, "is not signed by key audit.pub, only otherwise.", 0},

		{GateHead, "the head is the commit that Tagboat made", func(f *Facts) {}, Pass, "commit 111111111111", 0},
		{GateHead, "there is no pull request yet", func(f *Facts) { f.Pull = nil }, Wait, "not open yet", 0},
		{GateHead, "somebody pushed to the branch", func(f *Facts) { f.Pull.HeadSHA = sha("2") }, Fail, "222222222222 is not Tagboat's (which is 111111111111)", 0},
		{GateHead, "no head is known at all", func(f *Facts) { f.Pull.HeadSHA, f.Pull.OurHeadSHA = "", "" }, Wait, "not known", 0},
		{GateHead, "the overlay cannot be read", func(f *Facts) { f.Plan = Plan{Err: "kustomization.yaml:3: not YAML"} }, Fail, "kustomization.yaml:3", 0},
		{GateHead, "the overlay changed on the base", func(f *Facts) { f.Plan.Hash = "another edit" }, Wait, "made anew", 0},
		{GateHead, "what the base needs is not known", func(f *Facts) { f.Plan.Hash = "" }, Wait, "not known", 0},

		{GateChecks, "every required check succeeded", func(f *Facts) {}, Pass, "lint, scan", 0},
		{GateChecks, "nothing is required", func(f *Facts) { f.Required = nil }, Pass, "No check is required", 0},
		{GateChecks, "the protection could not be read", func(f *Facts) { f.ChecksKnown = false }, Wait, "which checks the branch requires", 0},
		{GateChecks, "nothing is known to be required, because nothing could be read", func(f *Facts) { f.ChecksKnown, f.Required = false, nil }, Wait, "which checks", 0},
		{GateChecks, "one was never reported", func(f *Facts) { f.Checks = f.Checks[:1] }, Wait, "scan (not reported)", 1},
		{GateChecks, "one runs", func(f *Facts) { f.Checks[0].State = CheckPending }, Wait, "Waiting for lint.", 1},
		{GateChecks, "none has come to an end", func(f *Facts) { f.Checks[0].State = CheckPending; f.Checks = f.Checks[:1] }, Wait, "lint, scan (not reported)", 2},
		{GateChecks, "one timed out", func(f *Facts) { f.Checks[1].State, f.Checks[1].Conclusion = CheckFailed, "timed_out" }, Fail, "scan (timed_out)", 0},
		{GateChecks, "one failed while another runs", func(f *Facts) { f.Checks[0].State, f.Checks[1].State = CheckPending, CheckFailed }, Fail, "scan", 0},
		{GateChecks, "a check that nobody requires failed", func(f *Facts) { f.Checks = append(f.Checks, Check{Name: "coverage", State: CheckFailed}) }, Pass, "lint, scan", 0},
		{GateChecks, "two Apps must report lint, and one of them failed", func(f *Facts) {
			f.Required = []string{"lint", "lint", "scan"}
			f.Checks = append(f.Checks, Check{Name: "lint", State: CheckFailed, Conclusion: "failure"})
		}, Fail, "lint (failure)", 0},
		{GateChecks, "two Apps must report lint, and one of them has not", func(f *Facts) { f.Required = []string{"lint", "lint", "scan"} }, Wait, "lint (not reported)", 1},

		{GateChecklist, "everything is ticked", func(f *Facts) {}, Pass, "All 2 items are ticked, by bob, carol.", 0},
		{GateChecklist, "one item is open", func(f *Facts) { f.Checklist[1].Ticked = false }, Wait, "1 of 2 ticked; open: “Support knows”", 1},
		{GateChecklist, "who ticked it may not", func(f *Facts) {
			f.Checklist[1].Ticked, f.Checklist[1].Refused = false, "only team platform may"
		}, Wait, "1 of 2 ticked; open: “Support knows” (carol ticked it, which does not count: only team platform may).", 1},
		{GateChecklist, "nothing is ticked", func(f *Facts) { f.Checklist[0].Ticked, f.Checklist[1].Ticked = false, false }, Wait, "0 of 2 ticked", 2},

		{GateApprovals, "enough people approved", func(f *Facts) {}, Pass, "bob, carol", 0},
		{GateApprovals, "one is missing", func(f *Facts) {
			f.Approval = Approval{Missing: 1, Reason: "1 of 2 approvals (bob).", Owner: "team platform"}
		}, Wait, "1 of 2", 1},
		{GateApprovals, "somebody asked for changes", func(f *Facts) {
			f.Approval = Approval{Blocked: true, Satisfied: true, Reason: "dave asked for changes.", Owner: "dave"}
		}, Fail, "dave", 0},
		{GateApprovals, "the reviews were not read", func(f *Facts) { f.Approval = Approval{} }, Wait, "not been read", 0},

		{GateUpstream, "staging is healthy for long enough", func(f *Facts) {}, Pass, "staging is healthy with 1.7.0 (sha256:aaaaaaaaaaaa) since 2026-03-05 10:00:00 UTC", 0},
		{GateUpstream, "nothing is known about staging", func(f *Facts) { f.Upstream = nil }, Wait, "Nothing is known to run in staging", 0},
		{GateUpstream, "nothing was ever deployed to staging", func(f *Facts) { f.Upstream[0].Digest = "" }, Wait, "Nothing is known to run in staging", 0},
		{GateUpstream, "staging runs an older version", func(f *Facts) { f.Upstream[0].Digest, f.Upstream[0].Tag = digest("0"), "1.6.0" }, Wait, "staging runs 1.6.0 (sha256:000000000000), not 1.7.0", 0},
		{GateUpstream, "staging runs the same tag with other content", func(f *Facts) { f.Upstream[0].Digest = digest("b") }, Wait, "staging runs 1.7.0 (sha256:bbbbbbbbbbbb), not 1.7.0 (sha256:aaaaaaaaaaaa)", 0},
		{GateUpstream, "staging is ill", func(f *Facts) { f.Upstream[0].Healthy, f.Upstream[0].Reason = false, "eu is failed" }, Wait, "eu is failed", 0},
		{GateUpstream, "staging is healthy, but nobody knows since when", func(f *Facts) { f.Upstream[0].HealthySince = time.Time{} }, Wait, "since when", 0},
		{GateUpstream, "staging is healthy since a moment ago", func(f *Facts) { f.Upstream[0].HealthySince = noon.Add(-time.Minute) }, Wait, "for 1h0m0s, until 2026-03-05 12:59:00 UTC", 0},
		{GateUpstream, "one of two is not ready", func(f *Facts) { f.Rule.Needs = append(f.Rule.Needs, Need{Env: "load"}) }, Wait, "Nothing is known to run in load", 0},

		{GateRendered, "it is rendered", func(f *Facts) {}, Pass, "only images change", 0},
		{GateRendered, "it cannot be rendered", func(f *Facts) { f.Rendered.Err = "apps/payments: no such file" }, Fail, "no such file", 0},
		{GateRendered, "it was not rendered", func(f *Facts) { f.Rendered = Rendered{} }, Wait, "not been rendered yet", 0},

		{GatePolicy, "a rule is violated", func(f *Facts) { f.Policy = Policy{Blocking: 1, Warnings: 2, Reason: "resource-limits: no limit."} }, Fail, "no limit", 0},
		{GatePolicy, "a rule warns", func(f *Facts) { f.Policy = Policy{Warnings: 2, Reason: "probes: none."} }, Pass, "none", 0},

		{GateDryRun, "every cluster takes it", func(f *Facts) {}, Pass, "eu takes it. us takes it.", 0},
		{GateDryRun, "no cluster was asked", func(f *Facts) { f.Trials = nil }, Wait, "Cluster eu has not been asked yet. Cluster us has", 0},
		{GateDryRun, "one cluster was not asked", func(f *Facts) { f.Trials = f.Trials[:1] }, Wait, "Cluster us has not been asked yet. eu takes it.", 0},
		{GateDryRun, "other objects were tried in one cluster", func(f *Facts) { f.Trials[0] = Trial{Cluster: "eu"} }, Wait, "Cluster eu has not been asked yet. us takes it.", 0},
		{GateDryRun, "a cluster is away", func(f *Facts) {
			f.Trials[1] = Trial{Cluster: "us", Answer: Unclear, At: noon, Since: noon, Reason: "us cannot be reached."}
		}, Wait, "us cannot be reached. eu takes it.", 0},
		{GateDryRun, "one cluster is away, and the other refuses", func(f *Facts) {
			f.Trials[0] = Trial{Cluster: "eu", Answer: Unclear, At: noon, Since: noon, Reason: "eu cannot be reached."}
			f.Trials[1] = Trial{Cluster: "us", Answer: Declined, At: noon, Since: noon, Reason: "us refuses it.", Owner: "an administrator"}
		}, Fail, "us refuses it. eu cannot be reached.", 0},
		{GateDryRun, "a cluster refuses, where that only warns", func(f *Facts) {
			f.Rule.Trying = TryWarn
			f.Trials[1] = Trial{Cluster: "us", Answer: Declined, At: noon, Since: noon, Reason: "us refuses it."}
		}, Pass, "Only a warning: us refuses it.", 0},
		{GateDryRun, "an answer is old", func(f *Facts) { f.Trials[0].At = noon.Add(-24 * time.Hour) }, Pass, "eu takes it.", 0},

		{GateStop, "a person holds it", func(f *Facts) {
			f.Stops = []Stop{{What: "payments in prod", By: "carol", Reason: "the migration", Lift: "/unhold"}}
		}, Wait, "carol stopped payments in prod (“the migration”).", 0},
		{GateStop, "two stops, of which one ends", func(f *Facts) {
			f.Stops = []Stop{{What: "all of prod", By: "bob", Until: noon.Add(time.Hour), Lift: "/thaw prod"}, {What: "payments in prod", By: "carol", Lift: "/unhold"}}
		}, Wait, "bob stopped all of prod until 2026-03-05 13:00:00 UTC. carol stopped payments in prod.", 0},

		{GateWindow, "it is open", func(f *Facts) {}, Pass, "It is within Thu 09:00-16:00 UTC.", 0},
		{GateWindow, "it opens in an hour", func(f *Facts) { f.Rule.Schedule = closed }, Wait, "The next such time begins at 2026-03-05 13:00:00 UTC.", 0},
		{GateQueue, "it has not entered", func(f *Facts) { f.Queue.Used = true }, Pass, "what passes all other gates enters it", 0},
		{GateQueue, "it is in it", func(f *Facts) { inQueue(f, sha("1"), time.Minute) }, Pass, "In GitHub's merge queue since 2026-03-05 11:59:00 UTC.", 0},
		{GateQueue, "it was taken out", func(f *Facts) { f.Queue = Queue{Used: true, LeftAt: noon.Add(-time.Minute)} }, Wait, "enters it again at 2026-03-05 12:09:00 UTC.", 0},
		{GateWindow, "it never opens again", func(f *Facts) { f.Rule.Schedule = schedule("2026-03-04") }, Wait, "no such time within a year", 0},
	} {
		t.Run(c.gate+": "+c.story, func(t *testing.T) {
			f := ready()
			c.change(&f)
			gates := Evaluate(f, noon)
			i := slices.IndexFunc(gates, func(g Gate) bool { return g.Name == c.gate })
			if i < 0 {
				t.Fatalf("no gate %s in %+v", c.gate, gates)
			}
			g := gates[i]
			if g.Verdict != c.verdict || g.Missing != c.missing || !strings.Contains(g.Reason, c.says) {
				t.Errorf("%s, %d missing: %q; want %s, %d, and %q", g.Verdict, g.Missing, g.Reason, c.verdict, c.missing, c.says)
			}
			if g.Title == "" || g.Verdict != Pass && g.Owner == "" {
				t.Errorf("the gate does not say what it is, or who can move it: %+v", g)
			}
			for _, other := range gates {
				if other.Name != c.gate && other.Verdict != Pass {
					t.Errorf("another gate is moved by this: %+v", other)
				}
			}
		})
	}
}

// An environment that asks for nothing has the three gates that always are, and
// broken configuration leaves one that says so.
func TestWhichGatesThereAre(t *testing.T) {
	bare := func(f *Facts) { f.Rule, f.Checklist = Rule{Auto: true}, nil }
	for _, c := range []struct {
		story  string
		change func(f *Facts)
		gates  []string
	}{
		{"everything is asked for", func(*Facts) {}, []string{GateDigest, GateSignature, GateHead, GateRendered, GateDryRun, GateChecks, GateChecklist, GateApprovals, GateUpstream, GateWindow}},
		{"nothing is asked for", bare, []string{GateDigest, GateHead, GateRendered, GateChecks}},
		{"the configuration is broken", func(f *Facts) { f.RuleErr = "tagboat.yaml:3: no environments" }, []string{GateConfig}},
	} {
		f := ready()
		c.change(&f)
		var names []string
		for _, g := range Evaluate(f, noon) {
			names = append(names, g.Name)
		}
		if diff := cmp.Diff(c.gates, names); diff != "" {
			t.Errorf("%s:\n%s", c.story, diff)
		}
	}
}

// A soak time ends at the moment that was named, not before, and nobody needs to
// tell us.
func TestSoakTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := ready()
		f.Rule.Needs, f.Upstream = nil, nil
		f.Rule.Trying, f.Rule.Signatures = TryNothing, nil // clusters and registries are asked again by themselves
		f.Rule.Schedule = window.Schedule{}                // which ends by itself
		for _, env := range []string{"dev", "staging", "load"}[:rapid.IntRange(1, 3).Draw(t, "environments")] {
			f.Rule.Needs = append(f.Rule.Needs, Need{Env: env, Healthy: time.Duration(rapid.IntRange(0, 7200).Draw(t, env+" needs")) * time.Second})
			f.Upstream = append(f.Upstream, Upstream{
				Env: env, Digest: f.Artifact.Digest, Tag: "1.7.0", Healthy: true,
				HealthySince: noon.Add(-time.Duration(rapid.IntRange(0, 7200).Draw(t, env+" is healthy for")) * time.Second),
			})
		}
		var first, last time.Time // ends of the soak times that are still running
		for i, need := range f.Rule.Needs {
			end := f.Upstream[i].HealthySince.Add(need.Healthy)
			if !end.After(noon) {
				continue
			}
			if first.IsZero() || end.Before(first) {
				first = end
			}
			if end.After(last) {
				last = end
			}
		}
		now := Decide(f, same, noon)
		if !now.NextCheck.Equal(first) {
			t.Fatalf("next check at %v, want %v", now.NextCheck, first)
		}
		if last.IsZero() {
			if now.Effect != Merge {
				t.Fatalf("all soak times are over, and the next step is %q: %+v", now.Effect, now.Gates)
			}
			return
		}
		if now.Effect != Rest {
			t.Fatalf("a soak time runs, and the next step is %q", now.Effect)
		}
		if d := Decide(f, same, last.Add(-time.Second)); d.Effect != Rest || d.NextCheck.IsZero() {
			t.Fatalf("a second before the last one ends: %q, next check %v", d.Effect, d.NextCheck)
		}
		if d := Decide(f, same, last); d.Effect != Merge || !d.NextCheck.IsZero() {
			t.Fatalf("when the last one ends: %q, next check %v", d.Effect, d.NextCheck)
		}
	})
}

// What is read of a gate later, from its evidence, is what it said of itself.
func TestGatesAreReadAsTheyAreCalled(t *testing.T) {
	f := ready()
	f.Policy = Policy{Blocking: 1, Reason: "no limits"}
	f.Stops = []Stop{{What: "prod", By: "carol", Lift: "/thaw prod"}}
	f.Queue.Used = true
	f.Companions = []Facts{ready()}
	broken := ready()
	broken.RuleErr = "no"
	last := -1
	for _, g := range append(Evaluate(broken, noon), Evaluate(f, noon)...) {
		if Title(g.Name) != g.Title {
			t.Errorf("gate %s is called %q, and later %q", g.Name, g.Title, Title(g.Name))
		}
		if Rank(g.Name) <= last || Rank(g.Name) == len(order) {
			t.Errorf("gate %s is not where it is read", g.Name)
		}
		last = Rank(g.Name)
	}
	if last != len(order)-1 || Title("new") != "new" {
		t.Error("there are gates that nobody evaluates")
	}
}
