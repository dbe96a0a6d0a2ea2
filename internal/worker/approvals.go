package worker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/approval"
	"github.com/tagboat/tagboat/internal/fault"
	"github.com/tagboat/tagboat/internal/image"
	"github.com/tagboat/tagboat/internal/promotion"
	"github.com/tagboat/tagboat/internal/store"
)

// reviews asks the environment's rules about the reviews of the pull request.
func (l *look) reviews(ctx context.Context, fresh bool) error {
	if !l.env.Approvals.Asked() {
		return nil
	}
	rules, err := l.approvalRules()
	if err != nil {
		return err
	}
	own, earlier, err := l.w.pullReviews(ctx, l.row.ID)
	if err != nil {
		return err
	}
	all := append(own, earlier...)
	if l.requesters, err = l.w.Store.Requesters(ctx, l.row.ID); err != nil {
		return err
	}
	builders, err := l.w.Store.Builders(ctx, l.artifact.ID)
	if err != nil {
		return err
	}
	dismissals, err := l.w.Store.Dismissals(ctx, l.row.ID)
	if err != nil {
		return err
	}
	snap := approval.Snapshot{
		Digest: l.artifact.Digest, HeadSHA: l.row.SeenHeadSHA, EditHash: l.row.EditHash, Requesters: l.requesters,
		People: l.w.people.of(ctx, l.repo, teamsOf(rules), all, fresh), Dismissals: outcomes(dismissals),
	}
	for _, b := range builders {
		snap.Builders = append(snap.Builders, approval.Builder{ID: b.ActorID, Login: b.Actor})
	}
	for _, r := range all {
		snap.Reviews = append(snap.Reviews, approval.Review{
			ID: r.ReviewID, Reviewer: r.ReviewerID, Login: r.Reviewer, State: approval.State(r.State),
			HeadSHA: r.HeadSHA, EditHash: r.EditHash, Digest: r.Digest, Earlier: r.PromotionID != l.row.ID, At: r.SubmittedAt,
		})
	}
	l.approval = approval.Evaluate(rules, snap)
	l.dismiss = toDismiss(l.row.ID, l.approval.Stale, dismissals, all)
	l.facts.Approval = promotion.Approval{
		Satisfied: l.approval.Satisfied, Blocked: l.approval.Blocked, Missing: l.approval.Missing, Stale: len(l.dismiss),
		Reason: l.approval.Reason, Owner: l.approval.Owner,
	}
	return nil
}

// pullReviews are the reviews of a promotion, and those of the promotions whose pull
// request it took over: GitHub still shows them there, and a change request among
// them stands.
func (w *Worker) pullReviews(ctx context.Context, id int64) (own, earlier []store.Review, err error) {
	if own, err = w.Store.Reviews(ctx, id); err != nil {
		return nil, nil, err
	}
	earlier, err = w.Store.EarlierReviews(ctx, id)
	return own, earlier, err
}

// approvalRules are what the environment asks of its reviewers, with the owners of
// the changed file by the base branch's CODEOWNERS where they are asked.
func (l *look) approvalRules() (rules []approval.Rule, err error) {
	for _, a := range l.env.Approvals {
		rule := approval.Rule{Name: a.Name, Count: a.Count, Teams: a.Teams, Users: a.Users, CodeOwners: a.CodeOwners}
		for _, part := range a.Allow {
			rule.Allow = append(rule.Allow, approval.Part(part))
		}
		if rule.CodeOwners {
			if rule, err = rule.OwnedIn(l.base.tree, l.repo.Owner, l.pair.File); err != nil {
				return nil, err
			}
		}
		rules = append(rules, rule)
	}
	return rules, nil
}

// teamsOf are the teams that the rules ask, each once, in one order.
func teamsOf(rules []approval.Rule) (teams []string) {
	for _, r := range rules {
		teams = append(teams, r.Teams...)
	}
	slices.Sort(teams)
	return slices.Compact(teams)
}

func outcomes(dismissals []store.Dismissal) map[int64]approval.Dismissal {
	of := map[int64]approval.Dismissal{}
	for _, d := range dismissals {
		switch d.Outcome {
		case store.DismissalDone:
			of[d.ReviewID] = approval.DismissalDone
		case store.DismissalRefused:
			of[d.ReviewID] = approval.DismissalRefused
		}
	}
	return of
}

// dismissal is a review to dismiss on GitHub.
type dismissal struct {
	review    store.Review
	announced int64 // by which promotion
}

// toDismiss are the reviews to dismiss: those whose dismissal was announced and has
// no outcome, whose answer was lost, and then the stale ones.
func toDismiss(promotion int64, stale []approval.Review, dismissals []store.Dismissal, reviews []store.Review) (todo []dismissal) {
	find := func(id, announced int64) {
		i := slices.IndexFunc(reviews, func(r store.Review) bool { return r.ReviewID == id && r.State == string(approval.Approved) })
		if i >= 0 && !slices.ContainsFunc(todo, func(d dismissal) bool { return d.review.ReviewID == id }) {
			todo = append(todo, dismissal{reviews[i], announced})
		}
	}
	for _, d := range dismissals {
		if d.Outcome == "" {
			find(d.ReviewID, d.PromotionID)
		}
	}
	for _, r := range stale {
		find(r.ID, promotion)
	}
	return todo
}

