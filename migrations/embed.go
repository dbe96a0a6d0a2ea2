// Package migrations is the database schema: forward-only SQL, applied in the
// order of the file names, and read by sqlc as the schema of its queries.
package migrations

import "embed"

// FS holds the migrations.
//
//go:embed *.sql
var FS embed.FS
