package worker

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/overlay"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
)

// openPull makes the commit, the branch and the pull request. It can be repeated
// after a crash anywhere: a branch and a pull request of ours that are there
// already are taken over.
func (w *Worker) openPull(ctx context.Context, l *look) error {
	// Tree, commit, branch, pull request: begun without budget for all of them, the
	// first would be made again and again.
	ctx, done, err := l.door.Reserve(ctx, 4, 0)
	if err != nil {
		return err
	}
	defer done()
	l, err = w.planned(ctx, l)
	if err != nil || l == nil {
		return err
	}
	commit, err := w.branch(ctx, l)
	if err != nil {
		return err
	}
	l.takeCommit(commit)
	title, body, hash, err := l.description()
	if err != nil {
		return err
	}
	pull, err := l.door.OpenPull(ctx, github.NewPull{Branch: l.row.Branch, Base: l.row.BaseBranch, Title: title, Body: body})
	if errors.Is(err, github.ErrPullExists) {
		pull, err = w.adopt(ctx, l, title, body)
	}
	if err != nil {
		return err
	}
	return w.Store.RecordOpened(ctx, l.row, commit, store.Opened{Number: pull.Number, URL: pull.URL, Body: body, BodyHash: hash}, l.carried(commit)...)
}

// label puts the labels on a pull request of ours. An App that may not does
// without.
func (w *Worker) label(ctx context.Context, l *look) error {
	labels := []string{"tagboat"}
	for _, app := range l.apps() {
		labels = append(labels, "app:"+app)
	}
	err := l.door.AddLabels(ctx, int(l.row.PullNumber), append(labels, "env:"+l.row.Env))
	if fault.Is(err, fault.Denied) {
		w.Log.WarnContext(ctx, "the pull request could not be labelled", "promotion", l.row.ID, "error", err)
		err = nil
	}
	if err != nil {
		return err
	}
	return w.Store.RecordLabelled(ctx, l.row.ID)
}

// planned looks again, at the newest base, before anything is written; nil when
// there is nothing to open after all.
func (w *Worker) planned(ctx context.Context, l *look) (*look, error) {
	if err := w.askRegistryForAll(ctx, l); err != nil {
		return nil, err
	}
	l, err := w.look(ctx, l.row.ID, true)
	if err != nil || promotion.Decide(l.facts, l.shown, w.Now()).Effect != promotion.OpenPull {
		return nil, err
	}
	return l, nil
}

// askRegistryForAll keeps what the tags are now of all that a pull request carries.
func (w *Worker) askRegistryForAll(ctx context.Context, l *look) error {
	for _, m := range l.together() {
		if err := w.askRegistry(ctx, m); err != nil {
			return err
		}
	}
	return nil
}

// askRegistry keeps what the promotion's tag is now.
func (w *Worker) askRegistry(ctx context.Context, l *look) error {
	refusal, err := w.heardOf(ctx, l)
	if err != nil {
		return err
	}
	return refusal
}

// heardOf keeps what the registry says, and tells apart that it says no from that
// this could not be kept.
func (w *Worker) heardOf(ctx context.Context, l *look) (refusal, err error) {
	found, refusal := w.asked(ctx, l)
	if refusal != nil {
		return refusal, w.Store.SawRegistry(ctx, l.row.ID, "", explain(refusal))
	}
	return nil, w.Store.SawRegistry(ctx, l.row.ID, found.Image.Digest, "")
}

// asked is the registry's answer about the artifact. What goes forward is asked for by
// its tag, which must not have moved; what goes back by its digest alone: the tag may be
// long gone, and says nothing about what ran here.
func (w *Worker) asked(ctx context.Context, l *look) (registry.Artifact, error) {
	if l.facts.Back != nil {
		return w.Registry.ResolveDigest(ctx, l.artifact.Image, l.artifact.Digest)
	}
	return w.Registry.Resolve(ctx, l.artifact.Image, l.artifact.Tag)
}

// askAgain asks the registry once more after an answer that keeps a promotion
// waiting. A registry that says no still, in whatever way, is kept as a fact: the gate
// says so, and what was published before has to follow it.
func (w *Worker) askAgain(ctx context.Context, l *look) error {
	_, err := w.heardOf(ctx, l)
	return err
}

// adopt takes over the pull request that a lost answer left behind.
func (w *Worker) adopt(ctx context.Context, l *look, title, body string) (github.Pull, error) {
	pull, found, err := l.door.PullOf(ctx, l.row.Branch)
	if err != nil {
		return pull, err
	}
	if !found {
		return pull, fault.Errorf(fault.Denied, "Branch %s has an open pull request that is not Tagboat's. Close it, then ask for the promotion again.", l.row.Branch)
	}
	return l.door.EditPull(ctx, pull.Number, github.PullEdit{Title: &title, Body: &body})
}

