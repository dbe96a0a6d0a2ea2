package worker

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

func TestHowAnAttemptEnds(t *testing.T) {
	running := t.Context()
	stopped, stop := context.WithCancel(running)
	stop()
	lost, lose := context.WithCancelCause(running)
	lose(store.ErrTakenOver)
	for _, c := range []struct {
		story string
		ctx   context.Context
		state string
		err   error
		ended string
	}{
		{"all is healthy", running, store.TargetHealthy, nil, EndedHealthy},
		{"it is measured", running, store.TargetWaiting, nil, EndedHealthy},
		{"a rollout ended ill", running, store.TargetFailed, nil, EndedIll},
		{"the API server refuses an object", running, "", fault.Errorf(fault.Invalid, "field is immutable"), EndedIll},
		{"the cluster does not answer", running, "", fault.Errorf(fault.Transient, "connection refused"), EndedUnreachable},
		{"a newer commit came", running, "", fmt.Errorf("apply: %w", errSuperseded), EndedSuperseded},
		{"the lease was lost while something was under way", lost, "", context.Canceled, EndedSuperseded},
		{"somebody else has the target", running, "", fmt.Errorf("keep: %w", store.ErrTakenOver), EndedSuperseded},
		{"the process is told to stop", stopped, "", errors.Join(context.Canceled), EndedStopped},
	} {
		if is := ending(c.ctx, c.state, c.err); is != c.ended {
			t.Errorf("%s: it ended %s, not %s", c.story, is, c.ended)
		}
	}
}
