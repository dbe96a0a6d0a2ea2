package githubsim

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// Request is a journal entry: one API request and how it was answered. Status
// 0 means that the connection was broken on purpose.
type Request struct {
	Method, Path, Query string
	Route               string // "POST /repos/{owner}/{repo}/pulls"; empty if there is none
	App, User           string // the App's slug; the login that the deed is attributed to
	Status              int
	At                  time.Time // on the simulated clock
	Took                time.Duration
}

// Fault makes matching API requests go wrong.
type Fault struct {
	// Route is what Request.Route says, "GET /repos/{owner}/{repo}/pulls/{number}".
	// Empty matches every request; "POST *" matches every POST.
	Route string
	// Match, if set, must also agree: to hit one pull request, or only the
	// requests of one App. Status and Took are not known yet.
	Match func(Request) bool
	// Times is how often the fault strikes; 0 is for ever.
	Times int

	Delay  time.Duration // wait before anything else
	Status int           // answer this instead; 0 leaves the answer alone
	Body   string        // with Status; a JSON message is made up if empty
	Header http.Header   // with Status
	// AfterWork does the work although the answer is another one: the merge
	// that happened behind a 502.
	AfterWork bool
	// DropAnswer does the work and breaks the connection.
	DropAnswer bool
	// Truncate does the work and sends half of the answer's body.
	Truncate bool
}

func (f *Fault) wait(ctx context.Context) {
	if f == nil || f.Delay == 0 {
		return
	}
	select {
	case <-time.After(f.Delay):
	case <-ctx.Done():
	}
}

func (f *Fault) instead() bool { return f.Status != 0 && !f.AfterWork }

func (f *Fault) apply(a *answer) *answer {
	switch {
	case f == nil:
		return a
	case f.DropAnswer:
		return nil
	case f.Status != 0:
		body := f.Body
		if body == "" {
			body = `{"message":"` + http.StatusText(f.Status) + `"}`
		}
		header := f.Header.Clone()
		if header == nil {
			header = http.Header{}
		}
		if header.Get("Content-Type") == "" {
			header.Set("Content-Type", "application/json; charset=utf-8")
		}
		return &answer{status: f.Status, header: header, body: []byte(body)}
	case f.Truncate:
		a.body = a.body[:len(a.body)/2]
	}
	return a
}

// knobs hold what tests turn, apart from the state of GitHub.
type knobs struct {
	mu        sync.Mutex
	faults    []*Fault
	journal   []Request
	onRequest func(Request)
}

// Inject adds a fault; remove takes it away again. Earlier faults win.
func (s *Server) Inject(f Fault) (remove func()) {
	k := &s.knobs
	k.mu.Lock()
	defer k.mu.Unlock()
	p := &f
	k.faults = append(k.faults, p)
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.faults = slices.DeleteFunc(k.faults, func(o *Fault) bool { return o == p })
	}
}

// Requests is the journal of all API requests so far, in the order of answers.
func (s *Server) Requests() []Request {
	s.knobs.mu.Lock()
	defer s.knobs.mu.Unlock()
	return slices.Clone(s.knobs.journal)
}

// OnRequest calls fn for every API request after its work is done and before
// the answer is sent, so that fn may end the client at that very moment.
func (s *Server) OnRequest(fn func(Request)) {
	s.knobs.mu.Lock()
	defer s.knobs.mu.Unlock()
	s.knobs.onRequest = fn
}

func (k *knobs) take(r Request) *Fault {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, f := range k.faults {
		if !f.matches(r) {
			continue
		}
		if f.Times > 0 {
			if f.Times--; f.Times == 0 {
				k.faults = slices.Delete(k.faults, i, i+1)
			}
		}
		struck := *f
		return &struck
	}
	return nil
}

func (f *Fault) matches(r Request) bool {
	if method, ok := strings.CutSuffix(f.Route, " *"); ok {
		if method != r.Method {
			return false
		}
	} else if f.Route != "" && f.Route != r.Route {
		return false
	}
	return f.Match == nil || f.Match(r)
}

func (k *knobs) record(r Request) {
	k.mu.Lock()
	k.journal = append(k.journal, r)
	fn := k.onRequest
	k.mu.Unlock()
	if fn != nil {
		fn(r)
	}
}
