package demo

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/jackc/pgx/v5"
)

// noSecrets wants none of the secrets that Tagboat was given, and no GitHub token,
// in any row of its database or line of its log.
func (w *World) noSecrets(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, w.DatabaseURL())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname IN ('public', 'river')`)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		for _, secret := range w.secretTexts() {
			var n int
			// The table's name comes from the catalogue, quoted by format.
			if err := conn.QueryRow(ctx, "SELECT count(*) FROM "+table+" t WHERE strpos(t::text, $1) > 0", secret).Scan(&n); err != nil {
				return err
			}
			if n > 0 {
				return fmt.Errorf("%d rows of %s hold a secret (%.4s…)", n, table, secret)
			}
		}
	}
	log, err := os.ReadFile(filepath.Join(w.dir, "tagboat.log"))
	if err != nil {
		return nil // the log goes elsewhere
	}
	for _, secret := range w.secretTexts() {
		if strings.Contains(string(log), secret) {
			return fmt.Errorf("the log holds a secret (%.4s…)", secret)
		}
	}
	return nil
}

// secretTexts are what must not show up. Installation tokens begin with ghs_.
func (w *World) secretTexts() []string {
	return append([]string{w.secrets.github, w.secrets.registry, w.secrets.ci, "ghs_", "BEGIN RSA PRIVATE KEY", "BEGIN PRIVATE KEY", "AGE-SECRET-KEY-"}, w.secrets.more...)
}
