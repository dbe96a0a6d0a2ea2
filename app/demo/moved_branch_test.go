package demo

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/tagboat/tagboat/internal/githubsim"
)

// TestTheAnswerToMovingTheBranchIsLost: a newer version takes a waiting pull
// request over, GitHub moves the branch and its answer is lost. The commit there
// is Tagboat's own, and the pull request goes on.
func TestTheAnswerToMovingTheBranchIsLost(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	s := &story{teller: &teller{say: func(s string) { t.Log(s) }}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	alice := w.GitHub.As("alice")
	var issue, waiting int
	ask := func(version string) func(context.Context) error {
		return func(ctx context.Context) error {
			digest, err := w.release(ctx, "payments", version)
			s.digests["payments "+version] = digest
			return err
		}
	}
	s.chapter(ctx, "taken over", func(ctx context.Context) {
		s.do(ctx, "CI pushes 1.7.0", ask("1.7.0"))
		s.until(ctx, "staging runs it", func(ctx context.Context) error {
			return w.runs(ctx, "staging", "payments", s.version("payments", "1.7.0"))
		})
		s.do(ctx, "alice asks for it in prod", func(context.Context) (err error) {
			if issue, err = alice.OpenIssue(envRepo, "Release payments", ""); err == nil {
				_, err = alice.Comment(envRepo, issue, "/promote prod payments 1.7.0")
			}
			return err
		})
		s.until(ctx, "its pull request waits for approvals", func(context.Context) error {
			p, err := w.isOpen("prod", "payments", "1.7.0")
			if err != nil {
				return err
			}
			waiting = p.Number
			return w.checkSays(p.Number, "0 of 2 approvals")
		})
		s.do(ctx, "CI pushes 1.8.0", ask("1.8.0"))
		s.until(ctx, "staging runs it", func(ctx context.Context) error {
			return w.runs(ctx, "staging", "payments", s.version("payments", "1.8.0"))
		})
		s.do(ctx, "alice asks for 1.8.0, and GitHub's answer to the moved branch is lost", func(context.Context) error {
			w.GitHub.Inject(githubsim.Fault{
				Route: "PATCH /repos/{owner}/{repo}/git/refs/{ref}", Times: 1, Status: 502, AfterWork: true,
				Match: func(r githubsim.Request) bool { return r.App == "tagboat" },
			})
			_, err := alice.Comment(envRepo, issue, "/promote prod payments 1.8.0")
			return err
		})
		s.until(ctx, "the same pull request carries 1.8.0, in a commit that passes", func(context.Context) error {
			p, err := w.isOpen("prod", "payments", "1.8.0")
			switch {
			case err != nil:
				return err
			case p.Number != waiting || len(p.Commits) != 1 || !strings.Contains(p.Diff, s.digests["payments 1.8.0"]):
				return fmt.Errorf("#%d has %d commits: %s", p.Number, len(p.Commits), p.Diff)
			}
			return w.checkSays(p.Number, "0 of 2 approvals", "Only the image's tag and digest change")
		})
	})
	if failed := s.report.Failed(); failed != "" {
		t.Fatal(failed)
	}
}
