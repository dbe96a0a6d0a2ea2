package githubsim

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/google/uuid"
)

// Event is a webhook event as an in-process observer sees it, once however
// many Apps are subscribed.
type Event struct {
	Name    string // "pull_request"
	Action  string // "opened"; empty for push, create, delete, status, ping
	Repo    string // "acme/env"; empty for installation events
	Number  int    // of the pull request or issue, if there is one
	SHA     string // of the pull request's head, the check's or the push's commit
	Sender  string
	Payload json.RawMessage
}

// HookAction is what happens to one delivery.
type HookAction int

const (
	// Deliver sends the webhook once.
	Deliver HookAction = iota
	// Drop loses it: the log shows a failed delivery that nobody received.
	Drop
	// DeliverTwice sends it twice with the same GUID.
	DeliverTwice
	// DeliverTwiceNewGUID sends it twice under different GUIDs, as when an App
	// and a repository webhook both fire.
	DeliverTwiceNewGUID
	// Hold keeps it back until ReleaseHeld.
	Hold
	// Forget never makes it: no log knows of it, as when the App has no webhook, or
	// an outage of GitHub's has swallowed it.
	Forget
)

// HookPolicy decides about each delivery. It must not call the Server.
type HookPolicy func(event, action string) HookAction

// SetHookPolicy replaces the policy; nil delivers everything once.
func (s *Server) SetHookPolicy(p HookPolicy) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hookPolicy = p
}

// OnEvent has fn called for every event, in order, outside all locks: fn may
// call the Server.
func (s *Server) OnEvent(fn func(Event)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.observers = append(s.observers, fn)
}

// delivery is one line of an App's delivery log.
type delivery struct {
	id           int64
	guid         string
	app          *App
	event        string
	action       string
	installation int64
	repo         int64
	payload      []byte
	headers      map[string]string
	at           time.Time
	redelivery   bool
	done         bool
	took         time.Duration
	code         int
	status       string
	response     string
	respHeaders  map[string]string
	url          string
	held         bool
}

// queued is an event that waits for the end of the request that caused it.
type queued struct {
	event      Event
	deliveries []*delivery
}

// hookQueue is the line of deliveries to one App.
type hookQueue struct {
	mu    sync.Mutex
	wake  chan struct{}
	queue []*delivery
}

// pending counts what is queued or under way, for WaitDeliveries.
type pending struct {
	mu   sync.Mutex
	n    int
	idle chan struct{}
}

func (p *pending) add(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.n += n
	if p.n == 0 && p.idle != nil {
		close(p.idle)
		p.idle = nil
	}
}

func (p *pending) wait() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.idle == nil {
		p.idle = make(chan struct{})
	}
	idle := p.idle
	if p.n == 0 {
		close(idle)
		p.idle = nil
	}
	return idle
}

