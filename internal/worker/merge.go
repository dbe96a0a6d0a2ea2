package worker

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/gitmirror"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// merge merges a promotion's pull request, has the merge queue do it, or writes down
// that it was merged.
// Under the lock on (env repo, environment) GitHub and the registry are read
// again, and only what is then decided counts. An answer that is lost is looked
// up before anything is tried again.
func (w *Worker) merge(ctx context.Context, first *look, write bool) error {
	if write {
		// Nobody waits for GitHub's limits while others wait for the lock.
		reserved, done, err := first.door.Reserve(ctx, 1, 0)
		if err != nil {
			return err
		}
		defer done()
		ctx = reserved
	}
	return w.Store.Merge(ctx, first.repo.ID, first.row.Env, func(m store.Merging) error {
		l, err := w.reread(ctx, first)
		if err != nil {
			return err
		}
		d := promotion.Decide(l.facts, l.shown, w.Now())
		switch d.Effect {
		case promotion.RecordMerged:
			return w.merged(ctx, m, l, d.Gates, l.row.MergeSHA)
		case promotion.EnterQueue:
			return w.enterQueue(ctx, m, l, d.Gates)
		case promotion.CheckGroup:
			return w.checkGroup(ctx, m, l, d)
		case promotion.Merge:
		default:
			return nil // the world moved; the next look decides anew
		}
		if err := w.guard(ctx, l, l.row.BaseSHA, l.row.SeenHeadSHA); err != nil {
			return err
		}
		sha, err := l.door.Merge(ctx, int(l.row.PullNumber), github.MergeRequest{
			HeadSHA: l.row.SeenHeadSHA, Method: "squash",
			Title: l.mergeTitle(), Message: l.mergeMessage(),
		})
		if err != nil {
			return w.afterRefusal(ctx, m, l, d.Gates, err)
		}
		return w.merged(ctx, m, l, d.Gates, sha)
	})
}

// mergeTitle is the first line of the commit that a merge makes.
func (l *look) mergeTitle() string {
	if l.facts.Back != nil {
		return l.commitTitle() // as git revert writes it, and nothing else
	}
	return fmt.Sprintf("%s (#%d)", checklist.Title(l.model), l.row.PullNumber)
}

func (l *look) mergeMessage() string {
	if l.facts.Back != nil {
		return l.commitBody() + fmt.Sprintf("Pull-request: #%d\n", l.row.PullNumber)
	}
	return l.commitMessage()
}

// reread brings everything that the gates rest on up to date.
func (w *Worker) reread(ctx context.Context, l *look) (*look, error) {
	number := int(l.row.PullNumber)
	pull, err := l.door.Pull(ctx, number)
	if err != nil {
		return nil, err
	}
	if err := w.Store.SawPull(ctx, l.row.ID, seenPull(pull)); err != nil {
		return nil, err
	}
	if pull.Merged {
		again, err := w.look(ctx, l.row.ID, true)
		if err == nil {
			again.mergedBy = pull.MergedBy
		}
		return again, err
	}
	if pull.BaseRef != l.row.BaseBranch {
		return nil, fault.Errorf(fault.Denied, "The pull request was pointed at branch %s, but %s is deployed from %s. Point it back, or close it and ask for the promotion again.",
			pull.BaseRef, l.row.Env, l.row.BaseBranch)
	}
	if err := w.rereadChecks(ctx, l, pull.HeadSHA); err != nil {
		return nil, err
	}
	// Each member's approvals are its own, and any may ask for some.
	if slices.ContainsFunc(l.together(), func(m *look) bool { return m.facts.Rule.Approvals }) {
		if err := w.rereadReviews(ctx, l); err != nil {
			return nil, err
		}
	}
	for _, m := range l.together() {
		// An unreachable registry is kept as a fact, and the digest gate waits.
		if err := w.askRegistry(ctx, m); err != nil && !fault.KindOf(err).Retryable() && !fault.Is(err, fault.NotFound) {
			return nil, err
		}
		if err := w.askSignatures(ctx, m); err != nil {
			return nil, err
		}
	}
	again, err := w.look(ctx, l.row.ID, true)
	if err == nil {
		again.pull = pull
	}
	return again, err
}

func (w *Worker) rereadChecks(ctx context.Context, l *look, head string) error {
	if len(l.required) == 0 {
		return nil
	}
	checks, err := l.door.Checks(ctx, head)
	if err != nil {
		return err
	}
	var results []store.CheckResult
	for _, c := range checks {
		results = append(results, checkResult(l.repo.ID, head, c))
	}
	return w.Store.KeepChecks(ctx, results)
}

