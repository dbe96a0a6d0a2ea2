package cluster_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/cluster"
)

// A worker that was taken for dead comes back in the middle of its run, at each of its
// writes, when a newer one has finished. It cannot undo anything: what it saw is not
// there any more, and it is told so before it looks again.
func TestAZombieCannotUndo(t *testing.T) {
	s := newSite(t)
	lost := errors.New("another worker has taken the target over")
	s.mustApply(configMap("a", "mode", "old"), configMap("gone", "mode", "old"))
	for _, stopAt := range []string{"WRITE configmaps 0", "WRITE configmaps 1", "WRITE configmaps 2"} {
		s.mustApply(configMap("a", "mode", "old"), configMap("gone", "mode", "old"))
		p := s.proxied()
		p.door = open(t, p.server.URL, func(c *cluster.Config) { c.InFlight = 1 })
		writes, over := 0, false
		zombie := s.run(configMap("a", "mode", "zombie"), configMap("b", "mode", "zombie"), configMap("gone", "mode", "zombie"))
		zombie.Ledger = s.book.copy() // the true ledger is fenced
		zombie.Go = func(context.Context) error {
			if over {
				return lost
			}
			return nil
		}
		p.spoil = func(_ int, what string) spoiling {
			if what != "WRITE configmaps" {
				return passed
			}
			if !over && strings.HasSuffix(stopAt, string(rune('0'+writes))) {
				// It sleeps just before its write arrives; all of the newer run happens.
				s.mustApply(configMap("a", "mode", "new"), configMap("b", "mode", "new"), configMap("gone", "mode", "new"))
				over = true
			}
			writes++
			return passed
		}
		if _, err := p.door.Apply(t.Context(), zombie); !errors.Is(err, lost) {
			t.Errorf("%s: the zombie came to %v", stopAt, err)
		}
		for _, name := range []string{"a", "b", "gone"} {
			if got := mode(s.get(configMaps, name)); got != "new" {
				t.Errorf("%s: %s is %q after the zombie", stopAt, name, got)
			}
		}
		if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "b", metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
	}
}

// An object that was about to be deleted and comes back unchanged gets another resource
// version, so that the deletion, if it is still under way somewhere, fails.
func TestAnObjectThatComesBackMoves(t *testing.T) {
	s := newSite(t)
	settings := configMap("settings", "mode", "fast")
	s.mustApply(settings)
	e := s.book.entry(t, "ConfigMap", "settings")
	e.State = cluster.Pruning
	s.book.entries[e.ID] = e
	seen := s.get(configMaps, "settings") // by the one who deletes

	run := s.run(settings)
	run.Epoch = 7
	if r, err := s.cluster.Apply(t.Context(), run); err != nil || r.Count(cluster.Configured) != 1 {
		t.Fatalf("%v, %v", outcomes(r), err)
	}
	uid, version := seen.GetUID(), seen.GetResourceVersion()
	err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &uid, ResourceVersion: &version}})
	if err == nil {
		t.Fatal("the deletion went through")
	}
	if got := s.get(configMaps, "settings").GetAnnotations()[cluster.EpochAnnotation]; got != "7" {
		t.Errorf("the epoch is %q", got)
	}
	p := s.proxied()
	if r, err := p.door.Apply(t.Context(), s.run(settings)); err != nil || r.Count(cluster.Unchanged) != 1 || len(p.count()) != 1 {
		t.Errorf("the next run: %v, %v", outcomes(r), err)
	}

	// The same holds when the run that brought it back did not get to its end.
	e = s.book.entry(t, "ConfigMap", "settings")
	e.State, e.Fingerprint = cluster.Intended, ""
	s.book.entries[e.ID] = e
	run = s.run(settings)
	run.Epoch = 8
	if _, err := s.cluster.Apply(t.Context(), run); err != nil {
		t.Fatal(err)
	}
	if got := s.get(configMaps, "settings").GetAnnotations()[cluster.EpochAnnotation]; got != "8" {
		t.Errorf("the epoch is %q", got)
	}
}

// Objects that are in the inventory and not among the objects are told, by the names
// that the ledger has for them.
func TestWhatIsLeft(t *testing.T) {
	s := newSite(t)
	s.mustApply(configMap("a", "k", "v"), configMap("b", "k", "v"))
	r := s.mustApply(configMap("a", "k", "v"))
	if len(r.Left) != 1 || r.Left[0].Name != "b" || r.Left[0].Namespace != s.namespace {
		t.Errorf("left: %+v", r.Left)
	}
	if s.get(configMaps, "b") == nil {
		t.Error("an apply deleted something")
	}
}

// An object that somebody has deleted is made anew by a worker that dies before it can say
// so. It is the target's all the same, and goes when Git has it no more.
func TestWhatADeadWorkerHasMadeAnewIsItsTargets(t *testing.T) {
	a, stays := configMap("a", "mode", "fast"), configMap("stays", "mode", "fast")
	for name, changed := range map[string]func(s *site){
		"deleted":                   func(s *site) { s.remove(configMaps, "a") },
		"deleted, and made by hand": func(s *site) { s.remove(configMaps, "a"); s.applyAs("kubectl", configMaps, decode(s.t, a)[0]) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.mustApply(a, stays)
			changed(s)
			run := s.run(a, stays)
			run.Ledger = dying{s.book}
			if _, err := s.cluster.Apply(t.Context(), run); !errors.Is(err, errDied) {
				t.Fatalf("got %v", err)
			}
			if live := s.get(configMaps, "a"); live == nil || live.GetAnnotations()[cluster.TargetAnnotation] == "" {
				t.Fatalf("it was not made anew: %v", live)
			}
			s.mustPrune(s.cluster, s.book, []string{"ConfigMap a deleted"}, stays)
			if s.get(configMaps, "a") != nil {
				t.Error("it is still there")
			}
		})
	}
}
