package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/githubsim"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// Play tells the story in a world. It stops at the first step that fails; the
// report names it.
func Play(ctx context.Context, w *World, say func(string)) Report {
	s := &story{teller: &teller{say: say}, w: w, digests: map[string]string{}}
	s.chapter(ctx, "start", s.start)
	s.chapter(ctx, "push", s.push)
	s.chapter(ctx, "promote", s.promote)
	s.chapter(ctx, "staging-only", s.stagingOnly)
	s.chapter(ctx, "repush", s.repush)
	s.chapter(ctx, "policy", s.policy)
	s.chapter(ctx, "supersede", s.supersede)
	s.chapter(ctx, "audit", s.audit)
	s.chapter(ctx, "rollback", s.rollback)
	s.chapter(ctx, "drift", s.drift)
	s.chapter(ctx, "unhealthy", s.unhealthy)
	if w.options.Cluster == "" { // else there is no other cluster to add
		s.chapter(ctx, "new-cluster", s.newCluster)
	}
	return s.finish(ctx)
}

// story is what the chapters share.
type story struct {
	*teller
	w       *World
	digests map[string]string // "payments 1.7.0" -> digest
	calls   int
	prod    int // number of the pull request that brings 1.7.0 to prod
}

func (s *story) version(app, tag string) Version {
	return Version{Tag: tag, Digest: s.digests[app+" "+tag]}
}

// start: Tagboat finds an organisation that is at work already, and brings the
// clusters to what Git says.
func (s *story) start(ctx context.Context) {
	s.until(ctx, "every app runs its first version in dev, staging and prod", func(ctx context.Context) error {
		running, err := s.w.Running(ctx)
		if err != nil {
			return err
		}
		for _, env := range environments {
			for _, app := range apps {
				got := running[env][app]
				if got.Tag != versions[app] {
					return fmt.Errorf("%s runs %q in %s", app, got.Tag, env)
				}
				s.digests[app+" "+got.Tag] = got.Digest
			}
		}
		return nil
	})
	s.until(ctx, "Tagboat knows that all nine overlays are healthy", func(ctx context.Context) error {
		return s.w.healthyTargets(ctx, len(apps)*len(environments))
	})
}

// push: CI pushes payments 1.7.0; it goes through dev and staging by itself.
func (s *story) push(ctx context.Context) {
	before := len(s.w.GitHub.Requests())
	s.do(ctx, "CI pushes payments:1.7.0 and tells Tagboat", func(ctx context.Context) (err error) {
		s.digests["payments 1.7.0"], err = s.w.release(ctx, "payments", "1.7.0")
		return err
	})
	s.until(ctx, "dev's pull request opens, its checks pass, it merges by itself", func(context.Context) error {
		p, err := s.w.isMerged("dev", "payments", "1.7.0")
		if err != nil {
			return err
		}
		return errors.Join(changedOnly(p, "apps/payments/overlays/dev/kustomization.yaml"), s.w.onlyOnePull())
	})
	s.calls = callsFor(untilMerge(s.w.GitHub.Requests()[before:]))
	s.until(ctx, "the dev cluster runs 1.7.0", func(ctx context.Context) error {
		return s.w.runs(ctx, "dev", "payments", s.version("payments", "1.7.0"))
	})
	s.until(ctx, "staging follows when dev is healthy", func(context.Context) error {
		_, err := s.w.isMerged("staging", "payments", "1.7.0")
		return err
	})
	s.until(ctx, "the staging cluster runs 1.7.0", func(ctx context.Context) error {
		return s.w.runs(ctx, "staging", "payments", s.version("payments", "1.7.0"))
	})
	s.do(ctx, "the merge commit in Git pins tag and digest", func(context.Context) error {
		return s.w.pins("staging", "payments", s.version("payments", "1.7.0"))
	})
	s.do(ctx, "prod still runs 1.6.0, and no pull request is open", func(ctx context.Context) error {
		if p, err := s.w.pullTo("prod", "payments", "1.7.0"); err == nil {
			return fmt.Errorf("pull request #%d was opened, but nobody asked", p.Number)
		}
		return s.w.runs(ctx, "prod", "payments", s.version("payments", "1.6.0"))
	})
}

// changedOnly wants a pull request to change one file, in as many lines as it
// adds.
func changedOnly(p githubsim.PullView, file string) error {
	if len(p.Files) != 1 || p.Files[0] != file {
		return fmt.Errorf("pull request #%d changes %v, not %s alone", p.Number, p.Files, file)
	}
	return nil
}

