package web_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"hash/fnv"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
	"github.com/tagboat/tagboat/internal/web"
)

var postgres *localpg.Server

func TestMain(m *testing.M) {
	var err error
	if postgres, err = localpg.Start(context.Background(), localpg.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, "PostgreSQL does not start:", err)
		os.Exit(1)
	}
	code := m.Run()
	postgres.Stop()
	os.Exit(code)
}

// world is a Tagboat of which only the memory and the pages exist.
type world struct {
	t     *testing.T
	ctx   context.Context
	now   time.Time
	store *store.Store
	http  http.Handler
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, ctx: t.Context(), now: time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)}
	name := strings.ToLower(strings.NewReplacer("/", "_").Replace(t.Name()))
	w.must(postgres.CreateDatabase(w.ctx, name, ""))
	var err error
	w.store, err = store.Open(w.ctx, postgres.URL(name), store.Options{MaxConns: 4, Now: func() time.Time { return w.now }})
	w.must(err)
	t.Cleanup(w.store.Close)
	w.http = serve(t, w.store, func() time.Time { return w.now })
	return w
}

func serve(t *testing.T, s web.Store, now func() time.Time) http.Handler {
	t.Helper()
	pages, err := web.New(web.Config{
		Store: s, Metrics: prometheus.NewRegistry(), Now: now,
		Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	})
	if err != nil {
		t.Fatal(err)
	}
	e := echo.New()
	pages.Register(e)
	return e
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) pass(d time.Duration) { w.now = w.now.Add(d) }

// get asks as a browser does.
func (w *world) get(path string) *httptest.ResponseRecorder { return get(w.http, path) }

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Header.Set("Accept", "text/html,*/*;q=0.8")
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

// page gets a path that has to answer 200.
func (w *world) page(path string) string {
	w.t.Helper()
	answer := w.get(path)
	if answer.Code != http.StatusOK {
		w.t.Fatalf("GET %s: %d\n%s", path, answer.Code, answer.Body)
	}
	return answer.Body.String()
}

func wake(id int64) river.JobArgs    { return job.Reconcile{Promotion: id} }
func telling(id int64) river.JobArgs { return job.TellDrift{Drift: id} }

var after = store.After{Promotion: func(id int64) river.JobArgs { return job.Reconcile{Promotion: id} }, Target: syncing, Drift: telling}

func syncing(t store.Target) river.JobArgs { return job.Sync{Target: t.ID, Cluster: t.Cluster} }
func digest(c string) string               { return "sha256:" + strings.Repeat(c, 64) }
func sha(c string) string                  { return strings.Repeat(c, 40) }
func (w *world) repo(s string) int64       { return w.seen(s).ID }
func (w *world) seen(s string) store.Repo {
	w.t.Helper()
	number := fnv.New32a()
	number.Write([]byte(s))
	r, err := w.store.SeeRepo(w.ctx, store.SeenRepo{GitHubID: int64(number.Sum32()), Owner: "acme", Name: s, Installation: 1, DefaultBranch: "main"}, wake)
	w.must(err)
	return r
}

const image = "registry.example.com/acme/payments"

func (w *world) artifact(tag, digest string) store.Artifact {
	w.t.Helper()
	a, err := w.store.Ledger(w.ctx, store.Verified{
		Image: image, Tag: tag, Digest: digest, MediaType: "application/vnd.oci.image.index.v1+json",
		Platforms: []string{"linux/amd64", "linux/arm64"}, SourceRepo: "acme/payments", SourceCommit: sha("c"),
		RunURL: "https://ci.example.com/runs/42",
	})
	w.must(err)
	return a
}

func (w *world) target(app, env, cluster string) store.Target {
	w.t.Helper()
	all, err := w.store.Targets(w.ctx)
	w.must(err)
	for _, t := range all {
		if t.App == app && t.Env == env && t.Cluster == cluster {
			return t
		}
	}
	w.t.Fatalf("no target %s %s %s", app, env, cluster)
	return store.Target{}
}

// reached has a cluster end a sync in a state.
func (w *world) reached(app, env, cluster string, a store.Artifact, state, message string) {
	w.t.Helper()
	t := w.target(app, env, cluster)
	id, err := w.store.StartSync(w.ctx, t.ID, sha("d"), a.Tag, a.Digest)
	w.must(err)
	w.pass(2 * time.Second)
	w.must(w.store.FinishSync(w.ctx, t, id, store.Reached{
		Commit: sha("d"), RenderedHash: "r" + a.Tag, Image: a.Image, Tag: a.Tag, Digest: a.Digest,
		State: state, Message: message, Changed: 1,
	}, after))
}

