package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tagboat/tagboat/internal/cluster"
	"github.com/tagboat/tagboat/internal/fault"
)

// What an apply costs: one LIST for each kind, and two requests for each object that
// is not as it should be.
func TestRequestsOfAnApply(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	var set []string
	for i := range 25 {
		set = append(set, configMap(fmt.Sprintf("settings-%d", i), "mode", "fast"))
		set = append(set, fmt.Sprintf("apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: robot-%d}\n", i))
	}
	lists := map[string]int{"LIST configmaps": 1, "LIST serviceaccounts": 1}
	expectRequests := func(more map[string]int) {
		t.Helper()
		want := maps.Clone(lists)
		maps.Copy(want, more)
		if diff := cmp.Diff(want, p.count()); diff != "" {
			t.Errorf("requests (-want +got):\n%s", diff)
		}
	}
	apply := func() cluster.Result {
		t.Helper()
		r, err := p.door.Apply(t.Context(), s.run(set...))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}

	if r := apply(); r.Count(cluster.Created) != 50 {
		t.Errorf("the first apply: %v", outcomes(r))
	}
	expectRequests(map[string]int{"DRYRUN configmaps": 25, "DRYRUN serviceaccounts": 25, "WRITE configmaps": 25, "WRITE serviceaccounts": 25})
	if s.book.keeps != 2 {
		t.Errorf("%d transactions of the ledger, want one before the writes and one after", s.book.keeps)
	}

	if r := apply(); r.Count(cluster.Unchanged) != 50 || len(r.Objects()) != 50 || r.Objects()[0].GetUID() == "" {
		t.Errorf("the same again: %v", outcomes(r))
	}
	expectRequests(nil)
	if s.book.keeps != 2 {
		t.Error("the ledger was written although nothing was")
	}

	set[0] = configMap("settings-0", "mode", "slow")
	if r := apply(); r.Count(cluster.Configured) != 1 || r.Count(cluster.Unchanged) != 49 {
		t.Errorf("one changed: %v", outcomes(r))
	}
	expectRequests(map[string]int{"DRYRUN configmaps": 1, "WRITE configmaps": 1})

	// Somebody deletes one: it is healed at the same price.
	if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), "settings-3", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	if r := apply(); r.Count(cluster.Created) != 1 {
		t.Errorf("one deleted: %v", outcomes(r))
	}
	expectRequests(map[string]int{"DRYRUN configmaps": 1, "WRITE configmaps": 1})
}

// Whatever becomes of any one request, trying again comes to the same end: the cluster
// and the ledger agree, and what is somebody else's is as it was.
func TestAnyOneRequestMayGoWrong(t *testing.T) {
	s := newSite(t)
	theirs := decode(t, configMap("theirs", "mode", "slow"))[0]
	s.applyAs("somebody", configMaps, theirs)
	before := s.get(configMaps, "theirs")

	for _, how := range []spoiling{busy, unwell, dropped, lost} {
		for n := 0; ; n++ {
			label := fmt.Sprintf("%s at request %d", how, n)
			s.book = newBook()
			old := []string{configMap("a", "mode", "old"), configMap("b", "mode", "old"), configMap("c", "mode", "old")}
			s.mustApply(old...)
			p := s.proxied()
			reached := false
			p.spoil = func(i int, _ string) spoiling {
				if i == n {
					reached = true
					return how
				}
				return passed
			}
			p.door = open(t, p.server.URL, func(c *cluster.Config) { c.InFlight = 1 }) // so that n is the same each time
			now := []string{configMap("a", "mode", "new"), configMap("b", "mode", "old"), configMap("d", "mode", "new")}
			var err error
			for range 3 {
				if _, err = p.door.Apply(t.Context(), s.run(now...)); err == nil {
					break
				}
				if !fault.KindOf(err).Retryable() {
					t.Fatalf("%s: it is said that no retry helps: %v", label, err)
				}
			}
			if err != nil {
				t.Fatalf("%s: never succeeded: %v", label, err)
			}
			for name, mode := range map[string]string{"a": "new", "b": "old", "d": "new"} {
				live := s.get(configMaps, name)
				if live == nil || live.Object["data"].(map[string]any)["mode"] != mode {
					t.Errorf("%s: %s is %v", label, name, live)
				}
				if e := s.book.entry(t, "ConfigMap", name); e.State != cluster.Written || live != nil && e.UID != string(live.GetUID()) {
					t.Errorf("%s: the ledger says %+v", label, e)
				}
			}
			p.count()
			if _, err := p.door.Apply(t.Context(), s.run(now...)); err != nil || len(p.count()) != 1 {
				t.Errorf("%s: what the ledger says is not what the cluster has (%v)", label, err)
			}
			for _, name := range []string{"a", "b", "c", "d"} {
				if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			}
			if !reached {
				break
			}
		}
	}
	if after := s.get(configMaps, "theirs"); !cmp.Equal(before.Object, after.Object) {
		t.Errorf("somebody else's object changed:\n%s", cmp.Diff(before.Object, after.Object))
	}
}