// WaitDeliveries waits until every webhook has been delivered (or has failed)
// and every observer has returned. Held webhooks do not count.
func (s *Server) WaitDeliveries(ctx context.Context) error {
	select {
	case <-s.pending.wait():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ReleaseHeld sends what the policy held back, oldest first or reversed.
func (s *Server) ReleaseHeld(reversed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var held []*delivery
	for _, d := range s.deliveries {
		if d.held {
			d.held = false
			held = append(held, d)
		}
	}
	if reversed {
		slices.Reverse(held)
	}
	for _, d := range held {
		s.enqueue(d)
	}
}

func (s *Server) startHookQueue(app *App) *hookQueue {
	q := &hookQueue{wake: make(chan struct{}, 1)}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		client := &http.Client{Timeout: 10 * time.Second}
		for {
			d := q.next(s.ctx)
			if d == nil {
				return
			}
			s.send(client, d)
			s.pending.add(-1)
		}
	}()
	return q
}

func (q *hookQueue) push(d *delivery) {
	q.mu.Lock()
	q.queue = append(q.queue, d)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *hookQueue) next(ctx context.Context) *delivery {
	for {
		q.mu.Lock()
		if len(q.queue) > 0 {
			d := q.queue[0]
			q.queue = q.queue[1:]
			q.mu.Unlock()
			return d
		}
		q.mu.Unlock()
		select {
		case <-q.wake:
		case <-ctx.Done():
			return nil
		}
	}
}

// emit queues an event for every App that is to hear of it. only, if set,
// restricts it to that App.
func (s *Server) emit(event string, payload object, r *repo, only *App) {
	action, _ := payload["action"].(string)
	q := queued{event: Event{Name: event, Action: action}}
	if r != nil {
		q.event.Repo = r.fullName()
		payload["repository"] = s.webhookRepository(r, event)
		if r.owner.kind == "Organization" {
			payload["organization"] = s.organization(r.owner)
		}
	}
	q.event.Number, q.event.SHA, q.event.Sender = subject(payload)
	for _, inst := range s.installations {
		if (only != nil && inst.app != only) || r == nil || !inst.covers(r) || !slices.Contains(inst.app.spec.Events, event) || inst.suspended {
			continue
		}
		payload["installation"] = object{"id": inst.id, "node_id": nodeID("MDIzOkludGVncmF0aW9uSW5zdGFsbGF0aW9u", inst.id)}
		q.deliveries = append(q.deliveries, s.newDelivery(inst.app, event, action, inst.id, r.id, mustJSON(payload)))
	}
	delete(payload, "installation")
	q.event.Payload = mustJSON(payload)
	s.outbox = append(s.outbox, q)
}

// subject finds what an event is about, for observers.
func subject(payload object) (number int, sha, sender string) {
	if user, ok := payload["sender"].(object); ok {
		sender, _ = user["login"].(string)
	}
	for _, key := range []string{"pull_request", "issue"} {
		if o, ok := payload[key].(object); ok {
			number, _ = o["number"].(int)
			if head, ok := o["head"].(object); ok {
				sha, _ = head["sha"].(string)
			}
			return number, sha, sender
		}
	}
	for _, key := range []string{"check_run", "check_suite"} {
		if o, ok := payload[key].(object); ok {
			sha, _ = o["head_sha"].(string)
			return 0, sha, sender
		}
	}
	if group, ok := payload["merge_group"].(object); ok {
		sha, _ = group["head_sha"].(string)
		return 0, sha, sender
	}
	for _, key := range []string{"after", "sha"} {
		if v, ok := payload[key].(string); ok {
			return 0, v, sender
		}
	}
	return 0, "", sender
}

// emitTo sends an event to one App whatever it is subscribed to.
func (s *Server) emitTo(app *App, installationID int64, event string, payload object) {
	action, _ := payload["action"].(string)
	body := mustJSON(payload)
	d := s.newDelivery(app, event, action, installationID, 0, body)
	s.outbox = append(s.outbox, queued{event: Event{Name: event, Action: action, Payload: body}, deliveries: []*delivery{d}})
}

func (s *Server) newDelivery(app *App, event, action string, installation, repo int64, payload []byte) *delivery {
	return &delivery{
		id: s.nextID(), guid: uuid.NewString(), app: app, event: event, action: action,
		installation: installation, repo: repo, payload: payload, at: s.opt.Now().UTC(),
	}
}

func mustJSON(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic("githubsim: a payload is no JSON: " + err.Error()) // only our own maps get here
	}
	return b
}

// flush hands the outbox to the queues. The caller holds the lock.
func (s *Server) flush() {
	for _, q := range s.outbox {
		for _, d := range q.deliveries {
			s.dispatch(d)
		}
		s.observe(q.event)
	}
	s.outbox = nil
}