func (w *world) propose(repo int64, env string, a store.Artifact, by store.Actor) store.Promotion {
	w.t.Helper()
	p, err := w.store.Propose(w.ctx, store.Proposal{
		Repo: repo, App: "payments", Env: env, Artifact: a.ID, Requester: by, Reason: "/promote " + env,
		Branch: "tagboat/payments/" + env, BaseBranch: "main",
	}, wake)
	w.must(err)
	return p.Promotion
}

func (w *world) open(p store.Promotion, a store.Artifact, number int, url string) store.Promotion {
	w.t.Helper()
	w.must(w.store.RecordOpened(w.ctx, p, store.Commit{
		HeadSHA: sha("e"), BaseSHA: sha("b"), EditHash: "edit", Digest: a.Digest, OldTag: "1.6.0", OldDigest: digest("1"),
		Diff: "--- a/kustomization.yaml\n+++ b/kustomization.yaml\n@@ -4 +4 @@\n-    newTag: 1.6.0\n+    newTag: 1.7.0\n",
	}, store.Opened{Number: number, URL: url}))
	p, err := w.store.Promotion(w.ctx, p.ID)
	w.must(err)
	return p
}

var alice = store.Actor{ID: 11, Login: "alice"}

// story tells the middle of a promotion: 1.7.0 runs in dev, prod's pull request
// waits for approvals, one of prod's clusters is unwell, and somebody pushed the
// tag again.
func (w *world) story() store.Promotion {
	w.t.Helper()
	repo := w.repo("env")
	w.must(w.store.KeepTargets(w.ctx, repo, rand.Text(), []store.NewTarget{
		{App: "payments", Env: "dev", Cluster: "dev", Branch: "main"},
		{App: "payments", Env: "prod", Cluster: "prod-eu", Branch: "main"},
		{App: "payments", Env: "prod", Cluster: "prod-us", Branch: "main"},
		{App: "catalog", Env: "dev", Cluster: "dev", Branch: "main"},
	}, syncing))
	older, newer := w.artifact("1.6.0", digest("1")), w.artifact("1.7.0", digest("a"))
	w.reached("payments", "dev", "dev", newer, store.TargetHealthy, "")
	w.reached("payments", "prod", "prod-eu", older, store.TargetHealthy, "")
	w.reached("payments", "prod", "prod-us", older, store.TargetFailed, "Deployment payments: 0 of 2 pods are ready: ImagePullBackOff")
	w.pass(10 * time.Minute)
	p := w.open(w.propose(repo, "prod", newer, alice), newer, 12, "https://github.example.com/acme/env/pull/12")
	w.pass(time.Minute)
	w.must(w.store.Observe(w.ctx, p, newer.Digest, []store.Observed{
		{Gate: "approvals", Verdict: "wait", Reason: "0 of 2 approvals; alice asked for it, so hers does not count.", Source: "github"},
		{Gate: "digest", Verdict: "pass", Reason: "Tag 1.7.0 is sha256:aaaaaaaaaaaa in the registry.", Source: "registry"},
		{Gate: "checks", Verdict: "fail", Reason: "Not successful: lint (failure).", Source: "github", URL: "https://ci.example.com/lint"},
	}, true))
	w.must(w.store.RecordReview(w.ctx, p.ID, store.NewReview{
		ReviewID: 5, Reviewer: store.Actor{ID: 12, Login: "bob"}, State: "APPROVED", HeadSHA: p.HeadSHA, SubmittedAt: w.now,
	}, 0, wake))
	w.must(w.store.RecordTicks(w.ctx, p.ID, []store.NewTick{{Item: "runbook-read", Checked: true}}, alice, "body", 0, wake))
	w.pass(time.Minute)
	_, err := w.store.Refuse(w.ctx, store.Verified{Image: image, Tag: "1.7.0", Digest: digest("f")},
		"Tag 1.7.0 was verified as sha256:aaaaaaaaaaaa before. Push the new content under a new tag.")
	w.must(err)
	w.pass(time.Minute)
	return p
}
