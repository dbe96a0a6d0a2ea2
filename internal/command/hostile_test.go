package command_test

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/command"
)

// hostile are comments that look to some reader as if they held a command, or that
// somebody would write to have one carried out that nobody saw.
var hostile = []struct{ name, body string }{
	{"a set in a quote", "> /promote prod --from staging"},
	{"a set in a list", "- a\n/promote prod --from staging"},
	{"a set in code", "`/promote prod --from staging`"},
	{"a set in a comment", "<!-- \n/promote prod --from staging\n-->"},
	{"quote in a quote", "> > /promote prod\n> /promote prod"},
	{"quote that goes on without its mark", "> a\n/promote prod\n/promote prod"},
	{"quote in a list in a quote", "> - > /promote prod"},
	{"a note", "> [!NOTE]\n> /promote prod"},
	{"list item that goes on", "- a\n/promote prod"},
	{"list item with two paragraphs", "- a\n\n  /promote prod"},
	{"list item below an empty one", "- a\n\n  - \n\n  /promote prod\n\n  /promote prod"},
	{"numbered list that goes on", "1) a\n   /promote prod"},
	{"task", "- [ ] /promote prod\n- [x] /promote prod"},
	{"task that goes on", "- [x] done\n/promote prod"},
	{"heading", "## /promote prod ##"},
	{"heading by a line below", "/promote prod\n======"},
	{"heading of two lines", "/promote prod\n/promote prod\n-"},
	{"link's text", "[/promote prod](https://example.com)"},
	{"link's text over lines", "[a\n/promote prod\nb](https://example.com)"},
	{"link's title", "[a](https://example.com '\n/promote prod\n')"},
	{"link by reference, defined below", "[\n/promote prod\n][x]\n\n[x]: https://example.com"},
	{"link by reference, defined in a quote", "> [x]: https://example.com\n\n[\n/promote prod\n][x]"},
	{"reference definition", "[x]:\n/promote 'prod'"},
	{"title of a reference definition", "[x]: https://example.com '\n/promote prod\n'"},
	{"image's text", "![a\n/promote prod\n](https://example.com/x.png)"},
	{"HTML comment", "<!-- \n/promote prod\n-->"},
	{"HTML comment within a line", "a <!--\n/promote prod\n--> b"},
	{"HTML comment that never ends", "<!--\n\n/promote prod"},
	{"HTML comment that seems to end", "<!-- a -- >\n\n/promote prod"},
	{"details", "<details>\n\n/promote prod\n\n</details>"},
	{"details that are never closed", "<details><summary>log</summary>\n\n/promote prod"},
	{"details, begun within a line", "log: <details>\n\n/promote prod\n\n</details>"},
	{"details in details", "<details>\n<details>\n</details>\n\n/promote prod\n\n</details>"},
	{"hidden element", "<div hidden>\n\n/promote prod\n\n</div>"},
	{"element with a bracket in its attribute", "<p title='</p>'>\n\n/promote prod"},
	{"preformatted", "<pre>\n\n/promote prod\n\n</pre>"},
	{"script", "<script>\n\n/promote prod"},
	{"small print", "<sub>\n/promote prod\n</sub>"},
	{"processing instruction", "<?php\n\n/promote prod\n\n?>"},
	{"CDATA", "<![CDATA[\n\n/promote prod\n\n]]>"},
	{"entity", "&#47;promote prod\n&sol;promote prod\n&#x2f;promote prod"},
	{"escaped", `\/promote prod`},
	{"escaped at the end of a line", "a\\\n\\/promote prod"},
	{"fence", "```sh\n/promote prod\n```"},
	{"fence of tildes in a fence", "~~~\n```\n/promote prod\n~~~"},
	{"fence that a longer one would close", "````\n```\n/promote prod\n````"},
	{"fence that is never closed", "```\n/promote prod\n\n/promote prod"},
	{"fence, closed with words behind", "```\n/promote prod\n``` x\n/promote prod"},
	{"indented code", "a\n\n    /promote prod\n\n\t/promote prod"},
	{"code span over lines", "a ``b\n/promote prod\n`` c"},
	{"code span with backticks in it", "`` ` \n/promote prod\n ` ``"},
	{"formula", "$$\n/promote prod\n$$"},
	{"emphasis over lines", "*a\n/promote prod\nb*"},
	{"struck out", "~~a\n/promote prod\nb~~"},
	{"emphasis around it", "_/promote prod_"},
	{"table", "| a |\n|---|\n| /promote prod |"},
	{"table without bars at its sides", "a | b\n--- | ---\n/promote prod"},
	{"head of a table", "/promote prod | b\n:-- | --:"},
	{"table of one column", "/promote prod\n|---|\n/promote prod"},
	{"footnote that goes on further down", "a[^1]\n\n[^1]: b\n\n    /promote prod"},
	{"footnote that nothing points to", "[^1]: b\n/promote prod"},
	{"footnote", "a[^1]\n\n[^1]: b\n/promote prod"},
	{"front matter", "/promote prod\n---\n"},
	{"mail, answered above", "Fine.\n\n-----Original Message-----\nFrom: alice\n\n/promote prod"},
	{"mail, forwarded", "---------- Forwarded message ---------\nFrom: alice\n\n/promote prod"},
	{"mail, quoted without marks", "Fine.\n\nOn Mon, Nov 23, 2026 at 9:14 AM Alice <alice@example.com> wrote:\n\n/promote prod"},
	{"mail with a head", "Fine.\n\nFrom: Alice\nSent: Monday\nSubject: prod\n\n/promote prod"},
	{"mail, quoted with marks", "Fine.\n\nOn Monday Alice wrote:\n> /promote prod"},
	{"full-width slash", "／promote prod"},
	{"slash of division", "∕promote prod\n⁄promote prod"},
	{"nothing to see before it", "\u200b/promote prod\n\ufeff/promote prod\n\u2060/promote prod"},
	{"wide space before it", "\u3000/promote prod\n\u00a0/promote prod"},
	{"read from right to left", "\u202e/promote prod\n\u2067/promote prod"},
	{"nothing to see in it", "/pro\u200bmote prod\n/promote\u200b prod"},
	{"letters that look alike", "/prоmote prod\n/ⅴromote prod\n/promоte prod"},
	{"no-break space behind it", "/promote\u00a0prod"},
	{"letters of another width", "/ｐromote prod"},
	{"NUL before it", "\x00/promote prod"},
	{"NUL in it", "/promote\x00 prod"},
	{"not UTF-8", "\xff/promote prod\n/promote\xff prod"},
	{"other line ends", "a\u2028/promote prod\na\u0085/promote prod\na\x0b/promote prod\na\x0c/promote prod"},
	{"quote with the line ends of an old Macintosh", "> a\r/promote prod"},
	{"addresses", "/promote/prod\n//promote prod\n/promote.sh prod\nhttps://example.com/promote prod"},
	{"another bot's words", "/approve\n/lgtm\n/assign @alice\n/test all\n/retest\n/cherry-pick v1\n/close"},
	{"in the middle of a line", "please /promote prod\n. /promote prod"},
	{"after a mention", "@tagboat /promote prod"},
	{"quotes without end", strings.Repeat("> ", 32_000) + "\n/promote prod\n\n/promote prod"},
	{"lists without end", strings.Repeat("1. ", 21_000) + "\n/promote prod\n\n/promote prod"},
	{"more than GitHub takes", strings.Repeat("a\n", 32_768) + "\n/promote prod"},
}