// dispatch logs a delivery and queues it as the policy wants.
func (s *Server) dispatch(d *delivery) {
	if d.app.spec.WebhookURL == "" {
		return
	}
	action := Deliver
	if s.hookPolicy != nil {
		action = s.hookPolicy(d.event, d.action)
	}
	if action == Forget {
		return
	}
	s.deliveries = append(s.deliveries, d)
	switch action {
	case Drop:
		d.done, d.code, d.status = true, 502, "failed to connect to host"
	case Hold:
		d.held = true
	case DeliverTwice, DeliverTwiceNewGUID:
		again := *d
		again.id = s.nextID()
		if action == DeliverTwiceNewGUID {
			again.guid = uuid.NewString()
		}
		s.deliveries = append(s.deliveries, &again)
		s.enqueue(d)
		s.enqueue(&again)
	default:
		s.enqueue(d)
	}
}

func (s *Server) enqueue(d *delivery) {
	s.pending.add(1)
	d.app.hooks.push(d)
}

// send POSTs one delivery and notes how it went.
func (s *Server) send(client *http.Client, d *delivery) {
	s.mu.Lock()
	d.url = d.app.spec.WebhookURL
	secret := d.app.spec.WebhookSecret
	d.headers = map[string]string{
		"Accept": "*/*", "Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/" + d.guid[:7],
		"X-GitHub-Event": d.event, "X-GitHub-Delivery": d.guid,
		"X-GitHub-Hook-ID":                       strconv.FormatInt(d.app.hookID, 10),
		"X-GitHub-Hook-Installation-Target-ID":   strconv.FormatInt(d.app.ID, 10),
		"X-GitHub-Hook-Installation-Target-Type": "integration",
	}
	if secret != "" {
		d.headers["X-Hub-Signature-256"] = signature(secret, d.payload)
	}
	url, headers, payload := d.url, d.headers, d.payload
	s.mu.Unlock()

	began := time.Now()
	code, status, response, respHeaders := post(s.ctx, client, url, headers, payload)

	s.mu.Lock()
	defer s.mu.Unlock()
	d.took, d.code, d.status, d.response, d.respHeaders, d.done = time.Since(began), code, status, response, respHeaders, true
	if code < 200 || code > 299 {
		s.log.Warn("a webhook was not accepted", "event", d.event, "action", d.action, "app", d.app.Slug, "status", status)
	}
}

func post(ctx context.Context, client *http.Client, url string, headers map[string]string, payload []byte) (int, string, string, map[string]string) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(payload))
	if err != nil {
		return 502, "invalid url", "", map[string]string{}
	}
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	res, err := client.Do(req)
	if err != nil {
		return 502, "failed to connect to host", "", map[string]string{}
	}
	defer res.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(res.Body, 64<<10)) // a cut answer is still an answer
	got := map[string]string{}
	for name := range res.Header {
		got[name] = res.Header.Get(name)
	}
	status := "OK"
	if res.StatusCode < 200 || res.StatusCode > 299 {
		status = "Invalid HTTP Response: " + strconv.Itoa(res.StatusCode)
	}
	return res.StatusCode, status, string(body), got
}

func signature(secret string, payload []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(payload)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// startObserving runs the in-process observers, one event after the other.
func (s *Server) startObserving() {
	s.observing = make(chan []Event, 1)
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		for {
			select {
			case events := <-s.observing:
				for _, e := range events {
					s.notify(e)
					s.pending.add(-1)
				}
			case <-s.ctx.Done():
				return
			}
		}
	}()
}

func (s *Server) notify(e Event) {
	s.mu.Lock()
	observers := slices.Clone(s.observers)
	s.mu.Unlock()
	for _, fn := range observers {
		fn(e)
	}
}

// observe queues an event for the observers without ever blocking: what waits
// in the channel is taken out, extended and put back. The caller holds the lock.
func (s *Server) observe(e Event) {
	s.pending.add(1)
	batch := []Event{e}
	select {
	case waiting := <-s.observing:
		batch = append(waiting, e)
	default:
	}
	s.observing <- batch
}
