package command_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/command"
)

// Whoever reads what waits for a command reads who may say it.
func TestWhoMaySayIt(t *testing.T) {
	verb, _ := command.VerbOf("prune-ok")
	if got, want := verb.Speakers("acme/env"), "people with write permission on acme/env"; got != want {
		t.Errorf("without rules: %s, not %s", got, want)
	}
	want := "people with write permission on acme/env, and of them only team sre and alice"
	if got := verb.Speakers("acme/env", command.Rule{Env: "prod", Teams: []string{"sre"}, Users: []string{"alice"}}); got != want {
		t.Errorf("with a rule: %s, not %s", got, want)
	}
}

func TestWhoMayUseAVerb(t *testing.T) {
	writer := command.Person{Login: "bob", Role: command.Write}
	maintainer := command.Person{Login: "carol", Role: command.Maintain}
	reader := command.Person{Login: "erin", Role: command.Read, Teams: []string{"sre"}}
	onCall := command.Person{Login: "dave", Role: command.Write, Teams: []string{"sre"}}
	lead := command.Rule{Env: "prod", Role: command.Maintain}
	sre := command.Rule{Env: "prod", Teams: []string{"sre"}, Users: []string{"Alice"}}
	either := command.Rule{Env: "prod", Role: command.Maintain, Teams: []string{"sre"}, Users: []string{"alice"}}
	loose := command.Rule{Env: "dev", Role: command.Read}
	tests := []struct {
		name, verb string
		person     command.Person
		rules      []command.Rule
		want       string
	}{
		{"by the table", "promote", writer, nil, ""},
		{"too little for the table", "promote", reader, nil, "Only people with write permission on acme/env can use /promote; erin has “read”. Ask one of them."},
		{"enough to ask", "status", reader, nil, ""},
		{"no role", "status", command.Person{Login: "oscar"}, nil, "Only people with read permission on acme/env can use /status; oscar has “none”. Ask one of them."},
		{"a higher role", "promote", maintainer, []command.Rule{lead}, ""},
		{"not that role", "promote", writer, []command.Rule{lead}, "In prod only people with maintain permission can use /promote, says tagboat.yaml; bob cannot. Ask one of them."},
		{"a team", "freeze", onCall, []command.Rule{sre}, ""},
		{"by name, in any case", "freeze", command.Person{Login: "alice", Role: command.Write}, []command.Rule{sre}, ""},
		{"not in the team, whatever the role", "freeze", command.Person{Login: "root", Role: command.Admin}, []command.Rule{sre}, "In prod only team sre and Alice can use /freeze, says tagboat.yaml; root cannot. Ask one of them."},
		{"one of them is enough", "freeze", maintainer, []command.Rule{either}, ""},
		{"none of them", "freeze", writer, []command.Rule{either}, "In prod only people with maintain permission, team sre and alice can use /freeze, says tagboat.yaml; bob cannot. Ask one of them."},
		{"a rule loosens nothing", "promote", reader, []command.Rule{loose}, "Only people with write permission on acme/env can use /promote; erin has “read”. Ask one of them."},
		{"nor does a team", "freeze", reader, []command.Rule{sre}, "Only people with write permission on acme/env can use /freeze; erin has “read”. Ask one of them."},
		{"several environments", "freeze", onCall, []command.Rule{sre, lead}, "In prod only people with maintain permission can use /freeze, says tagboat.yaml; dave cannot. Ask one of them."},
		{"a rule that names nobody", "thaw", maintainer, []command.Rule{{Env: "prod"}}, "In prod only nobody can use /thaw, says tagboat.yaml; carol cannot. Ask one of them."},
	}
	for _, tt := range tests {
		v, known := command.VerbOf(tt.verb)
		if !known {
			t.Fatalf("there is no %s", tt.verb)
		}
		if got := v.Refuse(tt.person, "acme/env", tt.rules...); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestWhoIsAnOutsider(t *testing.T) {
	for _, tt := range []struct {
		role   string
		public bool
		want   bool
	}{
		{"none", true, true}, {"none", false, true}, {"read", true, true}, {"read", false, false}, {"triage", true, false}, {"admin", true, false}, {"invented", false, true},
	} {
		if got := command.Outsider(command.RoleOf(tt.role), tt.public); got != tt.want {
			t.Errorf("%s, public %v: %v", tt.role, tt.public, got)
		}
	}
}
