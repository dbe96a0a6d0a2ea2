package approval

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	alice, bob, carol, dave, renovate, mallory, ghost int64 = 1, 2, 3, 4, 5, 6, 7

	digest, otherDigest = "sha256:aaaa", "sha256:bbbb"
	head, oldHead       = "head", "old head"
	edit, oldEdit       = "edit", "old edit"
)

// people are those of acme: alice, bob and carol are in team platform; dave may
// write; mallory may read; renovate is a bot that may write; nobody could say
// anything about ghost.
func people() map[int64]Person {
	return map[int64]Person{
		alice:    {Login: "alice", Known: true, Write: true, Teams: []string{"platform"}},
		bob:      {Login: "bob", Known: true, Write: true, Teams: []string{"platform"}},
		carol:    {Login: "carol", Known: true, Write: true, Teams: []string{"platform"}},
		dave:     {Login: "dave", Known: true, Write: true},
		renovate: {Login: "renovate", Known: true, Write: true, Bot: true, Teams: []string{"platform"}},
		mallory:  {Login: "mallory", Known: true},
		ghost:    {Login: "ghost", Write: true, Teams: []string{"platform"}},
	}
}

var noon = time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)

// story is what people did, one after the other.
type story []Review

// then adds a review of what would be merged now.
func (s story) then(who int64, state State, changes ...func(*Review)) story {
	r := Review{
		ID: int64(len(s) + 1), Reviewer: who, Login: people()[who].Login, State: state,
		HeadSHA: head, EditHash: edit, Digest: digest, At: noon.Add(time.Duration(len(s)) * time.Minute),
	}
	for _, change := range changes {
		change(&r)
	}
	return append(slices.Clone(s), r)
}

// dismissed adds the dismissal of an earlier review, which carries that review's
// number and time.
func (s story) dismissed(review int) story {
	r := s[review-1]
	r.State = Dismissed
	return append(slices.Clone(s), r)
}

func olderCommit(sameEdit bool) func(*Review) {
	return func(r *Review) {
		r.HeadSHA, r.EditHash = oldHead, oldEdit
		if sameEdit {
			r.EditHash = edit
		}
	}
}

// unseen is a review of which it is not certain what its author saw.
func unseen(r *Review) { r.HeadSHA, r.EditHash, r.Digest = "", "", "" }

// again is the same review once more, as it was told another time.
func again(review int) func(*Review) {
	return func(r *Review) { r.ID, r.At = int64(review), noon.Add(time.Duration(review-1)*time.Minute) }
}

func snapshot(s story) Snapshot {
	return Snapshot{Digest: digest, HeadSHA: head, EditHash: edit, Requesters: []int64{alice}, Reviews: s, People: people()}
}

var platform = Rule{Count: 2, Teams: []string{"platform"}}

