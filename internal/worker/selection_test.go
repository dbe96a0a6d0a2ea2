package worker

import (
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

func selection(t *testing.T, entries ...string) Selection {
	t.Helper()
	s, err := ParseSelection(entries)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range s {
		if e.String() != entries[i] {
			t.Errorf("%s is written %s", entries[i], e)
		}
	}
	return s
}

func numbered(n int64, owner, name string, names ...string) store.Repo {
	return store.Repo{ID: n + 1000, GithubID: &n, Owner: owner, Name: name, Names: names}
}

// The first acme/env was renamed, and another repository has its name now.
var (
	renamed = numbered(1, "acme", "gitops", "acme/env", "acme/gitops")
	usurper = numbered(2, "acme", "env")
	foreign = numbered(3, "globex", "env", "globex/env")
)

func TestConfigurationMeansTheFirstOfAName(t *testing.T) {
	for _, c := range []struct {
		entries      []string
		means, named []store.Repo
		others       []store.Repo
	}{
		{entries: []string{"acme/env"}, means: []store.Repo{renamed}, named: []store.Repo{renamed}, others: []store.Repo{usurper, foreign}},
		{entries: []string{"ACME/GitOps"}, means: []store.Repo{renamed}, others: []store.Repo{usurper, foreign}},
		{entries: []string{"acme/env#2"}, means: []store.Repo{usurper}, named: []store.Repo{usurper}, others: []store.Repo{renamed, foreign}},
		{entries: []string{"acme/*"}, means: []store.Repo{renamed, usurper}, others: []store.Repo{foreign}},
		{entries: []string{"acme/*", "globex/env"}, means: []store.Repo{renamed, usurper, foreign}, named: []store.Repo{foreign}},
		{entries: nil, means: []store.Repo{renamed, usurper, foreign}},
	} {
		s := selection(t, c.entries...)
		for _, r := range c.means {
			if !s.Means(r) {
				t.Errorf("%v does not mean %s/%s (%d)", c.entries, r.Owner, r.Name, *r.GithubID)
			}
		}
		for _, r := range c.named {
			if !s.Names(r) {
				t.Errorf("%v does not name %s/%s (%d)", c.entries, r.Owner, r.Name, *r.GithubID)
			}
		}
		for _, r := range c.others {
			if s.Means(r) || s.Names(r) {
				t.Errorf("%v means %s/%s (%d)", c.entries, r.Owner, r.Name, *r.GithubID)
			}
		}
	}
}

func TestWhichRepositoriesMayBeEnvRepos(t *testing.T) {
	s := selection(t, "acme/*", "globex/env", "initech/env#9")
	for _, c := range []struct {
		owner, name string
		number      int64
		may, named  bool
	}{
		{"Acme", "anything", 1, true, false},
		{"globex", "ENV", 1, true, true},
		{"globex", "website", 1, false, false},
		{"initech", "env", 8, false, false},
		{"initech", "renamed", 9, true, true},
	} {
		if may, named := s.May(c.owner, c.name, c.number); may != c.may || named != c.named {
			t.Errorf("%s/%s: may %v, named %v", c.owner, c.name, may, named)
		}
	}
	if may, named := (Selection)(nil).May("anybody", "anything", 1); !may || named {
		t.Error("without a selection, every repository may be one")
	}
}

// Whoever writes a tagboat.yaml can name any cluster in it. None takes from a repository
// that nobody who runs Tagboat has named.
func TestAClusterTakesOnlyFromWhomItWasTold(t *testing.T) {
	w := &Worker{Config: Config{
		EnvRepos:     selection(t, "acme/env", "globex/*"),
		ClusterRepos: map[string]Selection{"eu": selection(t, "globex/env"), "lab": selection(t, "acme/*")},
	}}
	for _, c := range []struct {
		cluster string
		repo    store.Repo
		takes   bool
	}{
		{"prod", renamed, true}, {"prod", usurper, false}, {"prod", foreign, false}, // not bound: from those that are named
		{"eu", foreign, true}, {"eu", renamed, false}, {"eu", usurper, false},
		{"lab", renamed, true}, {"lab", usurper, true}, {"lab", foreign, false},
	} {
		err := w.takesFrom(c.cluster, c.repo)
		if c.takes != (err == nil) || err != nil && (!fault.Is(err, fault.Denied) || !strings.Contains(err.Error(), "--cluster-repo "+c.cluster+"=")) {
			t.Errorf("%s from %s/%s (%d): %v", c.cluster, c.repo.Owner, c.repo.Name, *c.repo.GithubID, err)
		}
	}
	for _, c := range []struct {
		repo  store.Repo
		named bool
	}{{renamed, true}, {foreign, true}, {usurper, false}} {
		if got := w.named(c.repo); got != c.named {
			t.Errorf("%s/%s (%d) is named: %v", c.repo.Owner, c.repo.Name, *c.repo.GithubID, got)
		}
	}
	open := &Worker{}
	if open.takesFrom("prod", renamed) == nil {
		t.Error("where every repository may be an env repo, a cluster takes from any")
	}
}
