package promotion

import (
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/approval"
)

// history is a promotion to which things happen one after the other, and what is
// true of it, kept in words of its own. Decide is told what a look would see.
type history struct {
	facts      Facts // but for the approvals
	now        time.Time
	steps      int
	ours       map[string]string // the commits that Tagboat made, and the edit in each
	reviews    []review          // as people submitted them
	dismissed  map[int64]bool
	requesters []int64
	known      map[int64]bool // whom GitHub can be asked about
	merged     bool
}

// review is what somebody said, and what they saw.
type review struct {
	id, who      int64
	state        approval.State
	head, digest string
	at           time.Time
}

const (
	alice, bob, carol, dave, robot, mallory int64 = 1, 2, 3, 4, 5, 6 // robot is a bot; mallory is not in the team
	quorum                                        = 2
)

var everybody = []int64{alice, bob, carol, dave, robot, mallory}

func newHistory() *history {
	h := &history{
		facts: ready(), now: noon, ours: map[string]string{}, dismissed: map[int64]bool{},
		requesters: []int64{alice}, known: map[int64]bool{},
	}
	for _, who := range everybody {
		h.known[who] = true
	}
	h.facts.State, h.facts.Pull, h.facts.Published = Proposed, nil, Published{}
	return h
}

func (h *history) say(who int64, state approval.State) {
	if h.facts.Pull == nil {
		return
	}
	r := review{id: int64(len(h.reviews) + 1), who: who, state: state, head: h.facts.Pull.HeadSHA, at: h.now.Add(time.Duration(len(h.reviews)) * time.Second)}
	if _, ours := h.ours[r.head]; ours {
		r.digest = h.facts.Artifact.Digest
	}
	h.reviews = append(h.reviews, r)
}

// look is what Decide is told: the reviews have gone through package approval.
func (h *history) look() Facts {
	f := clone(h.facts)
	snap := approval.Snapshot{Digest: f.Artifact.Digest, Requesters: h.requesters, People: map[int64]approval.Person{}}
	if f.Pull != nil {
		snap.HeadSHA, snap.EditHash = f.Pull.HeadSHA, f.Pull.EditHash
	}
	for _, who := range everybody {
		p := approval.Person{Login: fmt.Sprint("person ", who), Known: h.known[who], Bot: who == robot, Write: who != mallory}
		if who != mallory {
			p.Teams = []string{"platform"}
		}
		snap.People[who] = p
	}
	for _, r := range h.reviews {
		snap.Reviews = append(snap.Reviews, approval.Review{
			ID: r.id, Reviewer: r.who, Login: snap.People[r.who].Login, State: r.state, HeadSHA: r.head, EditHash: h.ours[r.head], Digest: r.digest, At: r.at,
		})
		if h.dismissed[r.id] {
			last := snap.Reviews[len(snap.Reviews)-1]
			last.State = approval.Dismissed
			snap.Reviews = append(snap.Reviews, last)
		}
	}
	result := approval.Evaluate([]approval.Rule{{Count: quorum, Teams: []string{"platform"}}}, snap)
	f.Approval = Approval{Satisfied: result.Satisfied, Blocked: result.Blocked, Missing: result.Missing, Reason: result.Reason, Owner: result.Owner}
	return f
}

// fourEyes is I7 in other words: two people of the team, known to GitHub and no
// robots, who have not asked for it, said yes to this very edit and digest, and
// nobody who may write says no.
func (h *history) fourEyes() error {
	last := map[int64]review{}
	for _, r := range h.reviews {
		if r.state == approval.Approved || r.state == approval.ChangesRequested {
			last[r.who] = r
		}
	}
	yes := 0
	for who, r := range last {
		if h.dismissed[r.id] {
			continue
		}
		if r.state == approval.ChangesRequested {
			if !h.known[who] || who != robot && who != mallory {
				return fmt.Errorf("person %d said no", who)
			}
			continue
		}
		edit, ours := h.ours[r.head]
		same := ours && edit == h.ours[h.facts.Pull.HeadSHA] && r.digest == h.facts.Artifact.Digest
		if same && h.known[who] && who != robot && who != mallory && !slices.Contains(h.requesters, who) {
			yes++
		}
	}
	if yes < quorum {
		return fmt.Errorf("%d people said yes to it", yes)
	}
	return nil
}

