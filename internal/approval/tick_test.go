package approval_test

import (
	"testing"

	"github.com/tagboat/tagboat/internal/approval"
)

func TestWhoseTickCounts(t *testing.T) {
	named := approval.Tickers{Teams: []string{"platform", "oncall"}, Users: []string{"Erin"}}
	for _, tt := range []struct {
		story  string
		rule   approval.Tickers
		person approval.Person
		want   string
	}{
		{"a writer", approval.Tickers{}, approval.Person{Known: true, Write: true}, ""},
		{"a reader", approval.Tickers{}, approval.Person{Known: true}, "they may not write to the env repo"},
		{"a member", named, approval.Person{Known: true, Teams: []string{"oncall"}}, ""},
		{"a member of another team", named, approval.Person{Known: true, Write: true, Teams: []string{"web"}}, "only team platform, team oncall, Erin may"},
		{"a named person", named, approval.Person{Known: true, Login: "erin"}, ""},
		{"a bot", named, approval.Person{Known: true, Bot: true, Login: "erin"}, "they are a bot"},
		{"nobody knows", approval.Tickers{}, approval.Person{Write: true}, "GitHub could not be asked who they are"},
	} {
		if got := tt.rule.Refuses(tt.person); got != tt.want {
			t.Errorf("%s: %q, want %q", tt.story, got, tt.want)
		}
	}
}
