package storetest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tagboat/tagboat/internal/store"
	"github.com/tagboat/tagboat/internal/store/localpg"
)

// template is the database that every test's is a copy of.
const template = "migrated"

// process is what all tests of one process share.
var process struct {
	main      atomic.Bool // Main runs the tests, and will stop the server
	server    func() (*localpg.Server, error)
	databases sync.Map // of tests: name of the test -> name of its database
	count     atomic.Int64
}

// Main runs the tests of a package, and stops the server that they used, if any
// of them used one. It does not return.
func Main(m *testing.M, stop ...func()) {
	var started *localpg.Server
	process.server = sync.OnceValues(func() (_ *localpg.Server, err error) {
		if started, err = localpg.Start(context.Background(), localpg.Options{}); err != nil {
			return nil, err
		}
		return started, migrate(started)
	})
	process.main.Store(true)
	code := m.Run()
	if started != nil {
		started.Stop()
	}
	for _, f := range stop {
		f()
	}
	os.Exit(code)
}

// migrate makes the template. Nobody may be connected to it when it is copied.
func migrate(server *localpg.Server) error {
	ctx := context.Background()
	if err := server.CreateDatabase(ctx, template, ""); err != nil {
		return err
	}
	s, err := store.Open(ctx, server.URL(template), store.Options{})
	if err != nil {
		return err
	}
	s.Close()
	return nil
}

// Open is a store on the test's own database, closed when the test ends. A second
// call is a second replica: another store on the same database.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenWith(t, store.Options{})
}

// OpenWith is Open with options.
func OpenWith(t testing.TB, opts store.Options) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), URL(t), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// URL is where the test's own database is; its user may do everything. The
// database is made, migrated and empty, at the first call.
func URL(t testing.TB) string {
	t.Helper()
	if name, ok := process.databases.Load(t.Name()); ok {
		return started(t).URL(name.(string))
	}
	name := create(t, template)
	process.databases.Store(t.Name(), name)
	t.Cleanup(func() { process.databases.Delete(t.Name()) })
	return started(t).URL(name)
}

// Empty is a database without any schema.
func Empty(t testing.TB) string {
	t.Helper()
	return started(t).URL(create(t, ""))
}

func started(t testing.TB) *localpg.Server {
	t.Helper()
	if !process.main.Load() {
		t.Fatal("storetest.Main has to run the tests: func TestMain(m *testing.M) { storetest.Main(m) }")
	}
	server, err := process.server()
	if err != nil {
		t.Fatalf("PostgreSQL does not start: %v", err)
	}
	return server
}

// create makes a database that is dropped when the test ends.
func create(t testing.TB, template string) string {
	t.Helper()
	server := started(t)
	name := fmt.Sprintf("test%d", process.count.Add(1))
	if err := insist(func() error { return server.CreateDatabase(context.Background(), name, template) }); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := insist(func() error { return drop(server, name) }); err != nil {
			t.Errorf("drop database %s: %v", name, err)
		}
	})
	return name
}

// inUse is what PostgreSQL calls a database that somebody is connected to.
const inUse = "55006"

// insist does something to a database that nobody uses any more. PostgreSQL waits five
// seconds for the sessions that it has ended, or that were closed, and on a busy machine
// they may take longer to go.
func insist(do func() error) error {
	for deadline := time.Now().Add(2 * time.Minute); ; {
		err := do()
		if used, ok := errors.AsType[*pgconn.PgError](err); !ok || used.Code != inUse || time.Now().After(deadline) {
			return err
		}
	}
}

func drop(server *localpg.Server, name string) error {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to lose
	_, err = conn.Exec(ctx, "DROP DATABASE "+pgx.Identifier{name}.Sanitize()+" WITH (FORCE)")
	return err
}
