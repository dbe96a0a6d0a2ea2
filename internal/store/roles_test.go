package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
	"github.com/tagboat/tagboat/internal/store/storetest"
	"github.com/tagboat/tagboat/migrations"
)

// with is a database's URL with another parameter.
func with(t *testing.T, at, key, value string) string {
	t.Helper()
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set(key, value)
	u.RawQuery = q.Encode()
	return u.String()
}

// asWriter is a database as somebody sees it who is a member of the writer role
// and nothing else.
func asWriter(t *testing.T, at string) string {
	t.Helper()
	return with(t, at, "role", store.WriterRole)
}

func denied(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "42501"
}

// The server's own database user cannot change what was written down, even with
// the triggers off.
func TestTheWriterCannotChangeHistory(t *testing.T) {
	w := logged(t)
	w.must(w.store.RecordTicks(w.ctx, 1, []store.NewTick{{Item: "dashboards", Checked: true}}, alice, "body", 0, reconcile))
	w.must(w.store.Observe(w.ctx, w.promotion(1), digest("a"), []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "same"}}, true))
	w.must(w.store.RecordVoice(w.ctx, 1, voice("checks", alice, 1), reconcile))
	older := w.proposal("load", w.artifact("1.5.0", digest("5")))
	older.Back = &store.NewRollback{Reason: "it is slow"}
	_, err := w.store.Propose(w.ctx, older, reconcile)
	w.must(err)
	_, err = w.store.RecordRevert(w.ctx, store.Taken{Scope: store.Scope{Owner: "acme", Repo: w.repo.ID, Env: "load", App: "payments"}, Commit: sha("7")}, reconcile)
	w.must(err)
	for _, table := range []string{"review", "request", "tick", "evidence", "voice", "rollback", "taking"} {
		w.exec("ALTER TABLE " + table + " DISABLE TRIGGER USER")
	}
	conn := connect(t, asWriter(t, storetest.URL(t)))
	for _, table := range []string{"audit", "review", "request", "tick", "evidence", "voice", "rollback", "taking", "audit_head", "goose_db_version", "river.river_migration"} {
		if strs(t, conn, "SELECT count(*)::text FROM "+table)[0] == "0" {
			t.Errorf("%s is empty", table)
		}
		column := strs(t, conn, "SELECT attname::text FROM pg_attribute WHERE attrelid = '"+table+"'::regclass AND attnum = 2")[0]
		for _, change := range []string{"UPDATE " + table + " SET " + column + " = " + column, "DELETE FROM " + table, "TRUNCATE " + table, "ALTER TABLE " + table + " DISABLE TRIGGER USER", "DROP TABLE " + table} {
			if _, err := conn.Exec(t.Context(), change); !denied(err) {
				t.Errorf("%s: %v", change, err)
			}
		}
	}
	for _, change := range []string{"INSERT INTO audit_head VALUES (false, 1, '')", "ALTER TABLE audit DISABLE TRIGGER USER", "CREATE TABLE mine ()", "CREATE SCHEMA mine", "DROP FUNCTION continue_audit() CASCADE"} {
		if _, err := conn.Exec(t.Context(), change); !denied(err) {
			t.Errorf("%s: %v", change, err)
		}
	}
	// A table in its place does not deceive the one that watches over the end.
	w.exec("ALTER TABLE audit ENABLE TRIGGER USER")
	_, err = conn.Exec(t.Context(), `CREATE TEMP TABLE audit_head (id bigint, hash text); INSERT INTO audit_head VALUES (8, 'x');
		INSERT INTO audit (id, prev_hash, hash, at, actor_id, actor, action, sha, inputs) VALUES (9, 'x', 'y', now(), 0, '', 'merged', '', '{}')`)
	if err == nil {
		t.Error("a row that does not continue the log was taken")
	}
}

