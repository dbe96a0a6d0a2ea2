package worker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/command"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/registry"
	"github.com/tagboat/tagboat/internal/store"
)

// deliver decodes one delivery. What follows from it is stored first; the
// delivery is marked handled last, so that a crash in between repeats it, and
// everything it does can be repeated.
func (w *Worker) deliver(ctx context.Context, j *river.Job[job.Deliver]) error {
	d, err := w.Store.Delivery(ctx, j.Args.Delivery)
	if err != nil || d.HandledAt != nil {
		return err
	}
	outcome, jobs, err := w.decode(ctx, d)
	if err != nil && fault.KindOf(err).Retryable() {
		return err
	}
	if err != nil {
		outcome = explain(err)
		if !errors.Is(err, errNotOurs) {
			w.Log.WarnContext(ctx, "a delivery cannot be used", "delivery", d.DeliveryID, "event", d.Event, "error", err)
		}
	}
	return w.Store.FinishDelivery(ctx, d.ID, outcome, jobs...)
}

func (w *Worker) decode(ctx context.Context, d store.Delivery) (outcome string, jobs []river.JobArgs, err error) {
	switch d.Source {
	case store.SourceDistribution:
		return w.notified(ctx, d)
	case store.SourceCI:
		return built(d)
	default:
		outcome, err = w.github(ctx, d)
		return outcome, nil, err
	}
}

// notified turns a registry's notification into verifications, and has looked again
// for signatures where one may have come.
func (w *Worker) notified(ctx context.Context, d store.Delivery) (string, []river.JobArgs, error) {
	pushes, err := registry.DecodeDistribution(d.Body, w.Hosts)
	if err != nil {
		return "", nil, err
	}
	attached, err := registry.DecodeAttached(d.Body, w.Hosts)
	if err != nil {
		return "", nil, err
	}
	for _, ref := range attached {
		if err := w.Store.DoubtSignatures(ctx, ref.Name, ref.Digest, reconcileJob); err != nil {
			return "", nil, err
		}
	}
	var jobs []river.JobArgs
	for _, p := range pushes {
		jobs = append(jobs, job.Verify{Image: p.Image.Name, Tag: p.Image.Tag, Digest: p.Image.Digest, Delivery: d.ID})
	}
	return fmt.Sprintf("%d images to verify", len(jobs)), jobs, nil
}

func built(d store.Delivery) (string, []river.JobArgs, error) {
	b, err := image.ParseBuilt(d.Body)
	if err != nil {
		return "", nil, fault.E(fault.Invalid, err.Error(), err)
	}
	return "1 image to verify", []river.JobArgs{job.Verify{
		Image: b.Image, Tag: b.Tag, Digest: b.Digest, Delivery: d.ID,
		SourceRepo: b.Source.Repository, SourceCommit: b.Source.Revision, RunURL: b.Run.URL, Builder: b.Actor.Login, BuilderID: b.Actor.ID,
	}}, nil
}

// errNotOurs: the event is about something that Tagboat does not look after.
var errNotOurs = fault.E(fault.NotFound, "not about anything that Tagboat looks after", errors.New("not ours"))

func (w *Worker) github(ctx context.Context, d store.Delivery) (string, error) {
	event, err := github.Decode(d.Event, d.Body)
	if err != nil {
		return "", err
	}
	switch e := event.(type) {
	case github.CommentCreated:
		return w.commented(ctx, d, e)
	case github.ReviewSubmitted:
		return w.reviewed(ctx, d, github.Reviewed(e), e.State)
	case github.ReviewDismissed:
		return w.reviewed(ctx, d, github.Reviewed(e), string(approval.Dismissed))
	case github.PullChanged:
		return w.pullChanged(ctx, d, e)
	case github.CheckChanged:
		return w.checkChanged(ctx, e)
	case github.CheckRerequested:
		return w.rerequested(ctx, e)
	case github.Pushed:
		return w.pushed(ctx, e)
	case github.GroupChanged:
		return w.groupChanged(ctx, e)
	case github.InstallationChanged:
		return "installation changed", w.Store.Enqueue(ctx, job.Learn{})
	case github.RepositoryChanged:
		return "repository " + e.Action, w.Store.Enqueue(ctx, job.Learn{})
	}
	return "of no use to Tagboat", nil
}

// commented keeps a comment that holds a command. Bots are not obeyed: two of
// them could talk for ever. What comes after a day asks for nothing any more, whether a
// delivery was late or somebody sent it again: its author has done something else since.
func (w *Worker) commented(ctx context.Context, d store.Delivery, e github.CommentCreated) (string, error) {
	if e.Author.Bot || len(command.Parse(e.Body)) == 0 {
		return "no command", nil
	}
	if w.Now().Sub(e.At) > heeded {
		return "too old to be obeyed", nil
	}
	return "command", w.Store.RecordCommand(ctx, store.NewCommand{
		Owner: e.Repo.Owner, Repo: e.Repo.Name, RepoID: e.Repo.ID, Installation: e.Repo.InstallationID, Number: e.Number, IsPull: e.IsPull,
		// PostgreSQL takes no NUL, and Markdown reads it so, too.
		Comment: e.CommentID, Body: strings.ReplaceAll(e.Body, "\x00", "\ufffd"), Author: store.Actor{ID: e.Author.ID, Login: e.Author.Login}, SaidAt: e.At, Delivery: d.ID,
	}, func(id int64) river.JobArgs { return job.Answer{Command: id} })
}