// dismissReview takes back, on GitHub, an approval that does not count any more
// because it was for something else, so that GitHub and Tagboat agree. Each is tried
// once: an App that may not dismiss reviews does without, and the gate says so.
func (w *Worker) dismissReview(ctx context.Context, l *look) error {
	d := l.dismiss[0]
	if err := w.Store.AnnounceDismissal(ctx, d.announced, d.review.ReviewID); err != nil {
		return err
	}
	message := l.whyDismissed(d.review)
	err := l.door.DismissReview(ctx, int(l.row.PullNumber), d.review.ReviewID, message)
	if err != nil && fault.KindOf(err).Retryable() {
		return err
	}
	if err != nil {
		gone, lookErr := w.isDismissed(ctx, l, d.review.ReviewID)
		if lookErr != nil {
			return errors.Join(err, lookErr)
		}
		if !gone {
			w.Log.WarnContext(ctx, "a review could not be dismissed", "promotion", l.row.ID, "review", d.review.ReviewID, "error", err)
			return w.Store.RecordDismissal(ctx, l.row, d.announced, d.review, store.DismissalRefused, explain(err))
		}
	}
	return w.Store.RecordDismissal(ctx, l.row, d.announced, d.review, store.DismissalDone, message)
}

// isDismissed: by an attempt whose answer was lost, or by a person.
func (w *Worker) isDismissed(ctx context.Context, l *look, review int64) (bool, error) {
	listed, err := l.door.Reviews(ctx, int(l.row.PullNumber))
	for _, r := range listed {
		if r.ID == review {
			return r.State == string(approval.Dismissed), err
		}
	}
	return false, err
}

// whyDismissed is what the reviewer reads.
func (l *look) whyDismissed(r store.Review) string {
	saw := fmt.Sprintf("commit %.12s", r.HeadSHA)
	if r.HeadSHA == "" {
		saw = "a commit that cannot be told any more, because GitHub's word of it did not arrive"
	}
	if r.Digest != "" && r.Digest != l.artifact.Digest {
		saw = fmt.Sprintf("%s (%s)", saw, image.ShortDigest(r.Digest))
	}
	asked := ""
	if l.row.Requester != "" {
		asked = ", which " + l.row.Requester + " asked for,"
	}
	return fmt.Sprintf("Tagboat counts an approval only for the version and the edit that its author saw. This one was for %s; the pull request now brings %s %s (%s)%s in commit %.12s. Look at what it changes now, and approve it again if it is right.",
		saw, l.row.App, l.artifact.Tag, image.ShortDigest(l.artifact.Digest), asked, l.row.SeenHeadSHA)
}

// approvedRule is one rule for approvals as the evidence keeps it.
type approvedRule struct {
	Rule    string         `json:"rule"`
	Count   int            `json:"count"`
	Owners  []string       `json:"owners,omitempty"` // whom CODEOWNERS names
	Problem string         `json:"problem,omitempty"`
	Counted []approvedThen `json:"counted"`
}

// approvedThen is who counted, and as what.
type approvedThen struct {
	store.Actor
	Review int64     `json:"review"`
	Team   string    `json:"team,omitempty"` // as a member of which team; "" where the person is named, or may write
	Asked  time.Time `json:"asked,omitzero"` // when GitHub said so
}

// approvalDetail is what an auditor needs years later, when the teams have other
// members: who counted for which rule, as what.
func (l *look) approvalDetail() (string, error) {
	rules := []approvedRule{}
	for _, r := range l.approval.Rules {
		kept := approvedRule{Rule: r.Rule.Label(), Count: r.Rule.Count, Problem: r.Rule.Problem, Counted: []approvedThen{}}
		if r.Rule.CodeOwners {
			for _, t := range r.Rule.Teams {
				kept.Owners = append(kept.Owners, l.repo.Owner+"/"+t)
			}
			kept.Owners = append(kept.Owners, r.Rule.Users...)
		}
		for _, c := range r.Counted {
			kept.Counted = append(kept.Counted, approvedThen{
				Actor: store.Actor{ID: c.Review.Reviewer, Login: c.Review.Login}, Review: c.Review.ID, Team: c.Team, Asked: c.Asked.UTC(),
			})
		}
		rules = append(rules, kept)
	}
	text, err := json.Marshal(map[string]any{"rules": rules})
	return string(text), err
}

// countedFor are the rules that an approval counted for.
func (l *look) countedFor(review int64) (rules []store.For) {
	for _, r := range l.approval.Rules {
		for _, c := range r.Counted {
			if c.Review.ID == review {
				rules = append(rules, store.For{Rule: r.Rule.Label(), Team: c.Team, Asked: c.Asked.UTC()})
			}
		}
	}
	return rules
}
