package worker

import (
	"slices"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/envrepo"
)

// What tagboat.yaml can keep to some people is what the table of verbs says.
func TestTheSameCommandsCanBeNarrowed(t *testing.T) {
	if !slices.Equal(envrepo.Narrowed, command.Narrowed()) {
		t.Errorf("tagboat.yaml takes %v, and %v can be narrowed", envrepo.Narrowed, command.Narrowed())
	}
	for _, role := range envrepo.CommandRoles {
		if command.RoleOf(role) < command.Write {
			t.Errorf("role %q would let nobody through whom the table does not", role)
		}
	}
}

func TestAnswersFitIntoOneComment(t *testing.T) {
	long := strings.Repeat("x", 40_000)
	for _, tt := range []struct {
		name    string
		replies []string
		want    string
	}{
		{"none", []string{"", ""}, ""},
		{"two", []string{"a", "", "b"}, "a\n\nb"},
		{"too long with the others", []string{"a", long, long, "b"}, "a\n\n" + long + "\n\n_What else was asked for is too long to be answered here. Ask for it in a comment of its own._"},
	} {
		if got := together(tt.replies); got != tt.want || len(got) > checklist.MaxReply {
			t.Errorf("%s: %d bytes, want %d", tt.name, len(got), len(tt.want))
		}
	}
}

// A word that stands for all environments asks for what each of them asks for, unless
// an environment is called so.
func TestWhichRulesHold(t *testing.T) {
	freeze, _ := command.VerbOf("freeze")
	sre := envrepo.Commands{"freeze": {Teams: []string{"sre"}}, "promote": {Role: "admin"}}
	config := &envrepo.Config{Environments: []envrepo.Environment{{Name: "dev"}, {Name: "staging", Commands: sre}, {Name: "prod", Commands: sre}}}
	named := &envrepo.Config{Environments: append(config.Environments, envrepo.Environment{Name: "all"})}
	for _, tt := range []struct {
		config *envrepo.Config
		env    string
		want   []string
	}{
		{config, "dev", nil}, {config, "prod", []string{"prod"}}, {config, "all", []string{"staging", "prod"}}, {config, "org", []string{"staging", "prod"}}, {named, "all", nil}, {config, "", nil}, {config, "qa", nil},
	} {
		var got []string
		for _, r := range rulesOf(tt.config, freeze, tt.env) {
			got = append(got, r.Env)
			if r.Role != command.NoRole || !slices.Equal(r.Teams, []string{"sre"}) {
				t.Errorf("%s: %+v", tt.env, r)
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q: %v, want %v", tt.env, got, tt.want)
		}
	}
}
