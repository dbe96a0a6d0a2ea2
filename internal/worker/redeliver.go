package worker

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

const (
	// keptFor is how long GitHub keeps deliveries (docs: "Redelivering webhooks"). A
	// process looks back that far when it starts.
	keptFor = 3 * 24 * time.Hour
	// lookBack is how far every later sweep looks back: a few sweeps.
	lookBack = 10 * time.Minute
	// mostAgain is how many deliveries one sweep asks for: other work waits for its end.
	mostAgain = 100
	// mostApart is how long at most what was asked for in vain is left alone.
	mostApart = time.Hour
)

// deliveryLog is how far a process has looked through GitHub's log of deliveries.
type deliveryLog struct {
	at      time.Time // when its newest were looked at
	since   time.Time // how far back the look goes that cursor continues
	cursor  string    // where the log goes on; "" when it was read to the end
	missing time.Time // of the oldest that was not here; zero when all were
	left    int       // how many may still be asked for in this sweep
}

// asking is how often a delivery was asked for, and when last.
type asking struct {
	times int
	at    time.Time
}

// redeliver asks GitHub to send again what never reached us: it does not do so
// by itself. A delivery keeps its id, so one that did reach us changes nothing.
func (w *Worker) redeliver(ctx context.Context) error {
	start, last := w.Now(), w.swept.deliveries
	maps.DeleteFunc(w.swept.asked, func(_ string, a asking) bool { return start.Sub(a.at) > keptFor })
	since := last.at.Add(-lookBack)
	if last.at.IsZero() {
		since = start.Add(-keptFor)
	}
	if last.cursor == "" { // the log was read to the end: go back to what was missing then
		if !last.missing.IsZero() && last.missing.Before(since) {
			since = last.missing
		}
		last.missing = time.Time{}
	}
	last.left = mostAgain
	cursor, err := w.redeliverFrom(ctx, since, "", &last)
	if err != nil {
		return err
	}
	if last.cursor != "" { // earlier sweeps had too much
		since = last.since
		if cursor == "" {
			if cursor, err = w.redeliverFrom(ctx, since, last.cursor, &last); err != nil {
				return err
			}
		}
	}
	w.swept.deliveries = deliveryLog{at: start, since: since, cursor: cursor, missing: last.missing}
	return nil
}

func (w *Worker) redeliverFrom(ctx context.Context, since time.Time, cursor string, l *deliveryLog) (next string, err error) {
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
	missing := lost(listed, unknown, kept)
	if n := len(missing); n > 0 && (l.missing.IsZero() || missing[n-1].At.Before(l.missing)) {
		l.missing = missing[n-1].At
	}
	for _, d := range again(missing, w.swept.asked, w.Now(), l.left) {
		l.left--
		err := w.GitHub.Redeliver(ctx, d.ID)
		if err != nil && fault.KindOf(err).Retryable() {
			return "", err
		}
		w.swept.asked[d.GUID] = asking{times: w.swept.asked[d.GUID].times + 1, at: w.Now()}
		if err != nil { // the others may be had
			w.Log.WarnContext(ctx, "a lost delivery could not be asked for", "delivery", d.GUID, "event", d.Event, "error", err)
			continue
		}
		w.Log.InfoContext(ctx, "asked for a lost delivery again", "delivery", d.GUID, "event", d.Event)
	}
	return next, nil
}

// again are, of the missing deliveries, those to ask for now, in the order of their
// happening, and not more than most. One that was asked for and failed again is left alone
// for longer each time: what keeps it from arriving may last.
func again(missing []github.Delivery, asked map[string]asking, now time.Time, most int) (due []github.Delivery) {
	for _, d := range slices.Backward(missing) {
		before := asked[d.GUID]
		wait := min(mostApart, time.Duration(before.times)*time.Minute)
		if len(due) < most && now.Sub(later(d.At, before.at)) >= wait {
			due = append(due, d)
		}
	}
	return due
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
