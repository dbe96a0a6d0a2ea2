package app

import (
	"encoding/csv"
	"encoding/json"
	"errors"
	"iter"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

func rowsOf(err error, rows ...store.Audit) iter.Seq2[AuditRecord, error] {
	return func(yield func(AuditRecord, error) bool) {
		for _, r := range rows {
			if !yield(record(r), nil) {
				return
			}
		}
		if err != nil {
			yield(AuditRecord{}, err)
		}
	}
}

// Whatever people wrote, a spreadsheet shows it and calculates nothing.
func TestNoCellOfTheCSVIsAFormula(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "plain", "", `a"b`, "a,b", "a\nb", "'=1"} {
		var out strings.Builder
		if err := WriteAuditCSV(&out, rowsOf(nil, store.Audit{ID: 1, Actor: text, Action: text, SHA: text, Inputs: text})); err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(out.String(), "\r\n") {
			t.Errorf("%q: a line does not end as RFC 4180 has it", out.String())
		}
		read, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
		if err != nil || len(read) != 2 {
			t.Fatalf("%q reads as %v, %v", out.String(), read, err)
		}
		for i, cell := range read[1] {
			if cell != "" && strings.ContainsAny(cell[:1], "=+-@\t\r\n") {
				t.Errorf("%s of %q is a formula: %q", read[0][i], text, cell)
			}
			if read[0][i] == "actor" && strings.TrimPrefix(cell, "'") != strings.TrimPrefix(strings.ReplaceAll(text, "\r", ""), "'") && text != "\r=1" {
				t.Errorf("%q became %q", text, cell)
			}
		}
	}
}

// An export that breaks off is an error, not a short log.
func TestAnExportThatBreaksOffFails(t *testing.T) {
	t.Parallel()
	broken := errors.New("the connection is gone")
	var out strings.Builder
	for name, err := range map[string]error{
		"csv": WriteAuditCSV(&out, rowsOf(broken, store.Audit{ID: 1})), "json": WriteAuditJSON(&out, rowsOf(broken, store.Audit{ID: 1})),
	} {
		if !errors.Is(err, broken) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A row whose inputs somebody has edited to no JSON is exported all the same.
func TestJSONStaysJSON(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := WriteAuditJSON(&out, rowsOf(nil, store.Audit{ID: 1, Inputs: `{"a":1}`}, store.Audit{ID: 2, Inputs: `{"a":`})); err != nil {
		t.Fatal(err)
	}
	var rows []AuditRecord
	if err := json.Unmarshal([]byte(out.String()), &rows); err != nil || len(rows) != 2 || string(rows[1].Inputs) != `"{\"a\":"` {
		t.Errorf("%s: %v", out.String(), err)
	}
}

// What Tagboat did not do by itself is told so.
func TestAMergeThatWasFound(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 5, 9, 0, 0, 0, time.UTC)
	merge := store.AuditedMerge{
		Repo: store.Repo{Owner: "acme", Name: "env"}, Promotion: store.Promotion{ID: 4, App: "payments", Env: "prod", Reason: "New version."},
		Artifact: store.Artifact{Image: "r/payments", Tag: "1.7.0", Digest: "sha256:" + strings.Repeat("a", 64)},
		Row:      store.Audit{ID: 9, At: at, SHA: "abc"},
		Grounds:  store.Grounds{Pull: 7, Found: true, Gates: []store.Judged{{Gate: "checks", Verdict: "wait", Reason: "lint runs.", Source: "github", ObservedAt: at}}},
		Reviews: []store.Review{
			{ReviewID: 1, Reviewer: "bob", ReviewerID: 2, State: "CHANGES_REQUESTED", SubmittedAt: at}, {ReviewID: 2, Reviewer: "carol", State: "COMMENTED"},
		},
	}
	text := AuditAnswer{Changes: []AuditChange{change(merge)}, Chain: AuditChain{Holds: true}}.Text()
	for _, want := range []string{
		"payments in prod: 1.7.0", "on GitHub, not by Tagboat", "by nobody: Tagboat proposed it", "bob (2) changes requested",
		"did not count", "as last observed; Tagboat did not merge it", "wait checks", "no sync is written down yet",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("it does not say “%s”:\n%s", want, text)
		}
	}
	if strings.Contains(text, "carol") {
		t.Errorf("a comment decides nothing:\n%s", text)
	}
	merge.Grounds.Merger = &store.Actor{ID: 5, Login: "erin"}
	if text := (AuditAnswer{Changes: []AuditChange{change(merge)}}).Text(); !strings.Contains(text, "by erin (5) on GitHub") {
		t.Error(text)
	}
}