// rereadReviews finds what lost webhooks would have told. A change request or a
// dismissal counts however it is found. An approval that only the list knows
// does not yet: the list cannot tell which commit its author saw, because GitHub
// moves commit_id along. Its webhook will be redelivered, or missedReviews finds out.
func (w *Worker) rereadReviews(ctx context.Context, l *look) error {
	listed, err := l.door.Reviews(ctx, int(l.row.PullNumber))
	if err != nil {
		return err
	}
	own, earlier, err := w.pullReviews(ctx, l.row.ID)
	if err != nil {
		return err
	}
	recorded := append(own, earlier...)
	for _, r := range listed {
		state := approval.State(r.State)
		if state != approval.ChangesRequested && state != approval.Dismissed {
			continue
		}
		if slices.ContainsFunc(recorded, func(k store.Review) bool { return k.ReviewID == r.ID && k.State == r.State }) {
			continue
		}
		if err := w.Store.RecordReview(ctx, l.row.ID, store.NewReview{
			ReviewID: r.ID, Reviewer: store.Actor{ID: r.User.ID, Login: r.User.Login}, Bot: r.User.Bot,
			State: r.State, HeadSHA: r.CommitID, SubmittedAt: r.SubmittedAt,
		}, 0, reconcileJob); err != nil {
			return err
		}
	}
	return nil
}

// guard reads a commit that is to be merged and makes sure that it changes the
// declared fields of the declared files, and nothing else (I4).
func (w *Worker) guard(ctx context.Context, l *look, base, head string) error {
	mirror, err := w.bases.mirror(l.repo)
	if err != nil {
		return err
	}
	changes, err := mirror.Changed(ctx, base, head)
	if err != nil {
		return err
	}
	others := fault.Errorf(fault.Denied, "Commit %.12s changes other files than %s; Tagboat does not merge it. Close the pull request and ask for the promotion again.", head, strings.Join(l.editedFiles(), ", "))
	if len(changes) == 0 || slices.ContainsFunc(changes, func(c gitmirror.Change) bool { return !slices.Contains(l.editedFiles(), c.Path) }) {
		return others
	}
	before, err := mirror.At(ctx, base)
	if err != nil {
		return err
	}
	after, err := mirror.At(ctx, head)
	if err != nil {
		return err
	}
	edited := 0
	for _, m := range l.together() {
		changed, err := m.onlyEdited(before, after, head)
		if err != nil {
			return err
		}
		if changed {
			edited++
		}
	}
	if edited != len(changes) {
		return others
	}
	return nil
}

// editedFiles are the files that a commit of ours may change.
func (l *look) editedFiles() (files []string) {
	for _, m := range l.together() {
		files = append(files, m.pair.File)
	}
	return files
}

// onlyEdited makes sure that a commit makes of one file what is planned, and answers
// whether that is anything.
func (l *look) onlyEdited(before, after *gitmirror.Tree, head string) (changed bool, err error) {
	was, err := before.ReadFile(l.pair.File)
	if err != nil {
		return false, err
	}
	is, err := after.ReadFile(l.pair.File)
	if err != nil {
		return false, err
	}
	modeBefore, err := before.Mode(l.pair.File)
	if err != nil {
		return false, err
	}
	modeAfter, err := after.Mode(l.pair.File)
	if err != nil {
		return false, err
	}
	planned, err := planEdit(l.pair, l.env, was, l.ref())
	if err != nil {
		return false, err
	}
	if modeBefore != modeAfter || !bytes.Equal(planned.After, is) {
		return false, fault.Errorf(fault.Denied, "Commit %.12s is not the edit of %s that Tagboat plans; Tagboat does not merge it. Close the pull request and ask for the promotion again.", head, l.pair.File)
	}
	return planned.Changed(), nil
}

// afterRefusal: GitHub did not merge, or its answer was lost. Read first.
func (w *Worker) afterRefusal(ctx context.Context, m store.Merging, l *look, gates []promotion.Gate, refusal error) error {
	pull, err := l.door.Pull(ctx, int(l.row.PullNumber))
	if err != nil {
		return errors.Join(refusal, err)
	}
	if err := w.Store.SawPull(ctx, l.row.ID, seenPull(pull)); err != nil {
		return err
	}
	if pull.Merged {
		l.mergedBy = pull.MergedBy
		return w.merged(ctx, m, l, gates, pull.MergeSHA)
	}
	if errors.Is(refusal, github.ErrHeadMoved) || seenPull(pull).Behind {
		return nil // the next look sees the new head, or makes the commit anew
	}
	// A check may have flipped since it was read, and its webhook may be lost.
	if err := w.rereadChecks(ctx, l, pull.HeadSHA); err != nil {
		return errors.Join(refusal, err)
	}
	again, err := w.look(ctx, l.row.ID, true)
	if err != nil {
		return errors.Join(refusal, err)
	}
	if promotion.Decide(again.facts, again.shown, w.Now()).Effect != promotion.Merge {
		return nil // the gates say it now, and why
	}
	return refusal
}

