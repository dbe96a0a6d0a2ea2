package github

import (
	"context"
	"errors"
	"time"

	gh "github.com/google/go-github/v60/github"
)

// Delivery is one webhook that GitHub recorded, by its newest attempt. A redelivery
// has the same GUID and another ID.
type Delivery struct {
	ID      int64
	GUID    string
	Event   string
	At      time.Time // of the newest attempt
	Arrived bool      // an attempt was answered with success
	Asked   bool      // it was sent again already
}

// deliveryPages bounds one look at the log: 2,000 attempts.
const deliveryPages = 20

// Deliveries lists, newest first, the webhooks since then, each once. GitHub does not
// repeat one by itself, and forgets it after three days (seven on Enterprise Server).
// What does not fit into one look is listed from the cursor that comes with it; ""
// where that was all.
func (a *App) Deliveries(ctx context.Context, since time.Time, cursor string) (_ []Delivery, next string, err error) {
	defer a.fail(&err, "list webhook deliveries")
	var attempts []*gh.HookDelivery
	options := gh.ListCursorOptions{PerPage: 100, Cursor: cursor}
	for range deliveryPages {
		page, resp, err := a.client.Apps.ListHookDeliveries(ctx, &options)
		if err != nil {
			return nil, "", err
		}
		attempts = append(attempts, page...)
		old := len(page) > 0 && page[len(page)-1].GetDeliveredAt().Before(since)
		if options.Cursor = resp.Cursor; old || options.Cursor == "" {
			return deliveries(attempts, since), "", nil
		}
	}
	return deliveries(attempts, since), options.Cursor, nil
}

func deliveries(attempts []*gh.HookDelivery, since time.Time) (all []Delivery) {
	at := map[string]int{}
	for _, d := range attempts {
		if d.GetDeliveredAt().Before(since) {
			continue
		}
		i, known := at[d.GetGUID()]
		if !known {
			i, at[d.GetGUID()] = len(all), len(all)
			all = append(all, Delivery{ID: d.GetID(), GUID: d.GetGUID(), Event: d.GetEvent(), At: d.GetDeliveredAt().Time})
		}
		if code := d.GetStatusCode(); code >= 200 && code < 300 {
			all[i].Arrived = true
		}
		all[i].Asked = all[i].Asked || d.GetRedelivery()
	}
	return all
}

// Redeliver asks GitHub to send a delivery again.
func (a *App) Redeliver(ctx context.Context, id int64) (err error) {
	defer a.fail(&err, "redeliver webhook %d", id)
	_, _, err = a.client.Apps.RedeliverHookDelivery(ctx, id)
	if _, accepted := errors.AsType[*gh.AcceptedError](err); accepted {
		return nil
	}
	return err
}
