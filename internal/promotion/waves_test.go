package promotion

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/mutant"
)

// waves are canary, then eu and us, then ap.
var waves = []Wave{{Clusters: []string{"canary"}, Healthy: 10 * time.Minute}, {Clusters: []string{"eu", "us"}}, {Clusters: []string{"ap"}}}

// fine is a cluster that has been healthy for an hour with what the commit brings.
func fine(cluster string) Stand {
	return Stand{Cluster: cluster, Has: true, Healthy: true, Since: noon.Add(-time.Hour)}
}

func TestWhoseTurnItIs(t *testing.T) {
	const mend = "A commit that mends that goes to wave"
	for _, c := range []struct {
		story   string
		cluster string
		stands  []Stand
		why     string // "": it is its turn
		until   time.Time
	}{
		{"the first wave waits for nobody", "canary", nil, "", time.Time{}},
		{"nor for its own clusters", "canary", []Stand{{Cluster: "canary", Trouble: "CrashLoopBackOff"}}, "", time.Time{}},
		{"the wave before is through", "eu", []Stand{fine("canary")}, "", time.Time{}},
		{"the other cluster of the wave does not matter", "eu", []Stand{fine("canary"), {Cluster: "us", Trouble: "no"}}, "", time.Time{}},
		{"nothing is known", "eu", nil, "eu waits for wave 1: nothing is known of canary yet.", time.Time{}},
		{"the commit is not there yet", "eu", []Stand{{Cluster: "canary", Healthy: true, Since: noon.Add(-time.Hour)}},
			"eu waits for wave 1: canary does not have what is in Git yet.", time.Time{}},
		{"no process brings it there", "eu", []Stand{{Cluster: "canary", Healthy: true, Since: noon.Add(-time.Hour), Unserved: "No Tagboat serves canary."}},
			"eu waits for wave 1: canary does not have what is in Git yet (No Tagboat serves canary).", time.Time{}},
		{"it rolls", "eu", []Stand{{Cluster: "canary", Has: true}}, "eu waits for wave 1: canary is not healthy with it yet.", time.Time{}},
		{"it is ill", "eu", []Stand{{Cluster: "canary", Has: true, Trouble: "Deployment web: CrashLoopBackOff."}},
			"eu waits for wave 1: canary is not healthy (Deployment web: CrashLoopBackOff). " + mend + " 1 first", time.Time{}},
		{"it has been healthy for a moment", "eu", []Stand{{Cluster: "canary", Has: true, Healthy: true, Since: noon.Add(-time.Minute)}},
			"canary has to stay healthy with it for 10m0s, until 2026-03-05 12:09:00 UTC.", noon.Add(9 * time.Minute)},
		{"to the moment", "eu", []Stand{{Cluster: "canary", Has: true, Healthy: true, Since: noon.Add(-10 * time.Minute)}}, "", time.Time{}},
		{"nobody knows for how long", "eu", []Stand{{Cluster: "canary", Has: true, Healthy: true}}, "it is not known since when canary is healthy with it", time.Time{}},
		{"the third wave waits for all of the second", "ap", []Stand{fine("canary"), fine("us"), {Cluster: "eu", Has: true, Trouble: "away"}},
			"ap waits for wave 2: eu is not healthy (away). " + mend + " 2 first", time.Time{}},
		{"and for the first, though the second is through", "ap", []Stand{{Cluster: "canary", Trouble: "away"}, fine("eu"), fine("us")}, "ap waits for wave 1: canary is not healthy (away).", time.Time{}},
		{"two are told at once", "ap", []Stand{fine("canary"), {Cluster: "us"}, {Cluster: "eu", Trouble: "away"}},
			"ap waits for wave 2: eu is not healthy (away); us does not have what is in Git yet.", time.Time{}},
		{"a cluster in no wave comes last", "moon", []Stand{fine("canary"), fine("eu"), fine("us")}, "moon waits for wave 3: nothing is known of ap yet.", time.Time{}},
		{"and has its turn", "moon", []Stand{fine("canary"), fine("eu"), fine("us"), fine("ap")}, "", time.Time{}},
	} {
		turn := TurnOf(waves, c.cluster, c.stands, noon)
		if turn.Waits() != (c.why != "") || !strings.Contains(turn.Why, c.why) || !turn.Until.Equal(c.until) {
			t.Errorf("%s: %+v, want “%s” and %s", c.story, turn, c.why, c.until)
		}
	}
	if turn := TurnOf(nil, "eu", nil, noon); turn.Waits() {
		t.Errorf("without waves, eu waits: %+v", turn)
	}
	if names := Before(waves, "ap"); !slices.Equal(names, []string{"canary", "eu", "us"}) {
		t.Errorf("before ap come %v", names)
	}
}

