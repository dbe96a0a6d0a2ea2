package main

import (
	"context"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// onDatabase plays the scripts of a directory of testdata, each on a database of its own
// in which is what write wrote.
func onDatabase(t *testing.T, dir string, write func(t *testing.T, url string)) {
	t.Helper()
	server, err := localpg.Start(t.Context(), localpg.Options{})
	must := musts(t)
	must(err)
	t.Cleanup(server.Stop)
	must(server.CreateDatabase(t.Context(), "written", ""))
	write(t, server.URL("written"))
	testscript.Run(t, testscript.Params{
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits, "sql": sql},
		Dir:  "../../testdata/" + dir,
		Setup: func(env *testscript.Env) error {
			name := strings.ReplaceAll(env.T().(testing.TB).Name(), "/", "_")
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("TAGBOAT_DATABASE_URL", server.URL(name))
			env.Setenv("EMPTY", server.URL("postgres"))
			return server.CreateDatabase(context.Background(), name, "written")
		},
	})
}

func musts(t *testing.T) func(error) {
	return func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// reconcile and syncs are the jobs that follow from what is written.
func reconcile(promotion int64) river.JobArgs { return job.Reconcile{Promotion: promotion} }
func syncs(t store.Target) river.JobArgs      { return job.Sync{Target: t.ID, Cluster: t.Cluster} }

// sql lets a script do to the database what only its owner can, with the triggers
// off.
func sql(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: sql STATEMENTS")
	}
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, ts.Getenv("TAGBOAT_DATABASE_URL"))
	ts.Check(err)
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "SET session_replication_role = replica; "+args[0])
	ts.Check(err)
}
