package worker

import (
	"context"
	"time"
)

// tend looks after what a target has.
func (w *Worker) tend(ctx context.Context, a *attempt, s *syncing, patience time.Duration) error {
	return w.bringObjects(ctx, a, s, patience)
}