// Several soaks of one wave end when the last of them does; with anything else
// missing, nobody knows when.
func TestWhenATurnComes(t *testing.T) {
	two := []Wave{{Clusters: []string{"eu", "us"}, Healthy: time.Hour}, {Clusters: []string{"ap"}}}
	soaking := func(cluster string, ago time.Duration) Stand {
		return Stand{Cluster: cluster, Has: true, Healthy: true, Since: noon.Add(-ago)}
	}
	if turn := TurnOf(two, "ap", []Stand{soaking("eu", 50*time.Minute), soaking("us", 20*time.Minute)}, noon); !turn.Until.Equal(noon.Add(40 * time.Minute)) {
		t.Errorf("the later soak ends at %s", turn.Until)
	}
	for _, stands := range [][]Stand{{soaking("eu", 0), {Cluster: "us", Has: true}}, {{Cluster: "eu", Trouble: "away"}, soaking("us", 0)}} {
		if turn := TurnOf(two, "ap", stands, noon); !turn.Waits() || !turn.Until.IsZero() {
			t.Errorf("it ends by itself at %s: %s", turn.Until, turn.Why)
		}
	}
}

// rollout is an environment under way: what each cluster has, since when it is healthy
// with it, and what is in Git.
type rollout struct {
	waves []Wave
	git   map[string]int // cluster -> content of the newest commit
	has   map[string]int
	since map[string]time.Time // zero: not healthy
	ill   map[int]bool         // contents that are healthy nowhere
	now   time.Time
}

func (r *rollout) clusters() (all []string) {
	for _, w := range r.waves {
		all = append(all, w.Clusters...)
	}
	return all
}

func (r *rollout) stands(cluster string) (all []Stand) {
	for _, name := range Before(r.waves, cluster) {
		s := Stand{Cluster: name, Has: r.has[name] == r.git[name], Healthy: !r.since[name].IsZero(), Since: r.since[name]}
		if r.ill[r.has[name]] {
			s.Trouble = "ill" // else it is on its way to being healthy, or has fallen ill just now
		}
		all = append(all, s)
	}
	return all
}

// look is a sync of one cluster: it changes if it is its turn. It answers whether it
// has changed.
func (r *rollout) look(cluster string) bool {
	if r.has[cluster] == r.git[cluster] || TurnOf(r.waves, cluster, r.stands(cluster), r.now).Waits() {
		return false
	}
	r.has[cluster] = r.git[cluster]
	r.since[cluster] = time.Time{}
	if !r.ill[r.git[cluster]] {
		r.since[cluster] = r.now
	}
	return true
}

// commit puts new contents into Git for some of the clusters.
func (r *rollout) commit(content int, clusters []string) {
	for _, c := range clusters {
		r.git[c] = content
	}
}

func drawRollout(t *rapid.T) *rollout {
	r := &rollout{git: map[string]int{}, has: map[string]int{}, since: map[string]time.Time{}, ill: map[int]bool{}, now: noon}
	n := 0
	for i := range rapid.IntRange(1, 4).Draw(t, "waves") {
		w := Wave{Healthy: time.Duration(rapid.IntRange(0, 2).Draw(t, fmt.Sprintf("minutes of wave %d", i+1))) * time.Minute}
		for range rapid.IntRange(1, 3).Draw(t, fmt.Sprintf("clusters of wave %d", i+1)) {
			n++
			w.Clusters = append(w.Clusters, fmt.Sprintf("c%d", n))
		}
		r.waves = append(r.waves, w)
	}
	r.commit(1, r.clusters())
	return r
}