func TestWhoMaySayYes(t *testing.T) {
	anyone := Rule{Count: 1}
	both := story{}.then(bob, Approved).then(carol, Approved)
	for _, c := range []struct {
		story   string
		rule    Rule
		reviews story
		change  func(s *Snapshot)

		satisfied, blocked bool
		counted            string
		missing            int
		excluded           string // "login: why" of each, joined
	}{
		{story: "nobody has said anything", rule: platform, missing: 2},
		{story: "one of two", rule: platform, reviews: story{}.then(bob, Approved), counted: "bob", missing: 1},
		{story: "two of two", rule: platform, reviews: both, satisfied: true, counted: "bob carol"},
		{story: "more than enough", rule: Rule{Count: 1, Teams: []string{"platform"}}, reviews: both, satisfied: true, counted: "bob carol"},
		{story: "the same person twice is one", rule: platform, reviews: story{}.then(bob, Approved).then(bob, Approved), counted: "bob", missing: 1},
		{story: "nothing is asked for", rule: Rule{}, satisfied: true},

		{story: "the requester approves", rule: platform, reviews: both.then(alice, Approved), satisfied: true, counted: "bob carol", excluded: "alice: asked for this promotion"},
		{story: "the requester is one of the two", rule: platform, reviews: story{}.then(alice, Approved).then(bob, Approved), counted: "bob", missing: 1, excluded: "alice: asked for this promotion"},
		{story: "nobody asked for it, so everybody may approve", rule: platform, reviews: story{}.then(alice, Approved).then(bob, Approved),
			change: func(s *Snapshot) { s.Requesters = nil }, satisfied: true, counted: "alice bob"},
		{story: "a bot approves", rule: platform, reviews: story{}.then(bob, Approved).then(renovate, Approved), counted: "bob", missing: 1, excluded: "renovate: is a bot"},
		{story: "somebody of whom GitHub could say nothing approves", rule: platform, reviews: story{}.then(bob, Approved).then(ghost, Approved), counted: "bob", missing: 1,
			excluded: "ghost: GitHub could not be asked who they are"},
		{story: "somebody who was never looked up approves", rule: platform, reviews: both, change: func(s *Snapshot) { delete(s.People, bob) }, counted: "carol", missing: 1,
			excluded: "bob: GitHub could not be asked who they are"},

		{story: "a writer who is not in the team", rule: platform, reviews: story{}.then(dave, Approved), missing: 2, excluded: "dave: is not in team platform"},
		{story: "any of two teams", rule: Rule{Count: 1, Teams: []string{"security", "platform"}}, reviews: story{}.then(bob, Approved), satisfied: true, counted: "bob"},
		{story: "a user who is named", rule: Rule{Count: 1, Users: []string{"Dave"}}, reviews: story{}.then(dave, Approved), satisfied: true, counted: "dave"},
		{story: "a user who is not named", rule: Rule{Count: 1, Users: []string{"dave"}}, reviews: story{}.then(bob, Approved), missing: 1, excluded: "bob: is not dave"},
		{story: "a team or a user", rule: Rule{Count: 2, Teams: []string{"platform"}, Users: []string{"dave"}}, reviews: story{}.then(dave, Approved).then(bob, Approved), satisfied: true, counted: "dave bob"},
		{story: "who took the login of a named user, after a rename", rule: Rule{Count: 1, Users: []string{"dave"}}, reviews: story{}.then(dave, Approved),
			change: func(s *Snapshot) { s.People[dave] = Person{Login: "dave-was-here", Known: true, Write: true} }, missing: 1, excluded: "dave: is not dave"},
		{story: "nobody is named: who may write", rule: anyone, reviews: story{}.then(dave, Approved), satisfied: true, counted: "dave"},
		{story: "nobody is named: who may only read", rule: anyone, reviews: story{}.then(mallory, Approved), missing: 1, excluded: "mallory: is not allowed to write to the env repo"},

		{story: "approved, but nobody can tell which commit", rule: anyone, reviews: story{}.then(bob, Approved, unseen), missing: 1,
			excluded: "bob: approved when GitHub's word of it did not arrive, so that nobody can tell which commit"},
		{story: "that word arrives late", rule: anyone, reviews: story{}.then(bob, Approved, unseen).then(bob, Approved, again(1)), satisfied: true, counted: "bob"},
		{story: "that word arrived before", rule: anyone, reviews: story{}.then(bob, Approved).then(bob, Approved, unseen, again(1)), satisfied: true, counted: "bob"},
		{story: "approved before the base moved; the edit is the same", rule: anyone, reviews: story{}.then(bob, Approved, olderCommit(true)), satisfied: true, counted: "bob"},
		{story: "approved before the edit changed", rule: anyone, reviews: story{}.then(bob, Approved, olderCommit(false)), missing: 1, excluded: "bob: approved an earlier commit"},
		{story: "approved a commit that was not ours", rule: anyone, reviews: story{}.then(bob, Approved, func(r *Review) { r.HeadSHA, r.EditHash = "foreign", "" }), missing: 1, excluded: "bob: approved an earlier commit"},
		{story: "approved a commit that was not ours, and no edit is known", rule: anyone, reviews: story{}.then(bob, Approved, func(r *Review) { r.HeadSHA, r.EditHash = "foreign", "" }),
			change: func(s *Snapshot) { s.EditHash = "" }, missing: 1, excluded: "bob: approved an earlier commit"},
		{story: "approved the version before", rule: anyone, reviews: story{}.then(bob, Approved, func(r *Review) { r.Digest = otherDigest }), missing: 1, excluded: "bob: approved another digest"},
		{story: "approved nobody knows what", rule: anyone, reviews: story{}.then(bob, Approved, func(r *Review) { r.Digest = "" }),
			change: func(s *Snapshot) { s.Digest = "" }, missing: 1, excluded: "bob: approved a commit that is not Tagboat's"},
		{story: "approved an old commit, then this one", rule: anyone, reviews: story{}.then(bob, Approved, olderCommit(false)).then(bob, Approved), satisfied: true, counted: "bob"},

		{story: "changes requested", rule: platform, reviews: both.then(bob, ChangesRequested), blocked: true, counted: "carol", missing: 1},
		{story: "changes requested by a third", rule: platform, reviews: both.then(dave, ChangesRequested), blocked: true, counted: "bob carol"},
		{story: "changes requested for an older commit still stand", rule: platform, reviews: both.then(dave, ChangesRequested, olderCommit(false)), blocked: true, counted: "bob carol"},
		{story: "changes requested by the requester", rule: platform, reviews: both.then(alice, ChangesRequested), blocked: true, counted: "bob carol"},
		{story: "changes requested by a named user who may only read", rule: Rule{Count: 1, Users: []string{"bob", "mallory"}}, reviews: story{}.then(bob, Approved).then(mallory, ChangesRequested), blocked: true, counted: "bob"},
		{story: "changes requested by somebody of whom nothing is known", rule: platform, reviews: both.then(ghost, ChangesRequested), blocked: true, counted: "bob carol"},
		{story: "changes requested by somebody who may only read", rule: platform, reviews: both.then(mallory, ChangesRequested), satisfied: true, counted: "bob carol",
			excluded: "mallory: asked for changes, but may not decide here"},
		{story: "changes requested by a bot", rule: platform, reviews: both.then(renovate, ChangesRequested), satisfied: true, counted: "bob carol",
			excluded: "renovate: asked for changes, but may not decide here"},
		{story: "changes requested, then approved", rule: platform, reviews: story{}.then(bob, ChangesRequested).then(carol, Approved).then(bob, Approved), satisfied: true, counted: "carol bob"},
		{story: "changes requested, then dismissed", rule: platform, reviews: both.then(dave, ChangesRequested).dismissed(3), satisfied: true, counted: "bob carol"},

		{story: "a comment after the approval changes nothing", rule: platform, reviews: both.then(bob, Commented), satisfied: true, counted: "bob carol"},
		{story: "a comment after the change request changes nothing", rule: platform, reviews: both.then(dave, ChangesRequested).then(dave, Commented), blocked: true, counted: "bob carol"},
		{story: "a comment is no approval", rule: Rule{Count: 1}, reviews: story{}.then(bob, Commented), missing: 1},
		{story: "an approval was dismissed", rule: platform, reviews: both.dismissed(1), counted: "carol", missing: 1},
		{story: "an approval was dismissed, and given again", rule: platform, reviews: both.dismissed(1).then(bob, Approved), satisfied: true, counted: "carol bob"},
		{story: "an older approval is dismissed: the newer stands", rule: platform, reviews: both.then(bob, Approved).dismissed(1), satisfied: true, counted: "carol bob"},
		{story: "an older approval is dismissed: the newer change request stands", rule: platform, reviews: both.then(bob, ChangesRequested).dismissed(1), blocked: true, counted: "carol", missing: 1},
	} {
		t.Run(c.story, func(t *testing.T) {
			snap := snapshot(c.reviews)
			if c.change != nil {
				c.change(&snap)
			}
			got := Evaluate([]Rule{c.rule}, snap)
			var excluded []string
			for _, e := range got.Excluded {
				excluded = append(excluded, e.Login+": "+e.Why)
				if !strings.Contains(got.Reason, e.Login+" "+e.Why) {
					t.Errorf("the reason does not say that %s %s: %s", e.Login, e.Why, got.Reason)
				}
			}
			want := []any{c.satisfied, c.blocked, c.counted, c.missing, c.excluded}
			if diff := cmp.Diff(want, []any{got.Satisfied, got.Blocked, strings.Join(got.Counted, " "), got.Missing, strings.Join(excluded, "; ")}); diff != "" {
				t.Errorf("%s\n%s", got.Reason, diff)
			}
			if got.Reason == "" || got.Owner == "" {
				t.Errorf("it does not say why, or who can act: %+v", got)
			}
		})
	}
}