// promotionOf is the promotion that a pull request carries.
func (w *Worker) promotionOf(ctx context.Context, repo github.RepoRef, number int) (store.Promotion, error) {
	r, err := w.envRepo(ctx, repo)
	if err != nil {
		return store.Promotion{}, err
	}
	p, err := w.Store.PromotionByPull(ctx, r.ID, number)
	if fault.Is(err, fault.NotFound) {
		return p, errNotOurs
	}
	return p, err
}

// recordedWithin is how long GitHub's answer about a new pull request may take to
// be written down.
const recordedWithin = 2 * time.Minute

// tooEarly tells what is about a commit of ours, but about no pull request that is
// written down: somebody was faster than GitHub's answer to our opening it. That
// is waited for. Anything else is not ours.
func (w *Worker) tooEarly(ctx context.Context, d store.Delivery, head string) error {
	ours, err := w.Store.KnownHead(ctx, head)
	if err != nil {
		return err
	}
	if ours && w.Now().Sub(d.ReceivedAt) < recordedWithin {
		return fault.E(fault.Transient, "", errors.New("about a pull request that is not written down yet"))
	}
	return errNotOurs
}

func (w *Worker) reviewed(ctx context.Context, d store.Delivery, e github.Reviewed, state string) (string, error) {
	p, err := w.promotionOf(ctx, e.Repo, e.Number)
	if errors.Is(err, errNotOurs) {
		err = w.tooEarly(ctx, d, e.HeadSHA)
	}
	if err != nil {
		return "", err
	}
	switch approval.State(state) {
	case approval.Approved, approval.ChangesRequested, approval.Commented, approval.Dismissed:
	default:
		return "a review that decides nothing", nil
	}
	return "review recorded", w.Store.RecordReview(ctx, p.ID, store.NewReview{
		ReviewID: e.ReviewID, Reviewer: store.Actor{ID: e.Reviewer.ID, Login: e.Reviewer.Login}, Bot: e.Reviewer.Bot,
		State: state, HeadSHA: reviewedHead(e), SubmittedAt: e.At,
	}, d.ID, reconcileJob)
}

// reviewedHead is the commit that a reviewer saw. GitHub moves a review's
// commit_id along later; but when the review is submitted, and the head has moved
// meanwhile, it is commit_id that tells what was on the reviewer's screen.
func reviewedHead(e github.Reviewed) string {
	if e.CommitID != "" {
		return e.CommitID
	}
	return e.HeadSHA
}

// pullChanged keeps how a pull request of ours now looks, and who ticked what.
func (w *Worker) pullChanged(ctx context.Context, d store.Delivery, e github.PullChanged) (string, error) {
	p, err := w.promotionOf(ctx, e.Repo, e.Number)
	if errors.Is(err, errNotOurs) {
		if err := w.tooEarly(ctx, d, e.Pull.HeadSHA); !errors.Is(err, errNotOurs) {
			return "", err
		}
		return w.strangers(ctx, e)
	}
	if err != nil {
		return "", err
	}
	if e.Action == "edited" && !e.Sender.Bot { // whatever was changed, it is rendered anew
		ticks, err := w.newTicks(ctx, p, e)
		if err != nil {
			return "", err
		}
		return fmt.Sprintf("%d items changed", len(ticks)), w.Store.RecordTicks(ctx, p.ID, ticks,
			store.Actor{ID: e.Sender.ID, Login: e.Sender.Login}, e.Pull.Body, d.ID, reconcileJob)
	}
	if e.Action == "reopened" && p.State == string(promotion.Closed) {
		return w.reopened(ctx, d, p, e)
	}
	if e.Action == "dequeued" && e.Reason == "MERGE" {
		return "merged by the queue, which GitHub tells next", nil
	}
	if e.Action == "dequeued" {
		return "out of the merge queue", w.Store.LeftQueue(ctx, p.ID, e.Pull.HeadSHA, reconcileJob(p.ID))
	}
	if tampered, err := w.tamperedByBot(ctx, e); err != nil {
		return "", err
	} else if tampered {
		return "a bot changed the checklist; it is rendered anew", w.Store.RecordTicks(ctx, p.ID, nil, store.Actor{}, e.Pull.Body, d.ID, reconcileJob)
	}
	seen, err := w.seen(ctx, p, e.Pull)
	if err != nil {
		return "", err
	}
	if e.Action != "closed" && e.Action != "reopened" {
		seen.State = "" // an older webhook that comes late opens nothing again
	}
	return "pull request " + e.Action, w.Store.SawPullAndWake(ctx, p.ID, seen, reconcileJob(p.ID))
}

