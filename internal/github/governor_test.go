package github

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/tagboat/tagboat/internal/fault"
)

// counter is a GitHub that counts as strictly as githubsim, and takes its time. It
// lives in the bubble of synctest, where hours pass at once.
type counter struct {
	travel, work func() time.Duration // before and after a request is counted

	mu     sync.Mutex
	seen   []seen
	answer func(r *http.Request) *http.Response // nil: success
	header http.Header                          // of every success
}

type seen struct {
	at    time.Time
	what  string // the body's text
	class Class
}

func (c *counter) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		return respond(r, http.StatusCreated, nil, fmt.Sprintf(`{"token":"ghs_x","expires_at":%q}`, time.Now().Add(100*time.Hour).Format(time.RFC3339))), nil
	}
	body := []byte{}
	if r.Body != nil {
		body, _ = io.ReadAll(r.Body)
		r.Body.Close()
	}
	pause(c.travel)
	c.mu.Lock()
	c.seen = append(c.seen, seen{time.Now(), string(body), classOf(r)})
	var resp *http.Response
	if c.answer != nil {
		resp = c.answer(r)
	}
	c.mu.Unlock()
	pause(c.work)
	if resp == nil {
		resp = respond(r, http.StatusOK, c.header, `{"id":1,"number":1}`)
	}
	return resp, nil
}

func pause(d func() time.Duration) {
	if d != nil {
		time.Sleep(d())
	}
}

func respond(r *http.Request, status int, header http.Header, body string) *http.Response {
	if header == nil {
		header = http.Header{}
	}
	return &http.Response{StatusCode: status, Header: header.Clone(), Body: io.NopCloser(strings.NewReader(body)), Request: r,
		ProtoMajor: 1, ProtoMinor: 1, ContentLength: int64(len(body))}
}

// exceeded is the first limit of which more was spent in some span than it allows.
func (c *counter) exceeded(limits Limits) error {
	slices.SortFunc(c.seen, func(a, b seen) int { return a.at.Compare(b.at) })
	for _, l := range limits {
		from, sum := 0, 0
		for _, s := range c.seen {
			sum += costOf(s.class).of(l.Of)
			for !c.seen[from].at.After(s.at.Add(-l.Per)) {
				sum -= costOf(c.seen[from].class).of(l.Of)
				from++
			}
			if sum > l.Most {
				return fmt.Errorf("%d of %s in the span that ends at %s", sum, l, s.at.Format(time.StampMilli))
			}
		}
	}
	return nil
}

// order is what was said in the comments, as they were counted.
func (c *counter) order() (said []string) {
	for _, s := range c.seen {
		if s.class == Content {
			said = append(said, strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(s.what), `{"body":"`), `"}`))
		}
	}
	return said
}

func (c *counter) app(t *testing.T, limits Limits, ledger Ledger) *App {
	t.Helper()
	app, err := New(Config{APIURL: "https://api.github.com", GitURL: "https://github.com", AppID: 1, PrivateKey: testKey(),
		Transport: c, Limits: limits, Ledger: ledger})
	if err != nil {
		t.Fatal(err)
	}
	return app
}

func fixed(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// comment says text at a priority.
func comment(ctx context.Context, r *Repo, p Priority, text string) error {
	_, err := r.Comment(WithPriority(ctx, p), 1, text)
	return err
}

func TestTheMostUrgentGoesFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{work: fixed(time.Second)}
		repo := c.app(t, nil, nil).Repo(1, "acme", "env")
		var all sync.WaitGroup
		say := func(p Priority, text string) {
			all.Go(func() {
				if err := comment(t.Context(), repo, p, text); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait() // in this order
		}
		say(Talking, "in flight")
		for p := range Priority(priorities) {
			say(p, p.String()+" 1")
			say(p, p.String()+" 2")
		}
		all.Wait()
		want := []string{"in flight"}
		for p := Priority(priorities) - 1; p >= 0; p-- {
			want = append(want, p.String()+" 1", p.String()+" 2")
		}
		if got := c.order(); !slices.Equal(got, want) {
			t.Errorf("said in the order %q, want %q", got, want)
		}
	})
}

