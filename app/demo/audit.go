package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// audit: who approved the last production change? The log answers, and nobody can
// change it unseen.
func (s *story) audit(ctx context.Context) {
	s.until(ctx, "no promotion is left unfinished", s.w.atRest)
	s.do(ctx, "the audit log's chain is unbroken", s.w.soundAudit)
	s.shows(ctx, "tagboat audit --env prod --app payments answers who approved what", s.whoApproved)
	s.do(ctx, "Tagboat's own database user cannot change the log", func(ctx context.Context) error {
		for _, change := range []string{"UPDATE audit SET actor = 'mallory'", "DELETE FROM audit", "TRUNCATE audit"} {
			err := s.w.exec(ctx, s.w.Postgres.URLAs(databaseName, databaseName), change)
			if pg, ok := errors.AsType[*pgconn.PgError](err); !ok || pg.Code != "42501" { // insufficient_privilege
				return fmt.Errorf("%s: %w", change, errors.Join(err, errors.New("permission was not denied")))
			}
		}
		return nil
	})
	var row int64
	s.shows(ctx, "the database's owner writes Mallory's name over Carol's approval; tagboat audit verify finds the row", func(ctx context.Context) (_ string, err error) {
		if row, err = s.approvalOf(ctx, "carol"); err != nil {
			return "", err
		}
		if err := s.w.tamper(ctx, row, "mallory"); err != nil {
			return "", err
		}
		said, code, err := s.w.command(ctx, "audit", "verify")
		if err == nil && (code != 1 || !strings.Contains(said, fmt.Sprintf("changed at row %d: ", row))) {
			err = fmt.Errorf("tagboat audit verify ended with %d and said: %s", code, said)
		}
		return said, err
	})
	s.shows(ctx, "with the row as it was, the log holds", func(ctx context.Context) (string, error) {
		if err := s.w.tamper(ctx, row, "carol"); err != nil {
			return "", err
		}
		said, code, err := s.w.command(ctx, "audit", "verify")
		if err == nil && code != 0 {
			err = fmt.Errorf("tagboat audit verify ended with %d and said: %s", code, said)
		}
		return said, err
	})
	s.do(ctx, "no secret is in the database", s.w.noSecrets)
}

// whoApproved asks, and wants the people, what they saw, and the proof.
func (s *story) whoApproved(ctx context.Context) (string, error) {
	said, code, err := s.w.command(ctx, "audit", "--env", "prod", "--app", "payments")
	if err != nil || code != 0 {
		return said, errors.Join(err, fmt.Errorf("tagboat audit ended with %d and said: %s", code, said))
	}
	p, err := s.w.GitHub.Pull(envRepo, s.prod)
	if err != nil {
		return said, err
	}
	digest := s.digests["payments 1.7.0"]
	for _, want := range []string{
		"payments in prod: 1.6.0 → 1.7.0", "by alice (", "bob (", "carol (", ": counted for platform as a member of team platform", "did not count: asked for this promotion",
		"saw " + image.ShortDigest(digest) + ", the merged head", digest, p.MergeCommitSHA, "by Tagboat, every gate passing",
		"pass approvals", "pass digest", "pass upstream", "on-call-informed", "prod is healthy", "holds: ",
	} {
		if !strings.Contains(said, want) {
			return said, fmt.Errorf("the answer does not say “%s”:\n%s", want, said)
		}
	}
	return said, nil
}

// approvalOf is the row of the audit log that keeps somebody's approval.
func (s *story) approvalOf(ctx context.Context, login string) (row int64, err error) {
	err = s.w.database(ctx, func(db *store.Store) error {
		for r, err := range db.AuditRows(ctx, store.AuditFilter{Action: store.ActionReviewed, Actor: login}) {
			if err != nil {
				return err
			}
			row = r.ID
		}
		if row == 0 {
			return fmt.Errorf("the log has no review of %s", login)
		}
		return nil
	})
	return row, err
}

// tamper writes another name into a row of the audit log, as only a superuser can:
// with the triggers off, in this session.
func (w *World) tamper(ctx context.Context, row int64, login string) error {
	return w.asOwner(ctx, fmt.Sprintf("SET session_replication_role = replica; UPDATE audit SET actor = '%s' WHERE id = %d", login, row))
}

func (w *World) asOwner(ctx context.Context, sql string) error {
	return w.exec(ctx, w.DatabaseURL(), sql)
}

// exec changes Tagboat's database behind its back.
func (w *World) exec(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx) //nolint:errcheck // nothing is left to lose
	_, err = conn.Exec(ctx, sql)
	return err
}

// command runs Tagboat's command line as its administrator would, with the
// database user of the server.
func (w *World) command(ctx context.Context, args ...string) (said string, code int, err error) {
	program := append(append([]string{}, w.options.Tagboat...), args...)
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Env = append(os.Environ(), "TAGBOAT_DATABASE_URL="+w.Postgres.URLAs(databaseName, databaseName))
	err = cmd.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return out.String(), exit.ExitCode(), nil
	}
	return out.String(), 0, err
}
