package envrepo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// What a yes to a deletion deletes, or one to taking over changes, no revert brings back: where nothing is said of it, it
// is for whom the environment trusts with as much.
func TestToWhomAnEnvironmentKeepsACommand(t *testing.T) {
	sre := envrepo.Permission{Teams: []string{"sre"}}
	maintainers := envrepo.Permission{Role: "maintain"}
	override := &envrepo.Override{Teams: []string{"on-call"}, Users: []string{"erin"}}
	breakers := envrepo.Permission{Teams: []string{"on-call"}, Users: []string{"erin"}}
	for _, tt := range []struct {
		name, verb string
		env        envrepo.Environment
		want       *envrepo.Permission // nil: to nobody in particular
	}{
		{"nothing is said", "prune-ok", envrepo.Environment{}, nil},
		{"as it is said", "prune-ok", envrepo.Environment{Override: override, Commands: envrepo.Commands{"prune-ok": maintainers, "freeze": sre}}, &maintainers},
		{"who breaks the glass", "prune-ok", envrepo.Environment{Override: override, Commands: envrepo.Commands{"freeze": sre}}, &breakers},
		{"or else who freezes", "prune-ok", envrepo.Environment{Commands: envrepo.Commands{"freeze": sre}}, &sre},
		{"a yes to taking over is as one to a deletion", "adopt", envrepo.Environment{Override: override, Commands: envrepo.Commands{"freeze": sre}}, &breakers},
		{"what others may do says nothing", "prune-ok", envrepo.Environment{Commands: envrepo.Commands{"promote": maintainers}}, nil},
		{"another command is no deletion", "unhold", envrepo.Environment{Override: override, Commands: envrepo.Commands{"freeze": sre}}, nil},
	} {
		p, kept := tt.env.Keeps(tt.verb)
		if kept != (tt.want != nil) {
			t.Errorf("%s: kept is %t", tt.name, kept)
		} else if kept && !cmp.Equal(*tt.want, p) {
			t.Errorf("%s: %s", tt.name, cmp.Diff(*tt.want, p))
		}
	}
}
