package worker

import (
	"cmp"
	"context"
	"fmt"
	"slices"
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
	lines := map[string]line{} // by environment
	for _, u := range uses {
		from := surveyedAt(repo, u.env.Name)
		if from == "" || from == u.base.commit || u.pair.File == "" {
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
		names := u.pair.Moves()
		if u.pair.Err != nil { // what it moves may be unreadable now, and was not on the way
			had, err := w.Store.ImagesThere(ctx, repo.ID, u.pair.App, u.env.Name)
			if err != nil {
				return err
			}
			names = append(slices.Clone(names), had...)
			slices.Sort(names)
			names = slices.Compact(names)
		}
		for _, name := range names {
			if err := w.revertedIn(ctx, u, name, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// line is how a branch came from one commit to another.
type line struct {
	from    string
	commits []gitmirror.Commit // the oldest first
	ends    bool               // only the two ends are known: whoever made the last commit may have no part in it
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

// since is how a branch came from one commit to another.
func (w *Worker) since(ctx context.Context, repo store.Repo, from, to string) (line, error) {
	mirror, err := w.bases.mirror(repo)
	if err != nil {
		return line{}, err
	}
	commits, err := mirror.Line(ctx, from, to, mostRead)
	if fault.Is(err, fault.NotFound) {
		last, err := mirror.Commit(ctx, to)
		return line{from: from, commits: []gitmirror.Commit{last}, ends: true}, err
	}
	return line{from: from, commits: commits}, err
}

// revertedIn follows what one overlay pins from commit to commit. Where it is not there,
// or cannot be read, it pins what it did before: who broke it and mended it with an older
// version went back.
func (w *Worker) revertedIn(ctx context.Context, u use, name string, l line) error {
	was, id, known, err := w.pinnedLast(ctx, u, name, l.from)
	if err != nil {
		return err
	}
	for _, c := range l.commits {
		is, now, err := w.pinnedAt(ctx, u, name, c.SHA, was, id)
		if err != nil && fault.KindOf(err).Retryable() {
			return err
		}
		if err != nil {
			id = "" // so that the same broken file is not taken for what was there before
			continue
		}
		if known && is != was {
			if err := w.revertedBy(ctx, u, name, was, is, c, l); err != nil {
				return err
			}
		}
		was, id, known = is, now, true
	}
	return nil
}

// pinnedLast is what an overlay pins in a commit, or pinned last before it could not be
// read: as far back as is looked.
func (w *Worker) pinnedLast(ctx context.Context, u use, name, at string) (ref image.Ref, id string, known bool, err error) {
	mirror, err := w.bases.mirror(u.repo)
	if err != nil {
		return image.Ref{}, "", false, err
	}
	for range lookedBack {
		ref, id, err = w.pinnedAt(ctx, u, name, at, image.Ref{}, "")
		if err == nil || fault.KindOf(err).Retryable() {
			return ref, id, err == nil, err
		}
		had, err := w.Store.ImagesThere(ctx, u.repo.ID, u.pair.App, u.env.Name)
		if err != nil || !slices.Contains(had, name) {
			return image.Ref{}, "", false, err // a new overlay: there is nothing to go back to
		}
		c, err := mirror.Commit(ctx, at)
		if err != nil && fault.KindOf(err).Retryable() {
			return image.Ref{}, "", false, err
		}
		if err != nil || len(c.Parents) == 0 {
			break
		}
		at = c.Parents[0]
	}
	return image.Ref{}, "", false, nil
}

// revertedBy takes a commit that took a version back for a rollback, unless it is ours.
func (w *Worker) revertedBy(ctx context.Context, u use, name string, was, is image.Ref, c gitmirror.Commit, l line) error {
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
	taken := store.Taken{
		Scope: store.Scope{Owner: u.repo.Owner, Repo: u.repo.ID, Env: u.env.Name, App: u.pair.App},
		Image: name, Tag: was.Tag, Digest: was.Digest, Commit: c.SHA,
		Reason: fmt.Sprintf("found between %.12s and %.12s", l.from, c.SHA),
	}
	if !l.ends {
		if taken, err = w.byWhom(ctx, taken, is, c, w.repo(u.repo)); err != nil {
			return err
		}
	}
	fresh, err := w.Store.RecordRevert(ctx, taken, reconcileJob)
	if fresh {
		w.Log.InfoContext(ctx, "people took a version back", "app", u.pair.App, "env", u.env.Name, "tag", was.Tag, "commit", c.SHA)
	}
	return err
}

// byWhom finds out who took a version back by a commit, and tells them what it means.
func (w *Worker) byWhom(ctx context.Context, taken store.Taken, is image.Ref, c gitmirror.Commit, door *github.Repo) (store.Taken, error) {
	brought, err := door.Brought(ctx, c.SHA)
	if err != nil && fault.KindOf(err).Retryable() {
		return taken, err
	}
	if err != nil { // whoever it was, it is done
		brought = github.Brought{By: github.User{Login: c.Author}}
	}
	taken.By = store.Actor{ID: brought.By.ID, Login: cmp.Or(brought.By.Login, c.Author)}
	taken.Reason, taken.URL = c.Subject, brought.URL
	if brought.Pull == 0 {
		return taken, nil
	}
	taken.Comment, err = w.tellReverted(ctx, door, brought.Pull, taken, is)
	if saidNo(err) { // a locked conversation does not let it come back
		w.Log.WarnContext(ctx, "what a revert means could not be said", "pull", brought.Pull, "error", err)
		err = nil
	}
	return taken, err
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