// A cluster that stays busy is asked for less, and still gets everything.
func TestABusyClusterIsNotPressed(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	p.spoil = func(n int, _ string) spoiling {
		if n%3 == 1 {
			return busy
		}
		return passed
	}
	var set []string
	for i := range 20 {
		set = append(set, configMap(fmt.Sprintf("settings-%d", i), "mode", "fast"))
	}
	r, err := p.door.Apply(t.Context(), s.run(set...))
	if err != nil || r.Count(cluster.Created) != 20 {
		t.Errorf("%v: %v", err, outcomes(r))
	}
}

// Every other request of each sort fails, and not those of all sorts at the same time: what
// is asked for again is what failed, and it comes to its end in one run.
func TestEveryOtherRequestGoesWrong(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	var mu sync.Mutex
	asked, failed := map[string]int{}, map[string]int{}
	p.spoil = func(_ int, what string) spoiling {
		mu.Lock()
		defer mu.Unlock()
		if asked[what]++; asked[what]%2 == 0 {
			return passed
		}
		failed[what]++
		if strings.HasSuffix(what, "serviceaccounts") || strings.HasSuffix(what, "configmaps") == (failed[what]%2 == 0) {
			return unwell
		}
		return busy
	}
	account := func(name string) string {
		return "apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: " + name + "}\n"
	}
	stays := []string{deployment("web", payments+":1.6.0"), configMap("settings", "mode", "fast"), account("robot")}
	trial, err := p.door.DryRun(t.Context(), s.run(stays...), decode(t, account("goes")))
	if err != nil || trial.Count(cluster.Created) != 3 {
		t.Fatalf("a dry run: %v, %v", came(trial), err)
	}
	if _, err := p.door.Apply(t.Context(), s.run(append(stays, configMap("goes", "a", "b"), account("goes"))...)); err != nil {
		t.Fatal(err)
	}
	stays[1] = configMap("settings", "mode", "slow")
	if r, err := p.door.Apply(t.Context(), s.run(stays...)); err != nil || r.Count(cluster.Configured) != 1 || r.Count(cluster.Unchanged) != 2 {
		t.Fatalf("the next commit: %v, %v", outcomes(r), err)
	}
	s.mustPrune(p.door, s.book, []string{"ConfigMap goes deleted", "ServiceAccount goes deleted"}, stays...)
}

// Whoever is told to stop between two objects stops there, and the next run goes on.
func TestARunIsStoppedAtASafePoint(t *testing.T) {
	s := newSite(t)
	set := []string{configMap("a", "k", "v"), configMap("b", "k", "v"), configMap("c", "k", "v")}
	superseded := errors.New("a newer commit is there")
	for _, after := range []int{0, 1, 2} {
		s.book = newBook()
		p := s.proxied()
		p.door = open(t, p.server.URL, func(c *cluster.Config) { c.InFlight = 1 })
		asked := 0
		run := s.run(set...)
		run.Go = func(context.Context) error {
			if asked++; asked > after {
				return superseded
			}
			return nil
		}
		r, err := p.door.Apply(t.Context(), run)
		if !errors.Is(err, superseded) {
			t.Fatalf("stopped after %d: %v", after, err)
		}
		if p.count()["WRITE configmaps"] != after || len(r.Applied) != after || len(r.NotApplied) != 3-after {
			t.Errorf("stopped after %d: applied %v, not applied %v", after, outcomes(r), r.NotApplied)
		}
		want := slices.Concat(slices.Repeat([]string{"intended"}, 3-after), slices.Repeat([]string{"written"}, after))
		var got []string
		for _, e := range s.book.inventory() {
			got = append(got, string(e.State))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("the ledger, stopped after %d (-want +got):\n%s", after, diff)
		}
		if r := s.mustApply(set...); r.Count(cluster.Created) != 3-after || r.Count(cluster.Unchanged) != after {
			t.Errorf("the next run: %v", outcomes(r))
		}
		for _, name := range []string{"a", "b", "c"} {
			if err := s.others.Resource(configMaps).Namespace(s.namespace).Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// The caller may go away at any request: nothing is done that the ledger does not know.
func TestACallerWhoGoesAway(t *testing.T) {
	s := newSite(t)
	p := s.proxied()
	ctx, cancel := context.WithCancel(t.Context())
	p.spoil = func(_ int, what string) spoiling {
		if what == "WRITE configmaps" {
			cancel()
		}
		return passed
	}
	run := s.run(configMap("a", "k", "v"), configMap("b", "k", "v"))
	if _, err := p.door.Apply(ctx, run); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if len(s.book.inventory()) != 2 {
		t.Errorf("the ledger has %v", s.book.lines())
	}
	s.mustApply(configMap("a", "k", "v"), configMap("b", "k", "v"))
	if diff := cmp.Diff([]string{"ConfigMap a written", "ConfigMap b written"}, s.book.lines()); diff != "" {
		t.Errorf("after the next run (-want +got):\n%s", diff)
	}
}

// Nothing is written that the ledger does not know, and nothing more by one who has
// lost it.
func TestALostLedgerWritesNothing(t *testing.T) {
	s := newSite(t)
	s.book.refuse = errors.New("another worker has the target")
	if _, err := s.apply(configMap("a", "k", "v")); !errors.Is(err, s.book.refuse) {
		t.Errorf("got %v", err)
	}
	if s.get(configMaps, "a") != nil {
		t.Error("it was written all the same")
	}
}
