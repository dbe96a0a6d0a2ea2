package pages_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/githubsim/pages"
)

const checklist = `Moves **payments** to 1.7.0.

- [ ] Release notes read <!-- tagboat:item id=notes -->
- [ ] On-call informed
- [x] Announced

<details><summary>Diff</summary>

` + "```diff\n+  newTag: 1.7.0\n```" + `

</details>

<!-- tagboat:promotion env=prod -->
`

const overlay = "apps/payments/overlays/prod/kustomization.yaml"

// newGitHub is an organization with one pull request, three members and an
// outsider, served with its pages.
func newGitHub(t *testing.T) *githubsim.Server {
	t.Helper()
	gh, err := githubsim.New(githubsim.Options{Dir: t.TempDir()})
	must(t, err)
	gh.SetPages(pages.New(gh, map[string]string{"oscar": "outsider"}))
	must(t, gh.Listen("127.0.0.1:0"))
	t.Cleanup(func() { must(t, gh.Close()) })
	gh.AddOrg("acme")
	for _, login := range []string{"alice", "bob", "carol", "oscar"} {
		gh.AddUser(login, login)
	}
	must(t, gh.AddRepo(githubsim.RepoSpec{
		Owner: "acme", Name: "env", Collaborators: map[string]string{"alice": "write", "bob": "write", "carol": "write"},
		Files: map[string]string{"README.md": "# acme/env\n", overlay: "images:\n- name: payments\n  newTag: 1.6.0\n"},
	}))
	ci, err := gh.AddApp(githubsim.AppSpec{Slug: "ci", Name: "CI", Owner: "acme", Permissions: map[string]string{"checks": "write"}})
	must(t, err)
	_, err = gh.Install(ci.ID, "acme", "env")
	must(t, err)
	sha, err := gh.As("alice").Push("acme/env", "tagboat/prod/payments", "payments 1.7.0", map[string]string{
		overlay: "images:\n- name: payments\n  newTag: 1.7.0\n",
	})
	must(t, err)
	_, err = gh.As("alice").OpenPull("acme/env", "tagboat/prod/payments", "main", "payments 1.7.0 to prod", checklist)
	must(t, err)
	must(t, gh.CompleteCheck(ci.ID, "acme/env", sha, "lint", "success"))
	return gh
}

// browser is a visitor with a cookie jar.
type browser struct {
	t      *testing.T
	client *http.Client
	base   string
}

func newBrowser(t *testing.T, gh *githubsim.Server) *browser {
	t.Helper()
	jar, err := cookiejar.New(nil)
	must(t, err)
	return &browser{t, &http.Client{Jar: jar}, gh.URL()}
}

// visit opens a page and gives its status and text.
func (b *browser) visit(path string) (int, string) {
	b.t.Helper()
	return b.send(http.MethodGet, path, nil, nil)
}

// submit sends a form as a browser does from the pages themselves.
func (b *browser) submit(path string, form url.Values) (int, string) {
	b.t.Helper()
	return b.send(http.MethodPost, path, form, http.Header{"Sec-Fetch-Site": {"same-origin"}, "Origin": {b.base}})
}

