package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tagboat/tagboat/internal/store"
)

func (w *world) review(p store.Promotion, id int64, by store.Actor, state, head string) {
	w.Helper()
	w.must(w.store.RecordReview(w.ctx, p.ID, store.NewReview{
		ReviewID: id, Reviewer: by, State: state, HeadSHA: head, SubmittedAt: w.clock.now(),
	}, 0, reconcile))
}

func (w *world) reviews(p store.Promotion) []store.Review {
	w.Helper()
	reviews, err := w.store.Reviews(w.ctx, p.ID)
	w.must(err)
	return reviews
}

// A review counts for the digest that its head carried, and for nothing else.
func TestAReviewKeepsWhatItsAuthorSaw(t *testing.T) {
	w := newWorld(t)
	first := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	newer := w.artifact("1.7.1", digest("b"))
	p := w.propose("prod", newer)
	w.must(w.store.KeepHead(w.ctx, p.ID, w.commit(newer, sha("2"))))
	w.must(w.store.RecordRegenerated(w.ctx, p, w.commit(newer, sha("2"))))

	w.review(p, 1, alice, "APPROVED", sha("1")) // she had the older commit before her eyes
	w.review(p, 2, bob, "APPROVED", sha("2"))
	w.review(p, 3, bob, "COMMENTED", sha("f")) // somebody else's commit
	var got [][3]string
	for _, r := range w.reviews(p) {
		got = append(got, [3]string{r.Reviewer, r.Digest, r.EditHash})
	}
	want := [][3]string{{"alice", digest("a"), ""}, {"bob", digest("b"), "edit 1.7.1"}, {"bob", "", ""}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if n := len(w.reviews(first)); n != 0 {
		t.Errorf("the superseded promotion has %d reviews", n)
	}
}

func TestAReviewThatArrivesTwiceIsOne(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	want := w.promotion(p.ID).Want
	for range 2 {
		w.review(p, 1, bob, "APPROVED", sha("1"))
	}
	if n := len(w.reviews(p)); n != 1 {
		t.Errorf("%d reviews, want 1", n)
	}
	if got := w.promotion(p.ID).Want; got != want+1 {
		t.Errorf("the promotion was woken %d times, want once", got-want)
	}
	w.review(p, 1, bob, "DISMISSED", sha("1"))
	if n := len(w.reviews(p)); n != 2 {
		t.Errorf("a dismissal is a row of its own; there are %d", n)
	}
	log, err := w.store.AuditLog(w.ctx, 0, 100)
	w.must(err)
	last := log[len(log)-1]
	if last.Action != "review recorded" || last.ActorID != bob.ID || last.SHA != sha("1") || !strings.Contains(last.Inputs, "DISMISSED") {
		t.Errorf("the audit log says %+v", last)
	}
}

// What people said and what was observed is never changed afterwards, not even
// by a program that forgets that it should not.
func TestHistoryIsAppendOnly(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.review(p, 1, bob, "APPROVED", sha("1"))
	w.must(w.store.RecordTicks(w.ctx, p.ID, []store.NewTick{{Item: "dashboards", Checked: true}}, alice, "body", 0, reconcile))
	w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "same"}}, true))
	w.must(w.store.RecordVoice(w.ctx, p.ID, voice("checks", alice, 1), reconcile))
	for table, column := range map[string]string{"voice": "reason", "review": "state", "tick": "checked", "evidence": "verdict", "audit": "actor"} {
		rows := w.count("SELECT count(*) FROM " + table)
		if rows == 0 {
			t.Errorf("%s is empty", table)
		}
		for _, change := range []string{"DELETE FROM " + table, "UPDATE " + table + " SET " + column + " = " + column, "TRUNCATE " + table, "DELETE FROM " + table + " WHERE false"} {
			if _, err := w.store.Pool().Exec(w.ctx, change); err == nil || !strings.Contains(err.Error(), table+" is append-only") {
				t.Errorf("%s: %v", change, err)
			}
		}
		if after := w.count("SELECT count(*) FROM " + table); after != rows {
			t.Errorf("%s had %d rows and has %d", table, rows, after)
		}
	}
}

