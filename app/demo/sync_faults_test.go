package demo

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestFaultsOfASync tells of clusters that fail, and of a Tagboat that dies, in the middle
// of a sync. What is in Git gets there all the same, and nothing else is touched.
func TestFaultsOfASync(t *testing.T) {
	s := newScene(t)
	f := s.frontBefore("dev", "staging")
	s.story("Tagboat is killed at one request after the other", func(s *scene) { killedWhileSyncing(s, f) })
	s.story("the audit log holds it all", func(s *scene) { s.must(s.w.soundAudit(s.ctx)) })
}

// round is a commit with additions, changes and removals: twelve objects, of which four
// stay as they are, four are changed, and four take the place of those before.
func round(n int) settings {
	c := settings{}
	for i := range 4 {
		c[fmt.Sprintf("stays-%d", i)] = "as it is"
		c[fmt.Sprintf("moves-%d", i)] = fmt.Sprint("round ", n)
		c[fmt.Sprintf("only-%d-%d", n, i)] = "new"
	}
	return c
}

// foreign makes a ConfigMap that somebody else has made beside payments', with the label
// that controllers copy. It returns what wants it untouched.
func (s *scene) foreign(namespace string) (untouched func() error) {
	s.Helper()
	api := s.byHand(configMaps, namespace)
	ours, err := api.Get(s.ctx, "stays-0", metav1.GetOptions{})
	s.must(err)
	theirs := object(`{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "foreign"}, "data": {"is": "theirs"}}`)
	theirs.SetLabels(ours.GetLabels())
	theirs, err = api.Create(s.ctx, theirs, metav1.CreateOptions{FieldManager: "somebody"})
	s.must(err)
	return func() error {
		now, err := api.Get(s.ctx, "foreign", metav1.GetOptions{})
		if err == nil && (now.GetUID() != theirs.GetUID() || now.GetResourceVersion() != theirs.GetResourceVersion()) {
			err = errors.New("what somebody else has made was touched")
		}
		return err
	}
}

func killedWhileSyncing(s *scene, f *front) {
	s.inGit("Settings", round(0))
	s.until("dev has the settings", func() error { return s.has(round(0)) })
	untouched := s.foreign(s.w.Namespaces["dev"])
	kills := 0
	for i, at := range []int{1, 6, 14, 22, 30, 38} {
		var again sync.WaitGroup
		f.each(func(n int, _ http.ResponseWriter, r *http.Request) bool {
			if n != at {
				return false
			}
			kills++
			s.Logf("killed at request %d, %s %s", n, r.Method, r.URL.Path)
			s.w.Tagboat.Kill()
			again.Go(func() {
				if err := s.w.Tagboat.Start(context.Background()); err != nil {
					s.Errorf("start Tagboat again: %v", err)
				}
			})
			if i%2 == 0 {
				f.lose(r) // it was done, and nobody has heard of it
			}
			panic(http.ErrAbortHandler)
		})
		s.inGit(fmt.Sprint("Round ", i+1), round(i+1))
		s.within(2*time.Minute, fmt.Sprintf("dev has round %d", i+1), func() error { return s.has(round(i + 1)) })
		f.each(nil)
		again.Wait()
		s.must(untouched())
	}
	if kills < 5 {
		s.Errorf("Tagboat was killed %d times only", kills)
	}
}
