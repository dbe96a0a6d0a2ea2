package checklist_test

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/image"
)

func member(app, from, to string) checklist.Pull {
	return checklist.Pull{
		App: app, Env: "prod", Image: "registry.example.com/" + app, Old: image.Ref{Tag: from}, New: image.Ref{Tag: to, Digest: "sha256:" + strings.Repeat("a", 64)},
		SourceRepo: "acme/" + app, SourceCommit: strings.Repeat("c", 40), Diff: "-" + from + "\n+" + to + "\n",
		DryRuns: []checklist.DryRun{{Cluster: "eu", Message: "no answer"}}, Rendered: "only images change in " + app,
		Upstream: []checklist.Upstream{{Env: "staging"}}, Between: &checklist.Between{Unknown: "nobody told of " + app},
	}
}

func ofSet(members ...checklist.Pull) checklist.Pull {
	p := members[0]
	p.RequestedBy, p.Set = "alice", &checklist.Set{Origin: "staging", Members: members}
	p.Gates = []checklist.Gate{{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "all are there"}}
	return p
}

// The title is the first line of a commit message, too: it names the apps where there is
// room for them.
func TestTheTitleOfASet(t *testing.T) {
	three := ofSet(member("payments", "1", "2"), member("shop", "1", "2"), member("web", "1", "2"))
	if got := checklist.Title(three); got != "prod: payments, shop and web from staging" {
		t.Error(got)
	}
	var many []checklist.Pull
	for i := range 20 {
		many = append(many, member(fmt.Sprintf("service-%d", i), "1", "2"))
	}
	if got := checklist.Title(ofSet(many...)); got != "prod: 20 apps from staging" {
		t.Error(got)
	}
	three.Undone.Bad = image.Ref{Tag: "2"}
	if got := checklist.Title(three); got != "Roll payments, shop and web in prod back" {
		t.Error(got)
	}
}

// One description tells of all, with one checklist.
func TestTheDescriptionOfASetTellsOfAll(t *testing.T) {
	p := ofSet(member("payments", "1.6.0", "1.7.0"), member("shop", "3.0.0", "3.1.0"))
	body, err := checklist.RenderBody("Moves **{{.App}}** to {{.New}}.\n\n{{.Facts}}\n\n- [ ] On-call informed\n\n{{.Gates}}\n\n{{.Commits}}\n\n{{.Upstream}}\n\n{{.Rendered}}\n\n{{.DryRun}}\n\n{{.Rollback}}\n\n{{.Changes}}", p)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{
		"Moves **payments and shop** to 1.7.0 and 3.1.0.", "| payments | `1.6.0` | `1.7.0` |", "| shop | `3.0.0` | `3.1.0` |", "Requested by alice",
		"nobody told of payments", "nobody told of shop", "**payments in staging**", "**shop in staging**", "only images change in payments", "only images change in shop",
		"payments in eu", "shop in eu", "They are merged as one, and go back as one.", "/rollback prod payments", "+1.7.0\n", "+3.1.0\n",
	} {
		if !strings.Contains(body, part) {
			t.Errorf("the description lacks “%s”:\n%s", part, body)
		}
	}
	if n := strings.Count(body, "On-call informed"); n != 1 {
		t.Errorf("people are asked %d times", n)
	}
	items, err := checklist.HumanItems("- [ ] On-call informed about {{.App}}", p)
	if err != nil || len(items) != 1 || items[0].Text != "On-call informed about payments and shop" {
		t.Errorf("the items are %+v, %v", items, err)
	}
	if check := checklist.RenderCheck(p, checklist.StateOpen); !strings.Contains(check.Text, "| shop | `3.0.0`") || check.Conclusion != "success" {
		t.Errorf("the check says %+v", check)
	}
}

