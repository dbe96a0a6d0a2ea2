package worker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

var nine = time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)

// at is so many seconds after nine.
func at(seconds int) time.Time { return nine.Add(time.Duration(seconds) * time.Second) }

// An approval that only GitHub's list tells of counts for a commit where nobody can have
// seen another one.
func TestWhichCommitWasOnTheScreen(t *testing.T) {
	for _, c := range []struct {
		story     string
		commit    string
		submitted int
		head      string
		moves     []github.Move
		want      string
	}{
		{"the head never moved", "a", 10, "a", nil, "a"},
		{"GitHub has another commit for it than the head", "b", 10, "a", nil, ""},
		{"GitHub has no commit for it", "", 10, "a", nil, ""},
		{"the head was moved before", "b", 10, "b", []github.Move{{At: at(5), From: "a"}}, "b"},
		{"of what was there before, submitted after the move", "a", 10, "b", []github.Move{{At: at(5), From: "a"}}, ""},
		{"the head was moved in the same second", "b", 10, "b", []github.Move{{At: at(10), From: "a"}}, ""},
		{"the head was moved after", "a", 10, "b", []github.Move{{At: at(15), From: "a"}}, "a"},
		{"the head was moved after, and the review along", "b", 10, "b", []github.Move{{At: at(15), From: "a"}}, ""},
		{"between two moves", "b", 10, "c", []github.Move{{At: at(5), From: "a"}, {At: at(15), From: "b"}}, "b"},
		{"before two moves", "a", 3, "c", []github.Move{{At: at(5), From: "a"}, {At: at(15), From: "b"}}, "a"},
		{"before two moves, and moved along with the first", "b", 3, "c", []github.Move{{At: at(5), From: "a"}, {At: at(15), From: "b"}}, ""},
		{"away and back", "a", 10, "a", []github.Move{{At: at(15), From: "x"}}, ""},
		{"GitHub has forgotten where it was moved from", "a", 10, "b", []github.Move{{At: at(15)}}, ""},
	} {
		r := github.Review{CommitID: c.commit, SubmittedAt: at(c.submitted)}
		if got := onScreen(r, github.History{HeadSHA: c.head, Moves: c.moves}); got != c.want {
			t.Errorf("%s: %q, want %q", c.story, got, c.want)
		}
	}
	many := github.History{HeadSHA: "a"}
	for i := range github.MostMoves {
		many.Moves = append(many.Moves, github.Move{At: at(100 + i), From: "a"})
	}
	if got := onScreen(github.Review{CommitID: "a", SubmittedAt: at(10)}, many); got != "" {
		t.Errorf("the moves before the oldest that is known are not known, but it was %q", got)
	}
}

// body is a description with two items, of what is promoted.
func body(dashboards, runbook bool) string { return bodyOf("sha256:aaaa", dashboards, runbook) }

func bodyOf(digest string, dashboards, runbook bool) string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- tagboat:promotion env=prod app=payments digest=%s -->\n", digest)
	for _, item := range []struct {
		id      string
		checked bool
	}{{"dashboards", dashboards}, {"runbook", runbook}} {
		box := " "
		if item.checked {
			box = "x"
		}
		fmt.Fprintf(&b, "- [%s] %s <!-- tagboat:item id=%s -->\n", box, item.id, item.id)
	}
	return b.String()
}

func TestWhoTickedWhat(t *testing.T) {
	us := github.User{ID: 1, Login: "tagboat", Bot: true}
	alice, bob := github.User{ID: 2, Login: "alice"}, github.User{ID: 3, Login: "bob"}
	recorded := func(item string, checked bool, by int64, seconds int) store.Tick {
		return store.Tick{Item: item, Checked: checked, ActorID: by, At: at(seconds)}
	}
	original := github.Edit{By: us, At: at(0), Body: body(false, false)}
	for _, c := range []struct {
		story    string
		edits    []github.Edit
		recorded []store.Tick
		want     []string
	}{
		{"nobody has edited it", nil, nil, nil},
		{"a tick", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}}, nil, []string{"alice true dashboards"}},
		{"two people", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}, {By: bob, At: at(9), Body: body(true, true)}}, nil,
			[]string{"alice true dashboards", "bob true runbook"}},
		{"ticked, and not any more", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}, {By: bob, At: at(9), Body: body(false, false)}}, nil,
			[]string{"bob false dashboards"}},
		{"Tagboat has written over it", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}, {By: us, At: at(9), Body: body(false, false)}}, nil,
			[]string{"alice true dashboards"}},
		{"a bot ticks", []github.Edit{original, {By: us, At: at(5), Body: body(true, true)}}, nil, nil},
		{"somebody ticks whose account is gone", []github.Edit{original, {At: at(5), Body: body(true, true)}}, nil, nil},
		{"a version that was deleted", []github.Edit{original, {By: alice, At: at(5)}, {By: bob, At: at(9), Body: body(true, true)}}, nil, nil},
		{"ticked for what was there before", []github.Edit{{By: us, At: at(0), Body: bodyOf("sha256:bbbb", false, false)}, {By: alice, At: at(5), Body: bodyOf("sha256:bbbb", true, false)},
			{By: us, At: at(9), Body: body(false, false)}}, nil, nil},
		{"ticked when the same was there before", []github.Edit{{By: us, At: at(-90), Body: body(false, false)}, {By: alice, At: at(-80), Body: body(true, false)},
			{By: us, At: at(0), Body: body(false, false)}}, nil, nil},
		{"recorded already", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}}, []store.Tick{recorded("dashboards", true, 2, 6)}, nil},
		{"recorded of somebody else, before", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}}, []store.Tick{recorded("dashboards", false, 3, 2)},
			[]string{"alice true dashboards"}},
		{"overtaken by what is recorded", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}}, []store.Tick{recorded("dashboards", false, 3, 20)}, nil},
		{"ticked again after that was recorded", []github.Edit{original, {By: alice, At: at(5), Body: body(true, false)}, {By: us, At: at(7), Body: body(false, false)}, {By: alice, At: at(30), Body: body(true, false)}},
			[]store.Tick{recorded("dashboards", true, 2, 5)}, []string{"alice true dashboards"}},
	} {
		var got []string
		for _, m := range untold(madeTicks(c.edits, "sha256:aaaa", at(0)), c.recorded) {
			got = append(got, fmt.Sprint(m.by.Login, " ", m.Checked, " ", m.Item))
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.story, diff)
		}
	}
}

