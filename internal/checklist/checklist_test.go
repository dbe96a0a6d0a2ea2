package checklist_test

import (
	"flag"
	"fmt"
	"html"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	extast "github.com/yuin/goldmark/extension/ast"
	"github.com/yuin/goldmark/text"
	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
)

var update = flag.Bool("update", false, "rewrite the golden files")

const prodTemplate = `Hello {{.Env}}, here comes {{.App}} {{.New.Code}}.

### Before merging

- [ ] The on-call engineer knows
- [ ] Release notes of {{.NewTag}} read,
      with care
  - [ ] and understood
- a plain point, and [ ] no box

` + "```\n- [ ] code is no item\n```" + `
<!-- - [ ] neither is a comment -->

{{.Gates}}

{{.Facts}}
{{.Changes}}
`

func payments() checklist.Pull {
	at := time.Date(2026, 10, 1, 9, 30, 0, 0, time.UTC)
	name := "registry.example.com/payments"
	return checklist.Pull{
		App: "payments", Env: "prod", Image: name,
		Old:        image.Ref{Name: name, Tag: "1.6.0", Digest: "sha256:" + strings.Repeat("a1", 32)},
		New:        image.Ref{Name: name, Tag: "1.7.0", Digest: "sha256:" + strings.Repeat("b2", 32)},
		SourceRepo: "acme/payments", SourceCommit: "0123456789abcdef0123456789abcdef01234567", RunURL: "https://ci.example.com/runs/7",
		RequestedBy: "alice", Reason: "alice asked for it in acme/env#12",
		Gates: []checklist.Gate{
			{Name: "digest", Title: "Digest", Verdict: checklist.Pass, Reason: "1.7.0 is still sha256:b2b2b2b2b2b2", Owner: "Tagboat"},
			{Name: "checks", Title: "Checks", Verdict: checklist.Wait, Reason: "lint is running", Missing: 1, Owner: "CI", URL: "https://ci.example.com/runs/8", Since: at.Add(-time.Hour)},
			{Name: "checklist", Title: "Checklist", Verdict: checklist.Wait, Reason: "1 of 3 items is open", Missing: 1, Owner: "whoever reviews"},
			{Name: "approvals", Title: "Approvals", Verdict: checklist.Wait, Reason: "0 of 2; alice asked for it and does not count", Missing: 2, Owner: "team platform", NextCheck: at, Since: at.Add(-25 * time.Hour)},
			{Name: "upstream", Title: "Upstream", Verdict: checklist.Pass, Reason: "healthy in staging since 08:00", NextCheck: at},
		},
		RequestURL: "https://github.example.com/acme/env/issues/12#issuecomment-5",
		Supersedes: []checklist.Superseded{
			{Tag: "1.6.9", Digest: "sha256:" + strings.Repeat("c3", 32), CommitURL: "https://github.example.com/acme/env/commit/c3", RequestedBy: "carol",
				RequestURL: "https://github.example.com/acme/env/issues/11#issuecomment-4", At: at.Add(-26 * time.Hour)},
			{Tag: "1.6.8", Digest: "sha256:" + strings.Repeat("d4", 32), RequestURL: "https://ci.example.com/runs/6", At: at.Add(-27 * time.Hour)},
			{Tag: "1.6.7"},
		},
		Between: &checklist.Between{Repo: "acme/payments", Ahead: 12, URL: "https://github.example.com/acme/payments/compare/a1...b2", Newest: []checklist.Commit{
			{SHA: "0123456789abcdef0123456789abcdef01234567", Title: "Round half to even (#71)", Author: "bob", URL: "https://github.example.com/acme/payments/commit/0123456789ab"},
			{SHA: "fedcba9876543210fedcba9876543210fedcba98", Title: "- [x] @acme/all | see #1", Author: "<b>mallory</b>"},
		}},
		Upstream:  []checklist.Upstream{{Env: "staging", Tag: "1.7.0", Digest: "sha256:" + strings.Repeat("b2", 32), Wanted: true, Healthy: true, Since: at.Add(-90 * time.Minute), Soak: time.Hour}},
		Diff:      "--- a/kustomization.yaml\n+++ b/kustomization.yaml\n@@ -1,2 +1,2 @@\n-  newTag: 1.6.0\n+  newTag: 1.7.0\n",
		Platforms: []string{"linux/amd64", "linux/arm64"}, MediaType: "application/vnd.oci.image.index.v1+json",
		SignedBy: []string{"key keys/release.pub (sha256:1f3a5c7e9b0d)"},
	}
}

