package worker

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// keptFor is how long GitHub keeps deliveries (docs: "Redelivering webhooks"). A
	// process looks back that far when it starts.
	keptFor = 3 * 24 * time.Hour
	// lookBack is how far every later sweep looks back: a few sweeps.
	lookBack = 10 * time.Minute
)

// deliveryLog is how far a process has looked through GitHub's log of deliveries.
type deliveryLog struct {
	at     time.Time // when its newest were looked at
	since  time.Time // how far back the look goes that cursor continues
	cursor string    // where the log goes on; "" when it was read to the end
}

// redeliver asks GitHub to send again what never reached us: it does not do so
// by itself. A delivery keeps its id, so one that did reach us changes nothing.
func (w *Worker) redeliver(ctx context.Context) error {
	start, last := w.Now(), w.swept.deliveries
	since := last.at.Add(-lookBack)
	if last.at.IsZero() {
		since = start.Add(-keptFor)
	}
	cursor, err := w.redeliverFrom(ctx, since, "")
	if err != nil {
		return err
	}
	if last.cursor != "" { // earlier sweeps had too much
		since = last.since
		if cursor == "" {
			if cursor, err = w.redeliverFrom(ctx, since, last.cursor); err != nil {
				return err
			}
		}
	}
	w.swept.deliveries = deliveryLog{at: start, since: since, cursor: cursor}
	return nil
}

func (w *Worker) redeliverFrom(ctx context.Context, since time.Time, cursor string) (next string, err error) {
	listed, next, err := w.GitHub.Deliveries(ctx, since, cursor)
	if err != nil {
		return "", fmt.Errorf("list deliveries: %w", err)
	}
	ids := make([]string, len(listed))
	for i, d := range listed {
		ids[i] = d.GUID
	}
	unknown, kept, err := w.Store.UnknownDeliveries(ctx, store.SourceGitHub, ids)
	if err != nil {
		return "", err
	}
	for _, d := range slices.Backward(lost(listed, unknown, kept)) { // in the order of their happening
		if err := w.GitHub.Redeliver(ctx, d.ID); err != nil {
			return "", err
		}
		w.Log.InfoContext(ctx, "asked for a lost delivery again", "delivery", d.GUID, "event", d.Event)
	}
	return next, nil
}

// lost are the deliveries to ask for again: those that are not here. Of what GitHub
// says has arrived, that is what came after our database began, and is gone from it: a
// database that was restored has forgotten it, a new one was never meant. It is asked
// for once.
func lost(listed []github.Delivery, unknown []string, kept time.Time) []github.Delivery {
	missing := map[string]bool{}
	for _, id := range unknown {
		missing[id] = true
	}
	return slices.DeleteFunc(slices.Clone(listed), func(d github.Delivery) bool {
		switch {
		case !missing[d.GUID]:
			return true
		case !d.Arrived:
			return false
		}
		return d.Asked || kept.IsZero() || d.At.Before(kept)
	})
}
