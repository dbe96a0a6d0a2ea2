package command_test

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/command"
)

var update = flag.Bool("update", false, "write the table of docs/commands.md anew")

func TestEveryVerbIsWholeAndItsExampleIsOne(t *testing.T) {
	for _, v := range command.Verbs {
		if v.Description == "" || v.Least < command.Read || v.Kind != command.Tells && v.Least < command.Write {
			t.Errorf("%s: %+v", v.Verb, v)
		}
		got := command.Parse(v.Example)
		if len(got) != 1 || got[0].Verb() != v.Verb {
			t.Errorf("the example of %s: %+v", v.Verb, got)
		}
	}
}

func TestHelpShowsWhatSomebodyMayUse(t *testing.T) {
	promote, _ := command.VerbOf("promote")
	explain, _ := command.VerbOf("explain")
	help := command.HelpText([]command.Allowed{{Verb: promote, Envs: []string{"dev", "staging"}}, {Verb: explain}})
	for _, part := range []string{"`/promote <env> [app] [tag]`", "For you only in dev, staging.", "`/explain [env] [app]`", fmt.Sprintf("There are %d more", len(command.Verbs)-2)} {
		if !strings.Contains(help, part) {
			t.Errorf("the help does not say %q:\n%s", part, help)
		}
	}
	if strings.Contains(help, "/freeze") {
		t.Errorf("the help shows what may not be used:\n%s", help)
	}
	for _, text := range []string{help, command.Table()} {
		if got := command.Parse(text); len(got) > 0 {
			t.Errorf("the table is read as commands: %v", got)
		}
	}
}

// TestTheDocumentationHasTheTable compares the page with the table that the parser
// works by.
func TestTheDocumentationHasTheTable(t *testing.T) {
	const page, begin, end = "../../docs/commands.md", "<!-- the table: go test ./internal/command -update -->\n", "<!-- end of the table -->\n"
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, begun := strings.Cut(string(data), begin)
	table, after, ended := strings.Cut(rest, end)
	if !begun || !ended {
		t.Fatal("docs/commands.md has no table")
	}
	if *update {
		if err := os.WriteFile(page, []byte(before+begin+command.Table()+end+after), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(command.Table(), table); diff != "" {
		t.Errorf("docs/commands.md (-want +got, -update rewrites):\n%s", diff)
	}
}
