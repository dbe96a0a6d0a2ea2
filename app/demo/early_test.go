package demo

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// TestSomebodyIsFasterThanGitHubsAnswer: a pull request is reviewed before GitHub
// has answered Tagboat that it is open. The review is not lost.
func TestSomebodyIsFasterThanGitHubsAnswer(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	s := &story{teller: &teller{say: func(s string) { t.Log(s) }}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	s.chapter(ctx, "push", s.push)
	alice := w.GitHub.As("alice")
	var early error
	w.GitHub.OnRequest(func(r githubsim.Request) {
		if r.App != "tagboat" || r.Route != "POST /repos/{owner}/{repo}/pulls" {
			return
		}
		p, err := w.isOpen("prod", "payments", "1.7.0")
		if err == nil {
			_, err = alice.Review(envRepo, p.Number, "APPROVE", "")
		}
		early = errors.Join(err, w.reviewWasTried(ctx))
	})
	s.chapter(ctx, "early", func(ctx context.Context) {
		var number int
		s.do(ctx, "alice asks for prod, and approves before GitHub has answered", func(context.Context) error {
			issue, err := alice.OpenIssue(envRepo, "Release payments", "")
			if err != nil {
				return err
			}
			_, err = alice.Comment(envRepo, issue, "/promote prod payments 1.7.0")
			return err
		})
		s.until(ctx, "the check knows of it", func(context.Context) error {
			p, err := w.isOpen("prod", "payments", "1.7.0")
			if err != nil {
				return err
			}
			number = p.Number
			return w.checkSays(number, "alice asked for this promotion")
		})
	})
	w.GitHub.OnRequest(nil)
	if early != nil {
		t.Error(early)
	}
	if failed := s.report.Failed(); failed != "" {
		t.Fatal(failed)
	}
}

// reviewWasTried waits until Tagboat has worked on the review's webhook once.
func (w *World) reviewWasTried(ctx context.Context) error {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
		tried := 0
		err := w.database(ctx, func(db *store.Store) error {
			return db.Pool().QueryRow(ctx, `SELECT count(*) FROM river.river_job j JOIN delivery d ON d.id = (j.args->>'delivery')::bigint
				WHERE j.kind = 'deliver' AND d.event = 'pull_request_review' AND j.attempt > 0 AND j.state <> 'running'`).Scan(&tried)
		})
		if err != nil || tried > 0 {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(10 * time.Millisecond):
		}
	}
	return errors.New("the review's webhook was not worked on")
}
