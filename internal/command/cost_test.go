package command_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/command"
)

// costly are comments of GitHub's largest size that were made to keep a Markdown parser
// busy: read in one go, some of these take it seconds, and the table gigabytes.
func costly() map[string]string {
	fill := func(s string, n int) string { return strings.Repeat(s, n/len(s)) }
	const size = 65_000
	return map[string]string{
		"brackets": fill("[", size/2) + fill("]", size/2), "links": fill("[a](", size), "links to angles": fill("[a](<b", size), "emphasis": fill("*a_ ", size),
		"backticks": fill("`a``b", size), "quotes": fill("> ", size), "quotes on many lines": fill(strings.Repeat(">", 49)+"\n", size),
		"lists": fill("1. ", size), "definitions": fill("[a]: b\n", size), "quotation marks": fill("<a \"\n\n", size), "headings": fill("a\n=\n", size),
		"table":               strings.Repeat("|a", 8000) + "\n" + strings.Repeat("|-", 8000) + "\n" + fill("a\n", 30_000),
		"commands with links": fill("/help "+strings.Repeat("[a](", 200)+"\n\n", size), "commands": fill("/help *a*\n\n", size), "no commands": fill("/a\n\n", size),
	}
}

func TestCommentsThatWereMadeToTakeLongAreRead(t *testing.T) {
	for name, body := range costly() {
		if got := command.Parse(body + "\n\n/status prod"); len(got) > command.MaxPerComment+1 {
			t.Errorf("%s: %d commands", name, len(got))
		}
		if got := by("/status prod\n\n" + body); len(got) == 0 && name != "lists" && name != "quotes" || len(got) > 0 && got[0] != "/status prod" {
			t.Errorf("below a command, %s: %q", name, got)
		}
	}
}

func BenchmarkCostlyComments(b *testing.B) {
	for name, body := range costly() {
		body += "\n\n/status prod"
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				command.Parse(body)
			}
		})
	}
}