// decide asks for the next effect, and judges the answer by what is true.
func (h *history) decide(t *rapid.T) Decision {
	f := h.look()
	d := Decide(f, truthful, h.now)
	if err := sound(f, d, truthful(d.Gates), h.now); err != nil {
		t.Fatal(err)
	}
	if !d.Passed() {
		return d
	}
	if edit, ours := h.ours[f.Pull.HeadSHA]; !ours || edit != f.Plan.Hash {
		t.Fatalf("every gate passes, but the head %s is not Tagboat's, or not what the base needs: %+v", f.Pull.HeadSHA, d.Gates)
	}
	if err := h.fourEyes(); f.Rule.Approvals && err != nil {
		t.Fatalf("every gate passes, but %v: %+v", err, d.Gates)
	}
	return d
}

// step performs what Decide says. The answer to a new commit may be lost.
func (h *history) step(t *rapid.T) {
	d := h.decide(t)
	h.steps++
	old := clone(h.facts)
	perform(&h.facts, d, 100+h.steps)
	switch d.Effect {
	case Merge, EnterQueue:
		h.merged = true
	case OpenPull, Regenerate:
		h.ours[h.facts.Pull.HeadSHA] = h.facts.Plan.Hash
		if d.Effect == Regenerate && rapid.Bool().Draw(t, "the answer is lost") {
			head := h.facts.Pull.HeadSHA
			h.facts = old
			h.facts.Pull.HeadSHA, h.facts.Pull.HeadOurs = head, true
			return
		}
		h.facts.Pull.HeadOurs = false
	case AskRegistry:
		h.facts.Digest.ObservedAt = h.now
	case AskSignatures:
		for i := range h.facts.Signatures {
			h.facts.Signatures[i].At = h.now
		}
	case AskClusters:
		for i := range h.facts.Trials {
			h.facts.Trials[i].At = h.now
		}
	}
}

// mend has everybody do what the gates say, and whoever closed the pull request open it
// again; heads and reviews stay as they are.
func (h *history) mend() {
	goal, f := ready(), &h.facts
	if !opened.Open(h.now) {
		h.now = opened.Opens(h.now)
	}
	if f.Pull != nil {
		f.State, f.Pull.Closed, f.Pull.Merged = Open, false, false
	}
	f.RuleErr, f.Rule, f.Denial = "", goal.Rule, nil
	f.Digest = Digest{Now: f.Artifact.Digest, ObservedAt: h.now}
	f.Required, f.Checks, f.ChecksKnown, f.Checklist = goal.Required, goal.Checks, true, goal.Checklist
	f.Upstream, f.Rendered, f.Policy, f.Stops = goal.Upstream, goal.Rendered, goal.Policy, nil
	f.Upstream[0].Digest = f.Artifact.Digest
	f.Trials, f.Queue = goal.Trials, goal.Queue
	f.Signatures = goal.Signatures
	for i := range f.Signatures {
		f.Signatures[i].Digest, f.Signatures[i].At = f.Artifact.Digest, h.now
	}
	for _, who := range everybody {
		h.known[who] = true
	}
	if f.Plan.Err != "" || f.Plan.Hash == "" || f.Plan.Nothing {
		f.Plan = Plan{Hash: "edit"}
	}
	if f.Plan.Back = false; f.Back != nil {
		f.Plan.Current = f.Back.Bad
	}
}