// Somebody who gives up while waiting takes nobody's turn along.
func TestATurnIsNotLostWithWhoGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{work: fixed(time.Second)}
		repo := c.app(t, Limits{{Creating, 20, 10 * time.Second}}, nil).Repo(1, "acme", "env")
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if i%2 == 0 {
					_ = comment(ctx, repo, RollingBack, "gives up")
				} else if err := comment(t.Context(), repo, Talking, "stays"); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		time.Sleep(500 * time.Millisecond)
		cancel()
		all.Wait()
		if got := c.order(); len(got) != 4 { // one was in flight
			t.Errorf("said: %q", got)
		}
	})
}

// full spends all that the least urgent may of 20 an hour: 17.
func full(t *testing.T, c *counter) (*App, *Repo) {
	t.Helper()
	app := c.app(t, Limits{{Creating, 20, time.Hour}}, nil)
	repo := app.Repo(1, "acme", "env")
	for range 17 {
		if err := comment(t.Context(), repo, Talking, ""); err != nil {
			t.Fatal(err)
		}
	}
	return app, repo
}

func TestTheLessUrgentLeaveSomethingToTheMoreUrgent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, repo := full(t, &counter{})
		began := time.Now()
		for _, step := range []struct {
			p    Priority
			fits bool
		}{{Talking, false}, {Checking, true}, {Opening, false}, {Merging, true}, {Merging, false}, {MergingLast, true}, {RollingBack, false}} {
			err := comment(t.Context(), repo, step.p, "")
			if step.fits && err != nil || !step.fits && !fault.Is(err, fault.RateLimited) {
				t.Errorf("%s: %v; want it to fit: %v", step.p, err, step.fits)
			}
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("whoever has to wait for long kept a job waiting for %s", waited)
		}
		time.Sleep(time.Hour + 2*time.Minute)
		if err := comment(t.Context(), repo, Talking, ""); err != nil {
			t.Errorf("an hour later: %v", err)
		}
	})
}

// A short wait is waited for; meanwhile what needs nothing that is short can pass,
// and so can the more urgent.
func TestAShortWaitBlocksNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		repo := c.app(t, Limits{{Creating, 20, time.Minute}}, nil).Repo(1, "acme", "env")
		for range 17 {
			if err := comment(t.Context(), repo, Talking, ""); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(60 * time.Second) // two more are kept, to be on the safe side
		c.seen = nil
		began := time.Now()
		var all sync.WaitGroup
		all.Go(func() {
			if err := comment(t.Context(), repo, Talking, "talk"); err != nil {
				t.Error(err)
			}
			if waited := time.Since(began); waited <= 0 || waited > patience {
				t.Errorf("waited %s", waited)
			}
		})
		synctest.Wait()
		if err := repo.EditComment(t.Context(), 1, "edit"); err != nil {
			t.Error(err)
		}
		if err := comment(t.Context(), repo, MergingLast, "merge"); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited != 0 {
			t.Errorf("the others waited %s", waited)
		}
		all.Wait()
		if got := c.order(); !slices.Equal(got, []string{"merge", "talk"}) {
			t.Errorf("said: %q", got)
		}
	})
}

// Those who have to come back are not all told the same time.
func TestTheRefusedComeBackOneAfterTheOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		repo := c.app(t, Limits{{Creating, 20, time.Minute}}, nil).Repo(1, "acme", "env")
		for range 17 {
			time.Sleep(2 * time.Second)
			if err := comment(t.Context(), repo, Talking, ""); err != nil {
				t.Fatal(err)
			}
		}
		told := map[time.Time]bool{}
		for range 10 {
			err := comment(t.Context(), repo, Talking, "")
			if !fault.Is(err, fault.RateLimited) {
				t.Fatal(err)
			}
			told[fault.UntilOf(err)] = true
		}
		if len(told) != 10 {
			t.Errorf("ten were told %d times", len(told))
		}
	})
}

