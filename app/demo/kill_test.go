package demo

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// killer ends Tagboat with SIGKILL while GitHub is about to answer it, so that
// the work is done and the answer is lost, and starts it again.
type killer struct {
	t     *testing.T
	w     *World
	pick  func(githubsim.Request) bool // is this the moment?
	mu    sync.Mutex
	kills []string
	busy  sync.WaitGroup
}

func (k *killer) see(r githubsim.Request) {
	if r.App != "tagboat" {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.pick(r) {
		return
	}
	k.kills = append(k.kills, r.Route)
	k.w.Tagboat.Kill()
	k.busy.Go(func() {
		if err := k.w.Tagboat.Start(context.Background()); err != nil {
			k.t.Errorf("start Tagboat again after %s: %v", r.Route, err)
		}
	})
}

// TestKilledAfterEachKindOfRequest plays the story and kills Tagboat once after
// each kind of request that changes something on GitHub. It has to end as if
// nothing had happened.
func TestKilledAfterEachKindOfRequest(t *testing.T) {
	deadly := map[string]bool{
		"POST /repos/{owner}/{repo}/git/trees":                              true,
		"POST /repos/{owner}/{repo}/git/commits":                            true,
		"POST /repos/{owner}/{repo}/git/refs":                               true,
		"POST /repos/{owner}/{repo}/pulls":                                  true,
		"POST /repos/{owner}/{repo}/issues/{number}/labels":                 true,
		"POST /repos/{owner}/{repo}/check-runs":                             true,
		"PATCH /repos/{owner}/{repo}/pulls/{number}":                        true,
		"PUT /repos/{owner}/{repo}/pulls/{number}/merge":                    true,
		"DELETE /repos/{owner}/{repo}/git/refs/{ref}":                       true,
		"POST /repos/{owner}/{repo}/deployments":                            true,
		"POST /repos/{owner}/{repo}/issues/{number}/comments":               true,
		"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions": true,
	}
	playKilled(t, func(r githubsim.Request) bool {
		now := deadly[r.Route]
		delete(deadly, r.Route)
		return now
	}, func(kills []string) error {
		if len(deadly) > 0 {
			return fmt.Errorf("the story never came to %v", deadly)
		}
		return nil
	})
}

// TestKilledAgainAndAgain kills Tagboat after every eleventh request, whatever it
// is.
func TestKilledAgainAndAgain(t *testing.T) {
	n, killed := 0, 0
	playKilled(t, func(githubsim.Request) bool {
		n++
		if n%11 != 0 || killed == 12 {
			return false
		}
		killed++
		return true
	}, func(kills []string) error {
		if len(kills) < 8 {
			return fmt.Errorf("Tagboat was killed %d times only", len(kills))
		}
		return nil
	})
}

// TestKilledWhileGoingBack kills Tagboat once after each kind of request that a rollback
// makes. It happens once, and so do the hold and the denial that come with it.
func TestKilledWhileGoingBack(t *testing.T) {
	deadly := map[string]bool{
		"POST /repos/{owner}/{repo}/issues/comments/{comment_id}/reactions": true,
		"POST /repos/{owner}/{repo}/git/commits":                            true,
		"POST /repos/{owner}/{repo}/git/refs":                               true,
		"POST /repos/{owner}/{repo}/pulls":                                  true,
		"POST /repos/{owner}/{repo}/check-runs":                             true,
		"PUT /repos/{owner}/{repo}/pulls/{number}/merge":                    true,
		"DELETE /repos/{owner}/{repo}/git/refs/{ref}":                       true,
		"POST /repos/{owner}/{repo}/deployments":                            true,
		"POST /repos/{owner}/{repo}/issues/{number}/comments":               true,
	}
	ctx := context.Background()
	w := newWorld(t)
	s := &story{teller: &teller{say: func(s string) { t.Log(s) }}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	s.chapter(ctx, "push", s.push)
	s.chapter(ctx, "promote", s.promote)
	k := &killer{t: t, w: w, pick: func(r githubsim.Request) bool {
		now := deadly[r.Route]
		delete(deadly, r.Route)
		return now
	}}
	w.GitHub.OnRequest(k.see)
	s.chapter(ctx, "rollback", s.rollback)
	w.GitHub.OnRequest(nil)
	k.busy.Wait()
	if failed := s.report.Failed(); failed != "" {
		t.Fatal(failed)
	}
	if len(deadly) > 0 {
		t.Errorf("the rollback never came to %v", deadly)
	}
	p, err := w.isRolledBack("prod", "payments", "1.6.0")
	if err != nil {
		t.Fatal(err)
	}
	once(t, w, p.Number)
	for _, table := range []string{"rollback", "denial", "stop"} {
		if n, err := w.count(ctx, "SELECT count(*) FROM "+table); err != nil || n != 1 {
			t.Errorf("table %s has %d rows, want 1; %v", table, n, err)
		}
	}
}

func playKilled(t *testing.T, pick func(githubsim.Request) bool, enough func(kills []string) error) {
	w := newWorld(t)
	k := &killer{t: t, w: w, pick: pick}
	w.GitHub.OnRequest(k.see)
	report := Play(context.Background(), w, func(s string) { t.Log(s) })
	w.GitHub.OnRequest(nil)
	k.busy.Wait()
	t.Logf("killed after: %s", strings.Join(k.kills, ", "))
	if failed := report.Failed(); failed != "" {
		t.Fatal(failed)
	}
	if err := enough(k.kills); err != nil {
		t.Error(err)
	}
	want := []string{
		"dev: payments 1.6.0 → 1.7.0", "staging: payments 1.6.0 → 1.7.0", "prod: payments 1.6.0 → 1.7.0",
		"dev: catalog 2.3.0 → 2.3.1", "staging: catalog 2.3.0 → 2.3.1", "Three shops in prod",
		"dev: shop 3.0.0 → 3.1.0", "staging: shop 3.0.0 → 3.1.0", "prod: shop 3.0.0 → 3.1.1", "dev: shop 3.1.0 → 3.1.1", "staging: shop 3.1.0 → 3.1.1",
		"Roll payments in prod back to 1.6.0",
		"dev: catalog 2.3.1 → crash1", "staging: catalog 2.3.1 → 2.4.0", "dev: catalog crash1 → 2.4.0", secondProd,
	}
	if len(report.Pulls) != len(want) {
		t.Errorf("there are %d pull requests, want %d: %v", len(report.Pulls), len(want), report.Pulls)
	}
	for i, p := range report.Pulls {
		if p.State != "merged" || i < len(want) && p.Title != want[i] {
			t.Errorf("pull request #%d is “%s”, %s; want “%s”, merged", p.Number, p.Title, p.State, want[i])
		}
		if p.Title != "Three shops in prod" && p.Title != secondProd {
			once(t, w, p.Number)
		} else if err := judgedOnce(w, p.Number); err != nil {
			t.Error(err)
		}
	}
}

// judgedOnce wants a person's pull request to have Tagboat's check once, and nothing
// else of Tagboat's.
func judgedOnce(w *World, number int) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	checks, comments := 0, 0
	for _, c := range p.Checks {
		if c.Name == "tagboat" {
			checks++
		}
	}
	for _, c := range p.Comments {
		if c.Author == "tagboat[bot]" {
			comments++
		}
	}
	if checks != 1 || comments+len(p.Deployments) != 0 {
		return fmt.Errorf("#%d is a person's, and has %d check runs of Tagboat's, %d comments, %d deployments", number, checks, comments, len(p.Deployments))
	}
	return nil
}

// once wants every effect on a pull request to have happened once.
func once(t testing.TB, w *World, number int) {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		t.Fatal(err)
	}
	status, checks := 0, 0
	replies := map[string]int{}
	for _, c := range p.Comments {
		if c.Author != "tagboat[bot]" {
			continue
		}
		if strings.Contains(c.Body, "tagboat:status") {
			status++
		}
		replies[c.Body]++
	}
	for body, n := range replies {
		if n > 1 {
			t.Errorf("#%d has the same comment %d times: %s", number, n, body)
		}
	}
	for _, c := range p.Checks {
		if c.Name == "tagboat" {
			checks++
		}
	}
	places := map[string]bool{}
	for _, d := range p.Deployments {
		places[d.Environment] = true
	}
	if status != 1 || checks != 1 || len(places) == 0 || len(p.Deployments) != len(places) || len(p.Commits) != 1 {
		t.Errorf("#%d has %d status comments, %d check runs of Tagboat's, %d commits; want one of each; and deployments %v, want one to each cluster",
			number, status, checks, len(p.Commits), p.Deployments)
	}
}