func (b *browser) send(method, path string, form url.Values, header http.Header) (int, string) {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, b.base+path, strings.NewReader(form.Encode()))
	must(b.t, err)
	for name, values := range header {
		req.Header[name] = values
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := b.client.Do(req)
	must(b.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	must(b.t, err)
	return resp.StatusCode, string(body)
}

func (b *browser) actAs(login string) {
	b.t.Helper()
	status, body := b.submit("/-/act-as", url.Values{"login": {login}, "back": {"/acme/env"}})
	if status != http.StatusOK || !strings.Contains(body, `value="`+login+`" aria-pressed="true"`) {
		b.t.Fatalf("acting as %s: %d, and the banner does not say so", login, status)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wants(t *testing.T, body string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("the page does not show %q", part)
		}
	}
}

func pull(t *testing.T, gh *githubsim.Server) githubsim.PullView {
	t.Helper()
	p, err := gh.Pull("acme/env", 1)
	must(t, err)
	return p
}

func TestEveryAddressThatTheAPILinksToOpens(t *testing.T) {
	gh := newGitHub(t)
	_, err := gh.As("oscar").OpenIssue("acme/env", "Slow rollout", "See *logs*")
	must(t, err)
	p := pull(t, gh)
	b := newBrowser(t, gh)
	for path, want := range map[string]string{
		"/":                             "acme/env",
		"/acme":                         "acme/env",
		"/alice":                        "alice",
		"/apps/ci":                      "The GitHub App ci",
		"/acme/env":                     "Recent commits",
		"/ACME/Env/pulls":               "payments 1.7.0 to prod",
		"/acme/env/pull/1":              "payments 1.7.0 to prod",
		"/acme/env/issues/1":            "payments 1.7.0 to prod", // GitHub redirects
		"/acme/env/pull/2":              "Slow rollout",
		"/acme/env/issues/2":            "<em>logs</em>",
		"/acme/env/issues":              "Slow rollout",
		"/acme/env/pull/1.diff":         "diff --git a/" + overlay,
		"/acme/env/commit/" + p.HeadSHA: `<td class="line">&#43;  newTag: 1.7.0</td>`,
		"/acme/env/commits/main":        "Commits",
		"/acme/env/tree/tagboat/prod/payments/apps/payments": "overlays/",
		"/acme/env/blob/tagboat/prod/payments/" + overlay:    "newTag: 1.7.0",
		"/acme/env/blob/" + p.HeadSHA + "/" + overlay:        "newTag: 1.7.0",
		"/acme/env/raw/main/" + overlay:                      "newTag: 1.6.0",
		"/acme/env/compare/main...tagboat/prod/payments":     "newTag: 1.7.0",
		fmt.Sprintf("/acme/env/runs/%d", p.Checks[0].ID):     "lint",
		"/-/pages.css": "--back",
		"/-/pages.js":  "use strict",
	} {
		status, body := b.visit(path)
		if status != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("GET %s: %d, and does it show %q: %t", path, status, want, strings.Contains(body, want))
		}
	}
	for _, path := range []string{"/nobody", "/acme/none", "/acme/env/pull/99", "/acme/env/pull/x", "/acme/env/blob/main/none", "/acme/env/runs/1", "/acme/env/commit/beef", "/-/layout.html"} {
		if status, _ := b.visit(path); status != http.StatusNotFound {
			t.Errorf("GET %s: %d, want 404", path, status)
		}
	}
}

var textarea = regexp.MustCompile(`(?s)<textarea.*?</textarea>`)

func TestAPullRequestShowsItsWholeStory(t *testing.T) {
	gh := newGitHub(t)
	comment, err := gh.As("carol").Comment("acme/env", 1, "/explain")
	must(t, err)
	b := newBrowser(t, gh)
	_, body := b.visit("/acme/env/pull/1")
	wants(t, body, "A simulated GitHub", "oscar <small>(outsider)</small>",
		"<strong>payments</strong>", "<details><summary>Diff</summary>", `<span class="add">+  newTag: 1.7.0`,
		fmt.Sprintf(`id="issuecomment-%d"`, comment), "/explain", ">success</span> <b>lint</b>",
		`<tr class="del">`, `<tr class="add">`, "Nothing stands in the way of a merge.")
	body = textarea.ReplaceAllString(body, "") // the editor holds the source
	if strings.Contains(body, "tagboat:promotion") || strings.Contains(body, "tagboat:item") {
		t.Error("an HTML comment of the body is in the page")
	}
}

func TestBobTicksABoxAndUnticksIt(t *testing.T) {
	gh := newGitHub(t)
	b := newBrowser(t, gh)
	b.actAs("bob")
	_, body := b.visit("/acme/env/pull/1")
	boxes := regexp.MustCompile(`aria-checked="false"[^>]* name="tick" value="([^"]+)"`).FindAllStringSubmatch(body, -1)
	if len(boxes) != 2 {
		t.Fatalf("the page offers %d open boxes, want 2", len(boxes))
	}
	// Meanwhile Tagboat rewrites the rest of the description.
	must(t, gh.As("alice").EditPullBody("acme/env", 1, func(s string) string { return "Intro.\n\n" + s }))

	status, _ := b.submit("/acme/env/pull/1", url.Values{"do": {"tick"}, "tick": {boxes[1][1]}})
	want := "Intro.\n\n" + strings.Replace(checklist, "[ ] On-call", "[x] On-call", 1)
	if diff := cmp.Diff(want, pull(t, gh).Body); status != http.StatusOK || diff != "" {
		t.Errorf("ticking: %d, the body differs (-want +got)\n%s", status, diff)
	}
	b.submit("/acme/env/pull/1", url.Values{"do": {"tick"}, "untick": {boxes[1][1]}})
	if diff := cmp.Diff("Intro.\n\n"+checklist, pull(t, gh).Body); diff != "" {
		t.Errorf("after unticking the body differs (-want +got)\n%s", diff)
	}

	before := pull(t, gh).Body
	must(t, gh.As("alice").EditPullBody("acme/env", 1, func(s string) string { return strings.Replace(s, "On-call informed", "On-call asked", 1) }))
	status, body = b.submit("/acme/env/pull/1", url.Values{"do": {"tick"}, "tick": {boxes[1][1]}})
	wants(t, body, "rewritten in the meantime")
	if got := pull(t, gh).Body; status < 400 || got != strings.Replace(before, "informed", "asked", 1) {
		t.Errorf("a box that says something else now: status %d, body\n%s", status, got)
	}
}

