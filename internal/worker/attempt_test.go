package worker

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// A process that wakes up after its lease has ended writes nothing more, though nobody has
// come to tell it yet.
func TestAnAttemptEndsByItsOwnClock(t *testing.T) {
	begun := func(ago time.Duration) *attempt {
		a := &attempt{}
		alone, over := context.WithCancelCause(t.Context())
		a.over = over
		a.superseded, a.supersede = context.WithCancelCause(alone)
		held := time.Now().Add(-ago)
		a.held.Store(&held)
		return a
	}
	if err := begun(0).goOn(t.Context()); err != nil {
		t.Errorf("one that has just begun: %v", err)
	}
	frozen := begun(leaseFor)
	if err := frozen.goOn(t.Context()); !errors.Is(err, store.ErrTakenOver) {
		t.Errorf("one whose lease has ended goes on: %v", err)
	}
	if frozen.superseded.Err() == nil {
		t.Error("what it has under way goes on")
	}
}
