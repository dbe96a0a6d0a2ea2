package store

import (
	"context"
	"errors"
	"io"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/migrations"
)

// WriterRole is the database role that may do Tagboat's work, and not change what
// is append-only. The migrations make it where they may.
const WriterRole = "tagboat_writer"

// schema brings a database up to date: our migrations, then River's.
type schema struct {
	pool  *pgxpool.Pool
	ours  *goose.Provider
	river *rivermigrate.Migrator[pgx.Tx]
}

// migrate brings the schema up to date. Where it is, nothing is written: a user
// who may not change the schema can start a server.
func migrate(ctx context.Context, pool *pgxpool.Pool, readOnly bool) error {
	db := stdlib.OpenDBFromPool(pool)
	defer db.Close()
	// Replicas that start together take turns: ask every second, for 5 minutes.
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 300))
	if err != nil {
		return err
	}
	s := schema{pool: pool}
	if s.ours, err = goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithSessionLocker(locker)); err != nil {
		return err
	}
	if s.river, err = rivermigrate.New(riverpgxv5.New(pool), &rivermigrate.Config{
		Schema: QueueSchema,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}); err != nil {
		return err
	}
	behind, err := s.behind(ctx)
	if err != nil || !behind {
		return err
	}
	if readOnly {
		return fault.Errorf(fault.Invalid, "The database's schema is older than this tagboat. Run tagboat migrate as the database's owner first.")
	}
	return notOwner(s.up(ctx))
}

// behind reports whether a migration has not been applied, by reading only.
func (s schema) behind(ctx context.Context) (bool, error) {
	var made bool
	// Before it looks, goose makes the table of its versions.
	if err := s.pool.QueryRow(ctx, "SELECT to_regclass($1) IS NOT NULL", goose.DefaultTablename).Scan(&made); err != nil || !made {
		return true, err
	}
	if behind, err := s.ours.HasPending(ctx); err != nil || behind {
		return true, err
	}
	river, err := s.river.Validate(ctx, nil)
	return err != nil || !river.OK, err
}

func (s schema) up(ctx context.Context) error {
	if _, err := s.ours.Up(ctx); err != nil {
		return err
	}
	// River's migrator has no lock of its own.
	// The lock has a connection of its own: the pool may have but one.
	conn, err := pgx.ConnectConfig(ctx, s.pool.Config().ConnConfig)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // the lock ends with the connection
	const key = 0x7461_67_62_6f_61_74            // "tagboat"
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(key)); err != nil {
		return err
	}
	if _, err = s.river.Migrate(ctx, rivermigrate.DirectionUp, nil); err != nil {
		return err
	}
	_, err = grantWriter(ctx, conn)
	return err
}

// grantWriter gives the writer role its rights on all tables, new ones included;
// false where there is no such role.
func grantWriter(ctx context.Context, conn *pgx.Conn) (is bool, err error) {
	err = conn.QueryRow(ctx, "SELECT grant_writer()").Scan(&is)
	return is, err
}

// notOwner says what to do about a migration that the database's user may not run.
func notOwner(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42501" {
		return fault.E(fault.Denied, "The database's schema is older than this tagboat, and this database user may not change it. Run tagboat migrate as the database's owner first.", err)
	}
	return err
}

// Schema is what Migrate has left.
type Schema struct {
	Version int64
	Writer  bool // the role WriterRole exists and has its rights
}

// Migrate brings the database at url up to date, as its owner, and gives the
// writer role its rights.
func Migrate(ctx context.Context, url string) (_ Schema, err error) {
	defer wrap(&err, "migrate the database")
	s, err := Open(ctx, url, Options{})
	if err != nil {
		return Schema{}, err
	}
	defer s.Close()
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return Schema{}, err
	}
	defer conn.Release()
	var is Schema
	if is.Writer, err = grantWriter(ctx, conn.Conn()); err != nil {
		return is, notOwner(err)
	}
	err = conn.QueryRow(ctx, "SELECT max(version_id) FROM "+goose.DefaultTablename).Scan(&is.Version)
	return is, err
}
