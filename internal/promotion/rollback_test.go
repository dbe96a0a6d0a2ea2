package promotion

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/image"
)

func v(tag, c string) image.Ref {
	if c != "" {
		c = digest(c)
	}
	return image.Ref{Tag: tag, Digest: c}
}

func TestTheWayBackIsWhatWasThereBefore(t *testing.T) {
	v15, v16, v17, v18 := v("1.5.0", "5"), v("1.6.0", "6"), v("1.7.0", "7"), v("1.8.0", "8")
	first := Change{From: v15, To: v16, Commit: "a"}
	second := Change{From: v16, To: v17, Commit: "b"}
	undo := Change{From: v17, To: v16, Commit: "c", Back: true}
	again := Change{From: v17, To: v16, Commit: "c"} // by people, and nobody noticed
	third := Change{From: v16, To: v18, Commit: "d"}
	for name, tt := range map[string]struct {
		now    image.Ref
		past   []Change // newest first
		denied []image.Ref
		to     image.Ref
		undone []string // nil: there is no way
	}{
		"the last change":                     {now: v17, past: []Change{second, first}, to: v16, undone: []string{"b"}},
		"the first change":                    {now: v16, past: []Change{first}, to: v15, undone: []string{"a"}},
		"what is there was never merged":      {now: v18, past: []Change{second, first}},
		"nothing was ever merged":             {now: v17},
		"after a rollback, the one before":    {now: v16, past: []Change{undo, second, first}, denied: []image.Ref{v17}, to: v15, undone: []string{"a"}},
		"never to what a rollback took away":  {now: v16, past: []Change{undo, second}, denied: []image.Ref{v17}},
		"nor when that is allowed again":      {now: v16, past: []Change{undo, second}},
		"never to what is there already":      {now: v16, past: []Change{again, second, first}, denied: []image.Ref{v17}},
		"forward again after a rollback":      {now: v18, past: []Change{third, undo, second, first}, denied: []image.Ref{v17}, to: v16, undone: []string{"d"}},
		"past what is denied":                 {now: v17, past: []Change{second, first}, denied: []image.Ref{v16}, to: v15, undone: []string{"b", "a"}},
		"everything before is denied":         {now: v17, past: []Change{second, first}, denied: []image.Ref{v16, v15}},
		"nothing was there before":            {now: v16, past: []Change{{To: v16, Commit: "a"}}},
		"by tag, where no digest was pinned":  {now: v("1.7.0", ""), past: []Change{second}, to: v16, undone: []string{"b"}},
		"a tag that was moved is another one": {now: v("1.7.0", "f"), past: []Change{second}},
		"the same version, pinned otherwise":  {now: v17, past: []Change{{From: v("", "7"), To: v17, Commit: "x"}, second}, to: v16, undone: []string{"b"}},
	} {
		t.Run(name, func(t *testing.T) {
			to, undone, ok := WayBack(tt.now, tt.past, func(r image.Ref) bool {
				for _, d := range tt.denied {
					if d == r {
						return true
					}
				}
				return false
			})
			var commits []string
			for _, c := range undone {
				commits = append(commits, c.Commit)
			}
			if ok != (tt.undone != nil) || to != tt.to {
				t.Errorf("back to %v (%t), want %v", to, ok, tt.to)
			}
			if diff := cmp.Diff(tt.undone, commits); diff != "" {
				t.Errorf("undone (-want +got):\n%s", diff)
			}
		})
	}
}

// back is a rollback that is ready to be merged outside of every window, and that
// nothing needed has ever run.
func back() Facts {
	f := ready()
	f.Back = &Rollback{Bad: v("1.6.0", "")}
	f.Rule.Schedule, f.Upstream = closed, nil
	return f
}

