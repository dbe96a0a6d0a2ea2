package worker

import (
	"context"
	"errors"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/store"
)

// Meter counts what the syncs of this process come to, for whoever is called when they
// go wrong.
type Meter interface {
	// Synced is told of an attempt that brought something to a cluster: how it ended, by
	// one of Endings, and how long it took.
	Synced(cluster, ended string, took time.Duration)
	// TookOver is told of a target whose last attempt never gave it back.
	TookOver(cluster string)
}

// How an attempt ends.
const (
	EndedHealthy     = "healthy"     // what was brought is there, and healthy or being measured
	EndedIll         = "failed"      // it is there and not healthy, or could not be applied
	EndedUnreachable = "unreachable" // the cluster, or something else, did not answer
	EndedSuperseded  = "superseded"  // something newer came, or somebody else has the target
	EndedStopped     = "stopped"     // the process was told to stop; the next one goes on
)

// Endings are all the ways.
var Endings = []string{EndedHealthy, EndedIll, EndedUnreachable, EndedSuperseded, EndedStopped}

// ending is how an attempt ended, by its error and, without one, by where it left the
// target.
func ending(ctx context.Context, state string, err error) string {
	switch {
	case errors.Is(err, errSuperseded), errors.Is(context.Cause(ctx), store.ErrTakenOver), errors.Is(err, store.ErrTakenOver):
		return EndedSuperseded
	case err != nil && ctx.Err() != nil:
		return EndedStopped
	case fault.Is(err, fault.Transient):
		return EndedUnreachable
	case err != nil || state == store.TargetFailed:
		return EndedIll
	}
	return EndedHealthy
}

type uncounted struct{}

func (uncounted) Synced(string, string, time.Duration) {}
func (uncounted) TookOver(string)                      {}
