package app

import (
	"encoding/csv"
	"encoding/json"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"
)

// WriteAuditJSON writes rows as one JSON array, a row to a line. It is written as
// the rows come: a log may be larger than memory.
func WriteAuditJSON(w io.Writer, rows iter.Seq2[AuditRecord, error]) error {
	between := "[\n"
	for row, err := range rows {
		if err != nil {
			return err
		}
		line, err := json.Marshal(row)
		if err != nil {
			return err
		}
		if _, err := io.WriteString(w, between+string(line)); err != nil {
			return err
		}
		between = ",\n"
	}
	if between == "[\n" {
		_, err := io.WriteString(w, "[]\n")
		return err
	}
	_, err := io.WriteString(w, "\n]\n")
	return err
}

// WriteAuditCSV writes rows as RFC 4180 has it, for a spreadsheet.
func WriteAuditCSV(w io.Writer, rows iter.Seq2[AuditRecord, error]) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	head := []string{"row", "at", "actor_id", "actor", "action", "promotion", "delivery", "sha", "inputs", "prev_hash", "hash"}
	if err := out.Write(head); err != nil {
		return err
	}
	for r, err := range rows {
		if err != nil {
			return err
		}
		cells := []string{
			strconv.FormatInt(r.Row, 10), r.At.Format(time.RFC3339Nano), strconv.FormatInt(r.ActorID, 10), r.Actor, r.Action,
			number(r.Promotion), number(r.Delivery), r.SHA, string(r.Inputs), r.PrevHash, r.Hash,
		}
		for i := range cells {
			cells[i] = plainCell(cells[i])
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func number(n *int64) string {
	if n == nil {
		return ""
	}
	return strconv.FormatInt(*n, 10)
}

// plainCell keeps a spreadsheet from calculating what somebody wrote: a formula
// begins with one of these, and an apostrophe makes it text. No number of the log
// is below zero.
func plainCell(s string) string {
	if s != "" && strings.ContainsRune("=+-@\t\r\n", rune(s[0])) {
		return "'" + s
	}
	return s
}
