package promotion

import (
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/window"
)

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }
func sha(c string) string    { return strings.Repeat(c, 40) }

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// same shows people the same whatever the gates say.
func same([]Gate) Shown { return Shown{CheckHash: "check", BodyHash: "body", CommentHash: "comment"} }

// ready are the facts of a promotion that asks for everything, and has everything:
// the next step is the merge.
func ready() Facts {
	return Facts{
		App: "payments", Env: "prod", State: Open,
		Artifact:    image.Ref{Name: "registry.example.com/acme/payments", Tag: "1.7.0", Digest: digest("a")},
		Requester:   Person{ID: 1, Login: "alice"},
		Rule:        Rule{Needs: []Need{{Env: "staging", Healthy: time.Hour}}, Signatures: []Demand{{ID: "key 1", Who: "key release.pub"}, {ID: "key 2", Who: "key audit.pub"}}, Approvals: true, Auto: true, Schedule: opened, Trying: TryEnforce, Clusters: []string{"eu", "us"}, Override: Override{Gates: Overridable, For: time.Hour, Who: "team sre"}},
		Plan:        Plan{Hash: "edit", Current: image.Ref{Tag: "1.6.0"}},
		Digest:      Digest{Now: digest("a"), ObservedAt: noon},
		Signatures:  []Signature{signedBy("key 1"), signedBy("key 2")},
		Pull:        &Pull{Number: 7, HeadSHA: sha("1"), OurHeadSHA: sha("1"), EditHash: "edit", Labelled: true},
		Required:    []string{"lint", "scan"},
		Checks:      []Check{{Name: "lint", State: CheckPassed, Conclusion: "success"}, {Name: "scan", State: CheckPassed, Conclusion: "success"}},
		ChecksKnown: true,
		Approval:    Approval{Satisfied: true, Reason: "2 of 2 approvals (bob, carol)."},
		Checklist:   []ChecklistItem{{ID: "dashboards", Text: "Dashboards are open", Ticked: true, By: "bob"}, {ID: "support", Text: "Support knows", Ticked: true, By: "carol"}},
		Upstream:    []Upstream{{Env: "staging", Digest: digest("a"), Tag: "1.7.0", Healthy: true, HealthySince: noon.Add(-2 * time.Hour)}},
		Rendered:    Rendered{Known: true, Summary: "In the clusters only images change."},
		Trials:      []Trial{taken("eu"), taken("us")},
		Published:   Published{CheckHash: "check", CheckSHA: sha("1"), BodyHash: "body"},
	}
}

// signedBy is the signature of a signer, as it was found.
func signedBy(demand string) Signature {
	return Signature{Demand: demand, Digest: digest("a"), Answer: SignedBy, By: demand, At: noon, Since: noon}
}

// taken is a trial in a cluster that takes everything.
func taken(cluster string) Trial {
	return Trial{Cluster: cluster, Answer: Accepted, At: noon, Since: noon, Reason: cluster + " takes it."}
}

// merged are the facts of a promotion that was just merged.
func merged() Facts {
	f := ready()
	f.State = Merged
	f.Pull.Merged = true
	f.Targets = []Target{{Cluster: "eu", Digest: digest("0"), Settled: true, Healthy: true}, {Cluster: "us", Digest: digest("0"), Settled: true, Healthy: true}}
	return f
}

// closed is a schedule that is not open at noon, and opens an hour later; open is.
var closed, opened = schedule("13:00-14:00"), schedule("Thu 09:00-16:00")

func schedule(allow string) window.Schedule {
	w, err := window.Parse(allow, "UTC")
	if err != nil {
		panic(err)
	}
	return window.Schedule{Allow: []window.Allowed{{Window: w}}}
}

// clone is a copy of f that shares nothing with it.
func clone(f Facts) Facts {
	if f.Pull != nil {
		pull := *f.Pull
		f.Pull = &pull
	}
	f.Rule.Needs, f.Rule.Clusters, f.Trials = slices.Clone(f.Rule.Needs), slices.Clone(f.Rule.Clusters), slices.Clone(f.Trials)
	f.Rule.Signatures, f.Signatures = slices.Clone(f.Rule.Signatures), slices.Clone(f.Signatures)
	f.Required, f.Checks = slices.Clone(f.Required), slices.Clone(f.Checks)
	if f.Back != nil {
		back := *f.Back
		f.Back = &back
	}
	f.Stops = slices.Clone(f.Stops)
	f.Voices, f.FollowUps = slices.Clone(f.Voices), slices.Clone(f.FollowUps)
	for i, c := range f.Companions {
		if i == 0 {
			f.Companions = slices.Clone(f.Companions)
		}
		f.Companions[i] = clone(c)
	}
	f.Checklist, f.Upstream, f.Targets = slices.Clone(f.Checklist), slices.Clone(f.Upstream), slices.Clone(f.Targets)
	return f
}
