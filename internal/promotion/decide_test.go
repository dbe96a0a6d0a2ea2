package promotion

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/window"
)

func TestDecide(t *testing.T) {
	proposed := func(change func(f *Facts)) func(f *Facts) {
		return func(f *Facts) {
			f.State, f.Pull, f.Published = Proposed, nil, Published{}
			if change != nil {
				change(f)
			}
		}
	}
	for _, c := range []struct {
		story  string
		change func(f *Facts)
		effect Effect
		why    string // part of it
	}{
		{"a promotion was proposed", proposed(nil), OpenPull, ""},
		{"nobody has asked the registry yet", proposed(func(f *Facts) { f.Digest = Digest{} }), OpenPull, ""},
		{"tagboat.yaml is broken: wait until it is mended", proposed(func(f *Facts) { f.RuleErr = "tagboat.yaml:3: no" }), Rest, "tagboat.yaml:3"},
		{"the overlay cannot be edited: wait until it is mended", proposed(func(f *Facts) { f.Plan = Plan{Err: "kustomization.yaml has no such image"} }), Rest, "no such image"},
		{"the base has it already", proposed(func(f *Facts) { f.Plan.Nothing = true }), RecordClosed, "already has 1.7.0"},
		{"the tag was pushed again before anything was opened", proposed(func(f *Facts) { f.Digest.Now = digest("b") }), RecordClosed, "new tag"},

		{"the pull request was just opened", func(f *Facts) { f.Published = Published{} }, PublishCheck, ""},
		{"our verdict changed", func(f *Facts) { f.Published.CheckHash = "older" }, PublishCheck, ""},
		{"our verdict is on an older head", func(f *Facts) { f.Published.CheckSHA = sha("0") }, PublishCheck, ""},
		{"the body is outdated", func(f *Facts) { f.Published.BodyHash = "older" }, PublishBody, ""},
		{"somebody edited the body", func(f *Facts) { f.Published.BodyHash = "" }, PublishBody, ""},
		{"everything is there", func(f *Facts) {}, Merge, ""},
		{"everything is there, but people merge here", func(f *Facts) { f.Rule.Auto = false }, Rest, ""},
		{"everything is there, and the branch has a merge queue", func(f *Facts) { f.Queue.Used = true }, EnterQueue, ""},
		{"there is a queue, but people merge here", func(f *Facts) { f.Queue.Used, f.Rule.Auto = true, false }, Rest, ""},
		{"the queue has it", func(f *Facts) { inQueue(f, sha("1"), time.Minute) }, Rest, ""},
		{"the queue had it with another head", func(f *Facts) { inQueue(f, sha("0"), time.Minute) }, EnterQueue, ""},
		{"nothing was heard of the queue for long", func(f *Facts) { inQueue(f, sha("1"), 15*time.Minute) }, EnterQueue, ""},
		{"GitHub took it out of the queue a moment ago", func(f *Facts) { f.Queue = Queue{Used: true, LeftAt: noon.Add(-9 * time.Minute)} }, Rest, ""},
		{"GitHub took it out of the queue long ago", func(f *Facts) { f.Queue = Queue{Used: true, LeftAt: noon.Add(-10 * time.Minute)} }, EnterQueue, ""},
		{"the queue wants its group checked", func(f *Facts) { inQueue(f, sha("1"), time.Minute); f.Queue.GroupSHA = sha("9") }, CheckGroup, ""},
		{"it does, and the clusters were asked too long ago", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.GroupSHA = sha("9")
			asked(f, Accepted, 6*time.Minute, 0)
		}, AskClusters, ""},
		{"it does, and the signatures were looked for too long ago", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.GroupSHA = sha("9")
			looked(f, SignedBy, 6*time.Minute, 0)
		}, AskSignatures, ""},
		{"the group was checked", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.GroupSHA, f.Queue.CheckSHA, f.Queue.CheckHash = sha("9"), sha("9"), f.Published.CheckHash
		}, Rest, ""},
		{"the group was checked before the gates said something else", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.GroupSHA, f.Queue.CheckSHA, f.Queue.CheckHash = sha("9"), sha("9"), "older"
		}, CheckGroup, ""},
		{"the group was checked, and others are ahead of it", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.Ahead, f.Queue.GroupSHA, f.Queue.CheckSHA, f.Queue.CheckHash = true, sha("9"), sha("9"), f.Published.CheckHash
		}, CheckGroup, ""},
		{"the group is known to wait for others", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.Ahead, f.Queue.GroupSHA, f.Queue.CheckSHA = true, sha("9"), sha("9")
		}, Rest, ""},
		{"others were ahead of the group, and are merged", func(f *Facts) {
			inQueue(f, sha("1"), time.Minute)
			f.Queue.GroupSHA, f.Queue.CheckSHA = sha("9"), sha("9")
		}, CheckGroup, ""},
		{"the group holds what a newer version took over", func(f *Facts) {
			f.Queue, f.Plan.Hash = Queue{Used: true, GroupSHA: sha("9"), CheckSHA: sha("9")}, "another edit"
		}, CheckGroup, ""},
		{"people put it into the queue, and tagboat.yaml is broken", func(f *Facts) {
			f.Queue, f.RuleErr, f.Rule = Queue{GroupSHA: sha("9")}, "tagboat.yaml:3: no", Rule{}
		}, CheckGroup, ""},
		{"an approval is missing", func(f *Facts) { f.Approval = Approval{Missing: 1, Reason: "1 of 2", Owner: "team platform"} }, Rest, ""},
		{"an approval is stale", func(f *Facts) { f.Approval = Approval{Missing: 1, Stale: 1, Reason: "1 of 2", Owner: "team platform"} }, DismissReview, ""},
		{"an approval is stale, and others are enough", func(f *Facts) { f.Approval.Stale = 1 }, Merge, ""},
		{"an approval is stale, and others are enough, but people merge here", func(f *Facts) { f.Approval.Stale, f.Rule.Auto = 1, false }, DismissReview, ""},
		{"an approval is stale, and the check does not say so yet", func(f *Facts) { f.Approval.Stale, f.Published.CheckHash = 1, "older" }, PublishCheck, ""},
		{"an approval is of our commit, and the head is somebody else's", func(f *Facts) { f.Approval.Stale, f.Pull.HeadSHA, f.Published.CheckSHA = 1, sha("2"), sha("2") }, Rest, ""},
		{"an approval is stale until our commit is made anew", func(f *Facts) { f.Approval.Stale, f.Plan.Hash = 1, "another edit" }, Regenerate, ""},
		{"an approval is stale, and the overlay cannot be edited", func(f *Facts) { f.Approval.Stale, f.Plan = 1, Plan{Err: "not YAML"} }, Rest, ""},
		{"an approval is stale, and tagboat.yaml is broken", func(f *Facts) { f.Approval.Stale, f.RuleErr = 1, "tagboat.yaml:3: no" }, Rest, ""},
		{"an approval is stale where none is asked for", func(f *Facts) { f.Approval.Stale, f.Rule = 1, Rule{} }, Rest, ""},
		{"tagboat.yaml broke while the pull request was open", func(f *Facts) { f.RuleErr, f.Rule = "tagboat.yaml:3: no", Rule{} }, Rest, ""},
		{"tagboat.yaml broke, and the rule is still known", func(f *Facts) { f.RuleErr = "tagboat.yaml:3: no" }, Rest, ""},

		{"the registry did not answer, half a minute ago", func(f *Facts) { f.Digest = Digest{Err: "timeout", ObservedAt: noon.Add(-30 * time.Second)} }, AskRegistry, ""},
		{"the registry did not answer, a moment ago", func(f *Facts) { f.Digest = Digest{Err: "timeout", ObservedAt: noon.Add(-29 * time.Second)} }, Rest, ""},
		{"the tag was moved; it may be moved back", func(f *Facts) { f.Digest = Digest{Now: digest("b"), ObservedAt: noon.Add(-time.Hour)} }, AskRegistry, ""},
		{"the registry's good answer holds", func(f *Facts) { f.Digest.ObservedAt = noon.Add(-time.Hour) }, Merge, ""},

		{"no signature was looked for yet", func(f *Facts) { f.Signatures = nil }, AskSignatures, ""},
		{"one was looked for at another digest", func(f *Facts) { f.Signatures[1].Digest = digest("b") }, AskSignatures, ""},
		{"the key is another one now", func(f *Facts) { f.Rule.Signatures[0].ID = "key 9" }, AskSignatures, ""},
		{"there is no key", func(f *Facts) {
			f.Rule.Signatures = []Demand{{Who: "key release.pub", Err: "release.pub is not there."}}
		}, Rest, ""},
		{"it is signed, and that was seen too long ago for a merge", func(f *Facts) { looked(f, SignedBy, 5*time.Minute+time.Second, 0) }, AskSignatures, ""},
		{"it is, and was seen just long enough ago", func(f *Facts) { looked(f, SignedBy, 5*time.Minute, 0) }, Merge, ""},
		{"it is signed, and something else is missing", func(f *Facts) { looked(f, SignedBy, 59*time.Minute, 0); f.Checks = nil }, Rest, ""},
		{"it was signed an hour ago, and something else is missing", func(f *Facts) { looked(f, SignedBy, time.Hour, 0); f.Checks = nil }, AskSignatures, ""},
		{"it is not signed yet", func(f *Facts) { looked(f, Unsigned, 29*time.Second, 29*time.Second) }, Rest, ""},
		{"it was not, and has to be looked for again", func(f *Facts) { looked(f, Unsigned, 30*time.Second, 30*time.Second) }, AskSignatures, ""},
		{"somebody else has signed, since an hour", func(f *Facts) { looked(f, SignedElse, 4*time.Minute, time.Hour) }, Rest, ""},
		{"somebody else had, a while ago", func(f *Facts) { looked(f, SignedElse, 5*time.Minute, time.Hour) }, AskSignatures, ""},
		{"the registry was away", func(f *Facts) { looked(f, SignedUnread, time.Minute, time.Minute) }, AskSignatures, ""},
		{"no cluster was asked yet", func(f *Facts) { f.Trials = nil }, AskClusters, ""},
		{"one was not asked about these objects", func(f *Facts) { f.Trials[1] = Trial{Cluster: "us"} }, AskClusters, ""},
		{"the clusters have taken it too long ago for a merge", func(f *Facts) { asked(f, Accepted, 5*time.Minute+time.Second, 0) }, AskClusters, ""},
		{"the clusters have taken it, long enough ago", func(f *Facts) { asked(f, Accepted, 5*time.Minute, 0) }, Merge, ""},
		{"they have, and something else is missing", func(f *Facts) { asked(f, Accepted, 59*time.Minute, 0); f.Checks = nil }, Rest, ""},
		{"they have, an hour ago, and something else is missing", func(f *Facts) { asked(f, Accepted, time.Hour, 0); f.Checks = nil }, AskClusters, ""},
		{"a cluster said no a moment ago", func(f *Facts) { asked(f, Declined, 29*time.Second, 0) }, Rest, ""},
		{"a cluster said no", func(f *Facts) { asked(f, Declined, 30*time.Second, 0) }, AskClusters, ""},
		{"a cluster was away for minutes when it was last asked", func(f *Facts) { asked(f, Unclear, 2*time.Minute-time.Second, 4*time.Minute) }, Rest, ""},
		{"it was, and has to be asked again", func(f *Facts) { asked(f, Unclear, 2*time.Minute, 4*time.Minute) }, AskClusters, ""},
		{"a cluster was away for a day when it was last asked", func(f *Facts) { asked(f, Unclear, 5*time.Minute, 24*time.Hour) }, AskClusters, ""},
		{"a cluster says no, where that only warns", func(f *Facts) { asked(f, Declined, time.Second, 0); f.Rule.Trying = TryWarn }, Merge, ""},
		{"a cluster says no, where it is not asked", func(f *Facts) { asked(f, Declined, time.Second, 0); f.Rule.Trying = TryNothing }, Merge, ""},
		{"the clusters were asked, by a clock that is ahead", func(f *Facts) { asked(f, Accepted, -time.Hour, 0) }, AskClusters, ""},
		{"it cannot be rendered any more", func(f *Facts) { f.Trials, f.Rendered.Err = nil, "no such file" }, Rest, ""},
		{"nobody knows yet what is rendered", func(f *Facts) { f.Trials, f.Rendered = nil, Rendered{} }, Rest, ""},

		{"the base moved on", func(f *Facts) { f.Pull.Behind = true }, Regenerate, ""},
		{"the overlay changed on the base", func(f *Facts) { f.Plan.Hash = "another edit" }, Regenerate, ""},
		{"a newer artifact took the pull request over", func(f *Facts) { f.Published, f.Plan.Hash = Published{}, "another edit" }, Regenerate, ""},
		{"the base moved on, but the head is somebody else's", func(f *Facts) { f.Pull.Behind, f.Pull.HeadSHA, f.Published.CheckSHA = true, sha("2"), sha("2") }, Rest, ""},
		{"the base moved on, but the overlay cannot be read", func(f *Facts) { f.Pull.Behind, f.Plan = true, Plan{Err: "not YAML"} }, Rest, ""},
		{"somebody pushed to our branch: our check says so on that head", func(f *Facts) { f.Pull.HeadSHA = sha("2") }, PublishCheck, ""},
		{"somebody pushed to our branch, and knows it", func(f *Facts) { f.Pull.HeadSHA, f.Published.CheckSHA = sha("2"), sha("2") }, Rest, ""},
		{"somebody merged another pull request that has it already", func(f *Facts) { f.Plan.Nothing = true }, Withdraw, "already has 1.7.0"},

		{"a person merged it", func(f *Facts) { f.Pull.Merged = true }, RecordMerged, ""},
		{"a person merged it, and GitHub calls that closed, too", func(f *Facts) { f.Pull.Merged, f.Pull.Closed = true, true }, RecordMerged, ""},
		{"a person merged it, so the base has it", func(f *Facts) { f.Pull.Merged, f.Plan.Nothing = true, true }, RecordMerged, ""},
		{"a person merged it although tagboat.yaml is broken", func(f *Facts) { f.Pull.Merged, f.RuleErr = true, "tagboat.yaml:3: no" }, RecordMerged, ""},
		{"a person closed it", func(f *Facts) { f.Pull.Closed = true }, RecordClosed, "closed without merging"},

		{"it is deployed", func(f *Facts) { f.State = Deployed }, Rest, ""},
		{"it was superseded", func(f *Facts) { f.State = Superseded }, Rest, ""},
		{"it was closed", func(f *Facts) { f.State = Closed }, DeleteBranch, ""},
		{"it came to nothing, and its branch is gone", func(f *Facts) { f.State, f.Reported.BranchDeleted = Closed, true }, Rest, ""},
		{"a person closed it, and its branch is gone", func(f *Facts) { f.State, f.ClosedBy, f.Reported.BranchDeleted = Closed, "alice", true }, TellClosed, ""},
		{"a person closed it, and knows what that means", func(f *Facts) {
			f.State, f.ClosedBy, f.Reported = Closed, "alice", Reported{BranchDeleted: true, Closing: true}
		}, Rest, ""},
	} {
		t.Run(c.story, func(t *testing.T) {
			f := ready()
			c.change(&f)
			d := Decide(f, same, noon)
			if d.Effect != c.effect || (c.why == "") != (d.Why == "") || !strings.Contains(d.Why, c.why) {
				t.Errorf("%q (%q); want %q (%q)", d.Effect, d.Why, c.effect, c.why)
			}
			if d.Effect == Merge && !d.Passed() {
				t.Errorf("a merge although not every gate passes: %+v", d.Gates)
			}
		})
	}
}

