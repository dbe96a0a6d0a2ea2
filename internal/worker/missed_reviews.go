package worker

import (
	"context"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

// missedReviews records the reviews that no webhook told. A change request or a
// dismissal counts however it is found. An approval counts where it is certain which
// commit its author saw; else it is recorded without one, which GitHub and its author
// are told like any that is stale: it has to be given again.
func (w *Worker) missedReviews(ctx context.Context, p store.Promotion, h *pullHistory) error {
	listed, err := h.door.Reviews(ctx, h.number)
	if err != nil {
		return err
	}
	own, earlier, err := w.pullReviews(ctx, p.ID)
	if err != nil {
		return err
	}
	recorded := append(own, earlier...)
	for _, r := range listed {
		if !unrecorded(r, recorded) {
			continue
		}
		head := r.CommitID
		if approval.State(r.State) == approval.Approved {
			told, err := h.read(ctx)
			if err != nil {
				return err
			}
			if head, err = w.approvedHead(ctx, p, r, told); err != nil {
				return err
			}
			if head == "" && w.Now().Sub(r.SubmittedAt) < doubtfulAfter {
				continue // its webhook says it better, if it comes
			}
		}
		w.Log.InfoContext(ctx, "no webhook told of a review", "promotion", p.ID, "review", r.ID, "state", r.State, "head", head)
		if err := w.Store.RecordReview(ctx, p.ID, store.NewReview{
			ReviewID: r.ID, Reviewer: store.Actor{ID: r.User.ID, Login: r.User.Login}, Bot: r.User.Bot,
			State: r.State, HeadSHA: head, SubmittedAt: r.SubmittedAt,
		}, 0, reconcileJob); err != nil {
			return err
		}
	}
	return nil
}

// doubtfulAfter is how long the webhook of an approval is waited for that cannot be
// understood without it: GitHub has been known to send some hours late, but the person
// waits.
const doubtfulAfter = 15 * time.Minute

// unrecorded: of a state that decides something, and not known in it.
func unrecorded(r github.Review, recorded []store.Review) bool {
	switch approval.State(r.State) {
	case approval.Approved, approval.ChangesRequested, approval.Commented, approval.Dismissed:
	default:
		return false
	}
	return !slices.ContainsFunc(recorded, func(k store.Review) bool { return k.ReviewID == r.ID && k.State == r.State })
}

// approvedHead is the commit of ours that the author of an approval saw; "" where that
// is not certain, or it was for something that the pull request carried before.
func (w *Worker) approvedHead(ctx context.Context, p store.Promotion, r github.Review, h github.History) (string, error) {
	head := onScreen(r, h)
	if head == "" || r.SubmittedAt.Before(p.CreatedAt.Truncate(time.Second)) {
		return "", nil
	}
	ours, err := w.Store.KnownHead(ctx, head)
	if err != nil || !ours {
		return "", err
	}
	return head, nil
}

// onScreen is the commit that the author of a review certainly saw, provided that it is
// one of ours; "" where that is not certain. GitHub writes down the commit that was on
// the screen, and moves it along when the head moves later (it tells times in seconds).
// A head becomes a commit of ours by nothing but a push that is not forward, since its
// only parent is a commit of the base branch. So a commit of ours from which the head
// was next moved away was the head ever since it was last moved before; if that was
// before the review, what GitHub wrote down is what it is now.
func onScreen(r github.Review, h github.History) string {
	if len(h.Moves) >= github.MostMoves && !h.Moves[0].At.Before(r.SubmittedAt) {
		return "" // earlier moves are not known
	}
	head := h.HeadSHA
	for _, m := range slices.Backward(h.Moves) {
		if m.At.Before(r.SubmittedAt) {
			break
		}
		if head = m.From; m.At.Equal(r.SubmittedAt) {
			return ""
		}
	}
	if head != r.CommitID {
		return ""
	}
	return head
}