func TestGolden(t *testing.T) {
	p := payments()
	items, err := checklist.HumanItems(prodTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	p.Ticks = map[string]checklist.Tick{items[0].ID: {By: "bob"}}
	body := func(tmpl string) string {
		b, err := checklist.RenderBody(tmpl, p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	check := func(p checklist.Pull, s checklist.State) string {
		c := checklist.RenderCheck(p, s)
		return fmt.Sprintf("title: %s\nconclusion: %q\n\n%s\n\n%s\n", c.Title, c.Conclusion, c.Summary, c.Text)
	}
	green, red := payments(), payments()
	for i := range green.Gates {
		green.Gates[i].Verdict = checklist.Pass
	}
	red.Gates[0].Verdict, red.Gates[0].Reason = checklist.Fail, "tag 1.7.0 was pushed again with other content"
	red.Gates[0].Every = 30 * time.Second
	status := checklist.Status{App: "payments", Env: "prod", Tag: "1.7.0", Digest: p.New.Digest, Commit: p.SourceCommit, Clusters: []checklist.ClusterStatus{
		{Cluster: "prod-eu", Tag: "1.7.0", Digest: p.New.Digest, Commit: p.SourceCommit, Phase: checklist.Healthy, Since: time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC)},
		{Cluster: "prod-us", Tag: "1.6.0", Digest: p.Old.Digest, Phase: checklist.Failed, Reason: "deployment payments: 1 of 3 replicas | image pull @here"},
	}}
	sticky := checklist.RenderSticky(status)
	waves := status
	waves.Clusters = []checklist.ClusterStatus{
		{Cluster: "prod-eu", Tag: "1.7.0", Digest: p.New.Digest, Commit: p.SourceCommit, Phase: checklist.Failed, Reason: "Deployment payments: CrashLoopBackOff"},
		{Cluster: "prod-us", Tag: "1.6.0", Digest: p.Old.Digest, Phase: checklist.Healthy, Since: time.Date(2026, 10, 1, 10, 0, 0, 0, time.UTC),
			Waits: "prod-us waits for wave 1: prod-eu is not healthy (Deployment payments: CrashLoopBackOff | @here)."},
		{Cluster: "prod-ap", Phase: checklist.Pending, Waits: "prod-ap waits for wave 1: prod-eu is not healthy (Deployment payments: CrashLoopBackOff)."},
	}
	gates := func(p checklist.Pull) string {
		b, err := checklist.RenderBody("{{.Gates}}", p)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	odd := payments()
	for i := range odd.Gates {
		odd.Gates[i].Verdict = checklist.Pass
	}
	odd.Gates[1].Verdict, odd.Gates[1].Reason = checklist.Overridden, "Overridden by alice (“outage”) and bob (“@all down”), until 10:00. Without that: lint failed."
	status.Overridden = odd.Gates[1:2]
	place := checklist.Place{App: "payments", Env: "prod", Clusters: status.Clusters, Last: "The last promotion, of 1.7.0 (#12), is superseded.", Needs: []string{
		"staging runs 1.6.0, not 1.7.0 | @carol", "Tag 1.8.0 was refused: it moved.",
	}}
	nothing := checklist.Place{App: "catalog", Env: "prod"}
	for name, got := range map[string]string{
		"body-default.md":  body(""),
		"body-prod.md":     body(prodTemplate),
		"check-waiting.md": check(p, checklist.StateOpen),
		"check-green.md":   check(green, checklist.StateOpen),
		"check-failed.md":  check(red, checklist.StateOpen),
		"check-closed.md":  check(p, checklist.StateClosed),
		"sticky.md":        sticky,
		"waves.md":         checklist.RenderSticky(waves),
		"waves.txt":        checklist.PlaceText(checklist.Place{App: "payments", Env: "prod", Clusters: waves.Clusters}),
		"overridden.md":    check(odd, checklist.StateOpen) + "\n" + checklist.ExplainText(odd) + "\n" + checklist.RenderSticky(status) + "\n" + gates(odd),
		"explain.md":       checklist.RenderExplain(p),
		"explain.txt":      checklist.ExplainText(red) + "\n" + checklist.ExplainText(green),
		"place.md":         checklist.RenderPlace(place) + "\n" + checklist.RenderPlace(nothing),
		"place.txt":        checklist.PlaceText(place) + "\n" + checklist.PlaceText(nothing),
	} {
		file := filepath.Join("testdata", name)
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (-want +got, -update rewrites):\n%s", file, diff)
		}
	}
}

// What the check run says is what /explain says; both say nothing that changes by
// itself.
func TestTheCheckRunExplains(t *testing.T) {
	p := payments()
	said := checklist.RenderExplain(p)
	if list := checklist.RenderCheck(p, checklist.StateOpen).Summary; !strings.HasSuffix(said, list) {
		t.Errorf("the check run says\n%s\nand /explain\n%s", list, said)
	}
	for _, b := range checklist.Blockers(p.Gates) {
		for _, word := range []string{b.Title, b.Reason, b.Since, b.Who, b.Next} {
			if !strings.Contains(said, word) || !strings.Contains(checklist.ExplainText(p), word) {
				t.Errorf("%q is not said of %s", word, b.Gate)
			}
		}
	}
	if text := checklist.ExplainText(checklist.Pull{App: "a\x1b[31m\u202e", Gates: []checklist.Gate{{Reason: "b\x07"}}}); strings.ContainsAny(text, "\x1b\u202e\x07") {
		t.Errorf("a terminal would obey %q", text)
	}
}

func TestTitle(t *testing.T) {
	p := payments()
	if got := checklist.Title(p); got != "prod: payments 1.6.0 → 1.7.0" {
		t.Error(got)
	}
	p.Old = image.Ref{}
	if got := checklist.Title(p); got != "prod: payments 1.7.0" {
		t.Error(got)
	}
	p.Old, p.New.Tag = image.Ref{Digest: "sha256:" + strings.Repeat("a1", 32)}, ""
	if got := checklist.Title(p); got != "prod: payments sha256:a1a1a1a1a1a1 → sha256:b2b2b2b2b2b2" {
		t.Error(got)
	}
}

func TestTicksAreReadBackAndSurviveRendering(t *testing.T) {
	p := payments()
	items, err := checklist.HumanItems(prodTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	var texts []string
	for _, i := range items {
		texts = append(texts, i.Text)
	}
	if diff := cmp.Diff([]string{"The on-call engineer knows", "Release notes of 1.7.0 read,\n      with care", "and understood"}, texts); diff != "" {
		t.Fatalf("human items (-want +got):\n%s", diff)
	}
	body, err := checklist.RenderBody(prodTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.ReplaceAll(strings.Replace(body, "- [ ] and", "- [X] and", 1), "\n", "\r\n") // as GitHub's editor sends it
	read, err := checklist.Items(edited)
	if err != nil {
		t.Fatal(err)
	}
	p.Ticks = map[string]checklist.Tick{}
	for _, i := range read {
		if i.Human && i.Checked {
			p.Ticks[i.ID] = checklist.Tick{By: "bob"}
		}
	}
	if len(p.Ticks) != 1 {
		t.Fatalf("ticks: %v", p.Ticks)
	}
	again, err := checklist.RenderBody(prodTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	if want := strings.Replace(body, "- [ ] and", "- [x] and", 1); again != want {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, again))
	}
	p.New.Tag = "1.8.0"
	next, err := checklist.HumanItems(prodTemplate, p)
	if err != nil {
		t.Fatal(err)
	}
	if next[1].ID == items[1].ID || next[0].ID != items[0].ID {
		t.Errorf("an item that names a version must change with it, others must not: %v", next)
	}
}

func TestMachineItemsFollowTheGatesAndLeaveTheChecklistOut(t *testing.T) {
	body, err := checklist.RenderBody("Only text and - [ ] nothing", payments())
	if err != nil {
		t.Fatal(err)
	}
	items, err := checklist.Items(body)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, i := range items {
		if i.Human {
			t.Errorf("a human item: %+v", i)
		}
		got[i.Gate] = i.Checked
	}
	if diff := cmp.Diff(map[string]bool{"digest": true, "checks": false, "approvals": false, "upstream": true}, got); diff != "" {
		t.Errorf("machine items (-want +got):\n%s", diff)
	}
}

func TestAPersonsEditsOfTheBodyCountOnlyAsTicks(t *testing.T) {
	body, err := checklist.RenderBody(prodTemplate, payments())
	if err != nil {
		t.Fatal(err)
	}
	checked := func(body string) int {
		items, err := checklist.Items(body)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, i := range items {
			if i.Human && i.Checked {
				n++
			}
		}
		return n
	}
	ticked := strings.ReplaceAll(body, "- [ ]", "- [x]")
	if n := checked(ticked); n != 3 {
		t.Errorf("%d of 3 ticks", n)
	}
	if n := checked("```\n" + ticked); n != 0 {
		t.Errorf("%d ticks in a code block count", n)
	}
	if n := checked("<!--\n" + strings.ReplaceAll(ticked, "-->", "->")); n != 0 {
		t.Errorf("%d ticks in a comment count", n)
	}
	if n := checked(body + "\n- [x] I approve\n"); n != 0 {
		t.Errorf("%d ticks of foreign items count", n)
	}
	double := regexp.MustCompile(`(?m)^- \[ \] The on-call.*$`).FindString(body)
	if _, err := checklist.Items(body + "\n" + strings.Replace(double, "[ ]", "[x]", 1)); !fault.Is(err, fault.Invalid) {
		t.Errorf("an item that stands there twice: %v", err)
	}
}

func TestATemplateThatCannotWorkIsRefusedWithAReason(t *testing.T) {
	for tmpl, want := range map[string]string{
		"{{.Nope}}":                      "can't evaluate field Nope",
		"{{if}}":                         "missing value for if",
		"```\n{{.Gates}}":                "it shows 0 of 4 machine items; close every code fence",
		"<!-- {{.Gates}}":                "machine items; close every code fence",
		"x {{.Gates}}":                   "machine items; close every code fence",
		"{{.Gates}}\n\n{{.Gates}}":       "it shows 8 of 4 machine items",
		"- [ ] <!-- x -->\n- [ ]  \n":    "",
		"- [ ] a <!-- tagboat:item id=a": "it contains a marker of Tagboat",
		strings.Repeat("long ", 20000):   "characters too long for GitHub; shorten the template",
		`{{define "x"}}{{template "x"}}{{template "x"}}{{end}}`:                      "it defines templates of its own",
		`{{template "template"}}`:                                                    "it calls a template",
		"{{range 1000000000000}}{{end}}":                                             "range works on .Platforms only",
		"{{range .Platforms}}{{if $.App}}{{range $.Platforms}}{{end}}{{end}}{{end}}": "range works on .Platforms only",
	} {
		_, err := checklist.RenderBody(tmpl, payments())
		if !fault.Is(err, fault.Invalid) || !strings.Contains(fault.HintOf(err), want) || !strings.Contains(fault.HintOf(err), "the pull request template cannot be used") {
			t.Errorf("%.40q: %v", tmpl, err)
		}
	}
}

func TestGitHubsLimitsHold(t *testing.T) {
	p := payments()
	p.Diff = strings.Repeat("+é long line of a diff\n", 20000)
	for i := range 200 {
		p.Gates = append(p.Gates, checklist.Gate{Name: fmt.Sprintf("g%d", i), Verdict: checklist.Wait, Reason: strings.Repeat("@#é", 400)})
		p.Supersedes = append(p.Supersedes, checklist.Superseded{Tag: strings.Repeat("1", 128)})
	}
	p.Gates = p.Gates[:40]
	p.Platforms = []string{strings.Repeat("x", 1<<20)}
	q := payments()
	q.Diff, q.Platforms = p.Diff, p.Platforms
	body, err := checklist.RenderBody("", q)
	if n := utf8.RuneCountInString(body); err != nil || n > 65536 || n < 60000 || !strings.Contains(body, "cut, it was too long") {
		t.Errorf("a body of %d characters, %v", n, err)
	}
	p.Gates[0].Verdict, p.Gates[0].Reason = checklist.Fail, strings.Repeat("é", 1000)
	c := checklist.RenderCheck(p, checklist.StateOpen)
	if utf8.RuneCountInString(c.Title) > 255 || len(c.Summary) > 65535 || len(c.Text) > 65535 || !utf8.ValidString(c.Summary+c.Text) {
		t.Errorf("check: title %d, summary %d, text %d", utf8.RuneCountInString(c.Title), len(c.Summary), len(c.Text))
	}
}

func TestOnlyGreenGatesSucceed(t *testing.T) {
	gate := func(v checklist.Verdict) checklist.Gate {
		return checklist.Gate{Name: "digest", Title: "Digest", Verdict: v, Reason: "why"}
	}
	tests := []struct {
		gates             []checklist.Gate
		title, conclusion string
	}{
		{nil, "Waiting for the first look at the gates", ""},
		{[]checklist.Gate{gate("pass")}, "The only gate passes", "success"},
		{[]checklist.Gate{gate("pass"), gate("pass")}, "All 2 gates pass", "success"},
		{[]checklist.Gate{gate("pass"), gate("")}, "Waiting for digest", ""},
		{[]checklist.Gate{gate("pass"), gate("green")}, "Waiting for digest", ""},
		{[]checklist.Gate{gate("wait"), gate("fail")}, "Blocked by digest: why", "failure"},
	}
	for _, tt := range tests {
		c := checklist.RenderCheck(checklist.Pull{Gates: tt.gates}, checklist.StateOpen)
		if c.Title != tt.title || c.Conclusion != tt.conclusion {
			t.Errorf("%v: %q %q", tt.gates, c.Title, c.Conclusion)
		}
	}
	if c := checklist.RenderCheck(payments(), checklist.StateOpen); c.Title != "Waiting for 1 check, 1 checklist item and 2 approvals" {
		t.Error(c.Title)
	}
}

// hostile are the pieces that do something on GitHub.
var hostile = []string{"- [x] ", "- [ ] done", "* [X] a", "\n", "\r\n\r\n", "@alice", "@acme/team", "#12", "GH-7", "acme/env#3", "closes #1", "fixes https://github.com/a/b/issues/1",
	"/promote prod", "\n/promote prod\n", "```", "~~~", "`", "``", "<b>", "</details>", "<!--", "-->", "<!-- tagboat:item id=x -->", "<!-- tagboat:status -->", "|", "\\", "\\|", "**", "_", "~~",
	"[a](https://evil.example)", "![a](https://evil.example/x.png)", "](", "www.evil.example", "https://evil.example", "&#64;alice", "&lt;", "\u202e", "\u200b", "\x00", "\xff", "$x$", "1. ", "> ", "# ", "    ", "\t", "=====", "{{.Gates}}", "é"}

// TestNothingFromOutsideBecomesMarkup renders everything with hostile values and
// reads it as GitHub would.
func TestNothingFromOutsideBecomesMarkup(t *testing.T) {
	bad := rapid.Map(rapid.SliceOfN(rapid.SampledFrom(hostile), 0, 6), func(s []string) string { return strings.Join(s, "") })
	rapid.Check(t, func(t *rapid.T) {
		word := func(label string) string { return bad.Draw(t, label) }
		p := checklist.Pull{
			App: "payments", Env: "prod", Image: word("image"),
			Old: image.Ref{Name: word("name"), Tag: word("old"), Digest: word("digest")}, New: image.Ref{Name: word("name"), Tag: word("new"), Digest: word("digest")},
			SourceRepo: word("repo"), SourceCommit: word("commit"), RunURL: ours + word("url"), RequestedBy: word("by"), Reason: word("reason"),
			Gates:      []checklist.Gate{{Name: "digest", Title: word("title"), Reason: word("gate"), Owner: word("owner"), URL: ours + word("url")}},
			RequestURL: ours + word("url"), Platforms: []string{word("platform")}, MediaType: word("media"), SignedBy: []string{word("signer"), word("signer")}, Diff: word("diff"),
			Supersedes: []checklist.Superseded{{Tag: word("tag"), Digest: word("digest"), CommitURL: ours + word("url"), RequestedBy: word("by"), RequestURL: ours + word("url")}},
			Between: &checklist.Between{Repo: word("repo"), Ahead: rapid.IntRange(0, 3).Draw(t, "ahead"), Behind: rapid.IntRange(0, 3).Draw(t, "behind"), URL: ours + word("url"),
				Newest: []checklist.Commit{{SHA: word("sha"), Title: word("commit title"), Author: word("author"), URL: ours + word("url")}}, Unknown: rapid.SampledFrom([]string{"", word("why")}).Draw(t, "unknown")},
			Carries:  []checklist.Carried{{Cluster: word("cluster"), Commit: word("commit"), Objects: []string{word("object")}, Unknown: rapid.SampledFrom([]string{"", word("why")}).Draw(t, "unknown"), Why: word("why"), Waits: word("waits")}},
			Upstream: []checklist.Upstream{{Env: word("upstream"), Tag: word("tag"), Digest: word("digest"), Wanted: rapid.Bool().Draw(t, "wanted"), Reason: word("reason")}},
		}
		tmpl := "{{.Reason}}\n\n{{.NewTag}}\n{{.New}}\n{{.OldTag.Code}}\n\n- [ ] read {{.NewTag}} {{.SourceRepo}}\n\n{{range .Platforms}}{{.}}\n{{end}}\n{{.Gates}}\n\n{{.Facts}}\n\n{{.Commits}}\n\n{{.Upstream}}\n\n{{.Carries}}\n\n{{.Rollback}}\n\n{{.Changes}}"
		body, err := checklist.RenderBody(tmpl, p)
		if err != nil {
			t.Fatal(err)
		}
		items, err := checklist.Items(body)
		if err != nil || len(items) != 2 || items[0].Checked || items[1].Checked {
			t.Fatalf("items %+v, %v\n%s", items, err, body)
		}
		check := checklist.RenderCheck(p, checklist.StateOpen)
		sticky := checklist.RenderSticky(checklist.Status{Overridden: []checklist.Gate{{Title: word("title"), Reason: word("gate")}}, App: word("app"), Env: word("env"), Tag: word("tag"), Commit: "c",
			Clusters: []checklist.ClusterStatus{{Cluster: word("cluster"), Tag: word("tag"), Commit: word("c"), Reason: word("reason"), Waits: word("waits"), Phase: checklist.Phase(word("phase"))}}})
		place := checklist.RenderPlace(checklist.Place{App: word("app"), Env: word("env"), Last: word("last"), Needs: []string{word("need"), word("need")},
			Clusters: []checklist.ClusterStatus{{Cluster: word("cluster"), Tag: word("tag"), Commit: word("c"), Reason: word("reason"), Waits: word("waits"), Phase: checklist.Phase(word("phase"))}}})
		gaveWay := checklist.RenderReplacement(checklist.Replacement{App: word("app"), Env: word("env"), Was: word("tag"), Is: word("tag"),
			By: word("by"), ByURL: ours + word("url"), Pull: 12, PullURL: ours + word("url")})
		for _, s := range []struct {
			markdown string
			boxes    int
		}{{gaveWay, 0}, {body, 2}, {check.Summary, 0}, {check.Text, 0}, {sticky, 0}, {checklist.RenderExplain(p), 0}, {place, 0}, {checklist.Escape(word("text")), 0}, {checklist.Code(word("code")), 0}} {
			if !utf8.ValidString(s.markdown) {
				t.Fatalf("not UTF-8: %q", s.markdown)
			}
			if what := harm(s.markdown, s.boxes); what != "" {
				t.Fatalf("%s in\n%s", what, s.markdown)
			}
		}
		if title := checklist.Title(p); strings.ContainsAny(title, "@#\n\r<>`") {
			t.Fatalf("title %q", title)
		}
	})
}

// ours begins the addresses that are meant to be links.
const ours = "https://ci.example.com/"

var (
	mention    = regexp.MustCompile(`@[A-Za-z0-9]`)
	reference  = regexp.MustCompile(`#[0-9]|(?i)\bgh-[0-9]|://|\bwww\.`)
	ownComment = regexp.MustCompile(`^<!-- tagboat:(item|promotion|status)[ a-z0-9=:.-]*-->\s*$|^</?details>(<summary>Diff</summary>)?\s*$`)
)

// harm says what in a text GitHub would act on, beyond what we put there.
func harm(markdown string, boxes int) string {
	source := []byte(markdown)
	found, what := 0, ""
	doc := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser().Parse(text.NewReader(source))
	_ = ast.Walk(doc, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *extast.TaskCheckBox:
			found++
		case *ast.CodeSpan, *ast.FencedCodeBlock:
			return ast.WalkSkipChildren, nil
		case *ast.Link:
			if !strings.HasPrefix(string(n.Destination), ours) {
				what = fmt.Sprintf("a link to %q", n.Destination)
			}
		case *ast.Image, *ast.AutoLink, *ast.CodeBlock, *extast.Strikethrough:
			what = fmt.Sprintf("a %s", n.Kind())
		case *ast.Blockquote:
			if raw := string(n.FirstChild().Lines().Value(source)); !strings.HasPrefix(raw, "[!WARNING]\n**More than") {
				what = fmt.Sprintf("the quote %q", raw)
			}
		case *ast.Heading:
			if raw := string(n.Lines().Value(source)); !slices.Contains([]string{"Commits", "Upstream", "Going back"}, raw) {
				what = fmt.Sprintf("the heading %q", raw)
			}
		case *ast.HTMLBlock:
			if raw := string(n.Lines().Value(source)); !ownComment.MatchString(raw) {
				what = fmt.Sprintf("HTML %q", raw)
			}
		case *ast.RawHTML:
			if raw := string(n.Segments.Value(source)); !ownComment.MatchString(raw) {
				what = fmt.Sprintf("HTML %q", raw)
			}
		case *ast.Text:
			raw := html.UnescapeString(string(n.Segment.Value(source)))
			if mention.MatchString(raw) || reference.MatchString(raw) {
				what = fmt.Sprintf("an active text %q", raw)
			}
		case *ast.Paragraph:
			for line := range strings.Lines(string(n.Lines().Value(source))) {
				if strings.HasPrefix(strings.TrimSpace(line), "/") {
					what = fmt.Sprintf("a command %q", line)
				}
			}
		}
		return ast.WalkContinue, nil
	})
	if found != boxes {
		return fmt.Sprintf("%d boxes instead of %d", found, boxes)
	}
	return what
}

func TestEscapedTextReadsAsWritten(t *testing.T) {
	for in, want := range map[string]string{
		"plain, 1.7.0 (ok).":     "plain, 1.7.0 (ok).",
		"a_b *c* `d`":            `a\_b \*c\* \` + "`d\\`",
		"@bob #1 https://x.y":    "@&#8203;bob #&#8203;1 https:&#8203;//x.y",
		"/promote prod":          `\/promote prod`,
		"- [x] a":                `\- \[x\] a`,
		"1. a":                   `1\. a`,
		"GH-1 www.x.y":           "GH&#8203;-1 www&#8203;.x.y",
		"<b>&amp;</b>":           "&lt;b&gt;&amp;amp;&lt;/b&gt;",
		" two\nlines\u202e end ": "two lines end",
	} {
		if got := checklist.Escape(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
	for in, want := range map[string]string{"": "", "1.7.0": "`1.7.0`", "a`b": "``a`b``", "`": "`` ` ``", "a\nb": "`a b`"} {
		if got := checklist.Code(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzTemplate(f *testing.F) {
	f.Add(prodTemplate)
	f.Add("> - [ ] a\n>   b\n\n1. [x] c\r\n\t- [ ] d\\\n{{.Gates}}")
	f.Add("- [ ] a  \n- [ ] a\n* [ ] `b\n<!-- x -->")
	f.Fuzz(func(t *testing.T, tmpl string) {
		body, err := checklist.RenderBody(tmpl, payments())
		if err != nil {
			if !fault.Is(err, fault.Invalid) {
				t.Fatalf("%v: %v", fault.KindOf(err), err)
			}
			return
		}
		items, err := checklist.Items(body)
		if err != nil {
			t.Fatal(err)
		}
		p := payments()
		p.Ticks = map[string]checklist.Tick{}
		for _, i := range items {
			if i.Human && i.Checked {
				t.Fatalf("an item that nobody ticked: %+v", i)
			}
			if i.Human {
				p.Ticks[i.ID] = checklist.Tick{By: "bob"}
			}
		}
		ticked, err := checklist.HumanItems(tmpl, p)
		if err != nil || len(ticked) != len(p.Ticks) {
			t.Fatalf("%d items, %d ticks, %v", len(ticked), len(p.Ticks), err)
		}
		for _, i := range ticked {
			if !i.Checked {
				t.Fatalf("a tick is lost: %+v", i)
			}
		}
	})
}