// newTicks are the items that an edit changed, but for those that are recorded: the
// webhook may be late, or not the first of its edit.
func (w *Worker) newTicks(ctx context.Context, p store.Promotion, e github.PullChanged) ([]store.NewTick, error) {
	if e.OldBody == nil {
		return nil, nil
	}
	artifact, err := w.Store.Artifact(ctx, p.ArtifactID)
	// One that comes late may be about what the pull request carried before.
	if err != nil || checklist.Digest(e.Pull.Body) != artifact.Digest {
		return nil, err
	}
	ticks := ticked(*e.OldBody, e.Pull.Body, e.At)
	recorded, err := w.Store.Ticks(ctx, p.ID)
	return slices.DeleteFunc(ticks, func(t store.NewTick) bool {
		return slices.ContainsFunc(recorded, func(r store.Tick) bool { return sameTick(r, t, e.Sender.ID) })
	}), err
}

// tamperedByBot reports whether a bot other than Tagboat changed items of the
// checklist. Its ticks do not count. What else it writes stays until the description
// is rendered for another reason: two bots could answer each other for ever.
func (w *Worker) tamperedByBot(ctx context.Context, e github.PullChanged) (bool, error) {
	if e.Action != "edited" || !e.Sender.Bot || e.OldBody == nil {
		return false, nil
	}
	was, before := checklist.Items(*e.OldBody)
	is, after := checklist.Items(e.Pull.Body)
	if before == nil && after == nil && slices.Equal(was, is) {
		return false, nil
	}
	us, err := w.GitHub.Login(ctx)
	return err == nil && !sameName(e.Sender.Login, us), err
}

// seen is a pull request as a webhook tells it. Webhooks come late and out of
// order: one that tells of an older commit of ours says nothing new about the
// head. (Before a merge GitHub is asked.)
func (w *Worker) seen(ctx context.Context, p store.Promotion, pull github.Pull) (store.SeenPull, error) {
	seen := seenPull(pull)
	if seen.HeadSHA == p.HeadSHA {
		return seen, nil
	}
	ours, err := w.Store.KnownHead(ctx, seen.HeadSHA)
	if ours {
		seen.HeadSHA = p.SeenHeadSHA
	}
	return seen, err
}

func seenPull(pull github.Pull) store.SeenPull {
	seen := store.SeenPull{State: pull.State, Body: pull.Body, HeadSHA: pull.HeadSHA, MergeSHA: pull.MergeSHA}
	if pull.Merged {
		seen.State = "merged"
	}
	seen.Behind = pull.MergeableState == "behind" || pull.MergeableState == "dirty"
	return seen
}

// ticked lists the human items whose boxes differ between two bodies.
func ticked(before, after string, at time.Time) []store.NewTick {
	was := map[string]bool{}
	old, err := checklist.Items(before)
	if err != nil {
		return nil
	}
	for _, item := range old {
		was[item.ID] = item.Checked
	}
	now, err := checklist.Items(after)
	if err != nil {
		return nil
	}
	var ticks []store.NewTick
	for _, item := range now {
		if checked, known := was[item.ID]; known && item.Human && checked != item.Checked {
			ticks = append(ticks, store.NewTick{Item: item.ID, Checked: item.Checked, At: at})
		}
	}
	return ticks
}

func (w *Worker) checkChanged(ctx context.Context, e github.CheckChanged) (string, error) {
	if e.AppID == w.GitHub.ID() && e.Name == CheckName {
		return "our own check", nil
	}
	repo, err := w.envRepo(ctx, e.Repo)
	if err != nil {
		return "", err
	}
	woken, err := w.Store.SeeCheck(ctx, checkResult(repo.ID, e.HeadSHA, e.Check), reconcileJob)
	return fmt.Sprintf("check kept, %d promotions woken", woken), err
}

func checkResult(repo int64, sha string, c github.Check) store.CheckResult {
	return store.CheckResult{
		RepoID: repo, HeadSHA: sha, Kind: string(c.Kind), AppID: c.AppID, Name: c.Name,
		Status: c.Status, Conclusion: c.Conclusion, URL: c.URL, ObservedAt: c.At,
	}
}

// rerequested: somebody pressed “re-run” on our check; look again.
func (w *Worker) rerequested(ctx context.Context, e github.CheckRerequested) (string, error) {
	repo, err := w.envRepo(ctx, e.Repo)
	if err != nil {
		return "", err
	}
	return "looked at again", w.Store.WakeRepo(ctx, repo.ID, reconcileJob)
}

func (w *Worker) pushed(ctx context.Context, e github.Pushed) (string, error) {
	repo, err := w.envRepo(ctx, e.Repo)
	if errors.Is(err, errNotOurs) && w.mayBeNew(e) {
		return "perhaps a new env repo", w.Store.Enqueue(ctx, job.Learn{})
	}
	if err != nil {
		return "", err
	}
	branch, isBranch := strings.CutPrefix(e.Ref, "refs/heads/")
	if !isBranch || strings.HasPrefix(branch, branchPrefix) || strings.HasPrefix(branch, "gh-readonly-queue/") {
		return "not a base branch", nil
	}
	return "base moved", w.Store.Enqueue(ctx, job.Survey{Repo: repo.ID})
}
