package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/riverqueue/river"

	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/job"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// The effects of one job are bounded: more means that two things undo each other.
const (
	// maxSteps is for all but the clusters: fewer than ten lead from a proposal to its
	// report.
	maxSteps = 40
	// stepsPerCluster is for those about one cluster: its deployment is made, and told how
	// it took it, anew when that changes.
	stepsPerCluster = 4
)

// standstill is when a promotion that GitHub or a rule of ours holds up is
// looked at again, if nothing happens before.
const standstill = 10 * time.Minute

// reconcile moves a promotion until there is nothing left to do: look, decide,
// perform at most one effect, and look again.
func (w *Worker) reconcile(ctx context.Context, j *river.Job[job.Reconcile]) error {
	id, most := j.Args.Promotion, maxSteps
	for step := 0; step < most; step++ {
		if asleep, err := w.asleep(ctx, j); asleep || err != nil {
			return err
		}
		l, err := w.look(ctx, id, false)
		if err != nil {
			return err
		}
		most = maxSteps + stepsPerCluster*len(l.facts.Targets)
		d := promotion.Decide(l.facts, l.shown, w.Now())
		if err := errors.Join(w.observe(ctx, l, d.Gates), w.observeCompanions(ctx, l, d.Gates)); err != nil {
			return err
		}
		if d.Effect != promotion.Rest {
			w.Log.InfoContext(ctx, "next step", "promotion", id, "app", l.row.App, "env", l.row.Env, "effect", d.Effect)
			err = w.perform(ctx, l, d)
		}
		switch {
		case d.Effect == promotion.Rest:
			again, err := w.rest(ctx, l, d.Why, earlier(d.NextCheck, l.again), j)
			if err != nil || !again {
				return err
			}
		case err != nil && !fault.KindOf(err).Retryable():
			// A person has to do something: say so where they look, and wait.
			w.Log.WarnContext(ctx, "a promotion stands still", "promotion", id, "effect", d.Effect, "error", err)
			again, err := w.rest(ctx, l, fmt.Sprintf("Could not %s: %s", d.Effect, explain(err)), w.Now().Add(standstill), j)
			if err != nil || !again {
				return err
			}
		case err != nil:
			return w.passing(ctx, l, d.Effect, err)
		}
	}
	return fault.Errorf(fault.Broken, "promotion %d does not come to rest after %d steps", id, most)
}

// passing says on the board what an active promotion waits for, and has the queue
// try again.
func (w *Worker) passing(ctx context.Context, l *look, effect promotion.Effect, cause error) error {
	cause = fmt.Errorf("%s: %w", effect, cause)
	if hint := fault.HintOf(cause); hint != "" && l.facts.State.Active() && ctx.Err() == nil {
		message := fmt.Sprintf("Could not %s yet: %s", effect, hint)
		if err := w.Store.RecordMessage(ctx, l.row.ID, message); err != nil {
			return errors.Join(cause, err)
		}
	}
	return cause
}

// rest ends a look. It answers true when something was wanted meanwhile.
func (w *Worker) rest(ctx context.Context, l *look, message string, next time.Time, j *river.Job[job.Reconcile]) (again bool, err error) {
	if message != l.row.Message && (message != "" || l.facts.State.Active()) {
		if err := w.Store.RecordMessage(ctx, l.row.ID, message); err != nil {
			return false, err
		}
	}
	return store.SettlePromotion(ctx, w.Store, l.row.ID, l.row.Want, next, j)
}

// observe keeps the gates' verdicts as evidence for this digest and head.
func (w *Worker) observe(ctx context.Context, l *look, gates []promotion.Gate) error {
	if l.facts.Pull == nil || len(gates) == 0 {
		return nil
	}
	seen, err := l.observed(gates, l.at)
	if err != nil {
		return err
	}
	return w.Store.Observe(ctx, l.row, l.artifact.Digest, seen, l.facts.RuleErr == "")
}

// sources says where each gate's facts come from.
var sources = map[string]string{
	promotion.GateConfig: "git", promotion.GateDigest: "registry", promotion.GateSignature: "registry", promotion.GateHead: "github", promotion.GateChecks: "github",
	promotion.GateChecklist: "github", promotion.GateApprovals: "github", promotion.GateUpstream: "cluster", promotion.GateDryRun: "cluster",
}

// observed are the gates as evidence. Who can move one that passes is nobody's
// question.
func (l *look) observed(gates []promotion.Gate, at time.Time) ([]store.Observed, error) {
	out := make([]store.Observed, 0, len(gates))
	for _, g := range gates {
		o := store.Observed{Gate: g.Name, Verdict: string(g.Verdict), Reason: g.Reason, Source: sources[g.Name], URL: g.URL, At: at, ExpiresAt: g.Until}
		if g.Verdict.Blocks() || g.Verdict == promotion.Overridden {
			o.Owner, o.Missing, o.NextCheck = g.Owner, g.Missing, g.NextCheck
		}
		var err error
		switch g.Name {
		case promotion.GateApprovals:
			o.Detail, err = l.approvalDetail()
		case promotion.GateSignature:
			o.Detail, err = l.signatureDetail()
		}
		if err != nil {
			return nil, err
		}
		out = append(out, o)
	}
	return out, nil
}

func (w *Worker) perform(ctx context.Context, l *look, d promotion.Decision) error {
	ctx = github.WithPriority(ctx, l.urgency(d))
	if m := l.of(d.App); m != l {
		l, d.Gates = m, promotion.Evaluate(m.facts, w.Now())
	}
	switch d.Effect {
	case promotion.OpenPull:
		return w.openPull(ctx, l)
	case promotion.AskRegistry:
		return w.askAgain(ctx, l)
	case promotion.AskSignatures:
		return w.askSignatures(ctx, l)
	case promotion.AskClusters:
		return w.askClusters(ctx, l)
	case promotion.Label:
		return w.label(ctx, l)
	case promotion.Regenerate:
		return w.regenerate(ctx, l, d.Gates)
	case promotion.PublishCheck:
		return w.publishCheck(ctx, l, d.Gates)
	case promotion.PublishBody:
		return w.publishBody(ctx, l, d.Gates)
	case promotion.OpenFollowUp:
		return w.openFollowUp(ctx, l, d.Gates)
	case promotion.Merge, promotion.RecordMerged, promotion.EnterQueue, promotion.CheckGroup:
		return w.merge(ctx, l, d.Effect != promotion.RecordMerged)
	case promotion.Withdraw:
		return w.withdraw(ctx, l, d.Why)
	case promotion.RecordClosed:
		return w.recordClosed(ctx, l, d.Why)
	case promotion.TellClosed:
		return w.tellClosed(ctx, l)
	case promotion.TakeBack:
		return w.takeBack(ctx, l)
	case promotion.DismissReview:
		return w.dismissReview(ctx, l)
	case promotion.DeleteBranch:
		return w.deleteBranch(ctx, l)
	case promotion.CreateDeployment:
		return w.createDeployment(ctx, l, d.Cluster)
	case promotion.UpdateDeployment:
		return w.updateDeployment(ctx, l, d)
	case promotion.SetCommitStatus:
		return w.setCommitStatus(ctx, l, d.Status)
	case promotion.PublishComment:
		return w.publishComment(ctx, l)
	case promotion.RecordDeployed:
		return w.deployed(ctx, l)
	case promotion.RecordOvertaken:
		return w.Store.RecordOvertaken(ctx, l.row)
	}
	return fault.Errorf(fault.Broken, "there is no way to perform %q", d.Effect)
}