func TestCarolApprovesAndAliceMerges(t *testing.T) {
	gh := newGitHub(t)
	b := newBrowser(t, gh)
	b.actAs("carol")
	_, body := b.submit("/acme/env/pull/1", url.Values{"form": {"say"}, "do": {"APPROVE"}, "body": {"Fine by me"}})
	wants(t, body, "Fine by me", ">approved</span>")
	reviews := pull(t, gh).Reviews
	if len(reviews) != 1 || reviews[0].Author != "carol" || reviews[0].State != "APPROVED" {
		t.Fatalf("reviews: %+v", reviews)
	}

	b.actAs("alice")
	status, body := b.submit("/acme/env/pull/1", url.Values{"form": {"say"}, "do": {"APPROVE"}, "body": {"My own"}})
	wants(t, body, "GitHub refused that.", "422 Unprocessable Entity", "your own pull request", "\nMy own</textarea>")
	if status != http.StatusUnprocessableEntity {
		t.Errorf("approving one's own pull request: %d", status)
	}
	_, body = b.submit("/acme/env/pull/1", url.Values{"do": {"merge"}, "method": {"squash"}})
	wants(t, body, ">Merged</span>")
	if p := pull(t, gh); !p.Merged || p.MergedBy != "alice" {
		t.Errorf("merged %t by %q", p.Merged, p.MergedBy)
	}
}

func TestOscarTheOutsiderMayTalkButNotPush(t *testing.T) {
	gh := newGitHub(t)
	b := newBrowser(t, gh)
	b.actAs("oscar")
	_, body := b.submit("/acme/env/pull/1", url.Values{"do": {"comment"}, "body": {"line one\r\nline two"}})
	wants(t, body, "line one")
	if c := pull(t, gh).Comments; len(c) != 1 || c[0].Author != "oscar" || c[0].Body != "line one\nline two" {
		t.Errorf("comments: %+v", c)
	}
	main, err := gh.Head("acme/env", "main")
	must(t, err)
	status, body := b.submit("/acme/env", url.Values{"form": {"push"}, "do": {"push"}, "branch": {"main"}, "path": {"x.txt"}, "content": {"kept"}})
	wants(t, body, "GitHub refused that.", "403 Forbidden", "kept</textarea>")
	now, err := gh.Head("acme/env", "main")
	must(t, err)
	if status != http.StatusForbidden || now != main {
		t.Errorf("a push by an outsider: %d, main moved: %t", status, now != main)
	}
	if status, _ = b.submit("/acme/env/pull/1", url.Values{"do": {"merge"}, "method": {"merge"}}); status != http.StatusForbidden {
		t.Errorf("a merge by an outsider: %d", status)
	}
	if _, body = b.submit("/acme/env/issues", url.Values{"title": {"Please"}, "body": {"Promote it"}}); !strings.Contains(body, "Promote it") {
		t.Error("an outsider could not open an issue")
	}
}

func TestAliceEditsAFileInTheBrowser(t *testing.T) {
	gh := newGitHub(t)
	b := newBrowser(t, gh)
	b.actAs("alice")
	_, body := b.submit("/acme/env/blob/main/README.md", url.Values{
		"form": {"push"}, "do": {"push"}, "branch": {"docs/hello"}, "path": {"docs/hello.md"}, "content": {"Hello\r\n"}, "message": {"Say hello"},
	})
	wants(t, body, "docs/hello.md", "Hello")
	content, err := gh.File("acme/env", "docs/hello", "docs/hello.md")
	must(t, err)
	if string(content) != "Hello\n" {
		t.Errorf("the file holds %q", content)
	}
	_, body = b.submit("/acme/env/pulls", url.Values{"form": {"open"}, "head": {"docs/hello"}, "base": {"main"}, "title": {"Hello"}})
	wants(t, body, "new file", ">Open</span>")
	_, body = b.submit("/acme/env/pull/2", url.Values{"do": {"close"}})
	wants(t, body, ">Closed</span>")
}

