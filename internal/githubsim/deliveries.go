package githubsim

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

// Delivery is a line of the webhook delivery log.
type Delivery struct {
	ID         int64
	GUID       string
	App        string
	Event      string
	Action     string
	StatusCode int // 0 while it is queued or held
	Redelivery bool
}

// Deliveries is the webhook delivery log of all Apps, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Delivery, 0, len(s.deliveries))
	for _, d := range s.deliveries {
		all = append(all, Delivery{d.id, d.guid, d.app.Slug, d.event, d.action, d.code, d.redelivery})
	}
	return all
}

// deliveryItem is hook-delivery-item of GitHub's description.
func (d *delivery) item() object {
	return object{
		"id": d.id, "guid": d.guid, "delivered_at": stamp(d.at), "redelivery": d.redelivery,
		"duration": d.took.Seconds(), "status": d.status, "status_code": d.code, "event": d.event,
		"action": orNull(d.action), "installation_id": orNull(d.installation), "repository_id": orNull(d.repo),
		"throttled_at": nil,
	}
}

func (s *Server) listDeliveries(c *call) (any, error) {
	size := 30
	if n, err := strconv.Atoi(c.query("per_page")); err == nil && n > 0 {
		size = min(n, 100)
	}
	before, _ := strconv.ParseInt(strings.TrimPrefix(c.query("cursor"), "v1_"), 10, 64)
	items, last := []any{}, int64(0)
	for i := len(s.deliveries) - 1; i >= 0; i-- {
		d := s.deliveries[i]
		if d.app != c.actor.app || !d.done || (before > 0 && d.id >= before) || !d.is(c.query("status")) {
			continue
		}
		if len(items) == size {
			return reply{status: http.StatusOK, body: items, header: c.cursor(last)}, nil
		}
		items, last = append(items, d.item()), d.id
	}
	return items, nil
}

func (d *delivery) is(status string) bool {
	ok := d.code >= 200 && d.code <= 399
	return status == "" || (status == "success" && ok) || (status == "failure" && !ok)
}

func (c *call) cursor(last int64) http.Header {
	u := *c.r.URL
	q := u.Query()
	q.Set("cursor", "v1_"+strconv.FormatInt(last, 10))
	u.RawQuery = q.Encode()
	return http.Header{"Link": {"<" + c.url + u.RequestURI() + `>; rel="next"`}}
}

func (c *call) delivery() (*delivery, error) {
	id, err := c.number("delivery_id")
	if err != nil {
		return nil, err
	}
	for _, d := range c.deliveries {
		if d.id == id && d.app == c.actor.app {
			return d, nil
		}
	}
	return nil, errNotFound
}

func (s *Server) getDelivery(c *call) (any, error) {
	d, err := c.delivery()
	if err != nil {
		return nil, err
	}
	body := d.item()
	body["url"] = d.url
	body["request"] = object{"headers": d.headers, "payload": json.RawMessage(d.payload)}
	body["response"] = object{"headers": d.respHeaders, "payload": d.response}
	return body, nil
}

// redeliver is POST /app/hook/deliveries/{delivery_id}/attempts: the same GUID
// and payload once more.
func (s *Server) redeliver(c *call) (any, error) {
	d, err := c.delivery()
	if err != nil {
		return nil, err
	}
	again := &delivery{
		id: s.nextID(), guid: d.guid, app: d.app, event: d.event, action: d.action, installation: d.installation,
		repo: d.repo, payload: d.payload, at: s.opt.Now().UTC(), redelivery: true,
	}
	s.deliveries = append(s.deliveries, again)
	s.enqueue(again)
	return reply{status: http.StatusAccepted, body: object{}}, nil
}
