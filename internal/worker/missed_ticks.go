package worker

import (
	"context"
	"slices"
	"time"

	"github.com/tagboat/tagboat/internal/checklist"
	"github.com/tagboat/tagboat/internal/github"
	"github.com/tagboat/tagboat/internal/store"
)

// missedTicks records who ticked what in the checklist of a pull request, where no
// webhook told. GitHub keeps every version of the description, and who wrote it. A
// tick that nobody is known to have made is taken back: the description is rendered
// anew from what is recorded.
func (w *Worker) missedTicks(ctx context.Context, p store.Promotion, body string, h *pullHistory) error {
	recorded, err := w.Store.Ticks(ctx, p.ID)
	if err != nil {
		return err
	}
	if items, err := checklist.Items(body); err == nil && body == p.PullBody && !slices.ContainsFunc(items, func(i checklist.Item) bool { return i.Human }) {
		return nil
	}
	told, err := h.read(ctx)
	if err != nil {
		return err
	}
	artifact, err := w.Store.Artifact(ctx, p.ArtifactID)
	if err != nil {
		return err
	}
	made := untold(madeTicks(told.Edits, artifact.Digest, p.CreatedAt), recorded)
	for _, t := range made {
		w.Log.InfoContext(ctx, "no webhook told of a tick", "promotion", p.ID, "item", t.Item, "by", t.by.Login)
		if err := w.Store.RecordTicks(ctx, p.ID, []store.NewTick{t.NewTick}, t.by, told.Body, 0, reconcileJob); err != nil {
			return err
		}
	}
	if len(made) > 0 || told.Body == p.PullBody || leftAlone(told, recorded) {
		return nil
	}
	return w.Store.RecordTicks(ctx, p.ID, nil, store.Actor{}, told.Body, 0, reconcileJob)
}

// leftAlone: a bot has written, and touched no box. Two bots could answer each other
// for ever.
func leftAlone(h github.History, recorded []store.Tick) bool {
	return len(h.Edits) > 0 && h.Edits[len(h.Edits)-1].By.Bot && !differ(h.Body, recorded)
}

// differ reports whether the boxes of a description are not those that are recorded.
func differ(body string, recorded []store.Tick) bool {
	items, err := checklist.Items(body)
	if err != nil {
		return true
	}
	return slices.ContainsFunc(items, func(i checklist.Item) bool {
		return i.Human && i.Checked != slices.ContainsFunc(recorded, func(t store.Tick) bool { return t.Item == i.ID && t.Checked })
	})
}

// madeTick is a change of one item, and by whom.
type madeTick struct {
	store.NewTick
	by store.Actor
}

// madeTicks are the last change of each item by a person, in the order in which they
// were made. Machines do not tick; whoever is not known any more has no say; and what
// was ticked for something that the pull request carried before was ticked for that.
func madeTicks(edits []github.Edit, digest string, since time.Time) (made []madeTick) {
	for i := 1; i < len(edits); i++ {
		e := edits[i]
		if e.By.Bot || e.By.ID == 0 || e.At.Before(since.Truncate(time.Second)) || checklist.Digest(e.Body) != digest {
			continue
		}
		for _, t := range ticked(edits[i-1].Body, e.Body, e.At) {
			made = slices.DeleteFunc(made, func(m madeTick) bool { return m.Item == t.Item })
			made = append(made, madeTick{t, store.Actor{ID: e.By.ID, Login: e.By.Login}})
		}
	}
	return made
}

// untold leaves out what is recorded already, or overtaken by something that is.
func untold(made []madeTick, recorded []store.Tick) []madeTick {
	return slices.DeleteFunc(made, func(m madeTick) bool {
		return slices.ContainsFunc(recorded, func(t store.Tick) bool {
			return t.Item == m.Item && t.At.After(m.At.Add(tickApart)) || sameTick(t, m.NewTick, m.by.ID)
		})
	})
}

// tickApart is how far the times may differ that a webhook and the history tell of the
// same change.
const tickApart = time.Second

// sameTick reports whether a recorded tick is the one that is told of.
func sameTick(t store.Tick, told store.NewTick, by int64) bool {
	return t.Item == told.Item && t.Checked == told.Checked && t.ActorID == by && t.At.Sub(told.At).Abs() <= tickApart
}
