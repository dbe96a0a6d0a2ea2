package store_test

import (
	"slices"
	"testing"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/store"
)

// subjects are those of polls, in their order.
func subjects(polls []store.Poll) (names []string) {
	for _, p := range polls {
		names = append(names, p.Subject)
	}
	return names
}

// A list is due until it was read, and again after a while; what was due for longest
// comes first.
func TestPollsAreDueInTurn(t *testing.T) {
	w := newWorld(t)
	due := func() []string {
		polls, err := w.store.DuePolls(w.ctx, store.PollTags, []string{"r.example.com/a", "r.example.com/b", "s.example.com/c"})
		w.must(err)
		return subjects(polls)
	}
	read := func(image string, every time.Duration) {
		p, err := w.store.Poll(w.ctx, store.PollTags, image)
		w.must(err)
		p.Due, p.Until, p.Tag = w.clock.now().Add(every), w.clock.now(), "1.7.0"
		w.must(w.store.KeepPoll(w.ctx, p))
	}
	if got := due(); len(got) != 3 {
		t.Errorf("before anything was read, %v are due", got)
	}
	read("r.example.com/a", 10*time.Minute)
	read("r.example.com/b", 5*time.Minute)
	if got := due(); !slices.Equal(got, []string{"s.example.com/c"}) {
		t.Errorf("what was read is due: %v", got)
	}
	w.clock.pass(10 * time.Minute)
	if got := due(); !slices.Equal(got, []string{"s.example.com/c", "r.example.com/b", "r.example.com/a"}) {
		t.Errorf("the order is %v", got)
	}
	w.must(w.store.PostponePolls(w.ctx, store.PollTags, "r.example.com/", w.clock.now().Add(time.Hour)))
	if got := due(); !slices.Equal(got, []string{"s.example.com/c"}) {
		t.Errorf("a registry that wants to be left alone is asked: %v", got)
	}
	p, err := w.store.Poll(w.ctx, store.PollTags, "r.example.com/a")
	if err != nil || p.Tag != "1.7.0" || p.Until.IsZero() {
		t.Errorf("where it was read to is forgotten: %+v, %v", p, err)
	}
	if p, err := w.store.Poll(w.ctx, store.PollPulls, "r.example.com/a"); err != nil || !p.Until.IsZero() {
		t.Errorf("another kind of list has its place: %+v, %v", p, err)
	}
}

// Whoever waits for a gate is found by what was seen of it last, on the head as it is.
func TestWhoWaitsForAGate(t *testing.T) {
	w := newWorld(t)
	p := w.open("dev", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	waiting := func() int {
		found, err := w.store.WaitingFor(w.ctx, w.repo.ID, "checks")
		w.must(err)
		return len(found)
	}
	see := func(verdict string) {
		w.must(w.store.Observe(w.ctx, w.promotion(p.ID), digest("a"), []store.Observed{{Gate: "checks", Verdict: verdict, Reason: verdict}}, true))
	}
	if n := waiting(); n != 0 {
		t.Errorf("%d wait before anybody has looked", n)
	}
	for _, c := range []struct {
		verdict string
		want    int
	}{{"wait", 1}, {"fail", 1}, {"pass", 0}, {"wait", 1}} {
		if see(c.verdict); waiting() != c.want {
			t.Errorf("after %s %d wait, want %d", c.verdict, waiting(), c.want)
		}
	}
	w.must(w.store.SawPull(w.ctx, p.ID, store.SeenPull{State: "open", HeadSHA: sha("2")}))
	if n := waiting(); n != 0 {
		t.Errorf("%d wait for checks of a head that nobody has looked at", n)
	}
}

// What is here is told from what is not, and from what was before.
func TestDeliveriesThatNeverArrived(t *testing.T) {
	w := newWorld(t)
	ask := func() ([]string, time.Time) {
		unknown, since, err := w.store.UnknownDeliveries(w.ctx, store.SourceGitHub, []string{"one", "two"})
		w.must(err)
		return unknown, since
	}
	if unknown, since := ask(); !slices.Equal(unknown, []string{"one", "two"}) || !since.IsZero() {
		t.Errorf("in an empty database %v are unknown, since %v", unknown, since)
	}
	_, err := w.store.Accept(w.ctx, store.Arrival{Source: store.SourceCI, DeliveryID: "two", Event: "built", Body: []byte("{}")}, func(id int64) river.JobArgs { return job.Deliver{Delivery: id} })
	w.must(err)
	w.clock.pass(time.Hour)
	_, err = w.store.Accept(w.ctx, store.Arrival{Source: store.SourceGitHub, DeliveryID: "one", Event: "push", Body: []byte("{}")}, func(id int64) river.JobArgs { return job.Deliver{Delivery: id} })
	w.must(err)
	if unknown, since := ask(); !slices.Equal(unknown, []string{"two"}) || !since.Equal(w.clock.now()) {
		t.Errorf("%v are unknown, since %v", unknown, since)
	}
}