// by says what is carried out of a comment.
func by(body string) (sources []string) {
	for _, c := range command.Parse(body) {
		sources = append(sources, c.Source())
	}
	return sources
}

func TestWhatOnlyLooksLikeACommandIsNone(t *testing.T) {
	for _, tt := range hostile {
		if got := by(tt.body); len(got) > 0 {
			t.Errorf("%s: %q holds %q", tt.name, cut(tt.body), got)
		}
	}
}

// What stands above does not spoil a command below, once it has come to an end.
func TestACommandBelowIsReadAllTheSame(t *testing.T) {
	const want = "/promote prod payments"
	for _, above := range []string{
		"> /promote prod\n\n", "- /promote prod\n\nSo:\n\n", "```\n/promote prod\n```\n", "<details>\n\n/promote prod\n\n</details>\n\n",
		"<!-- /promote prod -->\n", "| a |\n|---|\n| /promote prod |\n\n", "# /promote prod\n", "/lgtm\n", "[^1]: /promote prod\n\n", "$$\n/promote prod\n$$\n\n",
		"Thank you <b>all</b>.\n\n", "See https://example.com/a_b_c, @bob.\n", "a\r", "\tx\n\n  ", "**bold** and `code` before it\n", "-- \n\n",
		strings.Repeat("/\n", 10_000), strings.Repeat("[a]: /b\n", 1000) + "\n", strings.Repeat("*", 10_000) + "\n\n",
	} {
		if got := by(above + want); len(got) != 1 || got[0] != want {
			t.Errorf("%q, and below it %s: %q", cut(above), want, got)
		}
	}
}

func TestAReasonIsPlainText(t *testing.T) {
	for _, reason := range []string{
		"see https://example.com/issues/7?a=b", "@bob is away", "it is 50 % slower", "a | b", "naïve, 測試", "ask on-call@example.com", "a < b & c",
	} {
		got := command.Parse("/freeze prod " + reason)
		if len(got) != 1 || got[0].(command.Freeze).Reason != reason {
			t.Errorf("%s: %+v", reason, got)
		}
	}
}

func cut(s string) string { return s[:min(len(s), 60)] }
