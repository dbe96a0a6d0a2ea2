package app

import (
	"encoding/json"
	"slices"

	"github.com/tagboat/tagboat/internal/store"
)

// change tells a merge from its rows in the audit log. What other tables say is
// only taken where the log names it.
func change(m store.AuditedMerge) AuditChange {
	g := m.Grounds
	c := AuditChange{
		Repo: m.Repo.Owner + "/" + m.Repo.Name, App: m.Promotion.App, Env: m.Promotion.Env,
		Promotion: m.Promotion.ID, Pull: g.Pull, PullURL: m.Promotion.PullURL, Kind: m.Promotion.Kind, Reason: m.Promotion.Reason, Back: g.Back, Set: g.Set,
		Saw: AuditSaw{
			Image: g.Image, Tag: g.Tag, Digest: g.Digest, OldTag: g.OldTag, OldDigest: g.OldDigest,
			Head: g.Head, Base: g.Base, Edit: g.Edit, Diff: g.Diff, Body: g.Body, Check: g.Check,
		},
		Asked: []AuditAsked{}, Approvals: approvals(m), Gates: slices.Clone(g.Gates), Overridden: g.Overridden, Checklist: []AuditTick{}, Clusters: []AuditSync{},
		Merged: AuditMerged{
			SHA: m.Row.SHA, At: m.Row.At.UTC(), By: g.Merger, Cause: actor(m.Row), Found: g.Found, Row: m.Row.ID, Hash: m.Row.Hash,
		},
	}
	if c.Saw.Image == "" { // a row of an earlier version, or a merge of what was superseded
		c.Saw.Image, c.Saw.Tag, c.Saw.Digest = m.Artifact.Image, m.Artifact.Tag, m.Artifact.Digest
	}
	if c.Gates == nil {
		c.Gates = []store.Judged{}
	}
	for _, row := range m.Log {
		c.take(row)
	}
	return c
}

// take adds what a row of the log says.
func (c *AuditChange) take(row store.Audit) {
	c.Log = append(c.Log, record(row))
	switch row.Action {
	case store.ActionProposed, store.ActionAskedAgain:
		if who := actor(row); who != nil {
			c.Asked = append(c.Asked, AuditAsked{Actor: *who, At: row.At.UTC(), Row: row.ID})
		}
	case store.ActionTicked:
		var ticks []store.NewTick
		_ = json.Unmarshal([]byte(row.Inputs), &ticks) // of an edited row: the proof says so
		for _, t := range ticks {
			c.Checklist = append(c.Checklist, AuditTick{Actor: store.Actor{ID: row.ActorID, Login: row.Actor}, Item: t.Item, Checked: t.Checked, At: row.At.UTC()})
		}
	case store.ActionSynced:
		s := AuditSync{Commit: row.SHA, At: row.At.UTC(), Row: row.ID}
		_ = json.Unmarshal([]byte(row.Inputs), &s.Synced)
		c.Clusters = slices.DeleteFunc(c.Clusters, func(o AuditSync) bool { return o.Cluster == s.Cluster })
		c.Clusters = append(c.Clusters, s)
	}
}

func actor(row store.Audit) *store.Actor {
	if row.ActorID == 0 {
		return nil
	}
	return &store.Actor{ID: row.ActorID, Login: row.Actor}
}

// approvals are the reviews that decided something. Those that counted are as the
// merge's row has them.
func approvals(m store.AuditedMerge) []AuditApproval {
	all := []AuditApproval{}
	for _, a := range m.Grounds.ApprovedBy {
		all = append(all, AuditApproval{
			Actor: a.Actor, State: "APPROVED", Review: a.Review, At: a.At.UTC(), Head: a.Head, Digest: a.Digest, Edit: a.Edit, Counted: true, For: a.For,
		})
	}
	for _, r := range m.Reviews {
		counted := slices.ContainsFunc(m.Grounds.ApprovedBy, func(a store.Approved) bool { return a.Review == r.ReviewID && r.State == "APPROVED" })
		if counted || r.State == "COMMENTED" {
			continue
		}
		a := AuditApproval{
			Actor: store.Actor{ID: r.ReviewerID, Login: r.Reviewer}, State: r.State, Review: r.ReviewID, At: r.SubmittedAt.UTC(),
			Head: r.HeadSHA, Digest: r.Digest, Edit: r.EditHash,
		}
		for _, e := range m.Grounds.Excluded {
			if e.Login == r.Reviewer && e.State == r.State {
				a.Why = e.Why
			}
		}
		all = append(all, a)
	}
	return all
}