// events are what people, GitHub and the clusters may do in a history, besides the
// mishaps.
var events = map[string]func(t *rapid.T, h *history){
	"everybody does their part": func(_ *rapid.T, h *history) { h.mend() },
	"time passes": func(t *rapid.T, h *history) {
		h.now = h.now.Add(time.Duration(rapid.IntRange(1, 120).Draw(t, "minutes")) * time.Minute)
	},
	"somebody reviews": func(t *rapid.T, h *history) {
		states := []approval.State{approval.Approved, approval.Approved, approval.ChangesRequested, approval.Commented}
		h.say(rapid.SampledFrom(everybody).Draw(t, "who"), rapid.SampledFrom(states).Draw(t, "says"))
	},
	"everybody approves": func(_ *rapid.T, h *history) {
		for _, who := range everybody {
			h.say(who, approval.Approved)
		}
	},
	"two people approve": func(_ *rapid.T, h *history) { h.say(bob, approval.Approved); h.say(carol, approval.Approved) },
	"a review is dismissed": func(t *rapid.T, h *history) {
		h.dismissed[rapid.Int64Range(1, 9).Draw(t, "which")] = true
	},
	"somebody else asks for it, too": func(t *rapid.T, h *history) {
		h.requesters = append(slices.Clone(h.requesters), rapid.SampledFrom(everybody).Draw(t, "who"))
	},
	"GitHub cannot say who somebody is": func(t *rapid.T, h *history) { h.known[rapid.SampledFrom(everybody).Draw(t, "who")] = false },
	"somebody pushes": func(_ *rapid.T, h *history) {
		h.steps++
		on(func(p *Pull) { p.HeadSHA, p.HeadOurs = fmt.Sprintf("%040d", 100+h.steps), false })(&h.facts)
	},
	"it is taken off the branch": func(_ *rapid.T, h *history) {
		on(func(p *Pull) { p.HeadSHA, p.HeadOurs = p.OurHeadSHA, false })(&h.facts)
	},
	"the overlay is changed on the base": func(t *rapid.T, h *history) {
		h.facts.Plan = Plan{Hash: rapid.SampledFrom([]string{"edit", "another edit"}).Draw(t, "edit")}
	},
	"a newer artifact takes it over": func(t *rapid.T, h *history) { // of the same edit, where only tags are pinned
		h.facts.Artifact.Digest, h.facts.Plan = digest("c"), Plan{Hash: rapid.SampledFrom([]string{"edit", "the next edit"}).Draw(t, "edit")}
	},
}

// what draws what happens next: most often looks, else an event or one of the
// mishaps, of which what people say is none.
var what = func() *rapid.Generator[string] {
	all := slices.Sorted(maps.Keys(events))
	for _, m := range names(mishaps) {
		switch m {
		case "an approval missing", "changes requested", "a foreign commit", "an answer lost", "already merged":
		default:
			all = append(all, m)
		}
	}
	usual := []string{"looks", "looks", "everybody does their part", "everybody approves"}
	return rapid.OneOf(rapid.SampledFrom(usual), rapid.SampledFrom(usual), rapid.SampledFrom(usual),
		rapid.SampledFrom(all), rapid.SampledFrom(slices.Sorted(maps.Keys(events))))
}()

// play is a history of up to thirty happenings, each followed by a look. It ends with
// the promotion.
func play(t *rapid.T) *history {
	h := newHistory()
	for range rapid.IntRange(10, 30).Draw(t, "length") {
		switch name := what.Draw(t, "then"); {
		case name == "looks":
			for range rapid.IntRange(1, 6).Draw(t, "how many") {
				h.step(t)
			}
		case events[name] != nil:
			events[name](t, h)
		default:
			mishaps[name](&h.facts)
		}
		if h.decide(t); h.facts.State == Merged {
			break
		}
	}
	return h
}

// I1, I4, I5, I7: whatever happens to a promotion, and in whatever order, there is no
// way to a merge, or to the green check that lets people merge, without fresh evidence
// for this digest and this head, of Tagboat's own commit with the edit that the base
// needs, forward, and with the yes of the people whose yes counts.
func TestNoHistoryLeadsToAMergeThatRestsOnLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) { play(t) })
}

// Histories prove something only if they get as far as merging: some with a commit
// that had to be made anew.
func TestHistoriesMerge(t *testing.T) {
	if testing.Short() {
		t.Skip("too few are drawn to tell")
	}
	merged, late := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		h := play(t)
		if h.merged {
			merged++
		}
		if h.merged && len(h.ours) > 1 {
			late++
		}
	})

	if merged == 0 || late == 0 {
		t.Errorf("%d histories end with a merge, %d of them with that of a commit made anew", merged, late)
	}
}
