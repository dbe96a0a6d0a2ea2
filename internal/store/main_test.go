package store_test

import (
	"context"
	"crypto/rand"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
)

func TestMain(m *testing.M) { storetest.Main(m) }

const payments = "registry.example.com/acme/payments"

func digest(c string) string { return "sha256:" + strings.Repeat(c, 64) }
func sha(c string) string    { return strings.Repeat(c, 40) }

func reconcile(id int64) river.JobArgs     { return job.Reconcile{Promotion: id} }
func syncing(t store.Target) river.JobArgs { return job.Sync{Target: t.ID, Cluster: t.Cluster} }

func telling(id int64) river.JobArgs { return job.TellDrift{Drift: id} }

var after = store.After{Promotion: reconcile, Target: syncing, Drift: telling}

var (
	tagboat = store.Actor{}
	alice   = store.Actor{ID: 1, Login: "alice"}
	bob     = store.Actor{ID: 2, Login: "bob"}
)

// clock is a time that passes when a test says so.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
	return c.at
}

// world is a store with one env repo, acme/env.
type world struct {
	*testing.T
	ctx   context.Context
	clock *clock
	store *store.Store
	repo  store.Repo
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel() // each test has a database of its own
	w := &world{T: t, ctx: t.Context(), clock: &clock{at: time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)}}
	w.store = storetest.OpenWith(t, store.Options{MaxConns: 20, Now: w.clock.now})
	w.repo = w.envRepo("env")
	return w
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) envRepo(name string) store.Repo {
	w.Helper()
	return w.seeRepo(store.SeenRepo{GitHubID: map[string]int64{"env": 501, "other": 502}[name], Owner: "acme", Name: name, Installation: 77, DefaultBranch: "main"})
}

func (w *world) seeRepo(seen store.SeenRepo) store.Repo {
	w.Helper()
	r, err := w.store.SeeRepo(w.ctx, seen, reconcile)
	w.must(err)
	return r
}

func (w *world) verified(tag, digest string) store.Verified {
	return store.Verified{
		Image: payments, Tag: tag, Digest: digest,
		MediaType: "application/vnd.oci.image.index.v1+json", Platforms: []string{"linux/amd64", "linux/arm64"},
	}
}

func (w *world) artifact(tag, digest string) store.Artifact {
	w.Helper()
	a, err := w.store.Ledger(w.ctx, w.verified(tag, digest))
	w.must(err)
	return a
}

// proposal is the wish to have an artifact in an environment of payments.
func (w *world) proposal(env string, a store.Artifact) store.Proposal {
	return store.Proposal{
		Repo: w.repo.ID, App: "payments", Env: env, Artifact: a.ID,
		Reason: "New version.", Branch: "tagboat/" + env + "/payments", BaseBranch: "main",
	}
}

func (w *world) propose(env string, a store.Artifact) store.Promotion {
	w.Helper()
	out, err := w.store.Propose(w.ctx, w.proposal(env, a), reconcile)
	w.must(err)
	return out.Promotion
}

// open proposes an artifact and opens its pull request.
func (w *world) open(env string, a store.Artifact, number int, head string) store.Promotion {
	w.Helper()
	p := w.propose(env, a)
	c := w.commit(a, head)
	w.must(w.store.KeepHead(w.ctx, p.ID, c))
	w.must(w.store.RecordOpened(w.ctx, p, c, store.Opened{Number: number, URL: "https://github.example/pull", Body: "body", BodyHash: "hash"}))
	return w.promotion(p.ID)
}

func (w *world) commit(a store.Artifact, head string) store.Commit {
	return store.Commit{HeadSHA: head, BaseSHA: sha("b"), EditHash: "edit " + a.Tag, Digest: a.Digest, OldTag: "1.6.0", OldDigest: digest("0"), Diff: "-1.6.0\n+" + a.Tag}
}

func (w *world) promotion(id int64) store.Promotion {
	w.Helper()
	p, err := w.store.Promotion(w.ctx, id)
	w.must(err)
	return p
}

// merge writes down that a promotion was merged.
func (w *world) merge(p store.Promotion, by store.Actor, merged string) {
	w.Helper()
	w.must(w.store.Merge(w.ctx, p.RepoID, p.Env, func(m store.Merging) error {
		return m.Merged(w.ctx, p, by, merged, store.Grounds{Pull: p.PullNumber, Head: p.SeenHeadSHA}, syncing)
	}))
}

// target makes one overlay in one cluster known.
func (w *world) target(env, cluster string) store.Target {
	w.Helper()
	w.must(w.store.KeepTargets(w.ctx, w.repo.ID, rand.Text(), []store.NewTarget{{App: "payments", Env: env, Cluster: cluster, Branch: "main"}}, syncing))
	targets, err := w.store.TargetsOfPair(w.ctx, w.repo.ID, "payments", env)
	w.must(err)
	if len(targets) != 1 {
		w.Fatalf("%d targets, want 1", len(targets))
	}
	return targets[0]
}

// count asks the database for a number.
func (w *world) count(sql string, args ...any) (n int) {
	w.Helper()
	w.must(w.store.Pool().QueryRow(w.ctx, sql, args...).Scan(&n))
	return n
}

// waiting is how many sessions of the test's database wait for a lock that
// another one holds by name.
func (w *world) waiting() int {
	w.Helper()
	return w.count(`SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
		AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`)
}

// jobs is how many jobs of a kind are in the queue.
func (w *world) jobs(kind string) int {
	w.Helper()
	return w.count("SELECT count(*) FROM river.river_job WHERE kind = $1", kind)
}

// exec changes the database behind the store's back.
func (w *world) exec(sql string, args ...any) {
	w.Helper()
	_, err := w.store.Pool().Exec(w.ctx, sql, args...)
	w.must(err)
}

// actions are what the audit log says was done, oldest first.
func (w *world) actions() (actions []string) {
	w.Helper()
	rows, err := w.store.AuditLog(w.ctx, 0, 1000)
	w.must(err)
	for _, r := range rows {
		actions = append(actions, r.Action)
	}
	return actions
}

// until waits for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("still waiting after two minutes: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}