func TestTicksAreKeptWithWhoTicked(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	tick := func(by store.Actor, body string, ticks ...store.NewTick) {
		t.Helper()
		w.must(w.store.RecordTicks(w.ctx, p.ID, ticks, by, body, 0, reconcile))
	}
	tick(alice, "body 1", store.NewTick{Item: "dashboards", Checked: true}, store.NewTick{Item: "told support", Checked: true})
	tick(bob, "body 2", store.NewTick{Item: "dashboards", Checked: false})
	want := w.promotion(p.ID).Want
	tick(bob, "body 3") // he changed the text only

	ticks, err := w.store.Ticks(w.ctx, p.ID)
	w.must(err)
	var got []any
	for _, k := range ticks {
		got = append(got, k.Item, k.Checked, k.Actor)
	}
	if diff := cmp.Diff([]any{"dashboards", false, "bob", "told support", true, "alice"}, got); diff != "" {
		t.Error(diff)
	}
	after := w.promotion(p.ID)
	if after.PullBody != "body 3" || after.BodyHash != "" || after.Want != want+1 {
		t.Errorf("the body is rendered anew after every edit: body %q, hash %q, want %d (was %d)", after.PullBody, after.BodyHash, after.Want, want)
	}
	ticked := 0
	for _, action := range w.actions() {
		if action == "checklist changed" {
			ticked++
		}
	}
	if ticked != 2 {
		t.Errorf("%d audit rows about the checklist, want 2", ticked)
	}
}

func TestOnlyChangesAreObserved(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	observe := func(digest string, gates ...store.Observed) int {
		t.Helper()
		w.must(w.store.Observe(w.ctx, p, digest, gates, true))
		rows, err := w.store.Evidence(w.ctx, p.ID)
		w.must(err)
		return len(rows)
	}
	wait := store.Observed{Gate: "checks", Verdict: "wait", Reason: "Waiting for lint.", Source: "github"}
	pass := store.Observed{Gate: "checks", Verdict: "pass", Reason: "Successful: lint.", Source: "github"}
	same := store.Observed{Gate: "digest", Verdict: "pass", Reason: "Same.", Source: "registry"}
	soon := time.Date(2026, 11, 26, 16, 0, 0, 0, time.UTC)
	until := func(o store.Observed, at time.Time) store.Observed {
		o.ExpiresAt = at
		return o
	}
	steps := []struct {
		story  string
		digest string
		gates  []store.Observed
		rows   int
	}{
		{"the first look", digest("a"), []store.Observed{wait, same}, 2},
		{"nothing new", digest("a"), []store.Observed{wait, same}, 2},
		{"lint succeeded", digest("a"), []store.Observed{pass, same}, 3},
		{"lint runs again", digest("a"), []store.Observed{wait, same}, 4},
		{"another digest has evidence of its own", digest("b"), []store.Observed{wait, same}, 6},
		{"what it says holds for a while", digest("b"), []store.Observed{wait, until(same, soon)}, 7},
		{"and it is the same while", digest("b"), []store.Observed{wait, until(same, soon)}, 7},
		{"it was observed anew", digest("b"), []store.Observed{wait, until(same, soon.Add(time.Hour))}, 8},
	}
	for _, s := range steps {
		if rows := observe(s.digest, s.gates...); rows != s.rows {
			t.Errorf("%s: %d rows, want %d", s.story, rows, s.rows)
		}
	}
	p.SeenHeadSHA = sha("2")
	if rows := observe(digest("a"), same); rows != 9 {
		t.Errorf("another head has evidence of its own: %d rows, want 9", rows)
	}
	rows, err := w.store.Evidence(w.ctx, p.ID)
	w.must(err)
	if got := rows[7].ExpiresAt; got == nil || !got.Equal(soon.Add(time.Hour)) {
		t.Errorf("it expires at %v", got)
	}
}

// A gate that is not asked any more, such as that of a configuration which was
// mended, does not seem to wait for ever.
func TestAGateThatIsNotAskedAnyMoreIsLetGo(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "config", Verdict: "fail", Reason: "tagboat.yaml:3: no environments", Source: "git"}}, true))
	for range 2 {
		w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "digest", Verdict: "pass", Reason: "Same.", Source: "registry"}}, true))
	}
	rows, err := w.store.Evidence(w.ctx, p.ID)
	w.must(err)
	said := map[string]string{}
	for _, r := range rows {
		said[r.Gate] += r.Verdict + " "
	}
	if diff := cmp.Diff(map[string]string{"config": "fail pass ", "digest": "pass "}, said); diff != "" {
		t.Error(diff)
	}
}

