package command_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/command"
)

func TestACommandIsALineOfPlainText(t *testing.T) {
	prod := command.Promote{Line: "/promote prod", Env: "prod"}
	help := command.Help{Line: "/help"}
	tests := []struct {
		name, body string
		want       []command.Command
	}{
		{"alone", "/promote prod", []command.Command{prod}},
		{"with talk around it", "Looks good!\r\n/promote prod\r\nThanks.\r\n", []command.Command{prod}},
		{"in any case", "/PROMOTE prod", []command.Command{command.Promote{Line: "/PROMOTE prod", Env: "prod"}}},
		{"indented a little", "   /promote prod   ", []command.Command{prod}},
		{"two", "/help\n\n/promote prod\n", []command.Command{help, prod}},
		{"with arguments", "/promote prod payments 1.7.0", []command.Command{command.Promote{Line: "/promote prod payments 1.7.0", Env: "prod", First: "payments", Second: "1.7.0"}}},
		{"underscores are no emphasis", "/promote prod my_app 1_0_0", []command.Command{command.Promote{Line: "/promote prod my_app 1_0_0", Env: "prod", First: "my_app", Second: "1_0_0"}}},
		{"a set", "/promote prod --from staging", []command.Command{command.Promote{Line: "/promote prod --from staging", Env: "prod", From: "staging"}}},
		{"a set, from a phone", "/promote prod \u2014from staging-eu", []command.Command{command.Promote{Line: "/promote prod \u2014from staging-eu", Env: "prod", From: "staging-eu"}}},
		{"explain", "/explain", []command.Command{command.Explain{Line: "/explain"}}},
		{"override", "/override checks the runners  are down", []command.Command{command.Override{Line: "/override checks the runners  are down", Gate: "checks", Reason: "the runners are down"}}},
		{"explain an app", "/explain prod payments", []command.Command{command.Explain{Line: "/explain prod payments", Env: "prod", App: "payments"}}},
		{"after a closed element", "<details>\n\nx\n\n</details>\n\n/promote prod", []command.Command{prod}},
		{"after a comment", "<!-- <div> -->\n\n/promote prod", []command.Command{prod}},

		{"mid-line", "please /promote prod", nil},
		{"quote", "> /promote prod", nil},
		{"lazy quote", "> On Monday Alice wrote:\n/promote prod", nil},
		{"fence", "```\n/promote prod\n```", nil},
		{"fence that is never closed", "~~~\n/promote prod", nil},
		{"indented code", "    /promote prod", nil},
		{"code span", "`/promote prod`", nil},
		{"code span over lines", "a `b\n/promote prod\n` c", nil},
		{"heading", "# /promote prod", nil},
		{"underlined heading", "/promote prod\n---", nil},
		{"list", "- /promote prod", nil},
		{"numbered list", "1. /promote prod", nil},
		{"link", "[\n/promote prod\n](https://example.com)", nil},
		{"emphasis", "**a\n/promote prod** x", nil},
		{"bold", "**/promote prod**", nil},
		{"table", "| /promote prod |\n| --- |\n| /promote prod |", nil},
		{"HTML block", "<div>\n/promote prod\n</div>", nil},
		{"HTML comment", "<!--\n\n/promote prod\n\n-->", nil},
		{"inline HTML", "<b>\n/promote prod\n</b>", nil},
		{"inside an element", "<details><summary>log</summary>\n\n/promote prod\n\n</details>", nil},
		{"inside a quote element", "<blockquote class=\"a>b\">\n\n/promote prod\n\n</blockquote>", nil},
		{"escaped", `\/promote prod`, nil},
		{"entity", "&#47;promote prod", nil},
		{"a path", "/etc/passwd", nil},
		{"another bot's", "/approve\n/lgtm\n/deploy prod", nil},
		{"rollback", "/rollback prod", []command.Command{command.Rollback{Line: "/rollback prod", Env: "prod", Words: []string{}}}},
		{"rollback with a reason", "/rollback prod payments 1.7.0 returns errors", []command.Command{command.Rollback{
			Line: "/rollback prod payments 1.7.0 returns errors", Env: "prod", Words: []string{"payments", "1.7.0", "returns", "errors"}}}},
		{"allow", "/allow prod 1.7.0", []command.Command{command.Allow{Line: "/allow prod 1.7.0", Env: "prod", First: "1.7.0"}}},
		{"allow of an app", "/allow prod payments 1.7.0", []command.Command{command.Allow{Line: "/allow prod payments 1.7.0", Env: "prod", First: "payments", Second: "1.7.0"}}},
		{"prune-ok", "/prune-ok prod 3f9a2c", []command.Command{command.PruneOK{Line: "/prune-ok prod 3f9a2c", Env: "prod", First: "3f9a2c"}}},
		{"adopt", "/adopt prod 3f9a2c", []command.Command{command.Adopt{Line: "/adopt prod 3f9a2c", Env: "prod", First: "3f9a2c"}}},
		{"adopt of an app", "/adopt prod payments 3f9a2c", []command.Command{command.Adopt{Line: "/adopt prod payments 3f9a2c", Env: "prod", First: "payments", Second: "3f9a2c"}}},
		{"prune-ok of an app", "/prune-ok prod payments 3f9a2c", []command.Command{command.PruneOK{Line: "/prune-ok prod payments 3f9a2c", Env: "prod", First: "payments", Second: "3f9a2c"}}},
		{"hold with a reason", "/hold the *migration* is `not` done", nil},
		{"hold", "/hold the migration is not done", []command.Command{command.Hold{Line: "/hold the migration is not done", Words: []string{"the", "migration", "is", "not", "done"}}}},
		{"hold without a reason", "/hold", []command.Command{command.Hold{Line: "/hold", Words: []string{}}}},
		{"freeze", "/freeze prod", []command.Command{command.Freeze{Line: "/freeze prod", Env: "prod"}}},
		{"freeze with a reason", "/freeze prod nobody is here", []command.Command{command.Freeze{Line: "/freeze prod nobody is here", Env: "prod", Reason: "nobody is here"}}},
		{"freeze for a time", "/freeze prod 4h nobody is here", []command.Command{command.Freeze{Line: "/freeze prod 4h nobody is here", Env: "prod", Reason: "nobody is here", Until: command.Until{For: 4 * time.Hour}}}},
		{"freeze until a day", "/freeze all 2026-12-27", []command.Command{command.Freeze{Line: "/freeze all 2026-12-27", Env: "all", Until: command.Until{At: time.Date(2026, 12, 27, 0, 0, 0, 0, time.UTC)}}}},
		{"freeze until an instant", "/freeze org 2026-12-27T08:00Z", []command.Command{command.Freeze{Line: "/freeze org 2026-12-27T08:00Z", Env: "org", Until: command.Until{At: time.Date(2026, 12, 27, 8, 0, 0, 0, time.UTC)}}}},
		{"thaw", "/thaw prod", []command.Command{command.Thaw{Line: "/thaw prod", Env: "prod"}}},
		{"unhold", "/unhold", []command.Command{command.Unhold{Line: "/unhold", Words: []string{}}}},
		{"unhold an app", "/unhold prod payments", []command.Command{command.Unhold{Line: "/unhold prod payments", Words: []string{"prod", "payments"}}}},
		{"retry", "/retry", []command.Command{command.Retry{Line: "/retry"}}},
		{"status of an environment", "/status prod", []command.Command{command.Status{Line: "/status prod", Env: "prod"}}},
		{"diff", "/diff prod payments", []command.Command{command.Diff{Line: "/diff prod payments", Env: "prod", App: "payments"}}},
		{"tabs", "\t/promote\tprod", nil},
		{"tabs between words", "/promote\tprod", []command.Command{command.Promote{Line: "/promote\tprod", Env: "prod"}}},
		{"empty", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, command.Parse(tt.body)); diff != "" {
				t.Errorf("%q (-want +got):\n%s", tt.body, diff)
			}
		})
	}
}