// asked has every cluster of f have answered so, some time ago, and since some time
// before.
func asked(f *Facts, a Answer, ago, since time.Duration) {
	for i := range f.Trials {
		at := noon.Add(-ago)
		f.Trials[i].Answer, f.Trials[i].At, f.Trials[i].Since, f.Trials[i].Owner = a, at, at.Add(-since), "an administrator"
	}
}

// looked has every signature of f have been looked for, some time ago, and have been so
// since some time before.
func looked(f *Facts, a Signed, ago, since time.Duration) {
	for i := range f.Signatures {
		at := noon.Add(-ago)
		f.Signatures[i].Answer, f.Signatures[i].At, f.Signatures[i].Since = a, at, at.Add(-since)
	}
}

// Nobody has to tell that an image was signed: it is looked for again, less and less
// often.
func TestASignatureIsLookedForAgain(t *testing.T) {
	for since, again := range map[time.Duration]time.Duration{
		0: 30 * time.Second, time.Minute: 30 * time.Second, 4 * time.Minute: 2 * time.Minute, 24 * time.Hour: 5 * time.Minute,
	} {
		f := ready()
		f.Rule.Trying = TryNothing // clusters are asked again by themselves
		looked(&f, Unsigned, 0, since)
		if d := Decide(f, same, noon); d.Effect != Rest || !d.NextCheck.Equal(noon.Add(again)) {
			t.Errorf("not signed for %s: %q, next check %v; want to rest for %s", since, d.Effect, d.NextCheck, again)
		}
	}
	f := ready()
	f.Rule.Trying, f.Rule.Schedule, f.Checks = TryNothing, window.Schedule{}, nil // which end by themselves
	if d := Decide(f, same, noon); d.Effect != Rest || !d.NextCheck.Equal(noon.Add(time.Hour)) {
		t.Errorf("signed: %q, next check %v; want to rest for an hour", d.Effect, d.NextCheck)
	}
}

