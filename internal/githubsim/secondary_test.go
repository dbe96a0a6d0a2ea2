package githubsim_test

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-github/v60/github"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// limited is a world with secondary limits, on a clock that only the test moves.
func limited(t *testing.T, l githubsim.SecondaryLimits) (w *world, now func() time.Time) {
	t.Helper()
	moved, start := &clock{}, time.Now().Truncate(time.Second)
	w = newWorld(t, func(o *githubsim.Options) {
		o.SecondaryLimits = &l
		now = func() time.Time {
			moved.mu.Lock()
			defer moved.mu.Unlock()
			return start.Add(moved.shift)
		}
		o.Now = now
	})
	w.clock = moved
	return w, now
}

// mint gives an installation token of that time.
func (w *world) mint(now time.Time) string {
	w.t.Helper()
	signed, err := w.app.SignJWT(now.Add(-time.Second), now.Add(time.Minute))
	must(w.t, err)
	token, _, err := w.client(nil).WithAuthToken(signed).Apps.CreateInstallationToken(w.t.Context(), w.inst, &github.InstallationTokenOptions{})
	must(w.t, err)
	return token.GetToken()
}

// ask makes one request with a token and gives its answer.
func (w *world) ask(token, method, path, body string) *http.Response {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, w.URL()+"/api/v3/repos/acme/env"+path, strings.NewReader(body))
	must(w.t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(req)
	must(w.t, err)
	must(w.t, res.Body.Close())
	return res
}

func (w *world) blob(token string) int {
	w.t.Helper()
	return w.ask(token, http.MethodPost, "/git/blobs", `{"content":"x"}`).StatusCode
}

func (w *world) times(n int, want int, what string, do func() int) {
	w.t.Helper()
	for i := range n {
		if got := do(); got != want {
			w.t.Fatalf("%s %d of %d: %d, want %d", what, i+1, n, got, want)
		}
	}
}

func (w *world) met(limits ...string) {
	w.t.Helper()
	var got []string
	for _, trip := range w.Trips() {
		got = append(got, trip.Limit)
	}
	if fmt.Sprint(got) != fmt.Sprint(limits) {
		w.t.Errorf("met %v, want %v", got, limits)
	}
}

func TestContentIsLimitedByTheMinuteAndTheHour(t *testing.T) {
	w, now := limited(t, githubsim.SecondaryLimits{})
	bot := w.mint(now())
	blob := func() int { return w.blob(bot) }
	for range 6 { // the window slides: half now, half in half a minute
		w.times(40, 201, "blob", blob)
		w.clock.advance(30 * time.Second)
		w.times(40, 201, "blob", blob)
		w.clock.advance(31 * time.Second)
	}
	w.times(20, 201, "blob", blob) // the 500th of the hour
	w.met()
	w.times(1, 403, "one more", blob)
	w.clock.advance(55 * time.Minute)
	bot = w.mint(now()) // the first one is over
	w.times(1, 201, "an hour after the first", blob)
	w.clock.advance(10 * time.Second)
	w.times(79, 201, "within the minute", blob)
	w.times(1, 403, "one more", blob)
	w.met("content an hour", "content a minute")
}

// Refused is who goes on, until the time that was named.
func TestWhoMetALimitHasToWait(t *testing.T) {
	w, now := limited(t, githubsim.SecondaryLimits{ContentMinute: 1})
	bot := w.mint(now())
	w.times(1, 201, "blob", func() int { return w.blob(bot) })
	w.times(1, 403, "one more", func() int { return w.blob(bot) })
	read := func() int { return w.ask(bot, http.MethodGet, "", "").StatusCode }
	w.clock.advance(59 * time.Second)
	w.times(1, 403, "a read meanwhile", read)
	w.clock.advance(61 * time.Second)
	w.times(1, 200, "a read afterwards", read)
	w.met("content a minute", "patience")
	if got := w.Trips()[1].String(); !strings.Contains(got, "patience by GET /repos/{owner}/{repo}") {
		t.Error(got)
	}
}

func TestPointsCountReadsAndWrites(t *testing.T) {
	w, now := limited(t, githubsim.SecondaryLimits{Points: 12})
	bot := w.mint(now())
	w.times(2, 201, "blob", func() int { return w.blob(bot) })
	w.times(2, 200, "read", func() int { return w.ask(bot, http.MethodGet, "", "").StatusCode })
	w.times(1, 403, "one more", func() int { return w.ask(bot, http.MethodGet, "", "").StatusCode })
	w.met("points")
	// People, and other installations, have their own account.
	w.times(1, 200, "a person", func() int { return w.ask(w.tokens["alice"], http.MethodGet, "", "").StatusCode })
}

func TestTooManyAtOnce(t *testing.T) {
	w, now := limited(t, githubsim.SecondaryLimits{Concurrent: 2})
	bot := w.mint(now())
	const route = "GET /repos/{owner}/{repo}"
	begun := make(chan bool, 2)
	w.Inject(githubsim.Fault{Route: route, Times: 2, Delay: time.Hour, Match: func(githubsim.Request) bool { begun <- true; return true }})
	asking, give := context.WithCancel(t.Context())
	var slow sync.WaitGroup
	for range 2 {
		slow.Go(func() {
			req, err := http.NewRequestWithContext(asking, http.MethodGet, w.URL()+"/api/v3/repos/acme/env", nil)
			if err != nil {
				t.Error(err)
				return
			}
			req.Header.Set("Authorization", "Bearer "+bot)
			if res, err := http.DefaultClient.Do(req); err == nil { // they are given up, sooner or later
				_ = res.Body.Close()
			}
		})
	}
	<-begun
	<-begun
	w.times(1, 403, "the third at once", func() int { return w.ask(bot, http.MethodGet, "/branches", "").StatusCode })
	give()
	slow.Wait()
	if trips := w.Trips(); len(trips) == 0 || trips[0].Limit != "concurrent" {
		t.Errorf("the third at once: %v", trips)
	}
}

func TestLimitsAreToldInEveryWay(t *testing.T) {
	w, now := limited(t, githubsim.SecondaryLimits{ContentMinute: 1, Style: githubsim.EveryStyle})
	bot := w.mint(now())
	w.times(1, 201, "blob", func() int { return w.blob(bot) })
	told := map[string]bool{}
	for range 6 {
		res := w.ask(bot, http.MethodPost, "/git/blobs", `{"content":"x"}`)
		after, remaining := res.Header.Get("Retry-After"), res.Header.Get("X-RateLimit-Remaining")
		told[fmt.Sprint(res.StatusCode, " after ", after, " zero ", remaining == "0")] = true
		if remaining != "0" {
			continue
		}
		reset, err := strconv.ParseInt(res.Header.Get("X-RateLimit-Reset"), 10, 64)
		must(t, err)
		if wait := time.Unix(reset, 0).Sub(now()); wait < 50*time.Second || wait > 70*time.Second {
			t.Errorf("the reset is in %s", wait)
		}
	}
	for _, want := range []string{
		"403 after 60 zero false", "429 after 60 zero false", "403 after  zero true", "429 after  zero true",
		"403 after  zero false", "429 after  zero false",
	} {
		if !told[want] {
			t.Errorf("never answered %s: %v", want, told)
		}
	}
}
