package envrepo

import "testing"

func TestTheNewestVersionAmongTags(t *testing.T) {
	config := &Config{}
	follow := func(constraint string) Environment { return Environment{Follow: &Follow{Semver: constraint}} }
	for _, c := range []struct {
		story    string
		env      Environment
		tags     []string
		followed string
		version  string
	}{
		{"nothing is there", follow(">=1.0.0"), nil, "", ""},
		{"versions have an order of their own", follow(">=1.0.0"), []string{"1.10.0", "1.9.0", "v1.2.0"}, "1.10.0", "1.10.0"},
		{"a constraint leaves some out", follow("~1.9"), []string{"1.10.0", "1.9.3", "1.9.0"}, "1.9.3", "1.10.0"},
		{"prereleases are taken where they are asked for", follow(">=1.0.0-0"), []string{"1.9.0", "2.0.0-rc.1"}, "2.0.0-rc.1", "1.9.0"},
		{"what is no full version is none", follow(">=1.0.0"), []string{"latest", "1.7", "20260305", "main-3f2a"}, "", ""},
		{"an environment that follows another takes no tag", Environment{Follow: &Follow{Env: "dev"}}, []string{"1.0.0"}, "", "1.0.0"},
		{"nor one that follows nothing", Environment{}, []string{"1.0.0"}, "", "1.0.0"},
	} {
		if got := config.NewestFollowed(c.env, c.tags); got != c.followed {
			t.Errorf("%s: takes %q, want %q", c.story, got, c.followed)
		}
		if got := NewestVersion(c.tags); got != c.version {
			t.Errorf("%s: the newest is %q, want %q", c.story, got, c.version)
		}
	}
}