func TestTheFastLaneSkipsSoakAndWindowsAndNothingElse(t *testing.T) {
	if d := Decide(back(), same, noon); d.Effect != Merge || !d.Passed() {
		t.Fatalf("%q: %+v", d.Effect, d.Gates)
	}
	forward := back()
	forward.Back = nil
	skipped := map[string]bool{}
	for _, g := range Evaluate(forward, noon) {
		skipped[g.Name] = true
	}
	for _, g := range Evaluate(back(), noon) {
		delete(skipped, g.Name)
	}
	if diff := cmp.Diff(map[string]bool{GateUpstream: true, GateWindow: true}, skipped); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestWhatARollbackStopsAt(t *testing.T) {
	hold := Stop{What: "payments in prod", By: "carol", Reason: "1.6.0 is next", Lift: "/unhold", Pair: true}
	freeze := Stop{What: "all of prod", By: "dave", Lift: "/thaw prod"}
	for name, tt := range map[string]struct {
		change func(f *Facts)
		says   string // "" merges
	}{
		"a hold of the pair":          {func(f *Facts) { f.Stops = []Stop{hold} }, ""},
		"a freeze":                    {func(f *Facts) { f.Stops = []Stop{hold, freeze} }, "dave stopped all of prod."},
		"a hold, by itself":           {func(f *Facts) { f.Stops, f.Back.Automatic = []Stop{hold}, true }, "carol stopped payments in prod"},
		"somebody merged a newer one": {func(f *Facts) { f.Plan.Current = v("1.8.0", "8") }, "prod has 1.8.0 now, and this takes back 1.6.0. Close it; to take back 1.8.0, comment /rollback prod payments <reason>."},
		"it was itself taken back": {func(f *Facts) {
			f.Denial = &Denial{Tag: "1.5.0", By: "bob", Since: noon, Reason: "slow", Lift: "/allow prod payments 1.5.0"}
		}, "1.5.0 was taken back here by bob at 2026-03-05 12:00:00 UTC (“slow”), and is denied until a person allows it again: /allow prod payments 1.5.0."},
		"the registry lost it":            {func(f *Facts) { f.Digest = Digest{Err: "not found.", ObservedAt: noon} }, "The registry could not be asked"},
		"its tag is gone, not the digest": {func(f *Facts) { f.Digest = Digest{Now: f.Artifact.Digest, ObservedAt: noon} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f := back()
			tt.change(&f)
			d := Decide(f, same, noon)
			if tt.says == "" {
				if d.Effect != Merge {
					t.Errorf("%q: %+v", d.Effect, d.Gates)
				}
				return
			}
			said := ""
			for _, g := range d.Gates {
				if g.Verdict.Blocks() {
					said += g.Reason
				}
			}
			if d.Effect == Merge || !strings.Contains(said, tt.says) {
				t.Errorf("%q says “%s”, want “%s”", d.Effect, said, tt.says)
			}
		})
	}
}

func TestWhatIsDeniedIsNotOpened(t *testing.T) {
	f := ready()
	f.State, f.Pull = Proposed, nil
	f.Denial = &Denial{Tag: "1.7.0", By: "bob", Since: noon, Lift: "/allow prod payments 1.7.0"}
	if d := Decide(f, same, noon); d.Effect != RecordClosed || !strings.Contains(d.Why, "/allow prod payments 1.7.0") {
		t.Errorf("%q: %s", d.Effect, d.Why)
	}
}

// What has no pull request cannot be closed by anybody, and keeps others out.
func TestARollbackThatCameTooLateIsClosed(t *testing.T) {
	f := ready()
	f.State, f.Pull, f.Published = Proposed, nil, Published{}
	f.Back = &Rollback{Bad: v("1.5.0", "5")}
	if d := Decide(f, same, noon); d.Effect != RecordClosed || !strings.Contains(d.Why, "prod has 1.6.0 now, and this takes back 1.5.0") {
		t.Errorf("%q: %s", d.Effect, d.Why)
	}
}

func TestWhatEndsUnhealthyIsTakenBackOnce(t *testing.T) {
	sick := func() Facts {
		f := merged()
		f.Rule.TakesBack = true
		f.Reported = Reported{BranchDeleted: true, Deployments: map[string]Outcome{"eu": Failure, "us": Success}, CommitStatus: StatusFailure, CommentHash: "comment"}
		f.Targets = []Target{{Cluster: "eu", Digest: digest("a"), Settled: true, Ill: true}, {Cluster: "us", Digest: digest("a"), Settled: true, Healthy: true}}
		return f
	}
	for name, tt := range map[string]struct {
		change func(f *Facts)
		want   Effect
	}{
		"a cluster is ill":              {func(*Facts) {}, TakeBack},
		"people are told first":         {func(f *Facts) { f.Reported.CommentHash = "older" }, PublishComment},
		"nobody wants it":               {func(f *Facts) { f.Rule.TakesBack = false }, Rest},
		"it was proposed before":        {func(f *Facts) { f.Reported.TakenBack = true }, Rest},
		"it is a rollback":              {func(f *Facts) { f.Back = &Rollback{Bad: v("1.8.0", "8")} }, Rest},
		"another cluster is not at it":  {func(f *Facts) { f.Targets[1].Settled = false }, Rest},
		"the cluster is only away":      {func(f *Facts) { f.Targets[0].Ill = false }, Rest},
		"no process serves it":          {func(f *Facts) { f.Targets[0] = Target{Cluster: "eu", Digest: digest("a"), Unserved: true} }, Rest},
		"nor the other one":             {func(f *Facts) { f.Targets[1] = Target{Cluster: "us", Digest: digest("0"), Unserved: true} }, TakeBack},
		"it is ill, and unserved since": {func(f *Facts) { f.Targets[0].Unserved = true }, TakeBack},
		"it never came there":           {func(f *Facts) { f.Targets[0].Digest = digest("0") }, Rest},
		"a newer one was merged since":  {func(f *Facts) { f.Overtaken = true }, RecordOvertaken},
		"all are healthy": {func(f *Facts) {
			f.Targets[0].Healthy, f.Reported.Deployments["eu"], f.Reported.CommitStatus = true, Success, StatusSuccess
		}, RecordDeployed},
		"one is away, and one is ill": {func(f *Facts) { f.Targets[1].Healthy, f.Reported.Deployments["us"] = false, Failure }, TakeBack},
	} {
		t.Run(name, func(t *testing.T) {
			f := sick()
			tt.change(&f)
			if d := Decide(f, same, noon); d.Effect != tt.want {
				t.Errorf("%q, want %q", d.Effect, tt.want)
			}
		})
	}
}