// pins wants an overlay on the base branch to pin a version.
func (w *World) pins(env, app string, want Version) error {
	data, err := w.GitHub.File(envRepo, "main", fmt.Sprintf("apps/%s/overlays/%s/kustomization.yaml", app, env))
	if err != nil {
		return err
	}
	if text := string(data); !strings.Contains(text, "newTag: "+want.Tag) || !strings.Contains(text, want.Digest) {
		return fmt.Errorf("the overlay of %s in %s does not pin %s %s", app, env, want.Tag, image.ShortDigest(want.Digest))
	}
	return nil
}

// promote: Alice asks for prod. Four eyes, a checklist, and then it goes out.
func (s *story) promote(ctx context.Context) {
	alice, bob, carol, oscar := s.w.GitHub.As("alice"), s.w.GitHub.As("bob"), s.w.GitHub.As("carol"), s.w.GitHub.As("oscar")
	staging, _ := s.w.pullTo("staging", "payments", "1.7.0")
	var comment int64
	s.do(ctx, "Oscar, an outsider, comments /promote prod", func(context.Context) (err error) {
		comment, err = oscar.Comment(envRepo, staging.Number, "/promote prod")
		return err
	})
	s.until(ctx, "he is refused, without a word: nobody can make Tagboat talk", func(context.Context) error {
		return errors.Join(s.w.reacted(staging.Number, comment, "eyes", "confused"), s.w.unanswered(staging.Number, comment))
	})
	s.do(ctx, "Alice comments /promote prod", func(context.Context) (err error) {
		comment, err = alice.Comment(envRepo, staging.Number, "/promote prod")
		return err
	})
	s.until(ctx, "eyes, then rocket; prod's pull request opens", func(context.Context) error {
		p, err := s.w.isOpen("prod", "payments", "1.7.0")
		s.prod = p.Number
		return errors.Join(err, s.w.reacted(staging.Number, comment, "eyes", "rocket"))
	})
	s.do(ctx, "Alice approves her own request", func(context.Context) error {
		_, err := alice.Review(envRepo, s.prod, "APPROVE", "Looks good to me.")
		return err
	})
	s.until(ctx, "it does not count, and the check says so", func(context.Context) error {
		return s.w.checkSays(s.prod, "0 of 2 approvals", "alice asked for this promotion")
	})
	s.do(ctx, "Bob and Carol approve", func(context.Context) error {
		_, errBob := bob.Review(envRepo, s.prod, "APPROVE", "")
		_, errCarol := carol.Review(envRepo, s.prod, "APPROVE", "")
		return errors.Join(errBob, errCarol)
	})
	s.until(ctx, "two approvals count; the checklist keeps it waiting", func(context.Context) error {
		p, err := s.w.isOpen("prod", "payments", "1.7.0")
		if err != nil {
			return err
		}
		return s.w.checkSays(p.Number, "2 of 2 approvals", "0 of 2 ticked")
	})
	s.do(ctx, "Bob ticks the checklist", func(context.Context) error {
		return errors.Join(bob.Tick(envRepo, s.prod, "Release notes read"), bob.Tick(envRepo, s.prod, "On-call informed"))
	})
	s.until(ctx, "it merges", func(context.Context) error {
		_, err := s.w.isMerged("prod", "payments", "1.7.0")
		return err
	})
	s.until(ctx, "the prod cluster runs 1.7.0", func(ctx context.Context) error {
		return s.w.runs(ctx, "prod", "payments", s.version("payments", "1.7.0"))
	})
	s.until(ctx, "the pull request says where it runs, and GitHub's deployment succeeded", func(context.Context) error {
		return errors.Join(s.w.said(s.prod, "1.7.0", "healthy"), s.w.deployed(s.prod, "prod"))
	})
	s.do(ctx, "who approved what is in the database", func(ctx context.Context) error {
		return s.w.database(ctx, func(db *store.Store) error { return approvedBy(ctx, db, s.prod, "alice", "bob", "carol") })
	})
}

// deployed wants a successful GitHub deployment of a pull request's merge to each cluster
// of an environment.
func (w *World) deployed(number int, env string) error {
	p, err := w.GitHub.Pull(envRepo, number)
	if err != nil {
		return err
	}
	found := false
	for _, d := range p.Deployments {
		if !strings.HasPrefix(d.Environment, env+"/") {
			continue
		}
		if found = true; d.State != "success" {
			return fmt.Errorf("the deployment of pull request #%d to %s is %q", number, d.Environment, d.State)
		}
	}
	if !found {
		return fmt.Errorf("pull request #%d has no deployment to %s", number, env)
	}
	return nil
}