// Everything that the server does it can do as the writer.
func TestTheWriterDoesTheWork(t *testing.T) {
	t.Parallel()
	at := asWriter(t, storetest.URL(t))
	w := &world{T: t, ctx: t.Context(), clock: &clock{at: time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)}}
	var err error
	w.store, err = store.Open(w.ctx, at, store.Options{Now: w.clock.now})
	w.must(err)
	t.Cleanup(w.store.Close)
	if who := strs(t, connect(t, at), "SELECT current_user::text"); who[0] != store.WriterRole {
		t.Fatalf("the work is done as %s", who[0])
	}
	w.repo = w.envRepo("env")
	_, err = w.store.Accept(w.ctx, store.Arrival{Source: store.SourceGitHub, DeliveryID: "guid", Event: "push", Body: []byte("{}")},
		func(id int64) river.JobArgs { return job.Deliver{Delivery: id} })
	w.must(err)
	w.must(w.store.FinishDelivery(w.ctx, 1, "done"))
	a := w.artifact("1.7.0", digest("a"))
	_, err = w.store.Refuse(w.ctx, w.verified("latest", digest("b")), "moves")
	w.must(err)
	target := w.target("prod", "eu")
	p := w.open("prod", a, 7, sha("1"))
	_, err = w.store.Announce(w.ctx, p.ID, "create check")
	w.must(err)
	w.must(w.store.RecordLabelled(w.ctx, p.ID))
	w.must(w.store.RecordCheckRun(w.ctx, p.ID, 5, sha("1"), "shown", ""))
	w.must(w.store.RecordBody(w.ctx, p, "shown", "body"))
	w.must(w.store.RecordTicks(w.ctx, p.ID, []store.NewTick{{Item: "dashboards", Checked: true}}, alice, "body", 0, reconcile))
	w.must(w.store.RecordReview(w.ctx, p.ID, store.NewReview{ReviewID: 1, Reviewer: bob, State: "APPROVED", HeadSHA: sha("1"), SubmittedAt: w.clock.now()}, 0, reconcile))
	w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "same"}}, true))
	w.must(w.store.RecordVoice(w.ctx, p.ID, voice("checks", alice, 1), reconcile))
	w.must(w.store.RecordFollowUp(w.ctx, p, "checks", 9, "https://github.example/acme/env/issues/9"))
	w.merge(p, alice, sha("9"))
	id, err := w.store.StartSync(w.ctx, target.ID, sha("9"), "1.7.0", a.Digest)
	w.must(err)
	w.must(w.store.FinishSync(w.ctx, target, id, store.Reached{Commit: sha("9"), Digest: a.Digest, State: store.TargetHealthy, Changed: 1}, after))
	w.must(w.store.RecordDeployment(w.ctx, store.Deployment{PromotionID: p.ID, Cluster: "prod-eu", GithubID: 3, State: "success"}))
	w.must(w.store.RecordCommitStatus(w.ctx, p, "success", true))
	w.must(w.store.RecordDeployed(w.ctx, w.promotion(p.ID), a.Digest))
	presence, err := w.store.Appear(w.ctx, "replica")
	w.must(err)
	defer presence.Leave(context.Background())
	_, err = w.store.RescueJobs(w.ctx)
	w.must(err)
	_, err = w.store.Board(w.ctx, 10)
	w.must(err)
	if proof, err := w.store.VerifyAudit(w.ctx); err != nil || proof.Err() != nil || proof.Rows < 12 {
		t.Errorf("%+v, %v, %v", proof, err, proof.Err())
	}
	w.queueWorks()
}

// queueWorks has River work on a job, as the server would.
func (w *world) queueWorks() {
	w.Helper()
	workers, done := river.NewWorkers(), make(chan struct{}, 10)
	river.AddWorker(workers, river.WorkFunc(func(context.Context, *river.Job[job.Reconcile]) error {
		done <- struct{}{}
		return nil
	}))
	queue, err := river.NewClient(riverpgxv5.New(w.store.Pool()), &river.Config{Schema: store.QueueSchema, Queues: job.Workers, Workers: workers})
	w.must(err)
	w.must(queue.Start(context.Background()))
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		w.Error("no job was worked on")
	}
	w.must(queue.StopAndCancel(context.Background()))
}

