package web_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestBoardShowsWhereEverythingStands(t *testing.T) {
	w := newWorld(t)
	w.story()
	board := parse(t, w.page("/"))

	if got := board.all("title", "")[0].text(); got != "(1) Tagboat" {
		t.Errorf("title %q does not tell that one cluster is in trouble", got)
	}
	var heads []string
	for _, th := range board.all("thead", "")[0].all("th", "") {
		heads = append(heads, th.text())
	}
	if diff := cmp.Diff([]string{"App", "dev", "prod"}, heads); diff != "" {
		t.Errorf("columns (-want +got):\n%s", diff)
	}

	board.cell(t, "payments", "dev").reads(t, "1.7.0 sha256:aaaaaaaaaaaa", "healthy for 13 min")
	board.cell(t, "catalog", "dev").reads(t, "unknown")
	board.cell(t, "catalog", "prod").reads(t, "not in prod")

	prod := board.cell(t, "payments", "prod")
	prod.reads(t, "1.6.0 sha256:111111111111", "prod-eu healthy for 13 min",
		"prod-us failed 13 min ago Deployment payments: 0 of 2 pods are ready: ImagePullBackOff",
		"1.7.0 sha256:aaaaaaaaaaaa pull request #12", "asked for by alice",
		"Approvals waits: 0 of 2 approvals; alice asked for it, so hers does not count.",
		"Checks fails: Not successful: lint (failure).")
	if strings.Contains(prod.text(), "Digest") {
		t.Error("a gate that passes is shown as blocking")
	}
	if got := prod.all("code", "digest")[0].attr("title"); got != digest("1") {
		t.Errorf("the whole digest is %q in the title", got)
	}
	want := map[string]string{
		"1.7.0": "/promotions/1", "#12": "https://github.example.com/acme/env/pull/12", "Checks": "https://ci.example.com/lint",
	}
	if diff := cmp.Diff(want, prod.links()); diff != "" {
		t.Errorf("links (-want +got):\n%s", diff)
	}
	board.all("section", "band")[0].reads(t, "Refused pushes", image+":1.7.0@sha256:ffffffffffff 1 min ago",
		"Tag 1.7.0 was verified as sha256:aaaaaaaaaaaa before.")
	board.all("ul", "tally")[0].reads(t, "1 not healthy", "1 settling", "2 healthy", "1 on the way, 1 with a failed gate")
}

func TestBoardFollowsAPromotionToItsEnd(t *testing.T) {
	w := newWorld(t)
	p := w.story()
	a, err := w.store.Artifact(w.ctx, p.ArtifactID)
	w.must(err)

	w.must(w.store.Merge(w.ctx, p.RepoID, p.Env, func(m store.Merging) error {
		return m.Merged(w.ctx, p, store.Actor{}, sha("9"), store.Grounds{}, syncing)
	}))
	w.reached("payments", "prod", "prod-eu", a, store.TargetHealthy, "")
	prod := parse(t, w.page("/")).cell(t, "payments", "prod")
	prod.reads(t, "prod-eu 1.7.0 sha256:aaaaaaaaaaaa healthy", "prod-us 1.6.0 sha256:111111111111 failed", "Merged; the clusters are catching up.")
	if strings.Contains(prod.text(), "waits") {
		t.Errorf("a merged promotion is shown as blocked: %s", prod.text())
	}

	w.reached("payments", "prod", "prod-us", a, store.TargetHealthy, "")
	p, err = w.store.Promotion(w.ctx, p.ID)
	w.must(err)
	w.must(w.store.RecordDeployed(w.ctx, p, a.Digest))
	board := parse(t, w.page("/"))
	prod = board.cell(t, "payments", "prod")
	if got := prod.text(); !strings.HasPrefix(got, "1.7.0 sha256:aaaaaaaaaaaa #12 prod-eu healthy") || strings.Contains(got, "→") {
		t.Errorf("after the end the cell reads %q", got)
	}
	if got := board.all("title", "")[0].text(); got != "Tagboat" {
		t.Errorf("title %q; nothing is in trouble", got)
	}
}