// TestNoLaterWaveMoves plays commits, syncs, and clusters that fall ill and recover, in
// any order. No cluster changes while one of an earlier wave is not healthy, for long
// enough, with what the same commit brings there. And nothing stands still for ever: as
// soon as Git has something that is healthy, all get it, wave after wave.
func TestNoLaterWaveMoves(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRollout(t)
		all := r.clusters()
		some := rapid.SliceOfNDistinct(rapid.SampledFrom(all), 1, len(all), rapid.ID[string])
		for step := range rapid.IntRange(1, 60).Draw(t, "steps") {
			one := rapid.SampledFrom(all).Draw(t, "cluster")
			switch rapid.SampledFrom([]string{"look", "look", "look", "commit", "bad commit", "fall ill", "recover", "time passes"}).Draw(t, "event") {
			case "look":
				before := *r
				before.has, before.since = maps.Clone(r.has), maps.Clone(r.since)
				if r.look(one) {
					mayMove(t, &before, one)
				}
			case "commit":
				r.commit(100+step, some.Draw(t, "changes"))
			case "bad commit":
				r.ill[100+step] = true
				r.commit(100+step, some.Draw(t, "changes"))
			case "fall ill":
				r.since[one] = time.Time{}
			case "recover":
				if r.has[one] > 0 && !r.ill[r.has[one]] && r.since[one].IsZero() {
					r.since[one] = r.now
				}
			case "time passes":
				r.now = r.now.Add(time.Duration(rapid.IntRange(1, 90).Draw(t, "seconds")) * time.Second)
			}
		}
		r.commit(1000, all)
		arrive(t, r)
	})
}

// mayMove says once more, in other words, when a cluster may change.
func mayMove(t *rapid.T, r *rollout, cluster string) {
	for i, w := range r.waves {
		if slices.Contains(w.Clusters, cluster) {
			return
		}
		for _, earlier := range w.Clusters {
			if r.has[earlier] != r.git[earlier] || r.since[earlier].IsZero() || r.now.Sub(r.since[earlier]) < w.Healthy {
				t.Fatalf("%s changes to %d, but %s of wave %d has %d of %d, healthy since %s at %s",
					cluster, r.git[cluster], earlier, i+1, r.has[earlier], r.git[earlier], r.since[earlier], r.now)
			}
		}
	}
}

// arrive wants everybody to get what is in Git, as soon as the soaks let them.
func arrive(t *rapid.T, r *rollout) {
	for range r.waves {
		for _, c := range r.clusters() {
			r.look(c)
		}
		r.now = r.now.Add(2 * time.Minute)
	}
	for _, c := range r.clusters() {
		if r.has[c] != r.git[c] {
			t.Fatalf("%s still has %d: %s", c, r.has[c], TurnOf(r.waves, c, r.stands(c), r.now).Why)
		}
	}
}