// branch has our branch stand at a commit that makes the edit. An earlier attempt
// whose answer was lost may have brought it there, and its pull request may have
// been reviewed since: then the commit stays as it is.
func (w *Worker) branch(ctx context.Context, l *look) (store.Commit, error) {
	kept, err := w.Store.HeadOf(ctx, l.row.ID, l.commitOf("", "", l.facts.Plan.Hash))
	if err != nil {
		return kept, err
	}
	if kept.HeadSHA != "" {
		stands, err := l.door.Branch(ctx, l.row.Branch)
		if stands == kept.HeadSHA || err != nil && !fault.Is(err, fault.NotFound) {
			return kept, err
		}
	}
	made, err := w.commit(ctx, l)
	if err != nil {
		return made, err
	}
	return made, w.point(ctx, l, made.HeadSHA)
}

// commit makes the commit that changes the overlays on the base that was looked
// at. No branch points to it yet.
func (w *Worker) commit(ctx context.Context, l *look) (store.Commit, error) {
	files, err := l.files()
	if err != nil {
		return store.Commit{}, err
	}
	sha, err := l.door.Commit(ctx, github.CommitRequest{
		Parent: l.base.commit, BaseTree: l.base.tree.TreeID(), Message: l.commitMessage(), Files: files,
	})
	if err != nil {
		return store.Commit{}, err
	}
	c := l.commitOf(sha, l.base.commit, l.facts.Plan.Hash)
	return c, w.keepHead(ctx, l, c)
}

// commitOf is a commit that makes the edit which was looked at, among others of its set.
func (l *look) commitOf(head, base, editHash string) store.Commit {
	return store.Commit{
		HeadSHA: head, BaseSHA: base, EditHash: editHash, Digest: l.artifact.Digest,
		OldTag: l.edit.Old.Tag, OldDigest: l.edit.Old.Digest, Diff: overlay.UnifiedDiff(l.edit),
	}
}

// takeCommit lets the model show a commit that was just made.
func (l *look) takeCommit(c store.Commit) {
	l.row.HeadSHA, l.row.SeenHeadSHA, l.row.EditHash = c.HeadSHA, c.HeadSHA, c.EditHash
	l.row.OldTag, l.row.OldDigest, l.row.Diff = c.OldTag, c.OldDigest, c.Diff
	plain := l.plainModel()
	l.model.Old, l.model.Diff = plain.Old, plain.Diff
	if l.model.Set == nil {
		return
	}
	for i, m := range l.together() {
		if m != l {
			m.takeCommit(m.commitOf(c.HeadSHA, c.BaseSHA, c.EditHash))
		}
		l.model.Set.Members[i].Old, l.model.Set.Members[i].Diff = m.model.Old, m.model.Diff
	}
}

func (l *look) commitMessage() string {
	return l.commitTitle() + "\n\n" + l.commitBody()
}

// commitTitle is the first line of our commit: that of a rollback is as git revert
// writes it.
func (l *look) commitTitle() string {
	if l.facts.Back != nil {
		return checklist.RevertTitle(l.titled())
	}
	return checklist.Title(l.titled())
}

// commitBody is what our commit says below its first line.
func (l *look) commitBody() string {
	message := checklist.RevertMessage(l.model)
	if l.facts.Back != nil {
		message += "Reason: " + strings.Join(strings.Fields(l.rollback.Reason), " ") + "\n"
	}
	for _, m := range l.together() {
		message += "Image: " + m.ref().String() + "\n"
		// Whoever builds an image writes its labels: what is no repository and no commit
		// could be more lines of the message.
		if image.IsSourceRepository(m.artifact.SourceRepo) && image.IsRevision(m.artifact.SourceCommit) {
			message += "Source: " + m.artifact.SourceRepo + "@" + m.artifact.SourceCommit + "\n"
		}
	}
	if l.row.Requester != "" {
		message += "Requested-by: " + l.row.Requester + "\n"
	}
	return message
}

// titled is the model with what the newest base pins, which the row may not know
// yet.
func (l *look) titled() checklist.Pull {
	m := l.model
	m.Old = l.edit.Old
	return m
}

