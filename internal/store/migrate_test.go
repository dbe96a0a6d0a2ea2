package store_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/storetest"
	"github.com/tagboat/tagboat/migrations"
)

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func strs(t *testing.T, conn *pgx.Conn, sql string) []string {
	t.Helper()
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	found, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// schema is everything that migrations make, in words.
func schema(t *testing.T, conn *pgx.Conn) []string {
	t.Helper()
	return slices.Concat(
		strs(t, conn, `SELECT table_schema || '.' || table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || coalesce(column_default, '')
			FROM information_schema.columns WHERE table_schema IN ('public', 'river') ORDER BY 1`),
		strs(t, conn, `SELECT indexdef FROM pg_indexes WHERE schemaname IN ('public', 'river') ORDER BY 1`),
		strs(t, conn, `SELECT version_id || ' ' || is_applied || ' ' || tstamp FROM goose_db_version ORDER BY id`),
		strs(t, conn, `SELECT line || ' ' || version || ' ' || created_at FROM river.river_migration ORDER BY 1`),
	)
}

func openOnce(t *testing.T, url string) {
	t.Helper()
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}

func TestOpeningAgainChangesNothing(t *testing.T) {
	t.Parallel()
	url := storetest.Empty(t)
	openOnce(t, url)
	conn := connect(t, url)
	first := schema(t, conn)
	if len(first) < 100 {
		t.Fatalf("the schema has %d parts only: %s", len(first), first)
	}
	openOnce(t, url)
	if diff := cmp.Diff(first, schema(t, conn)); diff != "" {
		t.Error(diff)
	}
}

// Replicas start together, on a database that has nothing.
func TestReplicasOpenAnEmptyDatabaseAtOnce(t *testing.T) {
	t.Parallel()
	url := storetest.Empty(t)
	const replicas = 4
	opened := make(chan error, replicas)
	for range replicas {
		go func() {
			s, err := store.Open(context.Background(), url, store.Options{})
			if err == nil {
				_, err = s.SeeRepo(context.Background(), store.SeenRepo{GitHubID: 7, Owner: "acme", Name: "env", Installation: 1, DefaultBranch: "main"}, reconcile)
				s.Close()
			}
			opened <- err
		}()
	}
	for range replicas {
		if err := <-opened; err != nil {
			t.Error(err)
		}
	}
	conn := connect(t, url)
	if n := strs(t, conn, "SELECT count(*)::text FROM env_repo"); n[0] != "1" {
		t.Errorf("%s env repos, want 1", n[0])
	}
}

// A database that was used since the first version is brought up to date, and
// keeps every row.
func TestADatabaseInUseIsMigrated(t *testing.T) {
	t.Parallel()
	url := storetest.Empty(t)
	conn := connect(t, url)
	db := stdlib.OpenDB(*conn.Config())
	defer db.Close()
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.UpTo(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), strings.NewReplacer("DIGEST", digest("a"), "SHA", sha("1")).Replace(everything)); err != nil {
		t.Fatal(err)
	}
	counts := func() map[string]string {
		counted := map[string]string{}
		for _, table := range strs(t, conn, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name NOT LIKE 'goose%'`) {
			counted[table] = strs(t, conn, "SELECT count(*)::text FROM "+pgx.Identifier{table}.Sanitize())[0]
		}
		return counted
	}
	before := counts()
	for table, rows := range before {
		if rows == "0" {
			t.Errorf("this test puts nothing into %s", table)
		}
	}

	openOnce(t, url)
	after := counts()
	for table, rows := range before {
		if after[table] != rows {
			t.Errorf("%s had %s rows and has %s", table, rows, after[table])
		}
	}
	s, err := store.Open(t.Context(), url, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	p, err := s.PromotionByPull(t.Context(), 1, 7)
	if err != nil || p.State != "open" || p.HeadSHA != sha("1") {
		t.Errorf("the promotion reads as %+v, %v", p, err)
	}
	if reviews, err := s.Reviews(t.Context(), p.ID); err != nil || len(reviews) != 1 {
		t.Errorf("its reviews read as %+v, %v", reviews, err)
	}
	// The log goes on from where it stood.
	if _, err := s.Refuse(t.Context(), store.Verified{Image: "r/payments", Tag: "edge", Digest: digest("b")}, "mutable"); err != nil {
		t.Error(err)
	}
	if mark, err := s.AuditMark(t.Context()); err != nil || mark.Row != 2 {
		t.Errorf("the audit log ends with %s, %v", mark, err)
	}
}

// everything is at least one row for each table of the first migration.
const everything = `
INSERT INTO delivery (source, delivery_id, event, body, received_at) VALUES ('github', 'guid', 'push', '{}', now());
INSERT INTO env_repo (owner, name, installation_id, default_branch, seen_at) VALUES ('acme', 'env', 1, 'main', now());
INSERT INTO artifact (image, tag, digest, media_type, platforms, verified_at) VALUES ('r/payments', '1.7.0', 'DIGEST', 'm', '{linux/amd64}', now());
INSERT INTO refusal (image, tag, digest, reason, delivery_id, refused_at) VALUES ('r/payments', 'latest', 'DIGEST', 'mutable', 1, now());
INSERT INTO promotion (repo_id, app, env, artifact_id, state, pull_number, head_sha, created_at, updated_at) VALUES (1, 'payments', 'prod', 1, 'open', 7, 'SHA', now(), now());
INSERT INTO request (promotion_id, actor_id, actor, at) VALUES (1, 11, 'alice', now());
INSERT INTO promotion_head VALUES ('SHA', 1, 'SHA', 'edit', 'DIGEST', now());
INSERT INTO intent VALUES (1, 'create status comment', now());
INSERT INTO check_result VALUES (1, 'SHA', 'check_run', 5, 'lint', 'completed', 'success', '', now());
INSERT INTO review (promotion_id, review_id, reviewer_id, reviewer, bot, state, head_sha, digest, submitted_at, recorded_at) VALUES (1, 1, 2, 'bob', false, 'APPROVED', 'SHA', 'DIGEST', now(), now());
INSERT INTO tick (promotion_id, item, checked, actor_id, actor, at) VALUES (1, 'dashboards', true, 1, 'alice', now());
INSERT INTO evidence (promotion_id, app, env, digest, head_sha, gate, verdict, reason, source, observed_at) VALUES (1, 'payments', 'prod', 'DIGEST', 'SHA', 'digest', 'pass', 'same', 'registry', now());
INSERT INTO command (owner, repo, number, is_pull, comment_id, installation_id, body, author_id, author, received_at) VALUES ('acme', 'env', 7, true, 9, 1, '/promote prod', 1, 'alice', now());
INSERT INTO target (repo_id, app, env, cluster, branch, updated_at) VALUES (1, 'payments', 'prod', 'eu', 'main', now());
INSERT INTO sync (target_id, commit_sha, tag, digest, state, started_at) VALUES (1, 'SHA', '1.7.0', 'DIGEST', 'healthy', now());
INSERT INTO audit VALUES (1, now(), 0, '', 'merged', 1, 1, 'SHA', '{}', '', 'hash');
`
