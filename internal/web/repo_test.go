package web_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

// What is stopped is on the board of every env repo that it concerns: an environment's
// freeze in one, an organisation's in all of its own.
func TestBoardShowsStops(t *testing.T) {
	w := newWorld(t)
	env := w.repo("env")
	w.repo("other")
	globex, err := w.store.SeeRepo(w.ctx, store.SeenRepo{GitHubID: 5, Owner: "globex", Name: "env", Installation: 2, DefaultBranch: "main"}, wake)
	w.must(err)
	bob := store.Actor{ID: 2, Login: "bob"}
	until := w.now.Add(time.Hour)
	for _, n := range []store.NewStop{
		{Scope: store.Scope{Owner: "acme"}, By: bob, Reason: "incident", Until: &until},
		{Scope: store.Scope{Owner: "acme", Repo: env, Env: "prod"}, By: bob, Reason: "holidays"},
		{Scope: store.Scope{Owner: "acme", Repo: env, Env: "prod", App: "payments"}, By: bob, Reason: "a hold is shown where the app is"},
		{Scope: store.Scope{Owner: "globex", Repo: globex.ID}, By: bob},
	} {
		w.must(w.store.Stop(w.ctx, n, wake))
	}
	var got struct {
		Repos []struct {
			Name  string
			Stops []struct{ What, Lift, Reason string }
		}
	}
	read := func() map[string][]string {
		w.must(json.Unmarshal([]byte(w.page("/api/board")), &got))
		stops := map[string][]string{}
		for _, r := range got.Repos {
			stops[r.Name] = []string{}
			for _, s := range r.Stops {
				stops[r.Name] = append(stops[r.Name], s.What+": "+s.Lift)
			}
		}
		return stops
	}
	want := map[string][]string{
		"acme/env":   {"every env repo of acme: /thaw org", "all of prod: /thaw prod"},
		"acme/other": {"every env repo of acme: /thaw org"},
		"globex/env": {"every environment: /thaw all"},
	}
	if diff := cmp.Diff(want, read()); diff != "" {
		t.Error(diff)
	}
	parse(t, w.page("/")).reads(t, "bob stopped every env repo of acme", "bob stopped all of prod", "holidays", "/thaw prod lifts it", "incident")
	w.pass(2 * time.Hour)
	if stops := read(); len(stops["acme/other"]) != 0 {
		t.Errorf("what is over is still shown: %v", stops)
	}
}

// Where nothing moves, the board says since when, why, and who can change that.
func TestBoardSaysWhereNothingMoves(t *testing.T) {
	w := newWorld(t)
	w.story()
	for presence, words := range map[string]string{
		store.PresenceSuspended: "The GitHub App is suspended for acme/env.",
		store.PresenceRemoved:   "The GitHub App is not installed on acme/env.",
		store.PresenceArchived:  "acme/env is archived",
	} {
		w.must(w.store.RepoAway(w.ctx, w.repo("env"), presence, "", wake))
		w.pass(3 * time.Minute)
		parse(t, w.page("/")).reads(t, "Nothing moves here for 3 min. "+words, "payments")
	}
	repo := w.repo("env")
	w.must(w.store.SetConfigError(w.ctx, repo, "tagboat.yaml:3: no environments"))
	w.pass(2 * time.Minute)
	parse(t, w.page("/")).reads(t, "nothing merges until it is mended.", "Broken for 2 min", "tagboat.yaml:3: no environments")
}
