package demo

import (
	"context"
	"fmt"
	"strings"
	"testing"
)

// TestPullRequestsOfPeople: the branch requires Tagboat's check on every pull
// request. People can change what is theirs, and go back to a version that an
// environment had; they cannot bring a new one in past its gates.
func TestPullRequestsOfPeople(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	s := &story{teller: &teller{say: func(s string) { t.Log(s) }}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	s.chapter(ctx, "push", s.push)
	alice := w.GitHub.As("alice")
	propose := func(branch, title string, files map[string]string) (number int, err error) {
		if _, err := alice.Push(envRepo, branch, title, files); err != nil {
			return 0, err
		}
		return alice.OpenPull(envRepo, branch, "main", title, "")
	}
	check := func(number int, conclusion, says string) error {
		p, err := w.GitHub.Pull(envRepo, number)
		if err != nil {
			return err
		}
		if c := ownCheck(p); c.Concluded != conclusion || !strings.Contains(c.Title+c.Summary, says) {
			return fmt.Errorf("#%d: the check is %q, “%s”, want %s, “%s”", number, c.Concluded, c.Title, conclusion, says)
		}
		return nil
	}
	overlay := func(env string) (path, text string) {
		path = "apps/payments/overlays/" + env + "/kustomization.yaml"
		data, err := w.GitHub.File(envRepo, "main", path)
		if err != nil {
			t.Fatal(err)
		}
		return path, string(data)
	}
	s.chapter(ctx, "people", func(ctx context.Context) {
		var readme, past, back int
		s.do(ctx, "alice edits the README, moves prod past its gates, and takes dev back", func(context.Context) (err error) {
			if readme, err = propose("readme", "Say more", map[string]string{"README.md": "# acme/env\n\nMore.\n"}); err != nil {
				return err
			}
			path, text := overlay("prod")
			path17, text17 := overlay("dev")
			old, now := s.version("payments", "1.6.0"), s.version("payments", "1.7.0")
			swap := func(text string, from, to Version) string {
				return strings.NewReplacer(from.Tag, to.Tag, from.Digest, to.Digest).Replace(text)
			}
			if past, err = propose("past", "payments 1.7.0 to prod", map[string]string{path: swap(text, old, now)}); err != nil {
				return err
			}
			back, err = propose("back", "Revert payments in dev", map[string]string{path17: swap(text17, now, old)})
			return err
		})
		s.until(ctx, "the first may be merged", func(context.Context) error { return check(readme, "success", "Not a promotion") })
		s.until(ctx, "the second may not, and it says what to do", func(context.Context) error { return check(past, "failure", "/promote") })
		s.until(ctx, "the third may", func(context.Context) error { return check(back, "success", "Not a promotion") })
		s.do(ctx, "GitHub merges the first, and not the second", func(context.Context) error {
			if _, err := alice.MergePull(envRepo, readme, "squash"); err != nil {
				return err
			}
			if _, err := alice.MergePull(envRepo, past, "squash"); err == nil {
				return fmt.Errorf("#%d was merged past prod's gates", past)
			}
			return nil
		})
		s.do(ctx, "she takes dev back", func(context.Context) error {
			_, err := alice.MergePull(envRepo, back, "squash")
			return err
		})
		s.until(ctx, "dev runs 1.6.0 again, and stays there", func(ctx context.Context) error {
			return w.runs(ctx, "dev", "payments", s.version("payments", "1.6.0"))
		})
	})
	if failed := s.report.Failed(); failed != "" {
		t.Fatal(failed)
	}
}