// A webhook is asked for again when it is not here; when GitHub says that it arrived,
// once, and not if it is from before the database.
func TestWhichDeliveriesAreAskedForAgain(t *testing.T) {
	for _, c := range []struct {
		story string
		d     github.Delivery
		known bool
		kept  time.Time
		want  bool
	}{
		{"it failed", github.Delivery{At: at(10)}, false, at(0), true},
		{"it failed, and there was nothing before", github.Delivery{At: at(10)}, false, time.Time{}, true},
		{"it failed again", github.Delivery{At: at(10), Asked: true}, false, at(0), true},
		{"its answer was lost", github.Delivery{At: at(10)}, true, at(0), false},
		{"it arrived", github.Delivery{At: at(10), Arrived: true}, true, at(0), false},
		{"it arrived, and is gone", github.Delivery{At: at(10), Arrived: true}, false, at(0), true},
		{"it arrived, is gone, and was asked for", github.Delivery{At: at(10), Arrived: true, Asked: true}, false, at(0), false},
		{"it arrived elsewhere, before this database", github.Delivery{At: at(10), Arrived: true}, false, at(20), false},
		{"it arrived elsewhere, and nothing ever did here", github.Delivery{At: at(10), Arrived: true}, false, time.Time{}, false},
	} {
		c.d.GUID = "guid"
		var unknown []string
		if !c.known {
			unknown = []string{"guid"}
		}
		if got := len(lost([]github.Delivery{c.d}, unknown, c.kept)) > 0; got != c.want {
			t.Errorf("%s: asked for %v, want %v", c.story, got, c.want)
		}
	}
}

// What cannot be delivered does not keep a sweep busy, nor other deliveries from being
// asked for.
func TestWhichLostDeliveriesHaveTheirTurn(t *testing.T) {
	missing := []github.Delivery{{GUID: "c", At: at(30)}, {GUID: "b", At: at(20)}, {GUID: "a", At: at(10)}}
	for _, c := range []struct {
		story string
		asked map[string]asking
		now   time.Time
		most  int
		want  string
	}{
		{"none was asked for", nil, at(30), 9, "a b c"},
		{"more than one sweep asks for", nil, at(30), 2, "a b"},
		{"no more in this sweep", nil, at(30), 0, ""},
		{"the oldest was asked for just now", map[string]asking{"a": {1, at(25)}}, at(30), 2, "b c"},
		{"its attempt was a minute ago", map[string]asking{"a": {1, at(5)}}, at(70), 2, "a b"},
		{"the third in vain was two minutes ago", map[string]asking{"a": {3, at(10)}}, at(130), 9, "b c"},
		{"the third in vain was three minutes ago", map[string]asking{"a": {3, at(10)}}, at(190), 9, "a b c"},
		{"the hundredth in vain was an hour ago", map[string]asking{"a": {100, at(10)}}, at(3610), 9, "a b c"},
	} {
		var got []string
		for _, d := range again(missing, c.asked, c.now, c.most) {
			got = append(got, d.GUID)
		}
		if all := strings.Join(got, " "); all != c.want {
			t.Errorf("%s: asked for %q, want %q", c.story, all, c.want)
		}
	}
}

func TestWhenACheckSaysSomethingNew(t *testing.T) {
	known := store.CheckResult{Kind: "check_run", AppID: 5, Name: "lint", Status: "completed", Conclusion: "failure", ObservedAt: at(10)}
	for _, c := range []struct {
		story  string
		change func(c *store.CheckResult)
		says   bool
	}{
		{"the same", func(*store.CheckResult) {}, true},
		{"the same once more", func(c *store.CheckResult) { c.ObservedAt = at(20) }, true},
		{"another result, later", func(c *store.CheckResult) { c.Conclusion, c.ObservedAt = "success", at(20) }, false},
		{"another result, before", func(c *store.CheckResult) { c.Conclusion, c.ObservedAt = "success", at(5) }, true},
		{"another App's", func(c *store.CheckResult) { c.AppID = 6 }, false},
		{"another name", func(c *store.CheckResult) { c.Name = "scan" }, false},
	} {
		told := known
		c.change(&told)
		if got := says(known, told); got != c.says {
			t.Errorf("%s: known %v, want %v", c.story, got, c.says)
		}
	}
}

// A name without a registry is nobody's to ask for.
func TestWhoseImageItIs(t *testing.T) {
	for name, want := range map[string]string{
		"registry.example.com/acme/payments": "registry.example.com/", "127.0.0.1:5000/payments": "127.0.0.1:5000/", "localhost/payments": "localhost/",
		"payments": "", "acme/payments": "", "payments.example.com": "",
	} {
		if got := registryOf(name); got != want {
			t.Errorf("%s is %q's, want %q", name, got, want)
		}
	}
}
