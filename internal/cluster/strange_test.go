package cluster

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/image"
)

// A registry that is unwell is not asked at every look, and one that has answered is not
// asked any more.
func TestARegistryIsNotAskedAtEveryLook(t *testing.T) {
	now := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	asked, away := 0, errors.New("away")
	w := &wait{c: &Cluster{now: func() time.Time { return now }}, same: map[string]sameness{}}
	w.options.SameImage = func(context.Context, string, string, string) (bool, error) {
		asked++
		return away == nil, away
	}
	for _, step := range []struct {
		pass  time.Duration
		away  error
		asked int
	}{{0, away, 1}, {time.Second, away, 1}, {askAgain, away, 2}, {askAgain, nil, 3}, {time.Hour, nil, 3}} {
		now, away = now.Add(step.pass), step.away
		same, err := w.sameImage(t.Context(), image.Ref{Name: "acme/payments", Digest: "a"}, "b")
		if asked != step.asked || same != (step.away == nil) || !errors.Is(err, step.away) {
			t.Errorf("after %s: %v, %v, asked %d times", step.pass, same, err, asked)
		}
	}
}
