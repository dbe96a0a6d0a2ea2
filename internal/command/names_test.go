package command_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/command"
)

func TestWordsAreNamesWhereSuchNamesExist(t *testing.T) {
	names := command.Names{{Env: "dev", Apps: []string{"catalog", "payments"}}, {Env: "prod", Apps: []string{"catalog", "payments"}}, {Env: "edge", Apps: []string{"payments"}}, {Env: "empty"}}
	on := command.Pair{Env: "dev", App: "payments"}
	tests := []struct {
		line             string
		here             command.Pair
		env, app, reason string
		wrong            string
	}{
		{line: "/hold", here: on, env: "dev", app: "payments"},
		{line: "/hold the migration", here: on, env: "dev", app: "payments", reason: "the migration"},
		{line: "/hold prod is down", here: on, env: "dev", app: "payments", reason: "prod is down"},
		{line: "/hold prod", here: on, env: "prod", app: "payments"},
		{line: "/hold prod catalog", here: on, env: "prod", app: "catalog"},
		{line: "/hold prod catalog it is  slow", here: on, env: "prod", app: "catalog", reason: "it is slow"},
		{line: "/hold empty handed", here: on, env: "dev", app: "payments", reason: "empty handed"},
		{line: "/hold empty", here: on, env: "dev", app: "payments", reason: "empty"},

		{line: "/hold prod payments", env: "prod", app: "payments"},
		{line: "/hold prod payments payments is down", env: "prod", app: "payments", reason: "payments is down"},
		{line: "/hold edge", env: "edge", app: "payments"},
		{line: "/hold edge it is slow", env: "edge", app: "payments", reason: "it is slow"},
		{line: "/hold", wrong: "Which app, in which environment? Write /hold <env> <app>, or comment on a pull request of Tagboat's; environments are: dev, prod, edge, empty."},
		{line: "/hold prd payments", wrong: `"prd" is no environment. Did you mean prod? Write /hold <env> <app>, or comment on a pull request of Tagboat's; environments are: dev, prod, edge, empty.`},
		{line: "/hold prod", wrong: "Which app? Write /hold prod <app>; the apps of prod are: catalog, payments."},
		{line: "/hold prod pyments it is slow", wrong: `"pyments" is no app of prod. Did you mean payments? Write /hold prod <app>; the apps of prod are: catalog, payments.`},
		{line: "/hold empty payments", wrong: "No app has an overlay for empty."},

		{line: "/unhold", here: on, env: "dev", app: "payments"},
		{line: "/unhold prod", here: on, env: "prod", app: "payments"},
		{line: "/unhold prod catalog", here: on, env: "prod", app: "catalog"},
		{line: "/unhold prod ctalog", here: on, wrong: `"ctalog" is no app of prod. Did you mean catalog? Write /unhold prod <app>; the apps of prod are: catalog, payments.`},
		{line: "/unhold please", here: on, wrong: `"please" is no environment. Write /unhold <env> <app>, or comment on a pull request of Tagboat's; environments are: dev, prod, edge, empty.`},
		{line: "/unhold edge catalog", wrong: `"catalog" names nothing that is held.`},
	}
	for _, tt := range tests {
		meant, wrong := command.Parse(tt.line)[0].(command.Worded).Resolve(tt.here, names)
		if wrong != tt.wrong {
			t.Errorf("%s: %s, want %s", tt.line, wrong, tt.wrong)
			continue
		}
		if wrong != "" {
			continue
		}
		got := [3]string{meant.Environment()}
		switch c := meant.(type) {
		case command.Hold:
			got[1], got[2] = c.App, c.Reason
		case command.Unhold:
			got[1] = c.App
		}
		if diff := cmp.Diff([3]string{tt.env, tt.app, tt.reason}, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.line, diff)
		}
	}
}
