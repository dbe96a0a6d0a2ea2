package approval

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

var everybody = []int64{alice, bob, carol, dave, renovate, mallory, ghost}

var (
	anyRule = rapid.SampledFrom([]Rule{
		{Count: 1}, {Count: 2}, platform, {Count: 1, Users: []string{"dave", "bob"}}, {Count: 2, Teams: []string{"platform", "security"}, Users: []string{"mallory"}},
	})
	anyState = rapid.SampledFrom([]State{Approved, Approved, ChangesRequested, Commented, Dismissed})
)

// anyReviews draws what people may have done.
func anyReviews(t *rapid.T) story {
	var s story
	for range rapid.IntRange(0, 8).Draw(t, "reviews") {
		s = s.then(rapid.SampledFrom(everybody).Draw(t, "who"), anyState.Draw(t, "state"), func(r *Review) {
			r.HeadSHA = rapid.SampledFrom([]string{head, head, oldHead}).Draw(t, "head")
			r.EditHash = rapid.SampledFrom([]string{edit, edit, oldEdit, ""}).Draw(t, "edit")
			r.Digest = rapid.SampledFrom([]string{digest, digest, otherDigest, ""}).Draw(t, "digest")
		})
	}
	return s
}

func anySnapshot(t *rapid.T) Snapshot {
	snap := snapshot(anyReviews(t))
	snap.Requesters = rapid.SampledFrom([][]int64{nil, {alice}, {bob}, {alice, bob}}).Draw(t, "requesters")
	snap.Builders = rapid.SampledFrom([][]Builder{nil, nil, {{ID: carol}}, {{Login: "dave"}, {ID: bob, Login: "bob"}}}).Draw(t, "builders")
	for i := range snap.Reviews {
		snap.Reviews[i].Earlier = rapid.IntRange(0, 5).Draw(t, "earlier") == 0
	}
	if len(snap.Reviews) > 0 && rapid.Bool().Draw(t, "one was dismissed") {
		id := snap.Reviews[rapid.IntRange(0, len(snap.Reviews)-1).Draw(t, "which was dismissed")].ID
		snap.Dismissals = map[int64]Dismissal{id: rapid.SampledFrom([]Dismissal{DismissalDone, DismissalRefused}).Draw(t, "how")}
	}
	return snap
}

// I7, and the rest of what makes an approval count, said once more in other words.
func TestOnlyWhoMayIsCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, snap := anyRule.Draw(t, "rule"), anySnapshot(t)
		got := Evaluate([]Rule{rule}, snap)
		for _, login := range got.Counted {
			i := slices.IndexFunc(everybody, func(id int64) bool { return snap.People[id].Login == login })
			id := everybody[i]
			p := snap.People[id]
			inTeam := slices.ContainsFunc(rule.Teams, func(team string) bool { return slices.Contains(p.Teams, team) })
			asked := inTeam || slices.Contains(rule.Users, p.Login) || len(rule.Teams)+len(rule.Users) == 0 && p.Write
			if !p.Known || p.Bot || slices.ContainsFunc(snap.Builders, func(b Builder) bool { return b.ID == id || b.Login == login }) || slices.Contains(snap.Requesters, id) || !asked {
				t.Fatalf("%s was counted", login)
			}
			if !slices.ContainsFunc(snap.Reviews, func(r Review) bool {
				return r.Reviewer == id && r.State == Approved && !r.Earlier && snap.Dismissals[r.ID] != DismissalDone && r.Digest == snap.Digest && (r.HeadSHA == snap.HeadSHA || r.EditHash == snap.EditHash)
			}) {
				t.Fatalf("%s was counted without having approved what would be merged", login)
			}
		}
		distinct := slices.Compact(slices.Sorted(slices.Values(got.Counted)))
		if len(distinct) != len(got.Counted) {
			t.Fatalf("somebody was counted twice: %v", got.Counted)
		}
		if got.Satisfied != (len(got.Counted) >= rule.Count && !got.Blocked) || got.Missing != max(0, rule.Count-len(got.Counted)) {
			t.Fatalf("%+v does not follow from %d of %d", got, len(got.Counted), rule.Count)
		}
	})
}

// Somebody who had said nothing before, and whose review does not count, cannot
// open the gate.
func TestAnExcludedReviewOpensNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, snap := anyRule.Draw(t, "rule"), anySnapshot(t)
		before := Evaluate([]Rule{rule}, snap)
		silent := slices.DeleteFunc(slices.Clone(everybody), func(id int64) bool {
			return slices.ContainsFunc(snap.Reviews, func(r Review) bool { return r.Reviewer == id })
		})
		if len(silent) == 0 {
			return
		}
		who := rapid.SampledFrom(silent).Draw(t, "who")
		snap.Reviews = story(snap.Reviews).then(who, anyState.Draw(t, "state"), func(r *Review) {
			r.Digest = rapid.SampledFrom([]string{digest, otherDigest}).Draw(t, "digest of the last")
		})
		after := Evaluate([]Rule{rule}, snap)
		if slices.Contains(after.Counted, snap.People[who].Login) {
			return
		}
		if after.Satisfied && !before.Satisfied || len(after.Counted) != len(before.Counted) || before.Blocked && !after.Blocked {
			t.Fatalf("%s's review changed %+v to %+v", snap.People[who].Login, before, after)
		}
	})
}

// Webhooks overtake each other: what counts is when people said it.
func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, snap := anyRule.Draw(t, "rule"), anySnapshot(t)
		if len(snap.Reviews) > 0 && rapid.Bool().Draw(t, "one is dismissed") {
			snap.Reviews = story(snap.Reviews).dismissed(rapid.IntRange(1, len(snap.Reviews)).Draw(t, "which"))
		}
		shuffled := snap
		shuffled.Reviews = rapid.Permutation(snap.Reviews).Draw(t, "arrival")
		if diff := cmp.Diff(Evaluate([]Rule{rule}, snap), Evaluate([]Rule{rule}, shuffled)); diff != "" {
			t.Fatal(diff)
		}
	})
}

// Whom GitHub could not be asked about says no yes, and forgetting a person never
// helps.
func TestUnknownPeopleNeverCount(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rule, snap := anyRule.Draw(t, "rule"), anySnapshot(t)
		before := Evaluate([]Rule{rule}, snap)
		who := rapid.SampledFrom(everybody).Draw(t, "forgotten")
		login := snap.People[who].Login
		if rapid.Bool().Draw(t, "wholly") {
			delete(snap.People, who)
		} else {
			p := snap.People[who]
			p.Known = false
			snap.People[who] = p
		}
		after := Evaluate([]Rule{rule}, snap)
		if slices.Contains(after.Counted, login) || after.Satisfied && !before.Satisfied {
			t.Fatalf("forgetting %s changed %+v to %+v", login, before, after)
		}
	})
}

// A promotion that waits for approvals can get them: whatever was said, a later
// yes of enough people who may, and who were against it, opens the gate.
func TestEnoughPeopleCanAlwaysSayYes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		snap := anySnapshot(t)
		snap.Requesters, snap.Builders = []int64{dave}, []Builder{{Login: "mallory"}}
		s := story(snap.Reviews)
		for _, who := range everybody {
			s = s.then(who, Approved, func(r *Review) { r.At = r.At.Add(time.Hour) })
		}
		snap.Reviews = s
		if got := Evaluate([]Rule{platform}, snap); !got.Satisfied {
			t.Fatalf("everybody said yes: %+v", got)
		}
	})
}