func TestWhatIsReservedIsNotRefusedHalfWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		app, repo := full(t, c)
		if _, _, err := repo.Reserve(WithPriority(t.Context(), RollingBack), 4, 0); !fault.Is(err, fault.RateLimited) {
			t.Errorf("4 of 3: %v", err)
		}
		ctx, done, err := repo.Reserve(WithPriority(t.Context(), RollingBack), 3, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := comment(t.Context(), repo, RollingBack, "another"); !fault.Is(err, fault.RateLimited) {
			t.Errorf("somebody else got what is reserved: %v", err)
		}
		for range 2 {
			if _, err := repo.Comment(ctx, 1, "reserved"); err != nil {
				t.Error(err)
			}
			time.Sleep(10 * time.Minute)
		}
		done()
		if left := app.Budgets()[0].Left[Limit{Creating, 20, time.Hour}]; left != 1 {
			t.Errorf("%d are left, want the one that was not needed", left)
		}
		if _, err := repo.Comment(ctx, 1, "not reserved any more, but there is room"); err != nil {
			t.Error(err)
		}
		if err := c.exceeded(Limits{{Creating, 20, time.Hour}}); err != nil {
			t.Error(err)
		}
	})
}

// What GitHub asks for holds for everybody, whatever they want to do.
func TestGitHubIsLeftAloneWhenItAsksForIt(t *testing.T) {
	for _, status := range []int{http.StatusForbidden, http.StatusTooManyRequests} {
		for _, said := range []struct {
			name   string
			header func(now time.Time) http.Header
			wait   time.Duration
		}{
			{"in seconds", func(time.Time) http.Header { return http.Header{"Retry-After": {"90"}} }, 90 * time.Second},
			{"as a date", func(now time.Time) http.Header {
				return http.Header{"Retry-After": {now.Add(90 * time.Second).UTC().Format(http.TimeFormat)}}
			}, 90 * time.Second},
			{"as the reset", func(now time.Time) http.Header {
				return http.Header{"X-Ratelimit-Remaining": {"0"}, "X-Ratelimit-Reset": {fmt.Sprint(now.Add(90 * time.Second).Unix())}}
			}, 90 * time.Second},
			{"not at all", func(time.Time) http.Header { return nil }, time.Minute},
		} {
			t.Run(fmt.Sprint(status, " ", said.name), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { leftAlone(t, status, said.header(time.Now()), said.wait) })
			})
		}
	}
}

func leftAlone(t *testing.T, status int, header http.Header, wait time.Duration) {
	c, ledger := &counter{}, &alone{kept: map[int64]entry{}}
	c.answer = func(r *http.Request) *http.Response {
		return respond(r, status, header, `{"message":"You have exceeded a secondary rate limit."}`)
	}
	repo, replica := c.app(t, GitHubLimits, ledger).Repo(1, "acme", "env"), c.app(t, GitHubLimits, ledger).Repo(1, "acme", "env")
	began := time.Now()
	if err := comment(t.Context(), repo, Talking, ""); !fault.Is(err, fault.RateLimited) || !fault.UntilOf(err).Equal(began.Add(wait)) {
		t.Errorf("%v until %s, want %s", err, fault.UntilOf(err), began.Add(wait))
	}
	c.mu.Lock()
	c.answer = nil
	c.mu.Unlock()
	for _, r := range []*Repo{repo, replica} {
		_, read := r.Pull(t.Context(), 1)
		for _, err := range []error{read, comment(t.Context(), r, RollingBack, "")} {
			if !fault.Is(err, fault.RateLimited) || !fault.UntilOf(err).Equal(began.Add(wait)) {
				t.Errorf("meanwhile: %v", err)
			}
		}
	}
	if len(c.seen) != 1 {
		t.Errorf("GitHub was asked %d times", len(c.seen))
	}
	time.Sleep(wait)
	for _, r := range []*Repo{repo, replica} {
		if err := comment(t.Context(), r, Talking, ""); err != nil {
			t.Errorf("afterwards: %v", err)
		}
	}
}