func TestTheNewestResultOfACheckCounts(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	idle := w.open("dev", w.artifact("1.7.0", digest("a")), 8, sha("2"))
	at := w.clock.now()
	lint := func(status, conclusion string, at time.Time) store.CheckResult {
		return store.CheckResult{RepoID: w.repo.ID, HeadSHA: sha("1"), Kind: "check_run", AppID: 5, Name: "lint", Status: status, Conclusion: conclusion, URL: "u", ObservedAt: at}
	}
	see := func(c store.CheckResult) {
		t.Helper()
		if woken, err := w.store.SeeCheck(w.ctx, c, reconcile); err != nil || woken != 1 {
			t.Errorf("%d promotions woken, %v; want 1", woken, err)
		}
	}
	want := w.promotion(idle.ID).Want
	see(lint("completed", "success", at.Add(2*time.Second)))
	see(lint("in_progress", "", at.Add(time.Second))) // its webhook came late
	w.must(w.store.KeepChecks(w.ctx, []store.CheckResult{lint("queued", "", at)}))
	checks, err := w.store.Checks(w.ctx, w.repo.ID, sha("1"))
	w.must(err)
	if len(checks) != 1 || checks[0].Conclusion != "success" {
		t.Errorf("the checks are %+v; want the success, which is newest", checks)
	}
	see(lint("completed", "failure", at.Add(3*time.Second)))
	checks, err = w.store.Checks(w.ctx, w.repo.ID, sha("1"))
	w.must(err)
	if len(checks) != 1 || checks[0].Conclusion != "failure" {
		t.Errorf("the checks are %+v; want the failure, which is newest", checks)
	}
	if got := w.promotion(idle.ID).Want; got != want {
		t.Error("a promotion with another head was woken")
	}
	if got := w.promotion(p.ID); got.Want == got.Got {
		t.Error("the promotion was not woken")
	}
}

// Since when a gate says what it says is told across heads and reasons, and begins
// anew with every other verdict.
func TestSinceWhenAGateStands(t *testing.T) {
	w := newWorld(t)
	p := w.open("prod", w.artifact("1.7.0", digest("a")), 7, sha("1"))
	at := time.Date(2026, 3, 5, 8, 0, 0, 123456789, time.UTC)
	hour := func(n int) time.Time { return at.Add(time.Duration(n) * time.Hour) }
	for i, o := range []struct {
		head, gate, verdict, reason string
		next                        time.Time
	}{
		{"1", "checks", "wait", "lint", time.Time{}},
		{"1", "upstream", "wait", "soaks", hour(5)},
		{"1", "checks", "fail", "lint failed", time.Time{}},
		{"2", "checks", "fail", "lint failed", time.Time{}}, // another head
		{"2", "upstream", "pass", "healthy", time.Time{}},
		{"2", "checks", "fail", "scan failed, too", time.Time{}}, // another reason
		{"2", "upstream", "wait", "soaks anew", hour(9)},
	} {
		p.SeenHeadSHA = sha(o.head)
		w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{
			Gate: o.gate, Verdict: o.verdict, Reason: o.reason, Owner: "CI", Missing: 2, NextCheck: o.next, At: hour(i),
		}}, false))
	}
	got, err := w.store.Standings(w.ctx, p.ID)
	w.must(err)
	for gate, want := range map[string]store.Standing{"checks": {Verdict: "fail", Since: hour(2)}, "upstream": {Verdict: "wait", Since: hour(6)}} {
		if got[gate].Verdict != want.Verdict || !got[gate].Since.Equal(want.Since.Truncate(time.Microsecond)) {
			t.Errorf("%s stands at %+v, want %+v", gate, got[gate], want)
		}
	}
	last, err := w.store.LastEvidence(w.ctx, p.ID, digest("a"), sha("2"))
	w.must(err)
	if len(last) != 2 || last[0].Reason != "scan failed, too" || last[1].Owner != "CI" || last[1].Missing != 2 || last[1].NextCheck == nil ||
		!last[1].NextCheck.Equal(hour(9).Truncate(time.Microsecond)) {
		t.Errorf("the last evidence: %+v", last)
	}
	w.must(w.store.Observe(w.ctx, p, digest("a"), []store.Observed{{Gate: "upstream", Verdict: "wait", Reason: "soaks anew", Owner: "CI", NextCheck: hour(9)}}, false))
	if all, err := w.store.Evidence(w.ctx, p.ID); err != nil || len(all) != 7 {
		t.Errorf("what was observed before is no new evidence; there are %d rows, %v", len(all), err)
	}
}
