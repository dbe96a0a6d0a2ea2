package envrepo_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/envrepo"
)

// What a rollback is judged by, beside what it skips by rule.
func TestTheFastLane(t *testing.T) {
	two := envrepo.Approvals{{Count: 2, Teams: []string{"platform"}}}
	one := envrepo.Approvals{{Count: 1, Teams: []string{"sre"}}}
	type judged struct {
		Approvals envrepo.Approvals
		Checks    []string
		Merge     string
	}
	lint := []string{"lint"}
	for name, tt := range map[string]struct {
		merge string // of the environment
		says  *envrepo.Rollback
		way   envrepo.WayBack
		want  judged
	}{
		"one step back":                   {"auto", nil, envrepo.WayBack{}, judged{nil, lint, "auto"}},
		"further back":                    {"auto", nil, envrepo.WayBack{Further: true}, judged{two, lint, "auto"}},
		"people merge":                    {"manual", nil, envrepo.WayBack{}, judged{nil, lint, "manual"}},
		"people merge, but no rollbacks":  {"manual", &envrepo.Rollback{Merge: "auto"}, envrepo.WayBack{}, judged{nil, lint, "auto"}},
		"a rule of its own":               {"auto", &envrepo.Rollback{Approvals: one}, envrepo.WayBack{}, judged{one, lint, "auto"}},
		"a rule of its own, further back": {"auto", &envrepo.Rollback{Approvals: one}, envrepo.WayBack{Further: true}, judged{one, lint, "auto"}},
		"its own rule asks nobody":        {"auto", &envrepo.Rollback{Approvals: envrepo.Approvals{{}}}, envrepo.WayBack{Further: true}, judged{envrepo.Approvals{{}}, lint, "auto"}},
		"without checks":                  {"auto", &envrepo.Rollback{Checks: "skip"}, envrepo.WayBack{}, judged{nil, nil, "auto"}},
		"by itself, proposed":             {"auto", &envrepo.Rollback{Automatic: "propose", Merge: "auto"}, envrepo.WayBack{Automatic: true}, judged{nil, lint, "manual"}},
		"by itself, merged":               {"auto", &envrepo.Rollback{Automatic: "merge"}, envrepo.WayBack{Automatic: true}, judged{nil, lint, "auto"}},
		"by a person, where some propose": {"auto", &envrepo.Rollback{Automatic: "propose"}, envrepo.WayBack{}, judged{nil, lint, "auto"}},
		"automatic no longer allowed":     {"auto", nil, envrepo.WayBack{Automatic: true}, judged{nil, lint, "manual"}},
	} {
		t.Run(name, func(t *testing.T) {
			env := envrepo.Environment{Name: "prod", Merge: tt.merge, Approvals: two, Checks: lint, Rollback: tt.says}
			got := env.ForRollback(tt.way)
			if diff := cmp.Diff(tt.want, judged{got.Approvals, got.Checks, got.Merge}); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff(two, env.Approvals); diff != "" {
				t.Errorf("the environment itself was changed: %s", diff)
			}
		})
	}
}