func TestAnotherSiteCannotActHere(t *testing.T) {
	gh := newGitHub(t)
	b := newBrowser(t, gh)
	b.actAs("alice")
	form := url.Values{"do": {"comment"}, "body": {"/promote prod"}}
	for name, header := range map[string]http.Header{
		"fetch metadata": {"Sec-Fetch-Site": {"cross-site"}},
		"another port":   {"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://127.0.0.1:1"}},
		"origin":         {"Origin": {"https://evil.example"}},
		"rebound name":   {"Sec-Fetch-Site": {"same-origin"}, "Origin": {"http://evil.example"}, "Host": {"evil.example"}},
	} {
		if status, _ := b.send(http.MethodPost, "/acme/env/pull/1", form, header); status != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", name, status)
		}
	}
	if c := pull(t, gh).Comments; len(c) != 0 {
		t.Errorf("another site commented: %+v", c)
	}
	for _, back := range []string{"https://evil.example/", "//evil.example", `/\evil.example`, "javascript:alert(1)"} {
		b.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, b.base+"/-/act-as",
			strings.NewReader(url.Values{"login": {"bob"}, "back": {back}}.Encode()))
		must(t, err)
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		resp, err := b.client.Do(req)
		must(t, err)
		resp.Body.Close()
		if to := resp.Header.Get("Location"); to != "/" {
			t.Errorf("going back to %q leads to %q", back, to)
		}
		if cookie := resp.Header.Get("Set-Cookie"); !strings.Contains(cookie, "SameSite=Strict") || !strings.Contains(cookie, "HttpOnly") {
			t.Errorf("cookie: %s", cookie)
		}
	}
}

func TestAHostileBodyIsInert(t *testing.T) {
	gh := newGitHub(t)
	hostile := strings.Join([]string{
		"<script>alert(1)</script>", `<img src=x onerror=alert(1)>`, "a <b onclick=alert(1)>b</b>",
		"[one](javascript:alert(1)) [two](JaVaScRiPt:alert(1)) [three](data:text/html,x) [four](&#106;avascript:alert(1))",
		"![pixel](https://evil.example/pixel.png)", "<javascript:alert(1)> <https://good.example/>", "[five](//evil.example)", "[ref]",
		"- [ ] \"><script>alert(2)</script>", "</details></main>", "<details><summary><script>x</script></summary>",
		"[ref]: vbscript:x", "```html\n</code></pre><script>alert(3)</script>\n```",
	}, "\n\n")
	must(t, gh.As("alice").EditPullBody("acme/env", 1, func(string) string { return hostile }))
	_, err := gh.As("oscar").Comment("acme/env", 1, hostile)
	must(t, err)
	_, err = gh.As("oscar").OpenIssue("acme/env", "<script>alert(4)</script>", hostile)
	must(t, err)
	b := newBrowser(t, gh)
	for _, path := range []string{"/acme/env/pull/1", "/acme/env/issues/2", "/acme/env"} {
		_, body := b.visit(path)
		body = strings.ReplaceAll(body, `<script src="/-/pages.js" defer></script>`, "")
		// The editor's textarea holds the source, escaped; there it is text.
		for _, bad := range []string{"<script", "<img", "<b onclick", `href="javascript`, `href="JaVa`, `href="data`, `href="vbscript`, `href="//evil`} {
			if strings.Contains(body, bad) {
				t.Errorf("%s contains %s", path, bad)
			}
		}
		if strings.Count(body, "</main>") != 1 {
			t.Errorf("%s: the body closed an element of the page", path)
		}
	}
	_, body := b.visit("/acme/env/issues/2")
	wants(t, body, `href="https://good.example/"`, "&lt;script&gt;alert(3)", "<span>one</span>")

	resp, err := b.client.Get(b.base + "/acme/env/pull/1")
	must(t, err)
	resp.Body.Close()
	if csp := resp.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("Content-Security-Policy: %s", csp)
	}
}
