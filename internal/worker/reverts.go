package worker

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/store"
)

// People may go back without Tagboat: with git revert, with GitHub's Revert button, by
// hand. A survey finds that in Git, and what they did means what a rollback of ours
// means: the version that they took back is denied, and the pair is on hold.

// mostRead is how many commits between two surveys are looked at one by one. Where there
// are more, or the branch was rewritten, the two ends are compared: a version that was
// taken back in between and came again is then not noticed, and what ends older is.
const mostRead = 100

// reverted looks through what came to the base branches since the last survey. There is
// nothing to compare with at the first one.
func (w *Worker) reverted(ctx context.Context, repo store.Repo, uses []use) error {
	lines := map[string][]gitmirror.Commit{} // by environment
	for _, u := range uses {
		from := surveyedAt(repo, u.env.Name)
		if from == "" || from == u.base.commit || u.pair.Err != nil {
			continue
		}
		line, read := lines[u.env.Name]
		if !read {
			var err error
			if line, err = w.since(ctx, repo, from, u.base.commit); err != nil {
				return err
			}
			lines[u.env.Name] = line
		}
		for _, name := range u.pair.Moves() {
			if err := w.revertedIn(ctx, u, name, from, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// surveyedAt is the commit at which an environment's branch was surveyed last, "" where
// it never was.
func surveyedAt(repo store.Repo, env string) string {
	for _, head := range strings.Fields(repo.Surveyed) {
		if commit, is := strings.CutPrefix(head, env+"@"); is {
			return commit
		}
	}
	return ""
}

// since are the commits by which a branch came from one to another, the oldest first.
func (w *Worker) since(ctx context.Context, repo store.Repo, from, to string) ([]gitmirror.Commit, error) {
	mirror, err := w.bases.mirror(repo)
	if err != nil {
		return nil, err
	}
	line, err := mirror.Line(ctx, from, to, mostRead)
	if fault.Is(err, fault.NotFound) {
		var last gitmirror.Commit
		last, err = mirror.Commit(ctx, to)
		line = []gitmirror.Commit{last}
	}
	return line, err
}

// revertedIn follows what one overlay pins from commit to commit.
func (w *Worker) revertedIn(ctx context.Context, u use, name, from string, line []gitmirror.Commit) error {
	was, id, err := w.pinnedAt(ctx, u, name, from, image.Ref{}, "")
	known := err == nil
	for _, c := range line {
		if err != nil && fault.KindOf(err).Retryable() {
			return err
		}
		var is image.Ref
		is, id, err = w.pinnedAt(ctx, u, name, c.SHA, was, id)
		if err != nil { // the overlay is not there, or cannot be read: nothing went back
			known = false
			continue
		}
		if known && is != was {
			if err := w.revertedBy(ctx, u, name, was, is, c); err != nil {
				return err
			}
		}
		was, known = is, true
	}
	if err != nil && fault.KindOf(err).Retryable() {
		return err
	}
	return nil
}

// revertedBy takes a commit that took a version back for a rollback, unless it is ours.
func (w *Worker) revertedBy(ctx context.Context, u use, name string, was, is image.Ref, c gitmirror.Commit) error {
	was.Name, is.Name = name, name
	back, err := w.wentBack(ctx, u, was, is)
	if err != nil || !back {
		return err
	}
	if ours, err := w.ourRollback(ctx, u, is, c.SHA); err != nil || ours {
		return err
	}
	if bad, err := w.badArtifact(ctx, was); err != nil {
		return err
	} else if bad.Digest != "" {
		was.Tag, was.Digest = cmp.Or(was.Tag, bad.Tag), bad.Digest
	}
	door := w.repo(u.repo)
	brought, err := door.Brought(ctx, c.SHA)
	if err != nil && fault.KindOf(err).Retryable() {
		return err
	}
	if err != nil { // whoever it was, it is done
		brought = github.Brought{By: github.User{Login: c.Author}}
	}
	taken := store.Taken{
		Scope: store.Scope{Owner: u.repo.Owner, Repo: u.repo.ID, Env: u.env.Name, App: u.pair.App},
		Image: name, Tag: was.Tag, Digest: was.Digest, Reason: c.Subject, Commit: c.SHA, URL: brought.URL,
		By: store.Actor{ID: brought.By.ID, Login: cmp.Or(brought.By.Login, c.Author)},
	}
	if brought.Pull != 0 {
		if taken.Comment, err = w.tellReverted(ctx, door, brought.Pull, taken, is); err != nil {
			return err
		}
	}
	fresh, err := w.Store.RecordRevert(ctx, taken, reconcileJob)
	if fresh {
		w.Log.InfoContext(ctx, "people took a version back", "app", u.pair.App, "env", u.env.Name, "tag", was.Tag, "commit", c.SHA)
	}
	return err
}

// wentBack reports whether a pair went from one version to an older one that it had
// before.
func (w *Worker) wentBack(ctx context.Context, u use, was, is image.Ref) (bool, error) {
	if is.Tag == "" && is.Digest == "" {
		return false, nil
	}
	there, err := w.Store.WasThere(ctx, u.repo.ID, u.pair.App, u.env.Name, is.Tag, is.Digest)
	if err != nil || !there {
		return false, err
	}
	_, errIs := version(is.Tag)
	_, errWas := version(was.Tag)
	if errIs == nil && errWas == nil {
		return older(is.Tag, was.Tag), nil
	}
	left, err := w.badArtifact(ctx, was)
	if err != nil || left.Digest == "" {
		return false, err
	}
	now, err := w.badArtifact(ctx, is)
	return now.ID < left.ID, err // 0: from before Tagboat came
}

// ourRollback reports whether a commit is a rollback of ours: one that is written down,
// or one whose merge is about to be, because the answer to it was lost.
func (w *Worker) ourRollback(ctx context.Context, u use, is image.Ref, sha string) (bool, error) {
	if ours, err := w.Store.MergedAs(ctx, u.repo.ID, sha); err != nil || ours {
		return ours, err
	}
	active, err := w.Store.ActivePromotion(ctx, u.repo.ID, u.pair.App, u.env.Name)
	if fault.Is(err, fault.NotFound) {
		return false, nil
	}
	if err != nil || active.Kind != store.KindRollback {
		return false, err
	}
	a, err := w.Store.Artifact(ctx, active.ArtifactID)
	return err == nil && pins(is, a), err
}

// tellReverted says on the pull request by which people went back what follows from it.
func (w *Worker) tellReverted(ctx context.Context, door *github.Repo, number int, t store.Taken, to image.Ref) (int64, error) {
	marker := fmt.Sprintf("<!-- tagboat:reverted %s %s -->", t.Env, t.App)
	if id, found, err := door.FindComment(ctx, number, marker); err != nil || found {
		return id, err
	}
	text := fmt.Sprintf("This takes %s back to %s. Tagboat takes it for a rollback by %s: %s is on the denylist of **%s** for **%s**, and **%s** is on hold there. %s lifts the one, %s the other.",
		inEnvironment(t.App, t.Env), checklist.Code(cmp.Or(to.Tag, image.ShortDigest(to.Digest))), checklist.Escape(t.By.Login),
		checklist.Code(cmp.Or(t.Tag, image.ShortDigest(t.Digest))), checklist.Escape(t.Env), checklist.Escape(t.App), checklist.Escape(t.App),
		checklist.Code(fmt.Sprintf("/allow %s %s %s", t.Env, t.App, cmp.Or(t.Tag, image.ShortDigest(t.Digest)))), checklist.Code(fmt.Sprintf("/unhold %s %s", t.Env, t.App)))
	return door.Comment(ctx, number, text+"\n\n"+marker)
}
