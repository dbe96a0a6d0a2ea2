package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// unwriter is whoever looks for what was only intended: a cluster, or one behind a relay.
type unwriter interface {
	ForgetUnwritten(ctx context.Context, t cluster.Target, l cluster.Ledger, inventory []cluster.Entry, objects []cluster.Object) ([]cluster.Entry, error)
}

func (s *site) forgetUnwritten(c unwriter, keep ...string) ([]cluster.Entry, error) {
	s.t.Helper()
	objects := decode(s.t, keep...)
	for _, o := range objects {
		o.SetNamespace(s.namespace)
	}
	return c.ForgetUnwritten(s.t.Context(), s.target(), s.book, s.book.inventory(), objects)
}

func statefulSet(name string) string {
	return strings.Replace(deployment(name, payments+":1.6.0"), "kind: Deployment", "kind: StatefulSet", 1)
}

// supersededAfter brings objects, and is told after some writes that a newer commit has come.
func (s *site) supersededAfter(writes int, yaml ...string) {
	s.t.Helper()
	one := open(s.t, s.proxied().server.URL, func(c *cluster.Config) { c.InFlight = 1 })
	newer, asked := errors.New("a newer commit has come"), 0
	run := s.run(yaml...)
	run.Go = func(context.Context) error {
		if asked++; asked > writes {
			return newer
		}
		return nil
	}
	if _, err := one.Apply(s.t.Context(), run); !errors.Is(err, newer) {
		s.t.Fatalf("the attempt was not ended by the newer commit: %v", err)
	}
}

// A commit with a database and many settings is superseded before much of it is written,
// and the next one has none of it. Nobody is asked about what never was.
func TestWhatWasOnlyIntendedNeedsNoYes(t *testing.T) {
	s := newSite(t)
	stays := configMap("stays", "a", "b")
	s.mustApply(stays)
	wanted := []string{stays, statefulSet("database")}
	for i := range 10 {
		wanted = append(wanted, configMap(fmt.Sprint("many-", i), "a", "b"))
	}
	s.supersededAfter(2, wanted...)
	s.mustApply(stays) // the newer commit
	if len(s.book.inventory()) != 12 || s.book.entry(t, "StatefulSet", "database").State != cluster.Intended {
		t.Fatalf("the story begins with a database that was only intended: %v", s.book.lines())
	}

	left, err := s.forgetUnwritten(s.cluster, stays)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(left, s.book.inventory()) || len(left) != 3 {
		t.Errorf("the inventory is %v, and told as %v", s.book.lines(), left)
	}
	for _, e := range left {
		if e.State != cluster.Written || s.get(configMaps, e.Name) == nil {
			t.Errorf("%s is %s, and is not in the cluster", e.ID, e.State)
		}
	}
	if surplus := cluster.Prunable(left, rendered(left[2]), nil); len(surplus.Remove) != 2 || len(surplus.NeedsYes) > 0 {
		t.Errorf("of what was written would go %v, with a yes for %v: %v", namesOf(surplus.Remove), namesOf(surplus.NeedsYes), surplus.Why)
	}
}

// What of it is there is surplus like anything else: the answer to the write may have
// been lost, and what holds data still needs a yes.
func TestWhatWasIntendedAndIsThereStaysInTheInventory(t *testing.T) {
	s := newSite(t)
	stays := configMap("stays", "a", "b")
	s.mustApply(stays, statefulSet("database"), configMap("hidden", "a", "b"))
	for _, e := range s.book.inventory() {
		if e.Name != "stays" {
			e.State, e.UID = cluster.Intended, ""
			s.book.entries[e.ID] = e
		}
	}
	never := entry("", "ConfigMap", s.namespace, "never")
	never.State, never.UID = cluster.Intended, ""
	s.book.entries[never.ID] = never
	// What has lost its label is in no list, and there all the same.
	s.patchAs("somebody", configMaps, "hidden", `{"metadata":{"labels":{"tagboat.dev/target":null}}}`)

	left, err := s.forgetUnwritten(s.cluster, stays)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"ConfigMap hidden intended", "ConfigMap stays written", "StatefulSet database intended"}
	if diff := cmp.Diff(want, s.book.lines()); diff != "" || len(left) != len(want) {
		t.Errorf("the inventory (-want +got):\n%s%v", diff, left)
	}
	if needs := namesOf(cluster.Prunable(left, decode(t, stays), nil).NeedsYes); !slices.Equal(needs, []string{"database"}) {
		t.Errorf("a yes is needed for %v", needs)
	}
}

// What is in Git is about to be written, and what is not only intended is another matter.
func TestOnlyWhatIsNotInGitAndOnlyIntendedIsLookedFor(t *testing.T) {
	s := newSite(t)
	for name, state := range map[string]cluster.EntryState{
		"in-git": cluster.Intended, "written": cluster.Written, "kept": cluster.Kept, "pruning": cluster.Pruning,
	} {
		e := entry("", "ConfigMap", s.namespace, name)
		e.State = state
		s.book.entries[e.ID] = e
	}
	before := s.book.lines()
	r := s.relay()
	left, err := s.forgetUnwritten(r, configMap("in-git", "a", "b"))
	if err != nil || len(left) != 4 || len(r.asked()) > 0 {
		t.Errorf("%v: %v; it asked %v", err, left, r.asked())
	}
	if diff := cmp.Diff(before, s.book.lines()); diff != "" {
		t.Errorf("the inventory (-want +got):\n%s", diff)
	}
}

// A look that fails says nothing about what is there.
func TestWhatCannotBeLookedForIsNotForgotten(t *testing.T) {
	s := newSite(t)
	for _, kind := range []string{"ConfigMap", "Secret"} {
		e := entry("", kind, s.namespace, "never")
		e.State, e.UID = cluster.Intended, ""
		s.book.entries[e.ID] = e
	}
	before := s.book.lines()
	r := s.relay()
	for name, unwell := range map[string]deed{
		"it is unwell":       ailing,
		"it answers nothing": refuse,
		"somebody on the way answers": func(w http.ResponseWriter, _ *http.Request, _ func(http.ResponseWriter, *http.Request)) {
			http.NotFound(w, nil)
		},
	} {
		r.from(func(_ int, req *http.Request) deed {
			if strings.HasSuffix(req.URL.Path, "/secrets") || strings.HasSuffix(req.URL.Path, "/secrets/never") {
				return unwell
			}
			return nil
		})
		if left, err := s.forgetUnwritten(r, configMap("other", "a", "b")); !fault.Is(err, fault.Transient) || left != nil {
			t.Errorf("%s: %v, %v", name, left, err)
		}
		if diff := cmp.Diff(before, s.book.lines()); diff != "" {
			t.Errorf("%s: the inventory (-want +got):\n%s", name, diff)
		}
	}
	r.from(nil)
	if left, err := s.forgetUnwritten(r, configMap("other", "a", "b")); err != nil || len(left)+len(s.book.inventory()) > 0 {
		t.Errorf("well again: %v, %v", s.book.lines(), err)
	}
}

// Whoever has lost the target strikes nothing out.
func TestWhoHasLostTheTargetForgetsNothing(t *testing.T) {
	s := newSite(t)
	never := entry("", "ConfigMap", s.namespace, "never")
	never.State, never.UID = cluster.Intended, ""
	s.book.entries[never.ID] = never
	s.book.refuse = errors.New("another worker has the target")
	if left, err := s.forgetUnwritten(s.cluster, configMap("other", "a", "b")); !errors.Is(err, s.book.refuse) || left != nil {
		t.Errorf("%v, %v", left, err)
	}
}
