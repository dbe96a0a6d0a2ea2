package store

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store/query"
)

// QueueSchema is the database schema that River's tables live in.
const QueueSchema = "river"

// The rows, as sqlc reads them.
type (
	Delivery      = query.Delivery
	Repo          = query.EnvRepo
	Artifact      = query.Artifact
	Refusal       = query.Refusal
	Promotion     = query.Promotion
	QueueEntry    = query.Queued
	PromotionHead = query.PromotionHead
	CheckResult   = query.CheckResult
	Review        = query.ReviewsRow
	Tick          = query.Tick
	Evidence      = query.Evidence
	Command       = query.Command
	Target        = query.Target
	Violation     = query.Violation
	Violations    = query.Violations
	Sync          = query.Sync
	Audit         = query.Audit
	Stop          = query.Stop
	Builder       = query.Builder
	Dismissal     = query.Dismissal
	Voice         = query.Voice
	FollowUp      = query.FollowUp
	DryRun        = query.DryRun
	Signature     = query.Signature
	Rollback      = query.Rollback
	Denial        = query.Denial
	PromotionSet  = query.PromotionSet
)

// ErrNotFound is returned for a row that does not exist.
var ErrNotFound = fault.E(fault.NotFound, "", errors.New("no such row"))

// Store is a connection pool to Tagboat's database.
type Store struct {
	pool  *pgxpool.Pool
	query *query.Queries
	jobs  *river.Client[pgx.Tx] // inserts only; the workers have their own client
	now   func() time.Time
}

// Options tune a Store.
type Options struct {
	MaxConns int32            // 0: pgx's default
	Now      func() time.Time // nil: time.Now
	// ReadOnly leaves the schema as it is, and refuses a database that is behind.
	ReadOnly bool
}

// Open connects to the database at url and brings its schema up to date, where it
// is not. Several replicas may do so at once.
func Open(ctx context.Context, url string, opts Options) (_ *Store, err error) {
	defer wrap(&err, "open the database")
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// The error would repeat the URL, and with it a password.
		return nil, fault.E(fault.Invalid, "The database URL cannot be read; it looks like postgres://user@host/database.", errors.New("invalid database URL"))
	}
	if opts.MaxConns > 0 {
		config.MaxConns = opts.MaxConns
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			pool.Close()
		}
	}()
	if err := migrate(ctx, pool, opts.ReadOnly); err != nil {
		return nil, err
	}
	jobs, err := river.NewClient(riverpgxv5.New(pool), &river.Config{
		Schema: QueueSchema,
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		// An inserting client wakes the workers at most this often per queue. It
		// must not be longer than the workers' own cooldown: a wake-up that is left
		// out there costs up to a second, until they poll.
		FetchCooldown: time.Millisecond,
	})
	if err != nil {
		return nil, err
	}
	s := &Store{pool: pool, query: query.New(pool), jobs: jobs, now: opts.Now}
	if s.now == nil {
		s.now = time.Now
	}
	return s, nil
}

// Close releases the connections.
func (s *Store) Close() { s.pool.Close() }

// Pool is the connection pool, for the queue's workers.
func (s *Store) Pool() *pgxpool.Pool { return s.pool }

// Ping asks the database whether it is there.
func (s *Store) Ping(ctx context.Context) (err error) {
	defer wrap(&err, "ping the database")
	return s.pool.Ping(ctx)
}

// tx runs f in a transaction.
func (s *Store) tx(ctx context.Context, f func(tx pgx.Tx, q *query.Queries) error) error {
	return pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error { return f(tx, s.query.WithTx(tx)) })
}

// enqueue inserts a job in tx; one that its kind calls a duplicate is dropped.
func (s *Store) enqueue(ctx context.Context, tx pgx.Tx, jobs ...river.JobArgs) error {
	for _, args := range jobs {
		if _, err := s.jobs.InsertTx(ctx, tx, args, nil); err != nil {
			return fmt.Errorf("enqueue %s: %w", args.Kind(), err)
		}
	}
	return nil
}

// Enqueue inserts jobs that belong to no row's change.
func (s *Store) Enqueue(ctx context.Context, jobs ...river.JobArgs) (err error) {
	defer wrap(&err, "enqueue")
	return s.tx(ctx, func(tx pgx.Tx, _ *query.Queries) error { return s.enqueue(ctx, tx, jobs...) })
}

// wrap classifies a database error and says what was attempted.
func wrap(err *error, format string, args ...any) {
	if *err == nil {
		return
	}
	switch pg, ok := errors.AsType[*pgconn.PgError](*err); {
	case errors.Is(*err, pgx.ErrNoRows):
		*err = ErrNotFound
	case ok && (pg.Code[:2] == "08" || pg.Code[:2] == "53" || pg.Code[:2] == "57" || pg.Code == "40001" || pg.Code == "40P01"):
		// connection, resources, operator intervention, serialization, deadlock
		*err = fault.E(fault.Transient, "", *err)
	case !ok && isConnection(*err):
		*err = fault.E(fault.Transient, "The database cannot be reached.", *err)
	}
	fault.Wrap(err, format, args...)
}

func isConnection(err error) bool {
	_, connecting := errors.AsType[*pgconn.ConnectError](err)
	return connecting || pgconn.SafeToRetry(err)
}
