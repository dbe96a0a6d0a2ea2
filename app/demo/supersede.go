package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// supersede: a newer build arrives while the approvals are half complete. It takes the
// older one's place in the same pull request, and everybody hears of it.
func (s *story) supersede(ctx context.Context) {
	alice, bob, carol := s.w.GitHub.As("alice"), s.w.GitHub.As("bob"), s.w.GitHub.As("carol")
	var asked, waiting int
	s.released(ctx, "shop", "3.1.0")
	s.do(ctx, "Alice asks for shop 3.1.0 in prod", func(context.Context) (err error) {
		if asked, err = alice.OpenIssue(envRepo, "Please", ""); err == nil {
			_, err = alice.Comment(envRepo, asked, "/promote prod shop 3.1.0")
		}
		return err
	})
	s.until(ctx, "its pull request opens", func(context.Context) error {
		p, err := s.w.isOpen("prod", "shop", "3.1.0")
		waiting = p.Number
		return err
	})
	s.do(ctx, "Bob approves", func(context.Context) error {
		_, err := bob.Review(envRepo, waiting, "APPROVE", "")
		return err
	})
	s.until(ctx, "one of two approvals is there", func(context.Context) error { return s.w.checkSays(waiting, "1 of 2 approvals (bob)") })
	s.released(ctx, "shop", "3.1.1")
	s.do(ctx, "Carol asks for 3.1.1", func(context.Context) error {
		_, err := carol.Comment(envRepo, waiting, "/promote prod shop 3.1.1")
		return err
	})
	s.until(ctx, "it goes into the same pull request, which tells what it replaces, and who asked for it", func(context.Context) error {
		p, err := s.w.isOpen("prod", "shop", "3.1.1")
		if err == nil && p.Number != waiting {
			err = fmt.Errorf("#%d was opened beside #%d", p.Number, waiting)
		}
		for _, part := range []string{"| Requested by | carol [here]", "| Replaces | [`3.1.0`]", "which alice asked for [here]"} {
			if err == nil && !strings.Contains(p.Body, part) {
				err = fmt.Errorf("the description lacks “%s”:\n%s", part, p.Body)
			}
		}
		return err
	})
	s.until(ctx, "Bob's approval is dismissed, and he reads why", func(context.Context) error {
		return errors.Join(s.w.checkSays(waiting, "0 of 2 approvals", "bob approved another digest"), s.w.reviewOf(waiting, "bob", "DISMISSED", "shop 3.1.1", "which carol asked for"))
	})
	s.until(ctx, "Alice hears of it where she asked", func(context.Context) error {
		_, err := s.w.told(asked, "`3.1.0` of **shop** does not go to **prod** now: carol asked for `3.1.1`")
		return err
	})
	s.do(ctx, "Alice and Bob approve the new one, and Bob ticks the checklist", func(context.Context) error {
		_, errAlice := alice.Review(envRepo, waiting, "APPROVE", "")
		_, errBob := bob.Review(envRepo, waiting, "APPROVE", "")
		return errors.Join(errAlice, errBob, bob.Tick(envRepo, waiting, "Release notes read"), bob.Tick(envRepo, waiting, "On-call informed"))
	})
	s.until(ctx, "it merges, and prod runs 3.1.1", func(ctx context.Context) error {
		if _, err := s.w.isMerged("prod", "shop", "3.1.1"); err != nil {
			return err
		}
		return s.w.runs(ctx, "prod", "shop", s.version("shop", "3.1.1"))
	})
}

// released: CI pushes a version, and it comes to staging by itself.
func (s *story) released(ctx context.Context, app, tag string) {
	s.do(ctx, fmt.Sprintf("CI pushes %s:%s", app, tag), func(ctx context.Context) (err error) {
		s.digests[app+" "+tag], err = s.w.release(ctx, app, tag)
		return err
	})
	s.until(ctx, "it reaches staging", func(ctx context.Context) error {
		if _, err := s.w.isMerged("staging", app, tag); err != nil {
			return err
		}
		return s.w.runs(ctx, "staging", app, s.version(app, tag))
	})
}

// told counts Tagboat's comments that say all parts; none is an error.
func (w *World) told(number int, parts ...string) (n int, err error) {
	all, err := w.comments(number)
	for _, c := range all {
		says := c.Author == "tagboat[bot]"
		for _, part := range parts {
			says = says && strings.Contains(c.Body, part)
		}
		if says {
			n++
		}
	}
	if n == 0 && err == nil {
		err = fmt.Errorf("none of %+v says “%s”", all, strings.Join(parts, "” and “"))
	}
	return n, err
}