func TestTheWaitGrowsWhileGitHubDoesNotSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &counter{}
		c.answer = func(r *http.Request) *http.Response { return respond(r, http.StatusTooManyRequests, nil, "") }
		repo := c.app(t, nil, nil).Repo(1, "acme", "env")
		for i, want := range []time.Duration{1, 2, 4, 8, 16, 16, 1} {
			err := comment(t.Context(), repo, Talking, "")
			if got := time.Until(fault.UntilOf(err)); got != want*time.Minute {
				t.Errorf("limit %d: wait %s, want %d min", i+1, got, want)
			}
			time.Sleep(time.Until(fault.UntilOf(err)))
			if i == 5 { // an answer that is none starts over
				limit := c.answer
				c.answer = nil
				if err := comment(t.Context(), repo, Talking, ""); err != nil {
					t.Error(err)
				}
				c.answer = limit
			}
		}
	})
}

func TestThePrimaryLimitKeepsAReserve(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := time.Now().Add(time.Hour)
		c := &counter{header: http.Header{"X-Ratelimit-Limit": {"5000"}, "X-Ratelimit-Remaining": {"250"}, "X-Ratelimit-Reset": {fmt.Sprint(reset.Unix())}}}
		app := c.app(t, nil, nil)
		repo := app.Repo(1, "acme", "env")
		if err := comment(t.Context(), repo, Talking, ""); err != nil {
			t.Fatal(err)
		}
		if err := comment(t.Context(), repo, Talking, ""); !fault.Is(err, fault.RateLimited) || !fault.UntilOf(err).Equal(reset) {
			t.Errorf("talk: %v", err)
		}
		if err := comment(t.Context(), repo, MergingLast, ""); err != nil {
			t.Errorf("a merge: %v", err)
		}
		if b := app.Budgets()[0]; b.Primary != 250 || b.Urgency[Talking].Refused != 1 {
			t.Errorf("budget: %+v", b)
		}
		time.Sleep(time.Hour)
		if err := comment(t.Context(), repo, Talking, ""); err != nil {
			t.Errorf("after the reset: %v", err)
		}
	})
}

// A ledger that cannot be reached is a fault that passes, and takes no turn along.
func TestWithoutTheLedgerNothingIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, ledger := &counter{}, &broken{}
		repo := c.app(t, GitHubLimits, ledger).Repo(1, "acme", "env")
		ledger.err = fault.Errorf(fault.Transient, "the database is away")
		if err := comment(t.Context(), repo, Talking, ""); !fault.Is(err, fault.Transient) || len(c.seen) > 0 {
			t.Errorf("%v, %d requests", err, len(c.seen))
		}
		ledger.err = nil
		if err := comment(t.Context(), repo, Talking, ""); err != nil {
			t.Error(err)
		}
	})
}

type broken struct {
	alone
	err error
}

func (b *broken) SwapSpending(ctx context.Context, installation, seen int64, next []byte) (int64, []byte, bool, error) {
	if b.err != nil {
		return 0, nil, false, b.err
	}
	if b.kept == nil {
		b.kept = map[int64]entry{}
	}
	return b.alone.SwapSpending(ctx, installation, seen, next)
}

// No schedule of reads, writes and reservations of several replicas, whatever GitHub
// takes for them, exceeds a limit in any span; and everything is done in the end.
func TestNoScheduleExceedsALimit(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		limits := Limits{{Points, 100, time.Minute}, {Creating, 20, time.Minute}, {Creating, 60, 6 * time.Minute}}
		slow := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 10, 10, 100, 1000, 8000}), 7, 7).Draw(rt, "milliseconds that requests take")
		kinds := rapid.SliceOfN(rapid.IntRange(0, 3), 1, 4).Draw(rt, "kinds")
		urgent := rapid.SliceOfN(rapid.IntRange(0, priorities-1), 1, 3).Draw(rt, "priorities")
		jobs := make([]drawn, rapid.IntRange(1, 150).Draw(rt, "jobs"))
		gaps := rapid.SliceOfN(rapid.SampledFrom([]int{0, 0, 0, 0, 50, 700, 20_000}), 11, 11).Draw(rt, "milliseconds between them")
		for i := range jobs {
			jobs[i] = drawn{after: time.Duration(gaps[i%len(gaps)]) * time.Millisecond, replica: i % 3,
				priority: Priority(urgent[i%len(urgent)]), kind: kinds[i%len(kinds)]}
		}
		skew := time.Duration(rapid.IntRange(-500, 500).Draw(rt, "skew")) * time.Millisecond
		var exceeded error
		synctest.Test(t, func(t *testing.T) { exceeded = schedule(t, limits, slow, jobs, skew) })
		if exceeded != nil {
			rt.Fatal(exceeded)
		}
	})
}

