package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/store"
)

// rollback: 1.7.0 returns errors in prod. One comment brings 1.6.0 back, and keeps
// 1.7.0 away.
func (s *story) rollback(ctx context.Context) {
	bob, alice := s.w.GitHub.As("bob"), s.w.GitHub.As("alice")
	var comment, promote int64
	var number int
	s.do(ctx, "Bob comments /rollback prod payments 1.7.0 returns errors", func(context.Context) (err error) {
		comment, err = bob.Comment(envRepo, s.prod, "/rollback prod payments 1.7.0 returns errors")
		return err
	})
	s.until(ctx, "the pull request that goes back merges at once: nobody has to approve what was approved before", func(context.Context) error {
		p, err := s.w.isRolledBack("prod", "payments", "1.6.0")
		number = p.Number
		return errors.Join(err, s.w.reacted(s.prod, comment, "eyes", "rocket"))
	})
	s.do(ctx, "it is one commit, as git revert writes it", func(context.Context) error {
		return s.w.reverts(number, s.prod, "apps/payments/overlays/prod/kustomization.yaml", "1.7.0 returns errors")
	})
	s.until(ctx, "the prod cluster runs the digest that it ran before", func(ctx context.Context) error {
		return errors.Join(s.w.runs(ctx, "prod", "payments", s.version("payments", "1.6.0")), s.w.pins("prod", "payments", s.version("payments", "1.6.0")))
	})
	s.until(ctx, "payments is on hold in prod, and 1.7.0 on its denylist", func(ctx context.Context) error {
		return s.w.heldAndDenied(ctx, "prod", "payments", "bob", s.digests["payments 1.7.0"])
	})
	s.do(ctx, "Alice comments /promote prod payments 1.7.0", func(context.Context) (err error) {
		promote, err = alice.Comment(envRepo, number, "/promote prod payments 1.7.0")
		return err
	})
	s.until(ctx, "she is refused, and told who took it back, why, and what lifts it", func(context.Context) error {
		return errors.Join(s.w.reacted(number, promote, "eyes", "confused"),
			s.w.said(number, "1.7.0 was taken back here by bob", "1.7.0 returns errors", "/allow prod payments 1.7.0"))
	})
	s.until(ctx, "the rollback is reported, and the audit log tells of it", func(ctx context.Context) error {
		if err := errors.Join(s.w.said(number, "1.6.0", "healthy"), s.w.deployed(number, "prod"), s.w.atRest(ctx), s.w.soundAudit(ctx)); err != nil {
			return err
		}
		return s.w.audited(ctx, "Rolled back", "1.7.0 returns errors", "by bob (")
	})
}

// isRolledBack wants the pull request that goes back to a version to be merged.
func (w *World) isRolledBack(env, app, version string) (githubsim.PullView, error) {
	p, err := w.isMerged(env, app, version)
	if want := fmt.Sprintf("Roll %s in %s back to %s", app, env, version); err == nil && p.Title != want {
		err = fmt.Errorf("pull request #%d is “%s”, not “%s”", p.Number, p.Title, want)
	}
	return p, err
}

// reverts wants a pull request to have put one commit on main, in the form of git
// revert, that takes back another's merge and changes one file.
func (w *World) reverts(number, reverted int, file, reason string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	of, err := w.GitHub.Pull(envRepo, reverted)
	if err != nil {
		return err
	}
	if err := changedOnly(p, file); err != nil {
		return err
	}
	return w.revertCommit(p, of, reason)
}

// revertCommit wants the merge of a pull request to be, in the form of git revert, the
// revert of another's.
func (w *World) revertCommit(p, of githubsim.PullView, reason string) error {
	log, err := w.GitHub.Log(envRepo, "main")
	if err != nil {
		return err
	}
	messages := map[string]string{}
	for _, c := range log {
		messages[c.SHA] = c.Message
	}
	subject, _, _ := strings.Cut(messages[of.MergeCommitSHA], "\n")
	want := fmt.Sprintf("Revert \"%s\"\n\nThis reverts commit %s.\n", subject, of.MergeCommitSHA)
	if got := messages[p.MergeCommitSHA]; subject == "" || !strings.HasPrefix(got, want) || !strings.Contains(got, "\nReason: "+reason+"\n") {
		return fmt.Errorf("the commit says “%s”, which does not begin with “%s” or lacks the reason", got, want)
	}
	return nil
}

// heldAndDenied wants an app to be on hold in an environment, and a digest of it to be
// denied there, by a person.
func (w *World) heldAndDenied(ctx context.Context, env, app, by, digest string) error {
	return w.database(ctx, func(db *store.Store) error {
		repo, err := db.RepoByName(ctx, org, "env")
		if err != nil {
			return err
		}
		stops, err := db.Stops(ctx, store.Scope{Owner: org, Repo: repo.ID, Env: env, App: app})
		if err != nil {
			return err
		}
		denials, err := db.Denials(ctx, repo.ID, app, env)
		if err != nil {
			return err
		}
		if len(stops) != 1 || stops[0].Actor != by || stops[0].App != app {
			return fmt.Errorf("%s is not on hold in %s by %s: %+v", app, env, by, stops)
		}
		if !slices.ContainsFunc(denials, func(d store.Denial) bool { return d.Actor == by && d.Digest == digest }) {
			return fmt.Errorf("%.19s is not denied to %s in %s by %s: %+v", digest, app, env, by, denials)
		}
		return nil
	})
}

// audited wants tagboat audit to say all parts about payments in prod.
func (w *World) audited(ctx context.Context, parts ...string) error {
	said, code, err := w.command(ctx, "audit", "--env", "prod", "--app", "payments")
	if err != nil || code != 0 {
		return errors.Join(err, fmt.Errorf("tagboat audit ended with %d and said: %s", code, said))
	}
	for _, part := range parts {
		if !strings.Contains(said, part) {
			return fmt.Errorf("the answer does not say “%s”:\n%s", part, said)
		}
	}
	return nil
}
