package store_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestTheReferenceKnowsEveryAction: whoever filters the log by an action finds each of them
// in docs/audit.md, and none that is never written.
func TestTheReferenceKnowsEveryAction(t *testing.T) {
	reference, err := os.ReadFile("../../docs/audit.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(reference), "## The actions\n")
	table, _, ends := strings.Cut(table, "\n## ")
	if !found || !ends {
		t.Fatal("docs/audit.md does not list the actions")
	}
	file, err := parser.ParseFile(token.NewFileSet(), "audit.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	actions := 0
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(spec.Names[0].Name, "Action") {
			return true
		}
		actions++
		action, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(table, "| `"+action+"` |") {
			t.Errorf("docs/audit.md does not know the action %q", action)
		}
		return true
	})
	if rows := strings.Count(table, "\n| `"); rows != actions {
		t.Errorf("docs/audit.md has %d actions, and the log %d", rows, actions)
	}
}
