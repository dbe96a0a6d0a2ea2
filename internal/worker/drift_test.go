package worker

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/store"
)

// What the board says of a drift says of each object what is the matter with it.
func TestTheWordsForADrift(t *testing.T) {
	field := cluster.FieldChange{Path: "data.a", Want: "1", Is: "2", Manager: "kubectl-edit"}
	for name, c := range map[string]struct {
		found  cluster.Drifted
		fought bool
		want   string
	}{
		"it is gone":         {cluster.Drifted{Objects: []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Missing, Why: "somebody has deleted it"}}}, false, "changed past Git: ConfigMap shop/a is missing (somebody has deleted it)."},
		"it cannot be said":  {cluster.Drifted{Objects: []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Unsure, Why: "the cluster would not take it."}}}, false, "changed past Git: ConfigMap shop/a: the cluster would not take it."},
		"one field":          {cluster.Drifted{Objects: []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Changed, Changes: []cluster.FieldChange{field}}}}, false, "changed past Git: ConfigMap shop/a: " + field.String() + "."},
		"two, and an object": {cluster.Drifted{Objects: []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Changed, Changes: []cluster.FieldChange{field}, More: 1}}, More: 3}, false, "(and 1 more field); and 1 more object."},
		"it came again":      {cluster.Drifted{Objects: []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Changed, Changes: []cluster.FieldChange{field}}}}, true, "leaves it for now: something else wants it otherwise. Find out what, or take the field out of Git."},
	} {
		if got := driftNote(c.found, c.fought); !strings.HasSuffix(got, c.want) {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// Who waits for another environment reads how its clusters are, also where nothing is known
// of them yet.
func TestTheWordsForAnotherEnvironment(t *testing.T) {
	up := upstreamFacts("staging", []store.Target{{Cluster: "a", State: store.TargetUnknown}, {Cluster: "b", State: store.TargetFailed, Message: "Its pods do not start."}}, time.Now())
	if want := "nothing is known of a yet; b has failed (Its pods do not start)"; up.Reason != want {
		t.Errorf("it waits because %q, not %q", up.Reason, want)
	}
}

// Who is told of a drift in an environment that takes drift back is not told to have it
// taken back, but why it was not.
func TestWhyADriftIsStillThere(t *testing.T) {
	for name, c := range map[string]struct {
		seen seenDrift
		want string
	}{
		"it came again":              {seenDrift{Fought: true}, "and it came again"},
		"it could not be taken back": {seenDrift{Kept: "Cluster eu refuses it."}, "could not take it back: Cluster eu refuses it."},
	} {
		c.seen.Objects = []cluster.DriftedObject{{Object: "ConfigMap shop/a", State: cluster.Missing, Why: "somebody has deleted it"}}
		found, err := json.Marshal(c.seen)
		must(t, err)
		text, err := driftText(store.Drift{Found: found}, store.Target{App: "shop", Env: "prod", Cluster: "eu"})
		must(t, err)
		if !strings.Contains(text, c.want) || !strings.Contains(text, "**ConfigMap shop/a** is missing: somebody has deleted it") || strings.Contains(text, "drift: heal") {
			t.Errorf("%s: %s", name, text)
		}
	}
}