// approvedBy wants the recorded approvals of a pull request to be of exactly
// these people, each for the head and the digest that was merged.
func approvedBy(ctx context.Context, db *store.Store, number int, logins ...string) error {
	repo, err := db.RepoByName(ctx, org, "env")
	if err != nil {
		return err
	}
	p, err := db.PromotionByPull(ctx, repo.ID, number)
	if err != nil {
		return err
	}
	reviews, err := db.Reviews(ctx, p.ID)
	if err != nil {
		return err
	}
	a, err := db.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return err
	}
	if len(reviews) != len(logins) {
		return fmt.Errorf("%d reviews are recorded, not %d", len(reviews), len(logins))
	}
	for _, r := range reviews { // in the order of arrival, which is not that of submission
		if !slices.Contains(logins, r.Reviewer) || r.ReviewerID == 0 || r.HeadSHA != p.HeadSHA || r.Digest != a.Digest {
			return fmt.Errorf("a review is by %s for %.12s %.19s, want %s for %.12s %.19s",
				r.Reviewer, r.HeadSHA, r.Digest, strings.Join(logins, ", "), p.HeadSHA, a.Digest)
		}
	}
	return nil
}

// stagingOnly: catalog 2.3.1 goes to staging; prod stays at 2.3.0.
func (s *story) stagingOnly(ctx context.Context) {
	s.do(ctx, "CI pushes catalog:2.3.1", func(ctx context.Context) (err error) {
		s.digests["catalog 2.3.1"], err = s.w.release(ctx, "catalog", "2.3.1")
		return err
	})
	s.until(ctx, "it reaches staging", func(ctx context.Context) error {
		p, err := s.w.isMerged("staging", "catalog", "2.3.1")
		if err != nil {
			return err
		}
		return errors.Join(oneLine(p), s.w.runs(ctx, "staging", "catalog", s.version("catalog", "2.3.1")))
	})
	s.do(ctx, "prod stays at 2.3.0", func(ctx context.Context) error {
		if p, err := s.w.pullTo("prod", "catalog", "2.3.1"); err == nil {
			return fmt.Errorf("pull request #%d was opened, but nobody asked", p.Number)
		}
		return errors.Join(
			s.w.runs(ctx, "prod", "catalog", s.version("catalog", "2.3.0")),
			s.w.pins("prod", "catalog", s.version("catalog", "2.3.0")),
		)
	})
}

// oneLine wants a diff that replaces one line.
func oneLine(p githubsim.PullView) error {
	var added, removed int
	for line := range strings.Lines(p.Diff) {
		switch {
		case strings.HasPrefix(line, "+++"), strings.HasPrefix(line, "---"):
		case strings.HasPrefix(line, "+"):
			added++
		case strings.HasPrefix(line, "-"):
			removed++
		}
	}
	if added != 1 || removed != 1 {
		return fmt.Errorf("the diff of #%d adds %d lines and removes %d, not one each:\n%s", p.Number, added, removed, p.Diff)
	}
	return nil
}

// repush: somebody pushes the tag 1.7.0 again, with other content.
func (s *story) repush(ctx context.Context) {
	var digest string
	pulls := len(s.w.GitHub.Pulls(envRepo))
	s.do(ctx, "somebody pushes payments:1.7.0 again with other content", func(ctx context.Context) (err error) {
		digest, err = s.w.pushImage(ctx, "payments", "1.7.0", "something else", "")
		if err == nil && digest == s.digests["payments 1.7.0"] {
			err = errors.New("the content is the same")
		}
		return err
	})
	s.until(ctx, "it is refused, on the pull request and on the board", func(ctx context.Context) error {
		return errors.Join(s.w.said(s.prod, "Refused", "other content"), s.w.boardSays(ctx, digest))
	})
	s.do(ctx, "nothing moves: every environment runs the 1.7.0 that was verified", func(ctx context.Context) error {
		if n := len(s.w.GitHub.Pulls(envRepo)); n != pulls {
			return fmt.Errorf("there are %d pull requests, there were %d", n, pulls)
		}
		for _, env := range environments {
			if err := s.w.runs(ctx, env, "payments", s.version("payments", "1.7.0")); err != nil {
				return err
			}
		}
		return nil
	})
}

// finish reads the end state.
func (s *story) finish(ctx context.Context) Report {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r := s.report
	r.RestCallsPerPromotion = s.calls
	running, err := s.w.Running(ctx)
	if err != nil {
		s.say("the clusters cannot be read: " + err.Error())
	}
	if _, added := s.w.Clusters[newcomer]; added && err == nil {
		if running[newcomer], err = s.w.runningIn(ctx, newcomer); err != nil {
			s.say("cluster " + newcomer + " cannot be read: " + err.Error())
		}
	}
	r.Running = running
	for _, p := range s.w.GitHub.Pulls(envRepo) {
		state := p.State
		if p.Merged {
			state = "merged"
		}
		r.Pulls = append(r.Pulls, PullReport{Number: p.Number, Title: p.Title, State: state, MergeSHA: p.MergeCommitSHA})
	}
	return r
}