// While later waves wait, a merged promotion is told as failed as soon as one whose turn
// it was has failed, and as soaking while nothing is waited for but time.
func TestAMergeThatGoesInWaves(t *testing.T) {
	// told is what GitHub was told of eu, and of the commit.
	told := func(eu Outcome, status CommitStatus) Reported {
		return Reported{BranchDeleted: true, Deployments: map[string]Outcome{"eu": eu, "us": Pending, "ap": Pending}, CommitStatus: status}
	}
	has := Target{Cluster: "eu", Digest: digest("a"), Settled: true, Healthy: true}
	ill := Target{Cluster: "eu", Digest: digest("a"), Settled: true}
	rolls := Target{Cluster: "eu", Digest: digest("a")}
	held := Target{Cluster: "us", Digest: digest("0"), Settled: true, Healthy: true, Held: true}
	soak := Target{Cluster: "us", Digest: digest("0"), Settled: true, Healthy: true, Held: true, Until: noon.Add(time.Hour)}
	for _, c := range []struct {
		story    string
		reported Reported
		targets  []Target
		effect   Effect
		outcome  Outcome
	}{
		{"the first wave rolls", told("", ""), []Target{rolls, held}, Rest, Pending},
		{"the first wave is ill", told("", ""), []Target{ill, held}, UpdateDeployment, Failure},
		{"its deployment says so", told(Failure, ""), []Target{ill, held}, SetCommitStatus, Failure},
		{"the commit says so", told(Failure, StatusFailure), []Target{ill, held}, PublishComment, Failure},
		{"what waits may be ill with what it has", told(Failure, ""), []Target{ill, {Cluster: "us", Digest: digest("0"), Settled: true, Held: true}}, SetCommitStatus, Failure},
		{"what is ill with what it has has not failed with this", told(Success, ""), []Target{has, {Cluster: "us", Digest: digest("0"), Settled: true, Held: true}}, Rest, Pending},
		{"one of the first wave is ill, another still rolls", told(Failure, ""), []Target{ill, {Cluster: "ap", Digest: digest("a")}, held}, Rest, Pending},
		{"the second wave is ill, the third waits", told(Success, ""), []Target{has, {Cluster: "ap", Digest: digest("a"), Settled: true}, held}, UpdateDeployment, Failure},
		{"the first wave is healthy: its deployment says so", told("", ""), []Target{has, held}, UpdateDeployment, Pending},
		{"the second is about to see that", told(Success, ""), []Target{has, held}, Rest, Pending},
		{"the first wave has to stay healthy for a while: the commit is pending", told(Success, ""), []Target{has, soak}, SetCommitStatus, Pending},
		{"people are told", told(Success, StatusPending), []Target{has, soak}, PublishComment, Pending},
		{"but not while anything else is under way", told(Success, ""), []Target{has, {Cluster: "ap", Digest: digest("a")}, soak}, Rest, Pending},
		{"nor while another waits for something else", told(Success, ""), []Target{has, {Cluster: "ap", Digest: digest("0"), Settled: true, Healthy: true, Held: true}, soak}, Rest, Pending},
		{"nor while one has something else", told(Success, ""), []Target{has, {Cluster: "ap", Digest: digest("0"), Settled: true, Healthy: true}, soak}, Rest, Pending},
		{"who waits with the artifact waits for something else", told(Success, ""), []Target{has, {Cluster: "us", Digest: digest("a"), Settled: true, Healthy: true, Held: true}}, UpdateDeployment, Success},
	} {
		f := merged()
		f.Reported, f.Targets = c.reported, c.targets
		for cluster := range c.reported.Deployments { // of those that this is about
			if !slices.ContainsFunc(c.targets, func(t Target) bool { return t.Cluster == cluster }) {
				delete(c.reported.Deployments, cluster)
			}
		}
		if d := Decide(f, same, noon); d.Effect != c.effect || d.Outcome != c.outcome {
			t.Errorf("%s: %q, outcome %q; want %q, %q", c.story, d.Effect, d.Outcome, c.effect, c.outcome)
		}
	}
}

// TestEveryGuardOfWavesIsNeeded takes the guards away, one at a time: each time the
// property finds the cluster that changes too soon.
func TestEveryGuardOfWavesIsNeeded(t *testing.T) {
	const file = "waves.go"
	mutant.Caught(t, []mutant.Guard{
		{Name: "there are waves before it", File: file, Old: "return waves[:i]", New: "return waves[:0]"},
		{Name: "all of them", File: file, Old: "return waves[:i]", New: "return waves[max(0, i-1):i]"},
		{Name: "what is lacking is waited for", File: file, Old: "if len(lacks) == 0 {", New: "if true {"},
		{Name: "it has what the commit brings", File: file, Old: "case !s.Has:", New: "case false:"},
		{Name: "it is healthy", File: file, Old: "case !s.Healthy:", New: "case false:"},
		{Name: "it is not ill", File: file, Old: "case s.Trouble != \"\":", New: "case s.Trouble != \"\":\n\t\treturn lack{}\n\tcase false:"},
		{Name: "for long enough", File: file, Old: "case now.Before(ends):", New: "case false:"},
	}, "^TestNoLaterWaveMoves$")
}