// merged writes down a merge, with the evidence that it was made on, and wants
// the environment's clusters brought to it.
func (w *Worker) merged(ctx context.Context, m store.Merging, l *look, gates []promotion.Gate, sha string) error {
	if older, found, err := m.MergedOlder(ctx, l.row, reconcileJob); err != nil || found {
		if err != nil {
			return err
		}
		// The gates of the newer promotion say nothing about the older one.
		return m.Merged(ctx, older, store.Actor{ID: older.RequesterID, Login: older.Requester}, sha, store.Grounds{
			Pull: older.PullNumber, Head: older.SeenHeadSHA, TakenOverBy: l.row.ID, Found: true,
		}, syncJob)
	}
	var merged []store.Merge
	for _, one := range l.together() {
		one.mergedBy = l.mergedBy
		own := l.gatesFor(one, gates, w.Now())
		grounds, err := one.judged(ctx, m, own)
		if err != nil {
			return err
		}
		grounds.Found, grounds.Overridden, grounds.Set = len(gates) == 0, one.overrides(own), l.inSet()
		merged = append(merged, store.Merge{Promotion: one.row, By: one.merger(), Grounds: grounds})
	}
	return m.MergedTogether(ctx, sha, merged, syncJob)
}

// gatesFor are the gates of one of the set, where own are those of the one that acts for
// all; none where that has none.
func (l *look) gatesFor(one *look, own []promotion.Gate, now time.Time) []promotion.Gate {
	if one == l || len(own) == 0 {
		return own
	}
	return promotion.Evaluate(one.facts, now)
}

// judged keeps the gates' verdicts as evidence of what is decided now. Without gates the
// merge was found, not made: its evidence is what was observed before.
func (l *look) judged(ctx context.Context, m store.Merging, gates []promotion.Gate) (store.Grounds, error) {
	grounds := l.grounds()
	seen, err := l.observed(gates, l.w.Now())
	if err == nil {
		grounds.Gates, err = m.Evidence(ctx, l.row, l.artifact.Digest, l.row.SeenHeadSHA, seen)
	}
	return grounds, err
}

// grounds is what people had before them, and who of them counted.
func (l *look) grounds() store.Grounds {
	g := store.Grounds{
		Pull: l.row.PullNumber, Image: l.artifact.Image, Tag: l.artifact.Tag, Digest: l.artifact.Digest,
		OldTag: l.row.OldTag, OldDigest: l.row.OldDigest,
		Head: l.row.SeenHeadSHA, Base: l.row.BaseSHA, Edit: l.row.EditHash, Diff: sha256Hex(l.row.Diff),
		Body: l.row.BodyHash, Check: l.row.CheckHash, Requesters: l.requesters,
	}
	for _, r := range l.approval.Approvals {
		g.ApprovedBy = append(g.ApprovedBy, store.Approved{
			Actor: store.Actor{ID: r.Reviewer, Login: r.Login}, Review: r.ID, Head: r.HeadSHA, Edit: r.EditHash, Digest: r.Digest, At: r.At.UTC(),
			For: l.countedFor(r.ID),
		})
	}
	for _, e := range l.approval.Excluded {
		g.Excluded = append(g.Excluded, store.Excluded{Login: e.Login, State: string(e.State), Why: e.Why, Rule: e.Rule})
	}
	if l.facts.Back != nil {
		g.Back = &store.Back{
			Tag: l.rollback.BadTag, Digest: l.rollback.BadDigest, Reason: l.rollback.Reason, Automatic: l.rollback.Automatic, Reverts: l.rollback.Reverts,
		}
	}
	if l.mergedBy.ID != 0 {
		g.Merger = &store.Actor{ID: l.mergedBy.ID, Login: l.mergedBy.Login}
	}
	return g
}

// sha256Hex is what anybody can calculate of a text; "" of none.
func sha256Hex(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// merger is who caused a merge: the person who pressed GitHub's button, else who
// asked for the promotion.
func (l *look) merger() store.Actor {
	if l.mergedBy.ID != 0 && !l.mergedBy.Bot {
		return store.Actor{ID: l.mergedBy.ID, Login: l.mergedBy.Login}
	}
	return store.Actor{ID: l.row.RequesterID, Login: l.row.Requester}
}
