package approval

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// crew is people with a second team: erin and carol are in security, which carol is
// beside platform.
const erin int64 = 8

func crew(s story) Snapshot {
	snap := snapshot(s)
	snap.People[carol] = Person{Login: "carol", Known: true, Write: true, Teams: []string{"platform", "security"}, Asked: noon}
	snap.People[erin] = Person{Login: "erin", Known: true, Write: true, Teams: []string{"security"}}
	for i := range snap.Reviews {
		snap.Reviews[i].Login = snap.People[snap.Reviews[i].Reviewer].Login
	}
	return snap
}

var (
	security = Rule{Name: "security", Count: 1, Teams: []string{"security"}}
	owned    = Rule{Count: 1, CodeOwners: true, Teams: []string{"security"}, Users: []string{"mallory"}}
	unowned  = Rule{Count: 1, CodeOwners: true, Problem: "CODEOWNERS of the base branch names no owner of a.yaml"}
)

func allowing(r Rule, parts ...Part) Rule {
	r.Allow = parts
	return r
}

func TestSeveralRules(t *testing.T) {
	both := []Rule{platform, security}
	for _, c := range []struct {
		story   string
		rules   []Rule
		reviews story
		change  func(s *Snapshot)

		satisfied     bool
		reason, owner string
	}{
		{story: "nobody yet", rules: both, reason: "0 of 2 from platform; 0 of 1 from security.", owner: "team platform; team security (for security)"},
		{story: "one rule holds", rules: both, reviews: story{}.then(bob, Approved).then(erin, Approved),
			reason: "1 of 2 from platform (bob); 1 of 1 from security (erin).", owner: "team platform"},
		{story: "one person for both", rules: both, reviews: story{}.then(bob, Approved).then(carol, Approved), satisfied: true,
			reason: "2 of 2 from platform (bob, carol); 1 of 1 from security (carol).", owner: "team platform; team security (for security)"},
		{story: "enough people, all of one rule", rules: []Rule{platform, {Count: 1, Users: []string{"erin"}}}, reviews: story{}.then(bob, Approved).then(carol, Approved),
			reason: "2 of 2 from platform (bob, carol); 0 of 1 from erin.", owner: "erin"},
		{story: "somebody whom no rule asks", rules: both, reviews: story{}.then(dave, Approved),
			reason: "0 of 2 from platform; 0 of 1 from security. dave's approval does not count: dave is not in team platform or in team security.", owner: "team platform; team security (for security)"},
		{story: "changes requested by a member of the other rule", rules: both, reviews: story{}.then(bob, Approved).then(carol, Approved).then(erin, ChangesRequested),
			reason: "erin asked for changes. 2 of 2 from platform (bob, carol); 1 of 1 from security (carol).", owner: "erin"},

		{story: "the builder", rules: both, reviews: story{}.then(bob, Approved).then(carol, Approved), change: func(s *Snapshot) { s.Builders = []Builder{{ID: carol, Login: "carol"}} },
			reason: "1 of 2 from platform (bob); 0 of 1 from security. carol's approval does not count: carol built the image.", owner: "team platform; team security (for security)"},
		{story: "the builder, of whom CI told the login", rules: []Rule{security}, reviews: story{}.then(carol, Approved), change: func(s *Snapshot) { s.Builders = []Builder{{Login: "Carol"}} },
			reason: "0 of 1 from security. carol's approval does not count: carol built the image.", owner: "team security"},
		{story: "the builder, who has a new login", rules: []Rule{security}, reviews: story{}.then(carol, Approved), change: func(s *Snapshot) { s.Builders = []Builder{{ID: carol, Login: "caro"}} },
			reason: "0 of 1 from security. carol's approval does not count: carol built the image.", owner: "team security"},
		{story: "the builder, where one rule allows it", rules: []Rule{allowing(platform, AsBuilder), security}, reviews: story{}.then(bob, Approved).then(carol, Approved),
			change: func(s *Snapshot) { s.Builders = []Builder{{ID: bob}, {ID: carol}} },
			reason: "2 of 2 from platform (bob, carol); 0 of 1 from security. carol's approval does not count for security: carol built the image.", owner: "team security (for security)"},
		{story: "the requester, where the rule allows it", rules: []Rule{allowing(Rule{Count: 1}, AsRequester)}, reviews: story{}.then(alice, Approved), satisfied: true,
			reason: "1 of 1 approvals (alice).", owner: "anyone with write permission"},
		{story: "a bot that is named", rules: []Rule{{Count: 1, Users: []string{"renovate"}}}, reviews: story{}.then(renovate, Approved), satisfied: true,
			reason: "1 of 1 approvals (renovate).", owner: "renovate"},

		{story: "a code owner", rules: []Rule{owned}, reviews: story{}.then(carol, Approved), satisfied: true,
			reason: "1 of 1 from code owners (carol).", owner: "the owners of the file: team security, mallory"},
		{story: "a code owner who may only read", rules: []Rule{owned}, reviews: story{}.then(mallory, Approved),
			reason: "0 of 1 from code owners. mallory's approval does not count: mallory is not a code owner who may write (in team security or mallory).", owner: "the owners of the file: team security, mallory"},
		{story: "a writer who owns nothing", rules: []Rule{owned}, reviews: story{}.then(dave, Approved),
			reason: "0 of 1 from code owners. dave's approval does not count: dave is not a code owner who may write (in team security or mallory).", owner: "the owners of the file: team security, mallory"},
		{story: "nobody knows the owners", rules: []Rule{platform, unowned}, reviews: story{}.then(bob, Approved).then(carol, Approved),
			reason: "2 of 2 from platform (bob, carol); 0 of 1 from code owners, because CODEOWNERS of the base branch names no owner of a.yaml.", owner: "whoever maintains CODEOWNERS"},

		{story: "a rule with a problem asks nobody, whatever else it says", rules: []Rule{{Count: 1, Teams: []string{"security"}, Problem: "it is not known"}}, reviews: story{}.then(erin, Approved),
			reason: "0 of 1 approvals, because it is not known. erin's approval does not count: erin is not known to be a code owner.", owner: "whoever maintains CODEOWNERS"},

		{story: "of an earlier promotion", rules: []Rule{security}, reviews: story{}.then(erin, Approved, func(r *Review) { r.Earlier = true }),
			reason: "0 of 1 from security. erin's approval does not count: erin approved before the promotion was asked for again.", owner: "team security"},
		{story: "changes requested in an earlier promotion", rules: []Rule{security}, reviews: story{}.then(carol, Approved).then(erin, ChangesRequested, func(r *Review) { r.Earlier = true }),
			reason: "erin asked for changes. 1 of 1 from security (carol).", owner: "erin"},
		{story: "dismissed by Tagboat", rules: []Rule{security}, reviews: story{}.then(erin, Approved, olderCommit(false)).dismissed(1), change: func(s *Snapshot) { s.Dismissals = map[int64]Dismissal{1: DismissalDone} },
			reason: "0 of 1 from security. erin's approval does not count: erin approved an earlier commit. It is dismissed on GitHub, too.", owner: "team security"},
		{story: "dismissed by Tagboat, and the edit is what it was", rules: []Rule{security}, reviews: story{}.then(erin, Approved).dismissed(1), change: func(s *Snapshot) { s.Dismissals = map[int64]Dismissal{1: DismissalDone} },
			reason: "0 of 1 from security. erin's approval does not count: erin approved before the edit changed, and changed back. It is dismissed on GitHub, too.", owner: "team security"},
		{story: "Tagboat may not dismiss it", rules: []Rule{security}, reviews: story{}.then(erin, Approved, olderCommit(false)), change: func(s *Snapshot) { s.Dismissals = map[int64]Dismissal{1: DismissalRefused} },
			reason: "0 of 1 from security. erin's approval does not count: erin approved an earlier commit. GitHub still shows it: it did not let Tagboat dismiss it.", owner: "team security"},
		{story: "approved anew", rules: []Rule{security}, reviews: story{}.then(erin, Approved, olderCommit(false)).dismissed(1).then(erin, Approved), change: func(s *Snapshot) { s.Dismissals = map[int64]Dismissal{1: DismissalDone} },
			satisfied: true, reason: "1 of 1 from security (erin).", owner: "team security"},
	} {
		t.Run(c.story, func(t *testing.T) {
			snap := crew(c.reviews)
			if c.change != nil {
				c.change(&snap)
			}
			got := Evaluate(c.rules, snap)
			if diff := cmp.Diff([]any{c.satisfied, c.reason, c.owner}, []any{got.Satisfied, got.Reason, got.Owner}); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// What an auditor reads years later: who counted for which rule, as what, and when
// that was asked.
func TestTheResultTellsForWhat(t *testing.T) {
	got := Evaluate([]Rule{platform, {Name: "lead", Count: 1, Users: []string{"carol"}, Teams: []string{"security"}}}, crew(story{}.then(carol, Approved)))
	var lines []string
	for _, r := range got.Rules {
		for _, c := range r.Counted {
			lines = append(lines, fmt.Sprintf("%s for %s as %q of %s", c.Review.Login, r.Rule.Label(), c.Team, c.Asked.Format("15:04")))
		}
	}
	if want := `carol for platform as "platform" of 12:00, carol for lead as "" of 12:00`; strings.Join(lines, ", ") != want {
		t.Errorf("%q, not %q", lines, want)
	}
	if got.Missing != 1 || !slices.Equal(got.Counted, []string{"carol"}) || len(got.Approvals) != 1 {
		t.Errorf("%+v", got)
	}
}

// Stale is what GitHub shows and Tagboat does not count, once.
func TestWhatIsDismissed(t *testing.T) {
	for _, c := range []struct {
		story      string
		reviews    story
		dismissals map[int64]Dismissal
		stale      string
	}{
		{story: "of what would be merged", reviews: story{}.then(bob, Approved)},
		{story: "the edit is the same", reviews: story{}.then(bob, Approved, olderCommit(true))},
		{story: "the edit changed", reviews: story{}.then(bob, Approved, olderCommit(false)), stale: "1"},
		{story: "somebody else's commit", reviews: story{}.then(bob, Approved, func(r *Review) { r.Digest, r.EditHash, r.HeadSHA = "", "", "foreign" }), stale: "1"},
		{story: "another version", reviews: story{}.then(bob, Approved, func(r *Review) { r.Digest, r.Earlier = otherDigest, true }).then(dave, Approved, func(r *Review) { r.Digest = otherDigest }), stale: "1 2"},
		{story: "approved again since", reviews: story{}.then(bob, Approved, olderCommit(false)).then(bob, Approved)},
		{story: "a change request stands", reviews: story{}.then(bob, ChangesRequested, olderCommit(false))},
		{story: "dismissed already", reviews: story{}.then(bob, Approved, olderCommit(false)).dismissed(1)},
		{story: "dismissed by Tagboat", reviews: story{}.then(bob, Approved, olderCommit(false)).dismissed(1), dismissals: map[int64]Dismissal{1: DismissalDone}},
		{story: "refused", reviews: story{}.then(bob, Approved, olderCommit(false)), dismissals: map[int64]Dismissal{1: DismissalRefused}},
	} {
		snap := crew(c.reviews)
		snap.Dismissals = c.dismissals
		var ids []string
		for _, r := range Evaluate([]Rule{security}, snap).Stale {
			ids = append(ids, fmt.Sprint(r.ID))
		}
		if got := strings.Join(ids, " "); got != c.stale {
			t.Errorf("%s: %q is stale, not %q", c.story, got, c.stale)
		}
	}
}

// All rules have to hold: several are as strict as each of them alone.
func TestRulesOnlyAdd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rules := rapid.SliceOfN(anyRule, 1, 4).Draw(t, "rules")
		if rapid.IntRange(0, 3).Draw(t, "unknown owners") == 0 {
			rules = append(rules, unowned)
		}
		snap := anySnapshot(t)
		got := Evaluate(rules, snap)
		all, missing := true, 0
		for _, rule := range rules {
			alone := Evaluate([]Rule{rule}, snap)
			all, missing = all && alone.Satisfied, missing+alone.Missing
			if alone.Blocked && !got.Blocked {
				t.Fatal("a change request blocks one rule, and not all of them")
			}
			for _, login := range alone.Counted {
				if !slices.Contains(got.Counted, login) {
					t.Fatalf("%s counts for %s alone", login, rule.Label())
				}
			}
		}
		if got.Satisfied && !all || missing != got.Missing || all && !got.Blocked && !got.Satisfied {
			t.Fatalf("%+v: each alone: %v, %d missing", got, all, missing)
		}
		if slices.ContainsFunc(rules, func(r Rule) bool { return r.Problem != "" }) && got.Satisfied {
			t.Fatal("nobody knows the owners, and it passes")
		}
	})
}

// The words stay few, whatever CODEOWNERS lists and however many approve.
func TestTheWordsAreBounded(t *testing.T) {
	rule := Rule{Count: 3, CodeOwners: true}
	snap := snapshot(nil)
	for i := range 500 {
		login := fmt.Sprintf("person-%d", i)
		rule.Users = append(rule.Users, login)
		snap.People[int64(1000+i)] = Person{Login: login, Known: true, Write: i%2 == 0}
		snap.Reviews = append(snap.Reviews, Review{ID: int64(i), Reviewer: int64(1000 + i), Login: login, State: Approved, HeadSHA: head, EditHash: edit, Digest: digest, At: noon})
	}
	if got := Evaluate([]Rule{rule}, snap); len(got.Reason) > 4000 || len(got.Owner) > 400 || !strings.Contains(got.Reason, "242 more") {
		t.Errorf("%d and %d bytes: %s", len(got.Reason), len(got.Owner), got.Reason)
	}
}