type drawn struct {
	after    time.Duration
	replica  int
	priority Priority
	kind     int
}

func schedule(t *testing.T, limits Limits, slow []int, jobs []drawn, skew time.Duration) error {
	var mu sync.Mutex
	n := 0
	takes := func() time.Duration {
		mu.Lock()
		defer mu.Unlock()
		n++
		return time.Duration(slow[n%len(slow)]) * time.Millisecond / 2
	}
	c, ledger := &counter{travel: takes, work: takes}, &alone{kept: map[int64]entry{}}
	var repos []*Repo
	for i := range 3 {
		app := c.app(t, limits, ledger)
		app.now = func() time.Time { return time.Now().Add(skew * time.Duration(i-1)) } // clocks differ
		repos = append(repos, app.Repo(1, "acme", "env"))
	}
	var all sync.WaitGroup
	failed := make(chan error, len(jobs))
	for _, j := range jobs {
		time.Sleep(j.after)
		all.Go(func() {
			for {
				err := j.do(t.Context(), repos[j.replica])
				if !fault.Is(err, fault.RateLimited) {
					failed <- err
					return
				}
				time.Sleep(max(time.Second, time.Until(fault.UntilOf(err)))) // as a snoozed job does
			}
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		if err != nil {
			return err
		}
	}
	return c.exceeded(limits)
}

func (j drawn) do(ctx context.Context, r *Repo) (err error) {
	ctx = WithPriority(ctx, j.priority)
	switch j.kind {
	case 0:
		_, err = r.Pull(ctx, 1)
	case 1:
		err = r.EditComment(ctx, 1, "")
	case 2:
		_, err = r.Comment(ctx, 1, "")
	case 3:
		held, done, err := r.Reserve(ctx, 3, 0)
		if err != nil {
			return err
		}
		defer done()
		for range 2 {
			if _, err := r.Comment(held, 1, ""); err != nil && !errors.Is(err, context.Canceled) {
				return err
			}
		}
		return nil
	}
	return err
}

// A read that travels for long counts when it arrives, not when it was sent.
func TestReadsThatTravelForLongCountLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		limits := Limits{{Points, 100, time.Minute}}
		var travel atomic.Int64
		c := &counter{travel: func() time.Duration { return time.Duration(travel.Load()) }}
		repo := c.app(t, limits, nil).Repo(1, "acme", "env")
		read := func(n int) {
			var all sync.WaitGroup
			for range n {
				all.Go(func() { _, _ = repo.Pull(t.Context(), 1) })
			}
			all.Wait()
		}
		travel.Store(int64(10 * time.Second))
		read(readsAtOnce)
		travel.Store(0)
		time.Sleep(53 * time.Second)
		read(100)
		if err := c.exceeded(limits); err != nil {
			t.Error(err)
		}
	})
}

func TestLimitsAreRead(t *testing.T) {
	for text, want := range map[string]Limits{
		"github.com": GitHubLimits, "none": nil,
		"points=900/1m, content=80/1m,content=500/1h": GitHubLimits,
	} {
		var got Limits
		if err := got.UnmarshalText([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "content", "content=80", "content=80/60", "content=3/1m", "requests=80/1m", "content=80/1ms", "points=20/1m"} {
		if err := new(Limits).UnmarshalText([]byte(text)); !fault.Is(err, fault.Invalid) {
			t.Errorf("%q is read: %v", text, err)
		}
	}
}
