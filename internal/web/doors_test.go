package web_test

import (
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// Names, reasons and links come from repositories, registries and CI systems
// that somebody else controls.
func TestHostileTextStaysText(t *testing.T) {
	w := newWorld(t)
	const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	const link = "javascript:alert(1)"
	repo := w.repo("env")
	w.must(w.store.SetConfigError(w.ctx, repo, evil))
	w.must(w.store.KeepTargets(w.ctx, repo, rand.Text(), []store.NewTarget{{App: "payments", Env: "prod", Cluster: evil, Branch: "main"}}, syncing))
	a, err := w.store.Ledger(w.ctx, store.Verified{
		Image: image, Tag: evil, Digest: digest("a"), Platforms: []string{evil}, SourceRepo: evil, SourceCommit: evil, RunURL: link,
	})
	w.must(err)
	w.reached("payments", "prod", evil, a, store.TargetFailed, evil)
	p := w.open(w.propose(repo, "prod", a, store.Actor{ID: 1, Login: evil}), a, 1, link)
	w.must(w.store.RecordMessage(w.ctx, p.ID, evil))
	w.must(w.store.Observe(w.ctx, p, a.Digest, []store.Observed{{Gate: evil, Verdict: "fail", Reason: evil, URL: link}}, true))
	_, err = w.store.Refuse(w.ctx, store.Verified{Image: image, Tag: evil, Digest: evil}, evil)
	w.must(err)

	for _, path := range []string{"/", "/promotions/1"} {
		text := w.page(path)
		page := parse(t, text)
		page.reads(t, evil)
		for _, script := range page.all("script", "") {
			if !strings.HasPrefix(script.attr("src"), "/assets/refresh.js?") || script.text() != "" {
				t.Errorf("%s: a script that is not ours: %v", path, script.Attr)
			}
		}
		if n := len(page.all("img", "")); n > 0 {
			t.Errorf("%s: %d images", path, n)
		}
		if strings.Contains(text, link) {
			t.Errorf("%s: %s is in the page", path, link)
		}
		inert(t, path, page)
	}
}

// inert: the policy forbids inline styles and handlers, so a page that has one is
// broken as well as careless.
func inert(t *testing.T, path string, page element) {
	t.Helper()
	for _, e := range page.all("", "") {
		for _, a := range e.Attr {
			if a.Key == "style" || strings.HasPrefix(a.Key, "on") {
				t.Errorf("%s: <%s> has %s=%q", path, e.Data, a.Key, a.Val)
			}
			ours := strings.HasPrefix(a.Val, "/") || strings.HasPrefix(a.Val, "#icon-") || strings.HasPrefix(a.Val, "https://")
			if (a.Key == "href" || a.Key == "src") && !ours {
				t.Errorf("%s: <%s> leads to %q", path, e.Data, a.Val)
			}
		}
	}
	if n := len(page.all("style", "")); n > 0 {
		t.Errorf("%s: %d inline style sheets", path, n)
	}
}

func TestEveryAnswerHasTheSecurityHeaders(t *testing.T) {
	w := newWorld(t)
	w.story()
	for _, path := range []string{"/", "/promotions/1", "/promotions/77", "/api/board", "/healthz", "/readyz", "/metrics", "/nowhere", "/assets/tagboat.css"} {
		h := w.get(path).Result().Header
		policy := strings.Split(h.Get("Content-Security-Policy"), "; ")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} {
			if !slices.Contains(policy, want) {
				t.Errorf("%s: the policy %q lacks %s", path, policy, want)
			}
		}
		if strings.Contains(h.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: the policy allows something unsafe", path)
		}
		for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := h.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
	}
}

func TestWhatIsNotThereIsSaidInWords(t *testing.T) {
	w := newWorld(t)
	for path, words := range map[string]string{
		"/nowhere":         "There is no page at this address.",
		"/promotions/99":   "There is no promotion 99.",
		"/promotions/next": "A promotion's address ends with its number.",
		"/assets/x.css":    "There is no file at this address.",
		"/assets/..%2f":    "There is no file at this address.",
	} {
		answer := w.get(path)
		if answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, answer.Code)
		}
		parse(t, answer.Body.String()).reads(t, "Not found", words, "To the board")
	}
	// A program is answered without a page around it.
	plain := httptest.NewRecorder()
	w.http.ServeHTTP(plain, httptest.NewRequest(http.MethodGet, "/api/nothing", nil))
	if plain.Code != http.StatusNotFound || plain.Body.String() != "There is no page at this address.\n" {
		t.Errorf("%d %q", plain.Code, plain.Body)
	}
}

func TestPagesBringWhatTheyNeed(t *testing.T) {
	w := newWorld(t)
	page := parse(t, w.page("/"))
	kinds := map[string]string{}
	for _, e := range slices.Concat(page.all("link", ""), page.all("script", "")) {
		path := e.attr("href") + e.attr("src")
		answer := w.get(path)
		name, _, _ := strings.Cut(strings.TrimPrefix(path, "/assets/"), "?")
		kinds[name], _, _ = strings.Cut(answer.Result().Header.Get("Content-Type"), ";")
		if answer.Code != http.StatusOK || answer.Body.Len() == 0 || !strings.Contains(answer.Result().Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d, %d bytes, %v", path, answer.Code, answer.Body.Len(), answer.Result().Header)
		}
		if old := w.get("/assets/" + name + "?v=older").Result().Header.Get("Cache-Control"); old != "no-store" {
			t.Errorf("%s under a version that it does not have: Cache-Control %q", name, old)
		}
	}
	for name, want := range map[string]string{"tagboat.css": "text/css", "refresh.js": "text/javascript", "icon.svg": "image/svg+xml"} {
		if kinds[name] != want {
			t.Errorf("%s is %q, want %q", name, kinds[name], want)
		}
	}
	if len(page.all("noscript", "")) != 1 {
		t.Error("without a script the board does not reload itself")
	}
}