// A cluster of a later wave goes on with what it has, and says what it waits for.
func TestBoardTellsWhatAWaveWaitsFor(t *testing.T) {
	w := newWorld(t)
	w.story()
	us := w.target("payments", "prod", "prod-us")
	w.must(w.store.FinishSync(w.ctx, us, 0, store.Reached{
		Commit: us.CommitSHA, RenderedHash: us.RenderedHash, Image: us.Image, Tag: us.Tag, Digest: us.Digest, State: store.TargetHealthy,
		Held: "prod-us waits for wave 1: prod-eu is not healthy (CrashLoopBackOff).",
	}, after))
	const waits = "prod-us waits for wave 1: prod-eu is not healthy (CrashLoopBackOff)."
	parse(t, w.page("/")).cell(t, "payments", "prod").reads(t, "1.6.0", "prod-us healthy", waits)
	parse(t, w.page("/promotions/1")).reads(t, "Clusters of prod now", "prod-us 1.6.0", waits)
	if !strings.Contains(w.page("/api/board"), `"waits":"`+waits) {
		t.Error("the board's JSON does not say it")
	}
}

func TestBoardTellsWhyAPromotionEnded(t *testing.T) {
	w := newWorld(t)
	p := w.story()
	w.must(w.store.RecordClosed(w.ctx, p, "The pull request was closed without merging."))
	parse(t, w.page("/")).cell(t, "payments", "prod").reads(t, "1.7.0", "#12", "Not promoted. The pull request was closed without merging.")
}

func TestBoardBeforeThePullRequest(t *testing.T) {
	w := newWorld(t)
	repo := w.repo("env")
	a := w.artifact("1.7.0", digest("a"))
	p := w.propose(repo, "prod", a, store.Actor{})
	cell := func() element { return parse(t, w.page("/")).cell(t, "payments", "prod") }
	cell().reads(t, "Its pull request is being opened.")

	w.must(w.store.RecordMessage(w.ctx, p.ID, "apps/payments/overlays/prod has no image "+image+"."))
	cell().reads(t, "has no image "+image+".")

	p = w.open(p, a, 3, "https://github.example.com/acme/env/pull/3")
	cell().reads(t, "#3", "Its gates are being looked at.")

	w.must(w.store.Observe(w.ctx, p, a.Digest, []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "As verified."}}, true))
	cell().reads(t, "Every gate passes.")

	// What was seen of an older head says nothing about a newer one.
	w.must(w.store.SawPull(w.ctx, p.ID, store.SeenPull{State: "open", HeadSHA: sha("7")}))
	cell().reads(t, "Its gates are being looked at.")
}

func TestBoardShowsBrokenConfiguration(t *testing.T) {
	w := newWorld(t)
	p := w.story()
	broken := "tagboat.yaml:7: environment \"prod\" needs \"stagin\", which is not an environment; did you mean \"staging\"?"
	w.must(w.store.SetConfigError(w.ctx, p.RepoID, broken))
	w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "config", Verdict: "fail", Reason: broken}}, true))
	board := parse(t, w.page("/"))
	board.all("div", "banner")[0].reads(t, "tagboat.yaml of acme/env cannot be used", broken)
	board.cell(t, "payments", "prod").reads(t, "Configuration fails: "+broken)

	// Once it is mended nobody observes that gate any more.
	w.must(w.store.SetConfigError(w.ctx, p.RepoID, ""))
	board = parse(t, w.page("/"))
	if got := board.cell(t, "payments", "prod").text(); strings.Contains(got, "Configuration") || len(board.all("div", "banner")) > 0 {
		t.Errorf("the mended configuration still blocks: %s", got)
	}
}

func TestBoardOfNothing(t *testing.T) {
	w := newWorld(t)
	parse(t, w.page("/")).reads(t, "No environment repository is known yet")
	w.repo("env")
	parse(t, w.page("/")).reads(t, "acme/env", "No app of this repository is known yet.")
	if got := strings.TrimSpace(w.page("/api/board")); !strings.Contains(got, `"environments":[],"apps":[]`) || !strings.Contains(got, `"refusals":[]`) {
		t.Errorf("lists of nothing are not empty lists: %s", got)
	}
}

// Two env repos may have apps of the same name, and environments of their own.
func TestBoardKeepsReposApart(t *testing.T) {
	w := newWorld(t)
	w.story()
	w.must(w.store.KeepTargets(w.ctx, w.repo("other"), rand.Text(), []store.NewTarget{
		{App: "payments", Env: "live", Cluster: "live", Branch: "main"}, {App: "payments", Env: "dev", Cluster: "dev", Branch: "main", Position: 1},
	}, syncing))
	var got struct {
		Repos []struct {
			Name         string
			Environments []string
			Apps         []struct{ Name string }
		}
	}
	w.must(json.Unmarshal([]byte(w.page("/api/board")), &got))
	names := map[string][]string{}
	for _, r := range got.Repos {
		names[r.Name] = append(names[r.Name], r.Environments...)
		for _, a := range r.Apps {
			names[r.Name] = append(names[r.Name], a.Name)
		}
	}
	want := map[string][]string{"acme/env": {"dev", "prod", "catalog", "payments"}, "acme/other": {"live", "dev", "payments"}}
	if diff := cmp.Diff(want, names); diff != "" {
		t.Errorf("environments, then apps, of each repo (-want +got):\n%s", diff)
	}
}

