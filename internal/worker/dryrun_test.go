package worker

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// Who reaches none of an environment's clusters cannot ask them; who reaches one of
// them waits for the others, too.
func TestWhichEnvironmentsAreTried(t *testing.T) {
	w := &Worker{Config: Config{EnvRepos: Selection{{Owner: "acme", Name: "env"}}, Clusters: map[string]*cluster.Cluster{"eu": {}}}}
	for _, c := range []struct {
		mode    string
		reached []string // of eu and moon
		want    promotion.Trying
	}{
		{"", []string{"eu", "moon"}, promotion.TryEnforce},
		{"", []string{"eu"}, promotion.TryEnforce},
		{"", nil, promotion.TryNothing},
		{envrepo.DryRunEnforce, nil, promotion.TryEnforce},
		{envrepo.DryRunWarn, nil, promotion.TryWarn},
		{envrepo.DryRunOff, []string{"eu"}, promotion.TryNothing},
	} {
		l := &look{w: w, env: envrepo.Environment{DryRun: c.mode, Clusters: []string{"eu", "moon"}}, reached: c.reached}
		if got := l.trying(); got != c.want {
			t.Errorf("dryRun: %q, and %v are reached, is %q, want %q", c.mode, c.reached, got, c.want)
		}
	}
	if _, err := w.dryRun(t.Context(), &look{}, "moon", nil, nil); err == nil || !strings.Contains(err.Error(), "No Tagboat reaches") {
		t.Errorf("a cluster that nobody knows: %v", err)
	}
	overlay, err := w.dryRun(t.Context(), &look{repo: store.Repo{Names: []string{"acme/env"}}}, "eu", []byte("kind: Nothing\n"), nil)
	if err != nil || overlay.Count(cluster.Refused) != 1 {
		t.Errorf("objects that cannot be read: %+v, %v", overlay, err)
	}
}

func TestAnAnswerInSentences(t *testing.T) {
	object := func(name string, o cluster.Outcome, why, who string) cluster.Tried {
		return cluster.Tried{Object: name, Outcome: o, Why: why, Who: who}
	}
	at := time.Date(2026, 3, 5, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		story, outcome, message string
		trial                   cluster.Trial
		answer                  promotion.Answer
		reason, owner           string
		told                    int
	}{
		{"it takes all of it", store.DryRunAccepted, "", cluster.Trial{Tried: []cluster.Tried{
			object("A a", cluster.Created, "", ""), object("A b", cluster.Configured, "", ""), object("A c", cluster.Unchanged, "", ""), object("A d", cluster.Unchanged, "", ""),
			object("A e", cluster.Untried, "it needs what comes with it", ""),
		}, Left: []string{"A f"}}, promotion.Accepted,
			"Cluster eu takes it: 1 created, 1 changed, 2 unchanged, 1 that could not be tried before what comes with them is there. 1 that are rendered no more are deleted then, unless a guard keeps them.", "", 1},
		{"it refuses some", store.DryRunRefused, "", cluster.Trial{Tried: []cluster.Tried{
			object("A a", cluster.Created, "", ""), object("A z", cluster.Unclear, "not served", "an administrator"),
			object("A b", cluster.Refused, "no.", "the team"), object("A c", cluster.Refused, "no", "the team"), object("A d", cluster.Refused, "no", "the team"), object("A e", cluster.Refused, "no", "the team"),
		}}, promotion.Declined, "Cluster eu refuses A b: no. Cluster eu refuses A c: no. Cluster eu refuses A d: no. And 1 more.", "the team", 5},
		{"it does not know a kind", store.DryRunUnclear, "", cluster.Trial{Tried: []cluster.Tried{
			object("A a", cluster.Created, "", ""), object("A z", cluster.Unclear, "not served", ""),
		}}, promotion.Unclear, "Cluster eu cannot say yet what it would do with A z: not served.", "whoever runs cluster eu", 1},
		{"it is away", store.DryRunUnclear, "Cluster eu cannot be reached. It is tried again by itself.", cluster.Trial{}, promotion.Unclear,
			"Cluster eu cannot be reached. It is tried again by itself.", "whoever runs Tagboat, or cluster eu", 0},
		{"it was never told to Tagboat", store.DryRunUnclear, "Tagboat was not told", cluster.Trial{}, promotion.Unclear,
			"Tagboat was not told. Tagboat asks again by itself.", "whoever runs Tagboat, or cluster eu", 0},
		{"an outcome that a newer version wrote", "maybe", "", cluster.Trial{}, promotion.NotAsked, "", "whoever runs cluster eu", 0},
	} {
		objects, err := json.Marshal(c.trial)
		if err != nil {
			t.Fatal(err)
		}
		trial, shown, err := told(store.DryRun{Cluster: "eu", Outcome: c.outcome, Message: c.message, Objects: objects, TriedAt: at, Since: at})
		if err != nil {
			t.Fatal(err)
		}
		want := promotion.Trial{Cluster: "eu", Answer: c.answer, At: at, Since: at, Reason: c.reason, Owner: c.owner}
		if diff := cmp.Diff(want, trial); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.story, diff)
		}
		if len(shown.Told) != c.told || shown.Counts[checklist.TriedRefused] != c.trial.Count(cluster.Refused) || shown.Message != c.message {
			t.Errorf("%s: people are shown %+v", c.story, shown)
		}
	}
	if _, _, err := told(store.DryRun{Cluster: "eu", Outcome: store.DryRunAccepted, Objects: []byte("not JSON")}); err == nil {
		t.Error("an answer that cannot be read is taken for one")
	}
}
