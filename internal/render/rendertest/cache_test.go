package rendertest_test

import (
	"path/filepath"
	"slices"
	"testing"

	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/render"
	"github.com/tagboat/tagboat/internal/render/rendertest"
)

// at is a commit of a history.
func at(t testing.TB, h *rendertest.History, commit string) *gitmirror.Tree {
	t.Helper()
	local, err := gitmirror.OpenLocal(h.Dir)
	if err != nil {
		t.Fatal(err)
	}
	tree, err := local.At(commit)
	if err != nil {
		t.Fatal(err)
	}
	return tree
}

// TestTheAffectedSetMissesNothing follows a history: what the cache says that a
// commit can change is what it did change, and what the cache answers is what
// Kustomize renders.
func TestTheAffectedSetMissesNothing(t *testing.T) {
	repo := rendertest.Repo{Apps: 20, Envs: []string{"dev", "prod"}}
	history, err := repo.Git(t.Context(), filepath.Join(t.TempDir(), "env.git"))
	if err != nil {
		t.Fatal(err)
	}
	pool := newPool(t)
	cache := render.NewCache(pool, 64<<20)
	var sources []render.Source
	for _, dir := range repo.Overlays() {
		sources = append(sources, render.Source{Dir: dir})
	}
	before := at(t, history, history.Head)
	for _, s := range sources {
		if _, err := cache.Build(t.Context(), "", before, s); err != nil {
			t.Fatal(err)
		}
	}
	for _, change := range []rendertest.Change{
		rendertest.BumpTag, rendertest.EditBase, rendertest.BumpTag, rendertest.EditReadme, rendertest.EditMonitoring, rendertest.BumpTag, rendertest.EditCommon,
	} {
		commit, err := history.Commit(t.Context(), change)
		if err != nil {
			t.Fatal(err)
		}
		after := at(t, history, commit.ID)
		may := cache.Affected("", before, after, sources)
		var affected []string
		for i, s := range sources {
			if may[i] {
				affected = append(affected, s.Dir)
			}
			kept, err := cache.Build(t.Context(), "", after, s)
			if err != nil {
				t.Fatal(err)
			}
			if built := build(t, pool, after, s); string(kept) != built {
				t.Errorf("%s, %s: the cache says\n%s\nKustomize says\n%s", change, s.Dir, kept, built)
			}
		}
		if !slices.Equal(affected, commit.Affected) {
			t.Errorf("%s: affected %v, want %v", change, affected, commit.Affected)
		}
		before = after
	}
	if s := cache.Stats(); s.Substituted < 3 {
		t.Errorf("%+v: want every bump substituted", s)
	}
}

func build(t testing.TB, pool *render.Pool, tree *gitmirror.Tree, s render.Source) string {
	t.Helper()
	out, err := pool.Build(t.Context(), tree, s)
	if err != nil {
		t.Fatal(err)
	}
	return string(out.Manifests)
}
