package worker

import (
	"slices"

	"github.com/tagboat/tagboat/internal/envrepo"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/promotion"
)

// urgency is the priority of an effect's requests. What a merge waits for is as
// urgent as the merge: the verdict, once nothing else is missing, and what is done
// under the lock that merges of the environment take. What production's merge waits
// for before that goes along with the merges of the others.
func (l *look) urgency(d promotion.Decision) github.Priority {
	opening, checking, merging := github.Opening, github.Checking, github.Merging
	if l.facts.Back != nil {
		opening, checking, merging = github.RollingBack, github.RollingBack, github.RollingBack
	} else if l.lastStage() {
		opening, checking, merging = github.Merging, github.Merging, github.MergingLast
	}
	switch d.Effect {
	case promotion.Merge, promotion.EnterQueue, promotion.CheckGroup, promotion.RecordMerged, promotion.DeleteBranch, promotion.Withdraw, promotion.OpenFollowUp:
		return merging
	case promotion.PublishCheck, promotion.PublishBody:
		if l.facts.Rule.Auto && d.Passed() {
			return merging
		}
		if d.Effect == promotion.PublishCheck {
			return checking
		}
	case promotion.OpenPull, promotion.Regenerate, promotion.Label: // the verdict comes after the labels
		return opening
	case promotion.CreateDeployment, promotion.UpdateDeployment, promotion.SetCommitStatus:
		return github.Deploying
	}
	return github.Talking
}

// lastStage reports whether no environment needs or follows this one: production.
// It is not known of a promotion that is merged, for which it does not matter.
func (l *look) lastStage() bool {
	if l.base == nil {
		return false
	}
	return !slices.ContainsFunc(l.base.config.Environments, func(e envrepo.Environment) bool {
		return e.Follow != nil && e.Follow.Env == l.row.Env ||
			slices.ContainsFunc(e.Needs, func(n envrepo.Need) bool { return n.Env == l.row.Env })
	})
}