// The writer starts a server on a database that is up to date, and is told whom to
// ask about one that is not.
func TestTheWriterDoesNotMigrate(t *testing.T) {
	t.Parallel()
	at := storetest.Empty(t)
	conn := connect(t, at)
	db := stdlib.OpenDB(*conn.Config())
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "GRANT ALL ON ALL TABLES IN SCHEMA public TO "+store.WriterRole); err != nil {
		t.Fatal(err)
	}
	for _, opts := range []store.Options{{}, {ReadOnly: true}} {
		if _, err := store.Open(t.Context(), asWriter(t, at), opts); fault.HintOf(err) == "" {
			t.Errorf("%+v: %v", opts, err)
		}
	}
	if _, err := store.Open(t.Context(), storetest.Empty(t), store.Options{ReadOnly: true}); !fault.Is(err, fault.Invalid) {
		t.Errorf("an empty database was read: %v", err)
	}
	schema, err := store.Migrate(t.Context(), at)
	if err != nil || !schema.Writer || schema.Version < 3 {
		t.Fatalf("%+v, %v", schema, err)
	}
	openOnce(t, asWriter(t, at))
	if _, err := connect(t, asWriter(t, at)).Exec(t.Context(), "UPDATE audit SET actor = 'x'"); !denied(err) {
		t.Errorf("what it was granted before the log was protected was left: %v", err)
	}
}

// server is a PostgreSQL that nobody has migrated anything on.
func server(t *testing.T) *localpg.Server {
	t.Helper()
	s, err := localpg.Start(t.Context(), localpg.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Stop)
	return s
}

// An owner of a database who may make no roles gets a schema, and the writer's
// rights once an administrator has made the role.
func TestAnOwnerWhoMayMakeNoRoles(t *testing.T) {
	t.Parallel()
	s := server(t)
	admin := connect(t, s.URL("postgres"))
	for _, sql := range []string{"CREATE ROLE erin LOGIN", "CREATE DATABASE tagboat OWNER erin"} {
		if _, err := admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	at := with(t, s.URL("tagboat"), "user", "erin")
	openOnce(t, at)
	if schema, err := store.Migrate(t.Context(), at); err != nil || schema.Writer {
		t.Fatalf("%+v, %v", schema, err)
	}
	if _, err := admin.Exec(t.Context(), "CREATE ROLE tagboat_writer NOLOGIN; CREATE ROLE tagboat LOGIN IN ROLE tagboat_writer"); err != nil {
		t.Fatal(err)
	}
	if schema, err := store.Migrate(t.Context(), at); err != nil || !schema.Writer {
		t.Fatalf("%+v, %v", schema, err)
	}
	served := with(t, s.URL("tagboat"), "user", "tagboat")
	openOnce(t, served)
	conn := connect(t, served)
	if _, err := conn.Exec(t.Context(), "DELETE FROM audit"); !denied(err) {
		t.Error(err)
	}
	owner := connect(t, at)
	if _, err := owner.Exec(t.Context(), "CREATE TABLE later (x bigserial)"); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "INSERT INTO later DEFAULT VALUES"); err != nil {
		t.Errorf("a table that came later: %v", err)
	}
	if _, err := conn.Exec(t.Context(), "UPDATE later SET x = 2"); !denied(err) {
		t.Errorf("a table that nobody has decided about can be changed: %v", err)
	}
}

// Databases of one server are migrated at once: the role is one for all.
func TestDatabasesOfOneServerAreMigratedAtOnce(t *testing.T) {
	t.Parallel()
	s := server(t)
	const databases = 6
	done := make(chan error, databases)
	for i := range databases {
		name := fmt.Sprintf("d%d", i)
		if err := s.CreateDatabase(t.Context(), name, ""); err != nil {
			t.Fatal(err)
		}
	}
	for i := range databases {
		go func() {
			schema, err := store.Migrate(context.Background(), s.URL(fmt.Sprintf("d%d", i)))
			if err == nil && !schema.Writer {
				err = errors.New("there is no role")
			}
			done <- err
		}()
	}
	for range databases {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}
