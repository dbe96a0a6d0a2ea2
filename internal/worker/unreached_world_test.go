package worker

import (
	"strings"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/store"
)

// served has a process serve prod, by its name.
func (h *harbour) served(replica string) {
	h.Helper()
	must(h.T, h.worker.Store.Reach(h.Context(), replica, []string{"prod"}))
}

// away has every process that serves prod be away for longer than a start takes, and the
// server look for what nobody brings.
func (h *harbour) away() store.Target {
	h.Helper()
	h.exec("UPDATE reach SET seen_at = seen_at - interval '3 minutes'")
	h.looksForUnreached()
	return h.target("prod")
}

func (h *harbour) looksForUnreached() {
	h.Helper()
	must(h.T, h.worker.unreached(h.Context(), func(int64) bool { return true }))
}

func (h *harbour) exec(sql string) {
	h.Helper()
	_, err := h.worker.Store.Pool().Exec(h.Context(), sql)
	must(h.T, err)
}

// The process that serves a cluster is away. What was seen healthy is no failure by that,
// and since when it was healthy is not forgotten; when a process is back, it goes on.
func TestNoProcessServesAClusterForAWhile(t *testing.T) {
	h := newHarbour(t)
	h.served("first")
	was := h.brings()
	h.pass(3 * time.Minute)
	is := h.away()
	if is.State != store.TargetWaiting || is.Ill || !is.HealthySince.Equal(*was.HealthySince) || !is.UpdatedAt.Equal(was.UpdatedAt) {
		t.Errorf("it is %s, healthy since %v, looked at %s: %s", is.State, is.HealthySince, is.UpdatedAt, is.Message)
	}
	for _, part := range []string{"No Tagboat process serves cluster prod since 20", "tagboat sync --clusters prod", "goes on by itself", "take the cluster out of tagboat.yaml"} {
		if !strings.Contains(is.Message, part) {
			t.Errorf("it does not say “%s”: %s", part, is.Message)
		}
	}
	if up := upstreamFacts("prod", []store.Target{is}, h.now()); !up.Healthy || !up.HealthySince.Equal(*was.HealthySince) {
		t.Errorf("who needs it healthy reads %+v", up)
	}
	if shown := clusterStatuses([]store.Target{is})[0]; shown.Phase != "pending" || !shown.Since.IsZero() {
		t.Errorf("people are shown %+v", shown)
	}
	h.looksForUnreached()
	if again := h.target("prod"); again.Fence != is.Fence {
		t.Error("it is told twice")
	}

	h.served("second")
	back := h.brings()
	if !back.HealthySince.Equal(*was.HealthySince) || back.Message != "" {
		t.Errorf("when a process is back, it is healthy since %v, not %v: %s", back.HealthySince, was.HealthySince, back.Message)
	}
	if last, err := h.worker.Store.RecentSyncs(t.Context(), is.ID, 9); err != nil || len(last) != 1 {
		t.Errorf("it was looked at by %d attempts, %v", len(last), err)
	}

	h.away()
	h.releases("1.1.0")
	if is := h.away(); is.Tag != "1.0.0" || !store.Unserved(is) {
		t.Errorf("%s is %s: %s", is.Tag, is.State, is.Message)
	}
	h.served("third")
	if is := h.brings(); is.Tag != "1.1.0" {
		t.Errorf("when a process is back, it brings %s", is.Tag)
	}
}

// Nobody has looked for longer than what was seen counts: nobody takes it for healthy, and
// what is there is looked after, not applied anew.
func TestNoProcessServesAClusterForLong(t *testing.T) {
	h := newHarbour(t)
	h.served("first")
	h.brings()
	is := h.away()
	h.pass(store.Watched + time.Minute)
	if up := upstreamFacts("prod", []store.Target{is}, h.now()); up.Healthy || !strings.Contains(up.Reason, "prod is waiting (No Tagboat process serves cluster prod") {
		t.Errorf("who needs it healthy reads %+v", up)
	}
	h.served("second")
	if is := h.brings(); is.Message != "" {
		t.Errorf("when a process is back: %s", is.Message)
	}
	if last, err := h.worker.Store.RecentSyncs(t.Context(), is.ID, 9); err != nil || len(last) != 1 {
		t.Errorf("it was looked at by %d attempts, %v", len(last), err)
	}
}

