package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/tagboat/tagboat/app"
	"github.com/tagboat/tagboat/internal/fault"
)

type auditCommand struct {
	Show   auditShow   `cmd:"" default:"withargs" help:"Who changed an app in an environment last, on which grounds (the default)."`
	List   auditList   `cmd:"" help:"Print or export rows of the audit log: text, json or csv."`
	Verify auditVerify `cmd:"" help:"Prove that no row was edited, removed or put elsewhere."`
}

// Help is the command's documentation.
func (auditCommand) Help() string {
	return `Answers who changed an app in an environment last: who asked, who approved, what they saw (digest, head commit, hashes
of edit and diff), every gate with its reason and evidence, who or what merged, and how each cluster took it. It walks
along the whole audit log and says whether it holds. It reads only.

Exit codes: 0 answered, 1 the log does not hold, or error, 2 usage, 3 there is no such change.

Examples:
  tagboat audit --env prod --app payments
  tagboat audit --env prod --since 24h --limit 100 --output json | jq '.changes[] | {app, approvals}'
  tagboat audit verify
  tagboat audit list --since 2026-01-01 --until 2026-04-01 --output csv > first-quarter.csv`
}

// about is what an audit is about.
type about struct {
	Env       string  `help:"Environment." placeholder:"ENV"`
	App       string  `help:"App." placeholder:"APP"`
	Repo      string  `help:"Env repo." placeholder:"OWNER/NAME"`
	Promotion int64   `help:"A promotion's number." placeholder:"NUMBER"`
	Since     instant `help:"From then on: 2026-03-05, 2026-03-05T09:00:00Z, or 24h ago." placeholder:"TIME"`
	Until     instant `help:"Before that." placeholder:"TIME"`
}

func (a about) filter() app.AuditFilter {
	return app.AuditFilter{Env: a.Env, App: a.App, Repo: a.Repo, Promotion: a.Promotion, Since: a.Since.Time, Until: a.Until.Time}
}

// instant is a time as people write it.
type instant struct{ time.Time }

// UnmarshalText reads a date, a time, or how long ago it was.
func (i *instant) UnmarshalText(text []byte) (err error) {
	s := string(text)
	if ago, err := time.ParseDuration(strings.TrimSuffix(s, " ago")); err == nil {
		i.Time = time.Now().Add(-ago)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if i.Time, err = time.Parse(layout, s); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is no time; write 2026-03-05, 2026-03-05T09:00:00Z or 24h", s)
}

// Help is the command's documentation.
func (auditShow) Help() string { return auditCommand{}.Help() }

type auditShow struct {
	database
	about
	Limit  int32  `default:"1" help:"So many changes, the newest."`
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// Run answers who changed what.
func (c auditShow) Run(ctx context.Context, s streams) error {
	if c.Limit < 1 {
		return fault.Errorf(fault.Invalid, "--limit is at least 1")
	}
	a, err := c.audit(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	filter := c.filter()
	filter.Newest = c.Limit
	answer, err := a.Changes(ctx, filter)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		err = printJSON(s.out, answer)
	} else {
		_, err = fmt.Fprint(s.out, answer.Text())
	}
	switch {
	case err != nil:
		return err
	case !answer.Chain.Holds:
		return answer.Chain.Err()
	case len(answer.Changes) == 0:
		return exitCode(otherwise)
	}
	return nil
}

type auditList struct {
	database
	about
	Action string `help:"Only this action, such as merged." placeholder:"ACTION"`
	Actor  string `help:"Only of this person." placeholder:"LOGIN"`
	Limit  int32  `help:"So many rows, the newest; without it all." placeholder:"NUMBER"`
	Output string `enum:"text,json,csv" default:"text" help:"text, json (an array) or csv (RFC 4180)."`
}

// Help is the command's documentation.
func (auditList) Help() string {
	return `Prints rows of the audit log, oldest first. With --env, --app, --repo or --promotion only rows about a promotion are
printed; what is about an artifact, a comment or somebody's own pull request is in the whole log alone.

In CSV, a cell that a spreadsheet would take for a formula (= + - @) has an apostrophe in front. To calculate hashes
yourself, take JSON (docs/audit.md says how).`
}

// Run prints rows.
func (c auditList) Run(ctx context.Context, s streams) error {
	a, err := c.audit(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	filter := c.filter()
	filter.Action, filter.Actor, filter.Newest = c.Action, c.Actor, c.Limit
	rows := a.Rows(ctx, filter)
	switch c.Output {
	case "json":
		return app.WriteAuditJSON(s.out, rows)
	case "csv":
		return app.WriteAuditCSV(s.out, rows)
	}
	for row, err := range rows {
		if err != nil {
			return err
		}
		if err := row.WriteText(s.out); err != nil {
			return err
		}
	}
	return nil
}

type auditVerify struct {
	database
	Expect []mark `sep:"," help:"A row and its hash that were noted before. Repeatable." placeholder:"ROW:HASH"`
	Output string `enum:"text,json" default:"text" help:"text or json."`
}

// mark is a noted row.
type mark app.AuditMark

// UnmarshalText reads ROW:HASH.
func (m *mark) UnmarshalText(text []byte) error {
	row, hash, ok := strings.Cut(string(text), ":")
	n, err := strconv.ParseInt(row, 10, 64)
	if !ok || err != nil || n < 0 || len(hash) != 64 && n > 0 {
		return fmt.Errorf("%q is not of the form ROW:HASH, as tagboat audit verify prints it", text)
	}
	m.Row, m.Hash = n, hash
	return nil
}

// Help is the command's documentation.
func (auditVerify) Help() string {
	return `Walks along the audit log from its first row and finds the first one that was edited, removed or put elsewhere, what is
wrong with it and what that means; also when the end was cut off, and when the reviews, merges and other things that the
database knows have no row. Prints how many rows there are and where the log ends.

Note the end somewhere else, and give it with --expect later: that shows also what somebody has rewritten who can
calculate every hash anew. Tagboat itself notes it on GitHub, in the payload of every deployment.

Exit codes: 0 the log holds, 1 it does not, or error, 2 usage.

Examples:
  tagboat audit verify
  tagboat audit verify --expect 1041:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08`
}

// Run proves the log.
func (c auditVerify) Run(ctx context.Context, s streams) error {
	a, err := c.audit(ctx)
	if err != nil {
		return err
	}
	defer a.Close()
	marks := make([]app.AuditMark, 0, len(c.Expect))
	for _, m := range c.Expect {
		marks = append(marks, app.AuditMark(m))
	}
	chain, err := a.Verify(ctx, marks)
	if err != nil {
		return err
	}
	if c.Output == "json" {
		if err := printJSON(s.out, chain); err != nil {
			return err
		}
		if !chain.Holds {
			return exitCode(failed)
		}
		return nil
	}
	if chain.Holds {
		_, err = fmt.Fprintf(s.out, "The audit log %s\n", chain.Text())
		return err
	}
	return chain.Err()
}

type migrateCommand struct {
	database
}

// Help is the command's documentation.
func (migrateCommand) Help() string {
	return `Brings the database's schema up to date, as tagboat serve does by itself where its database user may. Run it as the
owner of the database when the server runs as a member of the role tagboat_writer, which cannot change the audit log
(docs/audit.md).`
}

// Run migrates.
func (c migrateCommand) Run(ctx context.Context, s streams) error {
	url, err := c.url()
	if err != nil {
		return err
	}
	done, err := app.MigrateDatabase(ctx, url)
	if err == nil {
		_, err = fmt.Fprintln(s.out, done)
	}
	return err
}