func TestWhatPeopleRead(t *testing.T) {
	for _, c := range []struct {
		story         string
		rule          Rule
		reviews       story
		reason, owner string
	}{
		{"one is missing", platform, story{}.then(bob, Approved).then(alice, Approved),
			"1 of 2 approvals (bob). alice's approval does not count: alice asked for this promotion.", "team platform"},
		{"somebody asked for changes", platform, story{}.then(bob, Approved).then(dave, ChangesRequested),
			"dave asked for changes. 1 of 2 approvals (bob).", "dave"},
		{"somebody without a say asked for changes", platform, story{}.then(mallory, ChangesRequested),
			"0 of 2 approvals. mallory's review does not count: mallory asked for changes, but may not decide here.", "team platform"},
		{"anyone may", Rule{Count: 1}, nil, "0 of 1 approvals.", "anyone with write permission, except who asked"},
		{"a team or a person", Rule{Count: 1, Teams: []string{"platform"}, Users: []string{"dave"}}, story{}.then(mallory, Approved),
			"0 of 1 approvals. mallory's approval does not count: mallory is not in team platform or dave.", "team platform, dave"},
	} {
		got := Evaluate([]Rule{c.rule}, snapshot(c.reviews))
		if diff := cmp.Diff([]string{c.reason, c.owner}, []string{got.Reason, got.Owner}); diff != "" {
			t.Errorf("%s:\n%s", c.story, diff)
		}
	}
}
