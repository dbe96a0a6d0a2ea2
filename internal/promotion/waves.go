package promotion

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Wave is a group of an environment's clusters that change together.
type Wave struct {
	Clusters []string
	Healthy  time.Duration // contiguous, before the next wave starts
}

// Stand is how a cluster stands to what one commit renders to for it.
type Stand struct {
	Cluster string
	Has     bool      // it was brought exactly that, by this commit or by one before it
	Healthy bool      // and is healthy with it
	Since   time.Time // without a break, with exactly that
	Trouble string    // why it is not healthy, or cannot be brought there; "" while nobody knows of any
	// Unserved is what people should know where no process brings anything there; else "".
	Unserved string
}

// Turn says whether a cluster may change to what a commit renders to for it. The zero
// value is yes.
type Turn struct {
	Wave  int       // the first wave that it has to wait for, from 1; 0: it is its turn
	Why   string    // for people
	Until time.Time // when its turn comes if nothing happens; zero: something has to
}

// Waits reports whether the cluster stays on what it has.
func (t Turn) Waits() bool { return t.Wave > 0 }

// Before lists the clusters of the waves before that of a cluster. One that is in none
// comes after all of them: nobody has said that it may come sooner.
func Before(waves []Wave, cluster string) (names []string) {
	for _, w := range before(waves, cluster) {
		names = append(names, w.Clusters...)
	}
	return names
}

func before(waves []Wave, cluster string) []Wave {
	if i := slices.IndexFunc(waves, func(w Wave) bool { return slices.Contains(w.Clusters, cluster) }); i >= 0 {
		return waves[:i]
	}
	return waves
}

// TurnOf decides whether it is a cluster's turn to change: when every cluster of every
// wave before its own is healthy with the same, for as long as its wave asks. “The same”
// is what the very commit renders to for that cluster, image and configuration alike. So
// a commit that changes nothing there keeps nobody waiting, and one that mends an ill
// wave goes there first, whatever the later ones have.
//
// It is asked about changes alone: a cluster that has the commit's content already is
// kept that way, whatever became of the others.
func TurnOf(waves []Wave, cluster string, stands []Stand, now time.Time) Turn {
	for i, w := range before(waves, cluster) {
		lacks := w.lacks(stands, now)
		if len(lacks) == 0 {
			continue
		}
		t := Turn{Wave: i + 1, Until: lacks[0].until}
		var reasons []string
		ill := false
		for _, l := range lacks {
			reasons = append(reasons, l.reason)
			ill = ill || l.ill
			switch {
			case l.until.IsZero() || t.Until.IsZero():
				t.Until = time.Time{}
			case l.until.After(t.Until):
				t.Until = l.until
			}
		}
		t.Why = fmt.Sprintf("%s waits for wave %d: %s.", cluster, t.Wave, strings.Join(reasons, "; "))
		if ill {
			t.Why += fmt.Sprintf(" A commit that mends that goes to wave %d first; whoever maintains tagboat.yaml can take a cluster out of its wave.", t.Wave)
		}
		return t
	}
	return Turn{}
}

// lack is what one cluster lacks for its wave to be through.
type lack struct {
	reason string
	ill    bool      // somebody has to do something
	until  time.Time // when it ends by itself; zero: not by itself
}

func (w Wave) lacks(stands []Stand, now time.Time) (lacks []lack) {
	for _, name := range w.Clusters {
		i := slices.IndexFunc(stands, func(s Stand) bool { return s.Cluster == name })
		if i < 0 {
			lacks = append(lacks, lack{reason: "nothing is known of " + name + " yet"})
			continue
		}
		if l := stands[i].lacks(w.Healthy, now); l.reason != "" {
			lacks = append(lacks, l)
		}
	}
	return lacks
}

func (s Stand) lacks(soak time.Duration, now time.Time) lack {
	ends := s.Since.Add(soak)
	switch {
	case s.Trouble != "":
		return lack{reason: fmt.Sprintf("%s is not healthy (%s)", s.Cluster, strings.TrimSuffix(s.Trouble, ".")), ill: true}
	case !s.Has && s.Unserved != "":
		return lack{reason: fmt.Sprintf("%s does not have what is in Git yet (%s)", s.Cluster, strings.TrimSuffix(s.Unserved, "."))}
	case !s.Has:
		return lack{reason: s.Cluster + " does not have what is in Git yet"}
	case !s.Healthy:
		return lack{reason: s.Cluster + " is not healthy with it yet"}
	case soak == 0:
		return lack{}
	case s.Since.IsZero():
		return lack{reason: fmt.Sprintf("it is not known since when %s is healthy with it", s.Cluster)}
	case now.Before(ends):
		return lack{reason: fmt.Sprintf("%s has to stay healthy with it for %s, until %s", s.Cluster, soak, ends.UTC().Format(clock)), until: ends}
	}
	return lack{}
}