// However much there is to tell, GitHub takes it.
func TestTheDescriptionOfALargeSetFits(t *testing.T) {
	var many []checklist.Pull
	for i := range 20 {
		m := member(fmt.Sprintf("service-%d", i), "1.0.0", "2.0.0")
		m.Diff, m.Rendered = strings.Repeat("-a\n+b\n", 2000), strings.Repeat("a sentence of what changes ", 700)
		m.Between = &checklist.Between{Repo: "acme/x", Ahead: 10, URL: "https://github.example/compare"}
		for range checklist.MaxCommits {
			m.Between.Newest = append(m.Between.Newest, checklist.Commit{SHA: strings.Repeat("e", 40), Title: strings.Repeat("a long title ", 20), Author: "alice", URL: "https://github.example/commit"})
		}
		many = append(many, m)
	}
	p := ofSet(many...)
	var members []checklist.Member
	for _, m := range many {
		members = append(members, checklist.Member{App: m.App, Gates: []checklist.Gate{
			{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "Tag 2.0.0 of " + m.App + " is there."},
			{Name: "approvals", Title: "Approvals", Verdict: checklist.Wait, Reason: strings.Repeat("somebody of "+m.App+" ", 30), Owner: "team " + m.App},
		}})
	}
	p.Gates = checklist.Together(members)
	for _, tmpl := range []string{checklist.DefaultTemplate, checklist.RollbackTemplate} {
		body, err := checklist.RenderBody(tmpl, p)
		if err != nil || utf8.RuneCountInString(body) > 65536 {
			t.Errorf("%d characters, %v", utf8.RuneCountInString(body), err)
		}
	}
}

// What all pass is one line; what keeps some is told of each.
func TestTheGatesOfASetAreOneList(t *testing.T) {
	gate := func(name string, v checklist.Verdict, reason string) checklist.Gate {
		return checklist.Gate{Name: name, Title: strings.ToUpper(name[:1]) + name[1:], Verdict: v, Reason: reason}
	}
	got := checklist.Together([]checklist.Member{
		{App: "payments", Gates: []checklist.Gate{gate("digest", checklist.Pass, "1.7.0 is there."), gate("checks", checklist.Wait, "lint runs."), gate("checklist", checklist.Wait, "1 is open."), gate("approvals", checklist.Pass, "bob.")}},
		{App: "shop", Gates: []checklist.Gate{gate("digest", checklist.Pass, "3.1.0 is there."), gate("checks", checklist.Wait, "lint runs."), gate("checklist", checklist.Wait, "1 is open."), gate("approvals", checklist.Wait, "bob built it."), gate("stop", checklist.Wait, "carol holds it.")}},
	})
	want := []checklist.Gate{
		{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "payments: 1.7.0 is there. shop: 3.1.0 is there."},
		{Name: "checks", Title: "Checks", Verdict: checklist.Wait, Reason: "lint runs."},
		{Name: "checklist", Title: "Checklist", Verdict: checklist.Wait, Reason: "1 is open."},
		{Name: "approvals-1-payments", Title: "payments: approvals", Verdict: checklist.Pass, Reason: "bob."},
		{Name: "approvals-2-shop", Title: "shop: approvals", Verdict: checklist.Wait, Reason: "bob built it."},
		{Name: "stop-1-shop", Title: "shop: stop", Verdict: checklist.Wait, Reason: "carol holds it."},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// Each app has a status comment of its own, which is found again; one by itself has the one
// it always had.
func TestEachAppOfASetHasItsStatusComment(t *testing.T) {
	alone, shop, payments := checklist.Status{App: "shop"}, checklist.Status{App: "shop", Of: "shop"}, checklist.Status{App: "payments", Of: "payments"}
	if alone.Marker() != checklist.StatusMarker || shop.Marker() == payments.Marker() || shop.Marker() == alone.Marker() {
		t.Errorf("the comments begin with %s, %s and %s", alone.Marker(), shop.Marker(), payments.Marker())
	}
	if text := checklist.RenderSticky(shop); !strings.HasPrefix(text, shop.Marker()+"\n") {
		t.Error(text)
	}
}

// Whoever closes the pull request of a set reads of all of its apps how to ask again.
func TestClosingASetTellsOfAll(t *testing.T) {
	text := checklist.RenderClosing(checklist.Closing{App: "payments", Env: "prod", Tag: "1.7.0", By: "bob", With: []checklist.Version{{App: "shop", Tag: "3.1.0"}}, Follows: true})
	for _, part := range []string{"so `1.7.0` of **payments**, together with `3.1.0` of **shop**, does not go to **prod**", "`/promote prod payments`", "`/promote prod shop`", "`/unhold prod shop`"} {
		if !strings.Contains(text, part) {
			t.Errorf("it lacks “%s”: %s", part, text)
		}
	}
}