func TestMetricsCountWhatTheDatabaseHolds(t *testing.T) {
	w := newWorld(t)
	w.story()
	has := func(lines ...string) {
		t.Helper()
		text := w.page("/metrics")
		for _, line := range lines {
			if !strings.Contains(text, "\n"+line+"\n") {
				t.Errorf("no line %q in:\n%s", line, text)
			}
		}
	}
	has(`tagboat_database_up 1`, `tagboat_promotions{repo="acme/env",state="open"} 1`, `tagboat_promotions{repo="acme/env",state="deployed"} 0`,
		`tagboat_targets{repo="acme/env",state="healthy"} 2`, `tagboat_targets{repo="acme/env",state="failed"} 1`, `tagboat_targets{repo="acme/env",state="unknown"} 1`,
		`tagboat_env_repos{presence="installed"} 1`, `tagboat_env_repos{presence="suspended"} 0`, `tagboat_env_repo_broken{repo="acme/env"} 0`,
		`tagboat_refusals_total 1`, `tagboat_deliveries_total{source="ci"} 0`)

	// Of a cluster, what somebody may have to be called for.
	has(`tagboat_cluster_reached{cluster="prod-eu"} 0`, `tagboat_cluster_drifted_targets{cluster="prod-eu"} 0`, `tagboat_cluster_surplus_objects{cluster="prod-eu"} 0`,
		`tagboat_cluster_unreachable_targets{cluster="prod-eu"} 0`, `tagboat_cluster_inventory_objects{cluster="prod-eu"} 0`)
	prod := w.target("payments", "prod", "prod-eu")
	if err := w.store.FinishSync(w.ctx, prod, 0, store.Reached{
		Commit: prod.CommitSHA, State: store.TargetUnreachable, DriftCode: "d", Drift: []byte(`{"Objects": []}`),
		SurplusCode: "s", Surplus: []byte(`{"objects": ["ConfigMap a", "ConfigMap b"]}`),
	}, after); err != nil {
		t.Fatal(err)
	}
	if err := w.store.Reach(w.ctx, "replica", []string{"prod-eu"}); err != nil {
		t.Fatal(err)
	}

	fresh, err := w.store.Accept(w.ctx, store.Arrival{Source: store.SourceCI, DeliveryID: "one", Event: "built", Body: []byte("{}")}, wake)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	has(`tagboat_deliveries_total{source="ci"} 0`) // counted a moment ago
	w.pass(11 * time.Second)
	has(`tagboat_deliveries_total{source="ci"} 1`)
	has(`tagboat_cluster_reached{cluster="prod-eu"} 1`, `tagboat_cluster_drifted_targets{cluster="prod-eu"} 1`, `tagboat_cluster_surplus_objects{cluster="prod-eu"} 2`,
		`tagboat_cluster_unreachable_targets{cluster="prod-eu"} 1`)
	if text := w.page("/metrics"); !strings.Contains(text, `tagboat_target_last_healthy_timestamp_seconds{app="payments",cluster="`) {
		t.Errorf("no target tells when it was healthy:\n%s", text)
	}
}

func TestEveryMetricIsInTheReference(t *testing.T) {
	w := newWorld(t)
	w.story()
	reference, err := os.ReadFile("../../docs/configuration.md")
	w.must(err)
	told := 0
	for line := range strings.Lines(w.page("/metrics")) {
		name, ours := strings.CutPrefix(line, "# HELP tagboat_")
		if !ours {
			continue
		}
		told++
		if name, _, _ = strings.Cut(name, " "); !strings.Contains(string(reference), "`tagboat_"+name+"`") {
			t.Errorf("docs/configuration.md does not know tagboat_%s", name)
		}
	}
	if told != 13 {
		t.Errorf("%d metrics are told", told)
	}
}

func TestWithoutTheDatabase(t *testing.T) {
	own, err := localpg.Start(t.Context(), localpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(own.Stop)
	if err := own.CreateDatabase(t.Context(), "gone", ""); err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(t.Context(), own.URL("gone"), store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	h := serve(t, db, time.Now)
	if answer := get(h, "/readyz"); answer.Code != http.StatusOK || answer.Body.String() != "ok\n" {
		t.Fatalf("ready: %d %s", answer.Code, answer.Body)
	}
	own.Stop()

	for path, want := range map[string]struct {
		code int
		text string
	}{
		"/healthz":      {200, "ok"},
		"/readyz":       {503, "The database does not answer."},
		"/":             {503, "Tagboat's database does not answer. Promotions and syncs wait until it is back; nothing is lost. This page tries again by itself."},
		"/promotions/1": {503, "Tagboat's database does not answer."},
		"/api/board":    {503, `{"message":"Tagboat's database does not answer.`},
		"/metrics":      {200, "tagboat_database_up 0"},
	} {
		answer := get(h, path)
		body := parse(t, answer.Body.String())
		if answer.Code != want.code {
			t.Errorf("%s: %d, want %d", path, answer.Code, want.code)
		}
		body.reads(t, want.text)
		for _, inside := range []string{"SQLSTATE", "socket", ".s.PGSQL", "goroutine"} {
			if strings.Contains(fmt.Sprint(answer.Body), inside) {
				t.Errorf("%s tells %q to everybody:\n%s", path, inside, answer.Body)
			}
		}
		if path == "/metrics" && strings.Contains(answer.Body.String(), "tagboat_promotions{") {
			t.Error("old numbers are shown as if they were true")
		}
	}
}