// What a process has found to be ill is ill, also when the process is away since.
func TestWhatHasFailedIsNotToldSoftlyWhileNobodyServesIt(t *testing.T) {
	h := newHarbour(t)
	h.served("first")
	h.worker.HealthTimeout = time.Second
	h.releases("stuck1")
	was, err := h.attempt()
	must(t, err)
	is := h.away()
	if is.State != store.TargetFailed || !is.Ill || is.Message != was.Message || len(is.Notes) != 1 || !strings.HasPrefix(is.Notes[0], store.NobodyServes+"prod since") {
		t.Errorf("it is %s, with notes %q: %s", is.State, is.Notes, is.Message)
	}
	reached := stays(is)
	reached.State, reached.Message = store.TargetUnreachable, "Cluster prod cannot be reached."
	must(t, h.worker.Store.FinishSync(t.Context(), is, 0, reached, afterSync()))
	if is := h.away(); is.State != store.TargetUnreachable || is.Message != reached.Message || len(is.Notes) != 1 {
		t.Errorf("it is %s, with notes %q: %s", is.State, is.Notes, is.Message)
	}
	h.worker.HealthTimeout = time.Minute
	h.served("second")
	h.releases("1.1.0")
	if is := h.brings(); len(is.Notes) != 0 {
		t.Errorf("when a process is back, the notes are %q", is.Notes)
	}
}

// A process dies in the middle of an attempt. Nobody takes the half of a version for one
// that was healthy, or for whole.
func TestNoProcessGoesOnWithAnAttempt(t *testing.T) {
	h := newHarbour(t)
	h.served("first")
	was := h.brings()
	h.releases("1.1.0")
	ctx, a, _ := h.taken()
	s, err := h.worker.rendered(ctx, a.target)
	must(t, err)
	_, err = h.worker.Store.StartSync(ctx, was.ID, s.reached.Commit, s.reached.Tag, s.reached.Digest)
	must(t, err)
	must(t, h.worker.Store.StartTarget(ctx, a.target, store.TargetApplying, "Applying.", s.reached.RenderedHash))
	a.end(ctx)
	if is := h.away(); !store.Unserved(is) || is.HealthySince != nil || store.Seen(is, h.now()) {
		t.Errorf("it is %s, healthy since %v: %s", is.State, is.HealthySince, is.Message)
	}
	h.served("second")
	if is := h.brings(); is.Tag != "1.1.0" {
		t.Errorf("when a process is back, it brings %s", is.Tag)
	}
	if last, err := h.worker.Store.RecentSyncs(t.Context(), was.ID, 1); err != nil || last[0].State != "healthy" || last[0].Changed == 0 {
		t.Errorf("the last attempt is %+v, %v", last, err)
	}
}

// That no process ever has served a cluster is a fault of the configuration.
func TestNoProcessHasEverServedACluster(t *testing.T) {
	h := newHarbour(t)
	h.looksForUnreached()
	if is := h.target("prod"); is.State != store.TargetFailed || is.Got != is.Want || !strings.HasPrefix(is.Message, `No Tagboat reaches cluster "prod"`) {
		t.Errorf("it is %s: %s", is.State, is.Message)
	}
	h.served("first")
	if is := h.away(); !store.Unserved(is) { // it had no time for anything
		t.Errorf("it is %s: %s", is.State, is.Message)
	}
	h.served("second")
	h.brings()
}

// The machine that a process was on is lost, with pods that it had brought. When a process
// is back, these have the time of a rollout to be ready again.
func TestWhatIsNotReadyWhenAProcessIsBackHasTime(t *testing.T) {
	h := newHarbour(t)
	h.brings()
	h.ready(false)
	h.pass(h.worker.HealthTimeout + time.Second)
	look := func() store.Reached {
		t.Helper()
		ctx, a, s := h.taken()
		must(t, h.worker.tend(ctx, a, &s, time.Second))
		must(t, h.worker.Store.FinishSync(ctx, a.target, 0, s.reached, afterSync()))
		a.end(ctx)
		return s.reached
	}
	h.worker = New(h.worker.Config)
	if r := look(); r.State != store.TargetWaiting || r.Ill {
		t.Errorf("at first it is %s: %s", r.State, r.Message)
	}
	h.pass(h.worker.HealthTimeout)
	if r := look(); r.State != store.TargetFailed || !r.Ill {
		t.Errorf("at last it is %s: %s", r.State, r.Message)
	}
}
