package command_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/command"
)

var (
	safeArguments = regexp.MustCompile(`^[A-Za-z0-9._-]*$`)
	lineEnds      = regexp.MustCompile(`\r\n?|\n`)
	blank         = regexp.MustCompile(`(?m)^[ \t]+$`)
)

// FuzzParse looks for a comment out of which something is read that nobody wrote there,
// or that stands where nothing is read.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"/promote prod payments 1.7.0", "> /help\n/help", "/promote\tprod\n\n- [ ] x\n\n/explain", "/hold a\n/unhold\n/status prod\n/dif\n/retry\n/diff",
		"/promote prod --from staging\n/promote prod \u2014from x\n/promote --from", "/freeze prod 4h x\n\n/thaw prod\n/override checks x",
	} {
		f.Add(s)
	}
	for _, h := range hostile {
		f.Add(h.body[:min(len(h.body), 500)])
	}
	f.Fuzz(func(t *testing.T, body string) {
		got := command.Parse(body)
		if len(got) > command.MaxPerComment+1 {
			t.Fatalf("%d commands", len(got))
		}
		written := lineEnds.Split(strings.ReplaceAll(body, "\x00", "\ufffd"), -1)
		for _, c := range got {
			wroteIt(t, written, c)
		}
		if again := command.Parse(body); !cmp.Equal(got, again) {
			t.Fatalf("read twice: %v, %v", got, again)
		}
		nothingWithin(t, body)
	})
}

// wroteIt wants a command to be a whole line of the comment, with arguments that may
// become a branch or a query.
func wroteIt(t *testing.T, written []string, c command.Command) {
	found := false
	for _, line := range written {
		found = found || strings.Trim(line, " \t") == c.Source()
	}
	if !found || !strings.HasPrefix(c.Source(), "/") {
		t.Fatalf("a command that nobody wrote: %q", c.Source())
	}
	if !safeArguments.MatchString(c.Environment()) || c.Verb() != "" && !strings.EqualFold(c.Source()[1:1+len(c.Verb())], c.Verb()) {
		t.Fatalf("%q is taken for %+v", c.Source(), c)
	}
	if p, ok := c.(command.Promote); ok && !(p.Env != "" && safeArguments.MatchString(p.First+p.Second+p.From) && (p.From == "" || p.First == "")) {
		t.Fatalf("unsafe arguments: %+v", p)
	}
}

// nothingWithin wants no command to be read once all of a comment is a quote, a list
// item, code or hidden, whatever it is.
func nothingWithin(t *testing.T, body string) {
	lines := lineEnds.Split(body, -1)
	fence := strings.Repeat("`", 1+strings.Count(body, "`")+2)
	for name, text := range map[string]string{
		"quote": "> " + strings.Join(lines, "\n> "), "list": "- a\n\n  " + strings.Join(lines, "\n  "), "indented code": "    " + strings.Join(lines, "\n    "),
		"fence": fence + "\n" + body + "\n" + fence, "element": "<blockquote>\n\n" + unclosed.ReplaceAllString(body, ""),
	} {
		text = blank.ReplaceAllString(text, "")
		if got := command.Parse(text); len(got) > 0 {
			t.Fatalf("within a %s: %q is read out of %q", name, got, text)
		}
	}
}

// unclosed is what could close an element.
var unclosed = regexp.MustCompile(`[<>]`)
