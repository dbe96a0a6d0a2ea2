package checklist_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/checklist"
)

func TestWhoAskedIsToldWhatTookItsPlace(t *testing.T) {
	for name, c := range map[string]struct {
		r    checklist.Replacement
		want string
	}{
		"somebody asked for another": {
			checklist.Replacement{App: "payments", Env: "prod", Was: "1.7.0", Is: "1.7.1", By: "carol", ByURL: "https://github.example.com/acme/env/issues/9#issuecomment-4", Pull: 12, PullURL: "https://github.example.com/acme/env/pull/12"},
			"`1.7.0` of **payments** does not go to **prod** now: carol asked for `1.7.1` [here](https://github.example.com/acme/env/issues/9#issuecomment-4), which took its place in [pull request 12](https://github.example.com/acme/env/pull/12). If `1.7.0` is meant all the same, ask for it again: `/promote prod payments 1.7.0`.",
		},
		"a newer one came": {
			checklist.Replacement{App: "payments", Env: "dev", Was: "1.7.0", Is: "1.7.1"},
			"`1.7.0` of **payments** does not go to **dev** now: `1.7.1` is newer and took its place. If `1.7.0` is meant all the same, ask for it again: `/promote dev payments 1.7.0`.",
		},
	} {
		if got := checklist.RenderReplacement(c.r); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
}
