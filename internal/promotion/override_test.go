package promotion

import (
	"strings"
	"testing"
	"time"
)

// TestOverrides: two people of those who may, on exactly this digest and head, and
// not for ever.
func TestOverrides(t *testing.T) {
	at := func(ago time.Duration) func(*Voice) { return func(v *Voice) { v.At = noon.Add(-ago) } }
	lint := func(f *Facts) { check(f, "lint", CheckFailed) }
	tests := []struct {
		name    string
		changes []func(f *Facts)
		gate    string
		verdict Verdict
		says    string
		next    time.Time
	}{
		{"nobody", []func(*Facts){lint}, GateChecks, Fail, "Not successful: lint", time.Time{}},
		{"one", []func(*Facts){lint, says(GateChecks, 1, nil)}, GateChecks, Fail,
			"alice asks to override this (“outage”), which takes a second person of team sre: /override checks <reason>, before 2026-03-05 12:59:00 UTC.", noon.Add(59 * time.Minute)},
		{"one, twice", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 1, at(0))}, GateChecks, Fail, "alice asks", noon.Add(time.Hour)},
		{"two", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, at(0))}, GateChecks, Overridden,
			"Overridden by alice (“outage”) and bob (“outage”), until 2026-03-05 12:59:00 UTC. Without that: Not successful: lint", noon.Add(59 * time.Minute)},
		{"three: it holds as long as two do", []func(*Facts){lint, says(GateChecks, 1, at(30*time.Minute)), says(GateChecks, 2, at(10*time.Minute)), says(GateChecks, 3, at(0))},
			GateChecks, Overridden, "Overridden by alice (“outage”), bob (“outage”) and carol (“outage”), until 2026-03-05 12:50:00 UTC.", noon.Add(50 * time.Minute)},
		{"another gate", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateUpstream, 2, nil)}, GateChecks, Fail, "alice asks", noon.Add(59 * time.Minute)},
		{"an outsider", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, func(v *Voice) { v.May = false })}, GateChecks, Fail, "alice asks", noon.Add(59 * time.Minute)},
		{"over", []func(*Facts){lint, says(GateChecks, 1, at(time.Hour)), says(GateChecks, 2, nil)}, GateChecks, Fail, "bob asks", noon.Add(59 * time.Minute)},
		{"from the future", []func(*Facts){lint, says(GateChecks, 1, at(-time.Minute)), says(GateChecks, 2, nil)}, GateChecks, Fail, "bob asks", noon.Add(59 * time.Minute)},
		{"without a reason", []func(*Facts){lint, says(GateChecks, 1, func(v *Voice) { v.Reason = "" }), says(GateChecks, 2, nil)}, GateChecks, Fail, "bob asks", noon.Add(59 * time.Minute)},
		{"nobody in particular", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, func(v *Voice) { v.By.ID = 0 })}, GateChecks, Fail, "alice asks", noon.Add(59 * time.Minute)},
		{"of a head that is somebody else's", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), on(func(p *Pull) { p.OurHeadSHA = sha("2") })}, GateChecks, Fail, "lint", time.Time{}},
		{"of another head", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), on(func(p *Pull) { p.HeadSHA, p.OurHeadSHA = sha("2"), sha("2") })}, GateChecks, Fail, "lint", time.Time{}},
		{"of another digest", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.Artifact.Digest = digest("b") }}, GateChecks, Fail, "lint", time.Time{}},
		{"tagboat.yaml names nobody", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.Rule.Override = Override{} }}, GateChecks, Fail, "lint", time.Time{}},
		{"tagboat.yaml names other gates", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.Rule.Override.Gates = []string{GateWindow} }}, GateChecks, Fail, "lint", time.Time{}},
		{"nobody knows which checks are required", []func(*Facts){says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.ChecksKnown = false }}, GateChecks, Wait, "GitHub has not said", time.Time{}},
		{"before a check failed", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.Checks[0].At = noon }}, GateChecks, Fail, "lint", time.Time{}},
		{"after a check failed", []func(*Facts){lint, says(GateChecks, 1, at(0)), says(GateChecks, 2, at(0)), func(f *Facts) { f.Checks[0].At = noon }}, GateChecks, Overridden, "lint", noon.Add(time.Hour)},
		{"before the last of two stops", []func(*Facts){says(GateStop, 1, nil), says(GateStop, 2, nil), func(f *Facts) {
			f.Stops = []Stop{{What: "prod", By: "carol", Lift: "/thaw prod"}, {What: "everything", By: "dave", Lift: "/thaw all", Since: noon}}
		}}, GateStop, Wait, "dave stopped everything", time.Time{}},
		{"what passes needs no override", []func(*Facts){says(GateChecks, 1, nil), says(GateChecks, 2, nil)}, GateChecks, Pass, "Successful", time.Time{}},
		{"the digest stands", []func(*Facts){func(f *Facts) { f.Digest.Now = digest("b") }, everything}, GateDigest, Fail, "now points to", time.Time{}},
		{"no issue could be opened", []func(*Facts){lint, says(GateChecks, 1, nil), says(GateChecks, 2, nil), func(f *Facts) { f.FollowUps = []FollowUp{{Gate: GateChecks, HeadSHA: sha("1")}} }},
			GateChecks, Overridden, "No issue could be opened", noon.Add(59 * time.Minute)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := ready()
			for _, change := range tt.changes {
				change(&f)
			}
			for _, g := range Evaluate(f, noon) {
				if g.Name == tt.gate && (g.Verdict != tt.verdict || !strings.Contains(g.Reason, tt.says) || !g.NextCheck.Equal(tt.next)) {
					t.Errorf("%s until %v: %s", g.Verdict, g.NextCheck, g.Reason)
				}
			}
		})
	}
}

// Everybody is told before an override has any effect, once for each head.
func TestAnOverrideIsFollowedUpFirst(t *testing.T) {
	f := ready()
	check(&f, "lint", CheckFailed)
	says(GateChecks, 1, nil)(&f)
	if d := Decide(f, same, noon); d.Effect != Rest {
		t.Errorf("one person: %s", d.Effect)
	}
	says(GateChecks, 2, nil)(&f)
	if d := Decide(f, same, noon); d.Effect != OpenFollowUp || !d.Passed() {
		t.Errorf("two people: %s, %+v", d.Effect, d.Gates)
	}
	f.FollowUps = []FollowUp{{Gate: GateChecks, HeadSHA: sha("0"), URL: "https://github.example/8"}}
	if d := Decide(f, same, noon); d.Effect != OpenFollowUp {
		t.Errorf("with the follow-up of another head: %s", d.Effect)
	}
	f.FollowUps = append(f.FollowUps, FollowUp{Gate: GateChecks, HeadSHA: sha("1"), URL: "https://github.example/9"})
	d := Decide(f, same, noon)
	if d.Effect != Merge {
		t.Errorf("followed up: %s", d.Effect)
	}
	for _, g := range d.Gates {
		if g.Name == GateChecks && g.URL != "https://github.example/9" {
			t.Errorf("the gate leads to %q", g.URL)
		}
	}
}