// Nobody tells when a cluster is back, or takes what it did not: it is asked again by
// itself, less and less often.
func TestAClusterIsAskedAgain(t *testing.T) {
	for since, again := range map[time.Duration]time.Duration{
		0: 30 * time.Second, time.Minute: 30 * time.Second, 4 * time.Minute: 2 * time.Minute, 10 * time.Minute: 5 * time.Minute, 24 * time.Hour: 5 * time.Minute,
	} {
		f := ready()
		asked(&f, Unclear, 0, since)
		if d := Decide(f, same, noon); d.Effect != Rest || !d.NextCheck.Equal(noon.Add(again)) {
			t.Errorf("away for %s: %q, next check %v; want to rest for %s", since, d.Effect, d.NextCheck, again)
		}
	}
	f := ready()
	f.Checks = nil
	if d := Decide(f, same, noon); d.Effect != Rest || !d.NextCheck.Equal(noon.Add(time.Hour)) {
		t.Errorf("taken: %q, next check %v; want to rest for an hour", d.Effect, d.NextCheck)
	}
}

// Nobody tells when a registry is back: it is asked again by itself.
func TestTheRegistryIsAskedAgain(t *testing.T) {
	f := ready()
	f.Rule.Trying = TryNothing // clusters are asked again by themselves
	f.Digest = Digest{Err: "timeout", ObservedAt: noon}
	if d := Decide(f, same, noon); d.Effect != Rest || !d.NextCheck.Equal(noon.Add(askAgain)) {
		t.Errorf("%q, next check %v; want to rest until %v", d.Effect, d.NextCheck, noon.Add(askAgain))
	}
	f.Upstream[0].HealthySince = noon.Add(-time.Hour + time.Second) // a soak time ends earlier
	if d := Decide(f, same, noon); !d.NextCheck.Equal(noon.Add(time.Second)) {
		t.Errorf("next check %v; want the end of the soak time", d.NextCheck)
	}
	f.Upstream[0].HealthySince = noon // and one that ends later
	if d := Decide(f, same, noon); !d.NextCheck.Equal(noon.Add(askAgain)) {
		t.Errorf("next check %v; want the next question to the registry", d.NextCheck)
	}
}