func TestMistakesAreAnswered(t *testing.T) {
	usage, fromUsage := "/promote <env> [app] [tag]", "/promote <env> --from <env>"
	tests := []struct {
		line string
		want command.Command
	}{
		{"/promte prod", command.Unknown{Word: "promte", DidYouMean: "promote"}},
		{"/promoet prod", command.Unknown{Word: "promoet", DidYouMean: "promote"}},
		{"/promotes prod", command.Unknown{Word: "promotes", DidYouMean: "promote"}},
		{"/Helo", command.Unknown{Word: "Helo", DidYouMean: "help"}},
		{"/promote", command.Malformed{Usage: usage, Reason: "the environment is missing"}},
		{"/promote Prod", command.Malformed{Usage: usage, Reason: `the first argument is not the name of an environment; names are lower case: "prod"`}},
		{"/promote $(id)", command.Malformed{Usage: usage, Reason: "the first argument is not the name of an environment"}},
		{"/promote prod ../x", command.Malformed{Usage: usage, Reason: "the second argument is neither the name of an app nor a tag"}},
		{"/promote prod 1.7.0 payments!", command.Malformed{Usage: usage, Reason: "the third argument is not a tag"}},
		{"/promote prod Payments 1.7.0", command.Malformed{Usage: usage, Reason: `the second argument is not the name of an app; names are lower case: "payments"`}},
		{"/promote prod Payments! 1.7.0", command.Malformed{Usage: usage, Reason: "the second argument is not the name of an app"}},
		{"/promote prod a b c", command.Malformed{Usage: usage, Reason: "there are 4 arguments, at most 3 are understood"}},
		{"/promote --from staging", command.Malformed{Usage: fromUsage, Reason: "the environment is missing that --from goes to"}},
		{"/promote prod --from", command.Malformed{Usage: fromUsage, Reason: "the environment is missing after --from"}},
		{"/promote prod --from --from", command.Malformed{Usage: fromUsage, Reason: "the environment is missing after --from"}},
		{"/promote prod payments --from staging", command.Malformed{Usage: fromUsage, Reason: "--from stands for every app that is healthy there; name no app and no tag with it"}},
		{"/promote prod --from staging payments", command.Malformed{Usage: fromUsage, Reason: "--from stands for every app that is healthy there; name no app and no tag with it"}},
		{"/promote $(id) --from staging", command.Malformed{Usage: fromUsage, Reason: "the first argument is not the name of an environment"}},
		{"/promote prod --from Staging", command.Malformed{Usage: fromUsage, Reason: `the word after --from is not the name of an environment; names are lower case: "staging"`}},
		{"/promote prod --from ../x", command.Malformed{Usage: fromUsage, Reason: "the word after --from is not the name of an environment"}},
		{"/promote prod --from prod", command.Malformed{Usage: fromUsage, Reason: "both environments are the same"}},
		{"/promote prod --from=staging", command.Malformed{Usage: usage, Reason: "the second argument is neither the name of an app nor a tag"}},
		{"/retry prod --from staging", command.Malformed{Usage: "/retry [env] [app]", Reason: "there are 3 arguments, at most 2 are understood"}},
		{"/rollback", command.Malformed{Usage: "/rollback <env> [app] [reason]", Reason: "the environment is missing"}},
		{"/rollback Prod", command.Malformed{Usage: "/rollback <env> [app] [reason]", Reason: `the first argument is not the name of an environment; names are lower case: "prod"`}},
		{"/prune-ok prod", command.Malformed{Usage: "/prune-ok <env> [app] <code>", Reason: "the code is missing"}},
		{"/prune-ok prod payments a/b", command.Malformed{Usage: "/prune-ok <env> [app] <code>", Reason: "the third argument is not a code"}},
		{"/adopt prod", command.Malformed{Usage: "/adopt <env> [app] <code>", Reason: "the code is missing"}},
		{"/pruneok prod payments 3f", command.Unknown{Word: "pruneok", DidYouMean: "prune-ok"}},
		{"/allow prod", command.Malformed{Usage: "/allow <env> [app] <tag>", Reason: "the tag is missing"}},
		{"/allow prod a b c", command.Malformed{Usage: "/allow <env> [app] <tag>", Reason: "there are 4 arguments, at most 3 are understood"}},
		{"/freeze", command.Malformed{Usage: "/freeze <env> [until] [reason]", Reason: "the environment is missing"}},
		{"/freeze @carol", command.Malformed{Usage: "/freeze <env> [until] [reason]", Reason: "the first argument is not the name of an environment"}},
		{"/hold " + strings.Repeat("x", 501), command.Malformed{Usage: "/hold [env] [app] [reason]", Reason: "the reason is longer than 500 characters"}},
		{"/thaw prod now", command.Malformed{Usage: "/thaw <env>", Reason: "there are 2 arguments, at most 1 are understood"}},
		{"/explain prod v1+2", command.Malformed{Usage: "/explain [env] [app]", Reason: "the second argument is not the name of an app"}},
		{"/explain prod payments 1.7.0", command.Malformed{Usage: "/explain [env] [app]", Reason: "there are 3 arguments, at most 2 are understood"}},
		{"/override", command.Malformed{Usage: "/override <gate> <reason>", Reason: "the gate is missing"}},
		{"/override checks", command.Malformed{Usage: "/override <gate> <reason>", Reason: "the reason is missing"}},
		{"/override Checks now", command.Malformed{Usage: "/override <gate> <reason>", Reason: `the first argument is not the name of a gate; names are lower case: "checks"`}},
		{"/promote prod a\u00a0b", command.Malformed{Usage: usage, Reason: "the second argument is neither the name of an app nor a tag"}},
		{"/unhold prod payments now", command.Malformed{Usage: "/unhold [env] [app]", Reason: "there are 3 arguments, at most 2 are understood"}},
		{"/status prod 1+2", command.Malformed{Usage: "/status [env] [app]", Reason: "the second argument is not the name of an app"}},
		{"/retyr", command.Unknown{Word: "retyr", DidYouMean: "retry"}},
		{"/unholds", command.Unknown{Word: "unholds", DidYouMean: "unhold"}},
		{"/help me", command.Malformed{Usage: "/help", Reason: "/help takes no arguments"}},
	}
	for _, tt := range tests {
		got := command.Parse(tt.line)
		switch w := tt.want.(type) {
		case command.Unknown:
			w.Line = tt.line
			tt.want = w
		case command.Malformed:
			w.Line = tt.line
			tt.want = w
		}
		if diff := cmp.Diff([]command.Command{tt.want}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}

func TestWhatWasMeantIsOneSlipAway(t *testing.T) {
	names := []string{"dev", "staging", "prod"}
	for word, want := range map[string]string{"prd": "prod", "pord": "prod", "prods": "prod", "brod": "prod", "stagin": "staging", "production": "", "qa": "", "": ""} {
		if got := command.Meant(word, names); got != want {
			t.Errorf("%q means %q, want %q", word, got, want)
		}
	}
}

func TestAfterFiveCommandsTheRestIsNotReadAndThatIsSaid(t *testing.T) {
	got := command.Parse(strings.Repeat("/help\n", 9))
	if len(got) != command.MaxPerComment+1 {
		t.Fatalf("%d commands", len(got))
	}
	last, ok := got[command.MaxPerComment].(command.Malformed)
	if !ok || !strings.Contains(last.Reason, "at most 5 commands") {
		t.Errorf("the sixth: %+v", got[command.MaxPerComment])
	}
}

func TestASingleArgumentIsAnAppOrATag(t *testing.T) {
	apps := []string{"payments", "1.0"}
	tests := []struct{ line, app, tag string }{
		{"/promote prod", "", ""},
		{"/promote prod payments", "payments", ""},
		{"/promote prod 1.7.0", "", "1.7.0"},
		{"/promote prod 1.0", "1.0", ""},
		{"/promote prod V1.7.0", "", "V1.7.0"},
		{"/promote prod payments 1.7.0", "payments", "1.7.0"},
		{"/promote prod other 1.7.0", "other", "1.7.0"},
	}
	for _, tt := range tests {
		app, tag := command.Parse(tt.line)[0].(command.Promote).Resolve(apps)
		if app != tt.app || tag != tt.tag {
			t.Errorf("%s: app %q, tag %q", tt.line, app, tag)
		}
	}
}

func TestTheFirstWordOfARollbackMayBeAnApp(t *testing.T) {
	for line, want := range map[string][2]string{
		"/rollback prod":                       {"", ""},
		"/rollback prod payments":              {"payments", ""},
		"/rollback prod payments it is broken": {"payments", "it is broken"},
		"/rollback prod it is broken":          {"", "it is broken"},
		"/rollback prod nobody knows payments": {"", "nobody knows payments"},
	} {
		app, reason := command.Parse(line)[0].(command.Rollback).Resolve([]string{"payments", "shop"})
		if got := [2]string{app, reason}; got != want {
			t.Errorf("%s: app %q for the reason %q", line, app, reason)
		}
	}
}