// description is the pull request's first title and body. Its gates are those of
// a pull request that nobody has looked at.
func (l *look) description() (title, body, sum string, err error) {
	for _, m := range l.together() {
		m.facts.Pull = &promotion.Pull{HeadSHA: l.row.HeadSHA, OurHeadSHA: l.row.HeadSHA, EditHash: l.row.EditHash}
	}
	gates := promotion.Evaluate(l.facts, l.w.Now())
	title = checklist.Title(l.model)
	body, err = checklist.RenderBody(l.template, l.withGates(gates))
	return title, body, hash(title, body), err
}

// point brings our branch to a commit. A branch that stands elsewhere is only
// moved if what it points to is ours.
func (w *Worker) point(ctx context.Context, l *look, sha string) error {
	err := l.door.CreateBranch(ctx, l.row.Branch, sha)
	if !errors.Is(err, github.ErrBranchExists) {
		return err
	}
	stands, err := l.door.Branch(ctx, l.row.Branch)
	if err != nil {
		return err
	}
	return w.move(ctx, l, stands, sha)
}

func (w *Worker) move(ctx context.Context, l *look, from, to string) error {
	ours, err := w.Store.KnownHead(ctx, from)
	if err != nil {
		return err
	}
	if !ours {
		return fault.Errorf(fault.Denied, "Branch %s holds commit %.12s, which is not Tagboat's. Delete the branch, or take the commit off it.", l.row.Branch, from)
	}
	return l.door.MoveBranch(ctx, l.row.Branch, from, to)
}

// regenerate makes our commit anew on the newest base. Approvals survive it when
// the managed edit is the same.
//
// While it cannot be made, what people see on the head is what was said of it when the
// pull request carried another artifact: that stays green whatever is stopped
// meanwhile. So then the head gets this promotion's verdict.
func (w *Worker) regenerate(ctx context.Context, l *look, gates []promotion.Gate) error {
	err := w.renew(ctx, l)
	if err != nil && l.row.CheckSHA != l.row.SeenHeadSHA && ctx.Err() == nil {
		err = errors.Join(err, w.publishCheck(ctx, l, gates))
	}
	return err
}

// renew makes the commit and brings the branch there.
func (w *Worker) renew(ctx context.Context, l *look) error {
	ctx, done, err := l.door.Reserve(ctx, 2, 1) // tree, commit; and the branch is moved
	if err != nil {
		return err
	}
	defer done()
	if err := w.askRegistryForAll(ctx, l); err != nil {
		return err
	}
	l, err = w.look(ctx, l.row.ID, true)
	if err != nil || promotion.Decide(l.facts, l.shown, w.Now()).Effect != promotion.Regenerate {
		return err
	}
	commit, err := w.commit(ctx, l)
	if err != nil {
		return err
	}
	if err := w.move(ctx, l, l.row.SeenHeadSHA, commit.HeadSHA); err != nil {
		if errors.Is(err, github.ErrBranchMoved) {
			return w.refresh(ctx, l) // by somebody, or by an attempt whose answer was lost
		}
		return err
	}
	return w.Store.RecordRegenerated(ctx, l.row, commit, l.carried(commit)...)
}

// refresh reads the pull request from GitHub.
func (w *Worker) refresh(ctx context.Context, l *look) error {
	pull, err := l.door.Pull(ctx, int(l.row.PullNumber))
	if err != nil {
		return err
	}
	return w.Store.SawPull(ctx, l.row.ID, seenPull(pull))
}

// withdraw closes a pull request that has nothing left to change, after making
// sure that it is not its own merge that made it so.
func (w *Worker) withdraw(ctx context.Context, l *look, why string) error {
	if err := w.refresh(ctx, l); err != nil {
		return err
	}
	l, err := w.look(ctx, l.row.ID, true)
	if err != nil || promotion.Decide(l.facts, l.shown, w.Now()).Effect != promotion.Withdraw {
		return err
	}
	if err := l.door.ClosePull(ctx, int(l.row.PullNumber)); err != nil {
		return err
	}
	return w.ended(ctx, l, why)
}

// ended writes down that a promotion comes to nothing, and that it was not a person who
// ended it. A rollback that has nothing left to change was made by somebody else, and means
// the same.
func (w *Worker) ended(ctx context.Context, l *look, why string) error {
	if l.fulfilled() {
		return w.Store.RecordFulfilled(ctx, l.row, l.base.commit, why)
	}
	return w.Store.RecordClosed(ctx, l.row, why)
}

// fulfilled reports whether the base has what a rollback leads back to, be it by its tag
// alone: as ourRollback sees it, which leaves the denial to the end of the rollback.
func (l *look) fulfilled() bool {
	return !slices.ContainsFunc(l.together(), func(m *look) bool {
		return m.facts.Back == nil || !m.facts.Plan.Nothing && !pins(m.facts.Plan.Current, m.artifact)
	})
}