// After the merge: tidy up, tell GitHub, wait for the clusters, tell people.
func TestDecideAfterTheMerge(t *testing.T) {
	tidy := Reported{BranchDeleted: true}
	told := func(eu, us Outcome, status CommitStatus, comment string) Reported {
		return Reported{BranchDeleted: true, Deployments: map[string]Outcome{"eu": eu, "us": us}, CommitStatus: status, CommentHash: comment}
	}
	created, half, all := told(Pending, Pending, "", ""), told(Success, Pending, "", ""), told(Success, Success, "", "")
	failed := told(Success, Failure, "", "")
	runs := []Target{{Cluster: "eu", Digest: digest("a"), Settled: true, Healthy: true}, {Cluster: "us", Digest: digest("a"), Settled: true, Healthy: true}}
	with := func(change func(t []Target)) []Target {
		targets := append([]Target(nil), runs...)
		change(targets)
		return targets
	}
	us := func(t Target) []Target { return with(func(all []Target) { all[1] = t }) }
	for _, c := range []struct {
		story     string
		reported  Reported
		targets   []Target
		overtaken bool
		effect    Effect
		cluster   string
		outcome   Outcome
	}{
		{"it was just merged", Reported{}, nil, false, DeleteBranch, "", Pending},
		{"the branch is gone", tidy, runs, false, CreateDeployment, "eu", Success},
		{"one cluster has a deployment", Reported{BranchDeleted: true, Deployments: map[string]Outcome{"eu": Pending}}, with(func(t []Target) { t[0].Settled, t[1].Settled = false, false }), false, CreateDeployment, "us", Pending},
		{"no cluster is known yet", tidy, nil, false, Rest, "", Pending},
		{"the clusters have not been synced", created, with(func(t []Target) { t[0].Settled, t[1].Settled = false, false }), false, Rest, "", Pending},
		{"one cluster is still being synced: the other's deployment does not wait", created, us(Target{Cluster: "us", Digest: digest("a"), Healthy: true}), false, UpdateDeployment, "eu", Pending},
		{"that was told", half, us(Target{Cluster: "us", Digest: digest("a"), Healthy: true}), false, Rest, "", Pending},
		{"one cluster is healthy with what was there before", half, us(Target{Cluster: "us", Digest: digest("0"), Settled: true, Healthy: true}), false, Rest, "", Pending},
		{"one cluster failed, the other is still being synced", created, []Target{{Cluster: "eu", Settled: true}, {Cluster: "us"}}, false, UpdateDeployment, "eu", Pending},
		{"the second cluster is healthy, too", half, runs, false, UpdateDeployment, "us", Success},
		{"the deployments say so", all, runs, false, SetCommitStatus, "", Success},
		{"the commit says so", told(Success, Success, StatusSuccess, ""), runs, false, PublishComment, "", Success},
		{"the App may not set it", told(Success, Success, StatusRefused, ""), runs, false, PublishComment, "", Success},
		{"people were told", told(Success, Success, StatusSuccess, "comment"), runs, false, RecordDeployed, "", Success},
		{"one cluster is measured: the commit is pending", half, us(Target{Cluster: "us", Digest: digest("a"), Measuring: true}), false, SetCommitStatus, "", Pending},
		{"and people are told", told(Success, Pending, StatusPending, ""), us(Target{Cluster: "us", Digest: digest("a"), Measuring: true}), false, PublishComment, "", Pending},
		{"they were told", told(Success, Pending, StatusPending, "comment"), us(Target{Cluster: "us", Digest: digest("a"), Measuring: true}), false, Rest, "", Pending},
		{"one cluster is measured with what was there before", half, us(Target{Cluster: "us", Digest: digest("0"), Measuring: true}), false, Rest, "", Pending},
		{"no process serves one cluster: people are told, and nothing has failed", half, us(Target{Cluster: "us", Digest: digest("0"), Unserved: true}), false, SetCommitStatus, "", Pending},
		{"on the pull request, too", told(Success, Pending, StatusPending, ""), us(Target{Cluster: "us", Digest: digest("0"), Unserved: true}), false, PublishComment, "", Pending},
		{"they know that no process serves it", told(Success, Pending, StatusPending, "comment"), us(Target{Cluster: "us", Digest: digest("0"), Unserved: true}), false, Rest, "", Pending},
		{"no process serves it since it has the artifact", told(Success, Success, StatusPending, "comment"), us(Target{Cluster: "us", Digest: digest("a"), Unserved: true, Measuring: true}), false, Rest, "", Pending},
		{"no process serves it, and what had failed there before has failed", half, us(Target{Cluster: "us", Digest: digest("a"), Unserved: true, Settled: true}), false, UpdateDeployment, "us", Failure},
		{"no process tries again what had failed", told(Success, Failure, StatusFailure, ""), us(Target{Cluster: "us", Digest: digest("0"), Unserved: true}), false, PublishComment, "", Pending},
		{"no process serves one cluster, and the other one has failed", told(Failure, Pending, "", ""), []Target{{Cluster: "eu", Digest: digest("a"), Settled: true}, {Cluster: "us", Digest: digest("0"), Unserved: true}}, false, SetCommitStatus, "", Failure},
		{"one cluster failed", half, us(Target{Cluster: "us", Digest: digest("a"), Settled: true}), false, UpdateDeployment, "us", Failure},
		{"the failure was told on its deployment", failed, us(Target{Cluster: "us", Settled: true}), false, SetCommitStatus, "", Failure},
		{"and on the commit", told(Success, Failure, StatusFailure, ""), us(Target{Cluster: "us", Settled: true}), false, PublishComment, "", Failure},
		{"the failure was told to people, and is watched on", told(Success, Failure, StatusFailure, "comment"), us(Target{Cluster: "us", Settled: true}), false, Rest, "", Failure},
		{"the failure mended itself", told(Success, Failure, StatusFailure, "comment"), runs, false, UpdateDeployment, "us", Success},
		{"so the commit is well, too", told(Success, Success, StatusFailure, "comment"), runs, false, SetCommitStatus, "", Success},
		{"a cluster has joined", told(Success, Success, "", ""), append(runs[:2:2], Target{Cluster: "ap"}), false, CreateDeployment, "ap", Pending},
		{"a cluster is gone", half, runs[:1], false, UpdateDeployment, "us", Success},
		{"a cluster is gone, and nobody waits for it", told(Success, Left, "", ""), runs[:1], false, SetCommitStatus, "", Success},
		{"a newer one was merged before it ran everywhere", half, us(Target{Cluster: "us", Digest: digest("b"), Settled: true, Healthy: true}), true, UpdateDeployment, "us", Pending},
		{"its deployment was ended, and the commit was pending", told(Success, Left, StatusPending, ""), us(Target{Cluster: "us", Digest: digest("b"), Settled: true, Healthy: true}), true, SetCommitStatus, "", Pending},
		{"GitHub shows nothing under way", told(Success, Left, StatusLeft, ""), us(Target{Cluster: "us", Digest: digest("b"), Settled: true, Healthy: true}), true, RecordOvertaken, "", Pending},
		{"a newer one was merged after it failed", failed, us(Target{Cluster: "us", Settled: true}), true, RecordOvertaken, "", Failure},
		{"a newer one was merged, but this one ran everywhere", half, runs, true, UpdateDeployment, "us", Success},
		{"a newer one was merged at once: the branch goes first", Reported{}, nil, true, DeleteBranch, "", Pending},
	} {
		t.Run(c.story, func(t *testing.T) {
			f := merged()
			f.Reported, f.Targets, f.Overtaken = c.reported, c.targets, c.overtaken
			d := Decide(f, same, noon.Add(time.Hour))
			if d.Effect != c.effect || d.Cluster != c.cluster || d.Outcome != c.outcome {
				t.Errorf("%q of %q, outcome %q; want %q of %q, %q", d.Effect, d.Cluster, d.Outcome, c.effect, c.cluster, c.outcome)
			}
		})
	}
}

// inQueue is a pull request that was put into the merge queue with a head, some time
// ago.
func inQueue(f *Facts, head string, ago time.Duration) {
	f.Queue = Queue{Used: true, HeadSHA: head, EnteredAt: noon.Add(-ago), AskedAt: noon.Add(-ago)}
}