// What is not in tagboat.yaml any more, and runs on, is told beside what is there.
func TestBoardTellsWhatIsLeftBehind(t *testing.T) {
	w := newWorld(t)
	w.story()
	repo := w.repo("env")
	dev, err := w.store.TargetsOfPair(w.ctx, repo, "catalog", "dev")
	w.must(err)
	w.must(w.store.KeepStock(w.ctx, dev[0], []store.Stock{{ApiGroup: "apps", Kind: "Deployment", Namespace: "catalog", Name: "catalog", Version: "v1", Uid: "1", State: "written"}}))
	w.must(w.store.KeepTargets(w.ctx, repo, rand.Text(), []store.NewTarget{{App: "payments", Env: "dev", Cluster: "dev", Branch: "main"}}, syncing))
	parse(t, w.page("/")).reads(t, "catalog has left 1 object in dev", "not in tagboat.yaml any more", "Deployment catalog/catalog", "can delete that")
	if got := w.page("/api/board"); !strings.Contains(got, `"left":[{"app":"catalog","environment":"dev","cluster":"dev","objects":1,`) {
		t.Errorf("the board's JSON says nothing of it: %s", got)
	}
}

func TestBoardJSON(t *testing.T) {
	w := newWorld(t)
	w.story()
	var got bytes.Buffer
	w.must(json.Indent(&got, []byte(w.page("/api/board")), "", "  "))
	const golden = "testdata/board.json"
	if *update {
		w.must(os.WriteFile(golden, got.Bytes(), 0o644))
	}
	want, err := os.ReadFile(golden)
	w.must(err)
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", golden, diff)
	}
}

func TestPromotionTellsItsStory(t *testing.T) {
	w := newWorld(t)
	p := w.story()
	a, err := w.store.Artifact(w.ctx, p.ArtifactID)
	w.must(err)
	w.pass(time.Minute)
	w.must(w.store.Merge(w.ctx, p.RepoID, p.Env, func(m store.Merging) error {
		return m.Merged(w.ctx, p, store.Actor{}, sha("9"), store.Grounds{}, syncing)
	}))
	w.pass(time.Minute)
	w.reached("payments", "prod", "prod-us", a, store.TargetFailed, "Deployment payments: 1 of 2 pods are ready.")

	page := parse(t, w.page("/promotions/1"))
	page.reads(t, "payments 1.7.0 →to prod merged", "Asked for by alice", "/promote prod", "linux/amd64, linux/arm64",
		digest("a"), "acme/payments cccccccccccc", "1.6.0 sha256:111111111111", "Digest passes: Tag 1.7.0 is", "Checks fails:", "- newTag: 1.6.0", "+ newTag: 1.7.0")
	links := page.links()
	if links["#12"] != "https://github.example.com/acme/env/pull/12" || links["https://ci.example.com/runs/42"] == "" {
		t.Errorf("links: %v", links)
	}
	var got []string
	for _, li := range page.all("ol", "log")[0].all("li", "") {
		got = append(got, li.text())
	}
	want := []string{
		"2026-03-05 09:10:06 UTC Promotion by alice proposed /promote prod",
		"2026-03-05 09:11:06 UTC Approvals wait eeeeeeeeeeee 0 of 2 approvals; alice asked for it, so hers does not count.",
		"2026-03-05 09:11:06 UTC Digest pass eeeeeeeeeeee Tag 1.7.0 is sha256:aaaaaaaaaaaa in the registry.",
		"2026-03-05 09:11:06 UTC Checks fail eeeeeeeeeeee Not successful: lint (failure).",
		"2026-03-05 09:11:06 UTC Review by bob approved eeeeeeeeeeee",
		"2026-03-05 09:11:06 UTC Checklist item by alice ticked runbook-read",
		"2026-03-05 09:14:06 UTC Promotion merged 999999999999",
		"2026-03-05 09:15:06 UTC Sync of prod-us failed dddddddddddd Deployment payments: 1 of 2 pods are ready. 1 object written in 2s.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("what happened (-want +got):\n%s", diff)
	}
}
